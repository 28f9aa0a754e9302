//! What is strict JSON and what is not, whatever else is at hand.

use super::*;

fn accepts(text: &str) {
    assert_eq!(validate(text.as_bytes()), Ok(()), "{text}");
}

fn refuses(text: impl AsRef<[u8]>, what: Malformed) {
    let text = text.as_ref();
    assert_eq!(validate(text), Err(what), "{}", String::from_utf8_lossy(text));
}

#[test]
fn well_formed_values_are_accepted() {
    for text in [
        "{}",
        "[]",
        " [ ] ",
        "\t\n\r {} ",
        "null",
        "true",
        "false",
        "\"\"",
        "0",
        "-0",
        "-0.0e-0",
        "1",
        "-1",
        "10",
        "1.5",
        "1e5",
        "1E+5",
        "1e-5",
        "1.25e400",
        "123456789012345678901234567890",
        r#""a\"b\\c\/d\b\f\n\r\t\u00e9""#,
        r#""\ud83d\ude00""#,
        r#""\uD834\uDD1E""#,
        r#""\u0000""#,
        "\"\u{7f}\u{2028}\u{FEFF}\"",
        "\"吉祥😀\"",
        r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}"#,
        r#"{"":0," ":1}"#,
        r#"[1,[2,[3,[]]],{}]"#,
        "{\"a\" :\n1 ,\t\"b\":2 }",
        r#"{"a":1,"A":2,"á":3,"а":4}"#,
    ] {
        accepts(text);
    }
}

#[test]
fn broken_structure_is_refused() {
    for text in [
        "",
        " ",
        "{",
        "[",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "[1",
        "\"a",
        "\"",
        "[1,",
        "{\"a\":1,",
        "]",
        "}",
        ",",
        ":",
        "[1,]",
        "[,1]",
        "[1,,2]",
        "[1 2]",
        "[1:2]",
        "[1}",
        "{\"a\":1]",
        "{\"a\" 1}",
        "{\"a\",1}",
        "{\"a\":1,}",
        "{,\"a\":1}",
        "{\"a\":1 \"b\":2}",
        "{1:1}",
        "{a:1}",
        "{'a':1}",
        "{null:1}",
        "{[]:1}",
        "{\"a\":}",
        "{\"a\"::1}",
        "[1,2}",
        "-",
        "[-",
        "1.",
        "1e",
        "1e+",
        "tru",
        "nul",
        "\"\\",
        "\"\\u12",
    ] {
        refuses(text, Malformed::Structure);
    }
}

#[test]
fn words_and_numbers_of_other_languages_are_refused() {
    for text in [
        "NaN",
        "[NaN]",
        "Infinity",
        "undefined",
        "True",
        "nulL",
        "truth",
        "'a'",
        "a",
        "/* */1",
        "//1\n1",
        "#1",
        "<html>",
        "+1",
        ".5",
    ] {
        let found = validate(text.as_bytes());
        assert!(matches!(found, Err(Malformed::Literal)), "{text}: {found:?}");
    }
    for text in [
        "01",
        "-01",
        "00",
        "1.e5",
        "-a",
        "--1",
        "1.5.5",
        "1ee5",
        "1e5.5",
        "0x10",
        "0e+-1",
        "-Infinity",
        "1+1",
        "1-",
    ] {
        let found = validate(text.as_bytes());
        assert!(matches!(found, Err(Malformed::Number | Malformed::Trailing)), "{text}: {found:?}");
    }
}

#[test]
fn broken_strings_are_refused() {
    refuses("\"a\u{0}b\"", Malformed::Control);
    refuses("\"a\nb\"", Malformed::Control);
    refuses("\"\u{1f}\"", Malformed::Control);
    refuses("\"a string of more than forty bytes, with a\ttab in it\"", Malformed::Control);
    refuses("{\"a\tb\":1}", Malformed::Control);
    for text in [
        r#""\x41""#,
        r#""\a""#,
        r#""\'""#,
        r#""\U0041""#,
        r#""\u12g4""#,
        r#""\u+123""#,
        r#""\u 123""#,
        "\"\\\u{e9}\"",
        "\"\\\n\"",
        r#"{"\q":1}"#,
    ] {
        refuses(text, Malformed::Escape);
    }
    for text in [
        r#""\ud800""#,
        r#""\udc00""#,
        r#""\udc00\ud800""#,
        r#""\ud800\ud800""#,
        r#""\ud800a""#,
        r#""\ud800\n""#,
        r#""\ud800\u0041""#,
        r#"{"\ud83d":1}"#,
    ] {
        refuses(text, Malformed::LoneSurrogate);
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused() {
    for bytes in [
        &b"\xff"[..],
        b"\xc0\xaf",
        b"\xed\xa0\x80",
        b"\xf4\x90\x80\x80",
        b"\xe5\x90",
        b"\x80",
        b"\xf8\x88\x80\x80\x80",
    ] {
        refuses([b"\"", bytes, b"\""].concat(), Malformed::NotUtf8);
        refuses([b"{\"", bytes, b"\":1}"].concat(), Malformed::NotUtf8);
    }
    refuses(b"\xEF\xBB\xBF{}", Malformed::Bom);
    assert!(validate(b"\xFE\xFF\0{\0}").is_err());
    assert!(validate(b"{\0}\0").is_err());
}

#[test]
fn what_follows_the_value_is_refused() {
    for text in ["{}{}", "[] []", "1 2", "null,", "{}\u{0}", "{}x", "\"a\" \"b\"", "{}]"] {
        refuses(text, Malformed::Trailing);
    }
}

#[test]
fn a_name_twice_in_one_object_is_refused_however_it_is_written() {
    for text in [
        r#"{"a":1,"a":1}"#,
        r#"{"a":1,"b":2,"a":3}"#,
        r#"{"a":1,"\u0061":2}"#,
        r#"{"":1,"":2}"#,
        r#"{"\u0061\u0062":1,"ab":2}"#,
        r#"{"/":1,"\/":2}"#,
        r#"{"😀":1,"\ud83d\ude00":2}"#,
        r#"[{"x":{"y":[{"a":1,"a":2}]}}]"#,
        r#"{"a longer name":1,"b":2,"a longer name":3}"#,
    ] {
        refuses(text, Malformed::DuplicateName);
    }
    accepts(r#"{"abcdefgh12345678":1,"abcdefgh-2345678":2,"abcdefgh--345678":3}"#);
}

#[test]
fn a_name_twice_among_a_hundred_thousand_is_found_without_comparing_all_pairs() {
    let members: Vec<String> = (0..100_000).map(|n| format!("\"field-{n}\":{n}")).collect();
    let all = members.join(",");
    accepts(&format!("{{{all}}}"));
    refuses(format!("{{{all},\"field-7\":0}}"), Malformed::DuplicateName);
    refuses(format!("{{{all},\"\\u0066ield-99999\":0}}"), Malformed::DuplicateName);
    // Names that only differ in the middle have one fingerprint; sorting bounds them too.
    let alike: Vec<String> =
        (0..100_000).map(|n| format!("\"abcdefgh{n:06}abcdefgh\":0")).collect();
    accepts(&format!("{{{}}}", alike.join(",")));
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| ["[".repeat(depth), "]".repeat(depth)].concat();
    accepts(&nested(128));
    refuses(nested(129), Malformed::TooDeep);
    refuses("[".repeat(1_000_000), Malformed::TooDeep);
    refuses("{\"a\":".repeat(1_000_000), Malformed::TooDeep);
    refuses("[{\"a\":".repeat(100), Malformed::TooDeep);
}

proptest::proptest! {
    #[test]
    fn what_is_accepted_another_reader_accepts_too(text in r#"[\[\]{}:,"\\/u0-9a-fe.+\-tn \x00-\x1f]{0,40}"#) {
        if validate(text.as_bytes()).is_ok() {
            let read: Result<serde::de::IgnoredAny, _> = serde_json::from_str(&text);
            proptest::prop_assert!(read.is_ok(), "{}", text);
        }
    }

    #[test]
    fn a_special_byte_in_a_string_is_found_wherever_it_stands(before in 0usize..90, after in 0usize..90, byte in 0u8..0x80) {
        let mut text = vec![b'"'];
        text.extend(std::iter::repeat_n(b'x', before));
        text.push(byte);
        text.extend(std::iter::repeat_n(b'y', after));
        text.push(b'"');
        let read: Result<serde::de::IgnoredAny, _> = serde_json::from_slice(&text);
        proptest::prop_assert_eq!(validate(&text).is_ok(), read.is_ok(), "{:?}", text);
    }
}
