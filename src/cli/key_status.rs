//! `privet key status`: what keys there are, and what is done with them.

use serde_json::Value;

use crate::api;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::keys::KeysError;
use crate::keys::KeysStatus;
use crate::state::StateError;
use crate::types::told;

use super::admin::Caller;
use super::args::{AdminArgs, Shape};
use super::check;
use super::exit::{Exit, Failure, data, tell};
use super::job;
use super::serve;

/// Asks the running gateway, or reads the folder of one that does not run. Exit code 1 when the
/// root key does not open what it should.
pub(super) fn run(offline: bool, output: Shape, at: &AdminArgs) -> Result<(), Failure> {
    let page = if offline { of_folder(at)? } else { Caller::new(at)?.get("/api/v1/keys")? };
    match output {
        Shape::Json => data(&format!("{page:#}\n"))?,
        Shape::Table => data(&table(&page))?,
    }
    if answers(&page) {
        return Ok(());
    }
    let why = if offline { "see above" } else { "the gateway's log says why" };
    Err(Failure::new(Exit::Failed, format_args!("not every key opens: {why}")))
}

fn of_folder(at: &AdminArgs) -> Result<Value, Failure> {
    let config = check::load(&at.config.config)?.config;
    let status = serve::block_on(async {
        KeysStatus::of_folder(&config.keys).await.map_err(|error| match error {
            KeysError::State(StateError::Locked { .. }) => Failure::new(
                Exit::Failed,
                "a gateway runs on this folder: ask it, without --offline",
            ),
            error => Failure::caused(Exit::Failed, &error),
        })
    })?;
    if let Some(fault) = &status.fault {
        tell(&format!("note: {}", told(fault)));
    }
    Ok(api::keys_page(&status, config.shred_within, SystemClock.now()))
}

fn answers(page: &Value) -> bool {
    page.pointer("/root/answers").and_then(Value::as_bool).unwrap_or_default()
}

fn table(page: &Value) -> String {
    let mut table = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            table.push_str(&format!("{name:<13} {value}\n"));
        }
    };
    let says = if answers(page) { "answers" } else { "does not open every key" };
    let is_locked = page.pointer("/root/keys_locked").and_then(Value::as_bool);
    let locked = if is_locked == Some(true) { "; keys are locked" } else { "" };
    line("root key", format!("{}, {says}{locked}", text(page, "/root/provider")));
    line("epoch", epoch(page));
    let number = |name: &str| number(page, &format!("/subject_keys/{name}")).unwrap_or_default();
    line("people", format!("{} have a key", number("people")));
    let mut keys = format!("{} seal, {} only open", number("seal"), number("only_open"));
    for (name, what) in [("disabled", "disabled"), ("damaged", "rows cannot be read")] {
        if number(name) > 0 {
            keys.push_str(&format!(", {} {what}", number(name)));
        }
    }
    line("keys", keys);
    line("pending", format!("{} of records whose person is not known yet", number("pending")));
    line("destroyed", ledger(page));
    line("shred", shred(page));
    line("roll", roll(page));
    let jobs = page.get("jobs").and_then(Value::as_array);
    for job in jobs.into_iter().flatten() {
        line("rotation", rotation(job));
    }
    if jobs.is_some_and(Vec::is_empty) {
        line("rotation", "none is asked for".to_owned());
    }
    table
}

fn epoch(page: &Value) -> String {
    let mut line = number(page, "/epoch/number").unwrap_or_default().to_string();
    if let Some(age) = number(page, "/epoch/age_s") {
        line.push_str(&format!(", for {} (since {})", job::span(age), text(page, "/epoch/since")));
    }
    line
}

fn ledger(page: &Value) -> String {
    let Some(count) = number(page, "/ledger/tombstones") else {
        return "the ledger cannot be read without the root key".to_owned();
    };
    let high_water = text(page, "/ledger/high_water");
    let code = high_water.split(' ').next_back().unwrap_or_default();
    let people = if count == 1 { "person" } else { "people" };
    format!("{count} {people}, ledger at {count} {code}")
}

fn shred(page: &Value) -> String {
    let within = job::span(number(page, "/shred/within_s").unwrap_or_default());
    if page.get("ledger").is_none_or(Value::is_null) {
        return format!("not known; within {within} of an erasure");
    }
    let due = text(page, "/shred/due_at");
    let (left, late) = (number(page, "/shred/left_s"), number(page, "/shred/late_s"));
    match (left, late) {
        (_, Some(late @ 1..)) => format!("was due at {due}: late by {}", job::span(late)),
        (Some(left), _) => {
            let roll = text(page, "/shred/roll_at");
            format!("the epoch ends at {roll}; due by {due}, in {}", job::span(left))
        }
        _ => format!("nothing is due; within {within} of an erasure"),
    }
}

fn roll(page: &Value) -> String {
    let copied = number(page, "/roll/copied");
    copied.map(|copied| format!("under way, {copied} rows copied")).unwrap_or_default()
}

fn rotation(job: &Value) -> String {
    let (kind, id, state) = (text(job, "/kind"), text(job, "/id"), text(job, "/state"));
    let mut line = format!("{kind} {id} {state}");
    if let Some(done @ 1..) = number(job, "/done") {
        let total = number(job, "/total").map(|total| format!(" of {total}")).unwrap_or_default();
        line.push_str(&format!(", {done}{total} done"));
    }
    if let Some(failures @ 1..) = number(job, "/failures") {
        line.push_str(&format!(", failures in a row: {failures}"));
    }
    line
}

fn text<'a>(page: &'a Value, at: &str) -> &'a str {
    page.pointer(at).and_then(Value::as_str).unwrap_or_default()
}

fn number(page: &Value, at: &str) -> Option<u64> {
    page.pointer(at).and_then(Value::as_u64)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::keys::HighWater;
    use crate::keys::KeyCounts;
    use crate::keys::LedgerStatus;
    use crate::types::Timestamp;

    const DAY: u64 = 86_400;
    const NOW: Timestamp = Timestamp::from_unix_s(1_800_000_000);

    fn status() -> KeysStatus {
        KeysStatus {
            provider: "openbao",
            fault: None,
            locked: false,
            epoch: 7,
            epoch_since: Some(Timestamp::from_unix_s(1_800_000_000 - 2 * DAY - 65)),
            counts: KeyCounts { people: 1_204, sealing: 1_204, opening: 46, ..Default::default() },
            ledger: Some(LedgerStatus {
                high_water: HighWater { count: 17, code: [0xa5; 32] },
                oldest_unshredded: Some(Timestamp::from_unix_s(1_800_000_000 - 3_600)),
            }),
            roll: None,
        }
    }

    fn page(status: &KeysStatus) -> Value {
        api::keys_page(status, Duration::from_secs(DAY), NOW)
    }

    #[test]
    fn the_table_says_what_there_is_what_runs_and_what_is_due() {
        let mut status = status();
        status.counts.pending = 2;
        status.roll = Some(512);
        let mut page = page(&status);
        page["jobs"] = json!([
            { "id": "0199f2aa0000deadbeef", "kind": "rotate_epoch", "state": "running",
              "done": 512, "total": null, "failures": 1 },
            { "id": "0199f2ab0000deadbeef", "kind": "rotate_subject_key", "state": "queued",
              "done": 0, "total": null, "failures": 0 },
        ]);
        insta::assert_snapshot!(table(&page), @r"
        root key      openbao, answers
        epoch         7, for 48h 01m (since 2027-01-13T07:58:55.000Z)
        people        1204 have a key
        keys          1204 seal, 46 only open
        pending       2 of records whose person is not known yet
        destroyed     17 people, ledger at 17 a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5
        shred         the epoch ends at 2027-01-15T19:00:00.000Z; due by 2027-01-16T07:00:00.000Z, in 23h 00m
        roll          under way, 512 rows copied
        rotation      rotate_epoch 0199f2aa0000deadbeef running, 512 done, failures in a row: 1
        rotation      rotate_subject_key 0199f2ab0000deadbeef queued
        ");
    }

    #[test]
    fn the_table_of_a_site_at_rest_and_of_one_whose_root_key_does_not_open() {
        let mut status = status();
        status.ledger = Some(LedgerStatus { high_water: HighWater::NONE, oldest_unshredded: None });
        let mut page_at_rest = page(&status);
        page_at_rest["jobs"] = json!([]);
        insta::assert_snapshot!(table(&page_at_rest), @r"
        root key      openbao, answers
        epoch         7, for 48h 01m (since 2027-01-13T07:58:55.000Z)
        people        1204 have a key
        keys          1204 seal, 46 only open
        pending       0 of records whose person is not known yet
        destroyed     0 people, ledger at 0 0000000000000000000000000000000000000000000000000000000000000000
        shred         nothing is due; within 24h 00m of an erasure
        rotation      none is asked for
        ");

        (status.fault, status.locked) = (Some(KeysError::Interrupted), true);
        (status.ledger, status.epoch_since) = (None, None);
        status.counts = KeyCounts { disabled: 1, damaged: 3, ..KeyCounts::default() };
        insta::assert_snapshot!(table(&page(&status)), @r"
        root key      openbao, does not open every key; keys are locked
        epoch         7
        people        0 have a key
        keys          0 seal, 0 only open, 1 disabled, 3 rows cannot be read
        pending       0 of records whose person is not known yet
        destroyed     the ledger cannot be read without the root key
        shred         not known; within 24h 00m of an erasure
        ");
    }

    #[test]
    fn a_bound_that_was_broken_is_told_and_one_at_the_last_moment_is_not() {
        let mut status = status();
        for (age, expected) in
            [(DAY - 60, "in 1m 00s"), (DAY, "in 0s"), (DAY + 61, "late by 1m 01s")]
        {
            status.ledger = Some(LedgerStatus {
                high_water: HighWater { count: 1, code: [1; 32] },
                oldest_unshredded: Some(Timestamp::from_unix_s(1_800_000_000 - age)),
            });
            let line = shred(&page(&status));
            assert!(line.ends_with(expected), "{age}: {line}");
        }
    }
}
