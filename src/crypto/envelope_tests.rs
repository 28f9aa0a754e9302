//! What an envelope opens to, and where it does not.

use super::*;

const RANDOM: [u8; 16] = [9; 16];

fn key(byte: u8) -> SubjectKey {
    SubjectKey::new([byte; 32])
}

fn seal(key: &SubjectKey, place: (&str, &str), kind: ValueKind, plain: &[u8]) -> String {
    let mut out = Vec::new();
    let key = FieldKey::sealing(key, key.kid(), place.0, place.1);
    key.seal(kind, plain, &RANDOM, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn open(key: &SubjectKey, place: (&str, &str), text: &str) -> Option<(ValueKind, Vec<u8>)> {
    let envelope = Envelope::parse(text).ok()?;
    let opened = FieldKey::opening(key, key.kid(), place.0, place.1).open(&envelope).ok()?;
    Some((opened.0, opened.1.to_vec()))
}

#[test]
fn a_value_opens_where_it_was_sealed_and_nowhere_else() {
    let here = ("shop", "customer.email");
    for kind in ValueKind::ALL {
        for plain in [&b""[..], b"ana@mail.example", &[b'x'; 5_000]] {
            let text = seal(&key(1), here, kind, plain);
            assert_eq!(text.len(), envelope_len(plain.len()));
            assert_eq!(plain_len(text.len()), plain.len());
            assert_eq!(plain_len(text.len() - 1), plain.len().saturating_sub(1));
            assert_eq!(Envelope::parse(&text).unwrap().kid(), key(1).kid());
            assert_eq!(Envelope::claimed_kid(&text), Some(key(1).kid()));
            assert_eq!(open(&key(1), here, &text), Some((kind, plain.to_vec())));
            assert_eq!(open(&key(2), here, &text), None, "another person");
            assert_eq!(open(&key(1), ("shop", "customer.phone"), &text), None, "another field");
            assert_eq!(open(&key(1), ("shopcustomer", ".email"), &text), None, "another cut");
            assert_eq!(open(&key(1), ("bank", "customer.email"), &text), None, "another tenant");
        }
    }
}

#[test]
fn every_changed_character_is_noticed() {
    let here = ("shop", "customer.email");
    let text = seal(&key(1), here, ValueKind::Text, b"ana@mail.example");
    for at in 0..text.len() {
        for other in ['A', 'B', '-', '_', '=', ' ', '+', '/'] {
            let mut changed = text.clone();
            changed.replace_range(at..=at, &other.to_string());
            assert!(changed == text || open(&key(1), here, &changed).is_none(), "{at} {other}");
        }
        assert_eq!(open(&key(1), here, text.get(..at).unwrap()), None, "cut at {at}");
    }
    for more in ["A", "=", " ", "\n"] {
        assert_eq!(open(&key(1), here, &format!("{text}{more}")), None, "{more:?} behind");
        assert_eq!(open(&key(1), here, &format!("{more}{text}")), None, "{more:?} before");
    }
}

#[test]
fn a_stuck_random_source_repeats_a_nonce_for_the_same_value_only() {
    let here = ("shop", "customer.email");
    let nonce = |plain: &str| {
        let text = seal(&key(1), here, ValueKind::Text, plain.as_bytes());
        text.get(..5 + 40).unwrap().to_owned()
    };
    assert_eq!(nonce("a"), nonce("a"));
    let mut seen: Vec<String> = (0..10_000).map(|n| nonce(&n.to_string())).collect();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), 10_000);
}

#[test]
fn values_meet_in_their_index_as_their_form_says() {
    use NormalForm::Email;
    use NormalForm::Exact;
    use NormalForm::Id;
    use NormalForm::Phone;
    use NormalForm::Text;
    let same = [
        (Text, "Straße  7", " STRASSE 7 "),
        (Text, "ΣΊΣΥΦΟΣ", "σίσυφος"),
        (Text, "ﬁve", "FIVE"),
        (Text, "Ａｎａ", "ana"),
        (Text, "e\u{301}te\u{301}", "ÉTÉ"),
        (Email, "Ana@Mail.example ", "ana@mail.example"),
        (Phone, "+44 7700 900-199", "0044 (7700) 900199"),
        (Phone, "07700 900199", "07700-900-199"),
        (Id, "ab 12-3", "AB123"),
        (Exact, "a ", "a "),
    ];
    for (form, a, b) in same {
        assert_eq!(*form.of(a), *form.of(b), "{form:?} {a:?} {b:?}");
    }
    let different = [
        (Text, "ana", "anа"),
        (Text, "a b", "ab"),
        (Email, "a.na@mail.example", "ana@mail.example"),
        (Phone, "+447700900199", "07700900199"),
        (Exact, "A", "a"),
        (Exact, "a", "a "),
    ];
    for (form, a, b) in different {
        assert_ne!(*form.of(a), *form.of(b), "{form:?} {a:?} {b:?}");
    }
}
