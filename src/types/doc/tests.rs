//! Tests of reading documents.

use std::fmt::Write;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::types::RoleId;

type Read = fn(Arc<SourceFile>, &mut Faults) -> Option<Node>;

fn read(reader: Read, name: &str, text: &str) -> (Option<Node>, Faults) {
    let mut faults = Faults::new();
    let file = Arc::new(SourceFile { name: name.into(), text: text.into() });
    (reader(file, &mut faults), faults)
}

fn messages(faults: Faults) -> String {
    faults.into_sorted().iter().fold(String::new(), |mut out, fault| {
        writeln!(out, "{fault}").unwrap();
        out
    })
}

/// A tree in one line: text in quotes, numbers with `#`.
fn show(node: &Node) -> String {
    let list = |parts: Vec<String>| parts.join(", ");
    match &node.value {
        Value::Bool(value) => value.to_string(),
        Value::List(items) => format!("[{}]", list(items.iter().map(show).collect())),
        Value::Map(entries) => format!(
            "{{{}}}",
            list(entries.iter().map(|e| format!("{}: {}", e.key, show(&e.node))).collect())
        ),
        Value::Null => "null".into(),
        Value::Number(digits) => format!("#{digits}"),
        Value::Text(text) => format!("{text:?}"),
    }
}

fn yaml_is(text: &str, expected: &str) {
    let (tree, faults) = read(yaml, "a.yaml", text);
    assert_eq!(messages(faults), "");
    assert_eq!(show(&tree.unwrap()), expected, "{text}");
}

fn yaml_faults(text: &str) -> String {
    messages(read(yaml, "a.yaml", text).1)
}

fn toml_faults(text: &str) -> String {
    messages(read(toml, "a.toml", text).1)
}

#[test]
fn yaml_scalars_mean_what_they_look_like() {
    for (text, expected) in [
        ("a: true", "{a: true}"),
        ("a: True", "{a: \"True\"}"),
        ("a: no\nb: yes\nc: on\nd: off", "{a: \"no\", b: \"yes\", c: \"on\", d: \"off\"}"),
        ("a: 2026-11-21", "{a: \"2026-11-21\"}"),
        ("a: 12\nb: -1.5e3\nc: \"12\"", "{a: #12, b: #-1.5e3, c: \"12\"}"),
        (
            "a: 010\nb: 0x1F\nc: 1_000\nd: .5\ne: +1",
            "{a: \"010\", b: \"0x1F\", c: \"1_000\", d: \".5\", e: \"+1\"}",
        ),
        ("a:\nb: null\nc: ~\nd: ''", "{a: null, b: null, c: null, d: \"\"}"),
        ("- { on: \"GET /c/{id}\", records: $ }", "[{on: \"GET /c/{id}\", records: \"$\"}]"),
        ("---\na: |\n  two\n  lines\n", "{a: \"two\\nlines\\n\"}"),
        ("true: 1\n12: 2", "{true: #1, 12: #2}"),
        ("a: 1\r\nb: 2\r\n", "{a: #1, b: #2}"),
    ] {
        yaml_is(text, expected);
    }
}

#[test]
fn yaml_that_readers_disagree_about_is_refused_with_its_place() {
    insta::assert_snapshot!(yaml_faults("a: &x 1\nb: *x\nc: *gone\n<<: { d: 1 }\ne: !!str 1\nf: { g: 1, g: 2 }\n? [k]\n: v\n"), @r#"
    a.yaml:1:4: anchor `x` is not allowed
     1 | a: &x 1
       |    ^^
      help: remove it
    a.yaml:2:4: an alias is not allowed
     2 | b: *x
       |    ^^
      help: write the value out, or quote it
    a.yaml:3:4: an alias is not allowed
     3 | c: *gone
       |    ^^^^^
      help: write the value out, or quote it
    a.yaml:4:1: a merge key is not allowed
     4 | <<: { d: 1 }
       | ^^
      help: write the values out
    a.yaml:5:4: a tag is not allowed
     5 | e: !!str 1
       |    ^^^^^
      help: remove it, or put the text in quotes
    a.yaml:6:12: `g` stands in this map twice
     6 | f: { g: 1, g: 2 }
       |            ^
      help: remove one of them
    a.yaml:7:3: a key is text, not a list or a map
     7 | ? [k]
       |   ^^^
    "#);
}

#[test]
fn a_second_document_and_directives_are_refused() {
    insta::assert_snapshot!(yaml_faults("a: 1\n---\nb: 2\n"), @r#"
    a.yaml:2:1: a second document starts here
     2 | ---
       | ^^^
      help: put it in a file of its own
    "#);
    insta::assert_snapshot!(yaml_faults("%YAML 1.1\n---\na: 1\n"), @r#"
    a.yaml:1:1: this is no YAML: YAML directives are disallowed
     1 | %YAML 1.1
       | ^
    "#);
    insta::assert_snapshot!(yaml_faults("# nothing\n"), @r#"
    a.yaml:1:1: the file is empty
     1 | # nothing
       | ^
    "#);
    insta::assert_snapshot!(yaml_faults("a: [1\nb: 2\n"), @r#"
    a.yaml:2:2: this is no YAML: illegal placement of ':' indicator
     2 | b: 2
       |  ^
    "#);
    insta::assert_snapshot!(yaml_faults("a:\n\t- 1\n"), @r#"
    a.yaml:2:2: this is no YAML: tabs disallowed within this context (block indentation)
     2 |  - 1
       |  ^
    "#);
}

#[test]
fn what_does_not_show_is_refused() {
    insta::assert_snapshot!(yaml_faults("\u{feff}a: 1 # \u{202e}x\nb: \"\\u0007\"\nc: d\re: f\n"), @r#"
    a.yaml:1:1: the file starts with a byte order mark: U+FEFF
     1 | �a: 1 # �x
       | ^
      help: remove it
    a.yaml:1:9: a character that does not show stands here: U+202E
     1 | �a: 1 # �x
       |         ^
      help: remove it
    a.yaml:2:4: the text holds a character that does not show: U+0007
     2 | b: "\u0007"
       |    ^^^^^^^^
      help: remove its escape
    a.yaml:3:5: a carriage return without a line feed stands here: U+000D
     3 | c: d�e: f
       |     ^
      help: remove it
    "#);
    insta::assert_snapshot!(toml_faults("\u{feff}a = 1 # \u{202e}x\nb = \"\\u0007\"\n"), @r#"
    a.toml:1:1: the file starts with a byte order mark: U+FEFF
     1 | �a = 1 # �x
       | ^
      help: remove it
    a.toml:1:10: a character that does not show stands here: U+202E
     1 | �a = 1 # �x
       |          ^
      help: remove it
    a.toml:2:5: the text holds a character that does not show: U+0007
     2 | b = "\u0007"
       |     ^^^^^^^^
      help: remove its escape
    "#);
}

#[test]
fn depth_and_length_are_bounded() {
    let flow = format!("a: {}1{}", "[".repeat(40), "]".repeat(40));
    assert!(yaml_faults(&flow).starts_with("a.yaml:1:35: values nest deeper than 32 here"));
    let block: String = (0..40).map(|i| format!("{}k:\n", " ".repeat(i))).collect();
    assert!(yaml_faults(&block).starts_with("a.yaml:33:33: values nest deeper than 32 here"));
    assert!(!yaml_faults(&"[".repeat(100_000)).is_empty());
    assert!(toml_faults(&format!("a = {}", "[".repeat(100_000))).contains("nest deeper"));
    assert!(toml_faults(&format!("{}a = 1", "a.".repeat(100_000))).contains("nest deeper"));
    assert!(toml_faults(&format!("[{}a]", "a.".repeat(100_000))).contains("nest deeper"));
    assert!(toml_faults(&format!("{}a = 1", "\"=\".".repeat(50))).contains("nest deeper"));
    for reader in [yaml as Read, toml] {
        let (tree, faults) = read(reader, "a", &"#".repeat(MAX_FILE + 1));
        assert!(tree.is_none());
        let expected = "a:1:1: the file is 1048577 bytes long, more than 1048576\n";
        assert!(messages(faults).starts_with(expected));
    }
}

#[test]
fn toml_keeps_order_and_reports_every_fault() {
    let text =
        "z = 1\nhex = 0x1F\nd = 2026-11-21\n[b.c]\ny = 'no'\n[[a]]\nk = [1.5, true]\n[[a]]\n";
    let (tree, faults) = read(toml, "a.toml", text);
    assert_eq!(messages(faults), "");
    assert_eq!(
        show(&tree.unwrap()),
        "{z: #1, hex: #31, d: \"2026-11-21\", b: {c: {y: \"no\"}}, a: [{k: [#1.5, true]}, {}]}"
    );
    insta::assert_snapshot!(toml_faults("a = 1\na = 2\n[t]\n[t]\nb = { c = 1, c = 2 }\n"), @r#"
    a.toml:2:1: `a` stands in this table twice
     2 | a = 2
       | ^
      help: remove one of them
    a.toml:4:2: `t` stands in this table twice
     4 | [t]
       |  ^
      help: remove one of them
    a.toml:5:14: `c` stands in this table twice
     5 | b = { c = 1, c = 2 }
       |              ^
      help: remove one of them
    "#);
    insta::assert_snapshot!(toml_faults("a = nope\nb = \nc = 1 2\n= 3\n"), @r#"
    a.toml:1:5: this is no TOML: invalid float, expected `nan`
     1 | a = nope
       |     ^^^^
    a.toml:2:5: this is no TOML: string values must be quoted, expected literal string
     2 | b = 
       |     ^
    a.toml:3:5: this is no TOML: string values must be quoted, expected literal string
     3 | c = 1 2
       |     ^^^
    a.toml:4:1: this is no TOML: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`
     4 | = 3
       | ^
    "#);
}

#[test]
fn a_map_reader_reports_what_is_missing_unknown_and_for_later() {
    let (tree, mut faults) =
        read(yaml, "a.yaml", "roels: [support]\nfeilds: {}\nwrites: [a]\ncan: [read]\nxyzzy: 1\n");
    let tree = tree.unwrap();
    let mut map = MapReader::new(&tree, "a grant", &mut faults).unwrap();
    map.required("id", &mut faults);
    map.optional("roles");
    map.optional("can");
    map.optional("fields");
    map.later("writes", &mut faults);
    map.finish(&mut faults);
    insta::assert_snapshot!(messages(faults), @r#"
    a.yaml:1:1: a grant needs `id`
     1 | roels: [support]
       | ^^^^^^^^^^^^^^^^
    a.yaml:1:1: a grant has no `roels`
     1 | roels: [support]
       | ^^^^^
      help: did you mean `roles`?
    a.yaml:2:1: a grant has no `feilds`
     2 | feilds: {}
       | ^^^^^^
      help: did you mean `fields`?
    a.yaml:3:1: `writes` is not in this version
     3 | writes: [a]
       | ^^^^^^
      help: leave it out; nothing here acts on it yet
    a.yaml:5:1: a grant has no `xyzzy`
     5 | xyzzy: 1
       | ^^^^^
      help: known here: `id`, `roles`, `can`, `fields`, `writes`
    "#);
}

#[test]
#[expect(clippy::too_many_lines, reason = "the messages are the test")]
fn leaf_readers_report_what_they_wanted() {
    let text = "text: 12\nempty: ''\nbool: yes\nwhole: 1.5\nrange: 70000\nlist: a\nmap: []\n\
        texts: [a, b, a, 1]\nid: a b\nword: maks\ntime: 15 minuets\nzero: 0 days\nmoment: 2026-13-01\n\
        title: { en: x, English: y }\n";
    let (tree, mut faults) = read(yaml, "a.yaml", text);
    let tree = tree.unwrap();
    let mut map = MapReader::new(&tree, "a thing", &mut faults).unwrap();
    let f = &mut faults;
    assert_eq!(map.optional("text").unwrap().text(f), None);
    assert_eq!(map.optional("empty").unwrap().text(f), None);
    assert_eq!(map.optional("bool").unwrap().bool(f), None);
    assert_eq!(map.optional("whole").unwrap().u64(f), None);
    assert_eq!(map.optional("range").unwrap().whole(1..=65_535, f), None);
    assert!(map.optional("list").unwrap().list(f).is_none());
    assert!(map.optional("map").unwrap().map(f).is_none());
    assert_eq!(map.optional("texts").unwrap().texts(f).len(), 2);
    assert_eq!(map.optional("id").unwrap().id(RoleId::parse, f), None);
    let parse = |word: &str| (word == "mask").then_some(());
    assert_eq!(map.optional("word").unwrap().word("view", parse, &["show", "mask"], f), None);
    assert_eq!(map.optional("time").unwrap().seconds(f), None);
    assert_eq!(map.optional("zero").unwrap().seconds(f), None);
    assert_eq!(map.optional("moment").unwrap().moment(f), None);
    assert!(map.optional("title").unwrap().localized(f).is_some());
    map.finish(f);
    insta::assert_snapshot!(messages(faults), @r#"
    a.yaml:1:7: expected text, found a number
     1 | text: 12
       |       ^^
      help: put it in quotes
    a.yaml:2:8: text is empty
     2 | empty: ''
       |        ^^
    a.yaml:3:7: expected `true` or `false`, found text
     3 | bool: yes
       |       ^^^
    a.yaml:4:8: expected a whole number from 0 to 18446744073709551615, found `1.5`
     4 | whole: 1.5
       |        ^^^
    a.yaml:5:8: expected a whole number from 1 to 65535, found `70000`
     5 | range: 70000
       |        ^^^^^
    a.yaml:6:7: expected a list, found text
     6 | list: a
       |       ^
      help: write it as `[a, b]`
    a.yaml:7:6: expected a map, found a list
     7 | map: []
       |      ^^
      help: write it as `{ key: value }`
    a.yaml:8:15: `a` stands here twice
     8 | texts: [a, b, a, 1]
       |               ^
    a.yaml:8:18: expected text, found a number
     8 | texts: [a, b, a, 1]
       |                  ^
      help: put it in quotes
    a.yaml:9:5: role `a b` has the character ' '; use letters, digits, `.`, `_` or `-`
     9 | id: a b
       |     ^^^
    a.yaml:10:7: unknown view `maks`
     10 | word: maks
        |       ^^^^
      help: did you mean `mask`?
    a.yaml:11:7: `15 minuets` is no length of time
     11 | time: 15 minuets
        |       ^^^^^^^^^^
      help: write it as `15 minutes`, `24 hours` or `3 years`
    a.yaml:12:7: `0 days` is no length of time
     12 | zero: 0 days
        |       ^^^^^^
      help: write it as `15 minutes`, `24 hours` or `3 years`
    a.yaml:13:9: `2026-13-01` is no date
     13 | moment: 2026-13-01
        |         ^^^^^^^^^^
      help: write it as 2026-11-21 or 2026-11-21T09:00:00Z
    a.yaml:14:17: `English` is no language tag
     14 | title: { en: x, English: y }
        |                 ^^^^^^^
      help: write it as `en` or `zh-CN`
    "#);
}

#[test]
fn lengths_of_time_and_moments() {
    for (text, seconds) in
        [("15 minutes", 900), ("1 hour", 3_600), ("24 hours", 86_400), ("3 years", 94_608_000)]
    {
        let (tree, mut faults) = read(yaml, "a.yaml", text);
        assert_eq!(tree.unwrap().seconds(&mut faults), Some(seconds));
    }
    for (text, shown) in [
        ("2026-11-21", "2026-11-21T00:00:00.000Z"),
        ("2026-11-21T09:00:00Z", "2026-11-21T09:00:00.000Z"),
        ("2026-11-21T09:00:00+02:00", "2026-11-21T07:00:00.000Z"),
    ] {
        let (tree, mut faults) = read(yaml, "a.yaml", text);
        assert_eq!(tree.unwrap().moment(&mut faults).unwrap().to_string(), shown);
    }
}

#[test]
fn the_nearest_word_is_found_only_when_near() {
    let known =
        ["show", "mask", "generalize", "pseudonymize", "drop", "client_id", "client_id_file"];
    for (word, expected) in [
        ("maks", Some("mask")),
        ("Mask", Some("mask")),
        ("generalise", Some("generalize")),
        ("psuedonymise", Some("pseudonymize")),
        ("client", Some("client_id")),
        ("hide", None),
        ("", None),
    ] {
        assert_eq!(closest(word, known.into_iter()), expected, "{word}");
    }
}

proptest! {
    #[test]
    fn no_text_breaks_the_readers(text in "[-a-c:{}\\[\\],&*!|>'\"#%?\n\r\t .=0-9é\u{feff}\u{202e}]{0,80}") {
        prop_assert!(places_hold(&text));
    }

    #[test]
    fn no_characters_break_the_readers(text in any::<String>()) {
        prop_assert!(places_hold(&text));
    }

    #[test]
    fn text_written_in_double_quotes_comes_back(text in "[ -~é好\n\t]{1,40}") {
        let quoted = serde_json::to_string(&text).unwrap();
        let (tree, faults) = read(yaml, "a", &format!("k: {quoted}"));
        prop_assert_eq!(messages(faults), "");
        prop_assert_eq!(show(&tree.unwrap()), format!("{{k: {text:?}}}"));
        let (tree, faults) = read(toml, "a", &format!("k = {quoted}"));
        prop_assert_eq!(messages(faults), "");
        prop_assert_eq!(show(&tree.unwrap()), format!("{{k: {text:?}}}"));
    }
}
