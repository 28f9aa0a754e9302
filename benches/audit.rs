//! How many entries a second the audit log records, durably, for callers that wait for each.
//! `cargo bench --bench audit [seconds [folder]]`; the folder decides which disk is measured.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a bench prints, and stops if it fails"
)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use privet::audit::ActorToken;
use privet::audit::AuditConfig;
use privet::audit::Durability;
use privet::audit::Entry;
use privet::audit::FieldView;
use privet::audit::Kind;
use privet::audit::Log;
use privet::audit::Shown;
use privet::audit::Strength;
use privet::audit::Verdict;
use privet::clock::SystemClock;
use privet::crypto::Secret;
use privet::crypto::Signer;
use privet::crypto::note::NoteKey;
use privet::types::Action;
use privet::types::CategoryId;
use privet::types::DataSetId;
use privet::types::Level;
use privet::types::PurposeId;
use privet::types::RoleId;
use privet::types::RuleId;
use privet::types::StoreId;
use privet::types::SubjectToken;
use tokio::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(3);
    let folder = arguments.next().map_or(env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("a runtime starts");
    let mut at_64 = Vec::new();
    println!("durability subjects writers  entries/s   p50 us   p99 us     MB/s");
    for (subjects, writers) in [(1, 1), (1, 16), (1, 64), (1, 256), (35, 64), (256, 64)] {
        for durability in [Durability::Strict, Durability::Batched] {
            let found =
                runtime.block_on(measure(&folder, durability, (subjects, writers), seconds));
            println!("{}", found.line);
            if (subjects, writers) == (1, 64) {
                at_64.push(found.rate);
            }
        }
    }
    let [strict, batched] = at_64.as_slice() else { return };
    let verdict = if *strict >= TARGET { "met" } else { "missed" };
    println!(
        "64 writers, strict: {strict:.0} entries/s, {:.2} x batched; target {TARGET:.0}: {verdict}",
        strict / batched
    );
}

/// What one combination came to.
struct Found {
    /// Entries a second.
    rate: f64,
    line: String,
}

/// Durable entries a second for 64 writers that wait for each (Tessera on POSIX: about 10,000).
const TARGET: f64 = 15_000.0;

async fn measure(
    folder: &std::path::Path,
    durability: Durability,
    (subjects, writers): (u32, usize),
    seconds: u64,
) -> Found {
    std::fs::create_dir_all(folder).expect("the folder can be made");
    let dir = tempfile::tempdir_in(folder).expect("a folder can be made");
    let mut config = AuditConfig::new(dir.path(), "bench.example/log");
    config.durability = durability;
    let key = NoteKey::new("bench.example/log", Signer::from_seed(&Secret::new([1; 32])))
        .expect("the name is fine");
    let log = Log::open(config, key, Arc::new(SystemClock)).expect("the log opens");
    let template = Arc::new(entry(subjects));
    let begin = Instant::now();
    let end = begin + Duration::from_secs(seconds);
    let tasks: Vec<_> = (0..writers)
        .map(|_| {
            let (log, template) = (log.clone(), Arc::clone(&template));
            tokio::spawn(async move {
                let mut times = Vec::new();
                while Instant::now() < end {
                    let start = Instant::now();
                    let receipt = log.release((*template).clone()).await.expect("it is recorded");
                    drop(receipt);
                    times.push(start.elapsed());
                }
                times
            })
        })
        .collect();
    let mut times = Vec::new();
    for task in tasks {
        times.extend(task.await.expect("a writer ends"));
    }
    let took = begin.elapsed().as_secs_f64();
    log.close().await.expect("the log closes");
    times.sort_unstable();
    let at = |share: usize| times.get(times.len() * share / 100).map_or(0, Duration::as_micros);
    let word = if durability == Durability::Strict { "strict" } else { "batched" };
    let count = times.len();
    let bytes = log.metrics().bytes.get();
    let rate = f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / took;
    let megabytes = f64::from(u32::try_from(bytes >> 10).unwrap_or(u32::MAX)) / 1024.0 / took;
    let line = format!(
        "{word:<10} {subjects:>8} {writers:>7} {rate:>10.0} {:>8} {:>8} {megabytes:>8.1}",
        at(50),
        at(99),
    );
    Found { rate, line }
}

/// What a masked read of customers records.
fn entry(subjects: u32) -> Entry {
    let mut entry = Entry::new(Kind::Release);
    entry.action = Some(Action::Read);
    entry.actor = Some(ActorToken([7; 16]));
    entry.basis = Some("contract".into());
    entry.bytes = Some(2048);
    entry.data_set = DataSetId::parse("shop.customers").ok();
    entry.decision = Some(Verdict::Permit);
    entry.decision_id = Some("0198c2a4-5f7e-7c31-9d5e-2f4b8c6a1d00".into());
    let view = |category: &str, view| FieldView {
        category: CategoryId::parse(category).expect("a category"),
        level: Level::Sensitive,
        view,
    };
    entry.fields = vec![
        view("user.contact.address", Shown::Generalize),
        view("user.contact.email", Shown::Mask),
        view("user.contact.phone_number", Shown::Mask),
        view("user.name", Shown::Show),
        view("user.unique_id", Shown::Show),
    ]
    .into();
    entry.policy = Some([9; 32]);
    entry.purpose = PurposeId::parse("order_support").ok();
    entry.records = Some(subjects);
    entry.request_id = Some("0198c2a4-5f7e-7c31-9d5e-2f4b8c6a1d01".into());
    entry.roles = vec![RoleId::parse("support").expect("a role")];
    entry.route = Some("GET /customers/{id}".into());
    entry.rules = vec![RuleId::parse("support-contact").expect("a rule")];
    entry.store = StoreId::parse("shop").ok();
    entry.strength = Some(Strength::Token);
    entry.subjects = (0..subjects).map(|n| SubjectToken(u128::from(n).to_be_bytes())).collect();
    entry.consent_versions = vec![1; entry.subjects.len()];
    entry
}
