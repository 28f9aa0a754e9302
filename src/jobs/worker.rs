//! Finding jobs to run, and running them.

use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::Id;
use tokio::task::JoinSet;

use crate::clock::EntropyError;
use crate::state::Rev;
use crate::types::told;

use super::error::JobsError;
use super::held::Held;
use super::job::Job;
use super::job::JobId;
use super::job::JobState;
use super::machine::Due;
use super::queue::Jobs;
use super::work::Ledger;
use super::work::Moment;

/// How long a lease lasts that is not renewed, in milliseconds.
pub const LEASE_MS: u64 = 30_000;
/// How often it is renewed, in milliseconds.
pub const RENEW_MS: u64 = 10_000;
/// How often jobs are looked for when nobody says that there are any.
const TICK: Duration = Duration::from_secs(2);

/// Runs the jobs of one process.
#[derive(Debug)]
pub struct Worker {
    jobs: Jobs,
    ledger: Arc<dyn Ledger>,
    owner: Arc<str>,
    /// Leases of others: the version of the row, and when it was first seen, in uptime.
    seen: HashMap<JobId, (Rev, u64)>,
    /// Rows that were complained about.
    damaged: HashSet<String>,
    /// Whether the last look failed.
    blind: bool,
}

/// The jobs under way.
struct Hands {
    tasks: JoinSet<()>,
    jobs: HashMap<Id, JobId>,
    stop: watch::Sender<bool>,
}

impl Worker {
    /// A worker of `jobs` that notes their life in `ledger`. It has a name of its own.
    pub fn new(jobs: Jobs, ledger: Arc<dyn Ledger>) -> Result<Self, EntropyError> {
        let mut owner = String::new();
        for byte in jobs.random()? {
            // Writing to a String does not fail.
            write!(owner, "{byte:02x}").unwrap_or_default();
        }
        Ok(Self {
            jobs,
            ledger,
            owner: owner.into(),
            seen: HashMap::new(),
            damaged: HashSet::new(),
            blind: false,
        })
    }

    /// Runs jobs until `stop` is ready. Steps under way are cut then, and their leases given back.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let (sender, _) = watch::channel(false);
        let mut hands = Hands { tasks: JoinSet::new(), jobs: HashMap::new(), stop: sender };
        let jobs = self.jobs.clone();
        loop {
            match self.look(&mut hands).await {
                Ok(()) => self.blind = false,
                // Told once: it goes on as long as the state has its trouble.
                Err(error) if !std::mem::replace(&mut self.blind, true) => {
                    tracing::error!(error = told(&error), "jobs cannot be read");
                }
                Err(_) => {}
            }
            jobs.metrics().running.set(i64::try_from(hands.jobs.len()).unwrap_or(i64::MAX));
            tokio::select! {
                biased;
                () = &mut stop => break,
                ended = hands.tasks.join_next_with_id(), if !hands.jobs.is_empty() => {
                    hands.forget(ended);
                }
                () = jobs.0.wake.notified() => {}
                () = tokio::time::sleep(TICK) => {}
            }
        }
        hands.stop.send_replace(true);
        while let Some(ended) = hands.tasks.join_next_with_id().await {
            hands.forget(Some(ended));
        }
    }

    /// Takes what is free and due, ends what is to end, and removes what is old.
    async fn look(&mut self, hands: &mut Hands) -> Result<(), JobsError> {
        let (mut finished, mut waiting, mut damaged) = (Vec::new(), 0, 0);
        let (mut ids, rows) = (HashSet::new(), self.jobs.0.rows.all().await?);
        for row in rows {
            let (job, version) = match row {
                Ok(row) => row,
                Err(name) => {
                    damaged += 1;
                    self.complain(name);
                    continue;
                }
            };
            ids.insert(job.id.clone());
            waiting += i64::from(job.state == JobState::WaitingApproval);
            if job.state.is_finished() {
                finished.push((job, version));
            } else {
                self.consider(job, version, hands).await?;
            }
        }
        self.seen.retain(|id, _| ids.contains(id));
        self.jobs.metrics().waiting.set(waiting);
        self.jobs.metrics().damaged.set(damaged);
        self.prune(finished).await
    }

    async fn consider(
        &mut self,
        job: Job,
        version: Rev,
        hands: &mut Hands,
    ) -> Result<(), JobsError> {
        let due = job.due(self.jobs.0.clock.now());
        if due == Due::No || hands.hold(&job.id) || !self.is_free(&job, version) {
            return Ok(());
        }
        let done = match due {
            Due::Ends(reason) => self.end(job, version, reason).await,
            _ if hands.jobs.len() < self.jobs.0.config.at_once => {
                self.take(job, version, hands).await
            }
            _ => Ok(()),
        };
        match done {
            // Another worker, or an operator, was first.
            Err(JobsError::Contended) => Ok(()),
            done => done,
        }
    }

    /// Whether nobody works on the job. A lease of another worker counts until its row has stood
    /// still for as long as a lease lasts, by this worker's own clock.
    fn is_free(&mut self, job: &Job, version: Rev) -> bool {
        let Some(lease) = &job.lease else { return true };
        if self.jobs.0.config.alone || lease.owner == self.owner {
            return true;
        }
        let now_ms = self.jobs.0.clock.uptime_ms();
        let seen = self.seen.entry(job.id.clone()).or_insert((version, now_ms));
        if seen.0 != version {
            *seen = (version, now_ms);
        }
        now_ms.saturating_sub(seen.1) >= LEASE_MS
    }

    async fn take(&self, job: Job, version: Rev, hands: &mut Hands) -> Result<(), JobsError> {
        // A kind of another release: the job stays as it is.
        let Some(work) = self.jobs.0.kinds.get(&job.kind).cloned() else { return Ok(()) };
        let was_held = job.lease.is_some();
        let held_ms = self.jobs.0.clock.uptime_ms();
        let taken = job.taken(&self.owner);
        let (job, version) = self.jobs.0.rows.replace(version, taken, Vec::new()).await?;
        if was_held {
            self.jobs.metrics().taken_over.inc();
        }
        tracing::info!(job = %job.id, kind = &*job.kind, turn = job.turns, "job taken up");
        let (jobs, ledger) = (self.jobs.clone(), Arc::clone(&self.ledger));
        let id = job.id.clone();
        let held = Held { jobs, ledger, work, job, version, held_ms };
        let task = hands.tasks.spawn(held.work(hands.stop.subscribe()));
        hands.jobs.insert(task.id(), id);
        Ok(())
    }

    /// Ends a job that nobody works on.
    async fn end(&self, job: Job, version: Rev, reason: &'static str) -> Result<(), JobsError> {
        if self.ledger.note(Moment::Cancelled, &job).await.is_err() {
            // Tried again at the next look.
            return Ok(());
        }
        let ended = job.ended(JobState::Cancelled, Some(reason), self.jobs.0.clock.now());
        self.jobs.0.rows.replace(version, ended, Vec::new()).await?;
        self.jobs.metrics().cancelled.inc();
        Ok(())
    }

    /// Removes the oldest finished jobs, beyond how many and how long they are kept.
    async fn prune(&self, mut finished: Vec<(Job, Rev)>) -> Result<(), JobsError> {
        let config = &self.jobs.0.config;
        let now = self.jobs.0.clock.now();
        finished.sort_by_key(|(job, _)| std::cmp::Reverse(job.finished_at));
        for (place, (job, version)) in finished.iter().enumerate() {
            let age_ms = job.finished_at.map_or(0, |at| now.ms_since(at));
            if place >= config.kept || age_ms > config.kept_ms {
                self.jobs.0.rows.remove(job, *version).await?;
            }
        }
        Ok(())
    }

    fn complain(&mut self, name: String) {
        if self.damaged.len() < MOST_COMPLAINTS && self.damaged.insert(name) {
            tracing::error!(
                "the row of a job is damaged or of another release; it is left as it is"
            );
        }
    }
}

impl Hands {
    fn hold(&self, id: &JobId) -> bool {
        self.jobs.values().any(|held| held == id)
    }

    fn forget(&mut self, ended: Option<Result<(Id, ()), tokio::task::JoinError>>) {
        match ended {
            Some(Ok((task, ()))) => drop(self.jobs.remove(&task)),
            Some(Err(error)) => drop(self.jobs.remove(&error.id())),
            None => self.jobs.clear(),
        }
    }
}

/// How many damaged rows are told of one by one.
const MOST_COMPLAINTS: usize = 100;
