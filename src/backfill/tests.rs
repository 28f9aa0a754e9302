//! What becomes of single records, with real keys, and whom work on data sets needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

use super::place::Paging;
use super::place::Place;
use crate::catalog::DataSet;
use crate::keys::KeyRing;
use crate::keys::RecordSeals;
use crate::keys::SubjectKeys;
use crate::policy::Maintenance;
use crate::policy::NotAgreed;
use crate::policy::PolicyFile;
use crate::policy::PolicySet;
use crate::state::Engine;
use crate::subjects::Cards;
use crate::subjects::SubjectsConfig;
use crate::transform::Conversion;
use crate::transform::ConvertError;
use crate::transform::Converted;
use crate::transform::Fate;
use crate::transform::Holder;
use crate::transform::Move;
use crate::transform::Shape;
use crate::transform::Unopened;
use crate::transform::convert;
use crate::types::DomainId;
use crate::types::Faults;
use crate::types::Timestamp;

const POLICY: &str = r#"
privet: policy/v1
purposes:
  care: { title: { en: Care }, basis: contract }
roles:
  support: { claim: roles, has: support }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /customers", records: "$[*]", query: [ROUTE_QUERY] }
      - { on: "PATCH /customers/{id}", records: "$" }
    fields:
      id: { category: user.unique_id }
      email: { category: user.contact.email, at_rest: encrypt, encryption: MODE, index: email_index }
      note: { category: user.content.private, at_rest: encrypt, encryption: MODE, max_length: 120 }
      age: { category: user.demographic, at_rest: encrypt, encryption: MODE }
      tags: { category: user.content.private, at_rest: encrypt, encryption: MODE }
      phones[*]: { category: user.contact.phone_number, at_rest: encrypt, encryption: MODE }
      extra: { category: user.content.private, whole: true, at_rest: encrypt, encryption: MODE }
      address:
        category: user.contact.address
        children:
          street: { at_rest: encrypt, encryption: MODE }
          city: {}
grants:
  - id: all
    why: Test.
    roles: [support]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    fields: { id: show }
"#;

fn policy(text: &str) -> PolicySet {
    let mut faults = Faults::new();
    let file = PolicyFile { name: "p.yaml".to_owned(), text: text.to_owned() };
    let set = PolicySet::compile(&[file], Timestamp::from_unix_s(1_800_000_000), &mut faults);
    let faults: String = faults.into_sorted().iter().map(|fault| format!("{fault}\n")).collect();
    set.ok_or(faults).unwrap()
}

fn text(mode: &str, query: &str) -> String {
    POLICY.replace("MODE", mode).replace("ROUTE_QUERY", query)
}

/// A data set, people and their keys.
struct Bench {
    set: Arc<DataSet>,
    shape: Shape,
    ring: KeyRing,
    cards: Cards,
}

/// What becomes of a record.
struct Became {
    converted: Converted,
    patch: Value,
    whole: String,
}

impl Became {
    fn fates(&self) -> Vec<Fate> {
        self.converted.values.iter().map(|(_, fate)| *fate).collect()
    }

    fn whole(&self) -> Value {
        serde_json::from_str(&self.whole).unwrap()
    }
}

impl Bench {
    fn new(mode: &str) -> Self {
        let set = Arc::clone(&policy(&text(mode, "")).sets()[0]);
        let ring = KeyRing::locking(Engine::memory());
        let cards = Cards::open(ring.clone(), Engine::memory(), &SubjectsConfig::default());
        Self { shape: Shape::new(&set), set, ring, cards }
    }

    fn keys(&self, id: &str) -> Arc<SubjectKeys> {
        let mut found = Vec::new();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let domain = DomainId::parse("person").unwrap();
        runtime.block_on(self.cards.cards(&[(&domain, id)], &mut found)).unwrap();
        found.pop().unwrap().unwrap().keys.clone().unwrap()
    }

    fn of(&self, id: &str, way: Move, record: &str) -> Became {
        let keys = self.keys(id);
        let holder = Holder::Known(keys.sealing().unwrap());
        self.by((Some(keys), holder), (way, false), record).unwrap()
    }

    fn by(
        &self,
        (keys, holder): (Option<Arc<SubjectKeys>>, Holder),
        (way, is_trial): (Move, bool),
        record: &str,
    ) -> Result<Became, ConvertError> {
        let keys = [keys];
        let seals = RecordSeals::new(&self.ring, &self.set, &keys);
        let conversion = Conversion {
            set: &self.set,
            shape: &self.shape,
            stored: record,
            seals: &seals,
            people: &[holder],
            way,
            is_trial,
        };
        let (mut patch, mut whole) = (Vec::new(), Vec::new());
        let converted = convert(&conversion, &mut patch, &mut whole)?;
        let patch = serde_json::from_slice(&patch).unwrap_or_default();
        Ok(Became { converted, patch, whole: String::from_utf8(whole).unwrap() })
    }

    /// The envelope of a text as somebody's `field`.
    fn envelope(&self, id: &str, field: &str, plain: &str) -> String {
        let record = json!({ "id": id, field: plain }).to_string();
        let sealed = self.of(id, Move::Encrypt, &record).whole();
        sealed[field].as_str().unwrap().to_owned()
    }
}

fn is_sealed(value: &Value) -> bool {
    value.as_str().is_some_and(|text| text.starts_with("pvt1_"))
}

const ANA: &str = r#"{"id":"c-1","email":"Ana@Mail.Example","note":"likes \"tea\" \u00e9","age":41.50,"tags":["a",null,true],"phones":["+1 22","33"],"extra":{"b": [1, {"c":null}]},"address":{"street":"Elm 1","city":"Ulm"},"unlisted":[1]}"#;

#[test]
fn every_kind_of_value_is_sealed_and_comes_back() {
    let bench = Bench::new("migrating");
    let sealed = bench.of("c-1", Move::Encrypt, ANA);
    let whole = sealed.whole();
    for at in [
        "/email",
        "/note",
        "/age",
        "/tags/0",
        "/tags/2",
        "/phones/0",
        "/phones/1",
        "/extra",
        "/address/street",
    ] {
        assert!(is_sealed(whole.pointer(at).unwrap()), "{at}: {whole}");
    }
    assert_eq!(whole["tags"][1], Value::Null);
    assert_eq!((&whole["address"]["city"], &whole["unlisted"]), (&json!("Ulm"), &json!([1])));
    let index = whole["email_index"].as_str().unwrap();
    assert!(index.starts_with("bi1_"), "{index}");
    for planted in ["Mail.Example", "tea", "41.50", "+1 22", "Elm 1", "\"b\""] {
        assert!(!sealed.whole.contains(planted), "{planted} in {}", sealed.whole);
    }
    // What is sent holds the members that change, each complete, and nothing else.
    let sent: Vec<&String> = sealed.patch.as_object().unwrap().keys().collect();
    let expected = ["email", "note", "age", "tags", "phones", "extra", "address", "email_index"];
    assert_eq!(sent, expected);
    for name in expected {
        assert_eq!(sealed.patch[name], whole[name]);
    }

    let opened = bench.of("c-1", Move::Decrypt, &sealed.whole);
    let mut back = opened.whole();
    assert_eq!(back.as_object_mut().unwrap().remove("email_index"), Some(Value::Null));
    assert_eq!(back, serde_json::from_str::<Value>(ANA).unwrap());
    assert!(opened.whole.contains(r#""age":41.50,"#), "digits stay: {}", opened.whole);
}

#[test]
fn nothing_is_moved_with_keys_that_locked_meanwhile() {
    let bench = Bench::new("migrating");
    let sealed = bench.of("c-1", Move::Encrypt, ANA).whole;
    let keys = bench.keys("c-1");
    let holder = Holder::Known(keys.sealing().unwrap());
    bench.ring.lock_now();
    for (way, record) in [(Move::Encrypt, ANA), (Move::Decrypt, &sealed), (Move::Reindex, &sealed)]
    {
        let moved = bench.by((Some(Arc::clone(&keys)), holder), (way, false), record);
        assert!(matches!(moved, Err(ConvertError::Unavailable)), "{way:?}");
    }
}

#[test]
fn what_is_sealed_already_stays_byte_for_byte() {
    let bench = Bench::new("migrating");
    let sealed = bench.of("c-1", Move::Encrypt, ANA);
    for way in [Move::Encrypt, Move::Reseal, Move::Reindex] {
        let again = bench.of("c-1", way, &sealed.whole);
        assert!(!again.converted.changes, "{way:?}");
        assert_eq!((again.patch, again.whole.as_str()), (Value::Null, ""));
        assert!(again.converted.values.iter().all(|(_, fate)| *fate == Fate::Stays));
    }
    let plain = bench.of("c-1", Move::Decrypt, ANA);
    assert!(!plain.converted.changes);
}

#[test]
fn values_that_do_not_open_are_reported_and_never_touched() {
    let bench = Bench::new("migrating");
    let hers = bench.envelope("c-2", "email", "b@mail.example");
    let other_field = bench.envelope("c-1", "note", "b@mail.example");
    let own = bench.envelope("c-1", "email", "b@mail.example");
    let mut changed = own.clone();
    let other = if own.as_bytes()[60] == b'A' { "B" } else { "A" };
    changed.replace_range(60..61, other);
    let cases = [
        (
            "plain text that begins like an envelope",
            "pvt1_is my nickname".to_owned(),
            Unopened::Malformed,
        ),
        ("its prefix alone", "pvt1_".to_owned(), Unopened::Malformed),
        ("cut short", own.split_at(own.len() - 4).0.to_owned(), Unopened::Forged),
        ("an envelope of another person", hers, Unopened::Foreign),
        ("of another field of this person", other_field, Unopened::Forged),
        ("changed", changed, Unopened::Forged),
    ];
    for (what, value, why) in cases {
        let record = json!({ "id": "c-1", "email": value, "email_index": "bi1_old", "note": "x" });
        for way in [Move::Encrypt, Move::Decrypt, Move::Reseal, Move::Reindex] {
            let became = bench.of("c-1", way, &record.to_string());
            assert_eq!(became.fates()[0], Fate::Unopened(why), "{what}, {way:?}");
            // The other field moves; this one and its index are not sent.
            assert!(became.patch.get("email").is_none(), "{what}, {way:?}");
            assert!(became.patch.get("email_index").is_none(), "{what}, {way:?}");
            assert_eq!(became.converted.changes, way == Move::Encrypt, "{what}, {way:?}");
        }
    }
}

#[test]
fn people_say_what_may_be_done() {
    let bench = Bench::new("migrating");
    let record = r#"{"id":"c-1","email":"a@mail.example","email_index":"bi1_old"}"#;
    let sealed = bench.envelope("c-1", "email", "a@mail.example");
    let sealed = json!({ "id": "c-1", "email": sealed }).to_string();
    let cases = [
        (Holder::Erased, record, Fate::Erased, false),
        (Holder::Erased, sealed.as_str(), Fate::Erased, false),
        (Holder::Nobody, record, Fate::Nobody, false),
        (Holder::Nobody, sealed.as_str(), Fate::Nobody, false),
        (Holder::New, record, Fate::Moves, true),
        // Nobody can have sealed anything for somebody who has no key.
        (Holder::New, sealed.as_str(), Fate::Unopened(Unopened::Foreign), false),
    ];
    for (holder, record, fate, changes) in cases {
        let became = bench.by((None, holder), (Move::Encrypt, true), record).unwrap();
        assert_eq!((became.fates(), became.converted.changes), (vec![fate], changes), "{holder:?}");
    }
}

#[test]
fn a_trial_says_the_same_and_seals_nothing() {
    let bench = Bench::new("migrating");
    let keys = bench.keys("c-1");
    let known = (Some(Arc::clone(&keys)), Holder::Known(keys.sealing().unwrap()));
    let trial = bench.by(known, (Move::Encrypt, true), ANA).unwrap();
    let real = bench.of("c-1", Move::Encrypt, ANA);
    assert_eq!(trial.converted, real.converted);
    assert!(!trial.whole.contains("pvt1_"));
}

#[test]
fn values_that_cannot_be_sealed_stay_and_are_reported() {
    let bench = Bench::new("migrating");
    // 26 bytes make an envelope of 101 characters, 41 one of 121.
    let cases = [
        (json!({ "note": "x".repeat(40) }), vec![Fate::Moves]),
        (json!({ "note": "x".repeat(41) }), vec![Fate::TooLong]),
        (json!({ "email": { "a": 1 } }), vec![Fate::WrongKind]),
        (json!({ "email": [["a"], "b"] }), vec![Fate::WrongKind, Fate::Moves]),
        (json!({ "address": "Elm 1" }), vec![Fate::WrongKind]),
        (json!({ "phones": "1" }), vec![Fate::WrongKind]),
        (json!({ "phones": [null, "1"] }), vec![Fate::Moves]),
        (json!({ "email": null, "phones": null, "address": null, "extra": null }), vec![]),
        (json!({}), vec![]),
    ];
    for (mut record, fates) in cases {
        record["id"] = "c-1".into();
        let became = bench.of("c-1", Move::Encrypt, &record.to_string());
        assert_eq!(became.fates(), fates, "{record}");
    }
    assert_eq!(
        bench.by((None, Holder::Nobody), (Move::Encrypt, false), "[1]").err(),
        Some(ConvertError::NoRecord)
    );
}

#[test]
fn strict_fields_are_left_alone() {
    let bench = Bench::new("strict");
    let became = bench.of("c-1", Move::Encrypt, r#"{"id":"c-1","email":"a@mail.example"}"#);
    assert_eq!((became.fates(), became.converted.changes), (vec![Fate::Strict], false));
    // Once sealed while they were migrating, they are not opened while they are strict.
    let migrating = Bench { set: Bench::new("migrating").set, ..bench };
    let sealed = migrating.of("c-1", Move::Encrypt, r#"{"id":"c-1","email":"a@mail.example"}"#);
    let strict = Bench { set: Bench::new("strict").set, ..migrating };
    let opened = strict.of("c-1", Move::Decrypt, &sealed.whole);
    assert_eq!((opened.fates(), opened.converted.changes), (vec![Fate::Strict], false));
    let indexed = strict.of("c-1", Move::Reindex, &sealed.whole.replace("bi1_", "bi1_x"));
    assert_eq!(indexed.converted.indexed, 1);
}

#[test]
fn indexes_follow_their_values() {
    let bench = Bench::new("migrating");
    let sealed = bench.of("c-1", Move::Encrypt, r#"{"id":"c-1","email":"A@mail.example"}"#).whole();
    let (email, index) = (&sealed["email"], &sealed["email_index"]);
    let cases: [(&str, Move, Value, Option<Value>); 8] = [
        ("missing", Move::Encrypt, json!({ "email": email }), Some(index.clone())),
        (
            "stale",
            Move::Reindex,
            json!({ "email": email, "email_index": "x" }),
            Some(index.clone()),
        ),
        (
            "of a plain value",
            Move::Reindex,
            json!({ "email": " a@MAIL.example" }),
            Some(index.clone()),
        ),
        ("right", Move::Reindex, json!({ "email": email, "email_index": index }), None),
        (
            "left over",
            Move::Encrypt,
            json!({ "email": null, "email_index": index }),
            Some(Value::Null),
        ),
        ("left over, no value", Move::Encrypt, json!({ "email_index": index }), Some(Value::Null)),
        ("null beside nothing", Move::Encrypt, json!({ "email_index": null }), None),
        (
            "rolled back",
            Move::Decrypt,
            json!({ "email": email, "email_index": index }),
            Some(Value::Null),
        ),
    ];
    for (what, way, mut record, expected) in cases {
        record["id"] = "c-1".into();
        let became = bench.of("c-1", way, &record.to_string());
        assert_eq!(became.patch.get("email_index").cloned(), expected, "{what}");
    }
    // Two people with one address have one index, and so one print.
    let print = |id: &str, email: &str| {
        let record = json!({ "id": id, "email": email }).to_string();
        bench.of(id, Move::Encrypt, &record).converted.indexes[0].1
    };
    assert_eq!(print("c-1", "a@mail.example"), print("c-2", "A@MAIL.EXAMPLE"));
    assert_ne!(print("c-1", "a@mail.example"), print("c-1", "b@mail.example"));
}

#[test]
fn work_on_a_data_set_needs_two_people() {
    let policy = policy(&text("migrating", ""));
    let set = policy.sets()[0].id.clone();
    let of = |a: &str, b: &str| {
        Maintenance::agreed(&policy, &set, (&a.into(), &b.into())).map(|agreed| {
            (agreed.requester().to_string(), agreed.approver().map(ToString::to_string))
        })
    };
    assert_eq!(of("ana", "ben"), Ok(("ana".to_owned(), Some("ben".to_owned()))));
    assert_eq!(of("ana", "ana"), Err(NotAgreed::Alone));
    assert_eq!(of("ana", "ANA"), Err(NotAgreed::Alone));
    let survey = Maintenance::survey(&policy, &set, &"ana".into()).unwrap();
    assert_eq!(survey.approver(), None);
}

#[test]
fn pages_are_asked_for_by_the_parameters_that_the_route_names() {
    let paging = |query: &str, cursor: Option<&str>| {
        let policy = policy(&text("migrating", query));
        Place::of(&policy.sets()[0], cursor).map(|place| place.paging).ok()
    };
    let some = |name: &str| Some(Box::from(name));
    let cases = [
        ("", None, Some(Paging::Whole)),
        ("sort", None, Some(Paging::Whole)),
        (
            "limit, offset",
            None,
            Some(Paging::Offset { offset: "offset".into(), limit: some("limit") }),
        ),
        (
            "_start, _limit",
            None,
            Some(Paging::Offset { offset: "_start".into(), limit: some("_limit") }),
        ),
        (
            "page, per_page",
            None,
            Some(Paging::Page { page: "page".into(), limit: some("per_page") }),
        ),
        ("page", None, Some(Paging::Page { page: "page".into(), limit: None })),
        ("limit, offset", Some("after=id"), None),
        ("after", Some("after=nothing"), None),
        ("after", Some("after"), None),
    ];
    for (query, cursor, expected) in cases {
        assert_eq!(paging(query, cursor), expected, "{query} {cursor:?}");
    }
    assert!(matches!(paging("after, limit", Some("after=id")), Some(Paging::After { .. })));
}

/// A record with any values in its fields.
fn any_record() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        "[\\x00-\\x7f]{0,12}".prop_map(Value::from),
        Just(Value::from("pvt1_x")),
    ];
    let value = scalar.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..4)
                .prop_map(|map: BTreeMap<String, Value>| json!(map)),
        ]
    });
    let names = prop_oneof![
        Just("email"),
        Just("note"),
        Just("age"),
        Just("tags"),
        Just("phones"),
        Just("extra"),
        Just("address"),
        Just("other"),
    ];
    prop::collection::btree_map(names, value, 0..8).prop_map(|members| json!(members))
}

proptest! {
    #[test]
    fn there_and_back_is_as_before_and_twice_is_as_once(mut record in any_record()) {
        let bench = Bench::new("migrating");
        record["id"] = "c-1".into();
        let text = record.to_string();
        let sealed = bench.of("c-1", Move::Encrypt, &text);
        if !sealed.converted.changes {
            return Ok(());
        }
        prop_assert!(!bench.of("c-1", Move::Encrypt, &sealed.whole).converted.changes);
        let opened = bench.of("c-1", Move::Decrypt, &sealed.whole);
        let mut back = if opened.converted.changes { opened.whole() } else { sealed.whole() };
        let index = back.as_object_mut().unwrap().remove("email_index");
        prop_assert!(index.is_none_or(|index| index.is_null()));
        prop_assert_eq!(back, record);
    }
}
