//! Several data sets in one answer, beside an evaluator that builds the whole document.

use super::*;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

/// Where customers, orders and an owner stand, and a hidden list of staff.
fn places() -> [(Selector, bool); 4] {
    let own = Selector {
        around: vec!["total".into(), "data.next".into()],
        ..selector(&["customers"], Records::Each)
    };
    [
        (own, true),
        (selector(&["data", "orders"], Records::Each), true),
        (selector(&["data", "owner"], Records::One), true),
        (selector(&["staff"], Records::Each), false),
    ]
}

/// Shows `id` and `name`; leaves out records whose id is `x`.
fn rewrite<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    places: &[(Selector, bool)],
) -> Result<String, TransformError> {
    let shape = shape(&[("id", false), ("name", false), ("secret", false)]);
    let views = [View::Show, View::Show, View::Drop];
    let limits = Limits { record_bytes: 1 << 12, ..Limits::default() };
    let each = places.iter().map(|(selector, shown)| (selector, Arc::clone(&shape), *shown));
    let mut reader = SetReader::new(each, limits);
    let mut writers: Vec<Writer> = places
        .iter()
        .map(|(place, _)| {
            let alone = Selector { steps: vec![], around: vec![], records: place.records };
            Writer::new(Format::Json, &alone, Arc::clone(&shape))
        })
        .collect();
    let mut batch = Batch::new(2, 100);
    let (mut out, mut pieces) = (Vec::new(), pieces.fuse());
    let route = |link: &str| link.strip_prefix("/own").map(|rest| format!("/gateway{rest}"));
    loop {
        let progress = reader.read(&mut batch, &route)?;
        if progress == Progress::NeedMore {
            match pieces.next() {
                Some(piece) => reader.push(piece),
                None => reader.end_of_input(),
            }
            continue;
        }
        let (place, text) = (reader.place(), reader.take_text());
        out.extend_from_slice(&text.before);
        let mut written = 0;
        for record in 0..batch.len() {
            if batch.raw(record, FieldIx(0)) != Raw::Text("x".into()) {
                writers[place].record(&batch, record, in_clear(&views), &mut out);
                written += 1;
            }
        }
        if places[place].0.records == Records::One && !batch.is_empty() && written == 0 {
            out.extend_from_slice(b"null");
        }
        out.extend_from_slice(&text.after);
        batch.clear();
        if progress == Progress::End {
            let out = String::from_utf8(out).unwrap();
            assert_eq!(validate(out.as_bytes()), Ok(()), "{out}");
            return Ok(out);
        }
    }
}

/// The same over the whole document.
fn oracle(answer: &Value) -> Option<Value> {
    let record = |record: &Value| {
        let record = record.as_object().unwrap();
        let shown = ["id", "name"]
            .iter()
            .filter_map(|name| Some(((*name).to_owned(), record.get(*name)?.clone())));
        (record.get("id") != Some(&json!("x"))).then(|| Value::Object(shown.collect()))
    };
    let list = |list: Option<&Value>| {
        let list = list.and_then(Value::as_array);
        Value::Array(list.into_iter().flatten().filter_map(record).collect())
    };
    let scalar = |value: Option<&Value>| {
        let value = value.filter(|it| !it.is_array() && !it.is_object())?;
        Some(match value.as_str() {
            Some(text) if text.starts_with('/') => text
                .strip_prefix("/own")
                .map_or(Value::Null, |rest| json!(format!("/gateway{rest}"))),
            _ => value.clone(),
        })
    };
    let data = answer.get("data");
    let owner = data.and_then(|data| data.get("owner"));
    let owner = owner.filter(|owner| owner.is_object()).and_then(record);
    let mut inside =
        json!({ "orders": list(data.and_then(|it| it.get("orders"))), "owner": owner });
    if let Some(next) = scalar(data.and_then(|data| data.get("next"))) {
        inside["next"] = next;
    }
    let mut whole =
        json!({ "customers": list(Some(answer.get("customers")?)), "data": inside, "staff": [] });
    if let Some(total) = scalar(answer.get("total")) {
        whole["total"] = total;
    }
    Some(whole)
}

fn record() -> impl Strategy<Value = String> {
    let id = prop_oneof![Just("x"), Just("a"), Just("b{\\\"]")];
    let secret = prop_oneof![Just("{\"a\":[1,{}]}"), Just("\"planted\""), Just("null")];
    (id, secret).prop_map(|(id, secret)| {
        format!("{{ \"id\":\"{id}\", \"secret\" : {secret},\"name\":\"n \\u00e9\"}}")
    })
}

fn list() -> impl Strategy<Value = String> {
    prop::collection::vec(record(), 0..5).prop_map(|records| format!("[{}]", records.join(" ,\n")))
}

fn scalar() -> impl Strategy<Value = String> {
    let scalars = ["12", "-1.5e3", "true", "null", "\"/own/a?b=c\"", "\"/other\"", "\"plain\""];
    prop::sample::select(scalars.map(str::to_owned).to_vec())
}

fn junk() -> impl Strategy<Value = String> {
    let junk = ["{\"customers\":[{\"id\":\"planted\"}]}", "[[],{}]", "0", "\"}{][\"", "null"];
    prop::sample::select(junk.map(str::to_owned).to_vec())
}

/// Some of the members, in any order.
fn object(members: Vec<(&'static str, String)>) -> impl Strategy<Value = String> {
    let count = members.len();
    prop::sample::subsequence(members, 0..=count).prop_shuffle().prop_map(|members| {
        let members: Vec<String> =
            members.iter().map(|(name, value)| format!(" \"{name}\" :{value}\t")).collect();
        format!("{{{}}}", members.join(","))
    })
}

fn answer() -> impl Strategy<Value = String> {
    let owner = prop_oneof![record(), Just("null".to_owned())];
    let data = (list(), owner, scalar(), junk()).prop_flat_map(|(orders, owner, next, junk)| {
        object(vec![("orders", orders), ("own\\u0065r", owner), ("next", next), ("odd", junk)])
    });
    let data = prop_oneof![4 => data, 1 => Just("null".to_owned())];
    (list(), data, list(), scalar(), junk()).prop_flat_map(
        |(customers, data, staff, total, junk)| {
            object(vec![
                ("customers", customers),
                ("data", data),
                ("staff", staff),
                ("total", total),
                ("more", junk),
            ])
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_shown_is_what_an_evaluator_of_the_document_shows(answer in answer()) {
        let shown = rewrite([answer.as_bytes()].into_iter(), &places());
        let expected = oracle(&serde_json::from_str(&answer).unwrap());
        match (&shown, expected) {
            (Ok(shown), Some(expected)) => {
                let shown: Value = serde_json::from_str(shown).unwrap();
                prop_assert_eq!(shown, expected);
            }
            (Err(TransformError::NoRecords), None) => {}
            (shown, expected) => prop_assert!(false, "{:?} {:?}", shown, expected),
        }
        for cut in 0..=answer.len() {
            let (first, second) = answer.as_bytes().split_at(cut);
            prop_assert_eq!(&rewrite([first, second].into_iter(), &places()), &shown);
        }
        prop_assert_eq!(&rewrite(answer.as_bytes().chunks(1), &places()), &shown);
        // Cut off anywhere, it is never taken for whole.
        for cut in 0..answer.trim_end().len() {
            prop_assert!(rewrite([&answer.as_bytes()[..cut]].into_iter(), &places()).is_err());
        }
    }
}

#[test]
fn answers_that_are_not_what_the_selectors_say_are_refused() {
    let cases = [
        ("[]", "an object"),
        ("{\"customers\":{}}", "an array of records"),
        ("{\"customers\":null}", "an array of records"),
        ("{\"customers\":[],\"data\":[]}", "an object"),
        ("{\"customers\":[],\"data\":{\"owner\":[]}}", "a record, which is an object"),
        ("{\"customers\":[1]}", "a record, which is an object"),
        ("{\"customers\":[]}{}", "bytes after the end"),
        ("{\"customers\":[],\"customers\":[]}", "a name that the object already has"),
        ("{\"customers\":[],\"a\":01}", "a number that JSON does not have"),
        ("{\"customers\":[],}", "a character that may not stand here"),
        ("{\"customers\":[}]}", "a character that may not stand here"),
        ("{\"customers\":[],\"a\":\"\\ud800\"}", "an unpaired surrogate"),
        ("{\"staff\":[}", "a character that may not stand here"),
        ("{\"customers\":[],\"a\":}", "a character that may not stand here"),
        ("{}", "no records"),
    ];
    for (answer, expected) in cases {
        let error = rewrite([answer.as_bytes()].into_iter(), &places()).unwrap_err();
        let said = match error {
            TransformError::NoRecords => "no records".to_owned(),
            TransformError::Shape { expected, .. } => expected.to_owned(),
            TransformError::Malformed { what, .. } => what.to_string(),
            other => other.to_string(),
        };
        assert!(said.contains(expected), "{answer}: {said}");
    }
    let deep = format!("{{\"customers\":[],\"a\":{}{}}}", "[".repeat(128), "]".repeat(128));
    assert!(rewrite([deep.as_bytes()].into_iter(), &places()).is_err());
    let long = format!("{{\"customers\":[],\"a\":\"{}\"}}", "a".repeat(5000));
    let error = rewrite([long.as_bytes()].into_iter(), &places()).unwrap_err();
    assert!(matches!(error, TransformError::TooLong { .. }), "{error}");
    let piece = Bytes::from_static(b"{\"customers\":[");
    assert!(rewrite([&piece[..]].into_iter(), &places()).is_err());
}
