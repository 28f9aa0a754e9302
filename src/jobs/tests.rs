//! Jobs on a memory engine, under a clock that tests own.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::AtomicI64;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;
use serde_json::json;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::*;
use crate::clock::Clock;
use crate::clock::SystemEntropy;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::Timestamp;
use std::sync::Arc;

/// A wall clock that can be set, over tokio's paused time, which counts as uptime.
#[derive(Debug)]
struct TestClock {
    begin: Instant,
    set_ms: AtomicI64,
}

impl TestClock {
    fn new() -> Arc<Self> {
        Arc::new(Self { begin: Instant::now(), set_ms: AtomicI64::new(0) })
    }

    /// Sets the wall clock; leases must not care.
    fn set(&self, by_ms: i64) {
        self.set_ms.fetch_add(by_ms, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let ms = 1_800_000_000_000 + self.uptime_ms();
        Timestamp::from_unix_ms(ms.saturating_add_signed(self.set_ms.load(Ordering::SeqCst)))
    }

    fn uptime_ms(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap()
    }
}

/// What a step is told to do.
#[derive(Clone, Copy, Debug)]
enum Do {
    Again,
    Fatal,
    Hang,
    Panic,
}

/// Counts to `total`, a step at a time, and does what it is told first.
#[derive(Debug, Default)]
struct Count {
    approval: bool,
    told: Mutex<VecDeque<Do>>,
    /// The cursors of all steps that began, in order.
    began: Mutex<Vec<u64>>,
    /// Steps under way now, and the most there ever were.
    under_way: AtomicUsize,
    most: AtomicUsize,
    takes_ms: AtomicU64,
    begun: Notify,
    unready: bool,
}

/// Counts a step as under way until it ends, also when it is dropped.
struct Mark<'a>(&'a AtomicUsize);

impl Drop for Mark<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Work for Count {
    fn needs_approval(&self, _: &Value) -> bool {
        self.approval
    }

    fn before_approval(self: Arc<Self>, _: Jobs, _: Job) -> Check {
        Box::pin(async move { if self.unready { Err("do a dry run first") } else { Ok(()) } })
    }

    fn step(self: Arc<Self>, at: At) -> StepFuture {
        Box::pin(async move {
            let total = at.job.args["to"].as_u64().unwrap();
            let from: u64 = at.cursor.as_deref().map_or(0, |cursor| cursor.parse().unwrap());
            self.began.lock().unwrap().push(from);
            let now = self.under_way.fetch_add(1, Ordering::SeqCst) + 1;
            let _mark = Mark(&self.under_way);
            self.most.fetch_max(now, Ordering::SeqCst);
            self.begun.notify_one();
            let told = self.told.lock().unwrap().pop_front();
            match told {
                Some(Do::Again) => return Err(StepError::Again("the store is away")),
                Some(Do::Fatal) => return Err(StepError::Fatal("there is no such set")),
                Some(Do::Hang) => std::future::pending().await,
                Some(Do::Panic) => panic!("a bug"),
                None => {}
            }
            at.live.tell(Progress { done: from, total: Some(total) });
            tokio::time::sleep(Duration::from_millis(self.takes_ms.load(Ordering::SeqCst))).await;
            let progress = Progress { done: from + 1, total: Some(total) };
            let (summary, report) = (Some(json!({ "seen": from + 1 })), vec![json!({ "n": from })]);
            Ok(if from + 1 == total {
                Step::Done { progress, summary, report }
            } else {
                Step::More { cursor: (from + 1).to_string(), progress, summary, report }
            })
        })
    }
}

/// A log that may refuse.
#[derive(Debug, Default)]
struct Notes {
    notes: Mutex<Vec<Moment>>,
    /// How many notes are refused before one is taken.
    refuse: AtomicUsize,
}

impl Ledger for Notes {
    fn note(&self, moment: Moment, _: &Job) -> Noted {
        let refuse = |left: usize| left.checked_sub(1);
        let refused = self.refuse.fetch_update(Ordering::SeqCst, Ordering::SeqCst, refuse).is_ok();
        if !refused {
            self.notes.lock().unwrap().push(moment);
        }
        Box::pin(async move { if refused { Err(Unrecorded) } else { Ok(()) } })
    }
}

/// One installation: an engine, a clock, a kind of work, a log.
struct Place {
    engine: Engine,
    clock: Arc<TestClock>,
    count: Arc<Count>,
    notes: Arc<Notes>,
    jobs: Jobs,
}

impl Place {
    fn new(count: Count) -> Self {
        let (engine, clock, count) = (Engine::memory(), TestClock::new(), Arc::new(count));
        let jobs = process(&engine, &clock, &count, JobsConfig::default());
        Self { engine, clock, count, notes: Arc::default(), jobs }
    }

    /// Another process on the same state.
    fn process(&self, config: JobsConfig) -> Jobs {
        process(&self.engine, &self.clock, &self.count, config)
    }

    /// A worker of `jobs`; it ends when the handle is aborted, as a killed process does.
    fn work(&self, jobs: &Jobs) -> tokio::task::JoinHandle<()> {
        let worker = Worker::new(jobs.clone(), self.notes.clone()).unwrap();
        tokio::spawn(worker.run(std::future::pending()))
    }

    async fn request(&self, to: u64) -> Job {
        self.jobs.create(self.jobs.prepare(wish(to)).await.unwrap()).await.unwrap()
    }

    async fn approve(&self, id: &JobId, by: &str) -> Result<Job, JobsError> {
        let approval = self.jobs.may_approve(id, &by.into()).await?;
        self.jobs.approve(approval).await
    }

    async fn cancel(&self, id: &JobId) -> Result<Job, JobsError> {
        let cancellation = self.jobs.may_cancel(id, &"cleo".into()).await?;
        self.jobs.cancel(cancellation).await
    }

    async fn until(&self, id: &JobId, is: impl Fn(&Job) -> bool) -> Job {
        for _ in 0..100_000 {
            let job = self.jobs.get(id).await.unwrap();
            if is(&job) {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("it never came to that: {:?}", self.jobs.get(id).await);
    }

    async fn ended(&self, id: &JobId) -> Job {
        self.until(id, |job| job.state.is_finished()).await
    }

    async fn write(&self, key: &str, value: &[u8]) {
        let mut tx = Tx::new();
        tx.put(key.as_bytes(), value.to_vec(), Expect::Any);
        self.engine.commit(tx).await.unwrap();
    }

    fn notes(&self) -> Vec<Moment> {
        self.notes.notes.lock().unwrap().clone()
    }

    fn began(&self) -> Vec<u64> {
        self.count.began.lock().unwrap().clone()
    }
}

fn process(
    engine: &Engine,
    clock: &Arc<TestClock>,
    count: &Arc<Count>,
    config: JobsConfig,
) -> Jobs {
    let kinds = Kinds::default().with("count", Arc::clone(count) as Arc<dyn Work>);
    let sources = (Arc::clone(clock) as Arc<dyn Clock>, Arc::new(SystemEntropy) as Arc<_>);
    Jobs::new(engine.clone(), sources, kinds, config)
}

fn wish(to: u64) -> Wish {
    Wish { kind: "count", args: json!({ "to": to }), lane: None, by: "ada".into() }
}

fn asking() -> Count {
    Count { approval: true, ..Count::default() }
}

fn told(what: &[Do]) -> Count {
    Count { told: Mutex::new(what.iter().copied().collect()), ..Count::default() }
}

fn reason(job: &Job) -> &str {
    job.reason.as_deref().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_job_runs_step_by_step_to_its_end_and_says_what_it_found() {
    let place = Place::new(Count::default());
    let _worker = place.work(&place.jobs);
    let job = place.ended(&place.request(5).await.id).await;
    assert_eq!((job.state, job.progress), (JobState::Done, Progress { done: 5, total: Some(5) }));
    assert_eq!(job.summary, Some(json!({ "seen": 5 })));
    let report = place.jobs.report(&job.id, 0).await.unwrap();
    let report: Vec<Value> = report.into_iter().map(|row| row.value).collect();
    assert_eq!(report, (0..5).map(|n| json!({ "n": n })).collect::<Vec<_>>());
    assert_eq!(place.jobs.report(&job.id, 3).await.unwrap().len(), 2);
    assert_eq!(place.notes(), [Moment::Started, Moment::Done]);
    assert_eq!(place.jobs.metrics().steps.get(), 5);
}

#[tokio::test(start_paused = true)]
async fn two_processes_on_one_state_never_run_one_job_at_once() {
    let place = Place::new(Count::default());
    place.count.takes_ms.store(25_000, Ordering::SeqCst);
    let other = place.process(JobsConfig::default());
    let _workers = [place.work(&place.jobs), place.work(&other)];
    let ids = [place.request(6).await.id, place.request(6).await.id];
    for id in &ids {
        assert_eq!(place.ended(id).await.state, JobState::Done);
    }
    // Two jobs at once at most, and every step once: none was done twice.
    assert!(place.count.most.load(Ordering::SeqCst) <= 2);
    let mut began = place.began();
    began.sort_unstable();
    assert_eq!(began, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]);
    assert_eq!(place.jobs.metrics().taken_over.get() + other.metrics().taken_over.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_killed_process_is_followed_by_another_at_the_last_durable_cursor() {
    let place = Place::new(Count::default());
    place.count.takes_ms.store(1_000, Ordering::SeqCst);
    let worker = place.work(&place.jobs);
    let id = place.request(4).await.id;
    place.until(&id, |job| job.cursor.as_deref() == Some("2")).await;
    worker.abort();
    let killed_ms = place.clock.uptime_ms();
    let other = place.process(JobsConfig::default());
    let _worker = place.work(&other);
    assert_eq!(place.ended(&id).await.state, JobState::Done);
    assert!(place.clock.uptime_ms() - killed_ms >= LEASE_MS, "not before the lease is over");
    assert_eq!(other.metrics().taken_over.get(), 1);
    // The step that was under way is done again, and no other; the report has each row once.
    assert_eq!(place.began(), [0, 1, 2, 2, 3]);
    assert_eq!(place.jobs.report(&id, 0).await.unwrap().len(), 4);
    assert_eq!(place.notes(), [Moment::Started, Moment::Done]);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_is_alone_with_its_state_waits_for_no_lease() {
    let place = Place::new(told(&[Do::Hang]));
    let worker = place.work(&place.jobs);
    let id = place.request(1).await.id;
    place.count.begun.notified().await;
    worker.abort();
    let killed_ms = place.clock.uptime_ms();
    let other = place.process(JobsConfig { alone: true, ..JobsConfig::default() });
    let _worker = place.work(&other);
    place.ended(&id).await;
    assert!(place.clock.uptime_ms() - killed_ms < 1_000);
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_jumps_hands_out_no_second_lease() {
    for jump_ms in [-40_i64 * 365 * 86_400_000, -86_400_000, 86_400_000] {
        let place = Place::new(Count::default());
        place.count.takes_ms.store(100_000, Ordering::SeqCst);
        let _worker = place.work(&place.jobs);
        let id = place.request(2).await.id;
        place.count.begun.notified().await;
        place.clock.set(jump_ms);
        let other = place.process(JobsConfig::default());
        let _other = place.work(&other);
        let job = place.ended(&id).await;
        assert_eq!((job.state, job.turns), (JobState::Done, 1), "{jump_ms}");
        assert_eq!(place.count.most.load(Ordering::SeqCst), 1, "{jump_ms}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stopped_worker_cuts_its_step_and_gives_the_lease_back() {
    let place = Place::new(told(&[Do::Hang]));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let worker = Worker::new(place.jobs.clone(), place.notes.clone()).unwrap();
    let worker = tokio::spawn(worker.run(async { drop(stopped.await) }));
    let id = place.request(1).await.id;
    place.count.begun.notified().await;
    stop.send(()).unwrap();
    worker.await.unwrap();
    let job = place.jobs.get(&id).await.unwrap();
    assert_eq!((job.state, job.lease), (JobState::Running, None));
    assert_eq!(place.count.under_way.load(Ordering::SeqCst), 0);
    let _worker = place.work(&place.jobs);
    assert_eq!(place.ended(&id).await.state, JobState::Done);
}

#[tokio::test(start_paused = true)]
async fn a_long_step_tells_how_far_it_is() {
    let place = Place::new(Count::default());
    place.count.takes_ms.store(60_000, Ordering::SeqCst);
    let _worker = place.work(&place.jobs);
    let id = place.request(7).await.id;
    let job = place.until(&id, |job| job.progress.total.is_some()).await;
    assert_eq!((job.progress, job.cursor), (Progress { done: 0, total: Some(7) }, None));
    assert!(place.clock.uptime_ms() < 10_000);
    assert_eq!(place.ended(&id).await.progress.done, 7);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_fails_is_tried_again_later_and_not_for_ever() {
    let place = Place::new(told(&[Do::Again, Do::Panic, Do::Again]));
    let _worker = place.work(&place.jobs);
    let job = place.ended(&place.request(2).await.id).await;
    assert_eq!((job.state, job.failures, job.reason), (JobState::Done, 0, None));
    assert_eq!(place.began(), [0, 0, 0, 0, 1]);
    assert!(place.clock.uptime_ms() >= 1_000 + 2_000 + 4_000, "with pauses that grow");

    let place = Place::new(told(&[Do::Again; 99]));
    let _worker = place.work(&place.jobs);
    let job = place.ended(&place.request(2).await.id).await;
    assert_eq!((job.state, reason(&job)), (JobState::Failed, "the store is away"));
    assert_eq!(place.began().len(), usize::try_from(MAX_FAILURES).unwrap());
    assert_eq!(place.notes(), [Moment::Started, Moment::Failed]);

    let place = Place::new(told(&[Do::Fatal]));
    let _worker = place.work(&place.jobs);
    let job = place.ended(&place.request(2).await.id).await;
    assert_eq!((job.state, reason(&job)), (JobState::Failed, "there is no such set"));
    assert_eq!(place.began().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn cancelling_takes_effect_at_the_next_step() {
    let place = Place::new(Count::default());
    place.count.takes_ms.store(5_000, Ordering::SeqCst);
    let _worker = place.work(&place.jobs);
    let id = place.request(9).await.id;
    place.until(&id, |job| job.cursor.as_deref() == Some("1")).await;
    assert_eq!(place.cancel(&id).await.unwrap().state, JobState::Running);
    let job = place.ended(&id).await;
    assert_eq!((job.state, job.cursor.as_deref()), (JobState::Cancelled, Some("2")));
    assert_eq!(job.cancelled_by.as_deref(), Some("cleo"));
    assert_eq!(place.began(), [0, 1]);
    assert_eq!(place.notes(), [Moment::Started, Moment::Cancelled]);
    assert!(matches!(place.cancel(&id).await, Err(JobsError::Finished)));

    // One that has not begun ends at once.
    let place = Place::new(asking());
    let id = place.request(9).await.id;
    assert_eq!(place.cancel(&id).await.unwrap().state, JobState::Cancelled);
    assert!(matches!(place.approve(&id, "ben").await, Err(JobsError::Finished)));
}

#[tokio::test(start_paused = true)]
async fn nobody_approves_their_own_job_by_whatever_token() {
    let place = Place::new(asking());
    let _worker = place.work(&place.jobs);
    let id = place.request(1).await.id;
    for name in ["ada", "Ada", "ADA"] {
        assert!(matches!(place.approve(&id, name).await, Err(JobsError::Own)), "{name}");
    }
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    assert_eq!(place.jobs.get(&id).await.unwrap().state, JobState::WaitingApproval);
    assert_eq!(place.began(), [0_u64; 0]);
    assert_eq!(place.approve(&id, "ben").await.unwrap().approved_by.as_deref(), Some("ben"));
    assert_eq!(place.ended(&id).await.state, JobState::Done);
    assert!(matches!(place.approve(&id, "cleo").await, Err(JobsError::Finished)));
}

#[tokio::test(start_paused = true)]
async fn an_approval_is_for_one_version_of_one_job() {
    let place = Place::new(asking());
    let (one, two) = (place.request(1).await.id, place.request(2).await.id);
    let ben = "ben".into();
    // A ticket names its job: used twice, or after the job changed, it does nothing.
    let ticket = place.jobs.may_approve(&one, &ben).await.unwrap();
    let again = place.jobs.may_approve(&one, &ben).await.unwrap();
    place.jobs.approve(ticket).await.unwrap();
    assert!(matches!(place.jobs.approve(again).await, Err(JobsError::Contended)));
    assert_eq!(place.jobs.get(&two).await.unwrap().state, JobState::WaitingApproval);
    let late = place.jobs.may_approve(&two, &ben).await.unwrap();
    place.cancel(&two).await.unwrap();
    assert!(matches!(place.jobs.approve(late).await, Err(JobsError::Contended)));
    assert_eq!(place.jobs.get(&two).await.unwrap().state, JobState::Cancelled);
    assert!(matches!(place.approve(&one, "cleo").await, Err(JobsError::NotWaiting)));
}

#[tokio::test(start_paused = true)]
async fn an_approval_comes_within_a_day_or_not_at_all() {
    let day = Duration::from_millis(APPROVAL_MS);
    // Requested, and nobody came; with a worker or without one.
    let place = Place::new(asking());
    let id = place.request(1).await.id;
    tokio::time::sleep(day).await;
    assert!(matches!(place.approve(&id, "ben").await, Err(JobsError::Expired)));
    let worker = place.work(&place.jobs);
    let job = place.ended(&id).await;
    assert_eq!((job.state, reason(&job)), (JobState::Cancelled, machine::UNAPPROVED));
    assert_eq!(place.notes(), [Moment::Cancelled]);
    // A clock that is set back makes nothing young again.
    place.clock.set(-86_000_000);
    assert!(matches!(place.approve(&id, "ben").await, Err(JobsError::Finished)));
    worker.abort();

    // Approved, and nothing ran it for a day.
    let place = Place::new(asking());
    let id = place.request(1).await.id;
    place.approve(&id, "ben").await.unwrap();
    tokio::time::sleep(day).await;
    let _worker = place.work(&place.jobs);
    assert_eq!(place.ended(&id).await.state, JobState::Cancelled);
    assert_eq!(place.began(), [0_u64; 0]);

    // A clock that shows a time before the request proves nothing.
    let place = Place::new(asking());
    let id = place.request(1).await.id;
    place.clock.set(-3_600_000);
    assert!(matches!(place.approve(&id, "ben").await, Err(JobsError::Clock)));
}

#[tokio::test(start_paused = true)]
async fn what_must_come_before_an_approval_is_said() {
    let place = Place::new(Count { unready: true, ..asking() });
    let id = place.request(1).await.id;
    let error = place.approve(&id, "ben").await.unwrap_err();
    assert_eq!(crate::types::ClientError::client_message(&error), "do a dry run first");
}

#[tokio::test(start_paused = true)]
async fn a_job_from_before_approvals_does_not_run_without_one() {
    let place = Place::new(Count::default());
    let id = place.request(1).await.id;
    let strict = Arc::new(asking());
    let jobs = process(&place.engine, &place.clock, &strict, JobsConfig::default());
    let _worker = place.work(&jobs);
    let job = place.ended(&id).await;
    assert_eq!(job.state, JobState::Failed);
    assert!(strict.began.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_damaged_row_is_left_alone_and_told() {
    let place = Place::new(asking());
    let id = place.request(1).await.id;
    let good = place.engine.get(&Job::key(&id)).await.unwrap().unwrap().value;
    let text = String::from_utf8(good).unwrap();
    let other = JobId::parse(&"a".repeat(20)).unwrap();
    let row = format!("job/{id}");
    for (what, key, value) in [
        ("cut off", &row, text.chars().take(text.len() / 2).collect()),
        ("empty", &row, String::new()),
        ("of a later form", &row, text.replace("\"v\":1", "\"v\":2")),
        ("with a member of a later form", &row, text.replace("\"v\":1", "\"v\":1,\"w\":1")),
        ("in a state that is none", &row, text.replace("waiting_approval", "approved")),
        ("queued, but never approved", &row, text.replace("waiting_approval", "queued")),
        (
            "approved by who asked for it",
            &row,
            text.replace("waiting_approval", "queued").replace(
                "\"approved_by\":null,\"approved_at\":null",
                "\"approved_by\":\"Ada\",\"approved_at\":1800000000000",
            ),
        ),
        ("done, but with no end", &row, text.replace("waiting_approval", "done")),
        ("of another job", &format!("job/{other}"), text.clone()),
        ("under a name that is none", &"job/x".to_owned(), text.clone()),
    ] {
        assert!(value != text || *key != row, "{what}: the test changes nothing");
        place.write(key, value.as_bytes()).await;
        let worker = place.work(&place.jobs);
        tokio::time::sleep(Duration::from_secs(60)).await;
        worker.abort();
        assert_eq!(place.jobs.metrics().damaged.get(), 1, "{what}");
        let listed = place.jobs.list().await.unwrap();
        let name = key.trim_start_matches("job/").to_owned();
        assert!(listed.contains(&Listed::Damaged(name.clone())), "{what}: {listed:?}");
        if let Some(id) = JobId::parse(&name) {
            assert!(matches!(place.approve(&id, "ben").await, Err(JobsError::Damaged)), "{what}");
            assert!(matches!(place.cancel(&id).await, Err(JobsError::Damaged)), "{what}");
        }
        let kept = place.engine.get(key.as_bytes()).await.unwrap().unwrap().value;
        assert_eq!(kept, value.as_bytes(), "{what}: the row is as it was");
        let mut tx = Tx::new();
        tx.delete(key.as_bytes(), Expect::Any);
        place.engine.commit(tx).await.unwrap();
        place.write(&row, text.as_bytes()).await;
    }
    assert_eq!(place.began(), [0_u64; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_kind_of_a_later_release_stays_as_it_is_and_can_be_cancelled() {
    let place = Place::new(asking());
    let id = place.request(1).await.id;
    let key = Job::key(&id);
    let text = String::from_utf8(place.engine.get(&key).await.unwrap().unwrap().value).unwrap();
    let later = text
        .replace("\"kind\":\"count\"", "\"kind\":\"fold\"")
        .replace("\"needs_approval\":true", "\"needs_approval\":false")
        .replace("waiting_approval", "queued");
    place.write(&format!("job/{id}"), later.as_bytes()).await;
    let _worker = place.work(&place.jobs);
    tokio::time::sleep(Duration::from_secs(3_600)).await;
    let job = place.jobs.get(&id).await.unwrap();
    assert_eq!((job.state, place.jobs.knows(&job.kind)), (JobState::Queued, false));
    assert!(matches!(place.approve(&id, "ben").await, Err(JobsError::UnknownKind)));
    assert_eq!(place.cancel(&id).await.unwrap().state, JobState::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn one_job_of_a_lane_is_unfinished_at_a_time() {
    let place = Place::new(Count::default());
    let wish = || Wish { lane: Some("shop.customers".into()), ..wish(1) };
    // Both looked before either wrote.
    let one = place.jobs.prepare(wish()).await.unwrap();
    let two = place.jobs.prepare(wish()).await.unwrap();
    let id = place.jobs.create(one).await.unwrap().id;
    assert!(matches!(place.jobs.create(two).await, Err(JobsError::Contended)));
    assert!(matches!(place.jobs.prepare(wish()).await, Err(JobsError::Busy(busy)) if busy == id));
    let _worker = place.work(&place.jobs);
    place.ended(&id).await;
    let next = place.jobs.create(place.jobs.prepare(wish()).await.unwrap()).await.unwrap();
    place.cancel(&next.id).await.ok();
    place.ended(&next.id).await;
    place.jobs.prepare(wish()).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_the_log_does_not_take_does_not_happen() {
    let place = Place::new(Count::default());
    place.notes.refuse.store(3, Ordering::SeqCst);
    let _worker = place.work(&place.jobs);
    let id = place.request(1).await.id;
    place.until(&id, |job| reason(job) == "the audit log cannot be written").await;
    assert_eq!(place.began(), [0_u64; 0]);
    assert_eq!(place.ended(&id).await.state, JobState::Done);
    assert_eq!(place.notes(), [Moment::Started, Moment::Done]);
    assert!(place.clock.uptime_ms() >= 30_000);
}

/// Gives too much of something.
#[derive(Debug)]
struct Greedy(Step);

impl Work for Greedy {
    fn needs_approval(&self, _: &Value) -> bool {
        false
    }

    fn step(self: Arc<Self>, _: At) -> StepFuture {
        Box::pin(async move { Ok(self.0.clone()) })
    }
}

#[tokio::test(start_paused = true)]
async fn a_step_that_gives_more_than_a_row_takes_ends_the_job() {
    let more = |cursor: String, summary: Option<Value>, done| Step::More {
        cursor,
        progress: Progress { done, total: Some(1) },
        summary,
        report: Vec::new(),
    };
    for (what, step) in [
        ("cursor", more("x".repeat(513), None, 0)),
        ("cursor", more("\"".repeat(300), None, 0)),
        ("summary", more(String::new(), Some(json!("x".repeat(1_100))), 0)),
        ("did more", more(String::new(), None, 2)),
    ] {
        let place = Place::new(Count::default());
        let kinds = Kinds::default().with("count", Arc::new(Greedy(step)));
        let sources = (place.clock.clone() as Arc<dyn Clock>, Arc::new(SystemEntropy) as Arc<_>);
        let jobs = Jobs::new(place.engine.clone(), sources, kinds, JobsConfig::default());
        let _worker = place.work(&jobs);
        let job = place.ended(&place.request(1).await.id).await;
        assert_eq!(job.state, JobState::Failed, "{what}");
        assert!(reason(&job).contains(what), "{what}: {}", reason(&job));
    }
    // A row of a report that is too long is counted, and the rest is kept.
    let step = Step::Done {
        progress: Progress::default(),
        summary: None,
        report: vec![json!("x".repeat(6_000)), json!("short")],
    };
    let place = Place::new(Count::default());
    let kinds = Kinds::default().with("count", Arc::new(Greedy(step)));
    let sources = (place.clock.clone() as Arc<dyn Clock>, Arc::new(SystemEntropy) as Arc<_>);
    let jobs = Jobs::new(place.engine.clone(), sources, kinds, JobsConfig::default());
    let _worker = place.work(&jobs);
    let job = place.ended(&place.request(1).await.id).await;
    assert_eq!((job.report_rows, job.report_lost), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn limits_hold() {
    let place = Place::new(asking());
    let long = Wish { args: json!({ "to": "x".repeat(2_000) }), ..wish(1) };
    assert!(matches!(place.jobs.prepare(long).await, Err(JobsError::TooLong(_))));
    let strange = Wish { kind: "fold", ..wish(1) };
    assert!(matches!(place.jobs.prepare(strange).await, Err(JobsError::UnknownKind)));
    for _ in 0..100 {
        place.request(1).await;
    }
    assert!(matches!(place.jobs.prepare(wish(1)).await, Err(JobsError::TooMany)));

    // A report of many rows stays bounded, and says how many there would be.
    let place = Place::new(Count::default());
    let _worker = place.work(&place.jobs);
    let job = place.ended(&place.request(300).await.id).await;
    assert_eq!((job.report_rows, job.report_lost), (MAX_REPORT_ROWS, 300 - 256));
    assert_eq!(place.jobs.report(&job.id, 0).await.unwrap().len(), 64);
    assert_eq!(place.jobs.report(&job.id, 250).await.unwrap().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn finished_jobs_are_kept_for_a_while() {
    let place = Place::new(Count::default());
    let config = JobsConfig { kept: 3, kept_ms: 3_600_000, ..JobsConfig::default() };
    let jobs = place.process(config);
    let _worker = place.work(&jobs);
    let mut ids = Vec::new();
    for _ in 0..5 {
        let id = place.request(1).await.id;
        place.ended(&id).await;
        ids.push(id);
        tokio::time::sleep(Duration::from_secs(10)).await;
    }
    let listed = place.jobs.list().await.unwrap();
    let left: Vec<JobId> = listed
        .iter()
        .map(|listed| match listed {
            Listed::Job(job) => job.id.clone(),
            Listed::Damaged(name) => panic!("{name}"),
        })
        .collect();
    assert_eq!(left, [&ids[4], &ids[3], &ids[2]].map(Clone::clone));
    tokio::time::sleep(Duration::from_secs(3_700)).await;
    assert_eq!(place.jobs.list().await.unwrap(), []);
    let left = place.engine.scan(b"job", None, 100).await.unwrap();
    assert!(left.items.is_empty(), "their reports go with them");
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_the_state_at_any_call_loses_and_doubles_nothing() {
    use crate::state::FaultMoment;
    use crate::state::FaultPlan;
    for moment in [FaultMoment::Before, FaultMoment::After] {
        for call in 1..40 {
            let place = Place::new(Count::default());
            let Engine::Memory(memory) = &place.engine else { unreachable!() };
            let id = place.request(3).await.id;
            memory.plan_fault(FaultPlan { call, moment });
            let worker = place.work(&place.jobs);
            tokio::time::sleep(Duration::from_secs(120)).await;
            assert!(memory.clear_fault() || call > 12, "{moment:?} {call}: nothing failed");
            let job = place.jobs.get(&id).await.unwrap();
            assert_eq!(job.state, JobState::Done, "{moment:?} {call}");
            assert_eq!(place.jobs.report(&id, 0).await.unwrap().len(), 3, "{moment:?} {call}");
            assert_eq!((job.report_rows, job.report_lost), (3, 0), "{moment:?} {call}");
            worker.abort();
        }
    }
}
