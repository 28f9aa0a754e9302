//! Known answers of everything at rest, computed by a program that shares no code with this one
//! (`tests/vectors/protection.py`).

use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Answers {
    envelopes: Vec<Sealed>,
    indexes: Vec<Indexed>,
    wrapped: Vec<Wrapped>,
}

#[derive(Deserialize)]
struct Sealed {
    subject_key: String,
    kid: String,
    tenant: String,
    seal_as: String,
    kind: String,
    plain: String,
    random: String,
    field_key: String,
    hedge_key: String,
    nonce: String,
    text: String,
}

#[derive(Deserialize)]
struct Indexed {
    index_key: String,
    tenant: String,
    seal_as: String,
    form: String,
    bytes: u8,
    value: String,
    normal: String,
    text: String,
}

#[derive(Deserialize)]
struct Wrapped {
    epoch_key: String,
    domain_key: String,
    subject_key: String,
    tenant: String,
    domain: String,
    record: String,
    epoch: u32,
    number: u32,
    random: String,
    kid: String,
    wrapped: String,
    row: String,
}

fn answers() -> Answers {
    serde_json::from_str(include_str!("../../tests/vectors/protection.json")).unwrap()
}

fn bytes<const N: usize>(hex: &str) -> [u8; N] {
    unhex(hex).try_into().unwrap()
}

fn unhex(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn kind(word: &str) -> ValueKind {
    match word {
        "text" => ValueKind::Text,
        "number" => ValueKind::Number,
        "boolean" => ValueKind::Boolean,
        "json" => ValueKind::Json,
        other => panic!("{other}"),
    }
}

#[test]
fn envelopes_are_what_another_program_makes_of_the_same_value() {
    let answers = answers().envelopes;
    assert!(answers.len() > 15, "{}", answers.len());
    for answer in answers {
        let key = SubjectKey::new(bytes(&answer.subject_key));
        assert_eq!(key.kid().0, bytes(&answer.kid));
        let place = [answer.tenant.as_bytes(), answer.seal_as.as_bytes()];
        let [tenant, name] = place;
        let field = derive(key.secret(), &[b"privet/field/v1", tenant, name]);
        assert_eq!(*field.expose(), bytes(&answer.field_key));
        let hedge = derive(key.secret(), &[b"privet/hedge/v1", tenant, name]);
        assert_eq!(*hedge.expose(), bytes(&answer.hedge_key));
        let random = bytes(&answer.random);
        let context = length_prefixed(&[tenant, name, answer.kind.as_bytes(), &key.kid().0]);
        let code = Mac::new(&hedge).of_parts(&[&random, &context, answer.plain.as_bytes()]);
        assert_eq!(code[..12], bytes::<12>(&answer.nonce));

        let field = FieldKey::sealing(&key, key.kid(), &answer.tenant, &answer.seal_as);
        let mut sealed = Vec::new();
        let kind = kind(&answer.kind);
        field.seal(kind, answer.plain.as_bytes(), &random, &mut sealed).unwrap();
        assert_eq!(String::from_utf8(sealed).unwrap(), answer.text);
        let opening = FieldKey::opening(&key, key.kid(), &answer.tenant, &answer.seal_as);
        let (opened, plain) = opening.open(&Envelope::parse(&answer.text).unwrap()).unwrap();
        assert_eq!((opened, plain.as_slice()), (kind, answer.plain.as_bytes()));
    }
}

#[test]
fn blind_indexes_are_what_another_program_makes_of_the_same_value() {
    let answers = answers().indexes;
    for form in NormalForm::ALL {
        assert!(answers.iter().any(|answer| answer.form == form.as_str()), "{form:?}");
    }
    for answer in answers {
        let key = Mac::new(&Secret::new(bytes(&answer.index_key)));
        let form = NormalForm::parse(&answer.form).unwrap();
        assert_eq!(*form.of(&answer.value), answer.normal, "{form:?} {:?}", answer.value);
        let mut text = Vec::new();
        let place = (&*answer.tenant, &*answer.seal_as);
        blind_index(&key, place, (form, answer.bytes), &answer.value, &mut text);
        assert_eq!(String::from_utf8(text).unwrap(), answer.text);
    }
}

#[test]
fn wrapped_keys_are_what_another_program_makes_of_the_same_key() {
    for answer in answers().wrapped {
        let domain = answer.domain.as_bytes();
        let epoch = Secret::new(bytes(&answer.epoch_key));
        let domain = derive(&epoch, &[b"privet/domain/v1", domain]);
        assert_eq!(*domain.expose(), bytes(&answer.domain_key));
        let (with, record) = (SealKey::new(&domain), bytes(&answer.record));
        let context = WrapContext {
            tenant: &answer.tenant,
            domain: &answer.domain,
            record: &record,
            epoch: answer.epoch,
        };
        let key = SubjectKey::new(bytes(&answer.subject_key));
        let random = bytes(&answer.random);
        let made =
            KeyGeneration::wrap(&key, (answer.number, KeyState::Active), &with, &context, &random)
                .unwrap();
        assert_eq!(made.kid.0, bytes(&answer.kid));
        assert_eq!(made.wrapped.as_slice(), unhex(&answer.wrapped));
        let row = SubjectKeyRecord {
            epoch: answer.epoch,
            domain: None,
            log: None,
            generations: vec![made],
        };
        assert_eq!(row.encode(), unhex(&answer.row));
        let read = SubjectKeyRecord::decode(&unhex(&answer.row)).unwrap();
        let opened = read.generations[0].unwrap(&with, &context).ok().unwrap();
        assert_eq!(opened.expose(), key.expose());
    }
}
