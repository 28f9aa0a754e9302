//! What a record may say, and where a fault is.

use super::asks;
use super::event;
use super::shown;
use crate::subjects::consent::ConsentError;
use crate::subjects::consent::ConsentState;
use crate::subjects::consent::ConsentType;
use crate::subjects::consent::Entity;
use crate::subjects::consent::Evidence;
use crate::subjects::consent::Guardian;
use crate::subjects::consent::MAX_RECORD_BYTES;
use crate::subjects::consent::NewConsent;
use crate::subjects::consent::NewEvent;
use crate::subjects::consent::Party;
use crate::subjects::consent::canonical;
use crate::types::Timestamp;

fn path(done: Result<impl Sized, ConsentError>) -> String {
    match done {
        Ok(_) => "fine".to_owned(),
        Err(ConsentError::Invalid { path, .. }) => path,
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_fault_is_named_by_its_path_and_no_value_is_repeated() {
    let good = r#"{"process":[{"purpose_key":"m"}],"events":[{"purpose_key":"m","state":"Given","type":"ExpressedConsent","entity_id":"subject"}]}"#;
    assert_eq!(path(NewConsent::read(good.as_bytes())), "fine");
    for (from, to, at) in [
        (r#""purpose_key":"m"}]"#, r#""purpose_key":"m","secret":"x"}]"#, "process[0].secret"),
        (r#""state":"Given""#, r#""state":"secret""#, "events[0].state"),
        (
            r#""purpose_key":"m","state""#,
            r#""purpose_key":"secret","state""#,
            "events[0].purpose_key",
        ),
        (r#""entity_id":"subject""#, r#""entity_id":"secret@mail.example""#, "events[0].entity_id"),
        (r#""entity_id":"subject""#, r#""entity_id":"guardian""#, "events[0].entity_id"),
        (r#""entity_id":"subject""#, r#""entity_id":"subject","time":"secret""#, "events[0].time"),
        (r#""type":"ExpressedConsent","#, "", "events[0].type"),
        (r#""type":"ExpressedConsent","#, r#""type":"ImpliedConsent","#, "events[0].type"),
        (r#"{"process":"#, r#"{"secret":1,"process":"#, "secret"),
        (r#"{"process":"#, r#"{"idempotency_key":"secret@x","process":"#, "idempotency_key"),
        (r#"{"process":"#, r#"{"guardian":{"ref":"secret"},"process":"#, "guardian.ref"),
        (
            r#"{"process":"#,
            r#"{"evidence":{"ip_trunc":"203.0.113.7"},"process":"#,
            "evidence.ip_trunc",
        ),
        (r#"{"process":"#, r#"{"language":"","process":"#, "language"),
        (r#""purpose_key":"m"}]"#, r#""purpose_key":"two words"}]"#, "process[0].purpose_key"),
        (
            r#""purpose_key":"m"}]"#,
            r#""purpose_key":"m"},{"purpose_key":"m"}]"#,
            "process[1].purpose_key",
        ),
    ] {
        assert!(good.contains(from), "{from}");
        let read = NewConsent::read(good.replacen(from, to, 1).as_bytes());
        if let Err(error) = &read {
            let text = error.to_string().replace(at, "");
            assert!(!text.contains("secret"), "{text}");
        }
        assert_eq!(path(read), at, "{to}");
    }
    assert_eq!(path(NewConsent::read(format!("{good} {good}").as_bytes())), "$");
    assert_eq!(path(NewConsent::read(b"no")), "$");
}

#[test]
fn texts_lists_and_the_whole_are_limited() {
    let given = || asks(&[("m", ConsentState::Given)]);
    let text = |n: usize| Some("x".repeat(n));
    assert_eq!(path(NewConsent { authority: text(512), ..given() }.check()), "fine");
    assert_eq!(path(NewConsent { authority: text(513), ..given() }.check()), "authority");
    let rights = |n: usize| vec!["x".repeat(500); n];
    assert_eq!(path(NewConsent { rights: rights(64), ..given() }.check()), "fine");
    assert_eq!(path(NewConsent { rights: rights(65), ..given() }.check()), "rights");
    let whole = NewConsent { rights: rights(64), applicable_law: rights(64), ..given() };
    assert!(serde_json::to_vec(&whole).unwrap().len() > MAX_RECORD_BYTES);
    assert_eq!(path(whole.check()), "$");
    let names: Vec<String> = (0..25).map(|n| format!("m{n}")).collect();
    let events: Vec<_> = names.iter().map(|name| (name.as_str(), ConsentState::Refused)).collect();
    assert_eq!(path(asks(&events).check()), "process");
    assert_eq!(path(asks(&events[..24]).check()), "fine");
    assert_eq!(path(asks(&[]).check()), "process");
    assert_eq!(path(NewConsent { events: vec![], ..given() }.check()), "events");
}

#[test]
fn a_record_says_nothing_that_cannot_be() {
    use ConsentState as S;
    let with = |change: fn(&mut NewConsent)| {
        let mut record = asks(&[("m", S::Given)]);
        change(&mut record);
        path(record.check())
    };
    let at = Timestamp::from_unix_s;
    assert_eq!(with(|r| r.separate = true), "fine");
    assert_eq!(
        path(NewConsent { separate: true, ..asks(&[("m", S::Given), ("n", S::Given)]) }.check()),
        "process"
    );
    assert_eq!(with(|r| r.events[0].kind = Some(ConsentType::Implied)), "events[0].type");
    assert_eq!(
        with(|r| {
            r.events[0].kind = Some(ConsentType::Implied);
            r.regime = Some("ccpa".into());
        }),
        "fine"
    );
    for kind in ["subject", "data_subject", "pii_principal"] {
        let party =
            Party { id: "a".into(), kind: kind.into(), name: "Ann".into(), ..Party::default() };
        let record = NewConsent { parties: vec![party], ..asks(&[("m", S::Given)]) };
        assert_eq!(path(record.check()), "parties[0].type");
    }
    for (reference, is_fine) in [
        ("key:00112233445566778899aabbccddeeff", true),
        ("case:2026-17", true),
        ("case:ann", false),
        ("case:ann@mail.example7", false),
        ("key:c-1", false),
        ("c-1", false),
    ] {
        let guardian = Some(Guardian { reference: reference.into(), proof: None });
        let record = NewConsent { guardian, ..asks(&[("m", S::Given)]) };
        assert_eq!(
            path(record.check()),
            if is_fine { "fine" } else { "guardian.ref" },
            "{reference}"
        );
    }
    for (ip, is_fine) in [
        ("203.0.113.0", true),
        ("203.0.113.7", false),
        ("2001:db8:1::", true),
        ("2001:db8:1:2::", false),
        ("ann", false),
    ] {
        let evidence = Some(Evidence { ip_trunc: Some(ip.into()), ..Evidence::default() });
        let record = NewConsent { evidence, ..asks(&[("m", S::Given)]) };
        assert_eq!(record.check().is_ok(), is_fine, "{ip}");
    }
    let timed = |state, time, until| {
        let event = NewEvent { time, valid_until: until, ..event("m", state) };
        path(NewConsent { events: vec![event], ..asks(&[("m", state)]) }.check())
    };
    assert_eq!(timed(S::Given, Some(at(5)), Some(at(6))), "fine");
    assert_eq!(timed(S::Given, Some(at(5)), Some(at(5))), "events[0].valid_until");
    assert_eq!(timed(S::Refused, None, Some(at(5))), "events[0].valid_until");
}

#[test]
fn what_iso_27560_wants_and_a_record_lacks_is_told() {
    let mut record = asks(&[("m", ConsentState::Given)]);
    assert_eq!(
        record.lacks().join(" "),
        "notice language jurisdiction withdrawal parties process[0].data_categories \
         process[0].controllers process[0].storage_locations process[0].retention \
         process[0].recipients"
    );
    record.notice = Some(shown("1"));
    assert!(!record.lacks().contains(&"notice".to_owned()));
}

#[test]
fn words_come_back_as_they_were_written() {
    let mut record = asks(&[("m", ConsentState::Given), ("n", ConsentState::Refused)]);
    record.notice = Some(shown("1"));
    record.events[0].time = Some(Timestamp::from_unix_ms(1_795_251_661_007));
    record.events[1].entity_id = Entity::Other("shop".into());
    let text = serde_json::to_vec(&record).unwrap();
    assert_eq!(serde_json::from_slice::<NewConsent>(&text).unwrap(), record);
    assert!(String::from_utf8(text).unwrap().contains("\"2026-11-21T09:01:01.007Z\""));
}

#[test]
fn canonical_json_is_that_of_rfc_8785() {
    let value: serde_json::Value = serde_json::from_str(
        "{ \"b\": [1, true, null, \"\\u20ac\\n\\u001f\\\"\"], \"a\": {\"z\":\"\",\"B\":0} }",
    )
    .unwrap();
    let text = String::from_utf8(canonical(&value).unwrap()).unwrap();
    assert_eq!(text, "{\"a\":{\"B\":0,\"z\":\"\"},\"b\":[1,true,null,\"€\\n\\u001f\\\"\"]}");
    for wrong in ["1.5", "-1", "9007199254740992", "{\"é\":1}"] {
        let value: serde_json::Value = serde_json::from_str(wrong).unwrap();
        assert_eq!(canonical(&value), None, "{wrong}");
    }
}
