//! Each view of each kind of value, in words.

use super::*;
use crate::policy::DatePart;
use crate::policy::Generalize;
use crate::policy::Mask;

const fn mask(keep_first: u8, keep_last: u8, keep_domain: bool) -> View {
    View::Mask(Mask { keep_first, keep_last, keep_domain })
}

const YEAR: View = View::Generalize(Generalize::Date(DatePart::Year));
const MONTH: View = View::Generalize(Generalize::Date(DatePart::Month));

const fn step(step: u64) -> View {
    View::Generalize(Generalize::Number { step })
}

/// Checks what becomes of one value; an empty expectation means that the field is dropped.
fn check(view: View, value: &str, expected: &str) {
    let expected = if expected.is_empty() { "{}".into() } else { format!("{{\"v\":{expected}}}") };
    assert_eq!(
        rewrite(&[("v", view)], &format!("{{\"v\":{value}}}")).unwrap(),
        expected,
        "{value}"
    );
}

#[test]
fn what_is_shown_is_copied_byte_for_byte() {
    for value in [
        "0",
        "-0",
        "1e400",
        "-1.50e-10",
        "123456789012345678901234567890.10",
        "true",
        "null",
        "\"\"",
        "\"吉祥 😀 é\"",
        r#""\u00e9\/\"\\\ud83d\ude00\u0000""#,
        "\"\u{2028}\u{7f}\"",
        "[]",
        "[1,\"a\",null,true]",
    ] {
        check(View::Show, value, value);
        check(View::Generalize(Generalize::Part), value, value);
    }
}

#[test]
fn what_is_dropped_leaves_nothing() {
    for value in ["1", "\"a\"", "null", "[]", "[1]", "{}", "{\"a\":1}"] {
        check(View::Drop, value, "");
        check(View::Ciphertext, value, "");
    }
}

#[test]
fn null_says_nothing_in_any_view() {
    for view in [View::Show, mask(1, 0, true), View::TOKEN, YEAR, step(10)] {
        check(view, "null", "null");
    }
}

#[test]
fn a_mask_has_one_width_whatever_it_hides() {
    check(mask(0, 0, false), r#""a""#, r#""***""#);
    check(mask(0, 0, false), r#""a very long value indeed""#, r#""***""#);
    check(mask(1, 0, false), r#""Alice""#, r#""A***""#);
    check(mask(0, 4, false), r#""+447700900199""#, r#""***0199""#);
    check(mask(2, 2, false), r#""TEST-ID-0021""#, r#""TE***21""#);
    check(mask(0, 4, false), "447700900199", r#""***0199""#);
    check(mask(1, 1, false), "true", r#""***""#);
    check(mask(255, 255, true), r#""short""#, r#""***""#);
}

#[test]
fn a_mask_never_gives_a_short_value_away() {
    check(mask(1, 0, false), r#""""#, r#""***""#);
    check(mask(1, 0, false), r#""a""#, r#""***""#);
    check(mask(1, 0, false), r#""ab""#, r#""***""#);
    check(mask(1, 0, false), r#""abc""#, r#""a***""#);
    check(mask(0, 4, false), r#""12345""#, r#""***""#);
    check(mask(0, 4, false), r#""123456""#, r#""***3456""#);
    check(mask(2, 2, false), r#""12345""#, r#""***""#);
    check(mask(0, 4, false), "12345", r#""***""#);
}

#[test]
fn a_mask_keeps_the_domain_of_an_address_only() {
    let hint = mask(1, 0, true);
    check(hint, r#""zoe@mail.example""#, r#""z***@mail.example""#);
    check(hint, r#""al@mail.example""#, r#""***@mail.example""#);
    check(hint, r#""a@mail.example""#, r#""***@mail.example""#);
    check(hint, r#""a@b@mail.example""#, r#""a***@mail.example""#);
    check(hint, r#""李雷同@例子.测试""#, r#""李***@例子.测试""#);
    check(hint, r#""zoe\u0040mail.example""#, r#""z***@mail.example""#);
    check(hint, r#""no address""#, r#""n***""#);
    check(hint, r#""@mail.example""#, r#""@***""#);
    check(hint, r#""call me @ home, 1 High Street""#, r#""c***""#);
    check(hint, r#""zoe@""#, r#""z***""#);
    check(hint, r#""zoe@localhost""#, r#""z***""#);
    check(hint, r#""zoe@mail..example""#, r#""z***""#);
    check(mask(0, 2, true), r#""zoe@mail.example""#, r#""***@mail.example""#);
    check(mask(0, 2, true), r#""zoey@mail.example""#, r#""***ey@mail.example""#);
}

#[test]
fn a_mask_counts_characters_not_bytes_and_keeps_text_whole() {
    check(mask(1, 1, false), r#""吉祥如意""#, r#""吉***意""#);
    check(mask(1, 0, false), r#""😀😀😀""#, r#""😀***""#);
    check(mask(1, 0, false), r#""\ud83d\ude00abc""#, r#""😀***""#);
    check(mask(1, 1, false), r#""\"a\\b\n""#, r#""\"***\n""#);
    check(mask(1, 1, false), r#""\u0001ab\u001f""#, r#""\u0001***\u001f""#);
}

#[test]
fn a_date_becomes_its_year_or_month() {
    check(YEAR, r#""1988-10-09""#, r#""1988""#);
    check(MONTH, r#""1988-10-09""#, r#""1988-10""#);
    check(YEAR, r#""2024-02-29T23:59:60.999+05:30""#, r#""2024""#);
    check(MONTH, r#""2024-02-29 10:15""#, r#""2024-02""#);
    check(YEAR, r#""1988\u002d10-09""#, r#""1988""#);
}

#[test]
fn what_is_no_date_is_dropped() {
    for value in [
        r#""""#,
        r#""1988""#,
        r#""1988-10""#,
        r#""1988-1-9""#,
        r#""09.10.1988""#,
        r#""10/09/1988""#,
        r#""1988-13-01""#,
        r#""1988-02-30""#,
        r#""2023-02-29""#,
        r#""1900-02-29""#,
        r#""1988-00-01""#,
        r#""1988-10-00""#,
        r#""1988-10-09x""#,
        r#""1988-10-09 secret""#,
        r#""1988-10-09T10:15 her""#,
        r#""19881009""#,
        r#""+988-10-09""#,
        r#""1988-+1-09""#,
        r#""-988-10-09""#,
        r#""198--10-09""#,
        r#"" 988-10-09""#,
        r#""٠٩٨٨-10""#,
        "1988",
        "592358400",
        "true",
        "{}",
        "{\"y\":1988}",
    ] {
        check(YEAR, value, "");
        check(MONTH, value, "");
    }
}

#[test]
fn a_number_becomes_the_step_below_it() {
    check(step(10), "42", "40");
    check(step(10), "40", "40");
    check(step(10), "9", "0");
    check(step(10), "0", "0");
    check(step(10), "-0", "0");
    check(step(10), "-1", "-10");
    check(step(10), "-10", "-10");
    check(step(100), "1234.56", "1200");
    check(step(1), "-0.5", "-1");
    check(step(1), "-1.0", "-1");
    check(step(1), "0.999999999999999999999999999999999999999999", "0");
    check(step(1000), "12345678901234567890123456789", "12345678901234567890123456000");
    check(
        step(1),
        "170141183460469231731687303715884105727",
        "170141183460469231731687303715884105727",
    );
}

#[test]
fn what_is_no_plain_number_is_dropped() {
    for value in [
        "1e3",
        "1.5E2",
        "170141183460469231731687303715884105728",
        "\"42\"",
        "true",
        "{}",
        "-170141183460469231731687303715884105728.5",
    ] {
        check(step(1), value, "");
    }
    check(step(10), "-170141183460469231731687303715884105728", "");
    check(step(0), "42", "");
}

#[test]
fn a_pseudonym_is_made_of_the_unescaped_text() {
    let (shape, views) = listed(&[("id", View::TOKEN), ("v", View::TOKEN)]);
    let run = |json: &str| {
        String::from_utf8(rewrite_one(&shape, json.as_bytes(), in_clear(&views)).unwrap()).unwrap()
    };
    let same = r#"{"id":"ps1_subject-person_c1","v":"ps1_user-contact-email_c1"}"#;
    assert_eq!(run(r#"{"id":"c1","v":"c1"}"#), same);
    assert_eq!(run(r#"{"id":"\u0063\u0031","v":"c\u0031"}"#), same);
    assert_eq!(
        run(r#"{"id":1001,"v":true}"#),
        r#"{"id":"ps1_subject-person_1001","v":"ps1_user-contact-email_true"}"#
    );
    assert_eq!(run(r#"{"id":null,"v":{"c1":1}}"#), r#"{"id":null}"#);
}

#[test]
fn a_token_that_is_not_plain_text_never_leaves() {
    #[derive(Debug)]
    struct Broken(&'static [u8], bool);
    impl Pseudonyms for Broken {
        fn write(&self, _plain: &Plain<'_>, out: &mut Vec<u8>) -> bool {
            out.extend_from_slice(self.0);
            self.1
        }
    }
    let (shape, views) = listed(&[("id", View::TOKEN)]);
    let made = [&b""[..], b"\",\"x\":\"", b"a b", b"\xff"].map(|token| (token, true));
    for (token, is_made) in made.into_iter().chain([(&b"ps1_half"[..], false)]) {
        let broken = Broken(token, is_made);
        let showing = Showing { pseudonyms: &broken, ..in_clear(&views) };
        let out = rewrite_one(&shape, br#"{"id":"c1"}"#, showing).unwrap();
        assert_eq!(out, b"{}");
    }
}

#[test]
fn items_are_viewed_one_by_one() {
    check(
        mask(1, 0, false),
        r#"["Alice",null,"Bo",12345,["x"],{"y":1},false]"#,
        r#"["A***",null,"***","1***","***"]"#,
    );
    check(YEAR, r#"["1988-10-09","x",null]"#, r#"["1988",null]"#);
    check(View::Show, r#"[ 1 , {"a":1} , "b" , [2] ]"#, r#"[1,"b"]"#);
    assert_eq!(
        rewrite(&[("v[*]", mask(1, 0, false))], r#"{"v":["Alice","Bob"]}"#).unwrap(),
        r#"{"v":["A***","B***"]}"#
    );
    assert_eq!(rewrite(&[("v[*]", View::Show)], r#"{"v":"Alice"}"#).unwrap(), "{}");
}

#[test]
fn a_container_where_a_value_is_listed_is_dropped() {
    check(View::Show, r#"{"street":"1 High Street"}"#, "");
    check(mask(1, 0, false), r#"{"street":"1 High Street"}"#, "");
    check(View::Show, r#"[{"street":"1 High Street"}]"#, "[]");
}

#[test]
fn a_whole_value_is_shown_with_all_it_holds_or_not_at_all() {
    let shape = shape(&[("id", false), ("v", true)]);
    let run = |view: View, value: &str| {
        let json = format!("{{\"v\":{value}}}");
        let out = rewrite_one(&shape, json.as_bytes(), in_clear(&[View::Drop, view])).unwrap();
        String::from_utf8(out).unwrap()
    };
    let value = r#"[ { "a" : [1e400, "\u00e9"], "b":{} } ]"#;
    assert_eq!(run(View::Show, value), format!("{{\"v\":{value}}}"));
    assert_eq!(run(mask(1, 1, true), value), r#"{"v":"***"}"#);
    assert_eq!(run(mask(1, 0, false), r#""Alice""#), r#"{"v":"A***"}"#);
    for view in [View::TOKEN, YEAR, step(1), View::Drop, View::Ciphertext] {
        assert_eq!(run(view, value), "{}", "{view}");
    }
}
