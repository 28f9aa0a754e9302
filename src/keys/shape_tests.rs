//! Pseudonyms in the shape of what they stand for, beside other ways to say what they must be.

use std::collections::HashSet;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::catalog::FieldIx;
use crate::clock::SystemEntropy;
use crate::policy::Digits;
use crate::policy::Pseudonym;
use crate::state::Engine;
use crate::transform::Plain;
use crate::types::DomainId;
use crate::types::PurposeId;

const CARD: Digits = Digits { min: 12, max: 19, keep_first: 0, keep_last: 0, luhn: true };
const LAST_4: Digits = Digits { min: 16, max: 16, keep_first: 0, keep_last: 4, luhn: true };
const NUMBER: Digits = Digits { min: 6, max: 38, keep_first: 0, keep_last: 0, luhn: false };

struct Desk {
    ring: KeyRing,
    domain: DomainId,
}

impl Desk {
    fn new() -> Self {
        let ring = KeyRing::ephemeral(Engine::memory(), Arc::new(SystemEntropy)).unwrap();
        Self { ring, domain: DomainId::parse("person").unwrap() }
    }

    fn purpose(&self, name: &str) -> PurposePseudonyms {
        self.ring.pseudonyms(&PurposeId::parse(name).unwrap()).unwrap()
    }

    /// The pseudonym of a value of person `id`.
    fn made(&self, purpose: &str, form: Pseudonym, id: &str, value: &str) -> Option<String> {
        self.of_kind((purpose, "user.financial"), form, id, value)
    }

    fn of_kind(
        &self,
        (purpose, kind): (&str, &str),
        form: Pseudonym,
        id: &str,
        value: &str,
    ) -> Option<String> {
        let plain = Plain { form, field: FieldIx(0), kind, value };
        let mut out = b"before".to_vec();
        let is_made = self.purpose(purpose).write(&plain, Some((&self.domain, id)), &mut out);
        let made = String::from_utf8(out.split_off(6)).unwrap();
        assert_eq!(out, b"before");
        assert_eq!(is_made, !made.is_empty(), "{value}");
        is_made.then_some(made)
    }

    fn digits(&self, form: Digits, value: &str) -> Option<String> {
        self.made("p", Pseudonym::Digits(form), "7", value)
    }

    fn date(&self, days: u16, id: &str, value: &str) -> Option<String> {
        self.made("p", Pseudonym::Date { days }, id, value)
    }
}

/// Luhn's formula as it is done by hand: the doubles of every second digit from the right.
fn is_luhn(text: &str) -> bool {
    let digits: Vec<u32> = text.chars().filter_map(|c| c.to_digit(10)).collect();
    let doubled = ["0", "2", "4", "6", "8", "1", "3", "5", "7", "9"];
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match at % 2 {
            0 => *digit,
            _ => doubled[*digit as usize].parse::<u32>().unwrap(),
        })
        .sum();
    sum.is_multiple_of(10)
}

fn with_check_digit(digits: &str) -> String {
    (0..10).map(|check| format!("{digits}{check}")).find(|number| is_luhn(number)).unwrap()
}

/// Days since some day long ago, counted one by one.
fn day_number(date: &str) -> i64 {
    let part = |range: std::ops::Range<usize>| date.get(range).unwrap().parse::<i64>().unwrap();
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    let is_leap = |year: i64| year % 4 == 0 && year % 100 != 0 || year % 400 == 0;
    let lengths =
        |year| [31, if is_leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let years: i64 = (1..year).map(|year| if is_leap(year) { 366 } else { 365 }).sum();
    let month = usize::try_from(month).unwrap() - 1;
    assert!((1..=lengths(year)[month]).contains(&day));
    years + lengths(year).iter().take(month).sum::<i64>() + day
}

#[test]
fn a_card_becomes_another_card_with_its_separators() {
    let desk = Desk::new();
    for number in
        ["4111111111111111", "4111 1111 1111 1111", "3782-822463-10005", "5500 0000.0000/0004"]
    {
        let made = desk.digits(CARD, number).unwrap();
        assert!(is_luhn(&made) && made != number, "{made}");
        let shape = |text: &str| text.replace(|c: char| c.is_ascii_digit(), "0");
        assert_eq!(shape(&made), shape(number));
        assert_eq!(desk.digits(CARD, number), Some(made), "the same again");
    }
    // The separators are no part of the number.
    let plain = desk.digits(CARD, "4111111111111111").unwrap();
    let spaced = desk.digits(CARD, "4111 1111 1111 1111").unwrap();
    assert_eq!(spaced.replace(' ', ""), plain);
}

#[test]
fn what_is_no_such_number_is_not_shown() {
    let desk = Desk::new();
    let refused = [
        "",
        "4",
        "41111",
        "411111111111",
        "4111111111111112",
        "41111111111111111111",
        "4111 1111 1111 111a",
        "Visa 4111111111111111",
        "４１１１１１１１１１１１１１１１",
        "4111111111111111\u{661}",
        "4111\t1111\t1111\t1111",
        "4111\u{a0}1111\u{a0}1111\u{a0}1111",
        "-",
        "4e11",
        "\"4111111111111111\"",
    ];
    for value in refused {
        assert_eq!(desk.digits(CARD, value), None, "{value}");
    }
    // 79083 is valid by the formula, and too short for it to hide anything.
    for (form, value) in
        [(NUMBER, "12345"), (NUMBER, &*"1".repeat(39)), (LAST_4, "378282246310005")]
    {
        assert_eq!(desk.digits(form, value), None, "{value}");
    }
    let padded = format!("123456{}", " ".repeat(200));
    assert_eq!(desk.digits(NUMBER, &padded), None);
    // A form that keeps too much never gets past `check`; should it, nothing is shown.
    for form in [
        Digits { keep_first: 6, keep_last: 4, ..CARD },
        Digits { keep_first: 16, ..CARD },
        Digits { keep_first: 200, keep_last: 200, ..CARD },
    ] {
        assert_eq!(desk.digits(form, "4111111111111111"), None);
    }
}

#[test]
fn leading_zeros_are_digits_like_others() {
    let desk = Desk::new();
    let made: HashSet<String> = (6..=20)
        .map(|len| desk.digits(NUMBER, &"0".repeat(len)).unwrap())
        .inspect(|made| assert!(made.bytes().all(|byte| byte.is_ascii_digit())))
        .collect();
    assert_eq!(made.len(), 15);
    assert_ne!(desk.digits(NUMBER, "000123"), desk.digits(NUMBER, "0000123"));
}

#[test]
fn an_address_becomes_one_that_no_mail_reaches() {
    let desk = Desk::new();
    let email = |purpose, value| desk.made(purpose, Pseudonym::Email, "7", value);
    let made = email("order_support", "zoë@mail.example").unwrap();
    let (local, domain) = made.split_once('@').unwrap();
    assert_eq!(domain, "order-support.privet.invalid");
    assert!(local.len() == 27 && local.starts_with('u'), "{local}");
    assert!(local.bytes().all(|byte| byte.is_ascii_lowercase() || (b'2'..=b'7').contains(&byte)));
    assert_ne!(email("order_support", "zoe@mail.example"), Some(made));
    for value in [
        "",
        "zoe",
        "@mail.example",
        "zoe@",
        "zoe@mail",
        "zoe @mail.example",
        "a@b.c\nx@y.z",
        "zoe@-_.x y",
    ] {
        assert_eq!(email("p", value), None, "{value}");
    }
}

#[test]
fn every_purpose_has_a_domain_of_its_own_that_is_a_host_name() {
    let desk = Desk::new();
    let long = "a".repeat(256);
    let purposes = [
        "a_b",
        "a-b",
        "a.b",
        "A_b",
        "a__b",
        "a",
        "A",
        "_a",
        "a_",
        "-",
        ".",
        "xn--a",
        "xn__a",
        "7",
        &long,
        long.get(..255).unwrap(),
    ];
    let domains: HashSet<String> = purposes
        .iter()
        .map(|purpose| {
            let made = desk.made(purpose, Pseudonym::Email, "7", "zoe@mail.example").unwrap();
            let label =
                made.split_once('@').unwrap().1.strip_suffix(".privet.invalid").unwrap().to_owned();
            assert!((1..=63).contains(&label.len()), "{label}");
            assert!(
                label.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-')),
                "{label}"
            );
            assert!(
                !label.starts_with('-') && !label.ends_with('-') && label.get(2..4) != Some("--"),
                "{label}"
            );
            label
        })
        .collect();
    assert_eq!(domains.len(), purposes.len(), "{domains:?}");
    assert!(domains.contains("a-b"));
}

#[test]
fn a_date_keeps_its_format_and_its_time() {
    let desk = Desk::new();
    for value in [
        "1988-10-09",
        "2024-02-29",
        "1900-02-28",
        "2000-12-31",
        "1988-10-09T23:59",
        "1988-10-09 23:59:60",
        "1988-10-09T01:02:03.123456789Z",
        "1988-10-09T01:02:03+05:30",
        "1988-10-09T01:02:03-0800",
        "1988-10-09t01:02z",
    ] {
        let made = desk.date(30, "7", value).unwrap();
        assert_eq!(made.get(10..), value.get(10..));
        let moved = day_number(&made) - day_number(value);
        assert!(moved != 0 && moved.abs() <= 30, "{value} {made}");
    }
}

#[test]
fn what_is_no_date_is_not_shown() {
    let desk = Desk::new();
    for value in [
        "",
        "x",
        "0000-02-30",
        "0000-01-15",
        "2023-02-29",
        "1900-02-29",
        "2024-13-01",
        "2024-00-10",
        "2024-01-00",
        "2024-01-32",
        "24-01-01",
        "2024-1-1",
        "2024/01/01",
        "01.02.2024",
        "20240101",
        "+2024-01-01",
        "-024-01-01",
        "２０２４-01-01",
        "2024-01-01x",
        "2024-01-01T",
        "2024-01-01T24:00",
        "2024-01-01T10:60",
        "2024-01-01T10:30:61.",
        "2024-01-01T10:30:00.1234567890",
        "2024-01-01T10:30 4111111111111111",
        "2024-01-01T10:30+99:00",
        "2024-01-01T10:30ZZ",
        "2024-01-01, born in Ulm",
        "1704067200",
    ] {
        assert_eq!(desk.date(30, "7", value), None, "{value}");
    }
    // Whoever is moved beyond the calendar is not shown; the two ends are beyond it for half of them each.
    let (mut early, mut late) = (0, 0);
    for id in 0..200 {
        let id = id.to_string();
        let (first, last) = (desk.date(9, &id, "0001-01-01"), desk.date(9, &id, "9999-12-31"));
        assert_ne!(first.is_some(), last.is_some());
        early += usize::from(first.is_none());
        late += usize::from(last.is_none());
    }
    assert!(early > 50 && late > 50, "{early} {late}");
}

#[test]
fn a_date_of_nobody_or_of_several_is_not_shown() {
    let desk = Desk::new();
    let form = Pseudonym::Date { days: 30 };
    let plain = Plain { form, field: FieldIx(0), kind: "k", value: "1988-10-09" };
    let mut out = Vec::new();
    assert!(!desk.purpose("p").write(&plain, None, &mut out) && out.is_empty());
}

#[test]
fn people_are_moved_by_every_number_of_days_but_none() {
    let desk = Desk::new();
    let moved: Vec<i64> = (0..600)
        .map(|id| day_number(&desk.date(3, &id.to_string(), "2024-03-01").unwrap()))
        .map(|day| day - day_number("2024-03-01"))
        .collect();
    for days in [-3, -2, -1, 1, 2, 3] {
        let count = moved.iter().filter(|moved| **moved == days).count();
        // 100 expected; six standard deviations are 55.
        assert!((45..155).contains(&count), "{days}: {count}");
    }
    assert!(moved.iter().all(|days| *days != 0 && days.abs() <= 3));
    // The widest range that `check` takes.
    let wide = desk.date(3_653, "7", "2024-03-01").unwrap();
    assert!((day_number(&wide) - day_number("2024-03-01")).abs() <= 3_653);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn numbers_stay_apart_and_what_is_kept_stays(
        left in "[0-9]{16}", right in "[0-9]{16}", first in 0_u8..=6, last in 0_u8..=3, luhn: bool,
    ) {
        let desk = Desk::new();
        let form = Digits { min: 16, max: 17, keep_first: first, keep_last: last, luhn };
        let number = |text: &str| if luhn { with_check_digit(text) } else { text.to_owned() };
        let (left, right) = (number(&left), number(&right));
        let (a, b) = (desk.digits(form, &left).unwrap(), desk.digits(form, &right).unwrap());
        prop_assert_eq!(a == b, left == right);
        for (made, stored) in [(&a, &left), (&b, &right)] {
            prop_assert_ne!(made, stored);
            prop_assert_eq!(made.get(..first.into()), stored.get(..first.into()));
            let end = made.len() - usize::from(last);
            prop_assert_eq!(made.get(end..), stored.get(end..));
            prop_assert!(!luhn || is_luhn(made), "{}", made);
        }
    }

    #[test]
    fn all_dates_of_a_person_move_together(
        id in "[a-z0-9]{1,8}", days in 1_u16..3_653, dates in prop::collection::vec((1900_u16..2100, 1_u8..=12, 1_u8..=28), 1..6),
    ) {
        let desk = Desk::new();
        let mut offsets = HashSet::new();
        for (year, month, day) in dates {
            let date = format!("{year:04}-{month:02}-{day:02}");
            let made = desk.date(days, &id, &date).unwrap();
            offsets.insert(day_number(&made) - day_number(&date));
        }
        prop_assert_eq!(offsets.len(), 1);
        prop_assert!(offsets.iter().all(|moved| *moved != 0 && moved.unsigned_abs() <= u64::from(days)));
    }

    #[test]
    fn nothing_joins_across_purposes_and_kinds(local in "[a-z]{1,20}", digits in "[0-9]{17}", id in "[a-z]{8}") {
        let desk = Desk::new();
        let (mail, number) = (format!("{local}@mail.example"), with_check_digit(&digits));
        for (form, value) in [(Pseudonym::Email, &mail), (Pseudonym::Digits(CARD), &number), (Pseudonym::Token { reversible: false }, &mail)] {
            let made = desk.made("analytics", form, &id, value).unwrap();
            let local = |text: &str| text.split('@').next().unwrap().to_owned();
            for other in [("marketing", "user.financial"), ("analytics", "user.contact")] {
                let other = desk.of_kind(other, form, &id, value).unwrap();
                prop_assert_ne!(local(&made), local(&other));
            }
            prop_assert_eq!(Some(made), desk.made("analytics", form, "somebody-else", value));
        }
    }
}

#[test]
fn a_person_is_moved_differently_in_another_purpose_domain_and_range() {
    let desk = Desk::new();
    let other = DomainId::parse("employee").unwrap();
    let moved = |purpose: &str, domain: &DomainId, days| -> Vec<i64> {
        let purpose = desk.purpose(purpose);
        let of = |id: i32| {
            let form = Pseudonym::Date { days };
            let plain = Plain { form, field: FieldIx(0), kind: "k", value: "2000-01-01" };
            let mut out = Vec::new();
            assert!(purpose.write(&plain, Some((domain, &id.to_string())), &mut out));
            day_number(std::str::from_utf8(&out).unwrap())
        };
        (0..20).map(of).collect()
    };
    let known = moved("p", &desk.domain, 30);
    assert_eq!(known, moved("p", &desk.domain, 30));
    for other in
        [moved("q", &desk.domain, 30), moved("p", &other, 30), moved("p", &desk.domain, 31)]
    {
        assert_ne!(known, other);
    }
}
