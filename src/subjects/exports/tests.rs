//! The count beside a set of everything: whatever breaks off, starts again or comes at once.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::state::FaultMoment;
use crate::state::FaultPlan;
use crate::state::MemoryStore;
use crate::state::StateConfig;

/// 2026-11-21T09:00:00Z.
const NOW: Timestamp = Timestamp::from_unix_s(1_795_251_600);
const NEVER: fn(&Threshold) -> bool = |_| false;

fn token(n: u64) -> SubjectToken {
    let mut bytes = [0; 16];
    bytes[0] = u8::try_from(n % 251).unwrap();
    bytes[8..].copy_from_slice(&n.to_be_bytes());
    SubjectToken(bytes)
}

fn who(n: u64, bits: u8) -> Exported {
    Exported { token: token(n), classes: ExportClasses::from_bits(bits) }
}

fn people(from: u64, to: u64, bits: u8) -> Vec<Exported> {
    (from..to).map(|n| who(n, bits)).collect()
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

async fn totals(exports: &Exports, year: i16) -> (u64, u64) {
    let years = exports.report(NOW).await.unwrap();
    let found = years.iter().find(|counts| counts.year == year);
    found.map_or((0, 0), |counts| (counts.other, counts.sensitive))
}

/// Every person by class.
#[derive(Default)]
struct Oracle(HashSet<(u64, u8)>);

impl Oracle {
    fn add(&mut self, n: u64, bits: u8) {
        self.0.extend([1, 2].into_iter().filter(|bit| bits & bit != 0).map(|bit| (n, bit)));
    }

    fn totals(&self) -> (u64, u64) {
        let of = |bit| self.0.iter().filter(|(_, own)| *own == bit).count() as u64;
        (of(1), of(2))
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn counts_are_those_of_a_set_across_restarts_and_failures(
        batches in prop::collection::vec(
            (prop::collection::vec((0..40_u64, 1..4_u8), 1..20), any::<bool>(), 0..40_u64, any::<bool>()),
            1..20,
        )
    ) {
        block_on(async {
            let state = MemoryStore::default();
            let mut exports = Exports::new(Engine::Memory(state.clone()));
            let mut oracle = Oracle::default();
            for (batch, restarts, call, after) in batches {
                let wishes: Vec<Exported> = batch.iter().map(|(n, bits)| who(*n, *bits)).collect();
                let moment = if after { FaultMoment::After } else { FaultMoment::Before };
                state.plan_fault(FaultPlan { call: call + 1, moment });
                let first = exports.admit(&wishes, NOW, &NEVER).await;
                state.clear_fault();
                if first.is_err() {
                    // Whoever was refused by a failure comes again.
                    exports.admit(&wishes, NOW, &NEVER).await.unwrap();
                }
                batch.iter().for_each(|(n, bits)| oracle.add(*n, *bits));
                if restarts {
                    exports = Exports::new(Engine::Memory(state.clone()));
                }
                assert_eq!(totals(&exports, 2026).await, oracle.totals());
            }
        });
    }
}

#[test]
fn counts_survive_on_disk_and_the_same_people_are_written_once() {
    let dir = tempfile::tempdir().unwrap();
    let config = StateConfig::Sled { path: dir.path().join("state") };
    let mut oracle = Oracle::default();
    for round in 0..3_u64 {
        block_on(async {
            let engine = Engine::open(&config).unwrap();
            let exports = Exports::new(engine.clone());
            for from in [0, 300, 600] {
                let wishes = people(from + round * 100, from + round * 100 + 700, 1);
                exports.admit(&wishes, NOW, &NEVER).await.unwrap();
                wishes.iter().enumerate().for_each(|(at, _)| {
                    oracle.add(from + round * 100 + at as u64, 1);
                });
            }
            let before = engine.rev();
            exports.admit(&people(0, 700, 1), NOW, &NEVER).await.unwrap();
            assert_eq!(engine.rev(), before, "known people cost no write");
            assert_eq!(totals(&exports, 2026).await, oracle.totals());
        });
    }
}

#[test]
fn whoever_is_counted_is_on_disk_before_the_answer() {
    block_on(async {
        for call in 1..12 {
            for moment in [FaultMoment::Before, FaultMoment::After] {
                let state = MemoryStore::default();
                let exports = Exports::new(Engine::Memory(state.clone()));
                exports.admit(&people(0, 2, 1), NOW, &NEVER).await.unwrap();
                state.plan_fault(FaultPlan { call, moment });
                let answer = exports.admit(&people(1, 5, 3), NOW, &NEVER).await;
                state.clear_fault();
                let cold = Exports::new(Engine::Memory(state.clone()));
                let kept = totals(&cold, 2026).await;
                match answer {
                    Ok(_) => assert_eq!(kept, (5, 4)),
                    Err(_) => {
                        assert!(kept == (2, 0) || kept == (5, 4), "all of them or none: {kept:?}");
                        assert!(!exports.knows(2026, &who(4, 1)), "nobody is known by a failure");
                    }
                }
            }
        }
    });
}

#[test]
fn a_threshold_is_told_at_eighty_percent_and_keeps_the_rest_here() {
    block_on(async {
        let state = MemoryStore::default();
        let exports = Exports::new(Engine::Memory(state.clone()));
        let told = |admission: &Admission| -> Vec<(u64, u8)> {
            admission.notices.iter().map(|notice| (notice.people, notice.percent)).collect()
        };
        let first = exports.admit(&people(0, 7_999, 2), NOW, &NEVER).await.unwrap();
        assert_eq!(told(&first), []);
        let near = exports.admit(&people(7_999, 8_000, 2), NOW, &NEVER).await.unwrap();
        assert_eq!(told(&near), [(10_000, 80)]);
        let last = exports.admit(&people(8_000, 10_005, 2), NOW, &NEVER).await.unwrap();
        // The ten thousandth needs an assessment.
        assert_eq!(last.refused.len(), 6);
        assert_eq!(told(&last), [(10_000, 100)], "once, and not 80 again");
        assert_eq!(totals(&exports, 2026).await, (0, 9_999));
        let cold = Exports::new(Engine::Memory(state.clone()));
        let kept = last.refused[0];
        let someone = |bits| Exported { token: kept, classes: ExportClasses::from_bits(bits) };
        let again = cold.admit(&[someone(2)], NOW, &NEVER).await.unwrap();
        assert_eq!(again.refused, [kept]);
        let other = cold.admit(&[someone(1)], NOW, &NEVER).await.unwrap();
        assert!(other.refused.is_empty(), "the other class has room");
        let known = cold.admit(&people(0, 500, 2), NOW, &NEVER).await.unwrap();
        assert!(known.refused.is_empty(), "who was counted goes on");
        let by_assessment = cold.admit(&[someone(2)], NOW, &|_| true).await.unwrap();
        assert!(by_assessment.refused.is_empty());
        assert_eq!(totals(&cold, 2026).await, (1, 10_000));
    });
}

#[test]
fn a_person_of_whom_one_class_is_refused_is_not_counted_in_the_other() {
    block_on(async {
        let exports = Exports::new(Engine::memory());
        exports.admit(&people(0, 9_999, 2), NOW, &NEVER).await.unwrap();
        let both = exports.admit(&[who(20_000, 3)], NOW, &NEVER).await.unwrap();
        assert_eq!(both.refused, [token(20_000)]);
        assert_eq!(totals(&exports, 2026).await, (0, 9_999));
    });
}

#[test]
fn the_year_begins_at_midnight_in_beijing_and_forgets_people_after_the_next() {
    let at = |s: u64| Timestamp::from_unix_s(s);
    // 2026-12-31T16:00:00Z is 2027-01-01T00:00:00+08:00.
    let new_year = 1_798_732_800;
    assert_eq!(year_of(at(new_year - 1)), 2026);
    assert_eq!(year_of(at(new_year)), 2027);
    block_on(async {
        let state = MemoryStore::default();
        let engine = Engine::Memory(state.clone());
        let exports = Exports::new(engine.clone());
        exports.admit(&people(0, 3, 1), at(new_year - 1), &NEVER).await.unwrap();
        assert!(exports.knows(2026, &who(0, 1)) && !exports.knows(2027, &who(0, 1)));
        exports.admit(&people(0, 1, 1), at(new_year), &NEVER).await.unwrap();
        assert_eq!((totals(&exports, 2026).await, totals(&exports, 2027).await), ((3, 0), (1, 0)));
        let rows = || async { engine.scan(ROWS, None, 100).await.unwrap().items.len() };
        assert_eq!(rows().await, 4, "last year is still reported on");
        exports.admit(&people(0, 1, 1), at(new_year + 400 * 86_400), &NEVER).await.unwrap();
        assert_eq!(rows().await, 2, "the people of the year before the last are gone");
        assert_eq!(totals(&exports, 2026).await, (3, 0), "their number stays");
    });
}

#[test]
fn a_small_memory_changes_no_count() {
    block_on(async {
        let engine = Engine::memory();
        let mut exports = Exports::new(engine);
        exports.seen = Seen::new(64);
        for _ in 0..3 {
            exports.admit(&people(0, 2_000, 1), NOW, &NEVER).await.unwrap();
        }
        assert_eq!(totals(&exports, 2026).await, (2_000, 0));
    });
}

#[test]
fn people_who_come_at_once_are_counted_once() {
    block_on(async {
        let exports = Exports::new(Engine::memory());
        let (a, b) = (people(0, 300, 1), people(200, 500, 1));
        let (first, second) =
            tokio::join!(exports.admit(&a, NOW, &NEVER), exports.admit(&b, NOW, &NEVER));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(totals(&exports, 2026).await, (500, 0));
    });
}

#[test]
fn a_damaged_row_lets_nobody_leave() {
    block_on(async {
        let state = MemoryStore::default();
        let mut tx = Tx::new();
        tx.put(&person_key(2026, token(1)), vec![9], Expect::Absent);
        state.commit(tx).await.unwrap();
        let exports = Exports::new(Engine::Memory(state));
        assert!(matches!(
            exports.admit(&[who(1, 1)], NOW, &NEVER).await,
            Err(SubjectsError::Damaged)
        ));
    });
}
