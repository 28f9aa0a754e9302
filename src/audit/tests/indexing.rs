//! The index: made from the log alone, and believed only where it fits.

use std::fs;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use crate::audit::index::Builder;
use crate::audit::index::Keeper;
use crate::types::*;

use super::paging::BIG;
use super::paging::naive;
use super::paging::pages;
use super::paging::subject;
use super::paging::varied;
use super::paging::written;
use super::*;

/// A log of so many entries, and its index.
struct Small {
    dir: tempfile::TempDir,
    entries: Vec<Entry>,
}

impl Small {
    fn new(count: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let entries: Vec<Entry> = (0..count).map(varied).collect();
        let small = Self { dir, entries };
        written(&small.log(), &small.entries);
        small
    }

    fn log(&self) -> std::path::PathBuf {
        self.dir.path().join("audit")
    }

    fn index(&self) -> std::path::PathBuf {
        self.dir.path().join("audit.index")
    }

    fn file(&self) -> std::path::PathBuf {
        self.index().join("00000000")
    }

    /// Whether a search finds what there is; gives how many entries had to be read without index.
    fn agrees(&self, filter: &Filter) -> u64 {
        let order = Order::NewestFirst;
        let (found, _) = pages(&self.log(), filter, (order, 1000, false));
        assert_eq!(found, naive(&self.entries, filter, order), "{filter:?}");
        let wish = Wish { filter, order, cursor: None, limit: 1000, scan: false };
        page(&self.log(), &wish).unwrap().unindexed
    }
}

fn some_filters() -> [Filter; 4] {
    let any = Filter::default;
    [
        Filter { subject: Some(subject(7)), ..any() },
        Filter { request_id: Some("0198c2a4-00000300".into()), ..any() },
        Filter { role: RoleId::parse("analyst").ok(), kind: Some(Kind::Key), ..any() },
        Filter {
            from: Some(Timestamp::from_unix_ms(1_200_000)),
            until: Some(Timestamp::from_unix_ms(1_300_000)),
            ..any()
        },
    ]
}

#[test]
fn sorting_in_parts_makes_the_same_index() {
    let small = Small::new(2000);
    reindex(&small.log(), |_, _| {}).unwrap();
    let whole = fs::read(small.file()).unwrap();
    for at_once in [1, 1000, 7777] {
        let mut builder = Builder::new(&small.log(), 0, Arc::default()).sorting(at_once);
        assert_eq!(builder.build(0, 2000).unwrap(), 1792);
        assert_eq!(fs::read(small.file()).unwrap(), whole, "{at_once} at once");
    }
    let names: Vec<_> =
        fs::read_dir(small.index()).unwrap().map(|f| f.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "nothing is left behind but the index and its lock: {names:?}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_changed_index_changes_no_answer(
        at in any::<proptest::sample::Index>(),
        bit in 0..8_u8,
        cut in proptest::bool::weighted(0.1),
    ) {
        static SMALL: std::sync::LazyLock<(Small, Vec<u8>)> = std::sync::LazyLock::new(|| {
            let small = Small::new(4600);
            reindex(&small.log(), |_, _| {}).unwrap();
            let bytes = fs::read(small.file()).unwrap();
            (small, bytes)
        });
        let (small, bytes) = &*SMALL;
        let mut bytes = bytes.clone();
        // Mostly in the head, the times and the table: they are read for every search.
        let at = match at.index(3) {
            0 => at.index(1000),
            1 => bytes.len() - 1 - at.index(bytes.len() / 50),
            _ => at.index(bytes.len()),
        };
        bytes[at] ^= 1 << bit;
        if cut {
            bytes.truncate(at);
        }
        fs::write(small.file(), bytes).unwrap();
        for filter in some_filters() {
            small.agrees(&filter);
        }
    }
}

#[test]
fn a_damaged_head_is_told_of() {
    let small = Small::new(9000);
    reindex(&small.log(), |_, _| {}).unwrap();
    let [filter, ..] = some_filters();
    assert_eq!(small.agrees(&filter), 0);
    let mut bytes = fs::read(small.file()).unwrap();
    bytes[40] ^= 1;
    fs::write(small.file(), bytes).unwrap();
    assert_eq!(small.agrees(&filter), 9000);
    fs::remove_file(small.file()).unwrap();
    assert_eq!(small.agrees(&filter), 9000);
    reindex(&small.log(), |_, _| {}).unwrap();
    assert_eq!(small.agrees(&filter), 0);
}

#[test]
fn an_index_of_another_log_or_another_place_is_not_used() {
    let small = Small::new(9000);
    let other = Small {
        dir: tempfile::tempdir().unwrap(),
        entries: (50_000..59_000).map(varied).collect(),
    };
    written(&other.log(), &other.entries);
    reindex(&other.log(), |_, _| {}).unwrap();
    fs::create_dir(small.index()).unwrap();
    fs::copy(other.file(), small.file()).unwrap();
    for filter in some_filters() {
        assert_eq!(small.agrees(&filter), 9000);
    }
    // Of a segment that is not this one.
    let big = BIG.dir.path().join("audit.index");
    fs::copy(big.join("00000001"), small.file()).unwrap();
    let [filter, ..] = some_filters();
    assert_eq!(small.agrees(&filter), 9000);
    // Of a log that was longer: an older copy was put back.
    let older = Small::new(8192);
    reindex(&small.log(), |_, _| {}).unwrap();
    fs::create_dir(older.index()).unwrap();
    fs::copy(small.file(), older.file()).unwrap();
    assert_eq!(older.agrees(&filter), 8192);
    // Of the same log when it was shorter: the rest is looked through.
    reindex(&older.log(), |_, _| {}).unwrap();
    fs::copy(older.file(), small.file()).unwrap();
    assert_eq!(small.agrees(&filter), 0);
}

#[test]
fn what_the_index_names_by_mistake_is_not_shown() {
    // The index is asked for another level, so most of what it names is wrong. No text is looked
    // for in entries because of a level: nothing but the comparison keeps them out.
    let small = Small::new(9000);
    reindex(&small.log(), |_, _| {}).unwrap();
    let asked = Filter { level: Some(Level::Critical), ..Filter::default() };
    let hint = Filter { level: Some(Level::General), ..Filter::default() };
    let (order, limit) = (Order::OldestFirst, 1000);
    let wish = Wish { filter: &asked, order, cursor: None, limit, scan: false };
    let found = page::page_by(&small.log(), &wish, &hint).unwrap();
    let both = naive(&small.entries, &asked, order);
    assert!(!found.rows.is_empty() && found.rows.iter().all(|(index, _)| both.contains(index)));
}

#[test]
fn the_keeper_indexes_what_is_new_and_nothing_twice() {
    let small = Small::new(4096 + 300);
    let mut keeper = Keeper::new(&small.log(), 0, Arc::default());
    assert!(keeper.step().unwrap());
    assert_eq!((keeper.indexed(), keeper.step().unwrap()), (4352, false));
    for (count, is_due) in
        [(8192, false), (8448, true), (12_543, false), (12_544, false), (12_800, true)]
    {
        let log: Vec<Entry> = (0..count).map(varied).collect();
        written(&small.log(), &log);
        assert_eq!(keeper.step().unwrap(), is_due, "{count}");
    }
    // Another process finds what is there.
    let mut other = Keeper::new(&small.log(), 0, Arc::default());
    assert!(!other.step().unwrap());
    assert_eq!(other.indexed(), 12_800);
}

#[test]
fn the_keeper_makes_what_is_missing_the_newest_first() {
    let dir = tempfile::tempdir().unwrap();
    written(&dir.path().join("audit"), &BIG.entries);
    let log = dir.path().join("audit");
    let mut keeper = Keeper::new(&log, 0, Arc::default());
    assert!(keeper.step().unwrap() && keeper.step().unwrap() && !keeper.step().unwrap());
    assert_eq!(keeper.indexed(), 69_888);
    let index = dir.path().join("audit.index");
    fs::write(index.join("00000000"), b"torn").unwrap();
    let mut keeper = Keeper::new(&log, 0, Arc::default());
    assert!(keeper.step().unwrap() && !keeper.step().unwrap());
}

#[test]
fn work_that_nobody_waits_for_ends_and_leaves_the_disk_to_the_log() {
    let small = Small::new(5000);
    let stopped = Arc::new(AtomicBool::new(true));
    let stop = Keeper::new(&small.log(), 0, stopped).step();
    assert!(matches!(stop, Err(IndexError::Stopped)));
    let full = Keeper::new(&small.log(), u64::MAX, Arc::default()).step();
    assert!(matches!(full, Err(IndexError::NoSpace)));
    assert!(!small.file().exists());
}

#[test]
fn a_damaged_bundle_keeps_its_segment_without_an_index() {
    let small = Small::new(5000);
    let bundle = small.log().join("tile/entries/003");
    let mut bytes = fs::read(&bundle).unwrap();
    // Still JSON, and no longer what its hash says.
    let at = bytes.windows(6).position(|window| window == b"0198c2").unwrap();
    bytes[at + 9] ^= 1;
    fs::write(&bundle, bytes).unwrap();
    let done = reindex(&small.log(), |_, _| {}).unwrap();
    assert_eq!((done.indexed, done.damaged), (0, vec![768]));
    let mut keeper = Keeper::new(&small.log(), 0, Arc::default());
    assert!(matches!(keeper.step(), Err(IndexError::Damaged { index: 768 })));
    assert!(!keeper.step().unwrap(), "it is not tried for ever");
}

#[tokio::test]
async fn a_running_log_keeps_its_index() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(config(&dir.path().join("audit"))).unwrap();
    let keeping = tokio::spawn(log.clone().keep_index());
    for n in 0..5000 {
        log.note(numbered(n));
    }
    log.flush().await.unwrap();
    while log.metrics().indexed.get() < 4096 {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    keeping.abort();
    let filter = Filter { subject: Some(numbered(123).subjects[0]), ..Filter::default() };
    let (found, bundles) =
        pages(&dir.path().join("audit"), &filter, (Order::NewestFirst, 9, false));
    assert_eq!(found, [123]);
    assert!(bundles < 20, "{bundles}");
    log.close().await.unwrap();
}
