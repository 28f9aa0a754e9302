//! `privet job`: what long work there is, who must approve it, how far it is.

use std::io::IsTerminal;
use std::io::Write;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;

use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::types::doc::closest;

use super::admin::Caller;
use super::args::{AdminArgs, JobCommand, Shape};
use super::exit::{Exit, Failure, data, tell};
use super::serve;

/// Runs one of the job commands.
pub(super) fn run(command: JobCommand) -> Result<(), Failure> {
    match command {
        JobCommand::List { output, admin } => list(&Caller::new(&admin)?, output),
        JobCommand::Show { id, output, admin } => show(&Caller::new(&admin)?, &id, output),
        JobCommand::Approve { id, output, admin } => change(&admin, &id, "approve", output),
        JobCommand::Cancel { id, output, admin } => change(&admin, &id, "cancel", output),
        JobCommand::Watch { id, output, admin } => watch(&Caller::new(&admin)?, &id, output),
    }
}

fn list(caller: &Caller, output: Shape) -> Result<(), Failure> {
    let found = caller.get("/api/v1/jobs")?;
    let jobs = found.get("jobs").and_then(Value::as_array).cloned().unwrap_or_default();
    match output {
        Shape::Json => data(&format!("{:#}\n", Value::Array(jobs))),
        Shape::Table => {
            if jobs.is_empty() {
                tell("note: there are no jobs");
                return Ok(());
            }
            data(&table(&jobs))
        }
    }
}

fn table(jobs: &[Value]) -> String {
    let mut page = format!(
        "{:<20}  {:<20}  {:<16}  {:<12}  {:<12}  {:>16}  {}\n",
        "id", "kind", "state", "requested by", "approved by", "progress", "why"
    );
    for job in jobs {
        page.push_str(
            format!(
                "{:<20}  {:<20}  {:<16}  {:<12}  {:<12}  {:>16}  {}",
                text(job, "id"),
                text(job, "kind"),
                text(job, "state"),
                text(job, "requested_by"),
                text(job, "approved_by"),
                progress(job),
                why(job),
            )
            .trim_end(),
        );
        page.push('\n');
    }
    page
}

/// What an operator should know beside the state.
fn why(job: &Value) -> String {
    if job.get("known") == Some(&Value::Bool(false)) {
        return "this release has no such kind".to_owned();
    }
    if text(job, "state") == "damaged" {
        return "the row is damaged, or of another release; nothing is done with it".to_owned();
    }
    match (text(job, "reason"), text(job, "approval_expires")) {
        ("", "") => String::new(),
        ("", expires) => format!("approve before {expires}"),
        (reason, _) => reason.to_owned(),
    }
}

/// Shows a job with its report.
pub(super) fn show(caller: &Caller, id: &str, output: Shape) -> Result<(), Failure> {
    let mut job = find(caller, id)?;
    let report = report(caller, text(&job, "id"))?;
    if let Some(object) = job.as_object_mut() {
        object.insert("report".into(), report.clone().into());
    }
    match output {
        Shape::Json => data(&format!("{job:#}\n")),
        Shape::Table => data(&page(&job, &report)),
    }
}

fn report(caller: &Caller, id: &str) -> Result<Vec<Value>, Failure> {
    let (mut rows, mut from) = (Vec::new(), 0);
    loop {
        let found = caller.get(&format!("/api/v1/jobs/{id}/report?from={from}"))?;
        let more = found.get("rows").and_then(Value::as_array).cloned().unwrap_or_default();
        rows.extend(more);
        match found.get("next").and_then(Value::as_u64) {
            Some(next) => from = next,
            None => return Ok(rows),
        }
    }
}

fn page(job: &Value, report: &[Value]) -> String {
    let mut page = String::new();
    let mut line = |name: &str, value: String| {
        if !value.is_empty() {
            page.push_str(&format!("{name:<13} {value}\n"));
        }
    };
    for name in ["id", "kind", "state"] {
        line(name, text(job, name).to_owned());
    }
    line("note", why(job));
    for (name, who, when) in
        [("requested", "requested_by", "requested_at"), ("approved", "approved_by", "approved_at")]
    {
        if !text(job, who).is_empty() {
            line(name, format!("by {} at {}", text(job, who), text(job, when)));
        }
    }
    line("cancelled by", text(job, "cancelled_by").to_owned());
    line("started", text(job, "started_at").to_owned());
    line("finished", text(job, "finished_at").to_owned());
    line("tried again", text(job, "tried_again_at").to_owned());
    line("progress", progress(job));
    line("worked", pace(job));
    for name in ["args", "summary"] {
        line(name, job.get(name).map(words).unwrap_or_default());
    }
    let lost = number(job, "report_lost").unwrap_or(0);
    for row in report {
        rows(row, &mut page);
    }
    if lost > 0 {
        page.push_str(&format!("  … and {lost} more rows that were not kept\n"));
    }
    page
}

/// A row of a report as lines: one for each item of a list in it, and one for the rest.
fn rows(row: &Value, page: &mut String) {
    let Some(members) = row.as_object() else {
        page.push_str(&format!("  {}\n", words(row)));
        return;
    };
    let (lists, rest): (Vec<_>, Vec<_>) =
        members.iter().partition(|(_, value)| value.as_array().is_some_and(|a| !a.is_empty()));
    let rest: serde_json::Map<_, _> =
        rest.into_iter().map(|(name, value)| (name.clone(), value.clone())).collect();
    if !rest.is_empty() {
        page.push_str(&format!("  {}\n", words(&Value::Object(rest))));
    }
    for (name, list) in lists {
        for item in list.as_array().into_iter().flatten() {
            page.push_str(&format!("  {name}: {}\n", words(item)));
        }
    }
}

/// What stands in JSON, for people: names as they are, and no sign but commas and brackets.
fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(yes) => if *yes { "yes" } else { "no" }.to_owned(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(words).collect::<Vec<_>>().join(" "),
        Value::Object(members) => {
            let is_empty = |value: &Value| value.as_array().is_some_and(Vec::is_empty);
            let told = members.iter().filter(|(_, value)| !value.is_null() && !is_empty(value));
            let told = told.map(|(name, value)| match value {
                Value::Object(_) => format!("{name} ({})", words(value)),
                _ => format!("{name} {}", words(value)),
            });
            told.collect::<Vec<_>>().join(", ")
        }
    }
}

/// The time its steps took, and the rate over all of it.
fn pace(job: &Value) -> String {
    let (Some(done), Some(ms @ 1..)) = (number(job, "done"), number(job, "worked_ms")) else {
        return String::new();
    };
    format!("{}, {} a second", span(ms / 1000), done.saturating_mul(1000) / ms)
}

/// Shows a job that was just made or changed.
pub(super) fn tell_job(job: &Value, output: Shape) -> Result<(), Failure> {
    match output {
        Shape::Json => data(&format!("{job:#}\n")),
        Shape::Table => data(&page(job, &[])),
    }
}

fn change(at: &AdminArgs, id: &str, what: &str, output: Shape) -> Result<(), Failure> {
    let caller = Caller::new(at)?;
    let job = find(&caller, id)?;
    let id = text(&job, "id");
    let job = caller.post(&format!("/api/v1/jobs/{id}/{what}"), &json!({}))?;
    tell_job(&job, output)
}

/// The job with this id, or the one whose id starts or ends with it.
fn find(caller: &Caller, id: &str) -> Result<Value, Failure> {
    let whole = id.len() == 20 && id.bytes().all(|b| b.is_ascii_hexdigit());
    if whole && let Some(job) = caller.find(&format!("/api/v1/jobs/{id}"))? {
        return Ok(job);
    }
    let listed = caller.get("/api/v1/jobs")?;
    let jobs = listed.get("jobs").and_then(Value::as_array).cloned().unwrap_or_default();
    let ids: Vec<&str> = jobs.iter().map(|job| text(job, "id")).collect();
    let fits = |known: &&&str| known.starts_with(id) || known.ends_with(id);
    let fitting: Vec<&&str> = ids.iter().filter(fits).collect();
    match fitting.as_slice() {
        [one] if id.len() >= SHORTEST => caller.get(&format!("/api/v1/jobs/{one}")),
        _ => Err(Failure::new(Exit::Failed, unfound(id, &ids, fitting.len()))),
    }
}

/// Why `id` stands for none of the jobs: it is too short, or fits none, or `fitting` of them.
fn unfound(id: &str, ids: &[&str], fitting: usize) -> String {
    let said: String = id.chars().filter(|c| !c.is_control()).take(40).collect();
    if id.len() < SHORTEST {
        return format!(
            "`{said}` is too short for the id of a job: write {SHORTEST} letters of it"
        );
    }
    if fitting > 1 {
        return format!(
            "{fitting} jobs have an id that begins or ends with `{said}`: write more of it, or its \
             end, as ids of the same hours begin alike; `privet job list` shows them"
        );
    }
    let near = closest(id, ids.iter().copied());
    let near = near.map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    format!("there is no job `{said}`{near}; `privet job list` shows them")
}

/// Follows a job to its end: a bar on a terminal, otherwise a line now and then.
pub(super) fn watch(caller: &Caller, id: &str, output: Shape) -> Result<(), Failure> {
    let mut job = find(caller, id)?;
    let path = format!("/api/v1/jobs/{}", text(&job, "id"));
    let on_terminal = std::io::stderr().is_terminal() && matches!(output, Shape::Table);
    let mut watched = Watched::new(&job, SystemClock.uptime_ms());
    loop {
        let now_ms = SystemClock.uptime_ms();
        let line = watched.line(&job, now_ms);
        if matches!(output, Shape::Json) {
            if watched.is_news(&job) {
                data(&format!("{job}\n"))?;
            }
        } else if on_terminal {
            draw(&line);
        } else if watched.is_due(&job, now_ms) {
            tell(&line);
        }
        if !text(&job, "finished_at").is_empty() {
            if on_terminal {
                tell("");
            }
            if matches!(output, Shape::Table) {
                data(&page(&job, &report(caller, text(&job, "id"))?))?;
            }
            return outcome(&job);
        }
        pause();
        job = caller.get(&path)?;
    }
}

/// Follows a job to its end and shows it with its report: for programs, as one document.
pub(super) fn follow(caller: &Caller, id: &str, output: Shape) -> Result<(), Failure> {
    if matches!(output, Shape::Table) {
        return watch(caller, id, output);
    }
    let path = format!("/api/v1/jobs/{id}");
    loop {
        let job = caller.get(&path)?;
        if !text(&job, "finished_at").is_empty() {
            show(caller, id, output)?;
            return outcome(&job);
        }
        pause();
    }
}

/// The exit code says how the job ended.
fn outcome(job: &Value) -> Result<(), Failure> {
    match text(job, "state") {
        "done" => Ok(()),
        state => {
            let why = text(job, "reason");
            Err(Failure::new(Exit::Failed, format_args!("the job is {state}: {why}")))
        }
    }
}

/// What a watcher has seen.
pub(super) struct Watched {
    /// Progress and time at the first look and at each after it, the oldest first: the rate is
    /// that of the last minute, not of a pause yesterday.
    looks: Vec<(u64, u64)>,
    told_ms: Option<u64>,
    state: String,
    last: Value,
}

impl Watched {
    pub(super) fn new(job: &Value, now_ms: u64) -> Self {
        let looks = vec![(number(job, "done").unwrap_or(0), now_ms)];
        Self { looks, told_ms: None, state: String::new(), last: Value::Null }
    }

    /// Whether the job differs from what was written last.
    fn is_news(&mut self, job: &Value) -> bool {
        let news = self.last != *job;
        self.last = job.clone();
        news
    }

    /// Whether a line is due: on another state at once, otherwise every ten seconds.
    pub(super) fn is_due(&mut self, job: &Value, now_ms: u64) -> bool {
        let due = self.state != text(job, "state")
            || self.told_ms.is_none_or(|told| now_ms.saturating_sub(told) >= LINE_MS);
        if due {
            self.told_ms = Some(now_ms);
            text(job, "state").clone_into(&mut self.state);
        }
        due
    }

    /// State, bar, rate and remaining time.
    pub(super) fn line(&mut self, job: &Value, now_ms: u64) -> String {
        let done = number(job, "done").unwrap_or(0);
        self.looks.push((done, now_ms));
        self.looks.retain(|(_, at)| now_ms.saturating_sub(*at) <= RATE_MS);
        let first = self.looks.first().copied().unwrap_or((done, now_ms));
        let (more, ms) = (done.saturating_sub(first.0), now_ms.saturating_sub(first.1));
        let state = text(job, "state");
        if state == "waiting_approval" {
            return format!("waits for another operator: privet job approve {}", text(job, "id"));
        }
        let mut line = format!("{state:<9} {}{}", bar(job), progress(job));
        if state == "running" && ms > 0 && more > 0 {
            line.push_str(&format!("  {} a second", more.saturating_mul(1000).div_ceil(ms)));
            if let Some(total) = number(job, "total") {
                let left_s = total.saturating_sub(done).saturating_mul(ms) / more / 1000;
                line.push_str(&format!("  {} left", span(left_s)));
            }
        }
        if !why(job).is_empty() {
            line.push_str(&format!("  {}", why(job)));
        }
        line
    }
}

/// Draws over the line before.
pub(super) fn draw(line: &str) {
    // Nobody may be looking, which is no failure of the command.
    drop(write!(std::io::stderr().lock(), "\r\x1b[2K{line}"));
}

fn pause() {
    drop(serve::block_on(async {
        tokio::time::sleep(LOOK).await;
        Ok(())
    }));
}

/// Twenty-four places, as many of them filled as of the work is done, and a blank. Nothing once a
/// job has ended of which nobody knew how much it was.
fn bar(job: &Value) -> String {
    let (Some(done), Some(total @ 1..)) = (number(job, "done"), number(job, "total")) else {
        let ended = !text(job, "finished_at").is_empty();
        return if ended { String::new() } else { format!("[{}] ", "-".repeat(PLACES)) };
    };
    let full = u64::try_from(PLACES).unwrap_or(0).saturating_mul(done.min(total)) / total;
    let full = usize::try_from(full).unwrap_or(0);
    format!("[{}{}] ", "#".repeat(full), "-".repeat(PLACES - full))
}

fn progress(job: &Value) -> String {
    match (number(job, "done"), number(job, "total")) {
        (Some(done), Some(total @ 1..)) => {
            format!("{done}/{total} {:>3}%", done.saturating_mul(100) / total)
        }
        (Some(done @ 1..), _) => done.to_string(),
        _ => String::new(),
    }
}

/// `45s`, `12m 05s`, `3h 20m`.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

fn text<'a>(job: &'a Value, name: &str) -> &'a str {
    job.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn number(job: &Value, name: &str) -> Option<u64> {
    job.get(name).and_then(Value::as_u64)
}

/// The fewest letters of an id that stand for it.
const SHORTEST: usize = 4;
/// Places of the bar.
const PLACES: usize = 24;
/// How often a watched job is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often a line is written where there is no terminal, in milliseconds.
const LINE_MS: u64 = 10_000;
/// How far back the rate looks, in milliseconds.
const RATE_MS: u64 = 60_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: &str, done: u64, total: Option<u64>) -> Value {
        json!({ "id": "0".repeat(20), "kind": "k", "state": state, "done": done, "total": total })
    }

    #[test]
    fn a_watched_job_shows_rate_and_remaining_time_of_the_last_minute() {
        let mut watched = Watched::new(&job("running", 100, Some(1_000)), 0);
        let line = watched.line(&job("running", 300, Some(1_000)), 10_000);
        assert_eq!(
            line,
            "running   [#######-----------------] 300/1000  30%  20 a second  35s left"
        );
        // A pause of an hour is forgotten.
        watched.line(&job("running", 300, Some(1_000)), 3_600_000);
        let line = watched.line(&job("running", 310, Some(1_000)), 3_601_000);
        assert!(line.ends_with("10 a second  1m 09s left"), "{line}");
    }

    #[test]
    fn progress_without_a_total_has_no_remaining_time() {
        let mut watched = Watched::new(&job("running", 0, None), 0);
        let line = watched.line(&job("running", 50, None), 1_000);
        assert_eq!(line, format!("running   [{}] 50  50 a second", "-".repeat(24)));
        assert_eq!(progress(&job("queued", 0, Some(0))), "");
    }

    #[test]
    fn an_ended_job_of_unknown_size_has_no_empty_bar() {
        let mut done = job("done", 41, None);
        done["finished_at"] = json!("2026-11-22T07:47:54.810Z");
        assert_eq!(Watched::new(&done, 0).line(&done, 0), "done      41");
        let mut whole = job("done", 43, Some(43));
        whole["finished_at"] = json!("2026-11-22T07:47:54.810Z");
        let line = Watched::new(&whole, 0).line(&whole, 0);
        assert_eq!(line, format!("done      [{}] 43/43 100%", "#".repeat(24)));
    }

    #[test]
    fn part_of_an_id_that_stands_for_no_job_is_told_why() {
        let ids = ["01a2023a8314c838b728", "01a2023a7e7450fd65ff"];
        for (id, fitting, why) in [
            ("01", 2, "too short"),
            ("01a202", 2, "2 jobs have an id that begins or ends with `01a202`"),
            ("b729", 0, "there is no job `b729`"),
            ("01a2023a8314c838b729", 0, "did you mean `01a2023a8314c838b728`?"),
        ] {
            let said = unfound(id, &ids, fitting);
            assert!(said.contains(why), "{id}: {said}");
        }
    }

    #[test]
    fn people_read_a_report_without_the_signs_of_json() {
        let mut told = String::new();
        for row in [
            json!({"records": 41, "older_keys": {"values": 4, "records": 1}, "cursor": null}),
            json!({"offenders": [{"record": 2, "why": "erased"}, {"record": 9, "why": "forged"}]}),
            json!({"field": "email", "exact": true, "offenders": []}),
        ] {
            rows(&row, &mut told);
        }
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(
            lines,
            [
                "  records 41, older_keys (values 4, records 1)",
                "  offenders: record 2, why erased",
                "  offenders: record 9, why forged",
                "  field email, exact yes",
            ]
        );
    }

    #[test]
    fn without_a_terminal_a_line_comes_every_ten_seconds_and_on_news() {
        let mut watched = Watched::new(&job("queued", 0, None), 0);
        assert!(watched.is_due(&job("queued", 0, None), 0));
        assert!(!watched.is_due(&job("queued", 0, None), 9_999));
        assert!(watched.is_due(&job("running", 0, None), 9_999));
        assert!(watched.is_due(&job("running", 0, None), 19_999));
    }

    #[test]
    fn spans_are_read_at_a_glance() {
        for (seconds, text) in [(0, "0s"), (59, "59s"), (65, "1m 05s"), (12_000, "3h 20m")] {
            assert_eq!(span(seconds), text);
        }
    }
}
