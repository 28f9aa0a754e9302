//! The log and the state bear witness for each other: whoever puts back an older copy of one of
//! them alone is noticed at the next start.
//!
//! The state keeps how far the log had come (its last published checkpoint); entries of the log
//! say how far the state had come. Either may lag behind the other, because only what is durable
//! is written down, but neither may be behind what the other remembers.
//!
//! Entries also say how far the ledger of tombstones had come. A log or a state that is older may
//! be accepted; a ledger never is: people who were erased would come back.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use crate::audit::AuditError;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::audit::Log;
use crate::audit::Receipt;
use crate::audit::SearchError;
use crate::crypto::merkle::Hash;
use crate::crypto::note::Checkpoint;
use crate::keys::HighWater;
use crate::keys::KeyRing;
use crate::keys::KeysError;
use crate::net::Drain;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;

/// The log and the state do not fit each other.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The log is gone, or shorter than the state remembers.
    #[error(
        "the audit log in `{}` has {found} entries, but the state remembers {kept}: entries were \
         lost, or an older copy was put back. Restore the log and the state from the same backup. \
         To go on without the lost entries, knowingly: touch {}", dir.display(), accept.display()
    )]
    LogShort {
        /// The log's folder.
        dir: PathBuf,
        /// Its entries.
        found: u64,
        /// What the state remembers.
        kept: u64,
        /// The file that accepts it.
        accept: PathBuf,
    },
    /// The log's first entries are not those the state remembers.
    #[error(
        "the first {kept} entries of the audit log in `{}` are not those the state remembers: it \
         was written anew, or an older copy was put back and continued. Restore the log and the \
         state from the same backup. To go on with this log, knowingly: touch {}",
        dir.display(), accept.display()
    )]
    LogForked {
        /// The log's folder.
        dir: PathBuf,
        /// How many entries the state remembers.
        kept: u64,
        /// The file that accepts it.
        accept: PathBuf,
    },
    /// The state is older than the log remembers.
    #[error(
        "the state is at revision {found}, but the audit log remembers revision {kept}: an older \
         copy was put back, which forgets consents that were withdrawn since. Restore the log and \
         the state from the same backup. To go on with this state, knowingly: touch {}",
        accept.display()
    )]
    StateOld {
        /// The state's revision.
        found: u64,
        /// What the log remembers.
        kept: u64,
        /// The file that accepts it.
        accept: PathBuf,
    },
    /// The ledger of tombstones is older than the log remembers. Nothing accepts that.
    #[error("the ledger of tombstones is not the one that the audit log remembers")]
    Ledger(#[source] KeysError),
    /// What the log keeps about the ledger cannot be read.
    #[error("what the audit log remembers about the ledger of tombstones cannot be read")]
    Tombstones,
    /// What the state keeps about the log cannot be read.
    #[error("what the state remembers about the audit log cannot be read")]
    Kept,
    /// The state could not be read.
    #[error("the state cannot be read")]
    State(#[from] StateError),
    /// The log could not be read.
    #[error("the audit log cannot be compared with the state")]
    Log(#[from] SearchError),
}

/// What compares the two, and keeps them comparable.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    state: Engine,
    keys: KeyRing,
    dir: PathBuf,
    accept: PathBuf,
}

impl Witness {
    /// A witness of the log in `dir`, of `state`, and of the ledger of `keys`.
    pub(super) fn new(state: Engine, keys: KeyRing, dir: &Path) -> Self {
        let mut accept = dir.as_os_str().to_owned();
        accept.push(".accept");
        Self { state, keys, dir: dir.to_owned(), accept: accept.into() }
    }

    /// The state it compares the log with.
    pub(super) const fn state(&self) -> &Engine {
        &self.state
    }

    /// Refuses a log that is gone, before a new one is made in its place.
    pub(super) async fn before_opening(&self) -> Result<(), HistoryError> {
        let kept = self.kept().await?.map_or(0, |kept| kept.size);
        if kept == 0 || self.accept.exists() || self.dir.join("checkpoint").exists() {
            return Ok(());
        }
        let (dir, accept) = (self.dir.clone(), self.accept.clone());
        Err(HistoryError::LogShort { dir, found: 0, kept, accept })
    }

    /// Refuses a log, a state or a ledger that is older than another of them remembers.
    pub(super) async fn compare(&self, log: &Log) -> Result<(), HistoryError> {
        if matches!(self.state, Engine::Memory(_)) {
            return Ok(());
        }
        self.compare_ledger(log)?;
        let kept = self.kept().await?;
        let root = match &kept {
            Some(kept) => log.root_at(kept.size)?,
            None => None,
        };
        let size = log.published().map_or(0, |published| published.size);
        let newest = log.newest(|entry| revision(entry).is_some())?;
        let logged = newest.as_ref().and_then(revision);
        let judged = self.judge(kept.as_ref(), (size, root), (logged, self.state.rev().0));
        match judged {
            Err(error) if self.accept.exists() => {
                tracing::warn!(%error, "accepted, as `{}` asks", self.accept.display());
                Ok(())
            }
            judged => judged,
        }
    }

    /// Whoever puts back older keys and an older state, which fit each other, brings back who was
    /// erased since. The log tells.
    fn compare_ledger(&self, log: &Log) -> Result<(), HistoryError> {
        let newest = log.newest(|entry| entry.facts.contains_key(HighWater::FACT))?;
        let Some(told) = newest.as_ref().and_then(|entry| entry.facts.get(HighWater::FACT)) else {
            return Ok(());
        };
        let known: HighWater = told.parse().map_err(|()| HistoryError::Tombstones)?;
        self.keys.require(known).map_err(HistoryError::Ledger)
    }

    fn judge(
        &self,
        kept: Option<&Checkpoint>,
        (size, root): (u64, Option<Hash>),
        (logged, rev): (Option<u64>, u64),
    ) -> Result<(), HistoryError> {
        let (dir, accept) = (self.dir.clone(), self.accept.clone());
        if let Some(Checkpoint { size: kept, root: expected, .. }) = kept {
            let kept = *kept;
            match root {
                _ if size < kept => {
                    return Err(HistoryError::LogShort { dir, found: size, kept, accept });
                }
                Some(root) if root == *expected => {}
                _ => return Err(HistoryError::LogForked { dir, kept, accept }),
            }
        }
        match logged {
            Some(kept) if kept > rev => Err(HistoryError::StateOld { found: rev, kept, accept }),
            _ => Ok(()),
        }
    }

    /// Records an entry that says how far the state has come.
    pub(super) async fn record(&self, log: &Log, mut entry: Entry) -> Result<Receipt, AuditError> {
        if !matches!(self.state, Engine::Memory(_)) {
            // Only what is durable counts, so a crash never makes the state look older.
            let rev = self.state.rev().0.to_string();
            entry.facts.insert(REVISION.into(), rev.into());
            let tombstones = self.keys.high_water().to_string();
            entry.facts.insert(HighWater::FACT.into(), tombstones.into());
        }
        if self.accept.exists() {
            entry.facts.insert("history".into(), "accepted".into());
        }
        log.record(entry).await
    }

    /// Both sides are written down anew: what was accepted once is not accepted again.
    pub(super) async fn begin(&self, log: &Log) -> Result<(), AuditError> {
        if self.accept.exists() {
            log.flush().await?;
            self.keep(log, &mut None).await;
            if let Err(error) = std::fs::remove_file(&self.accept) {
                tracing::error!(%error, "remove `{}` by hand", self.accept.display());
            }
        }
        Ok(())
    }

    /// Keeps both up to date until the drain starts.
    pub(super) async fn watch(self, log: Log, drain: Drain) {
        let mut last = None;
        let mut beat = tokio::time::Instant::now() + HEARTBEAT;
        loop {
            self.keep(&log, &mut last).await;
            if tokio::time::Instant::now() >= beat {
                beat += HEARTBEAT;
                if let Err(error) = self.record(&log, Entry::new(Kind::Heartbeat)).await {
                    tracing::warn!(%error, "a heartbeat was not recorded");
                }
            }
            tokio::select! {
                () = drain.started() => return,
                () = tokio::time::sleep(TICK) => {}
            }
        }
    }

    /// Writes down how far the log has come, when that is news. A failure is logged: the state
    /// tells of its own trouble.
    pub(super) async fn keep(&self, log: &Log, last: &mut Option<u64>) {
        let Some(published) = log.published().filter(|known| *last != Some(known.size)) else {
            return;
        };
        if matches!(self.state, Engine::Memory(_)) {
            return;
        }
        let mut tx = Tx::new();
        tx.put(KEPT, published.to_string().into_bytes(), Expect::Any);
        match self.state.commit(tx).await {
            Ok(_) => *last = Some(published.size),
            Err(error) => tracing::warn!(%error, "the state could not note the audit log's size"),
        }
    }

    async fn kept(&self) -> Result<Option<Checkpoint>, HistoryError> {
        let Some(found) = self.state.get(KEPT).await? else { return Ok(None) };
        let text = std::str::from_utf8(&found.value).map_err(|_| HistoryError::Kept)?;
        Checkpoint::parse(text).map(Some).map_err(|_| HistoryError::Kept)
    }
}

/// The state's revision that an entry remembers.
fn revision(entry: &Entry) -> Option<u64> {
    entry.facts.get(REVISION)?.parse().ok()
}

/// Where the state keeps the log's last checkpoint.
const KEPT: &[u8] = b"witness/log";
/// The fact of an entry that holds the state's revision.
const REVISION: &str = "state_revision";
/// How often news is looked for.
const TICK: Duration = Duration::from_secs(5);
/// How often an entry says how far the state has come.
const HEARTBEAT: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemEntropy;

    fn judged(
        kept: Option<(u64, u8)>,
        (size, root): (u64, Option<u8>),
        revisions: (Option<u64>, u64),
    ) -> &'static str {
        let keys = KeyRing::ephemeral(Engine::memory(), Arc::new(SystemEntropy)).unwrap();
        let witness = Witness::new(Engine::memory(), keys, Path::new("data/audit"));
        let kept =
            kept.map(|(size, root)| Checkpoint { origin: "privet".into(), size, root: [root; 32] });
        let root = root.map(|byte| [byte; 32]);
        match witness.judge(kept.as_ref(), (size, root), revisions) {
            Ok(()) => "fits",
            Err(error) => {
                assert!(error.to_string().contains("data/audit.accept"), "{error}");
                match error {
                    HistoryError::LogShort { .. } => "log short",
                    HistoryError::LogForked { .. } => "log forked",
                    HistoryError::StateOld { .. } => "state old",
                    _ => "other",
                }
            }
        }
    }

    #[test]
    fn either_may_lag_behind_but_not_behind_what_the_other_remembers() {
        for (kept, log, revisions, expected) in [
            (None, (0, None), (None, 0), "fits"),
            (None, (9, None), (None, 0), "fits"),
            (None, (9, None), (Some(4), 4), "fits"),
            (Some((5, 1)), (5, Some(1)), (Some(4), 4), "fits"),
            (Some((5, 1)), (9, Some(1)), (Some(4), 7), "fits"),
            (Some((5, 1)), (4, None), (Some(4), 4), "log short"),
            (Some((5, 1)), (0, None), (None, 4), "log short"),
            (Some((5, 1)), (9, Some(2)), (Some(4), 4), "log forked"),
            (Some((5, 1)), (9, None), (Some(4), 4), "log forked"),
            (Some((5, 1)), (9, Some(1)), (Some(4), 3), "state old"),
            (None, (9, None), (Some(4), 0), "state old"),
        ] {
            assert_eq!(judged(kept, log, revisions), expected, "{kept:?} {log:?} {revisions:?}");
        }
    }
}
