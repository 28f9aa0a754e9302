//! Values are sealed anew with the next key of their person, and indexes made anew, while people
//! read and write.

use serde_json::Value;
use serde_json::json;

use privet::backfill::Backfill;
use privet::crypto::Envelope;
use privet::crypto::Kid;
use privet::jobs::JobState;

use super::POLICY;
use super::Site;
use super::Steps;
use super::all;
use super::assert_sealed;
use super::id;
use super::rows;
use super::writes;
use crate::harness::Asked;
use crate::harness::FakeStore;
use crate::harness::Reply;
use crate::harness::Step;
use crate::harness::Table;
use crate::harness::Versions;
use crate::harness::exchange;
use crate::harness::get;
use crate::harness::json as said;
use crate::harness::person;

const PEOPLE: usize = 150;

/// The policy with people who read, find and write what is sealed.
fn policy() -> String {
    let policy = POLICY
        .replace("query: [_start, _limit]", "query: [_start, _limit], find_by: { email: email }")
        .replace(
            "fields: { id: show }",
            "find_by: [email]\n    fields: { id: show, email: show, note: show }\n    writes: [note]",
        );
    assert!(policy.contains("find_by: [email]") && policy.contains("find_by: { email"));
    policy
}

/// A store that finds records by their index, as it stands there.
async fn table() -> (Table, FakeStore) {
    let rows = rows(PEOPLE);
    let rows: Vec<(&str, &str)> = rows.iter().map(|(id, row)| (&**id, &**row)).collect();
    Table::with(Versions::Strong, &rows, |table, asked| {
        let index = asked.target().split(['?', '&']).find_map(|it| it.strip_prefix("email_index="));
        let Some(index) = index else { return Vec::new() };
        let found: Vec<Value> =
            all(table).into_iter().filter(|row| row["email_index"] == index).collect();
        vec![Step::Bytes(said(200, &json!(found).to_string()))]
    })
    .await
}

impl Site {
    async fn read(&self, target: &str) -> Reply {
        let token = self.gateway.token(&["support"], &["care"]);
        get(self.gateway.address, &format!("/shop/customers{target}"), &token, "").await
    }

    /// What the list shows.
    async fn shown(&self) -> Vec<Value> {
        let reply = self.read("").await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        reply.json().as_array().unwrap().clone()
    }

    /// Whom a search by the address of somebody finds.
    async fn finds(&self, number: usize) -> Vec<String> {
        let found = self.read(&format!("?email=Planted.{number}%40mail.example")).await;
        assert_eq!(found.status, 200, "{}", found.text());
        let found = found.json();
        let ids = found.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().into());
        ids.collect()
    }

    async fn set_note(&self, number: usize, note: &str) {
        let token = self.gateway.token(&["support"], &["care"]);
        let body = json!({ "note": note }).to_string();
        let request = format!(
            "PATCH /shop/customers/{} HTTP/1.1\r\nHost: gateway.test\r\nConnection: close\r\n\
             Authorization: Bearer {token}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            id(number),
            body.len()
        );
        let answer = Reply::parse(exchange(self.gateway.address, request.as_bytes()).await, false);
        assert_eq!(answer.status, 200, "{}", answer.text());
    }

    async fn rotate(&self, number: usize) {
        let cards = &self.gateway.cards;
        assert!(cards.rotate_key(&person(), &id(number)).await.unwrap());
    }
}

fn kid(table: &Table, number: usize, field: &str) -> Kid {
    let row: Value = serde_json::from_str(&table.row(&id(number)).unwrap()).unwrap();
    Envelope::parse(row[field].as_str().unwrap()).unwrap().kid()
}

fn older(report: &[Value]) -> (u64, u64) {
    let older = &report[0]["older_keys"];
    (older["values"].as_u64().unwrap(), older["records"].as_u64().unwrap())
}

#[tokio::test]
async fn values_are_sealed_anew_until_the_report_says_that_no_older_key_is_needed() {
    let (table, store) = table().await;
    let site = Site::new(&policy(), &store);
    let moved = site.move_all("encrypt").await;
    assert_eq!((moved.job.state, older(&moved.report)), (JobState::Done, (0, 0)));
    let mut before = site.shown().await;
    assert_eq!(before.len(), PEOPLE);
    let indexes = |table: &Table| -> Vec<Value> {
        all(table).into_iter().map(|row| row["email_index"].clone()).collect()
    };
    let indexes_before = indexes(&table);

    // A third of the people get their next key, one of them two.
    for number in (0..PEOPLE).step_by(3) {
        site.rotate(number).await;
    }
    site.rotate(0).await;
    assert_eq!(site.shown().await, before);
    // A write seals with the newest, what is kept stays.
    let (note, email) = (kid(&table, 3, "note"), kid(&table, 3, "email"));
    site.set_note(3, "planted anew").await;
    before[3]["note"] = "planted anew".into();
    assert_eq!(kid(&table, 3, "email"), email);
    assert_ne!(kid(&table, 3, "note"), note);

    let tried = site.try_it("encrypt").await;
    assert_eq!(tried.field("email")["values"], json!({ "stays": 100, "older_key": 50 }));
    assert_eq!(tried.field("note")["values"], json!({ "stays": 101, "older_key": 49 }));
    assert_eq!((older(&tried.report), tried.summary("to_change")), ((99, 50), 0));
    let tried = site.try_it("reseal").await;
    assert_eq!(tried.field("email")["values"], json!({ "moves": 50, "stays": 100 }));
    assert_eq!((older(&tried.report), tried.summary("to_change")), ((99, 50), 50));

    let encrypted = writes(&store);
    let mut steps = Steps::of(site.agreed("reseal").await);
    assert!(!steps.one(&site.work).await.unwrap());
    // In the midst: some have their new envelopes, others not, and somebody gets another key
    // behind the place where the job stands.
    assert_eq!(kid(&table, 0, "email"), kid(&table, 0, "note"));
    site.rotate(1).await;
    assert_eq!(site.shown().await, before);
    for number in [0, 1, 2, 3, 148] {
        assert_eq!(site.finds(number).await, [id(number)]);
    }
    assert_eq!(steps.rest(&site.work).await, Ok(0));
    assert_sealed(&table);
    for number in [0, 1, 3, 147] {
        assert_eq!(kid(&table, number, "email"), kid(&table, number, "note"));
    }
    let written = writes(&store);
    let times = |number: usize| written[&id(number)] - encrypted[&id(number)];
    // Of those who kept their key nothing is written; of one who got another later, once.
    assert_eq!([times(0), times(1), times(2), times(6)], [1, 1, 0, 1]);

    // The job itself begins anew, finds nothing left and says so.
    let ended = site.run(steps.job).await;
    assert_eq!((ended.job.state, ended.summary("written")), (JobState::Done, 0));
    assert_eq!(older(&ended.report), (0, 0));
    // So the older keys may go, and nothing is lost with them.
    let mut destroyed = 0;
    for number in 0..PEOPLE {
        destroyed += site.gateway.cards.destroy_old_keys(&person(), &id(number)).await.unwrap();
    }
    assert_eq!(destroyed, 52);
    assert_eq!(site.shown().await, before);
    assert_eq!(indexes(&table), indexes_before, "an index is nobody's key's");
}

#[tokio::test]
async fn a_key_that_the_report_still_counts_is_needed() {
    let (table, store) = table().await;
    let site = Site::new(&policy(), &store);
    site.move_all("encrypt").await;
    site.rotate(5).await;
    assert_eq!(older(&site.try_it("reindex").await.report), (2, 1));
    site.gateway.cards.destroy_old_keys(&person(), &id(5)).await.unwrap();
    let shown = site.shown().await;
    assert_eq!(shown[5], json!({ "id": id(5) }), "what only an older key opened is closed");
    assert_eq!(shown.iter().filter(|row| row.get("email").is_some()).count(), PEOPLE - 1);
    // It is told, and left as it is.
    let tried = site.try_it("reseal").await;
    assert_eq!(tried.field("email")["values"]["looks_sealed_foreign"], 1);
    assert!(table.row(&id(5)).unwrap().contains("pvt1_"));
}

#[tokio::test]
async fn indexes_are_made_anew_while_people_search() {
    let (table, store) = table().await;
    let site = Site::new(&policy(), &store);
    site.move_all("encrypt").await;
    let envelopes = |table: &Table| -> Vec<Value> {
        let pick = |row: Value| json!([row["email"], row["note"]]);
        all(table).into_iter().map(pick).collect()
    };
    let before = (envelopes(&table), site.shown().await);
    // Other indexes: shorter ones.
    let shorter = "index: { field: email_index, as: email, bits: 80 }";
    site.gateway.reload(&policy().replace("index: email_index", shorter));
    assert!(site.finds(0).await.is_empty(), "none has the new index yet");
    let tried = site.try_it("encrypt").await;
    assert_eq!(tried.report[0]["indexes_to_set"], PEOPLE);

    let mut steps = Steps::of(site.agreed("reindex").await);
    assert!(!steps.one(&site.work).await.unwrap());
    let is_new = |row: &Value| row["email_index"].as_str().unwrap().len() == "bi1_".len() + 14;
    let done = all(&table).iter().map(is_new).collect::<Vec<bool>>();
    assert!(done.contains(&true) && done.contains(&false));
    // In the midst whoever is found is the right one; by a killed process or another.
    for number in [0, 1, 60, 149] {
        let expected: Vec<String> = done[number].then(|| id(number)).into_iter().collect();
        assert_eq!(site.finds(number).await, expected);
    }
    let next = std::sync::Arc::new(Backfill::new(site.gateway.shared.clone(), super::MOST));
    assert_eq!(steps.rest(&next).await, Ok(0));
    for number in [0, 1, 60, 149] {
        assert_eq!(site.finds(number).await, [id(number)]);
    }
    assert!(all(&table).iter().all(is_new));
    assert_eq!((envelopes(&table), site.shown().await), before, "no value is sealed anew");
    let asked: Vec<Asked> = store.asked();
    assert!(asked.iter().all(|asked| !asked.head.contains("lanted")), "no value was searched for");
}
