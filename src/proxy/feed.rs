//! Batches on their way out: counted, judged, recorded, released, one while the next is read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use bytes::BytesMut;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::audit::AuditError;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::policy::BulkLimit;
use crate::policy::View;
use crate::types::SubjectToken;
use crate::upstream::UpstreamError;

use super::budget::Share;
use super::error::CallError;
use super::records::Sealed;
use super::sets::Batches;
use super::shared::Shared;
use super::trail::Tally;

/// How long bytes that were released wait for the batch behind them, which tells whether the
/// answer is short enough to be sent at once. A store that is silent for longer keeps nothing back.
const PAUSE: Duration = Duration::from_secs(1);

/// The batches of one answer.
#[derive(Debug)]
pub(crate) struct Feed {
    ahead: Ahead,
    tally: Tally,
    waited: Duration,
}

/// What stands ready behind the batch that leaves.
enum Ahead {
    /// Nothing more comes. The room that the batches took, unless a fault ended them.
    End(Option<Share>),
    /// A batch that was judged this moment.
    Judged(Batches, Box<Sealed>),
    /// A batch that was read, and whether it is the last; or why there is none. It is judged when
    /// it leaves: a slow client may hold it up for long.
    Read(Batches, Result<bool, CallError>),
    /// A batch that the store has not told all of. The read goes on by itself while the client
    /// takes what there is, so that it holds up nobody who waits for what it holds; it ends with
    /// the answer.
    Reading(JoinSet<Read>),
}

/// A batch that was read, and whether it is the last; or why there is none.
type Read = (Batches, Result<bool, CallError>);

impl fmt::Debug for Ahead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::End(_) => "End(..)",
            Self::Judged(..) => "Judged(..)",
            Self::Read(..) => "Read(..)",
            Self::Reading(_) => "Reading(..)",
        })
    }
}

impl Feed {
    /// Starts with a first batch that was looked at already.
    pub(crate) fn new(records: Batches, first: Sealed) -> Self {
        Self::of(Ahead::Judged(records, Box::new(first)))
    }

    fn of(ahead: Ahead) -> Self {
        Self { ahead, tally: Tally::default(), waited: Duration::ZERO }
    }

    /// What left so far.
    pub(crate) fn tally(&self) -> Tally {
        self.tally
    }

    /// How long the store was waited for since this was last asked, as far as it is known.
    pub(crate) fn take_waited(&mut self) -> Duration {
        std::mem::take(&mut self.waited)
    }

    /// The room its batches took, when it is done.
    pub(crate) fn into_share(self) -> Option<Share> {
        match self.ahead {
            Ahead::End(share) => share,
            Ahead::Judged(..) | Ahead::Read(..) | Ahead::Reading(_) => None,
        }
    }

    /// Whether nothing more comes.
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.ahead, Ahead::End(_))
    }

    /// Whether the store is waited for: nobody knows how long.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.ahead, Ahead::Reading(_))
    }

    /// Judges and releases the next batch. While its entry goes to disk, the one after it is read;
    /// a store that is silent holds up no batch but its own.
    ///
    /// # Errors
    /// When the batch may not leave or cannot be had. What was released before stays released.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, CallError> {
        let (mut records, sealed) = match std::mem::replace(&mut self.ahead, Ahead::End(None)) {
            Ahead::End(share) => {
                self.ahead = Ahead::End(share);
                return Ok(None);
            }
            Ahead::Judged(records, first) => (records, *first),
            Ahead::Read(records, last) => self.judge(records, last).await?,
            Ahead::Reading(mut reading) => match reading.join_next().await {
                Some(Ok((records, last))) => self.judge(records, last).await?,
                Some(Err(_)) | None => return Err(CallError::Upstream(UpstreamError::Over)),
            },
        };
        let (counts, views) = (sealed.counts(), records.views());
        let (shared, owners) = (Arc::clone(records.shared()), records.owners());
        let bytes = if sealed.last {
            let bytes = release(&shared, &owners, sealed).await?;
            self.ahead = Ahead::End(Some(records.into_share()));
            bytes
        } else {
            let mut reading = Box::pin(async move {
                let last = records.read().await;
                (records, last)
            });
            let (bytes, read) =
                tokio::join!(release(&shared, &owners, sealed), timeout(PAUSE, &mut reading));
            self.ahead = match read {
                Ok((records, last)) => Ahead::Read(records, last),
                Err(_) => Ahead::Reading(std::iter::once(reading).collect()),
            };
            bytes?
        };
        self.count((&shared, views), counts, bytes.len());
        Ok(Some(bytes))
    }

    /// Judges what was read, at the moment it is to leave.
    async fn judge(
        &mut self,
        mut records: Batches,
        last: Result<bool, CallError>,
    ) -> Result<(Batches, Sealed), CallError> {
        self.waited += records.take_waited();
        let sealed = records.judge(last?).await?;
        Ok((records, sealed))
    }

    /// Releases the first batch of an answer that is told to be there and not sent.
    ///
    /// # Errors
    /// When the batch may not leave.
    pub(crate) async fn announce(records: Batches, first: Sealed) -> Result<Tally, CallError> {
        let mut feed = Self::of(Ahead::End(None));
        let (counts, views) = (first.counts(), records.views());
        release(records.shared(), &records.owners(), first.untold()).await?;
        feed.count((records.shared(), views), counts, 0);
        Ok(feed.tally)
    }

    fn count(
        &mut self,
        (shared, views): (&Shared, [u16; View::RANKS]),
        (records, left_out): (u32, u32),
        bytes: usize,
    ) {
        self.tally.records = self.tally.records.saturating_add(records);
        self.tally.left_out = self.tally.left_out.saturating_add(left_out);
        self.tally.bytes =
            self.tally.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        count_views(shared, views, records);
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
