//! Batches on their way out: counted, judged, recorded, released, one while the next is read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;

use crate::audit::AuditError;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::policy::BulkLimit;
use crate::policy::View;
use crate::types::SubjectToken;

use super::budget::Share;
use super::error::CallError;
use super::records::Sealed;
use super::sets::Batches;
use super::shared::Shared;
use super::trail::Tally;

/// The batches of one answer.
#[derive(Debug)]
pub(crate) struct Feed {
    records: Batches,
    ahead: Ahead,
    tally: Tally,
}

/// What stands ready behind the batch that leaves.
enum Ahead {
    /// Nothing more comes.
    End,
    /// A batch that was judged this moment.
    Judged(Box<Sealed>),
    /// A batch that was read, and whether it is the last; or why there is none. It is judged when
    /// it leaves: a slow client may hold it up for long.
    Read(Result<bool, CallError>),
}

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::End => "End",
            Self::Judged(_) => "Judged(..)",
            Self::Read(_) => "Read(..)",
        })
    }
}

impl Feed {
    /// Starts with a first batch that was looked at already.
    pub(crate) fn new(records: Batches, first: Sealed) -> Self {
        Self { records, ahead: Ahead::Judged(Box::new(first)), tally: Tally::default() }
    }

    /// What left so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// How long the store was waited for since this was last asked.
    pub(crate) fn take_waited(&mut self) -> Duration {
        self.records.take_waited()
    }

    /// The room its batches took.
    pub(crate) fn into_share(self) -> Share {
        self.records.into_share()
    }

    /// Whether nothing more comes.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.ahead, Ahead::End)
    }

    /// Judges and releases the next batch. While its entry goes to disk, the one after it is read.
    ///
    /// # Errors
    /// When the batch may not leave or cannot be had. What was released before stays released.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        let sealed = match std::mem::replace(&mut self.ahead, Ahead::End) {
            Ahead::End => return Ok(None),
            Ahead::Judged(first) => *first,
            Ahead::Read(last) => self.records.judge(last?).await?,
        };
        let (records, left_out) = sealed.counts();
        let owners = self.records.owners();
        let shared = Arc::clone(self.records.shared());
        let bytes = if sealed.last {
            release(&shared, &owners, sealed).await?
        } else {
            let (bytes, next) =
                tokio::join!(release(&shared, &owners, sealed), self.records.read());
            self.ahead = Ahead::Read(next);
            bytes?
        };
        self.count(records, left_out, bytes.len());
        Ok(Some(bytes))
    }

    /// Releases the first batch of an answer that is told to be there and not sent.
    ///
    /// # Errors
    /// When the batch may not leave.
    pub(crate) async fn announce(records: Batches, first: Sealed) -> Result<Tally, CallError> {
        let mut feed = Self { records, ahead: Ahead::End, tally: Tally::default() };
        let (records, left_out) = first.counts();
        let owners = feed.records.owners();
        release(feed.records.shared(), &owners, first.untold()).await?;
        feed.count(records, left_out, 0);
        Ok(feed.tally)
    }

    fn count(&mut self, records: u32, left_out: u32, bytes: usize) {
        self.tally.records = self.tally.records.saturating_add(records);
        self.tally.left_out = self.tally.left_out.saturating_add(left_out);
        self.tally.bytes =
            self.tally.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        count_views(self.records.shared(), self.records.views(), records);
    }
}

/// Counts the fields of so many records in the views of their plan.
pub(crate) fn count_views(shared: &Shared, views: [u16; View::RANKS], records: u32) {
    for (counter, count) in shared.metrics.by_view.iter().zip(views) {
        if count > 0 {
            counter.inc_by(u64::from(records) * u64::from(count));
        }
    }
}

/// Counts a field that is shown as it is.
pub(crate) fn count_shown(shared: &Shared) {
    let [shown, ..] = &shared.metrics.by_view;
    shown.inc();
}

/// Counts a batch against the limits on how many people are shown, records it, and opens it.
async fn release(
    shared: &Shared,
    owners: &[Arc<str>],
    mut sealed: Sealed,
) -> Result<Bytes, CallError> {
    if !sealed.others.is_empty() {
        let others = std::mem::take(&mut sealed.others);
        return Box::pin(release_together(shared, owners, (sealed, others))).await;
    }
    count(shared, owners, (&sealed.bulk, &sealed.shown), &sealed.facts)?;
    keep_tokens(shared, &sealed).await?;
    let receipt = shared.log.release(sealed.entry()).await.map_err(CallError::Audit)?;
    Ok(sealed.open(receipt))
}

/// Puts on disk what the new reversible tokens of a batch stand for.
async fn keep_tokens(shared: &Shared, sealed: &Sealed) -> Result<(), CallError> {
    if sealed.tokens.is_empty() {
        return Ok(());
    }
    // Most batches have none and should not carry the room this takes.
    Box::pin(shared.cards.keep_tokens(&sealed.tokens)).await.map_err(CallError::Subjects)
}

/// As [`release`], for batches of several data sets that leave at once: every entry is on disk
/// before a byte of any.
async fn release_together(
    shared: &Shared,
    owners: &[Arc<str>],
    (first, others): (Sealed, Vec<Sealed>),
) -> Result<Bytes, CallError> {
    let parts: Vec<Sealed> = std::iter::once(first).chain(others).collect();
    for part in &parts {
        count(shared, owners, (&part.bulk, &part.shown), &part.facts)?;
    }
    for part in &parts {
        keep_tokens(shared, part).await?;
    }
    // All at once, so that they go to disk with one sync.
    let mut waiting = Vec::with_capacity(parts.len());
    for part in &parts {
        let (log, entry) = (shared.log.clone(), part.entry());
        waiting.push(tokio::spawn(async move { log.release(entry).await }));
    }
    let mut receipts = Vec::with_capacity(parts.len());
    for receipt in waiting {
        let receipt = receipt.await.unwrap_or(Err(AuditError::Closed));
        receipts.push(receipt.map_err(CallError::Audit)?);
    }
    let mut bytes = BytesMut::new();
    for (part, receipt) in parts.into_iter().zip(receipts) {
        bytes.extend_from_slice(&part.open(receipt));
    }
    Ok(bytes.freeze())
}

/// Counts people against the limits on how many are shown. `facts` is how entries begin.
///
/// # Errors
/// When a limit is passed: nothing may leave.
pub(crate) fn count(
    shared: &Shared,
    owners: &[Arc<str>],
    (limits, shown): (&[BulkLimit], &[SubjectToken]),
    facts: &Entry,
) -> Result<(), CallError> {
    let now_ms = shared.clock.uptime_ms();
    for owner in owners {
        let count = shared.bulk.count(owner, limits, shown, now_ms);
        for rule in count.alerts {
            let mut entry = Entry::clone(facts);
            entry.kind = Kind::Alert;
            entry.reason = Some("bulk".into());
            entry.rules = vec![rule];
            shared.metrics.alerts.inc();
            shared.log.note(entry);
        }
        if let Some(rule) = count.denied_by {
            return Err(CallError::Bulk { rule });
        }
    }
    Ok(())
}
