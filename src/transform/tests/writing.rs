//! What of a record's structure reaches the caller.

use super::*;

const SHOW: View = View::Show;
const DROP: View = View::Drop;

#[track_caller]
fn check(fields: &[(&str, View)], json: &str, expected: &str) {
    assert_eq!(rewrite(fields, json).unwrap(), expected);
}

#[test]
fn only_listed_members_pass() {
    check(&[("a", SHOW)], r#"{"x":1,"a":2,"y":{"a":3},"z":[{"a":4}]}"#, r#"{"a":2}"#);
    check(&[("a", SHOW)], "{}", "{}");
    check(&[("a", SHOW)], "{ \n \"a\" \t:\r 2 , \"x\" : [ ] } ", r#"{"a":2}"#);
    check(&[], r#"{"a":1}"#, "{}");
    check(&[("a", SHOW), ("b", DROP), ("c", SHOW)], r#"{"c":1,"b":2,"a":3}"#, r#"{"c":1,"a":3}"#);
}

#[test]
fn names_are_compared_unescaped_and_byte_for_byte() {
    let fields = &[("email", SHOW), ("a\"b", SHOW)];
    check(fields, r#"{"\u0065mail":1}"#, r#"{"email":1}"#);
    check(fields, r#"{"a\u0022b":1}"#, r#"{"a\"b":1}"#);
    for name in ["EMAIL", "Email", "еmail", "\u{feff}email", "email ", "ｅmail", "ema\u{200b}il"]
    {
        check(fields, &format!("{{\"{name}\":1}}"), "{}");
    }
}

#[test]
fn containers_show_their_listed_parts() {
    let fields = &[("address.city", SHOW), ("address.street", DROP), ("address.geo.lat", SHOW)];
    let json = r#"{"address":{"street":"1","city":"2","geo":{"lat":3,"lon":4},"x":{"city":5}}}"#;
    check(fields, json, r#"{"address":{"city":"2","geo":{"lat":3}}}"#);
    check(fields, r#"{"address":{"street":"1"}}"#, r#"{"address":{}}"#);
    check(fields, r#"{"address":{}}"#, r#"{"address":{}}"#);
    check(fields, r#"{"address":null}"#, r#"{"address":null}"#);
    check(fields, r#"{"address":"1 High Street"}"#, "{}");
    check(fields, r#"{"address":[{"city":"2"}]}"#, "{}");
}

#[test]
fn a_container_of_which_nothing_is_shown_is_dropped_whatever_it_holds() {
    let fields = &[("a.b", DROP), ("a.c", View::Ciphertext), ("l[*].b", DROP), ("z", SHOW)];
    for json in [
        r#"{"a":{"b":1,"c":2},"l":[{"b":1}],"z":0}"#,
        r#"{"a":{},"l":[],"z":0}"#,
        r#"{"a":null,"l":[null],"z":0}"#,
        r#"{"z":0,"l":[{"b":[{}]}],"a":{"b":{"c":2}}}"#,
    ] {
        check(fields, json, r#"{"z":0}"#);
    }
}

#[test]
fn arrays_of_containers_keep_their_count_when_something_is_shown() {
    let fields = &[("cards[*].pan", SHOW), ("cards[*].cvc", DROP)];
    check(
        fields,
        r#"{"cards":[{"pan":"1","cvc":"2"},{"cvc":"3"},{}]}"#,
        r#"{"cards":[{"pan":"1"},{},{}]}"#,
    );
    check(fields, r#"{"cards":[null,{"pan":"1"}]}"#, r#"{"cards":[null,{"pan":"1"}]}"#);
    check(fields, r#"{"cards":["4111",[{"pan":"1"}],{"pan":"2"}]}"#, r#"{"cards":[{"pan":"2"}]}"#);
    check(fields, r#"{"cards":{"pan":"1"}}"#, "{}");
    check(
        &[("m[*][*].v", SHOW)],
        r#"{"m":[[{"v":1}],[],[{"v":2},{"w":3}]]}"#,
        r#"{"m":[[{"v":1}],[],[{"v":2},{}]]}"#,
    );
}

#[test]
fn a_part_listed_by_itself_is_not_shown_by_the_whole() {
    let shape = shape(&[("a", true), ("a.secret", false)]);
    let out = rewrite_one(&shape, br#"{"a":{"secret":1,"x":2}}"#, in_clear(&[SHOW, DROP])).unwrap();
    assert_eq!(out, br#"{"a":{}}"#);
}

#[test]
fn a_field_without_a_view_is_dropped() {
    let (shape, _) = listed(&[("a", SHOW), ("b", SHOW)]);
    let out = rewrite_one(&shape, br#"{"a":1,"b":2}"#, in_clear(&[SHOW])).unwrap();
    assert_eq!(out, br#"{"a":1}"#);
}

#[test]
fn a_record_of_many_fields_is_rewritten_too() {
    let names: Vec<String> = (0..300).map(|n| format!("field_{n}")).collect();
    let fields: Vec<(&str, View)> = names
        .iter()
        .enumerate()
        .map(|(n, name)| (&**name, if n % 3 == 0 { SHOW } else { DROP }))
        .collect();
    let member = |n: usize| format!("\"field_{n}\":{n}");
    let all: Vec<String> = (0..400).map(member).collect();
    let shown: Vec<String> = (0..300).step_by(3).map(member).collect();
    check(&fields, &format!("{{{}}}", all.join(", ")), &format!("{{{}}}", shown.join(",")));
}
