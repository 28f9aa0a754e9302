//! The log as the rest of the gateway sees it: hand in an entry, get a receipt.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc;

use tokio::sync::Semaphore;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::clock::Clock;
use crate::crypto::merkle::leaf;
use crate::crypto::note::NoteKey;

use super::AuditConfig;
use super::AuditError;
use super::AuditMetrics;
use super::Cosigned;
use super::Entry;
use super::Kind;
use super::committer::Committer;
use super::disk::Disk;
use super::disk::Hook;
use super::disk::failed;
use super::open;
use super::publisher::Publisher;
use super::shared::Append;
use super::shared::Job;
use super::shared::Sealed;
use super::shared::Shared;
use super::shared::held;
use super::waiter;

/// Proof that an entry is recorded.
#[derive(Debug)]
#[must_use]
pub struct Receipt {
    index: u64,
}

/// Proof that a release is recorded; bytes leave only in exchange for one. Nothing but
/// [`Log::release`] makes one, and it cannot be copied.
///
/// ```compile_fail
/// let forged = privet::audit::ReleaseReceipt { index: 7 };
/// ```
#[derive(Debug)]
#[must_use]
pub struct ReleaseReceipt {
    index: u64,
}

/// Proof that the intent to write is recorded; a write is sent only in exchange for one.
#[derive(Debug)]
#[must_use]
pub struct IntentReceipt {
    index: u64,
}

/// A handle on the log. Cheap to clone; the log closes in good order with the last one.
#[derive(Clone, Debug)]
pub struct Log {
    handle: Arc<Handle>,
}

impl Log {
    /// Opens the log in `config.dir`, repairs the torn end a power cut may have left, publishes
    /// its state, and starts its threads. Blocks on the disk. `key` must be named
    /// [`AuditConfig::origin`].
    pub fn open(
        config: AuditConfig,
        key: NoteKey,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, AuditError> {
        Self::open_with(config, key, clock, None)
    }

    pub(super) fn open_with(
        config: AuditConfig,
        key: NoteKey,
        clock: Arc<dyn Clock>,
        hook: Option<Hook>,
    ) -> Result<Self, AuditError> {
        if key.verifier().name() != config.origin {
            let what = format!("its key is called `{}`", key.verifier().name());
            return Err(AuditError::NotOurs { what });
        }
        let disk = Disk::open(&config.dir, hook)?;
        let lock = open::lock(&disk)?;
        let opened = open::open(&disk, &config, &key)?;
        let node = config.node.as_str().into();
        let shared = Arc::new(Shared::new(config, clock));
        let size = opened.deriver.size();
        shared.metrics.size.set(i64::try_from(size).unwrap_or(i64::MAX));
        let published = opened.published.map(|(known, note)| {
            *held(&shared.checkpoint) = Some(note.into());
            known.size
        });
        let place = (disk.clone(), key);
        let mut publisher =
            Publisher::new(Arc::clone(&shared), place, opened.deriver, opened.derived, published);
        publisher.publish_now()?;
        let (to_publisher, work) = mpsc::channel();
        let journal = (opened.journal, opened.segment_first);
        let committer = Committer::new(Arc::clone(&shared), disk, journal, to_publisher);
        let publishing = spawn("audit-publish", move || publisher.run(&work))?;
        // Detached on purpose: it ends by itself once the last handle is gone.
        drop(spawn("audit-commit", move || committer.run(publishing, lock))?);
        Ok(Self { handle: Arc::new(Handle { shared, node }) })
    }

    /// Records that a batch is about to leave.
    pub async fn release(&self, entry: Entry) -> Result<ReleaseReceipt, AuditError> {
        let index = self.append(Kind::Release, entry).await?;
        Ok(ReleaseReceipt { index })
    }

    /// Records that a write is about to be sent.
    pub async fn intent(&self, entry: Entry) -> Result<IntentReceipt, AuditError> {
        let index = self.append(Kind::Intent, entry).await?;
        Ok(IntentReceipt { index })
    }

    /// Records anything else, and waits until it is recorded.
    pub async fn record(&self, entry: Entry) -> Result<Receipt, AuditError> {
        let kind = entry.kind;
        let index = self.append(kind, entry).await?;
        Ok(Receipt { index })
    }

    /// Records without waiting, in order with what else this caller records. Kept in memory,
    /// within bounds, while the log cannot be written.
    pub fn note(&self, entry: Entry) {
        let shared = &self.handle.shared;
        let kept = self.seal(entry).and_then(|entry| {
            let append = Append { entry, waiter: None, since: Instant::now() };
            // Twice the room of entries somebody waits for: refusals must not crowd out outcomes.
            let room = shared.config.max_waiting.saturating_mul(2);
            shared.push(Job::Append(append), room)
        });
        if let Err(error) = kept {
            shared.metrics.dropped.inc();
            tracing::error!(%error, "an audit entry nobody waits for is lost");
        }
    }

    /// Whether entries are accepted now. When not, no protected data may leave.
    pub fn writable(&self) -> bool {
        self.handle.shared.writable()
    }

    /// Why entries are not accepted now.
    pub fn trouble(&self) -> Option<Arc<str>> {
        if self.writable() { None } else { self.handle.shared.trouble() }
    }

    /// The text of the last published checkpoint, a signed note.
    pub fn checkpoint(&self) -> Option<Arc<str>> {
        held(&self.handle.shared.checkpoint).clone()
    }

    /// Its name, in every checkpoint.
    pub(super) fn origin(&self) -> &str {
        &self.handle.shared.config.origin
    }

    /// What its threads share.
    pub(super) fn shared(&self) -> &Shared {
        &self.handle.shared
    }

    /// The folder it is in.
    pub(super) fn dir(&self) -> &Path {
        &self.handle.shared.config.dir
    }

    /// Bytes of the disk that it leaves free.
    pub(super) fn min_free_bytes(&self) -> u64 {
        self.handle.shared.config.min_free_bytes
    }

    /// Reads what is published, away from the threads that answer, two at a time. `None` when the
    /// work was lost.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> Option<T> {
        static READERS: Semaphore = Semaphore::const_new(2);
        let reader = READERS.acquire().await.ok()?;
        let dir = self.dir().to_owned();
        let done = tokio::task::spawn_blocking(move || {
            let done = work(&dir);
            drop(reader);
            done
        });
        done.await.ok()
    }

    /// Waits until everything recorded so far is on disk and under a published checkpoint.
    pub async fn flush(&self) -> Result<(), AuditError> {
        let (done, wait) = oneshot::channel();
        self.push(Job::Flush(done))?;
        wait.await.unwrap_or(Err(AuditError::Closed))
    }

    /// Takes no more entries, writes those that wait, publishes a last checkpoint, and gives the
    /// folder free.
    pub async fn close(&self) -> Result<(), AuditError> {
        let (done, wait) = oneshot::channel();
        self.handle.shared.close(Some(done));
        wait.await.unwrap_or(Err(AuditError::Closed))
    }

    /// Hands in a witness's signature. It is put under the published checkpoint if that is still
    /// the one it is for, and kept in any case.
    pub fn cosign(&self, cosigned: Cosigned) {
        // A log that is closing has no more use for it.
        drop(self.handle.shared.push(Job::Cosigned(Box::new(cosigned)), usize::MAX));
    }

    /// What the log counts.
    pub fn metrics(&self) -> &Arc<AuditMetrics> {
        &self.handle.shared.metrics
    }

    pub(super) fn push(&self, job: Job) -> Result<(), AuditError> {
        self.handle.shared.push(job, usize::MAX)
    }

    async fn append(&self, kind: Kind, mut entry: Entry) -> Result<u64, AuditError> {
        entry.kind = kind;
        let shared = &self.handle.shared;
        if !shared.writable() {
            return Err(shared.refusal());
        }
        let entry = self.seal(entry)?;
        let (waiter, wait) = waiter::pair();
        let append = Append { entry, waiter: Some(waiter), since: Instant::now() };
        let room = shared.config.max_waiting;
        shared.push(Job::Append(append), room)?;
        wait.await
    }

    fn seal(&self, mut entry: Entry) -> Result<Sealed, AuditError> {
        entry.time = self.handle.shared.clock.now();
        entry.node = Arc::clone(&self.handle.node);
        let bytes = entry.to_bytes()?;
        Ok(Sealed { leaf: leaf(&bytes), bytes })
    }
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    node: Arc<str>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close(None);
    }
}

fn spawn(
    name: &str,
    work: impl FnOnce() + Send + 'static,
) -> Result<std::thread::JoinHandle<()>, AuditError> {
    std::thread::Builder::new()
        .name(name.to_owned())
        .spawn(work)
        .map_err(|source| failed("start a thread for", "", source))
}

impl Receipt {
    /// The entry's place in the log.
    pub fn index(&self) -> u64 {
        self.index
    }
}

impl ReleaseReceipt {
    /// The entry's place in the log.
    pub fn index(&self) -> u64 {
        self.index
    }
}

impl IntentReceipt {
    /// The entry's place in the log.
    pub fn index(&self) -> u64 {
        self.index
    }
}
