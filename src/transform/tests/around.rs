//! What of the members around the records reaches the caller.

use super::*;
use proptest::prelude::*;
use serde_json::Map;
use serde_json::Value;
use serde_json::json;

const LISTED: [&str; 7] =
    ["total", "meta.total", "meta.link.next", "data.count", "data.page.no", "next", "data.items2"];

fn page(text: &str) -> Result<String, TransformError> {
    let mut selector = selector(&["data", "items"], Records::Each);
    selector.around = LISTED.map(Into::into).to_vec();
    let (shape, views) = listed(&[("id", View::Show)]);
    let case = fuzz::Case {
        format: Format::Json,
        selector: &selector,
        shape: &shape,
        views: &views,
        widest: &views,
    };
    let whole = case.rewrite(std::iter::once(text.as_bytes()));
    for size in [1, 2, 7, 40] {
        assert_eq!(case.rewrite(text.as_bytes().chunks(size)), whole, "pieces of {size}: {text}");
    }
    whole.map(|out| String::from_utf8(out).unwrap())
}

#[test]
fn listed_values_pass_from_every_object_beside_the_way() {
    let text = r#"{"meta":{"x":1,"link":{"self":"c-1","next":null},"total":3},
        "data":{"page":{"no":2,"of":9},"items":[{"id":1,"x":2}],"count":1e400,"x":[]},
        "total":"4","next":{"no":"c-2"}}"#;
    assert_eq!(
        page(text).unwrap(),
        r#"{"data":{"items":[{"id":1}],"count":1e400,"page":{"no":2}},"total":"4","meta":{"total":3,"link":{"next":null}}}"#
    );
    assert_eq!(page(r#"{"data":{"items":[]}}"#).unwrap(), r#"{"data":{"items":[]}}"#);
    // What is no object where one is listed, and what is no plain value, is not there.
    for meta in ["1", "null", "[{\"total\":1}]", "\"total\"", "{\"total\":[3]}", "{\"Total\":3}"] {
        let text = format!("{{\"data\":{{\"items\":[]}},\"meta\":{meta}}}");
        assert_eq!(page(&text).unwrap(), r#"{"data":{"items":[]}}"#, "{meta}");
    }
    let twice = r#"{"data":{"items":[]},"meta":{"total":1,"\u0074otal":2}}"#;
    assert!(page(twice).is_err());
}

#[test]
fn links_pass_only_where_they_lead_somewhere_on_the_gateway() {
    for link in [
        "\\u0001//evil.example/c-1",
        "\\u001f/customers/c-1",
        "https:evil.example/c-1",
        "HTTP:\\\\\\\\evil.example",
        " javascript:alert(1)",
        "/customers?page=2",
        "http://store.test/customers",
        "?page=2",
        "//elsewhere.test/",
        "../customers",
        " https:\\u002f/store.test",
    ] {
        let text = format!("{{\"next\":\"{link}\",\"data\":{{\"items\":[]}}}}");
        assert_eq!(page(&text).unwrap(), r#"{"data":{"items":[]},"next":null}"#, "{link}");
    }
    for cursor in ["eyJpZCI6MTAwfQ==", "20", "a/b", "c-1:2"] {
        let text = format!("{{\"next\":\"{cursor}\",\"data\":{{\"items\":[]}}}}");
        let expected = format!("{{\"data\":{{\"items\":[]}},\"next\":\"{cursor}\"}}");
        assert_eq!(page(&text).unwrap(), expected);
    }
    let mut selector = selector(&["items"], Records::Each);
    selector.around = vec!["next".into(), "meta.prev".into()];
    let mut around = Around::new(&selector);
    let written = |around: &Around| {
        let mut out = Vec::new();
        around.write(0, &mut out);
        String::from_utf8(out).unwrap()
    };
    for (name, value) in [("next", r#""/a\u003fq=1""#), ("meta", r#"{"prev":"/b"}"#)] {
        let place = around.name(0, name.as_bytes(), 1000).ok().and_then(|name| name.kept).unwrap();
        around.keep((0, place), value.as_bytes());
    }
    assert_eq!(written(&around), r#","next":null,"meta":{"prev":null}"#);
    around.reroute(|link| (link == "/a?q=1").then(|| "/shop/\"a\"".to_owned()));
    assert_eq!(written(&around), r#","next":"/shop/\"a\"","meta":{"prev":null}"#);
}

/// A value of anything, from one number after the other.
fn value(dice: &mut impl FnMut(usize) -> usize, depth: usize) -> Value {
    match dice(if depth > 3 { 5 } else { 8 }) {
        0 => json!(dice(1000)),
        1 => json!("text cAnArY"),
        2 => json!("/a/link"),
        3 => Value::Null,
        4 => json!(true),
        5 => Value::Array((0..dice(3)).map(|_| value(dice, depth + 1)).collect()),
        _ => object(dice, depth + 1),
    }
}

fn object(dice: &mut impl FnMut(usize) -> usize, depth: usize) -> Value {
    let mut names = vec!["total", "meta", "link", "next", "count", "page", "no", "x", "a\"b"];
    let mut map = Map::new();
    for _ in 0..dice(7) {
        let name = names.remove(dice(names.len()));
        map.insert(name.to_owned(), value(dice, depth));
    }
    Value::Object(map)
}

/// Puts `value` at a random place of an object.
fn put(dice: &mut impl FnMut(usize) -> usize, into: Value, name: &str, value: Value) -> Value {
    let Value::Object(map) = into else { return into };
    let at = dice(map.len() + 1);
    let mut members: Vec<(String, Value)> = map.into_iter().collect();
    members.insert(at, (name.to_owned(), value));
    Value::Object(members.into_iter().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn an_envelope_is_what_the_listed_paths_say_of_it(seed: u64) {
        let mut state = seed;
        let mut dice = |sides: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % sides
        };
        let inner = object(&mut dice, 0);
        let inner = put(&mut dice, inner, "items", json!([{ "id": 1, "x": "cAnArY" }]));
        let outer = object(&mut dice, 0);
        let outer = put(&mut dice, outer, "data", inner);
        let out = page(&outer.to_string()).unwrap();
        prop_assert_eq!(validate(out.as_bytes()), Ok(()), "{}", out);

        let mut expected = json!({ "data": { "items": [{ "id": 1 }] } });
        for path in LISTED {
            let pointer = format!("/{}", path.replace('.', "/"));
            let Some(found) = outer.pointer(&pointer) else { continue };
            // An array has no members, whatever a pointer says.
            if found.is_object() || found.is_array() {
                continue;
            }
            let mut at = &mut expected;
            for name in path.split('.') {
                at = at.as_object_mut().unwrap().entry(name).or_insert_with(|| json!({}));
            }
            *at = if found == "/a/link" { Value::Null } else { found.clone() };
        }
        let out: Value = serde_json::from_str(&out).unwrap();
        prop_assert_eq!(out, expected, "{}", outer);
    }
}
