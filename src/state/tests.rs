//! The engines one by one: conformance, and what sled alone can do wrong.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::path::PathBuf;

use proptest::prelude::*;
use tempfile::TempDir;

use super::conformance::conformance;
use super::*;

#[tokio::test]
async fn memory_conforms() {
    conformance(Engine::memory()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sled_conforms() {
    let home = TempDir::new().unwrap();
    let store = SledStore::open(&home.path().join("state")).unwrap();
    conformance(store).await;
}

#[test]
fn urls_name_engines() {
    let sled = StateConfig::Sled { path: "data/state".into() };
    assert_eq!(StateConfig::parse("sled:data/state"), Ok(sled));
    assert_eq!(StateConfig::parse("memory:"), Ok(StateConfig::Memory));
    for wrong in ["", "sled", "sled:", "sled:/", "memory:x", "redis://h", "postgres://h/d"] {
        assert!(StateConfig::parse(wrong).is_err(), "{wrong}");
    }
    let later = StateConfig::parse("postgres://h/d").unwrap_err();
    assert!(later.contains("not in this version"), "{later}");
}

/// A folder in which a database is opened, closed and tampered with.
struct Home(TempDir);

impl Home {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn folder(&self) -> PathBuf {
        self.0.path().join("state")
    }

    fn open(&self) -> Result<SledStore, StateError> {
        SledStore::open(&self.folder())
    }

    /// Opens, puts `n`, closes.
    async fn visit(&self, n: u8) {
        let store = self.open().unwrap();
        put(&store, b"n", &[n]).await.unwrap();
    }

    fn copy_to(&self, name: &str) {
        copy(&self.folder(), &self.0.path().join(name));
    }

    fn replace_by(&self, name: &str) {
        fs::remove_dir_all(self.folder()).unwrap();
        copy(&self.0.path().join(name), &self.folder());
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.path().is_dir() {
            copy(&entry.path(), &to.join(entry.file_name()));
        } else {
            fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }
}

async fn put(store: &impl StateStore, key: &[u8], value: &[u8]) -> Result<Rev, StateError> {
    let mut tx = Tx::new();
    tx.put(key, value.to_vec(), Expect::Any);
    store.commit(tx).await
}

async fn get(store: &impl StateStore, key: &[u8]) -> Option<Vec<u8>> {
    store.get(key).await.unwrap().map(|found| found.value)
}

#[tokio::test]
async fn what_was_committed_is_there_after_reopening() {
    let home = Home::new();
    for n in 0..5 {
        home.visit(n).await;
        let store = home.open().unwrap();
        assert_eq!(get(&store, b"n").await, Some(vec![n]));
        assert_eq!(store.rev(), Rev(u64::from(n) + 1));
        let changes = store.changes(Rev(0), 10).await.unwrap();
        assert_eq!(changes.len(), usize::from(n) + 1);
    }
}

#[tokio::test]
async fn an_emptied_folder_refuses_to_start() {
    let home = Home::new();
    home.visit(1).await;
    fs::remove_dir_all(home.folder()).unwrap();
    let refused = home.open().unwrap_err();
    assert!(matches!(refused, StateError::RolledBack { .. }), "{refused}");
    assert!(refused.to_string().contains("Restore"), "{refused}");
}

#[tokio::test]
async fn a_lost_configuration_loses_no_values() {
    // What a power cut leaves of an unsynced `conf`.
    let home = Home::new();
    home.visit(1).await;
    fs::write(home.folder().join("conf"), b"").unwrap();
    if let Ok(store) = home.open() {
        assert_eq!(get(&store, b"n").await, Some(vec![1]));
    }
}

#[tokio::test]
async fn an_older_copy_of_the_folder_refuses_to_start() {
    let home = Home::new();
    home.visit(1).await;
    home.copy_to("older");
    home.visit(2).await;
    home.copy_to("current");
    home.replace_by("older");
    let refused = home.open().unwrap_err();
    assert!(matches!(refused, StateError::RolledBack { .. }), "{refused}");
    home.replace_by("current");
    assert_eq!(get(&home.open().unwrap(), b"n").await, Some(vec![2]));
}

#[tokio::test]
async fn an_older_copy_from_the_same_run_refuses_to_start() {
    let home = Home::new();
    let store = home.open().unwrap();
    put(&store, b"n", &[1]).await.unwrap();
    // sled has flushed and synced, so the files are a whole database of this moment.
    home.copy_to("older");
    put(&store, b"n", &[2]).await.unwrap();
    drop(store);
    home.replace_by("older");
    let refused = home.open().unwrap_err();
    assert!(matches!(refused, StateError::RolledBack { .. }), "{refused}");
}

#[tokio::test]
async fn a_folder_without_its_marker_refuses_to_start() {
    let home = Home::new();
    home.visit(1).await;
    let marker = marker::place(&home.folder());
    let text = fs::read_to_string(&marker).unwrap();
    fs::remove_file(&marker).unwrap();
    assert!(matches!(home.open(), Err(StateError::Unmarked { .. })));
    for wrong in ["", "privet-state/v1 1 1 00000000\n", "privet-state/v2 1 1\n", text.trim_end()] {
        fs::write(&marker, wrong).unwrap();
        assert!(matches!(home.open(), Err(StateError::Marker { .. })), "{wrong:?}");
    }
    fs::write(&marker, text).unwrap();
    assert!(home.open().is_ok());
}

#[tokio::test]
async fn a_database_whose_making_was_interrupted_is_made_anew() {
    let home = Home::new();
    let mark = marker::Mark { generation: 0, rev: 0 };
    marker::write(&marker::place(&home.folder()), mark).unwrap();
    fs::create_dir(home.folder()).unwrap();
    fs::write(home.folder().join("conf"), b"half").unwrap();
    home.visit(1).await;
    assert_eq!(get(&home.open().unwrap(), b"n").await, Some(vec![1]));
}

#[tokio::test]
async fn two_processes_cannot_have_the_same_folder() {
    let home = Home::new();
    let store = home.open().unwrap();
    assert!(matches!(home.open(), Err(StateError::Locked { .. })));
    put(&store, b"n", &[1]).await.unwrap();
}

#[tokio::test]
async fn a_value_with_a_wrong_checksum_or_key_is_an_error() {
    let home = Home::new();
    home.visit(1).await;
    let raw = sled::open(home.folder()).unwrap();
    let good = raw.get(b"dn").unwrap().unwrap();
    let mut damaged = good.to_vec();
    damaged[20] ^= 1;
    raw.insert(b"ddamaged", damaged).unwrap();
    raw.insert(b"dmoved", good.clone()).unwrap();
    raw.insert(b"dshort", &good[..3]).unwrap();
    raw.flush().unwrap();
    drop(raw);
    let store = home.open().unwrap();
    for key in [b"damaged".as_slice(), b"moved", b"short"] {
        let read = store.get(key).await;
        assert!(matches!(read, Err(StateError::Corrupt { .. })), "{read:?}");
    }
    assert!(matches!(store.scan(b"", None, 10).await, Err(StateError::Corrupt { .. })));
    assert_eq!(get(&store, b"n").await, Some(vec![1]));
}

#[tokio::test]
async fn a_flipped_bit_in_the_file_never_gives_another_value() {
    let home = Home::new();
    let store = home.open().unwrap();
    for n in 0u8..40 {
        put(&store, &[n], &[n; 64]).await.unwrap();
    }
    drop(store);
    home.copy_to("good");
    let marker = marker::place(&home.folder());
    let mark = fs::read(&marker).unwrap();
    let len = fs::metadata(home.folder().join("db")).unwrap().len();
    let mut noticed = 0;
    for at in (0..len).step_by(usize::try_from(len / 24).unwrap()) {
        home.replace_by("good");
        fs::write(&marker, &mark).unwrap();
        let file = home.folder().join("db");
        let mut bytes = fs::read(&file).unwrap();
        bytes[usize::try_from(at).unwrap()] ^= 0x10;
        fs::write(&file, bytes).unwrap();
        let Ok(store) = home.open() else {
            noticed += 1;
            continue;
        };
        for n in 0u8..40 {
            match store.get(&[n]).await {
                Ok(found) => assert_eq!(found.unwrap().value, [n; 64], "flipped at {at}"),
                Err(_) => noticed += 1,
            }
        }
    }
    assert!(noticed > 0, "no flip hit anything");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn callers_share_syncs() {
    let home = Home::new();
    let store = Engine::open(&StateConfig::Sled { path: home.folder() }).unwrap();
    let tasks: Vec<_> = (0u32..512)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move { put(&store, &n.to_be_bytes(), b"v").await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let (commits, syncs) = (store.metrics().commits.get(), store.metrics().syncs.get());
    assert_eq!(commits, 512);
    assert!(syncs < commits, "{syncs} syncs");
}

#[tokio::test]
async fn a_planned_fault_happens_once_and_where_it_was_planned() {
    let store = MemoryStore::default();
    store.plan_fault(FaultPlan { call: 1, moment: FaultMoment::Before });
    assert!(put(&store, b"a", b"1").await.is_err());
    assert_eq!(get(&store, b"a").await, None);
    assert!(store.clear_fault());
    store.plan_fault(FaultPlan { call: 2, moment: FaultMoment::After });
    assert_eq!(get(&store, b"a").await, None);
    assert!(put(&store, b"a", b"1").await.is_err());
    assert_eq!(get(&store, b"a").await, Some(b"1".to_vec()));
    assert!(store.clear_fault());
    store.plan_fault(FaultPlan { call: 2, moment: FaultMoment::After });
    assert_eq!(get(&store, b"a").await, Some(b"1".to_vec()));
    assert!(!store.clear_fault());
}

/// One step of a random history.
#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(u8, u8, Option<u8>)>),
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let op = (0u8..12, 0u8..3, prop::option::weighted(0.7, any::<u8>()));
    let step = prop_oneof![
        12 => prop::collection::vec(op, 1..5).prop_map(Step::Commit),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_history_ends_as_a_plain_map_would(steps in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let home = Home::new();
            let (mut store, memory) = (home.open().unwrap(), MemoryStore::default());
            let mut model: BTreeMap<Vec<u8>, (Vec<u8>, Rev)> = BTreeMap::new();
            for step in steps {
                match step {
                    Step::Reopen => {
                        drop(store);
                        store = home.open().unwrap();
                    }
                    Step::Commit(ops) => {
                        let (tx, after) = transact(&model, &ops, Rev(store.rev().0 + 1));
                        let done = store.commit(tx.clone()).await;
                        let same = memory.commit(tx).await;
                        assert_eq!(done.as_ref().ok(), same.as_ref().ok(), "{done:?} {same:?}");
                        assert_eq!(done.is_ok(), after.is_some(), "{done:?}");
                        model = after.unwrap_or(model);
                    }
                }
            }
            let page = store.scan(b"", None, 100).await.unwrap();
            assert_eq!(page, memory.scan(b"", None, 100).await.unwrap());
            let found = page.items.into_iter();
            let found = found.map(|item| (item.key, (item.value.value, item.value.version)));
            assert_eq!(found.collect::<BTreeMap<_, _>>(), model);
        });
    }
}

type Model = BTreeMap<Vec<u8>, (Vec<u8>, Rev)>;

/// The transaction of a step, and the map after it; nothing when an expectation fails.
fn transact(model: &Model, ops: &[(u8, u8, Option<u8>)], rev: Rev) -> (Tx, Option<Model>) {
    let (mut tx, mut after, mut holds) = (Tx::new(), model.clone(), true);
    let ops: BTreeMap<u8, (u8, Option<u8>)> =
        ops.iter().map(|(key, expect, value)| (*key, (*expect, *value))).collect();
    for (key, (expect, value)) in ops {
        let current = model.get(&vec![key]).map(|(_, version)| *version);
        let expect = match expect {
            0 => Expect::Any,
            1 => Expect::Absent,
            _ => Expect::Version(current.unwrap_or(Rev(7))),
        };
        holds &= match expect {
            Expect::Any => true,
            Expect::Absent => current.is_none(),
            Expect::Version(_) => current.is_some(),
        };
        match value {
            Some(value) => {
                tx.put(&[key], vec![value; 9], expect);
                after.insert(vec![key], (vec![value; 9], rev));
            }
            None => {
                tx.delete(&[key], expect);
                after.remove(&vec![key]);
            }
        }
    }
    (tx, holds.then_some(after))
}
