//! Attacks on people's keys and on pseudonyms, each by its number in the list that
//! `tests/it/attacks.rs` keeps complete; and the known answers of pseudonyms.

use std::sync::Arc;

use serde::Deserialize;

use super::pseudonyms::PurposePseudonyms;
use super::tests::Installation;
use super::*;
use crate::catalog::FieldIx;
use crate::clock::SystemEntropy;
use crate::crypto;
use crate::crypto::Envelope;
use crate::crypto::KdfCost;
use crate::crypto::KeyState;
use crate::crypto::Secret;
use crate::crypto::SubjectKey;
use crate::crypto::ValueKind;
use crate::policy::Pseudonym;
use crate::state::Engine;
use crate::transform::Plain;
use crate::transform::Unopened;
use crate::types::PurposeId;

const NAME: &str = "customer.email";

fn keys(generations: &[(u8, KeyState)]) -> SubjectKeys {
    let unwrapped = generations.iter().map(|(byte, state)| {
        let key = SubjectKey::new([*byte; 32]);
        (key.kid(), *state, key)
    });
    SubjectKeys::new("shop".into(), unwrapped.collect())
}

fn seal(keys: &SubjectKeys) -> Envelope {
    let mut out = Vec::new();
    keys.seal(NAME, (ValueKind::Text, b"value"), &SystemEntropy, &mut out).unwrap();
    Envelope::parse(std::str::from_utf8(&out).unwrap()).unwrap()
}

fn refused(keys: &SubjectKeys, envelope: &Envelope) -> Option<Unopened> {
    keys.open(NAME, envelope).err()
}

#[test]
fn no_11_a_value_under_somebody_elses_key_is_told_apart_before_any_cipher() {
    let (hers, his) = (keys(&[(1, KeyState::Active)]), keys(&[(2, KeyState::Active)]));
    assert_eq!(refused(&hers, &seal(&his)), Some(Unopened::Foreign));
    assert_eq!(refused(&hers, &seal(&hers)), None);
}

#[test]
fn no_12_unknown_and_disabled_keys_open_nothing_and_say_which() {
    let envelope = seal(&keys(&[(1, KeyState::Active)]));
    assert_eq!(refused(&keys(&[]), &envelope), Some(Unopened::Foreign));
    let disabled = keys(&[(1, KeyState::Disabled)]);
    assert_eq!(refused(&disabled, &envelope), Some(Unopened::Destroyed));
    let mut out = Vec::new();
    let sealed = disabled.seal(NAME, (ValueKind::Text, b"v"), &SystemEntropy, &mut out);
    assert!(sealed.is_err() && out.is_empty());
}

#[test]
fn no_13_an_older_key_opens_while_it_is_kept_and_never_seals() {
    let old = seal(&keys(&[(1, KeyState::Active)]));
    let rotated = keys(&[(1, KeyState::DecryptOnly), (2, KeyState::Active)]);
    assert_eq!(refused(&rotated, &old), None);
    assert_eq!(seal(&rotated).kid(), SubjectKey::new([2; 32]).kid());
    let gone = keys(&[(2, KeyState::Active)]);
    assert_eq!(refused(&gone, &old), Some(Unopened::Foreign));
}

#[tokio::test]
async fn no_39_no_key_is_made_or_opened_where_cryptography_does_not_work() {
    let installation = Installation::initialised().await;
    let is_self_test =
        |outcome: Result<(), KeysError>| assert!(matches!(outcome, Err(KeysError::SelfTest(_))));
    for primitive in ["AES-256-GCM", "envelopes"] {
        let open = KeyRing::open(&installation.config, Arc::new(SystemEntropy));
        is_self_test(crypto::broken(primitive, || now(open)).map(drop));
        let init = KeyRing::init(&installation.config, KdfCost::FLOOR, &SystemEntropy);
        is_self_test(crypto::broken(primitive, || now(init)).map(drop));
        let made = || KeyRing::ephemeral(Engine::memory(), Arc::new(SystemEntropy)).map(drop);
        is_self_test(crypto::broken(primitive, made));
    }
    assert!(installation.open().await.is_ok());
}

/// What a future comes to that waits for nothing.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match std::pin::pin!(future).poll(&mut context) {
        std::task::Poll::Ready(outcome) => outcome,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

#[derive(Deserialize)]
struct Answers {
    pseudonyms: Vec<Answer>,
}

#[derive(Deserialize)]
struct Answer {
    root: String,
    tenant: String,
    number: u32,
    purpose: String,
    kind: String,
    value: String,
    text: String,
}

/// No. 32 as well: the answers hold the same value for two purposes and two kinds.
#[test]
fn pseudonyms_are_what_another_program_makes_of_the_same_value() {
    let file = include_str!("../../tests/vectors/protection.json");
    let answers: Answers = serde_json::from_str(file).unwrap();
    let mut seen = Vec::new();
    for answer in answers.pseudonyms {
        let root: Vec<u8> = (0..answer.root.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(answer.root.get(at..at + 2).unwrap(), 16).unwrap())
            .collect();
        let root = Secret::from_slice(&root).unwrap();
        let purpose = PurposeId::parse(&answer.purpose).unwrap();
        let made = PurposePseudonyms::new(&root, &answer.tenant, answer.number, &purpose);
        let mut text = Vec::new();
        let form = Pseudonym::Token { reversible: false };
        let plain = Plain { form, field: FieldIx(0), kind: &answer.kind, value: &answer.value };
        assert!(made.write(&plain, None, &mut text));
        assert_eq!(String::from_utf8(text).unwrap(), answer.text);
        seen.push(answer.text);
    }
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(seen.len(), all, "every one is another");
}
