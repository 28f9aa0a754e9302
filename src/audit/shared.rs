//! What the handles of the log, its committer and its publisher share.

use std::fmt;
use std::sync::Arc;
use std::sync::Condvar;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::crypto::merkle::Hash;

use super::AuditConfig;
use super::AuditError;
use super::AuditMetrics;
use super::Cosigned;
use super::prune;
use super::waiter::Waiter;

/// An entry as it is written, with its hash; both are made by the caller, off the committer.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) bytes: Vec<u8>,
    pub(super) leaf: Hash,
}

/// Who waits for an entry, and since when.
#[derive(Debug)]
pub(super) struct Append {
    pub(super) entry: Sealed,
    pub(super) waiter: Option<Waiter>,
    pub(super) since: Instant,
}

/// Who waits for the whole log.
pub(super) type Done = oneshot::Sender<Result<(), AuditError>>;

/// Work for the committer.
#[derive(Debug)]
pub(super) enum Job {
    Append(Append),
    Flush(Done),
    Prune(prune::Order),
    Cosigned(Box<Cosigned>),
}

impl Job {
    /// Whether somebody waits for it.
    fn is_awaited(&self) -> bool {
        !matches!(self, Self::Append(Append { waiter: None, .. }))
    }
}

/// The parts of the log that may be in trouble.
#[derive(Clone, Copy, Debug)]
pub(super) enum Part {
    Journal = 0,
    Publisher = 1,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Stage {
    #[default]
    Open,
    /// Takes no more jobs.
    Closing,
    /// The committer is gone.
    Finished,
}

#[derive(Debug, Default)]
struct Queue {
    jobs: Vec<Job>,
    closers: Vec<Done>,
    stage: Stage,
    sleep: Sleep,
}

/// What wakes the committer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
enum Sleep {
    /// It is at work.
    #[default]
    Awake,
    /// Any job.
    Idle,
    /// A job somebody waits for: there are others, which are in no hurry.
    Gathering,
}

/// See the module.
pub(super) struct Shared {
    pub(super) config: AuditConfig,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) metrics: Arc<AuditMetrics>,
    /// Bytes of entries that are durable but not yet in bundles.
    backlog: Mutex<usize>,
    eased: Condvar,
    pub(super) checkpoint: Mutex<Option<Arc<str>>>,
    /// The minimum in force, from the signed note and not from whatever stands in the folder.
    pub(super) minimum: AtomicU64,
    queue: Mutex<Queue>,
    wake: Condvar,
    /// A bit for each part in trouble, and one for a closed log.
    closed_for: AtomicU8,
    troubles: Mutex<[Option<Arc<str>>; 2]>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Log({})", self.config.dir.display())
    }
}

impl Shared {
    pub(super) fn new(config: AuditConfig, clock: Arc<dyn Clock>) -> Self {
        let metrics = Arc::new(AuditMetrics::new());
        metrics.writable.set(1);
        Self {
            config,
            clock,
            metrics,
            backlog: Mutex::new(0),
            eased: Condvar::new(),
            checkpoint: Mutex::new(None),
            minimum: AtomicU64::new(0),
            queue: Mutex::default(),
            wake: Condvar::new(),
            closed_for: AtomicU8::new(0),
            troubles: Mutex::default(),
        }
    }

    pub(super) fn writable(&self) -> bool {
        self.closed_for.load(Ordering::Acquire) == 0
    }

    /// Why the log is not writable now.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        if self.closed_for.load(Ordering::Acquire) & CLOSED != 0 {
            return Some("it is closed".into());
        }
        held(&self.troubles).iter().flatten().next().cloned()
    }

    /// The error for an entry that cannot be taken now.
    pub(super) fn refusal(&self) -> AuditError {
        if self.closed_for.load(Ordering::Acquire) & CLOSED != 0 {
            return AuditError::Closed;
        }
        let why = self.trouble().unwrap_or_else(|| "it has just recovered".into());
        AuditError::Unwritable { why }
    }

    /// Notes that a part is in trouble; `true` when it was not before.
    pub(super) fn fail(&self, part: Part, error: &AuditError) -> bool {
        let why = chain(error).into();
        if let Some(slot) = held(&self.troubles).get_mut(part as usize) {
            *slot = Some(why);
        }
        self.metrics.failures.inc();
        self.metrics.writable.set(0);
        let bit = 1 << part as u8;
        let fresh = self.closed_for.fetch_or(bit, Ordering::AcqRel) & bit == 0;
        if fresh {
            let why = chain(error);
            tracing::error!(?part, why, "the audit log cannot be written; nothing leaves");
        }
        fresh
    }

    /// Notes that a part is well again.
    pub(super) fn recover(&self, part: Part) {
        if let Some(slot) = held(&self.troubles).get_mut(part as usize) {
            *slot = None;
        }
        let bit = 1 << part as u8;
        let before = self.closed_for.fetch_and(!bit, Ordering::AcqRel);
        if before & bit != 0 {
            tracing::info!(?part, "the audit log can be written again");
        }
        if before & !bit == 0 {
            self.metrics.writable.set(1);
        }
    }

    /// Hands a job to the committer, unless `max_waiting` wait already.
    pub(super) fn push(&self, job: Job, max_waiting: usize) -> Result<(), AuditError> {
        // Entries nobody waits for still arrive while the publisher is in trouble.
        let full = !self.writable() && *held(&self.backlog) > MAX_BACKLOG_BYTES;
        let mut queue = held(&self.queue);
        if queue.stage != Stage::Open {
            return Err(AuditError::Closed);
        }
        let waiting = queue.jobs.len();
        if waiting >= max_waiting || full {
            return Err(AuditError::Overloaded { waiting });
        }
        let wakes = match queue.sleep {
            Sleep::Awake => false,
            Sleep::Idle => true,
            Sleep::Gathering => job.is_awaited(),
        };
        queue.jobs.push(job);
        if wakes {
            queue.sleep = Sleep::Awake;
            drop(queue);
            self.wake.notify_one();
        }
        Ok(())
    }

    /// Moves every waiting job to `jobs`, which is empty; waits for one for at most `limit`.
    /// `false` when the log is closing and nothing waits. Entries nobody waits for do not go to
    /// the disk by themselves before [`GATHER`] has passed: mostly one that is waited for follows.
    pub(super) fn take(&self, jobs: &mut Vec<Job>, limit: Option<Duration>) -> bool {
        let mut queue = held(&self.queue);
        if queue.jobs.is_empty() && queue.stage == Stage::Open {
            queue = self.sleep(queue, Sleep::Idle, limit);
        }
        let is_patient = !queue.jobs.is_empty() && !queue.jobs.iter().any(Job::is_awaited);
        if is_patient && queue.stage == Stage::Open {
            queue = self.sleep(queue, Sleep::Gathering, Some(limit.unwrap_or(GATHER).min(GATHER)));
        }
        // Who is about to hand in more gets the core first, where it is shared: a larger group
        // costs as much as a small one.
        drop(queue);
        std::thread::yield_now();
        let mut queue = held(&self.queue);
        std::mem::swap(&mut queue.jobs, jobs);
        let waiting = i64::try_from(jobs.len()).unwrap_or(i64::MAX);
        self.metrics.waiting.set(waiting);
        queue.stage == Stage::Open || !jobs.is_empty()
    }

    fn sleep<'a>(
        &'a self,
        mut queue: MutexGuard<'a, Queue>,
        sleep: Sleep,
        limit: Option<Duration>,
    ) -> MutexGuard<'a, Queue> {
        queue.sleep = sleep;
        let mut queue = match limit {
            Some(limit) => {
                self.wake.wait_timeout(queue, limit).unwrap_or_else(PoisonError::into_inner).0
            }
            None => self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
        };
        queue.sleep = Sleep::Awake;
        queue
    }

    /// Entries of so many bytes are durable and wait for the publisher.
    pub(super) fn add_backlog(&self, bytes: usize) {
        *held(&self.backlog) += bytes;
    }

    /// Entries of so many bytes are in their files.
    pub(super) fn ease_backlog(&self, bytes: usize) {
        let mut backlog = held(&self.backlog);
        *backlog = backlog.saturating_sub(bytes);
        drop(backlog);
        self.eased.notify_one();
    }

    /// Waits while more is durable than should be held in memory for the publisher: callers are
    /// slowed down, and refused only once too many of them wait.
    pub(super) fn let_publisher_catch_up(&self) {
        // A publisher in trouble is not waited for: new entries are refused then anyway.
        while self.writable() && held(&self.queue).stage == Stage::Open {
            let backlog = held(&self.backlog);
            if *backlog <= MAX_BACKLOG_BYTES {
                return;
            }
            drop(self.eased.wait_timeout(backlog, LOOK_AGAIN));
        }
    }

    /// Takes no more jobs; `done` hears when those that wait are done with.
    pub(super) fn close(&self, done: Option<Done>) {
        let mut queue = held(&self.queue);
        if queue.stage == Stage::Finished {
            drop(done.map(|done| done.send(Ok(()))));
            return;
        }
        queue.stage = Stage::Closing;
        queue.closers.extend(done);
        queue.sleep = Sleep::Awake;
        drop(queue);
        self.wake.notify_one();
    }

    /// The committer is gone. Whoever still waits is told.
    pub(super) fn finish(&self, result: &Result<(), AuditError>) {
        self.closed_for.fetch_or(CLOSED, Ordering::AcqRel);
        self.metrics.writable.set(0);
        let mut queue = held(&self.queue);
        queue.stage = Stage::Finished;
        queue.jobs.clear();
        for closer in queue.closers.drain(..) {
            // Who no longer listens does not want to know.
            drop(closer.send(result.clone()));
        }
    }
}

/// A lock that a panic elsewhere does not take away: the values behind it are always whole.
pub(super) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// An error and its sources, in one line.
fn chain(error: &AuditError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

const CLOSED: u8 = 1 << 7;

/// More than this in memory, and the committer waits for the publisher.
const MAX_BACKLOG_BYTES: usize = 32 << 20;

/// How long entries nobody waits for may stay in memory.
const GATHER: Duration = Duration::from_millis(5);

/// How often a waiting committer asks whether the log is closing.
const LOOK_AGAIN: Duration = Duration::from_millis(50);
