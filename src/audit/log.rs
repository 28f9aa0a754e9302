//! The log as the rest of the gateway sees it: hand in an entry, get a receipt.

use std::sync::Arc;

use crate::clock::Clock;
use crate::crypto::note::NoteKey;

use super::AuditConfig;
use super::AuditError;
use super::AuditMetrics;
use super::Entry;
use super::Kind;

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
    metrics: Arc<AuditMetrics>,
}

impl Log {
    /// Opens the log in `config.dir`, repairs the torn end a power cut may have left, and starts
    /// its committer. Blocks on the disk.
    pub fn open(
        _config: AuditConfig,
        _key: NoteKey,
        _clock: Arc<dyn Clock>,
    ) -> Result<Self, AuditError> {
        Err(AuditError::Closed)
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
    pub fn note(&self, _entry: Entry) {}

    /// Whether entries are accepted now. When not, no protected data may leave.
    pub fn writable(&self) -> bool {
        false
    }

    /// Why entries are not accepted now.
    pub fn trouble(&self) -> Option<Arc<str>> {
        None
    }

    /// The text of the last published checkpoint, a signed note; `None` before the first.
    pub fn checkpoint(&self) -> Option<Arc<str>> {
        None
    }

    /// Waits until everything recorded so far is on disk and under a published checkpoint.
    pub async fn flush(&self) -> Result<(), AuditError> {
        std::future::ready(Err(AuditError::Closed)).await
    }

    /// Takes no more entries, writes those that wait, publishes a last checkpoint, and gives the
    /// folder free.
    pub async fn close(&self) -> Result<(), AuditError> {
        std::future::ready(Err(AuditError::Closed)).await
    }

    /// What the log counts.
    pub fn metrics(&self) -> &Arc<AuditMetrics> {
        &self.metrics
    }

    async fn append(&self, kind: Kind, mut entry: Entry) -> Result<u64, AuditError> {
        entry.kind = kind;
        entry.to_bytes()?;
        std::future::ready(Err(AuditError::Closed)).await
    }
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
