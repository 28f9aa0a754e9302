//! What was acknowledged outlives a killed process, a cut of the power, and a full disk.
//!
//! The power cut: a writer (this binary, started again) commits to sled on an ext4 image. It is
//! stopped, the image is copied under it, and the copy is mounted: what the kernel had not yet
//! written is gone, what was synced must be there. A writer that does not sync shows that the
//! test would notice.
//!
//! Mounting needs rights; without them a test says so in one line and passes.

#![expect(clippy::unwrap_used, reason = "clippy's allow-unwrap-in-tests does not reach helpers")]

mod audit;
mod mounts;
mod writer;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use privet::state::Durability;
use privet::state::Engine;
use privet::state::SledStore;
use privet::state::StateStore;
use tempfile::TempDir;

use crate::mounts::Image;
use crate::mounts::Mount;
use crate::writer::Writer;

/// Not a test of its own: what a started writer does.
#[test]
fn writer_process() {
    writer::run_if_asked();
}

#[test]
fn a_killed_writer_loses_nothing_it_acknowledged() {
    let home = TempDir::new().unwrap();
    let folder = home.path().join("state");
    let mut acknowledged = BTreeSet::new();
    for round in 0..12 {
        let mut writer = Writer::start(&folder, Durability::Synced, round);
        writer.wait_for(20 + 40 * usize::try_from(round).unwrap());
        acknowledged.extend(writer.kill());
        assert_eq!(lost(&folder, &acknowledged), Ok(0), "round {round}");
    }
    println!("killed 12 times, {} acknowledged, 0 lost", acknowledged.len());
}

#[test]
fn a_power_cut_loses_nothing_that_was_acknowledged() {
    let Some(image) = Image::make() else {
        println!("skipped: loop mounts are not permitted here");
        return;
    };
    let mut total = 0;
    for round in 0..8 {
        let (found, acknowledged) = cut(&image, Durability::Synced, round, 5 << round);
        assert_eq!(found, Ok(0), "round {round}, {acknowledged} acknowledged");
        total += acknowledged;
    }
    println!("8 power cuts, {total} acknowledged, 0 lost");
}

#[test]
fn a_power_cut_is_noticed_when_nothing_is_synced() {
    let Some(image) = Image::make() else {
        println!("skipped: loop mounts are not permitted here");
        return;
    };
    let mut losses = 0;
    for round in 0..4 {
        let (found, _) = cut(&image, Durability::Unsynced, round, 40);
        losses += usize::from(found != Ok(0));
    }
    println!("without syncing, {losses} of 4 power cuts lost acknowledged writes");
    assert!(losses > 0, "the test of power cuts cannot fail, so it proves nothing");
}

#[test]
fn a_power_cut_after_a_restart_loses_nothing_either() {
    let Some(image) = Image::make() else {
        println!("skipped: loop mounts are not permitted here");
        return;
    };
    // The same database grows through all rounds; each begins by opening it again.
    let mount = image.mount().unwrap();
    let folder = mount.path().join("state");
    let mut acknowledged = BTreeSet::new();
    for round in 0..5 {
        let mut writer = Writer::start(&folder, Durability::Synced, round);
        writer.wait_for(150);
        writer.stop();
        let copy = image.copy();
        acknowledged.extend(writer.kill());
        let copied = copy.mount().unwrap();
        assert_eq!(lost(&copied.path().join("state"), &acknowledged), Ok(0), "round {round}");
    }
    println!("5 power cuts of one database, {} acknowledged, 0 lost", acknowledged.len());
}

/// Starts a writer in a new folder, stops it after `count` acknowledgements, cuts the power, and
/// says how many were lost, or why the database does not open, and how many there were.
fn cut(
    image: &Image,
    durability: Durability,
    round: u32,
    count: usize,
) -> (Result<usize, String>, usize) {
    let mount = image.mount().unwrap();
    let place = Path::new("rounds").join(round.to_string()).join("state");
    let mut writer = Writer::start(&mount.path().join(&place), durability, round);
    writer.wait_for(count);
    writer.stop();
    let copy = image.copy();
    let acknowledged = writer.kill();
    let copied = copy.mount().unwrap();
    (lost(&copied.path().join(place), &acknowledged), acknowledged.len())
}

/// How many of the acknowledged writes are not there, or are not as they were written.
fn lost(folder: &Path, acknowledged: &BTreeSet<u64>) -> Result<usize, String> {
    let store = SledStore::open(folder).map_err(|error| error.to_string())?;
    Ok(runtime().block_on(count_lost(&store, acknowledged)))
}

async fn count_lost(store: &impl StateStore, acknowledged: &BTreeSet<u64>) -> usize {
    let mut lost = 0;
    for id in acknowledged {
        let mut halves = Vec::new();
        for key in writer::keys(*id) {
            halves.push(store.get(&key).await.ok().flatten().map(|found| found.value));
        }
        let whole = halves.iter().all(|half| half.as_deref() == Some(&writer::value(*id)));
        lost += usize::from(!whole);
    }
    lost + halved(store).await
}

/// How many transactions are there by half.
async fn halved(store: &impl StateStore) -> usize {
    let mut sides = [BTreeSet::new(), BTreeSet::new()];
    for (side, found) in sides.iter_mut().enumerate() {
        let prefix = writer::prefix(side);
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = store.scan(&prefix, after.as_deref(), 1_000).await.unwrap();
            after = page.items.last().map(|item| item.key.clone());
            found.extend(page.items.iter().map(|item| item.key.split_at(prefix.len()).1.to_vec()));
            if !page.more {
                break;
            }
        }
    }
    let [left, right] = sides;
    left.symmetric_difference(&right).count()
}

#[test]
fn a_full_disk_is_an_error_and_loses_nothing() {
    let home = TempDir::new().unwrap();
    let Some(disk) = Mount::tmpfs(home.path(), 4) else {
        println!("skipped: mounting a small disk is not permitted here");
        return;
    };
    let folder = disk.path().join("state");
    let store = Engine::Sled(SledStore::open(&folder).unwrap());
    let mut acknowledged = BTreeSet::new();
    let refused = runtime().block_on(async {
        for id in 0.. {
            match store.commit(writer::transaction(id, 4_000)).await {
                Ok(_) => acknowledged.insert(id),
                Err(error) => return error,
            };
        }
        panic!("the disk never filled up");
    });
    assert!(!acknowledged.is_empty());
    println!("full after {} transactions: {refused}", acknowledged.len());
    runtime().block_on(async {
        assert!(!store.writable());
        assert!(store.commit(writer::transaction(u64::MAX, 1)).await.is_err());
        // sled may refuse to read as well; it must not say that a value is not there.
        for key in acknowledged.iter().flat_map(|id| writer::keys(*id)) {
            assert!(!matches!(store.get(&key).await, Ok(None)));
        }
    });
    drop(store);
    disk.grow(64);
    let store = SledStore::open(&folder).unwrap();
    runtime().block_on(async {
        for id in &acknowledged {
            for key in writer::keys(*id) {
                assert!(store.get(&key).await.unwrap().is_some(), "{id} is lost");
            }
        }
        store.commit(writer::transaction(u64::MAX, 1)).await.unwrap();
    });
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap()
}

#[test]
fn nothing_stays_mounted() {
    // Whatever the other tests of this file leave behind by failing is taken away by their guards;
    // here it is enough that a guard does what it says.
    let home = TempDir::new().unwrap();
    let Some(disk) = Mount::tmpfs(home.path(), 1) else {
        println!("skipped: mounting a small disk is not permitted here");
        return;
    };
    let path = disk.path().to_string_lossy().into_owned();
    let mounted = || fs::read_to_string("/proc/mounts").unwrap().contains(&path);
    assert!(mounted());
    drop(disk);
    assert!(!mounted());
}
