//! What every engine must do. Each runs all of it.

use super::store::CHANGES_KEPT;
use super::*;

/// Puts an empty engine through everything.
pub(super) async fn conformance(store: impl StateStore) {
    values_come_back(&store).await;
    expectations_decide(&store).await;
    a_transaction_is_all_or_nothing(&store).await;
    scans_page_in_order(&store).await;
    limits_hold(&store).await;
    counters_do_not_lose_counts(&store).await;
    changes_have_no_gaps(&store).await;
    old_changes_are_gone(&store).await;
}

fn put(key: &[u8], value: &[u8], expect: Expect) -> Tx {
    let mut tx = Tx::new();
    tx.put(key, value.to_vec(), expect);
    tx
}

async fn value(store: &impl StateStore, key: &[u8]) -> Option<(Vec<u8>, Rev)> {
    store.get(key).await.unwrap().map(|found| (found.value, found.version))
}

async fn values_come_back(store: &impl StateStore) {
    assert_eq!(value(store, b"v/a").await, None);
    let first = store.commit(put(b"v/a", b"one", Expect::Any)).await.unwrap();
    assert_eq!(value(store, b"v/a").await, Some((b"one".to_vec(), first)));
    let second = store.commit(put(b"v/a", b"", Expect::Any)).await.unwrap();
    assert_eq!(second, Rev(first.0 + 1));
    assert_eq!(value(store, b"v/a").await, Some((Vec::new(), second)));
    assert_eq!(store.rev(), second);
    let mut tx = Tx::new();
    tx.delete(b"v/a", Expect::Any);
    tx.delete(b"v/never", Expect::Any);
    store.commit(tx).await.unwrap();
    assert_eq!(value(store, b"v/a").await, None);
}

async fn expectations_decide(store: &impl StateStore) {
    let conflict = |done| assert!(matches!(done, Err(StateError::Conflict { op: 0 })), "{done:?}");
    conflict(store.commit(put(b"e/a", b"1", Expect::Version(Rev(1)))).await);
    let first = store.commit(put(b"e/a", b"1", Expect::Absent)).await.unwrap();
    conflict(store.commit(put(b"e/a", b"2", Expect::Absent)).await);
    conflict(store.commit(put(b"e/a", b"2", Expect::Version(Rev(first.0 + 1)))).await);
    let second = store.commit(put(b"e/a", b"2", Expect::Version(first))).await.unwrap();
    conflict(store.commit(put(b"e/a", b"3", Expect::Version(first))).await);
    let mut tx = Tx::new();
    tx.delete(b"e/a", Expect::Version(second));
    store.commit(tx).await.unwrap();
    // A key that comes back never has a version it had before.
    let third = store.commit(put(b"e/a", b"1", Expect::Absent)).await.unwrap();
    assert!(third > second);
    conflict(store.commit(put(b"e/a", b"3", Expect::Version(second))).await);
}

async fn a_transaction_is_all_or_nothing(store: &impl StateStore) {
    let held = store.commit(put(b"t/held", b"x", Expect::Absent)).await.unwrap();
    let attempt = |expect| {
        let mut tx = put(b"t/a", b"1", Expect::Absent);
        tx.delete(b"t/held", Expect::Any);
        tx.require(b"t/guard", expect);
        tx
    };
    let before = store.rev();
    let done = store.commit(attempt(Expect::Version(held))).await;
    assert!(matches!(done, Err(StateError::Conflict { op: 2 })), "{done:?}");
    assert_eq!(store.rev(), before);
    assert_eq!(value(store, b"t/a").await, None);
    assert!(value(store, b"t/held").await.is_some());
    store.commit(attempt(Expect::Absent)).await.unwrap();
    assert!(value(store, b"t/a").await.is_some());
    assert_eq!(value(store, b"t/held").await, None);
    assert_eq!(value(store, b"t/guard").await, None);
}

async fn scans_page_in_order(store: &impl StateStore) {
    let keys: Vec<&[u8]> =
        vec![b"s/", b"s/\0", b"s/a", b"s/a\xff", b"s/b", b"s/\xff", b"s/\xff\xff"];
    let mut tx = Tx::new();
    for key in keys.iter().rev() {
        tx.put(key, key.to_vec(), Expect::Any);
    }
    tx.put(b"s", vec![], Expect::Any);
    tx.put(b"s0", vec![], Expect::Any);
    store.commit(tx).await.unwrap();
    let all = store.scan(b"s/", None, 100).await.unwrap();
    let found: Vec<&[u8]> = all.items.iter().map(|item| item.key.as_slice()).collect();
    assert_eq!((found, all.more), (keys.clone(), false));
    assert!(all.items.iter().all(|item| item.value.value == item.key));
    for limit in 1..=keys.len() {
        let (mut found, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let page = store.scan(b"s/", after.as_deref(), limit).await.unwrap();
            assert!(page.items.len() <= limit);
            after = page.items.last().map(|item| item.key.clone());
            found.extend(page.items.into_iter().map(|item| item.key));
            if !page.more {
                break;
            }
        }
        assert_eq!(found, keys, "in pages of {limit}");
    }
    // What to start after may stand before the prefix, between keys, or behind them.
    let after = async |from: &[u8]| store.scan(b"s/", Some(from), 100).await.unwrap().items.len();
    assert_eq!(after(b"a").await, keys.len());
    assert_eq!(after(b"s/aa").await, 4);
    assert_eq!(after(b"t").await, 0);
}

async fn limits_hold(store: &impl StateStore) {
    let many = |count: usize| {
        let mut tx = Tx::new();
        for n in 0..count {
            let mut key = vec![b'l'; MAX_KEY_BYTES];
            key[..8].copy_from_slice(&n.to_be_bytes());
            tx.put(&key, vec![7; 8], Expect::Any);
        }
        tx
    };
    let rev = store.commit(many(MAX_OPS)).await.unwrap();
    let changes = store.changes(Rev(rev.0 - 1), 1).await.unwrap();
    assert_eq!(changes[0].keys.len(), MAX_OPS);
    store.commit(put(b"l/value", &[1; MAX_VALUE_BYTES], Expect::Any)).await.unwrap();
    assert_eq!(value(store, b"l/value").await.unwrap().0, [1; MAX_VALUE_BYTES]);
    let mut twice = put(b"l/a", b"1", Expect::Any);
    twice.delete(b"l/a", Expect::Any);
    for wrong in [
        Tx::new(),
        many(MAX_OPS + 1),
        put(b"l/value", &[1; MAX_VALUE_BYTES + 1], Expect::Any),
        put(&[b'k'; MAX_KEY_BYTES + 1], b"", Expect::Any),
        put(b"", b"", Expect::Any),
        twice,
    ] {
        let done = store.commit(wrong).await;
        assert!(matches!(done, Err(StateError::Invalid { .. })), "{done:?}");
    }
}

async fn counters_do_not_lose_counts(store: &impl StateStore) {
    let tasks: Vec<_> = (0..16)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                for _ in 0..10 {
                    while !add_one(&store).await {}
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(value(store, b"n").await.unwrap().0, 160u64.to_be_bytes());
}

async fn add_one(store: &impl StateStore) -> bool {
    let (count, expect) = match value(store, b"n").await {
        Some((count, version)) => {
            (u64::from_be_bytes(count.try_into().unwrap()), Expect::Version(version))
        }
        None => (0, Expect::Absent),
    };
    match store.commit(put(b"n", &(count + 1).to_be_bytes(), expect)).await {
        Ok(_) => true,
        Err(StateError::Conflict { .. }) => false,
        Err(error) => panic!("{error}"),
    }
}

async fn changes_have_no_gaps(store: &impl StateStore) {
    let start = store.rev();
    assert_eq!(store.changes(start, 10).await.unwrap(), []);
    let mut tx = put(b"c/a", b"", Expect::Any);
    tx.delete(b"c/b", Expect::Any);
    tx.require(b"c/c", Expect::Absent);
    store.commit(tx).await.unwrap();
    for n in 0u8..5 {
        store.commit(put(&[b'c', n], b"", Expect::Any)).await.unwrap();
    }
    let all = store.changes(start, 10).await.unwrap();
    let revs: Vec<u64> = all.iter().map(|change| change.rev.0 - start.0).collect();
    assert_eq!(revs, [1, 2, 3, 4, 5, 6]);
    assert_eq!(all[0].keys, [b"c/a".to_vec(), b"c/b".to_vec()]);
    assert_eq!(store.changes(start, 2).await.unwrap(), all[..2]);
    assert_eq!(store.changes(all[3].rev, 10).await.unwrap(), all[4..]);
}

async fn old_changes_are_gone(store: &impl StateStore) {
    let start = store.rev();
    // Together, so that an engine that syncs can share its syncs.
    let tasks: Vec<_> = (0..=CHANGES_KEPT)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                store.commit(put(&n.to_be_bytes(), b"", Expect::Any)).await.unwrap()
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let done = store.changes(start, 1).await;
    assert!(matches!(done, Err(StateError::ChangesGone)), "{done:?}");
    assert_eq!(store.changes(Rev(start.0 + 1), 1).await.unwrap()[0].rev, Rev(start.0 + 2));
}
