//! The committer: one thread that writes what callers hand in to the journal, a group at a time,
//! and tells them once it counts as recorded.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::Instant;

use super::AuditError;
use super::Durability;
use super::disk::Disk;
use super::journal::Journal;
use super::open::Lock;
use super::publisher::Work;
use super::shared::Append;
use super::shared::Job;
use super::shared::Part;
use super::shared::Sealed;
use super::shared::Shared;
use super::waiter;

/// The committer's state.
pub(super) struct Committer {
    shared: Arc<Shared>,
    disk: Disk,
    journal: Journal,
    /// The index of the first entry of the journal's segment.
    segment_first: u64,
    publisher: Sender<Work>,
    /// Entries nobody waits for, made while the journal could not be written.
    held: VecDeque<Append>,
    /// Entries that are written but not yet synced.
    unsynced: Vec<Sealed>,
    sync_at: Option<Instant>,
    /// Set while the journal cannot be written.
    retry_at: Option<Instant>,
    /// When, and after how many more bytes, the free space is looked at again.
    space_at: Instant,
    space_bytes: usize,
}

impl Committer {
    pub(super) fn new(
        shared: Arc<Shared>,
        disk: Disk,
        (journal, segment_first): (Journal, u64),
        publisher: Sender<Work>,
    ) -> Self {
        Self {
            shared,
            disk,
            journal,
            segment_first,
            publisher,
            held: VecDeque::new(),
            unsynced: Vec::new(),
            sync_at: None,
            retry_at: None,
            space_at: Instant::now(),
            space_bytes: 0,
        }
    }

    /// Works until the log is closed. `lock` is what keeps other processes out.
    pub(super) fn run(mut self, publishing: JoinHandle<()>, lock: Lock) {
        let shared = Arc::clone(&self.shared);
        // Should this thread panic, nobody is left waiting and nothing more leaves.
        let _gone = Gone(Arc::clone(&shared));
        let mut jobs = Vec::new();
        while shared.take(&mut jobs, self.wait()) {
            self.work(&mut jobs);
            shared.let_publisher_catch_up();
        }
        let result = self.finish();
        drop(self);
        let published = publishing.join().map_err(|_| AuditError::Closed);
        drop(lock);
        let well = if shared.trouble().is_none() { Ok(()) } else { Err(shared.refusal()) };
        shared.finish(&result.and(published).and(well));
    }

    fn wait(&self) -> Option<Duration> {
        let due = self.retry_at.or(self.sync_at)?;
        Some(due.saturating_duration_since(Instant::now()))
    }

    fn work(&mut self, jobs: &mut Vec<Job>) {
        if self.retry_at.is_some_and(|due| due <= Instant::now()) {
            self.repair();
        }
        let mut entries = VecDeque::new();
        for job in jobs.drain(..) {
            match job {
                Job::Append(append) => entries.push_back(append),
                Job::Prune(order) => self.publish(Work::Prune(order)),
                Job::Cosigned(cosigned) => self.publish(Work::Cosigned(cosigned)),
                Job::Flush(done) => {
                    self.commit(std::mem::take(&mut entries));
                    self.sync();
                    if self.retry_at.is_some() {
                        drop(done.send(Err(self.shared.refusal())));
                    } else {
                        self.publish(Work::Flush(done));
                    }
                }
            }
        }
        self.commit(entries);
        let due = self.sync_at.is_some_and(|due| due <= Instant::now());
        if self.retry_at.is_none() && (due || self.journal.unsynced_bytes() > MAX_UNSYNCED_BYTES) {
            self.sync();
        }
    }

    /// Writes entries in groups; when that fails, those who wait are told, and the rest is kept.
    fn commit(&mut self, mut entries: VecDeque<Append>) {
        while !entries.is_empty() && self.retry_at.is_none() {
            if let Err(error) = self.commit_group(&mut entries) {
                self.fail(&error);
            }
        }
        for append in entries {
            match append.waiter {
                Some(waiter) => waiter.tell(Err(self.shared.refusal())),
                None if self.held.len() < self.shared.config.max_waiting => {
                    self.held.push_back(append);
                }
                None => {
                    self.shared.metrics.dropped.inc();
                }
            }
        }
    }

    /// Writes the first of `entries` as one frame and tells those who wait. On an error all of
    /// them are still in `entries`.
    fn commit_group(&mut self, entries: &mut VecDeque<Append>) -> Result<(), AuditError> {
        self.check_space()?;
        let first = self.journal.next();
        if self.segment_is_full() && first.is_multiple_of(BUNDLE) {
            let name = self.journal.roll()?;
            self.hand_over();
            self.publish(Work::Rolled { name, end: first });
            self.segment_first = first;
        }
        let (count, bytes) = self.group(entries, first);
        let group = entries.iter().take(count).map(|append| append.entry.bytes.as_slice());
        self.journal.append(group, self.shared.config.durability)?;
        self.space_bytes = self.space_bytes.saturating_sub(bytes);
        let metrics = Arc::clone(&self.shared.metrics);
        if let Some(oldest) = entries.front() {
            metrics.commit_seconds.observe(oldest.since.elapsed().as_secs_f64());
        }
        let unsynced = &mut self.unsynced;
        waiter::tell_all((first..).zip(entries.drain(..count)).filter_map(|(index, append)| {
            unsynced.push(append.entry);
            append.waiter.map(|waiter| (index, waiter))
        }));
        metrics.appended.inc_by(count as u64);
        metrics.bytes.inc_by(bytes as u64);
        metrics.size.set(i64::try_from(self.journal.next()).unwrap_or(i64::MAX));
        match self.shared.config.durability {
            Durability::Strict => self.hand_over(),
            Durability::Batched if self.sync_at.is_none() => {
                let every = Duration::from_millis(self.shared.config.sync_every_ms);
                self.sync_at = Some(Instant::now() + every);
            }
            Durability::Batched => {}
        }
        Ok(())
    }

    /// How many of `entries` make the next group, and their bytes. A group ends where a segment
    /// must end, so that every segment begins with a bundle.
    fn group(&self, entries: &VecDeque<Append>, first: u64) -> (usize, usize) {
        let planned = self.segment_first + self.shared.config.segment_entries;
        let end = if self.segment_is_full() { first + 1 } else { planned };
        let room = end.next_multiple_of(BUNDLE) - first;
        let most = usize::try_from(room).unwrap_or(MAX_GROUP).min(MAX_GROUP);
        let (mut count, mut bytes) = (0, 0);
        for append in entries.iter().take(most) {
            let len = append.entry.bytes.len() + 2;
            if count > 0 && bytes + len > MAX_GROUP_BYTES {
                break;
            }
            count += 1;
            bytes += len;
        }
        (count, bytes)
    }

    fn segment_is_full(&self) -> bool {
        let entries = self.journal.next() - self.segment_first;
        entries >= self.shared.config.segment_entries || self.journal.bytes() > MAX_SEGMENT_BYTES
    }

    fn sync(&mut self) {
        if self.retry_at.is_some() {
            return;
        }
        match self.journal.sync() {
            Ok(()) => self.hand_over(),
            Err(error) => self.fail(&error),
        }
    }

    /// What is on the disk goes to the publisher.
    fn hand_over(&mut self) {
        self.sync_at = None;
        if !self.unsynced.is_empty() {
            let entries = std::mem::take(&mut self.unsynced);
            let bytes = entries.iter().map(|entry| entry.bytes.len()).sum();
            self.shared.add_backlog(bytes);
            self.publish(Work::Entries(entries));
        }
    }

    fn publish(&self, work: Work) {
        // Without a publisher nothing is lost: the journal has it, and the next start derives it.
        drop(self.publisher.send(work));
    }

    fn check_space(&mut self) -> Result<(), AuditError> {
        let now = Instant::now();
        if now < self.space_at && self.space_bytes > 0 {
            return Ok(());
        }
        self.space_at = now + SPACE_EVERY;
        self.space_bytes = SPACE_BYTES;
        let (free, floor) = (self.disk.free_bytes()?, self.shared.config.min_free_bytes);
        if free < floor {
            self.space_bytes = 0;
            let why = format!("{free} bytes are free on the disk, fewer than the floor of {floor}");
            return Err(AuditError::Unwritable { why: why.into() });
        }
        Ok(())
    }

    fn fail(&mut self, error: &AuditError) {
        self.shared.fail(Part::Journal, error);
        let every = Duration::from_millis(self.shared.config.retry_every_ms);
        self.retry_at = Some(Instant::now() + every);
    }

    fn repair(&mut self) {
        self.space_bytes = 0;
        match self.check_space().and_then(|()| self.journal.repair()) {
            Ok(()) => {
                self.retry_at = None;
                self.hand_over();
                let held = std::mem::take(&mut self.held);
                self.commit(held);
                if self.retry_at.is_none() {
                    self.shared.recover(Part::Journal);
                }
            }
            Err(error) => self.fail(&error),
        }
    }

    fn finish(&mut self) -> Result<(), AuditError> {
        if self.retry_at.is_some() {
            self.repair();
        }
        self.sync();
        if self.retry_at.is_none()
            && let Err(error) = self.journal.finish()
        {
            self.fail(&error);
        }
        if self.retry_at.is_some() { Err(self.shared.refusal()) } else { Ok(()) }
    }
}

struct Gone(Arc<Shared>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.finish(&Err(AuditError::Closed));
    }
}

/// Entries in a full bundle.
const BUNDLE: u64 = 256;

/// The most entries in one frame.
const MAX_GROUP: usize = 4096;

/// The most bytes in one frame, unless its only entry is longer. Below `frame::MAX_PAYLOAD`.
const MAX_GROUP_BYTES: usize = 1 << 20;

/// A segment is read whole when the log is opened.
const MAX_SEGMENT_BYTES: u64 = 64 << 20;

/// The most that a batched log leaves unsynced.
const MAX_UNSYNCED_BYTES: usize = 4 << 20;

const SPACE_EVERY: Duration = Duration::from_millis(250);
const SPACE_BYTES: usize = 4 << 20;
