//! The inbox of fields that stores send and no policy lists: where they stand, never what is in
//! them.
//!
//! The readers of answers look each member up in a set; what they count is added here once a batch,
//! and written to the state every few seconds.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::AtomicU8;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Deserialize;
use serde::Serialize;

use crate::catalog::DataSet;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::MAX_KEY_BYTES;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;
use crate::transform::JsonKind;
use crate::transform::KnownMembers;
use crate::transform::MAX_UNLISTED_PATH;
use crate::transform::NewMember;
use crate::transform::Unlisted;
use crate::types::DataSetId;
use crate::types::Timestamp;
use crate::types::told;

/// Fields that are kept; more are counted together.
const MAX_ROWS: usize = 10_000;
/// More names than this in one place are no names of fields: somebody's ids stand there.
const MAX_BESIDE: usize = 64;
/// More members than this are known of one data set at most; others are looked up slowly.
const MAX_KNOWN: usize = 4_096;
/// How often what was counted goes to disk.
const EVERY: Duration = Duration::from_secs(5);
/// Rows written or read at once.
const PAGE: usize = 500;
/// Where the rows stand in the state.
const PREFIX: &[u8] = b"inbox/";

/// What was seen and is listed nowhere. Clones share it.
#[derive(Clone)]
pub struct Inbox(Arc<Inner>);

struct Inner {
    state: Engine,
    rows: Mutex<Rows>,
}

#[derive(Default)]
struct Rows {
    by_place: BTreeMap<Place, Arc<Row>>,
    /// To be removed from the state.
    removed: Vec<Place>,
}

type Place = (DataSetId, Box<str>);

/// One field, as it is counted.
#[derive(Debug, Default)]
struct Row {
    first_ms: AtomicU64,
    last_ms: AtomicU64,
    count: AtomicU64,
    /// The kinds of value seen, as bits.
    kinds: AtomicU8,
    is_dismissed: AtomicBool,
    /// Whether it stands for all names in its place: there were too many.
    is_everything: AtomicBool,
    is_changed: AtomicBool,
}

/// A row as it is kept.
#[derive(Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    count: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    dismissed: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    everything: bool,
    first_ms: u64,
    kinds: u8,
    last_ms: u64,
}

/// A field that was seen and is not listed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// Its data set.
    pub data_set: DataSetId,
    /// Where it stands; `*` for names that look like data.
    pub path: Box<str>,
    /// How often; of CSV, in how many answers.
    pub count: u64,
    /// When it was first seen.
    pub first: Timestamp,
    /// When it was last seen.
    pub last: Timestamp,
    /// What stood there.
    pub kinds: Vec<JsonKind>,
    /// Whether somebody has looked at it and wants to see it no more.
    pub is_dismissed: bool,
}

/// What is known of one data set under one policy, for the readers of its answers.
#[derive(Default)]
pub(crate) struct Table(ArcSwap<Known>);

#[derive(Default)]
struct Known {
    members: Arc<KnownMembers>,
    rows: Vec<Arc<Row>>,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Inbox(..)")
    }
}

impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table(..)")
    }
}

impl Table {
    /// What a reader looks for others than.
    pub(crate) fn watch(&self) -> Unlisted {
        Unlisted::new(Arc::clone(&self.0.load().members))
    }
}

impl Row {
    fn add(&self, count: u32, kind: Option<JsonKind>, now: Timestamp) {
        self.count.fetch_add(count.into(), Ordering::Relaxed);
        self.last_ms.fetch_max(now.unix_ms(), Ordering::Relaxed);
        if let Some(kind) = kind {
            self.kinds.fetch_or(1 << (kind as u8), Ordering::Relaxed);
        }
        self.is_changed.store(true, Ordering::Relaxed);
    }

    fn kept(&self) -> Kept {
        Kept {
            count: self.count.load(Ordering::Relaxed),
            dismissed: self.is_dismissed.load(Ordering::Relaxed),
            everything: self.is_everything.load(Ordering::Relaxed),
            first_ms: self.first_ms.load(Ordering::Relaxed),
            kinds: self.kinds.load(Ordering::Relaxed),
            last_ms: self.last_ms.load(Ordering::Relaxed),
        }
    }
}

impl From<Kept> for Row {
    fn from(kept: Kept) -> Self {
        Self {
            first_ms: kept.first_ms.into(),
            last_ms: kept.last_ms.into(),
            count: kept.count.into(),
            kinds: kept.kinds.into(),
            is_dismissed: kept.dismissed.into(),
            is_everything: kept.everything.into(),
            is_changed: false.into(),
        }
    }
}

impl Inbox {
    /// Reads what was seen before. A row that cannot be read is left out: it holds nothing that
    /// anything rests on.
    ///
    /// # Errors
    /// When the state cannot be read.
    pub async fn open(state: Engine) -> Result<Self, StateError> {
        let mut rows = Rows::default();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = state.scan(PREFIX, after.as_deref(), PAGE).await?;
            let Some(last) = page.items.last() else { break };
            after = Some(last.key.clone());
            for item in &page.items {
                let kept = serde_json::from_slice::<Kept>(&item.value.value);
                if let (Some(place), Ok(kept)) = (place(&item.key), kept) {
                    rows.by_place.insert(place, Arc::new(kept.into()));
                }
            }
        }
        Ok(Self(Arc::new(Inner { state, rows: Mutex::new(rows) })))
    }

    /// One that begins empty.
    pub fn empty(state: Engine) -> Self {
        Self(Arc::new(Inner { state, rows: Mutex::default() }))
    }

    /// Adds what the reader of an answer has seen.
    pub(crate) fn note(&self, set: &DataSetId, table: &Table, seen: &mut Unlisted, now: Timestamp) {
        let known = table.0.load();
        for (number, count) in seen.known() {
            // INVARIANT: rows are only ever added, so a number means the same from then on.
            if let Some(row) = known.rows.get(number as usize) {
                row.add(count, None, now);
            }
        }
        if seen.fresh().next().is_some() {
            self.learn(set, table, seen.fresh(), now);
        }
        seen.go_on(Arc::clone(&table.0.load().members));
    }

    #[cold]
    fn learn<'a>(
        &self,
        set: &DataSetId,
        table: &Table,
        fresh: impl Iterator<Item = &'a NewMember>,
        now: Timestamp,
    ) {
        let mut rows = self.rows();
        let known = table.0.load();
        let mut members = KnownMembers::clone(&known.members);
        let mut numbered = known.rows.clone();
        for new in fresh {
            let row = rows.row((set, &new.path), now);
            row.add(new.count, Some(new.kind), now);
            if let (true, Ok(number)) = (members.len() < MAX_KNOWN, u32::try_from(numbered.len())) {
                members.insert(new.key, number);
                numbered.push(row);
            }
        }
        table.0.store(Arc::new(Known { members: Arc::new(members), rows: numbered }));
    }

    /// What was seen, in the order of data sets and paths, but for what one of
    /// `sets` lists by now.
    pub fn list(&self, sets: &[Arc<DataSet>]) -> Vec<Seen> {
        let rows = self.rows();
        let by_place = rows.by_place.iter().filter(|((set, path), _)| !is_listed(sets, set, path));
        let seen = by_place.map(|((set, path), row)| {
            let kept = row.kept();
            Seen {
                data_set: set.clone(),
                path: path.clone(),
                count: kept.count,
                first: Timestamp::from_unix_ms(kept.first_ms),
                last: Timestamp::from_unix_ms(kept.last_ms),
                kinds: JsonKind::ALL
                    .into_iter()
                    .filter(|kind| kept.kinds & (1 << (*kind as u8)) != 0)
                    .collect(),
                is_dismissed: kept.dismissed,
            }
        });
        seen.collect()
    }

    /// Shows fields of a data set no more: the one at `path`, or all. Says how many.
    ///
    /// # Errors
    /// When that cannot be kept.
    pub async fn dismiss(&self, set: &DataSetId, path: Option<&str>) -> Result<usize, StateError> {
        let mut count = 0;
        for ((of, at), row) in &self.rows().by_place {
            let is_meant = of == set && path.is_none_or(|path| path == &**at);
            if is_meant && !row.is_dismissed.swap(true, Ordering::Relaxed) {
                row.is_changed.store(true, Ordering::Relaxed);
                count += 1;
            }
        }
        self.flush().await.map(|()| count)
    }

    /// Writes what changed since the last time.
    ///
    /// # Errors
    /// When it cannot be written. It is tried again with the next.
    pub async fn flush(&self) -> Result<(), StateError> {
        loop {
            let (tx, written, removed) = self.changes();
            if tx.is_empty() {
                return Ok(());
            }
            if let Err(error) = self.0.state.commit(tx).await {
                written.iter().for_each(|row| row.is_changed.store(true, Ordering::Relaxed));
                self.rows().removed.extend(removed);
                return Err(error);
            }
        }
    }

    fn changes(&self) -> (Tx, Vec<Arc<Row>>, Vec<Place>) {
        let (mut tx, mut written) = (Tx::new(), Vec::new());
        let mut rows = self.rows();
        let at = rows.removed.len().saturating_sub(PAGE);
        let removed = rows.removed.split_off(at);
        for place in removed.iter().filter(|place| !rows.by_place.contains_key(*place)) {
            tx.delete(&key(place), Expect::Any);
        }
        for (place, row) in &rows.by_place {
            if written.len() < PAGE && row.is_changed.swap(false, Ordering::Relaxed) {
                // Numbers and a word have a written form.
                let value = serde_json::to_vec(&row.kept()).unwrap_or_default();
                tx.put(&key(place), value, Expect::Any);
                written.push(Arc::clone(row));
            }
        }
        (tx, written, removed)
    }

    /// Writes what changed every few seconds. Never ends.
    pub async fn keep(self) {
        loop {
            tokio::time::sleep(EVERY).await;
            if let Err(error) = self.flush().await {
                tracing::warn!(error = told(&error), "the inbox of unlisted fields is not kept");
            }
        }
    }

    fn rows(&self) -> MutexGuard<'_, Rows> {
        self.0.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rows {
    /// The row of a field, which is made when there is none. Where too many names stand beside one
    /// another they are one row, and those that were there go: they may have been data.
    fn row(&mut self, (set, path): (&DataSetId, &str), now: Timestamp) -> Arc<Row> {
        let above = above(path);
        let all: Box<str> = if above.is_empty() { "*".into() } else { format!("{above}.*").into() };
        let (all, named) = ((set.clone(), all), (set.clone(), path.into()));
        let is_everything = |row: &Arc<Row>| row.is_everything.load(Ordering::Relaxed);
        if self.by_place.get(&all).is_some_and(is_everything) || path.len() > MAX_UNLISTED_PATH {
            return self.row_at(all, now);
        }
        if let Some(row) = self.by_place.get(&named) {
            return Arc::clone(row);
        }
        let from = (set.clone(), above.into());
        let below = self.by_place.range(from..).map(|(place, _)| place);
        let below = below.take_while(|(of, at)| of == set && at.starts_with(above));
        let beside = below.filter(|(_, at)| self::above(at) == above);
        let beside: Vec<Place> = beside.cloned().collect();
        if beside.len() < MAX_BESIDE {
            return self.row_at(named, now);
        }
        for name in beside.into_iter().filter(|name| *name != all) {
            self.by_place.remove(&name);
            self.removed.push(name);
        }
        let row = self.row_at(all, now);
        row.is_everything.store(true, Ordering::Relaxed);
        row.is_changed.store(true, Ordering::Relaxed);
        row
    }

    fn row_at(&mut self, place: Place, now: Timestamp) -> Arc<Row> {
        if let Some(row) = self.by_place.get(&place) {
            return Arc::clone(row);
        }
        let row = Arc::new(Row { first_ms: now.unix_ms().into(), ..Row::default() });
        if self.by_place.len() < MAX_ROWS && key(&place).len() <= MAX_KEY_BYTES {
            self.by_place.insert(place, Arc::clone(&row));
        }
        row
    }
}

/// The place in which a name stands.
fn above(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(above, _)| above)
}

/// Whether a policy lists a field, or seals one whose index it is.
fn is_listed(sets: &[Arc<DataSet>], set: &DataSetId, path: &str) -> bool {
    sets.iter().filter(|known| known.id == *set).any(|set| {
        set.fields.iter().any(|field| {
            let index = field.at_rest.as_ref().and_then(|sealing| sealing.index.as_ref());
            let listed = field.path.as_str();
            let is_at = |path: &str, above: &str| {
                let rest = path.strip_prefix(above);
                rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
            };
            index.is_some_and(|index| *index.member == *path)
                || is_at(listed, path)
                || field.whole && is_at(path, listed)
        })
    })
}

fn key((set, path): &Place) -> Vec<u8> {
    [PREFIX, set.as_str().as_bytes(), b"/", path.as_bytes()].concat()
}

fn place(key: &[u8]) -> Option<Place> {
    let text = std::str::from_utf8(key.strip_prefix(PREFIX)?).ok()?;
    let (set, path) = text.split_once('/')?;
    Some((DataSetId::parse(set).ok()?, path.into()))
}

/// Tables by data set, for one policy.
pub(crate) type Tables = HashMap<DataSetId, Arc<Table>>;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::MemoryStore;

    const NOW: Timestamp = Timestamp::from_unix_s(1_700_000_000);

    fn set() -> DataSetId {
        DataSetId::parse("shop.customers").unwrap()
    }

    fn see(inbox: &Inbox, paths: &[&str]) {
        for path in paths {
            inbox.rows().row((&set(), path), NOW).add(1, Some(JsonKind::Text), NOW);
        }
    }

    fn paths(inbox: &Inbox) -> Vec<String> {
        let shown = inbox.list(&[]).into_iter().filter(|seen| !seen.is_dismissed);
        shown.map(|seen| format!("{}={}", seen.path, seen.count)).collect()
    }

    #[tokio::test]
    async fn what_was_seen_and_dismissed_is_there_after_a_restart() {
        let state = Engine::Memory(MemoryStore::default());
        let inbox = Inbox::open(state.clone()).await.unwrap();
        see(&inbox, &["hat", "hat", "shoe", "address.attic", "*"]);
        assert_eq!(inbox.dismiss(&set(), Some("shoe")).await.unwrap(), 1);
        assert_eq!(inbox.dismiss(&set(), Some("coat")).await.unwrap(), 0);
        let again = Inbox::open(state.clone()).await.unwrap();
        assert_eq!(paths(&again), ["*=1", "address.attic=1", "hat=2"]);
        assert_eq!(again.list(&[]), inbox.list(&[]));
        // A name that looks like data does not take the others with it.
        see(&again, &["coat"]);
        assert_eq!(paths(&again), ["*=1", "address.attic=1", "coat=1", "hat=2"]);
        assert_eq!(again.dismiss(&set(), None).await.unwrap(), 4);
        assert_eq!(paths(&Inbox::open(state).await.unwrap()), [""; 0]);
    }

    #[tokio::test]
    async fn too_many_names_in_one_place_become_one_and_are_forgotten_on_disk() {
        let state = Engine::Memory(MemoryStore::default());
        let inbox = Inbox::open(state.clone()).await.unwrap();
        see(&inbox, &["hat", "map.deep.other", "mapped.other"]);
        for n in 0..MAX_BESIDE {
            see(&inbox, &[&format!("map.ana{n}")]);
        }
        inbox.flush().await.unwrap();
        assert_eq!(paths(&inbox).len(), MAX_BESIDE + 3);
        see(&inbox, &["map.bo", "map.cy"]);
        inbox.flush().await.unwrap();
        let wanted = ["hat=1", "map.*=2", "map.deep.other=1", "mapped.other=1"];
        assert_eq!(paths(&inbox), wanted);
        let again = Inbox::open(state.clone()).await.unwrap();
        see(&again, &["map.di", "map.ana1"]);
        assert_eq!(paths(&again), ["hat=1", "map.*=4", "map.deep.other=1", "mapped.other=1"]);
        let kept = state.scan(PREFIX, None, PAGE).await.unwrap();
        assert!(kept.items.iter().all(|item| !item.key.windows(3).any(|part| part == b"ana")));
    }

    #[test]
    fn a_long_path_is_no_path_and_there_are_only_so_many_rows() {
        let inbox = Inbox::empty(Engine::Memory(MemoryStore::default()));
        see(&inbox, &[&format!("a.{}", "x".repeat(MAX_UNLISTED_PATH))]);
        assert_eq!(paths(&inbox), ["a.*=1"]);
        for place in 0..MAX_ROWS {
            see(&inbox, &[&format!("p{place}.name")]);
        }
        assert_eq!(paths(&inbox).len(), MAX_ROWS);
    }
}
