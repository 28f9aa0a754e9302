//! Values move into envelopes and out of them, while stores fail, people write and processes die.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;

use serde_json::Value;
use serde_json::json;

use privet::audit::Kind;
use privet::backfill::Backfill;
use privet::jobs::JobState;
use privet::jobs::JobsError;
use privet::jobs::StepError;
use privet::types::SubjectStatus;

use super::MOST;
use super::POLICY;
use super::Site;
use super::Steps;
use super::all;
use super::assert_sealed;
use super::rows;
use super::table;
use super::writes;
use crate::harness::Asked;
use crate::harness::FakeStore;
use crate::harness::Step;
use crate::harness::Table;
use crate::harness::Versions;
use crate::harness::a_hold;
use crate::harness::json as said;
use crate::harness::person;

#[tokio::test]
async fn a_data_set_moves_in_and_out_again() {
    let rows = rows(230);
    let (table, store) = table(&rows, |_, _| Vec::new()).await;
    let site = Site::new(POLICY, &store);
    assert_eq!(
        site.ask("encrypt", false).await.unwrap_err(),
        "nothing was tried under the policy in force"
    );

    let tried = site.try_it("encrypt").await;
    assert_eq!((tried.summary("records"), tried.summary("to_change")), (230, 230));
    assert_eq!(tried.field("email")["values"], json!({ "moves": 230 }));
    assert!(writes(&store).is_empty());
    assert!(site.gateway.cards.find(&person(), "c-0001").await.unwrap().is_none());

    let job = site.ask("encrypt", false).await.unwrap();
    assert_eq!(job.state, JobState::WaitingApproval);
    let own = site.approve(&job, "Ana").await.unwrap_err();
    assert!(matches!(own, JobsError::Own), "{own}");
    let job = site.approve(&job, "ben").await.unwrap();
    let moved = site.run(job).await;
    assert_eq!(moved.job.state, JobState::Done, "{:?}", moved.job.reason);
    assert_eq!((moved.summary("written"), moved.summary("pass")), (230, 2));
    assert_sealed(&table);
    assert!(writes(&store).values().all(|times| *times == 1));

    // The log names everybody before the store is written, and what came of it.
    let intents = site.entries(Kind::Intent).await;
    let named: BTreeSet<_> = intents.iter().flat_map(|it| it.subjects.iter().copied()).collect();
    assert_eq!(named.len(), 230);
    assert!(intents.iter().all(|it| it.records.unwrap() <= 64 && it.policy.is_some()));
    assert!(intents.iter().all(|it| it.facts["requested_by"] != it.facts["approved_by"]));
    let outcomes = site.entries(Kind::Outcome).await;
    let written: u32 = outcomes.iter().map(|it| it.records.unwrap()).sum();
    assert_eq!((outcomes.len(), written), (intents.len(), 230));

    // Once more changes nothing; the way back restores everything but what no store had.
    let again = site.move_all("encrypt").await;
    assert_eq!((again.summary("written"), again.summary("to_change")), (0, 0));
    let back = site.move_all("decrypt").await;
    assert_eq!(back.job.state, JobState::Done, "{:?}", back.job.reason);
    for (id, row) in &rows {
        let stored: Value = serde_json::from_str(&table.row(id).unwrap()).unwrap();
        assert_eq!(stored, serde_json::from_str::<Value>(row).unwrap());
    }
}

#[tokio::test]
async fn a_dry_run_tells_of_everything_that_is_odd_and_of_nobody() {
    let odd = [
        ("c-0", json!({ "email": "pvt1_ my nickname", "note": "x" })),
        ("c-1", json!({ "email": "A@mail.example", "note": "y".repeat(150) })),
        ("c-2", json!({ "email": "a@MAIL.example", "note": { "a": 1 } })),
        ("c-3", json!({ "email": "other@mail.example", "note": "erased" })),
        ("c-4", json!({ "email": "held@mail.example", "note": null })),
    ];
    let mut rows: Vec<(String, String)> = Vec::new();
    for (id, mut row) in odd {
        row["id"] = id.into();
        rows.push((id.to_owned(), row.to_string()));
    }
    rows.push(("c-5".to_owned(), json!({ "email": "nobody@mail.example" }).to_string()));
    let (table, store) = table(&rows, |_, _| Vec::new()).await;
    let site = Site::new(POLICY, &store);
    let cards = &site.gateway.cards;
    let mut found = Vec::new();
    cards.cards(&[(&person(), "c-3"), (&person(), "c-4")], &mut found).await.unwrap();
    cards.set_status(&person(), "c-3", SubjectStatus::Erased).await.unwrap();
    cards.add_hold(&person(), "c-4", a_hold()).await.unwrap();

    let tried = site.try_it("encrypt").await;
    assert_eq!(
        tried.field("email")["values"],
        json!({ "moves": 3, "looks_sealed_malformed": 1, "erased": 1, "about_nobody": 1 })
    );
    assert_eq!(
        tried.field("email")["duplicates"],
        json!({ "groups": 1, "records": 2, "exact": true })
    );
    assert_eq!(
        tried.field("note")["values"],
        json!({ "moves": 1, "too_long": 1, "wrong_kind": 1, "erased": 1 })
    );
    assert_eq!(tried.report[0]["people"], json!({ "new": 3, "erased": 1, "held": 1, "nobody": 1 }));
    let offenders = tried.report.last().unwrap()["offenders"].as_array().unwrap();
    assert_eq!(offenders.len(), 6);
    let told = tried.report.iter().map(Value::to_string).collect::<String>();
    for planted in ["nickname", "mail.example", "c-0", "c-3", "yyy"] {
        assert!(!told.contains(planted), "{planted}: {told}");
    }

    // The real run seals what can be, people on hold too, and leaves the odd ones as they are.
    let moved = site.move_all("encrypt").await;
    assert_eq!(moved.job.state, JobState::Done, "{:?}", moved.job.reason);
    let row = |id: &str| serde_json::from_str::<Value>(&table.row(id).unwrap()).unwrap();
    assert_eq!(row("c-0")["email"], "pvt1_ my nickname");
    assert_eq!(row("c-1")["note"], "y".repeat(150));
    assert_eq!(row("c-3"), serde_json::from_str::<Value>(&rows[3].1).unwrap());
    assert!(row("c-4")["email"].as_str().unwrap().starts_with("pvt1_"));
    assert_eq!(row("c-1")["email_index"], row("c-2")["email_index"]);
    assert!(table.row("c-5").unwrap().contains("nobody@mail.example"));
}

#[tokio::test]
async fn a_process_that_is_killed_goes_on_where_it_was() {
    let (table, store) = table(&rows(300), |_, _| Vec::new()).await;
    let site = Site::new(POLICY, &store);
    let mut steps = Steps::of(site.agreed("encrypt").await);
    for _ in 0..2 {
        steps.one(&site.work).await.unwrap();
    }
    let before = writes(&store).len();
    assert!((1..300).contains(&before), "{before}");
    // One that has written a page and died before it could say so, too.
    let mut lost = Steps { job: steps.job.clone(), cursor: steps.cursor.clone() };
    lost.one(&site.work).await.unwrap();
    let next = Arc::new(Backfill::new(Arc::clone(&site.gateway.shared), MOST));
    assert_eq!(steps.rest(&next).await, Ok(0));
    assert_sealed(&table);
    let writes = writes(&store);
    assert_eq!(writes.len(), 300);
    assert!(writes.values().all(|times| *times == 1), "each record once");
}

#[tokio::test]
async fn what_others_change_or_remove_meanwhile_is_theirs() {
    let (reads, removed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let (table, store) = table(&rows(250), move |table, asked| {
        let target = asked.target();
        // Somebody writes a record between its read and its write, once.
        if (asked.method(), target) == ("PATCH", "/customers/c-0007")
            && reads.fetch_add(1, Ordering::SeqCst) == 0
        {
            let row = json!({
                "id": "c-0007", "email": "planted.new@mail.example", "note": "planted new", "plan": "gold",
            });
            table.touch("c-0007", &row.to_string());
        }
        // Somebody removes a record that is to be written, and others of the pages before, so that
        // all that follow move up.
        if (asked.method(), target) == ("GET", "/customers/c-0120")
            && removed.fetch_add(1, Ordering::SeqCst) == 0
        {
            ["c-0120", "c-0001", "c-0002", "c-0003"].iter().for_each(|id| table.remove(id));
        }
        Vec::new()
    })
    .await;
    let site = Site::new(POLICY, &store);
    let moved = site.move_all("encrypt").await;
    assert_eq!(moved.job.state, JobState::Done, "{:?}", moved.job.reason);
    assert_eq!(moved.summary("gone"), 1);
    assert_eq!(all(&table).len(), 246);
    assert_sealed(&table);
    assert_eq!(writes(&store)["c-0007"], 2);
    // What was written in between is what is sealed.
    let back = site.move_all("decrypt").await;
    assert_eq!(back.job.state, JobState::Done);
    let row: Value = serde_json::from_str(&table.row("c-0007").unwrap()).unwrap();
    assert_eq!(row["email"], "planted.new@mail.example");
}

#[tokio::test]
async fn a_store_that_fails_in_the_middle_is_asked_again() {
    let (calls, closed) = (AtomicUsize::new(0), Mutex::new(false));
    let (table, store) = table(&rows(150), move |_, asked| {
        let call = calls.fetch_add(1, Ordering::SeqCst);
        let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\n<p>x";
        let status =
            |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n").into_bytes();
        if asked.method() == "PATCH" && !std::mem::replace(&mut *closed.lock().unwrap(), true) {
            return vec![Step::Close];
        }
        match call {
            // The dry run has asked three times.
            3 | 40 => vec![Step::Bytes(html.into())],
            60 => vec![Step::Bytes(status("500 Oops"))],
            90 => vec![Step::Bytes(status("429 Slow Down"))],
            120 => vec![Step::Bytes(status("503 Busy"))],
            _ => Vec::new(),
        }
    })
    .await;
    let site = Site::new(POLICY, &store);
    let mut steps = Steps::of(site.agreed("encrypt").await);
    let again = steps.rest(&site.work).await.unwrap();
    assert!((3..=6).contains(&again), "{again}");
    assert_sealed(&table);
    let aborted = site
        .entries(Kind::Outcome)
        .await
        .into_iter()
        .filter(|it| it.outcome == Some(privet::audit::Ending::Aborted));
    assert!(aborted.count() >= 1);
}

#[tokio::test]
async fn lists_that_do_not_turn_their_pages_or_never_end_are_refused() {
    let page = |first: usize| {
        let rows: Vec<String> = rows(first + 100).into_iter().skip(first).map(|it| it.1).collect();
        format!("[{}]", rows.join(","))
    };
    let same = page(0);
    let endless = move |asked: &Asked| {
        let query = asked.target().split_once("_start=").unwrap().1;
        let start = query.split('&').next().unwrap().parse::<usize>().unwrap();
        page(start)
    };
    type Answer = Box<dyn Fn(&Asked) -> String + Send + Sync>;
    let cases: [(Answer, &str); 2] = [
        (Box::new(move |_| same.clone()), "the store's list does not turn its pages"),
        (Box::new(endless), "the store's list does not end"),
    ];
    for (answer, why) in cases {
        let store =
            FakeStore::start(move |asked| vec![Step::Bytes(said(200, &answer(asked)))]).await;
        let site = Site::new(POLICY, &store);
        let job = site.ask("encrypt", true).await.unwrap();
        let ended = site.run(job).await;
        assert_eq!(ended.job.state, JobState::Failed);
        assert_eq!(ended.job.reason.as_deref(), Some(why));
    }
}

#[tokio::test]
async fn a_list_without_pages_is_gone_over_in_parts() {
    let policy = POLICY.replace(", query: [_start, _limit]", "");
    let (table, store) = table(&rows(200), |_, _| Vec::new()).await;
    let site = Site::new(&policy, &store);
    let moved = site.move_all("encrypt").await;
    assert_eq!(moved.job.state, JobState::Done, "{:?}", moved.job.reason);
    assert_sealed(&table);
    assert!(writes(&store).values().all(|times| *times == 1));
}

#[tokio::test]
async fn another_policy_ends_the_job() {
    let (_, store) = table(&rows(150), |_, _| Vec::new()).await;
    let site = Site::new(POLICY, &store);
    let mut steps = Steps::of(site.agreed("encrypt").await);
    steps.one(&site.work).await.unwrap();
    let before = writes(&store).len();
    site.gateway.reload(&POLICY.replace("title: { en: Care }", "title: { en: Other }"));
    let why = "the policy changed since the job was requested; do a dry run under the new one";
    assert_eq!(steps.one(&site.work).await, Err(StepError::Fatal(why)));
    assert_eq!(writes(&store).len(), before);
    // Nor may it be approved, or asked for without another dry run.
    assert!(site.ask("encrypt", false).await.is_err());
}

#[tokio::test]
async fn without_versions_nothing_is_written_unless_that_is_accepted() {
    let rows = rows(20);
    let rows: Vec<(&str, &str)> = rows.iter().map(|(id, row)| (&**id, &**row)).collect();
    for versions in [Versions::None, Versions::Weak] {
        let (table, store) = Table::start(versions, &rows).await;
        let site = Site::new(POLICY, &store);
        let ended = site.move_all("encrypt").await;
        assert_eq!(ended.job.state, JobState::Failed);
        assert!(store.asked().iter().all(|asked| asked.method() != "PATCH"));
        let accepted = POLICY.replace(
            r#""PATCH /customers/{id}", records: "$" }"#,
            r#""PATCH /customers/{id}", records: "$", unsafe_writes: accepted }"#,
        );
        let site = Site::new(&accepted, &store);
        let ended = site.move_all("encrypt").await;
        assert_eq!(ended.job.state, JobState::Done, "{:?}", ended.job.reason);
        assert_sealed(&table);
    }
}

#[tokio::test]
async fn a_job_that_nobody_approved_writes_nothing_even_if_it_is_run() {
    let (_, store) = table(&rows(5), |_, _| Vec::new()).await;
    let site = Site::new(POLICY, &store);
    site.try_it("encrypt").await;
    let job = site.ask("encrypt", false).await.unwrap();
    let why = "nobody but its requester approved the job";
    assert_eq!(Steps::of(job.clone()).one(&site.work).await, Err(StepError::Fatal(why)));
    let mut own = job;
    own.approved_by = Some("ANA".into());
    assert_eq!(Steps::of(own).one(&site.work).await, Err(StepError::Fatal(why)));
    assert!(writes(&store).is_empty());
}
