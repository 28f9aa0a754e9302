//! What becomes of a record that a caller read, changed and sent back, in words.

use super::*;
use crate::policy::DatePart;
use crate::policy::Generalize;
use crate::policy::Mask;
use crate::types::ClientError;

const HINT: View = View::Mask(Mask { keep_first: 1, keep_last: 0, keep_domain: true });
const YEAR: View = View::Generalize(Generalize::Date(DatePart::Year));
const TENS: View = View::Generalize(Generalize::Number { step: 10 });
const PART: View = View::Generalize(Generalize::Part);

/// A field: path, view, whether the caller may write it.
type Listed = (&'static str, View, bool);

const PERSON: &[Listed] = &[
    ("id", View::Show, true),
    ("name", View::Show, true),
    ("email", HINT, true),
    ("born", YEAR, true),
    ("age", TENS, true),
    ("code", View::TOKEN, true),
    ("secret", View::Drop, true),
    ("locked", View::Drop, false),
    ("since", View::Show, false),
    ("address.city", PART, true),
    ("address.street", View::Drop, false),
    ("cards[*].pan", HINT, true),
    ("cards[*].note", View::Show, true),
    ("orders[*].id", View::Show, false),
    ("orders[*].note", View::Show, true),
    ("hidden[*].a", View::Drop, true),
    ("tags", View::Show, true),
    ("whole:blob", View::Show, true),
    ("whole:dark", HINT, true),
];

const STORED: &str = r#"{ "id":"c1","name":"Ana\u0020Ruiz", "email":"ana@mail.example","born":"1988-10-09","age":34.50,"code":"x9","secret":"s","locked":"l","since":"2020","address":{"city":"London","street":"1 High Street","x":1},"cards":[{"pan":"4000","note":"n"}],"orders":[{"id":7,"note":"a"},{"id":8,"note":"b"}],"hidden":[{"a":1}],"tags":["a","b"],"blob":{"big":12345678901234567890,"k":[1.0,2]},"dark":{"q":1},"unlisted":{"deep":[1.50]}}"#;

/// The record as it will be, what the store is sent, and the fields that are set; or the words of
/// the refusal.
type Outcome = Result<(String, String, Vec<&'static str>), String>;

fn merge(fields: &[Listed], mode: Mode, stored: &str, sent: &str) -> Outcome {
    merge_to(fields, (mode, false), stored, sent)
}

fn merge_to(
    fields: &[Listed],
    (mode, store_merges): (Mode, bool),
    stored: &str,
    sent: &str,
) -> Outcome {
    let plain: Vec<_> = fields
        .iter()
        .map(|(path, ..)| (path.trim_start_matches("whole:"), path.starts_with("whole:")))
        .collect();
    let shape = shape(&plain);
    let views: Vec<View> = fields.iter().map(|(_, view, _)| *view).collect();
    let writable: Vec<bool> = fields.iter().map(|(.., may)| *may).collect();
    let (mut body, mut whole) = (Vec::new(), Vec::new());
    let request = Edit {
        shape: &shape,
        stored,
        sent,
        views: &views,
        pseudonyms: &Legible,
        seals: &NoSeals,
        writable: &writable,
        fixed: &[FieldIx(0)],
        mode,
        store_merges,
    };
    match edit(&request, &mut body, &mut whole) {
        Ok(edited) => {
            assert_eq!(edited.is_unchanged(), body.is_empty());
            let name = |field: &FieldIx| fields[field.index()].0;
            let text = |bytes| String::from_utf8(bytes).unwrap();
            Ok((text(whole), text(body), edited.fields().iter().map(name).collect()))
        }
        Err(error) => {
            assert!(!error.client_message().is_empty());
            Err(error.to_string())
        }
    }
}

/// What the caller is shown of the stored person.
fn shown() -> String {
    let plain: Vec<_> = PERSON
        .iter()
        .map(|(path, ..)| (path.trim_start_matches("whole:"), path.starts_with("whole:")))
        .collect();
    let views: Vec<View> = PERSON.iter().map(|(_, view, _)| *view).collect();
    let out = rewrite_one(&shape(&plain), STORED.as_bytes(), in_clear(&views)).unwrap();
    String::from_utf8(out).unwrap()
}

/// PATCH of the person: what the store is sent, or why not.
fn patch(sent: &str) -> String {
    merge(PERSON, Mode::Merge, STORED, sent).map_or_else(|error| error, |(_, body, _)| body)
}

/// PUT of what was shown with `from` replaced: what is different in the stored person, as
/// "before -> after"; or why not.
fn put(from: &str, to: &str) -> String {
    let shown = shown();
    assert!(from.is_empty() || shown.contains(from), "{from} is not shown in {shown}");
    match merge(PERSON, Mode::Replace, STORED, &shown.replacen(from, to, 1)) {
        Ok((whole, body, fields)) if fields.is_empty() => {
            assert_eq!((whole.as_str(), body.as_str()), (STORED, ""));
            "unchanged".into()
        }
        Ok((whole, body, _)) => {
            assert_eq!(whole, body);
            // Between names and values white space is not kept where something changes.
            let stored = STORED.replace(", ", ",").replacen("{ ", "{", 1);
            difference(&stored, &whole)
        }
        Err(error) => error,
    }
}

fn difference(before: &str, after: &str) -> String {
    let (a, b) = (before.as_bytes(), after.as_bytes());
    let first = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[first..], &b[first..]);
    let last = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    let text = |part: &[u8]| String::from_utf8(part[..part.len() - last].to_vec()).unwrap();
    format!("{} -> {}", text(a), text(b))
}

#[test]
fn what_was_shown_and_comes_back_changes_nothing() {
    assert_eq!(put("", ""), "unchanged");
    assert_eq!(merge(PERSON, Mode::Merge, STORED, &shown()).unwrap().2, [""; 0]);
    // However a client writes it again.
    assert_eq!(put(r#""name":"Ana\u0020Ruiz""#, r#" "n\u0061me" : "An\u0061 Ruiz" "#), "unchanged");
    assert_eq!(put(r#""age":30"#, r#""age":3.0e1"#), "unchanged");
    assert_eq!(put(r#""city":"London""#, r#""city":"London","street":null"#), "unchanged");
    // Typed clients write `null` for what they were not shown.
    assert_eq!(
        put(r#""name""#, r#""secret":null,"locked":null,"hidden":null,"name""#),
        "unchanged"
    );
}

#[test]
fn a_client_that_reads_numbers_as_doubles_destroys_none() {
    let blob = r#""big":12345678901234567890"#;
    for rounded in [
        "12345678901234567000",
        "1.2345678901234567e19",
        "1.2345678901234567000e+19",
        "12345678901234567168",
        "12345678901234567890.0",
    ] {
        assert_eq!(put(blob, &format!("\"big\":{rounded}")), "unchanged", "{rounded}");
    }
    // Beside a change too, and wherever an item is moved to.
    assert_eq!(
        put(
            r#"{"big":12345678901234567890,"k":[1.0,2]"#,
            r#"{"big":12345678901234567000,"k":[2,1,3]"#
        ),
        "1.0,2 -> 2,1.0,3"
    );
    // A client that holds it exactly may change its last digit.
    assert_eq!(put(blob, r#""big":12345678901234567891"#), "0 -> 1");
    assert_eq!(put(blob, r#""big":-12345678901234567890"#), " -> -");
    let number = |stored: &str, sent: &str| {
        let fields: &[Listed] = &[("id", View::Show, false), ("n", View::Show, true)];
        let (stored, sent) = (format!("{{\"n\":{stored}}}"), format!("{{\"n\":{sent}}}"));
        merge(fields, Mode::Replace, &stored, &sent).unwrap().2.is_empty()
    };
    for (stored, sent) in [
        ("1.0", "1"),
        ("1e2", "100"),
        ("-0", "0"),
        ("0.10", "1e-1"),
        ("1e400", "null"),
        ("1e-400", "0"),
        ("0.1000000000000000055511151231257827", "0.1"),
        ("0.1", "0.10000000000000001"),
        ("9007199254740993", "9007199254740992"),
        ("1E+2", "1e0000000002"),
    ] {
        assert!(number(stored, sent), "{stored} comes back as {sent}");
    }
    for (stored, sent) in [
        ("1", "2"),
        ("1", "-1"),
        ("9007199254740993", "9007199254740994"),
        ("1e2", "1e3"),
        ("1e99999999999999999999", "1e99999999999999999998"),
        ("1", "\"1\""),
        ("1", "null"),
    ] {
        assert!(!number(stored, sent), "{stored} is changed to {sent}");
    }
}

#[test]
fn one_change_is_one_difference() {
    assert_eq!(put(r#""name":"Ana\u0020Ruiz""#, r#""name":"Bo""#), r"Ana\u0020Ruiz -> Bo");
    assert_eq!(put(r#""email":"a***@mail.example""#, r#""email":"bo@mail.example""#), "ana -> bo");
    assert_eq!(put(r#""born":"1988""#, r#""born":"1990-01-01""#), "88-10-09 -> 90-01-01");
    assert_eq!(put(r#""age":30"#, r#""age":41"#), "34.50 -> 41");
    assert_eq!(put(r#""city":"London""#, r#""city":"Paris""#), "London -> Paris");
    assert_eq!(put(r#""note":"a""#, r#""note":"z""#), "a -> z");
    assert_eq!(put(r#"["a","b"]"#, r#"["a","c","b"]"#), r#" -> c",""#);
    assert_eq!(put(r#""dark":"***""#, r#""dark":{"new":1}"#), r#"q -> new"#);
    assert_eq!(put(r#""name""#, r#""secret":"t","name""#), "s -> t");
}

#[test]
fn what_a_put_leaves_out_goes_only_where_it_was_seen_and_may_be_written() {
    assert_eq!(put(r#""name":"Ana\u0020Ruiz","#, ""), r#"name":"Ana\u0020Ruiz"," -> "#);
    for kept in [
        r#""id":"c1","#,
        r#""email":"a***@mail.example","#,
        r#""born":"1988","#,
        r#""age":30,"#,
        r#""code":"ps1_user-contact-email_x9","#,
        r#""since":"2020","#,
        r#","dark":"***""#,
    ] {
        assert_eq!(put(kept, ""), "unchanged", "{kept}");
    }
    assert_eq!(put(r#""address":{"city":"London"},"#, ""), r#"city":"London"," -> "#);
    assert_eq!(put(r#""cards":[{"pan":"4***","note":"n"}],"#, ""), "unchanged");
    assert_eq!(put(r#""tags":["a","b"],"#, ""), r#"tags":["a","b"]," -> "#);
}

#[test]
fn a_form_of_a_view_is_never_taken_for_a_value() {
    let stale = |field: &str| {
        format!("the value for `{field}` has the form of a view and is not the current one")
    };
    for (field, sent) in [
        ("email", r#"{"email":"b***@mail.example"}"#),
        ("email", r#"{"email":"\u002a**"}"#),
        ("code", r#"{"code":"ps1_other"}"#),
        ("secret", r#"{"secret":"ps1_other"}"#),
        ("born", r#"{"born":"1987"}"#),
        ("born", r#"{"born":1987}"#),
        ("born", r#"{"born":"1988-11"}"#),
        ("age", r#"{"age":40}"#),
        ("age", r#"{"age":4e1}"#),
        ("age", r#"{"age":-1e999999999999}"#),
        ("age", r#"{"age":0.0}"#),
        ("age", r#"{"age":98765432109876543210}"#),
        ("dark", r#"{"dark":"x***"}"#),
    ] {
        assert_eq!(patch(sent), stale(field), "{sent}");
        assert_eq!(merge(PERSON, Mode::Replace, STORED, sent), Err(stale(field)));
    }
    assert_eq!(
        patch(r#"{"name":"ps1_ is how *** begins"}"#),
        r#"{"name":"ps1_ is how *** begins"}"#
    );
}

#[test]
fn what_may_not_be_written_is_refused_by_its_name() {
    let not = |field: &str| format!("`{field}` is not among the fields the caller may write");
    assert_eq!(patch(r#"{"since":"2021"}"#), not("since"));
    assert_eq!(patch(r#"{"since":null}"#), not("since"));
    assert_eq!(patch(r#"{"address":{"street":"2 High Street"}}"#), not("address.street"));
    assert_eq!(patch(r#"{"address":null}"#), not("address.street"));
    assert_eq!(
        patch(r#"{"orders":[{"id":7,"note":"a"},{"id":9,"note":"b"}]}"#),
        not("orders[*].id")
    );
    assert_eq!(patch(r#"{"orders":[{"id":7,"note":"a"}]}"#), not("orders[*].id"));
    assert_eq!(
        patch(r#"{"orders":[{"id":8,"note":"b"},{"id":7,"note":"a"}]}"#),
        not("orders[*].id")
    );
    assert_eq!(patch(r#"{"id":"c2"}"#), "`id` says which record it is or whom it is about");
    assert_eq!(patch(r#"{"id":null}"#), "`id` says which record it is or whom it is about");
    assert_eq!(patch(r#"{"unlisted":null}"#), "a member is not listed in the data set");
    assert_eq!(patch(r#"{"address":{"x":1}}"#), "a member is not listed in the data set");
    assert_eq!(patch(r#"{"cards":[{"cvv":"1"}]}"#), "a member is not listed in the data set");
    let kind = |field: &str| format!("another kind of value stands where `{field}` is listed");
    assert_eq!(patch(r#"{"address":"London"}"#), kind("address.city"));
    assert_eq!(patch(r#"{"address":[{"city":"London"}]}"#), kind("address.city"));
    assert_eq!(patch(r#"{"cards":{"pan":"1"}}"#), kind("cards[*].pan"));
    assert_eq!(patch(r#"{"name":{"first":"Ana"}}"#), kind("name"));
    assert_eq!(patch(r#"{"tags":[["a"]]}"#), kind("tags"));
    for no_record in ["", "[]", "1", "{", "{}{}", r#"{"a":1,"a":2}"#, "\u{feff}{}"] {
        assert_eq!(patch(no_record), "the text is not one record", "{no_record}");
    }
}

#[test]
fn whether_a_guess_was_right_shows_nowhere() {
    let not = "`locked` is not among the fields the caller may write";
    for guess in [r#"{"locked":"l"}"#, r#"{"locked":"m"}"#] {
        assert_eq!(patch(guess), not);
        assert_eq!(
            patch(&guess.replace("locked", "absent")),
            "a member is not listed in the data set"
        );
    }
    for (field, guess) in [
        ("secret", r#"{"secret":"s"}"#),
        ("email", r#"{"email":"ana@mail.example"}"#),
        ("born", r#"{"born":"1988-10-09"}"#),
        ("age", r#"{"age":34.5}"#),
        ("whole:dark", r#"{"dark":{"q":1}}"#),
        ("hidden[*].a", r#"{"hidden":[{"a":1}]}"#),
    ] {
        for stored in [STORED, "{\"id\":\"c1\"}"] {
            let (_, body, fields) = merge(PERSON, Mode::Merge, stored, guess).unwrap();
            assert_eq!((body.as_str(), fields), (guess, vec![field]), "{stored}");
        }
    }
    for stored in [STORED, "{\"id\":\"c1\"}"] {
        // What a typed client sends for all it was not shown.
        let nothing = r#"{"locked":null,"secret":null,"hidden":null}"#;
        let dark: &[Listed] = &[
            ("id", View::Drop, false),
            ("secret", View::Drop, true),
            ("locked", View::Drop, false),
            ("hidden[*].a", View::Drop, true),
        ];
        for mode in [Mode::Merge, Mode::Replace] {
            let (whole, _, fields) = merge(dark, mode, stored, nothing).unwrap();
            assert_eq!((whole.as_str(), fields), (stored, vec![]));
        }
    }
}

#[test]
fn an_array_that_holds_what_was_not_shown_is_one_value() {
    let unseen = |field: &str| {
        format!("`{field}` stands in a value that holds what the caller was not shown")
    };
    let cards = unseen("cards[*].pan");
    assert_eq!(patch(r#"{"cards":[{"note":"n","pan":"4***"}]}"#), "");
    assert_eq!(patch(r#"{"cards":[{"pan":"4***","note":"m"}]}"#), cards);
    assert_eq!(patch(r#"{"cards":[]}"#), cards);
    assert_eq!(patch(r#"{"cards":null}"#), cards);
    assert_eq!(patch(r#"{"cards":[{"pan":"4***","note":"n"},{"pan":"5000"}]}"#), cards);
    assert_eq!(patch(r#"{"hidden":[{"a":2}]}"#), r#"{"hidden":[{"a":2}]}"#);
    let fields: &[Listed] = &[("id", View::Show, false), ("h[*].a", View::Drop, true)];
    let with_unlisted = r#"{"h":[{"a":1,"b":2}]}"#;
    assert_eq!(merge(fields, Mode::Merge, with_unlisted, r#"{"h":[]}"#), Err(unseen("h[*].a")));
    let fields: &[Listed] = &[("id", View::Show, false), ("t", HINT, true)];
    assert_eq!(
        merge(fields, Mode::Merge, r#"{"t":["abc"]}"#, r#"{"t":["xyz"]}"#),
        Err(unseen("t"))
    );
    assert_eq!(merge(fields, Mode::Merge, r#"{"t":{"a":1}}"#, r#"{"t":"xyz"}"#), Err(unseen("t")));
    assert_eq!(
        merge(fields, Mode::Merge, r#"{"t":["abc"]}"#, r#"{"t":["a***"]}"#).unwrap().2,
        [""; 0]
    );
}

#[test]
fn a_patch_sends_what_it_touches_each_member_complete() {
    assert_eq!(patch("{}"), "");
    assert_eq!(patch(r#"{"name":"Bo"}"#), r#"{"name":"Bo"}"#);
    assert_eq!(patch(r#"{"name":null,"born":null}"#), r#"{"name":null,"born":null}"#);
    assert_eq!(
        patch(r#"{"address":{"city":"Paris"}}"#),
        r#"{"address":{"city":"Paris","street":"1 High Street","x":1}}"#
    );
    assert_eq!(
        patch(r#"{"address":{"city":null}}"#),
        r#"{"address":{"city":null,"street":"1 High Street","x":1}}"#
    );
    assert_eq!(
        patch(r#"{"blob":{"k":null,"new":{"a":null,"b":[null]}}}"#),
        r#"{"blob":{"big":12345678901234567890,"k":null,"new":{"b":[null]}}}"#
    );
    assert_eq!(patch(r#"{"dark":{"p":2,"q":null}}"#), r#"{"dark":{"q":1,"p":2}}"#);
    assert_eq!(
        patch(r#"{"orders":[{"id":7,"note":"a"},{"id":8,"note":"z"}]}"#),
        r#"{"orders":[{"id":7,"note":"a"},{"id":8,"note":"z"}]}"#
    );
    let (whole, ..) = merge(PERSON, Mode::Merge, STORED, r#"{"name":null}"#).unwrap();
    assert_eq!(
        difference(&STORED.replace(", ", ",").replacen("{ ", "{", 1), &whole),
        r#"name":"Ana\u0020Ruiz"," -> "#
    );
}

#[test]
fn a_stored_null_below_what_a_patch_touches_survives_a_store_that_is_known_to_merge() {
    let stored = r#"{"address":{"city":"London","street":null,"x":{"y":null,"z":[null,{"w":null}]}},"blob":{"a":{"b":null,"c":1.0},"d":null,"k":2}}"#;
    let run = |merges, sent| {
        let (whole, body, _) = merge_to(PERSON, (Mode::Merge, merges), stored, sent).unwrap();
        (whole, body)
    };
    let sent = r#"{"address":{"city":"Rome"},"blob":{"k":null}}"#;
    let (whole, body) = run(true, sent);
    assert_eq!(
        body,
        r#"{"address":{"city":"Rome","x":{"z":[null,{"w":null}]}},"blob":{"a":{"c":1.0},"k":null}}"#
    );
    // RFC 7396, in the words of its own section 2.
    fn patched(target: &mut serde_json::Value, patch: serde_json::Value) {
        let serde_json::Value::Object(patch) = patch else { return *target = patch };
        if !target.is_object() {
            *target = serde_json::json!({});
        }
        let target = target.as_object_mut().unwrap();
        for (name, value) in patch {
            if value.is_null() {
                target.remove(&name);
            } else {
                patched(target.entry(name).or_insert_with(Default::default), value);
            }
        }
    }
    let mut store = serde_json::from_str(stored).unwrap();
    patched(&mut store, serde_json::from_str(&body).unwrap());
    assert_eq!(store, serde_json::from_str::<serde_json::Value>(&whole).unwrap());
    // One that assigns members needs each complete, and nothing says that this one merges.
    let (_, body) = run(false, sent);
    assert_eq!(
        body,
        r#"{"address":{"city":"Rome","street":null,"x":{"y":null,"z":[null,{"w":null}]}},"blob":{"a":{"b":null,"c":1.0},"d":null,"k":null}}"#
    );
}

#[test]
fn what_is_not_there_yet_is_put_together_from_what_may_be_written() {
    let new = |sent: &str| {
        merge(PERSON, Mode::Replace, r#"{"id":"c1","address":null}"#, sent).map(|it| it.0)
    };
    assert_eq!(
        new(r#"{"id":"c1","address":{"city":"Rome"}}"#).unwrap(),
        r#"{"id":"c1","address":{"city":"Rome"}}"#
    );
    assert_eq!(new(r#"{"address":{"city":null}}"#).unwrap(), r#"{"id":"c1","address":null}"#);
    assert_eq!(new(r#"{"address":{}}"#).unwrap(), r#"{"id":"c1","address":null}"#);
    assert_eq!(
        new(r#"{"cards":[{"pan":"4111","note":null},{}]}"#).unwrap(),
        r#"{"id":"c1","address":null,"cards":[{"pan":"4111"},{}]}"#
    );
    assert!(new(r#"{"orders":[{"note":"x"}]}"#).is_ok());
    assert!(new(r#"{"orders":[]}"#).is_err(), "an array of which not all may be written");
    assert!(new(r#"{"orders":[{"id":1}]}"#).is_err());
    assert!(new(r#"{"orders":[null]}"#).is_err());
    assert!(new(r#"{"cards":[{"pan":"4***"}]}"#).is_err());
}

#[test]
fn a_value_of_another_kind_than_usual_is_not_overwritten_unseen() {
    let unseen = "`address.city` stands in a value that holds what the caller was not shown";
    for stored in [r#"{"address":"1 High Street"}"#, r#"{"address":[1]}"#, r#"{"address":7}"#] {
        for mode in [Mode::Merge, Mode::Replace] {
            let run = |sent| merge(PERSON, mode, stored, sent).map(|it| it.0);
            assert_eq!(run(r#"{"address":{"city":"Rome"}}"#), Err(unseen.into()));
            assert_eq!(run("{}").unwrap(), stored);
            assert_eq!(run(r#"{"address":{}}"#).unwrap(), stored);
        }
        let null = merge(PERSON, Mode::Replace, stored, r#"{"address":null}"#);
        assert_eq!(null.unwrap().0, stored);
    }
}

#[test]
fn a_new_record_has_only_what_may_be_written() {
    let plain: Vec<_> = PERSON
        .iter()
        .map(|(path, ..)| (path.trim_start_matches("whole:"), path.starts_with("whole:")))
        .collect();
    let shape = shape(&plain);
    let views: Vec<View> = PERSON.iter().map(|(_, view, _)| *view).collect();
    let writable: Vec<bool> = PERSON.iter().map(|(.., may)| *may).collect();
    let new = |sent: &str| {
        let mut body = Vec::new();
        let new =
            NewRecord { shape: &shape, sent, views: &views, seals: &NoSeals, writable: &writable };
        match create(&new, &mut body) {
            Ok(_) => String::from_utf8(body).unwrap(),
            Err(error) => error.to_string(),
        }
    };
    assert_eq!(
        new(
            r#" {"id":"c2", "n\u0061me":"B\u006f", "since":null,"tags":[ "a" ],"blob":{"x":null}} "#
        ),
        r#"{"id":"c2","name":"B\u006f","tags":["a"],"blob":{"x":null}}"#
    );
    assert_eq!(new("{}"), "{}");
    assert_eq!(new(r#"{"since":"2024"}"#), "`since` is not among the fields the caller may write");
    assert_eq!(new(r#"{"x":null}"#), "a member is not listed in the data set");
    assert_eq!(
        new(r#"{"email":"a***@mail.example"}"#),
        "the value for `email` has the form of a view and is not the current one"
    );
}

/// A list in so many lists, of numbers that a client writes otherwise.
fn deep(levels: usize, one: &str, last: &str) -> String {
    let numbers = vec![one; 20_000].join(",");
    format!(r#"{{"blob":{}{numbers},{last}{}}}"#, "[".repeat(levels), "]".repeat(levels))
}

#[test]
fn comparing_what_is_nested_takes_no_longer_than_reading_it_a_few_times() {
    let (stored, sent) = (deep(100, "1.0", "2"), deep(100, "1", "3"));
    let (_, body, fields) = merge(PERSON, Mode::Replace, &stored, &sent).unwrap();
    assert_eq!(fields, ["whole:blob"]);
    // What did not change stays as the store wrote it.
    assert_eq!(body, deep(100, "1.0", "3"));
    // Lists in which nothing stands where it stood, at every level.
    let tree = |leaf: &str, other: &str| {
        (0..3).fold(format!("[1.0,{leaf}]"), |inside, _| {
            format!("[{}]", vec![inside.as_str(); 18].join(",")) + other
        })
    };
    let blob = |tree: String| format!(r#"{{"blob":{tree}}}"#);
    let sent = blob(tree("3", ""));
    let (_, body, _) = merge(PERSON, Mode::Replace, &blob(tree("2", "")), &sent).unwrap();
    assert_eq!(body, sent);
}

#[test]
fn a_coarser_number_in_quotes_is_an_old_answer_too() {
    for sent in ["\"40\"", "\"4e1\"", "40.0"] {
        let refused = patch(&format!(r#"{{"age":{sent}}}"#));
        assert!(refused.contains("`age` has the form of a view"), "{sent}: {refused}");
    }
    for sent in ["\"\"", "\"-\"", "\"old\"", "\"41\"", "41"] {
        assert_eq!(patch(&format!(r#"{{"age":{sent}}}"#)), format!(r#"{{"age":{sent}}}"#));
    }
}

#[test]
fn a_mask_of_what_is_shown_now_is_an_old_answer() {
    for sent in ["***", "A***", "***z", "Ana***iz", "ps1_AAAA", "\\u0041*\\u002a*"] {
        let refused = patch(&format!(r#"{{"name":"{sent}"}}"#));
        assert!(refused.contains("`name` has the form of a view"), "{sent}: {refused}");
    }
    // Where nothing is sealed, what looks so is a text like any other.
    for sent in ["B***", "*** new ***", "A*", "Ana Ruiz-***-Gil", "ps2_A", "pvt1_AAAA"] {
        let text = format!(r#"{{"name":"{sent}"}}"#);
        assert_eq!(patch(&text), text);
    }
}

#[test]
fn a_number_a_day_or_an_address_that_may_stand_for_another_is_not_stored() {
    use crate::policy::Digits;
    use crate::policy::Pseudonym;
    let card = Digits { min: 12, max: 19, keep_first: 0, keep_last: 4, luhn: true };
    let fields: &[Listed] = &[
        ("id", View::Show, true),
        ("mail", View::Pseudonymize(Pseudonym::Email), true),
        ("hint", HINT, true),
        ("pan", View::Pseudonymize(Pseudonym::Digits(card)), true),
        ("born", View::Pseudonymize(Pseudonym::Date { days: 30 }), true),
    ];
    let stored = r#"{"id":"c1","mail":"a@b.example","hint":"h","pan":"4111111111111111","born":"1988-10-09"}"#;
    for (sent, refused) in [
        (r#"{"mail":"uabc@p.privet.invalid"}"#, true),
        (r#"{"mail":"ps1_abc"}"#, true),
        (r#"{"mail":"new@mail.example"}"#, false),
        (r#"{"hint":"uabc@p.privet.invalid"}"#, true),
        (r#"{"id":"uabc@p.privet.invalid"}"#, true),
        (r#"{"pan":"5500 0000 0000 0004"}"#, true),
        (r#"{"pan":5500000000000004}"#, true),
        (r#"{"pan":"none"}"#, false),
        (r#"{"born":"1999-01-01"}"#, true),
        (r#"{"born":"1999-01-01T10:00Z"}"#, true),
        (r#"{"born":"unknown"}"#, false),
        (r#"{"born":null}"#, false),
    ] {
        let outcome = merge(fields, Mode::Merge, stored, sent);
        assert_eq!(outcome.is_err(), refused, "{sent} {outcome:?}");
    }
}
