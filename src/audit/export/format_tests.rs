//! What rows look like, and what they must never be.

use serde_json::Value;
use serde_json::json;

use super::*;
use crate::audit::ActorToken;
use crate::audit::Ending;
use crate::audit::Entry;
use crate::audit::FieldView;
use crate::audit::Kind;
use crate::audit::Observed;
use crate::audit::Shown;
use crate::audit::Strength;
use crate::audit::Verdict;
use crate::types::*;

/// An entry with everything an entry can have.
fn full() -> Entry {
    let mut entry = Entry::new(Kind::Release);
    entry.action = Some(Action::Read);
    entry.actor = Some(ActorToken([7; 16]));
    entry.basis = Some("contract".into());
    entry.bytes = Some(2048);
    entry.consent_versions = vec![3, 4];
    entry.data_set = DataSetId::parse("shop.customers").ok();
    entry.decision = Some(Verdict::Permit);
    entry.decision_id = Some("decision-1".into());
    entry.facts.insert("before".into(), "abc".into());
    entry.observed = Some(Box::new(Observed::permit()));
    let view = |category: &str, view| FieldView {
        category: CategoryId::parse(category).unwrap(),
        level: Level::Sensitive,
        view,
    };
    entry.fields =
        vec![view("user.name", Shown::Show), view("user.contact.email", Shown::Mask)].into();
    entry.left_out = Some(1);
    entry.node = "shop/node-1".into();
    entry.on_behalf_of = Some(ActorToken([8; 16]));
    entry.outcome = Some(Ending::Complete);
    entry.policy = Some([9; 32]);
    entry.purpose = PurposeId::parse("order_support").ok();
    entry.reason = Some("told, \"quoted\"".into());
    entry.recipient = Some("=partner".into());
    entry.records = Some(2);
    entry.region = Region::parse("GB");
    entry.request_id = Some("request-1".into());
    entry.roles = vec![RoleId::parse("support").unwrap(), RoleId::parse("admin").unwrap()];
    entry.route = Some("GET /customers/{id}".into());
    entry.rules = vec![RuleId::parse("support-contact").unwrap()];
    entry.status = Some(200);
    entry.store = StoreId::parse("shop").ok();
    entry.strength = Some(Strength::Mfa);
    entry.subjects = vec![SubjectToken([1; 16]), SubjectToken([2; 16])];
    entry.time = Timestamp::from_unix_ms(1_795_251_661_234);
    entry
}

fn line(format: Format, entry: &Entry) -> String {
    let mut line = Vec::new();
    Writer::new(format, "shop/node-1").line(42, entry, &mut line).unwrap();
    String::from_utf8(line).unwrap()
}

#[test]
fn a_line_of_jsonl_is_the_entry_and_its_index() {
    for entry in [full(), Entry::new(Kind::Heartbeat)] {
        let line = line(Format::Jsonl, &entry);
        assert!(line.ends_with("}\n") && line.matches('\n').count() == 1, "{line}");
        let mut row: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(row.as_object_mut().unwrap().shift_remove("index"), Some(json!(42)));
        assert_eq!(row, serde_json::to_value(&entry).unwrap());
        assert_eq!(Entry::from_bytes(row.to_string().as_bytes()).unwrap(), entry);
    }
}

#[test]
fn a_line_of_csv_is_read_by_others_as_it_was_meant() {
    let text = [Writer::new(Format::Csv, "").head(), line(Format::Csv, &full()).into()].concat();
    let mut reader = ::csv::Reader::from_reader(text.as_slice());
    let names = reader.headers().unwrap().clone();
    let row = reader.records().next().unwrap().unwrap();
    let cell = |name: &str| row.get(names.iter().position(|found| found == name).unwrap()).unwrap();
    for (name, expected) in [
        ("index", "42"),
        ("time", "2026-11-21T09:01:01.234Z"),
        ("kind", "release"),
        ("roles", "support admin"),
        ("reason", "told, \"quoted\""),
        ("recipient", "'=partner"),
        ("fields", "user.name:sensitive:show user.contact.email:sensitive:mask"),
        ("subjects", "01010101010101010101010101010101 02020202020202020202020202020202"),
        ("consent_versions", "3 4"),
        ("region", "GB"),
        ("facts", "before=abc"),
        ("observed", "permit"),
    ] {
        assert_eq!(cell(name), expected, "{name}");
    }
    // Everything an entry can have has a column; `v` is the version of the log's own form.
    let mut known: Vec<String> =
        serde_json::to_value(full()).unwrap().as_object().unwrap().keys().cloned().collect();
    known.retain(|name| name != "v");
    known.push("index".to_owned());
    known.sort();
    let mut found: Vec<&str> = names.iter().collect();
    found.sort_unstable();
    assert_eq!(found, known);
}

#[test]
fn no_cell_of_csv_is_a_formula() {
    for text in [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\t=1",
        "\r=1",
        "\n=1",
        " =1+1",
        "   @x",
        "=\"a\",b",
        "＝1",
        "－1",
        "=cmd|' /C calc'!A0",
        "=HYPERLINK(\"http://x\",\"y\")",
        // Readers in half of the world split at semicolons, and take quotes in a cell as they are.
        "x;=1+1",
        "x; @y;+1",
        "x;\"=1\"",
        "x;\t=1",
        "x\t-1",
        "x\n=1",
        "x\r\n＝1",
    ] {
        let mut entry = Entry::new(Kind::Release);
        entry.recipient = Some(text.into());
        entry.node = text.into();
        let line = line(Format::Csv, &entry);
        let mut reader =
            ::csv::ReaderBuilder::new().has_headers(false).from_reader(line.as_bytes());
        let row = reader.records().next().unwrap().unwrap();
        assert_eq!(row.len(), 32, "{text:?}");
        for cell in &row {
            let first = cell.trim_start_matches(' ').chars().next().unwrap_or('x');
            assert!(!"=+-@\t\r\n＝＋－＠".contains(first), "{text:?} gave {cell:?}");
        }
        let plain = text.replace('\'', "");
        assert!(row.iter().any(|cell| cell.replace('\'', "") == plain), "{text:?} is not told");
        for delimiter in [b';', b'\t'] {
            let mut reader = ::csv::ReaderBuilder::new();
            reader.has_headers(false).flexible(true).quoting(false).delimiter(delimiter);
            for row in reader.from_reader(line.as_bytes()).records() {
                for cell in &row.unwrap() {
                    let first = cell.trim_start_matches([' ', '"']).chars().next().unwrap_or('x');
                    assert!(!"=+-@＝＋－＠".contains(first), "{text:?} gave {cell:?}");
                }
            }
        }
    }
}

#[test]
fn an_event_of_ocsf_has_what_its_class_asks_for() {
    let mut alert = full();
    alert.kind = Kind::Alert;
    let mut refusal = full();
    (refusal.kind, refusal.decision) = (Kind::Refusal, Some(Verdict::Refuse));
    for (entry, activity, status, severity) in [
        (full(), 2, 1, 1),
        (Entry::new(Kind::Heartbeat), 99, 0, 1),
        (refusal, 2, 2, 2),
        (alert, 2, 1, 4),
    ] {
        let event: Value = serde_json::from_str(&line(Format::Ocsf, &entry)).unwrap();
        // `events/base_event.json`, `events/application/api_activity.json`: requirement "required".
        for path in [
            "/activity_id",
            "/category_uid",
            "/class_uid",
            "/severity_id",
            "/time",
            "/type_uid",
            "/metadata/version",
            "/metadata/product/vendor_name",
            "/actor",
            "/api/operation",
            "/src_endpoint/name",
        ] {
            assert!(event.pointer(path).is_some(), "{path} of {event}");
        }
        // `objects/actor.json`: at least one of them.
        let actor = &event["actor"];
        assert!(actor["user"]["uid"].is_string() || actor["app_name"].is_string(), "{event}");
        assert_eq!(event["class_uid"], json!(6003));
        assert_eq!(event["category_uid"], json!(6));
        assert_eq!(event["type_uid"], json!(6003 * 100 + activity), "{event}");
        assert_eq!(event["activity_id"], json!(activity), "{event}");
        assert_eq!(event["status_id"], json!(status), "{event}");
        assert_eq!(event["severity_id"], json!(severity), "{event}");
        assert_eq!(event["metadata"]["uid"], json!("shop/node-1/42"));
    }
}

#[test]
fn nothing_of_an_entry_is_lost_in_ocsf() {
    let entry = full();
    let event: Value = serde_json::from_str(&line(Format::Ocsf, &entry)).unwrap();
    let text = event.to_string();
    for (name, value) in serde_json::to_value(&entry).unwrap().as_object().unwrap() {
        if name == "time" {
            assert_eq!(event["time"], json!(1_795_251_661_234_u64));
        } else if !event["unmapped"][name].is_null() {
            assert_eq!(event["unmapped"][name], *value, "{name}");
        } else {
            assert!(text.contains(&format!(":{value}")), "{name} is nowhere in {event}");
        }
    }
    assert_eq!(event["resources"][0]["labels"], json!(["user.contact.email", "user.name"]));
    assert_eq!(event["http_response"]["code"], json!(200));
    assert_eq!(event["metadata"]["correlation_uid"], json!("request-1"));
}
