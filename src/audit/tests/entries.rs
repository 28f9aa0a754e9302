//! The written form of an entry.

use proptest::prelude::*;

use crate::types::*;

use super::*;

fn full() -> Entry {
    let mut entry = Entry::new(Kind::Release);
    entry.action = Some(Action::Read);
    entry.actor = Some(ActorToken([0xab; 16]));
    entry.basis = Some("contract".into());
    entry.bytes = Some(512);
    entry.consent_versions = vec![3];
    entry.data_set = DataSetId::parse("shop.customers").ok();
    entry.decision = Some(Verdict::Permit);
    entry.decision_id = Some("d-1".into());
    entry.facts.insert("file".into(), "hash".into());
    entry.fields = vec![FieldView {
        category: CategoryId::parse("user.contact.email").unwrap(),
        level: Level::Sensitive,
        view: Shown::Mask,
    }]
    .into();
    entry.left_out = Some(2);
    entry.node = "node-1".into();
    entry.observed = Some(Box::new(Observed::permit()));
    entry.on_behalf_of = Some(ActorToken([1; 16]));
    entry.outcome = Some(Ending::Complete);
    entry.policy = Some([2; 32]);
    entry.purpose = PurposeId::parse("order_support").ok();
    entry.reason = Some("limit".into());
    entry.recipient = Some("processor".into());
    entry.records = Some(1);
    entry.region = Region::parse("DE");
    entry.request_id = Some("r-1".into());
    entry.roles = vec![RoleId::parse("support").unwrap()];
    entry.route = Some("GET /customers/{id}".into());
    entry.rules = vec![RuleId::parse("support-contact").unwrap()];
    entry.status = Some(200);
    entry.store = StoreId::parse("shop").ok();
    entry.strength = Some(Strength::Mfa);
    entry.subjects = vec![SubjectToken([4; 16])];
    entry.time = Timestamp::from_unix_ms(1_795_251_661_007);
    entry
}

#[test]
fn an_entry_is_written_with_its_names_in_order() {
    insta::assert_snapshot!(
        String::from_utf8(full().to_bytes().unwrap()).unwrap(),
        @r#"{"action":"read","actor":"abababababababababababababababab","basis":"contract","bytes":512,"consent_versions":[3],"data_set":"shop.customers","decision":"permit","decision_id":"d-1","facts":{"file":"hash"},"fields":[{"category":"user.contact.email","level":"sensitive","view":"mask"}],"kind":"release","left_out":2,"node":"node-1","observed":{"would":"permit"},"on_behalf_of":"01010101010101010101010101010101","outcome":"complete","policy":"0202020202020202020202020202020202020202020202020202020202020202","purpose":"order_support","reason":"limit","recipient":"processor","records":1,"region":"DE","request_id":"r-1","roles":["support"],"route":"GET /customers/{id}","rules":["support-contact"],"status":200,"store":"shop","strength":"mfa","subjects":["04040404040404040404040404040404"],"time":"2026-11-21T09:01:01.007Z","v":1}"#
    );
    let short = Entry::new(Kind::Heartbeat).to_bytes().unwrap();
    insta::assert_snapshot!(String::from_utf8(short).unwrap(), @r#"{"kind":"heartbeat","node":"","time":"1970-01-01T00:00:00.000Z","v":1}"#);
    let value: serde_json::Value = serde_json::from_slice(&full().to_bytes().unwrap()).unwrap();
    let names: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(names.len(), 32, "the full entry sets every field");
    let item = value["fields"][0].as_object().unwrap();
    assert!(item.keys().is_sorted());
}

#[test]
fn an_entry_is_read_as_it_was_written() {
    for entry in [full(), Entry::new(Kind::Start)] {
        let bytes = entry.to_bytes().unwrap();
        assert_eq!(Entry::from_bytes(&bytes).unwrap(), entry);
    }
    for text in [
        r#"{"kind":"release","node":"n","time":"2026-11-21T09:00:00.000Z","v":1,"value":"x"}"#,
        r#"{"kind":"peek","node":"n","time":"2026-11-21T09:00:00.000Z","v":1}"#,
        r#"{"kind":"start","node":"n","time":"2026-02-30T09:00:00.000Z","v":1}"#,
        r#"{"kind":"start","node":"n","time":"2026-11-21T09:00:00.000+00:00","v":1}"#,
        r#"{"actor":"zz","kind":"start","node":"n","time":"2026-11-21T09:00:00.000Z","v":1}"#,
    ] {
        assert!(Entry::from_bytes(text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn the_largest_batch_fits_and_what_does_not_fit_is_refused() {
    let mut entry = full();
    entry.subjects = vec![SubjectToken([255; 16]); 256];
    entry.consent_versions = vec![u64::MAX; 256];
    assert!(entry.to_bytes().unwrap().len() < 20_000);
    entry.subjects = vec![SubjectToken([255; 16]); 4000];
    assert!(matches!(entry.to_bytes(), Err(AuditError::EntryTooLarge { .. })));
}

proptest! {
    #[test]
    fn times_are_read_as_they_print(ms in 0_u64..253_402_300_800_000) {
        let time = Timestamp::from_unix_ms(ms);
        prop_assert_eq!(token::parse_time(&time.to_string()), Some(time));
    }

    #[test]
    fn junk_never_breaks_a_reader(bytes: Vec<u8>) {
        fuzz::read_anything(&bytes);
    }

    #[test]
    fn damaged_entries_never_break_a_reader(at in 0_usize..1000, byte: u8) {
        let mut bytes = full().to_bytes().unwrap();
        let at = at % bytes.len();
        bytes[at] = byte;
        fuzz::read_anything(&bytes);
    }
}
