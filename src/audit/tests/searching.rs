//! Searching, and what the log counts.

use crate::clock::ManualClock;
use crate::types::*;

use super::*;

#[tokio::test]
async fn entries_are_found_by_what_they_have() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_s(1000)));
    let log = Log::open(config(dir.path()), key(), clock.clone()).unwrap();
    for n in 0..600_u64 {
        let mut entry = numbered(n);
        entry.kind = if n % 2 == 0 { Kind::Release } else { Kind::Refusal };
        entry.actor = Some(ActorToken([u8::try_from(n % 7).unwrap(); 16]));
        entry.on_behalf_of = (n == 50).then_some(ActorToken([99; 16]));
        entry.roles = vec![RoleId::parse(if n % 3 == 0 { "support" } else { "analyst" }).unwrap()];
        entry.purpose = PurposeId::parse(if n % 5 == 0 { "marketing" } else { "orders" }).ok();
        entry.store = StoreId::parse("shop").ok();
        entry.data_set = DataSetId::parse(if n % 11 == 0 { "shop.b" } else { "shop.a" }).ok();
        entry.decision = Some(if n % 2 == 0 { Verdict::Permit } else { Verdict::Refuse });
        log.note(entry);
        clock.advance_ms(1000);
    }
    log.close().await.unwrap();
    let count = |filter: Filter, wanted: &dyn Fn(u64) -> bool| {
        let found: Vec<u64> =
            search(dir.path(), &filter, 0).unwrap().map(|found| found.unwrap().0).collect();
        assert!(found.iter().copied().eq((0..600).filter(|n| wanted(*n))), "{filter:?}");
    };
    let any = Filter::default;
    count(any(), &|_| true);
    let second = |s| Some(Timestamp::from_unix_s(s));
    count(Filter { from: second(1100), until: second(1200), ..any() }, &|n| {
        (100..200).contains(&n)
    });
    count(Filter { kind: Some(Kind::Refusal), ..any() }, &|n| n % 2 == 1);
    count(Filter { actor: Some(ActorToken([3; 16])), ..any() }, &|n| n % 7 == 3);
    count(Filter { actor: Some(ActorToken([99; 16])), ..any() }, &|n| n == 50);
    count(Filter { role: RoleId::parse("support").ok(), ..any() }, &|n| n % 3 == 0);
    count(Filter { purpose: PurposeId::parse("marketing").ok(), ..any() }, &|n| n % 5 == 0);
    count(Filter { store: StoreId::parse("shop").ok(), ..any() }, &|_| true);
    count(Filter { store: StoreId::parse("other").ok(), ..any() }, &|_| false);
    count(Filter { data_set: DataSetId::parse("shop.b").ok(), ..any() }, &|n| n % 11 == 0);
    count(Filter { decision: Some(Verdict::Permit), ..any() }, &|n| n % 2 == 0);
    count(Filter { request_id: Some("request-77".into()), ..any() }, &|n| n == 77);
    count(Filter { subject: Some(numbered(512).subjects[0]), ..any() }, &|n| n == 512);
    let both = Filter { role: RoleId::parse("support").ok(), kind: Some(Kind::Release), ..any() };
    count(both, &|n| n % 6 == 0);

    for start in [0, 1, 255, 256, 257, 599, 600, 10_000] {
        let found = search(dir.path(), &any(), start).unwrap().map(|found| found.unwrap().0);
        assert!(found.eq(start..600), "from {start}");
    }
}

#[tokio::test]
async fn a_log_knows_its_own_past() {
    let dir = tempfile::tempdir().unwrap();
    let log = open(config(dir.path())).unwrap();
    let mut known = vec![log.published().unwrap()];
    for n in 0..1500 {
        log.note(numbered(n));
        if [0, 1, 254, 255, 256, 700, 1499].contains(&n) {
            log.flush().await.unwrap();
            known.push(log.published().unwrap());
        }
    }
    for checkpoint in &known {
        assert_eq!(log.root_at(checkpoint.size).unwrap(), Some(checkpoint.root));
    }
    assert_eq!(known.last().unwrap().size, 1500);
    assert_eq!(log.root_at(1501).unwrap(), None);
    for wanted in [0, 3, 475, 476, 477, 1499] {
        let found = log.newest(|entry| number(entry) <= wanted).unwrap().unwrap();
        assert_eq!(number(&found), wanted);
    }
    assert!(log.newest(|_| false).unwrap().is_none());
}

#[tokio::test]
async fn a_damaged_bundle_is_reported_and_the_rest_still_found() {
    let dir = tempfile::tempdir().unwrap();
    filled(config(dir.path()), 700).await;
    std::fs::remove_file(dir.path().join("tile/entries/001")).unwrap();
    let found: Vec<_> = search(dir.path(), &Filter::default(), 0).unwrap().collect();
    assert_eq!(found.len(), 256 + 1 + 188);
    assert!(matches!(found[256], Err(SearchError::Damaged { index: 256 })));
    assert_eq!(found[257].as_ref().unwrap().0, 512);
}

#[tokio::test]
async fn the_log_counts_what_it_does_and_stamps_what_it_records() {
    let dir = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_s(1_795_251_661)));
    let log = Log::open(config(dir.path()), key(), clock).unwrap();
    let mut entry = Entry::new(Kind::Heartbeat);
    entry.time = Timestamp::from_unix_s(1);
    entry.node = "forged".into();
    let receipt = log.intent(entry).await.unwrap();
    assert_eq!(receipt.index(), 0);
    log.flush().await.unwrap();
    let metrics = log.metrics();
    assert_eq!((metrics.appended.get(), metrics.size.get()), (1, 1));
    assert_eq!(metrics.checkpoint_size.get(), 1);
    assert_eq!(metrics.checkpoint_time.get(), 1_795_251_661);
    assert_eq!((metrics.writable.get(), metrics.failures.get()), (1, 0));
    let mut registry = prometheus_client::registry::Registry::default();
    metrics.register(&mut registry);
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    assert!(text.contains("privet_audit_entries_total 1"), "{text}");
    let stored = everything(dir.path()).remove(0);
    assert_eq!(stored.kind, Kind::Intent);
    assert_eq!(&*stored.node, "log.example/node-1");
    assert_eq!(stored.time.to_string(), "2026-11-21T09:01:01.000Z");
    log.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_writers_each_get_their_own_place() {
    for durability in [Durability::Strict, Durability::Batched] {
        let dir = tempfile::tempdir().unwrap();
        let mut config = config(dir.path());
        config.durability = durability;
        let log = open(config).unwrap();
        let writers: Vec<_> = (0..32_u64)
            .map(|writer| {
                let log = log.clone();
                tokio::spawn(async move {
                    let mut acked = Vec::new();
                    for n in writer * 100..(writer + 1) * 100 {
                        acked.push((log.release(numbered(n)).await.unwrap().index(), n));
                    }
                    acked
                })
            })
            .collect();
        let mut acked = Vec::new();
        for writer in writers {
            acked.extend(writer.await.unwrap());
        }
        log.close().await.unwrap();
        let entries = everything(dir.path());
        assert_eq!(entries.len(), 3200);
        for (index, n) in acked {
            assert_eq!(number(&entries[usize::try_from(index).unwrap()]), n);
        }
    }
}
