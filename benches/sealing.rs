//! What protection at rest costs for each value and each person. A sealed value of 64 bytes is
//! aimed below 1 µs with the field's key at hand; deriving that key comes on top, once for each
//! field of a record.

#![expect(clippy::unwrap_used, reason = "a benchmark that cannot start says so")]

use divan::Bencher;
use divan::black_box;
use privet::crypto::Envelope;
use privet::crypto::Ff1;
use privet::crypto::FieldKey;
use privet::crypto::KeyGeneration;
use privet::crypto::KeyState;
use privet::crypto::Mac;
use privet::crypto::NormalForm;
use privet::crypto::SealKey;
use privet::crypto::Secret;
use privet::crypto::SubjectKey;
use privet::crypto::ValueKind;
use privet::crypto::WrapContext;
use privet::crypto::blind_index;
use privet::crypto::self_test;

fn main() {
    divan::main();
}

const PLACE: (&str, &str) = ("shop-example", "shop.customers.email");
const PLAIN: &[u8; 64] = b"a value of sixty-four bytes, as most that are sealed are shorter";
const LENGTHS: [usize; 4] = [16, 64, 256, 4096];

fn sealing(key: &SubjectKey) -> FieldKey {
    FieldKey::sealing(key, key.kid(), PLACE.0, PLACE.1)
}

fn sealed(plain: &[u8]) -> String {
    let mut out = Vec::new();
    let key = SubjectKey::new([7; 32]);
    sealing(&key).seal(ValueKind::Text, plain, &[1; 16], &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[divan::bench(args = LENGTHS)]
fn seal_with_the_key_at_hand(bencher: Bencher<'_, '_>, len: usize) {
    let key = sealing(&SubjectKey::new([7; 32]));
    let (plain, mut out) = (vec![b'x'; len], Vec::new());
    bencher.bench_local(|| {
        out.clear();
        key.seal(ValueKind::Text, black_box(&plain), &[1; 16], &mut out)
    });
}

#[divan::bench]
fn seal_with_the_key_derived(bencher: Bencher<'_, '_>) {
    let (person, mut out) = (SubjectKey::new([7; 32]), Vec::new());
    bencher.bench_local(|| {
        out.clear();
        sealing(black_box(&person)).seal(ValueKind::Text, PLAIN, &[1; 16], &mut out)
    });
}

#[divan::bench(args = LENGTHS)]
fn open_with_the_key_at_hand(bencher: Bencher<'_, '_>, len: usize) {
    let key = sealing(&SubjectKey::new([7; 32]));
    let text = sealed(&vec![b'x'; len]);
    bencher.bench_local(|| key.open(&Envelope::parse(black_box(&text)).unwrap()).unwrap().1.len());
}

#[divan::bench]
fn open_with_the_key_derived(bencher: Bencher<'_, '_>) {
    let (person, text) = (SubjectKey::new([7; 32]), sealed(PLAIN));
    let kid = person.kid();
    bencher.bench_local(|| {
        let key = FieldKey::opening(black_box(&person), kid, PLACE.0, PLACE.1);
        key.open(&Envelope::parse(&text).unwrap()).unwrap().1.len()
    });
}

/// The type is not stored: what is no text costs one more tag for each type before it.
#[divan::bench]
fn open_a_container_with_the_key_at_hand(bencher: Bencher<'_, '_>) {
    let key = sealing(&SubjectKey::new([7; 32]));
    let mut out = Vec::new();
    key.seal(ValueKind::Json, PLAIN, &[1; 16], &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    bencher.bench_local(|| key.open(&Envelope::parse(black_box(&text)).unwrap()).unwrap().1.len());
}

#[divan::bench(args = ["email", "exact", "id", "phone", "text"])]
fn index(bencher: Bencher<'_, '_>, form: &str) {
    let form = NormalForm::parse(form).unwrap();
    let (key, mut out) = (Mac::new(&Secret::new([7; 32])), Vec::new());
    bencher.bench_local(|| {
        out.clear();
        blind_index(&key, PLACE, (form, 16), black_box("Ana.Ruiz+44@Mail.example"), &mut out);
    });
}

#[divan::bench]
fn permute_sixteen_digits(bencher: Bencher<'_, '_>) {
    let ff1 = Ff1::new(&Secret::new([7; 32])).unwrap();
    bencher.bench_local(|| {
        let mut digits = [4, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9];
        ff1.permute(b"shop.customers.pan", black_box(&mut digits)).unwrap();
        digits
    });
}

const CONTEXT: WrapContext<'static> =
    WrapContext { tenant: "shop-example", domain: "person", record: &[5; 32], epoch: 1 };

#[divan::bench]
fn wrap_a_persons_key(bencher: Bencher<'_, '_>) {
    let (with, key) = (SealKey::new(&Secret::new([9; 32])), SubjectKey::new([7; 32]));
    let wrap = || {
        KeyGeneration::wrap(black_box(&key), (1, KeyState::Active), &with, &CONTEXT, &[1; 16])
            .unwrap()
    };
    bencher.bench_local(wrap);
}

/// What a person whose card is not in memory costs beside the read of the row.
#[divan::bench]
fn unwrap_a_persons_key(bencher: Bencher<'_, '_>) {
    let (with, key) = (SealKey::new(&Secret::new([9; 32])), SubjectKey::new([7; 32]));
    let wrapped =
        KeyGeneration::wrap(&key, (1, KeyState::Active), &with, &CONTEXT, &[1; 16]).unwrap();
    bencher.bench_local(|| black_box(&wrapped).unwrap(&with, &CONTEXT).ok().unwrap().kid());
}

#[divan::bench]
fn every_known_answer(bencher: Bencher<'_, '_>) {
    bencher.bench_local(|| self_test().unwrap());
}
