//! Ways to smuggle a value past the rewriter. In every outcome the value must be absent.

use super::*;
use crate::policy::Mask;

const SECRET: &str = "cAnArY-7f3e91d2";

fn fields() -> Vec<(&'static str, View)> {
    let stars = View::Mask(Mask { keep_first: 0, keep_last: 0, keep_domain: false });
    vec![("id", View::Show), ("city", View::Show), ("email", stars), ("by.part", View::Show)]
}

/// The outcome: the record as released, or `refused`.
fn outcome(json: impl AsRef<[u8]>) -> String {
    let (shape, views) = listed(&fields());
    match rewrite_one(&shape, json.as_ref(), in_clear(&views)) {
        Ok(out) => String::from_utf8(out).unwrap(),
        Err(error) => {
            assert!(!error.to_string().contains(SECRET));
            "refused".into()
        }
    }
}

#[track_caller]
fn check(json: &str, expected: &str) {
    let found = outcome(json.replace('§', SECRET));
    assert!(!found.contains(SECRET), "{json} shows the value: {found}");
    assert_eq!(found, expected, "{json}");
}

#[test]
fn names_written_in_another_way_do_not_pass() {
    check(r#"{"id":1,"\u0065mail":"§"}"#, r#"{"id":1,"email":"***"}"#);
    check(r#"{"id":1,"\u0065\u006D\u0061\u0069\u006C":"§"}"#, r#"{"id":1,"email":"***"}"#);
    check(r#"{"id":1,"EMAIL":"§"}"#, r#"{"id":1}"#);
    check("{\"id\":1,\"\u{feff}email\":\"§\"}", r#"{"id":1}"#);
    check(r#"{"id":1,"еmail":"§"}"#, r#"{"id":1}"#);
    check(r#"{"id":1,"email\u0000":"§"}"#, r#"{"id":1}"#);
    check(r#"{"id":1,"email ":"§","e-mail":"§","Email":"§"}"#, r#"{"id":1}"#);
}

#[test]
fn a_name_twice_is_refused_in_either_order() {
    check(r#"{"id":1,"email":"x","email":"§"}"#, "refused");
    check(r#"{"id":1,"email":"§","\u0065mail":"x"}"#, "refused");
    check(r#"{"id":1,"id":"§"}"#, "refused");
    check(r#"{"id":1,"x":{"y":"§","y":1}}"#, "refused");
}

#[test]
fn a_value_used_as_a_name_does_not_pass() {
    check(r#"{"id":1,"by_email":{"§":1}}"#, r#"{"id":1}"#);
    check(r#"{"id":1,"§":1}"#, r#"{"id":1}"#);
    check(r#"{"id":1,"by":{"§":1,"part":2}}"#, r#"{"id":1,"by":{"part":2}}"#);
    check(r#"{"id":1,"email":{"§":1}}"#, r#"{"id":1}"#);
}

#[test]
fn a_value_of_another_kind_does_not_pass() {
    check(r#"{"id":1,"email":[[{"v":"§"}]]}"#, r#"{"id":1,"email":[]}"#);
    check(r#"{"id":1,"email":["§","§"]}"#, r#"{"id":1,"email":["***","***"]}"#);
    check(r#"{"id":{"v":"§"},"city":[["§"],{"v":"§"}]}"#, r#"{"city":[]}"#);
    check(r#"{"columns":["id","email"],"rows":[[1,"§"]]}"#, "{}");
    check(r#"{"data":{"id":1,"email":"§"}}"#, "{}");
    check(r#"[{"id":1,"email":"§"}]"#, "refused");
    check(r#""§""#, "refused");
    check("null", "refused");
}

#[test]
fn text_that_is_no_strict_json_is_refused() {
    for json in [
        "\u{feff}{\"email\":\"§\"}",
        "{id:1,email:\"§\"}",
        "{\"id\":1,\"email\":\"§\"",
        "   \n§",
        "{'email':'§'}",
        "{\"id\":1,}\"§\"",
        "{\"id\":1}{\"email\":\"§\"}",
        "{\"id\":1} §",
        "/*§*/{\"id\":1}",
        "{\"id\":1/*§*/}",
        "{\"id\":NaN,\"email\":\"§\"}",
        "{\"id\":01,\"x\":\"§\"}",
        "{\"id\":\"\\ud800§\"}",
        "{\"id\":\"a\u{1}\",\"email\":\"§\"}",
        "jsonp({\"email\":\"§\"})",
        ")]}',\n{\"email\":\"§\"}",
        "{\"id\":1,,\"email\":\"§\"}",
        "{\"id\":\"\\x41\",\"email\":\"§\"}",
        "",
    ] {
        check(json, "refused");
    }
    let broken =
        [b"{\"n\":\"\xff\xfe\",\"email\":\"".as_slice(), SECRET.as_bytes(), b"\"}"].concat();
    assert_eq!(outcome(broken), "refused");
    let utf16: Vec<u8> = r#"{"id":1}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(outcome(utf16), "refused");
}

#[test]
fn depth_does_not_exhaust_the_stack() {
    for opening in ["{\"email\":", "[", "{\"x\":[", "{\"by\":{\"part\":"] {
        let json = ["{\"x\":", &opening.repeat(100_000), "1"].concat();
        assert_eq!(outcome(json), "refused");
    }
}

#[test]
fn an_array_of_records_refuses_what_is_no_record() {
    let (shape, views) = listed(&fields());
    let selector = selector(&[], Records::Each);
    let case = fuzz::Case {
        format: Format::Json,
        selector: &selector,
        shape: &shape,
        views: &views,
        widest: &views,
    };
    let run = |json: &str| case.rewrite(std::iter::once(json.as_bytes()));
    for json in [
        "[1]",
        "[null]",
        "[[{\"id\":1}]]",
        "[\"a\"]",
        "[{\"id\":1},2]",
        "{\"id\":1}",
        "[{\"id\":1}",
    ] {
        assert!(run(json).is_err(), "{json}");
    }
    assert_eq!(run("[]").unwrap(), b"[]");
    assert_eq!(run(" [ {} ] ").unwrap(), b"[{}]");
}
