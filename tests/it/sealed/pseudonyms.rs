//! Pseudonyms in the shape of what they stand for, of values that are sealed and of some that are
//! not, as callers get them.

use std::collections::BTreeSet;

use privet::clock::SystemEntropy;
use privet::crypto::ValueKind;
use privet::state::FaultMoment;
use privet::state::FaultPlan;
use privet::state::MemoryStore;
use privet::state::StateStore;
use serde_json::Value;
use serde_json::json as value;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::get;
use crate::harness::json;
use crate::harness::person;

/// Two data sets about the same people: what the first seals, the second keeps in clear. `card` is
/// a category of its own, so that the digits of cards and phones are told apart.
const POLICY: &str = r#"
privet: policy/v1
name: shapes
purposes: { count: { basis: contract }, bill: { basis: contract } }
roles:
  stats: { claim: roles, has: stats }
  back: { claim: roles, has: back }
views:
  token: { pseudonymize: { scope: purpose } }
  kept: { pseudonymize: { scope: purpose, reversible: true } }
  some-mail: { pseudonymize: { scope: purpose, shape: email } }
  some-card: { pseudonymize: { scope: purpose, shape: card, keep_last: 4 } }
  some-phone: { pseudonymize: { scope: purpose, shape: digits, min_digits: 10, keep_first: 3 } }
  moved-date: { pseudonymize: { scope: purpose, shape: date, days: 30 } }
data:
  shop.people:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /people", records: "$[*]" }
    fields:
      id: { category: user.unique_id }
      email: { category: user.contact.email, at_rest: encrypt }
      phone: { category: user.contact.phone_number, at_rest: encrypt }
      pan: { category: user.financial.credit_card, at_rest: encrypt }
      born: { category: user.demographic.date_of_birth, at_rest: encrypt }
      seen: { category: user.behavior, at_rest: encrypt }
  shop.plain:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /plain", records: "$[*]" }
    fields:
      id: { category: user.unique_id }
      email: { category: user.contact.email }
      phone: { category: user.contact.phone_number }
      pan: { category: user.financial.credit_card }
      born: { category: user.demographic.date_of_birth }
      seen: { category: user.behavior }
grants:
  - { id: shapes, roles: [stats], purposes: [count, bill], data: [shop.people, shop.plain], can: [read], fields: { id: token, email: some-mail, phone: some-phone, pan: some-card, born: moved-date, seen: moved-date } }
  - { id: backs, overrides: shapes, roles: [back], purposes: [count, bill], data: [shop.people, shop.plain], can: [read], fields: { id: token, email: kept } }
"#;

const FIELDS: [&str; 5] = ["email", "phone", "pan", "born", "seen"];

pub(super) struct Shop {
    pub(super) gateway: Gateway,
    pub(super) rows: MemoryStore,
}

impl Shop {
    /// A gateway before a store that has these people twice, once sealed.
    pub(super) async fn start(people: &[Value]) -> Self {
        let answers = std::sync::Arc::<std::sync::Mutex<[String; 2]>>::default();
        let script = std::sync::Arc::clone(&answers);
        let store = FakeStore::start(move |asked| {
            let answers = script.lock().unwrap();
            let at = usize::from(asked.target().starts_with("/plain"));
            vec![Step::Bytes(json(200, &answers[at]))]
        })
        .await;
        let setup = Setup::new(POLICY, &store);
        let rows = setup.card_rows.clone();
        let shop = Self { gateway: Gateway::start(setup), rows };
        let mut sealed = Vec::new();
        for person in people {
            sealed.push(shop.sealed(person).await);
        }
        *answers.lock().unwrap() = [value!(sealed).to_string(), value!(people).to_string()];
        shop
    }

    async fn sealed(&self, record: &Value) -> Value {
        let (mut cards, mut sealed) = (Vec::new(), record.clone());
        let id = record["id"].as_str().unwrap();
        self.gateway.cards.cards(&[(&person(), id)], &mut cards).await.unwrap();
        let keys = cards[0].as_ref().unwrap().keys.clone().unwrap();
        for field in FIELDS {
            let Some(text) = record[field].as_str() else { continue };
            let (name, mut out) = (format!("shop.people.{field}"), Vec::new());
            keys.seal(&name, (ValueKind::Text, text.as_bytes()), &SystemEntropy, &mut out).unwrap();
            sealed[field] = String::from_utf8(out).unwrap().into();
        }
        sealed
    }

    pub(super) async fn read(&self, role: &str, purpose: &str, set: &str) -> crate::harness::Reply {
        let token = self.gateway.token(&[role], &[purpose]);
        get(self.gateway.address, &format!("/shop/{set}"), &token, "").await
    }

    async fn shapes(&self, purpose: &str, set: &str) -> Vec<Value> {
        let reply = self.read("stats", purpose, set).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json().as_array().unwrap().clone()
    }
}

/// Forty people with numbers of their own, in several layouts.
pub(super) fn people() -> Vec<Value> {
    let person = |n: u64| {
        let phone = match n % 3 {
            0 => format!("+44 (7{n:02}) 900-{n:05}"),
            1 => format!("4477{n:02}900{n:05}"),
            _ => format!("447.7{n:02}.900/{n:05}"),
        };
        let pan = with_check_digit(&format!("41111{n:010}"));
        let pan = match n % 2 {
            0 => pan,
            _ => {
                let part = |at: std::ops::Range<usize>| pan.get(at).unwrap();
                format!("{} {} {} {}", part(0..4), part(4..8), part(8..12), part(12..pan.len()))
            }
        };
        value!({
            "id": format!("c-{n}"),
            "email": format!("person.{n}@mail.example"),
            "phone": phone,
            "pan": pan,
            "born": format!("19{:02}-0{}-1{}", 40 + n, n % 9 + 1, n % 10),
            "seen": format!("2026-03-{:02}T1{}:45:07.25Z", n % 28 + 1, n % 10),
        })
    };
    (0..40).map(person).collect()
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|letter| letter.to_digit(10)).collect()
}

/// ISO/IEC 7812-1, annex B: every second digit from the right doubled, and its digits added.
fn luhn(digits: &[u32]) -> u32 {
    let each = digits.iter().rev().enumerate();
    each.map(|(at, digit)| if at % 2 == 1 { digit * 2 / 10 + digit * 2 % 10 } else { *digit }).sum()
}

fn with_check_digit(number: &str) -> String {
    let sum = luhn(&digits(&format!("{number}0")));
    format!("{number}{}", (10 - sum % 10) % 10)
}

/// The days from 1970 to a date (Howard Hinnant, "chrono-compatible low-level date algorithms").
fn day(text: &str) -> i64 {
    let part = |at: std::ops::Range<usize>| text.get(at).unwrap().parse::<i64>().unwrap();
    let (year, month, day) = (part(0..4), part(5..7), part(8..10));
    let year = if month <= 2 { year - 1 } else { year };
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    year.div_euclid(400) * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

fn text<'v>(record: &'v Value, field: &str) -> &'v str {
    record[field].as_str().unwrap_or_else(|| panic!("{field} of {record}"))
}

#[tokio::test]
async fn each_shape_is_that_of_the_value_and_never_the_value() {
    let people = people();
    let shop = Shop::start(&people).await;
    let shown = shop.shapes("count", "people").await;
    assert_eq!(shown.len(), people.len());
    for (shown, real) in shown.iter().zip(&people) {
        for field in FIELDS {
            assert_ne!(shown[field], real[field]);
        }
        let (name, domain) = text(shown, "email").split_once('@').unwrap();
        assert_eq!(domain, "count.privet.invalid");
        assert!(name.len() == 27 && name.bytes().all(|b| b.is_ascii_alphanumeric()), "{name}");
        for (field, first, last) in [("phone", 3, 0), ("pan", 0, 4)] {
            let (shown, real) = (text(shown, field), text(real, field));
            let layout = |text: &str| text.replace(|letter: char| letter.is_ascii_digit(), "0");
            assert_eq!(layout(shown), layout(real));
            let (shown, real) = (digits(shown), digits(real));
            assert_eq!(shown[..first], real[..first]);
            assert_eq!(shown[shown.len() - last..], real[real.len() - last..]);
        }
        assert_eq!(luhn(&digits(text(shown, "pan"))) % 10, 0, "{shown}");
        assert_eq!(
            text(shown, "seen").get(10..),
            text(real, "seen").get(10..),
            "the time as it was"
        );
        let moved = |field| day(text(shown, field)) - day(text(real, field));
        assert_eq!(moved("born"), moved("seen"), "one person has one shift: {shown} {real}");
        assert!((1..=30).contains(&moved("born").abs()), "{shown} {real}");
    }
}

#[tokio::test]
async fn a_value_has_one_pseudonym_in_its_purpose_whether_or_not_it_is_sealed() {
    let shop = Shop::start(&people()).await;
    let shown = shop.shapes("count", "people").await;
    assert_eq!(shown, shop.shapes("count", "plain").await, "also in another data set");
    assert_eq!(shown, shop.shapes("count", "people").await, "also in another call");
    for field in ["id", "email", "phone", "pan"] {
        let different: BTreeSet<&str> = shown.iter().map(|record| text(record, field)).collect();
        assert_eq!(different.len(), shown.len(), "two people have the same {field}");
    }
}

#[tokio::test]
async fn what_two_purposes_were_shown_does_not_join() {
    let people = people();
    let shop = Shop::start(&people).await;
    let count = shop.shapes("count", "people").await;
    let bill = shop.shapes("bill", "people").await;
    for field in ["id", "email", "phone"] {
        let all = |shown: &[Value]| -> BTreeSet<String> {
            shown.iter().map(|record| text(record, field).replace("count.", "bill.")).collect()
        };
        assert!(all(&count).is_disjoint(&all(&bill)), "{field}");
    }
    // Eight digits of a card are free: one of forty may agree by chance, and not two.
    let same = count.iter().zip(&bill).filter(|(one, other)| one["pan"] == other["pan"]).count();
    assert!(same <= 1, "{same} cards are the same for both");
    let shifts = |shown: &[Value]| -> Vec<i64> {
        let each = shown.iter().zip(&people);
        each.map(|(shown, real)| day(text(shown, "born")) - day(text(real, "born"))).collect()
    };
    // One in sixty agrees by chance.
    let (count, bill) = (shifts(&count), shifts(&bill));
    let same = count.iter().zip(&bill).filter(|(one, other)| one == other).count();
    assert!(same < 15, "{same} of 40 people are moved by the same days for both");
    assert!(count.iter().collect::<BTreeSet<_>>().len() > 10, "each has days of their own");
}

#[tokio::test]
async fn what_does_not_have_the_shape_is_not_shown() {
    let odd = [
        ("email", "no-domain"),
        ("email", "@mail.example"),
        ("email", "a@b@"),
        ("phone", "447900"),
        ("phone", "44 7900 90O123"),
        ("phone", "٠١٢٣٤٥٦٧٨٩"),
        ("pan", "4111111111111112"),
        ("pan", "411111111111111x"),
        ("pan", "41111111111"),
        ("born", "2023-02-30"),
        ("born", "01.02.2024"),
        ("born", "0001-01-01T24:00:00Z"),
        ("seen", "yesterday"),
        ("seen", "2026-03-01 1:45"),
    ];
    let whole = people().remove(0);
    let records: Vec<Value> = odd
        .iter()
        .map(|(field, planted)| {
            let mut record = whole.clone();
            record[*field] = (*planted).into();
            record
        })
        .collect();
    let shop = Shop::start(&records).await;
    for set in ["people", "plain"] {
        for (shown, (field, planted)) in shop.shapes("count", set).await.iter().zip(odd) {
            assert!(shown.get(field).is_none(), "{planted} is shown in {set}: {shown}");
            let others = FIELDS.iter().filter(|name| **name != field);
            assert!(others.clone().all(|name| shown.get(name).is_some()), "{shown}");
        }
    }
}

/// The tokens in an answer.
fn tokens(body: &str) -> BTreeSet<String> {
    let each = body.split("\"email\":\"").skip(1);
    each.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())).collect()
}

/// Whether the vault has a row of a token, and whose rows a token has.
async fn is_kept(rows: &MemoryStore, token: &str) -> bool {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let token = URL_SAFE_NO_PAD.decode(token.strip_prefix("ps1_").unwrap()).unwrap();
    let owners = [b"vault/token/".as_slice(), &token].concat();
    let owners = rows.scan(&owners, None, 10).await.unwrap().items;
    let [owner] = owners.as_slice() else { return false };
    let record = &owner.key[owner.key.len() - 32..];
    let row = [b"vault/row/".as_slice(), record, &token].concat();
    rows.get(&row).await.unwrap().is_some()
}

#[tokio::test]
async fn no_reversible_token_leaves_before_the_vault_has_it_on_disk() {
    const PEOPLE: usize = 1_400;
    let people: Vec<Value> = (0..PEOPLE)
        .map(|n| value!({ "id": format!("c-{n}"), "email": format!("p{n}@mail.example") }))
        .collect();
    let (mut cut, mut refused) = (0, 0);
    for moment in [FaultMoment::Before, FaultMoment::After] {
        // The row and the card of each of a batch of 256 are asked for, and then all are written:
        // what fails is one of both, in the first batches or behind what is sent at once.
        for call in [1, 2, 513, 1_026, 2_200, 2_565, 2_806, 9_999] {
            let shop = Shop::start(&people).await;
            // Cards are in memory, so that the vault alone asks for rows.
            assert_eq!(shop.read("stats", "count", "plain").await.status, 200);
            shop.rows.plan_fault(FaultPlan { call, moment });
            let reply = shop.read("back", "count", "plain").await;
            let has_failed = shop.rows.clear_fault();
            let told = tokens(&reply.text());
            for token in &told {
                assert!(is_kept(&shop.rows, token).await, "{token} left and is kept nowhere");
            }
            match (has_failed, reply.status) {
                (false, status) => {
                    assert_eq!((status, reply.is_whole, told.len()), (200, true, PEOPLE));
                    assert_eq!(call, 9_999);
                }
                (true, 503) => {
                    refused += 1;
                    assert!(!reply.raw_text().contains("ps1_"), "{}", reply.text());
                }
                (true, status) => {
                    cut += 1;
                    assert_eq!((status, reply.is_whole), (200, false), "{call}");
                    assert!((1..PEOPLE).contains(&told.len()));
                }
            }
            // Whatever failed, the next call is served, and makes the same tokens.
            let again = shop.read("back", "count", "plain").await;
            let all = tokens(&again.text());
            assert_eq!((again.status, all.len()), (200, PEOPLE));
            assert!(told.is_subset(&all));
        }
    }
    assert!(refused >= 4 && cut >= 2, "{refused} refused and {cut} cut off");
}
