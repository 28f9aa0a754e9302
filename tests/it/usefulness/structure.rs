//! Records and answers of every shape.

use super::exchange::Exchange;
use super::exchange::shown;
use super::exchange::stored;

/// What the store has, and what arrives.
const RECORDS: &[(&str, &str, &str)] = &[
    ("an empty record", "{}", "{}"),
    ("a record without clear fields", r#"{"unlisted":1}"#, "{}"),
    ("a record with one field", r#"{"value":1}"#, r#"{"value":1}"#),
    ("fields in another order", r#"{"value":1,"id":"t-1"}"#, r#"{"value":1,"id":"t-1"}"#),
    ("names that differ in case", r#"{"Value":1,"value":2,"VALUE":3}"#, r#"{"Value":1,"value":2}"#),
    ("an empty object, shown whole", r#"{"whole":{}}"#, r#"{"whole":{}}"#),
    ("an empty array, shown whole", r#"{"whole":[]}"#, r#"{"whole":[]}"#),
    ("a scalar where a container may be shown whole", r#"{"whole":-0.50}"#, r#"{"whole":-0.50}"#),
    (
        "a container shown whole, with its white space",
        "{\"whole\": { \"b\" :\t[ 1 ,\n2.0 ] , \"a\":{\"unlisted\":null} }}",
        "{\"whole\":{ \"b\" :\t[ 1 ,\n2.0 ] , \"a\":{\"unlisted\":null} }}",
    ),
    (
        "an array of arrays, shown whole",
        r#"{"whole":[[],[[]],[[],[]],{},[{}]]}"#,
        r#"{"whole":[[],[[]],[[],[]],{},[{}]]}"#,
    ),
    (
        "escaped names inside a container shown whole",
        r#"{"whole":{"\u0061\"":"\ud83d\ude00","":0}}"#,
        r#"{"whole":{"\u0061\"":"\ud83d\ude00","":0}}"#,
    ),
    (
        "a nested field",
        r#"{"address":{"street":"CANARY","city":"London"}}"#,
        r#"{"address":{"city":"London"}}"#,
    ),
    (
        "fields nested twice",
        r#"{"address":{"geo":{"lat":51.5074,"alt":1,"lon":-0.1278},"city":""}}"#,
        r#"{"address":{"geo":{"lat":51.5074,"lon":-0.1278},"city":""}}"#,
    ),
    ("a container with nothing listed in it", r#"{"address":{"x":1}}"#, r#"{"address":{}}"#),
    ("an empty container", r#"{"address":{}}"#, r#"{"address":{}}"#),
    ("null for a container", r#"{"address":null}"#, r#"{"address":null}"#),
    ("an array of scalars", r#"{"tags":["a",1,null,true,""]}"#, r#"{"tags":["a",1,null,true,""]}"#),
    ("an empty array of scalars", r#"{"tags":[]}"#, r#"{"tags":[]}"#),
    (
        "an array of objects",
        r#"{"cards":[{"pan":"4000","cvc":"CANARY"},{},{"pan":null}]}"#,
        r#"{"cards":[{"pan":"4000"},{},{"pan":null}]}"#,
    ),
    (
        "an array of arrays of objects",
        r#"{"grid":[[{"v":1},{"v":2}],[],[{"v":3,"w":4}]]}"#,
        r#"{"grid":[[{"v":1},{"v":2}],[],[{"v":3}]]}"#,
    ),
    (
        "names of listed fields in unlisted places",
        r#"{"x":{"value":"CANARY"},"value":1,"y":[{"value":"CANARY"}]}"#,
        r#"{"value":1}"#,
    ),
    ("a name with an accent and quotes", r#"{"née \"q\"":1}"#, r#"{"née \"q\"":1}"#),
    ("a name with a slash", r#"{"a/b":1}"#, r#"{"a/b":1}"#),
    ("a name with an escaped slash", r#"{"a\/b":1}"#, r#"{"a/b":1}"#),
    ("a name with a backslash", r#"{"back\\slash":1}"#, r#"{"back\\slash":1}"#),
    ("a backslash in a name as an escape", r#"{"back\u005cslash":1}"#, r#"{"back\\slash":1}"#),
    ("a quote in a name as an escape", r#"{"née \u0022q\u0022":1}"#, r#"{"née \"q\"":1}"#),
    ("an accent in a name as an escape", r#"{"n\u00e9e \"q\"":1}"#, r#"{"née \"q\"":1}"#),
    (
        "a name written in escapes alone",
        r#"{"\u0076\u0061\u006C\u0075\u0065":1}"#,
        r#"{"value":1}"#,
    ),
    ("one letter of a name escaped", r#"{"val\u0075e":1}"#, r#"{"value":1}"#),
    ("a name with a space", r#"{"two words":1}"#, r#"{"two words":1}"#),
    ("a name with a dollar sign", r#"{"$type":"a"}"#, r#"{"$type":"a"}"#),
    ("a Chinese name", r#"{"姓名":"李雷"}"#, r#"{"姓名":"李雷"}"#),
    ("a Chinese name in escapes", r#"{"\u59d3\u540D":"李雷"}"#, r#"{"姓名":"李雷"}"#),
    ("an emoji as a name", r#"{"😀":1}"#, r#"{"😀":1}"#),
    ("an emoji as a name, in escapes", r#"{"\uD83D\uDE00":1}"#, r#"{"😀":1}"#),
    ("an unlisted empty name", r#"{"":1,"value":2}"#, r#"{"value":2}"#),
    (
        "unlisted names with dots and brackets",
        r#"{"address.city":1,"tags[*]":2,"value":3}"#,
        r#"{"value":3}"#,
    ),
    ("white space before the record", " \r\n\t {\"value\":1}", r#"{"value":1}"#),
    ("white space after the record", "{\"value\":1} \r\n\t ", r#"{"value":1}"#),
    ("white space in an empty record", "{ \t\r\n }", "{}"),
    (
        "white space in every place",
        "\n{\r\"id\"\t:\n\"t-1\" ,\t\"tags\" : [ 1 ,\r\n2\t] , \"address\" :{ \"city\" : \"a b\" } }\n",
        r#"{"id":"t-1","tags":[1,2],"address":{"city":"a b"}}"#,
    ),
    (
        "an indented record",
        "{\n    \"id\": \"t-1\",\n    \"value\": 1.0,\n    \"unlisted\": [\n        1\n    ]\n}\n",
        r#"{"id":"t-1","value":1.0}"#,
    ),
];

/// Lists and envelopes: where, what the store has, what arrives.
const ANSWERS: &[(&str, &str, &str, &str)] = &[
    ("an empty list", "/things", "[]", "[]"),
    ("an empty list with white space", "/things", " [ \n ] ", "[]"),
    ("a list of one", "/things", r#"[{"value":1}]"#, r#"[{"value":1}]"#),
    ("a list of empty records", "/things", "[{},{},{}]", "[{},{},{}]"),
    (
        "a list with white space between records",
        "/things",
        "[\n  {\"value\":1}\n ,\r\n  {\"value\":2}\n]\n",
        r#"[{"value":1},{"value":2}]"#,
    ),
    (
        "records of different fields in one list",
        "/things",
        r#"[{"value":1},{"id":"t-2"},{"tags":[3]},{"unlisted":4}]"#,
        r#"[{"value":1},{"id":"t-2"},{"tags":[3]},{}]"#,
    ),
    ("an envelope", "/pages", r#"{"items":[{"value":1}]}"#, r#"{"items":[{"value":1}]}"#),
    ("an envelope with an empty list", "/pages", r#"{"items":[]}"#, r#"{"items":[]}"#),
    (
        "members before and after the records of an envelope",
        "/pages",
        r#"{"total":2,"x":{"items":[{"value":"CANARY"}]},"items":[{"value":1}],"next":null}"#,
        r#"{"items":[{"value":1}]}"#,
    ),
    (
        "the name of an envelope in escapes",
        "/pages",
        r#"{"\u0069tems":[{"value":1}]}"#,
        r#"{"items":[{"value":1}]}"#,
    ),
    (
        "an envelope in an envelope in an envelope",
        "/far",
        r#"{"data":{"a":1,"page":{"items":[{"value":1},{"value":2}],"b":2}},"c":3}"#,
        r#"{"data":{"page":{"items":[{"value":1},{"value":2}]}}}"#,
    ),
    (
        "one record in an envelope",
        "/wrapped/t-1",
        r#"{"meta":{},"data":{"id":"t-1","value":-0}}"#,
        r#"{"data":{"id":"t-1","value":-0}}"#,
    ),
    (
        "listed members beside the records, after them",
        "/totals",
        r#"{"items":[{"value":1}],"total":12345678901234567890,"x":1,"next":"a\u0041"}"#,
        r#"{"items":[{"value":1}],"total":12345678901234567890,"next":"a\u0041"}"#,
    ),
    (
        "listed members beside the records, before them",
        "/totals",
        r#"{"total" : 1.0 ,"items":[]}"#,
        r#"{"items":[],"total":1.0}"#,
    ),
];

/// The exchanges.
pub(super) fn exchanges() -> Vec<Exchange> {
    let mut all: Vec<Exchange> =
        RECORDS.iter().map(|(name, stored, body)| Exchange::record(*name, stored, body)).collect();
    all.extend(
        ANSWERS.iter().map(|(name, at, stored, body)| Exchange::at(*name, at, stored, body)),
    );
    all.extend(deep());
    all.extend(wide());
    all.extend([1, 2, 255, 256, 257, 511, 512, 513, 1000, 5000].map(list));
    all.push(heavy_list());
    all
}

/// Brackets inside each other, up to the limit of 128.
fn deep() -> Vec<Exchange> {
    let arrays = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
    let objects = |depth: usize| [r#"{"a":"#.repeat(depth), "1".into(), "}".repeat(depth)].concat();
    let whole = |name: &str, value: &str| {
        let record = format!(r#"{{"whole":{value}}}"#);
        Exchange::record(name, &record, &record)
    };
    let unlisted = format!(r#"{{"unlisted":{},"value":1}}"#, objects(127));
    let last = format!(r#"[{{"whole":{}}}]"#, arrays(126));
    vec![
        whole("arrays inside each other up to the limit", &arrays(127)),
        whole("objects inside each other up to the limit", &objects(127)),
        whole("arrays one below the limit", &arrays(126)),
        Exchange::record("unlisted objects up to the limit", &unlisted, r#"{"value":1}"#),
        Exchange::at("a record of a list up to the limit", "/things", &last, &last),
    ]
}

/// Objects and arrays with many members.
fn wide() -> Vec<Exchange> {
    let others: String = (0..5000).map(|n| format!(r#""u{n}":"CANARY","#)).collect();
    let before = format!(r#"{{{others}"value":1}}"#);
    let after = format!(r#"{{"value":1,{}}}"#, others.trim_end_matches(','));
    let members: Vec<String> = (0..5000).map(|n| format!(r#""m{n}":{n}.0"#)).collect();
    let whole = format!(r#"{{"whole":{{{}}}}}"#, members.join(","));
    let tags: Vec<String> = (0..20_000).map(|n| format!("\"{n}\"")).collect();
    let tags = format!(r#"{{"tags":[{}]}}"#, tags.join(","));
    vec![
        Exchange::record(
            "five thousand unlisted members before the clear one",
            &before,
            r#"{"value":1}"#,
        ),
        Exchange::record(
            "five thousand unlisted members after the clear one",
            &after,
            r#"{"value":1}"#,
        ),
        Exchange::record("an object of five thousand members, shown whole", &whole, &whole),
        Exchange::record("an array of twenty thousand texts", &tags, &tags),
    ]
}

/// A list of so many records, around the borders of batches.
fn list(count: usize) -> Exchange {
    let value = |n: usize| format!("{n}.10e-{n}");
    let records: Vec<String> = (0..count).map(|n| stored(&value(n))).collect();
    let arrive: Vec<String> = (0..count).map(|n| shown(&value(n))).collect();
    let (records, arrive) = (records.join(","), arrive.join(","));
    let name = format!("a list of {count} records");
    Exchange::at(name, "/things", &format!("[{records}]"), &format!("[{arrive}]"))
}

/// Records that fill a batch by their bytes.
fn heavy_list() -> Exchange {
    let value = |n: usize| format!("\"{}\"", format!("{n:06}é").repeat(40_000));
    let records: Vec<String> = (0..9).map(|n| stored(&value(n))).collect();
    let arrive: Vec<String> = (0..9).map(|n| shown(&value(n))).collect();
    let (records, arrive) = (records.join(",\n"), arrive.join(","));
    let name = "records of 300 KB, three to a batch";
    Exchange::at(name, "/things", &format!("[{records}]"), &format!("[{arrive}]"))
}
