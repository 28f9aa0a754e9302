//! How long the first page of a search takes in a log of many entries, and how much memory.
//! `cargo bench --bench search [entries [folder]]`; 10,000,000 entries need about 6 GB of disk and
//! some minutes. The log has the real layout and is removed at the end.

#![expect(
    clippy::print_stdout,
    clippy::expect_used,
    reason = "a bench prints, and stops if it fails"
)]

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use privet::audit;
use privet::audit::ActorToken;
use privet::audit::Entry;
use privet::audit::FieldView;
use privet::audit::FieldViews;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::audit::Order;
use privet::audit::Shown;
use privet::audit::Verdict;
use privet::audit::Wish;
use privet::crypto::Secret;
use privet::crypto::Signer;
use privet::crypto::merkle::Frontier;
use privet::crypto::merkle::leaf;
use privet::crypto::note::Checkpoint;
use privet::crypto::note::NoteKey;
use privet::protocol::tlog;
use privet::protocol::tlog::Tile;
use privet::types::CategoryId;
use privet::types::DataSetId;
use privet::types::Level;
use privet::types::PurposeId;
use privet::types::RoleId;
use privet::types::StoreId;
use privet::types::SubjectToken;
use privet::types::Timestamp;
use tokio::time::Instant;

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with("--"));
    let count: u64 = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(200_000);
    let folder = arguments.next().map_or(env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
    std::fs::create_dir_all(&folder).expect("the folder can be made");
    let dir = tempfile::tempdir_in(folder).expect("a folder can be made");
    let log = dir.path().join("audit");
    let begun = Instant::now();
    write(&log, count);
    println!("{count} entries were written in {:.1} s", begun.elapsed().as_secs_f64());

    forget_peak();
    let begun = Instant::now();
    let done = audit::reindex(&log, |_, _| {}).expect("the index can be made");
    let took = begun.elapsed().as_secs_f64();
    let index = size_of(&dir.path().join("audit.index")) >> 20;
    let per_second = count as f64 / took;
    println!(
        "{} entries were indexed in {took:.1} s ({per_second:.0}/s), {index} MiB, at most {} MiB of memory",
        done.indexed,
        peak() >> 20
    );

    forget_peak();
    println!(
        "{:<34} {:>5} {:>8} {:>10} {:>9} {:>9}",
        "first page of 100", "rows", "bundles", "first ms", "p50 ms", "max ms"
    );
    for (name, filter, order) in questions(count) {
        measure(&log, name, &filter, order);
    }
    println!("at most {} MiB of memory", peak() >> 20);
}

fn measure(log: &Path, name: &str, filter: &Filter, order: Order) {
    let wish = Wish { filter, order, cursor: None, limit: 100, scan: false };
    let mut times = Vec::new();
    let (mut rows, mut bundles) = (0, 0);
    for _ in 0..20 {
        let begun = Instant::now();
        let page = audit::page(log, &wish).expect("it can be searched");
        times.push(begun.elapsed());
        assert_eq!(page.unindexed, 0, "there is an index");
        (rows, bundles) = (page.rows.len(), page.bundles);
    }
    let ms = |time: Option<&Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    let first = ms(times.first());
    times.sort_unstable();
    let (middle, last) = (ms(times.get(times.len() / 2)), ms(times.last()));
    println!("{name:<34} {rows:>5} {bundles:>8} {first:>10.2} {middle:>9.2} {last:>9.2}");
}

/// What is asked for.
fn questions(count: u64) -> Vec<(&'static str, Filter, Order)> {
    let any = Filter::default;
    let (newest, oldest) = (Order::NewestFirst, Order::OldestFirst);
    let role = |name: &str| RoleId::parse(name).ok();
    let purpose = |name: &str| PurposeId::parse(name).ok();
    let at = |n: u64| Some(time(n));
    let health = CategoryId::parse("user.health_and_medical").ok();
    vec![
        ("nothing in particular", any(), newest),
        ("a rare subject", Filter { subject: Some(subject(count / 3)), ..any() }, newest),
        ("a subject nobody saw", Filter { subject: Some(subject(u64::MAX / 2)), ..any() }, newest),
        ("a request id", Filter { request_id: Some(id(count / 7)), ..any() }, newest),
        ("a request id, oldest first", Filter { request_id: Some(id(count / 7)), ..any() }, oldest),
        ("a common role", Filter { role: role("support"), ..any() }, newest),
        ("a rare role", Filter { role: role("dpo"), ..any() }, newest),
        (
            "common role, rare purpose",
            Filter { role: role("support"), purpose: purpose("fraud_check"), ..any() },
            newest,
        ),
        (
            "two common words, never together",
            Filter { role: role("analyst"), purpose: purpose("order_support"), ..any() },
            newest,
        ),
        (
            "health data in clear",
            Filter { category: health.clone(), view: Some(Shown::Show), ..any() },
            newest,
        ),
        (
            "health data masked (there is none)",
            Filter { category: health, view: Some(Shown::Mask), ..any() },
            newest,
        ),
        (
            "an hour, long ago",
            Filter { from: at(count / 5), until: at(count / 5 + 3600), ..any() },
            newest,
        ),
        (
            "a subject in that hour",
            Filter {
                from: at(count / 5),
                until: at(count / 5 + 3600),
                subject: Some(subject(count / 5 + 1)),
                ..any()
            },
            newest,
        ),
        ("refusals", Filter { decision: Some(Verdict::Refuse), ..any() }, newest),
    ]
}

/// Writes a log of so many entries, its tiles and its checkpoint.
fn write(log: &Path, count: u64) {
    let put = |tile: Tile, bytes: &[u8]| {
        let path = log.join(tile.to_string());
        if std::fs::write(&path, bytes).is_err() {
            std::fs::create_dir_all(path.parent().expect("it has a folder")).expect("it is made");
            std::fs::write(&path, bytes).expect("it can be written");
        }
    };
    let templates = templates();
    let (mut frontier, mut full, mut bundle) = (Frontier::new(), Vec::new(), Vec::new());
    for n in 0..count {
        let bytes = entry(&templates, n).to_bytes().expect("it has a written form");
        frontier.push(leaf(&bytes), &mut full);
        assert!(tlog::append_entry(&mut bundle, &bytes), "it is short enough");
        for tile in full.drain(..) {
            put(Tile::hashes(tile.level, tile.index, tlog::FULL), &tile.hashes.concat());
        }
        if (n + 1).is_multiple_of(u64::from(tlog::FULL)) {
            put(Tile::entries(n >> 8, tlog::FULL), &bundle);
            bundle.clear();
        }
    }
    for (level, index, hashes) in frontier.partial() {
        let width = u16::try_from(hashes.len()).expect("it is not full");
        put(Tile::hashes(level, index, width), &hashes.concat());
        if level == 0 {
            put(Tile::entries(index, width), &bundle);
        }
    }
    let name = "bench.example/log";
    let key = NoteKey::new(name, Signer::from_seed(&Secret::new([1; 32]))).expect("a key");
    let size = frontier.size();
    let checkpoint = Checkpoint { origin: name.into(), size, root: frontier.root() };
    std::fs::write(log.join("checkpoint"), key.sign(&checkpoint.to_string()))
        .expect("it is signed");
}

/// The kinds of calls there are.
fn templates() -> Vec<Entry> {
    let fields = |list: &[(&str, Level, Shown)]| -> FieldViews {
        list.iter()
            .map(|(category, level, view)| FieldView {
                category: CategoryId::parse(category).expect("a category"),
                level: *level,
                view: *view,
            })
            .collect::<Vec<_>>()
            .into()
    };
    let call = |role: &str, purpose: &str, views: FieldViews| {
        let mut entry = Entry::new(Kind::Release);
        entry.node = "bench.example/log".into();
        entry.roles = RoleId::parse(role).into_iter().collect();
        entry.purpose = PurposeId::parse(purpose).ok();
        entry.store = StoreId::parse("shop").ok();
        entry.data_set = DataSetId::parse("shop.customers").ok();
        entry.decision = Some(Verdict::Permit);
        entry.records = Some(1);
        entry.fields = views;
        entry
    };
    let contact = fields(&[
        ("user.name", Level::Sensitive, Shown::Show),
        ("user.contact.email", Level::Sensitive, Shown::Mask),
    ]);
    let cohort = fields(&[("user.unique_id", Level::Sensitive, Shown::Pseudonymize)]);
    let health = fields(&[("user.health_and_medical", Level::Critical, Shown::Show)]);
    vec![
        call("support", "order_support", contact.clone()),
        call("analyst", "analytics", cohort),
        call("support", "fraud_check", contact),
        call("dpo", "legal_claims", health),
    ]
}

fn entry(templates: &[Entry], n: u64) -> Entry {
    // Most calls are support; every 50,000th is about health, every 100,000th checks for fraud.
    let which = match n {
        n if n % 100_000 == 77 => 2,
        n if n % 50_000 == 33 => 3,
        n if n.is_multiple_of(4) => 1,
        _ => 0,
    };
    let mut entry = templates.get(which).expect("it is there").clone();
    entry.time = time(n);
    entry.request_id = Some(id(n).into());
    entry.actor = Some(ActorToken(u128::from(n % 500).to_be_bytes()));
    if n % 1000 == 5 {
        (entry.kind, entry.decision) = (Kind::Refusal, Some(Verdict::Refuse));
    } else {
        entry.subjects = vec![subject(n), subject(n % 1000)];
    }
    entry
}

/// One entry a second.
fn time(n: u64) -> Timestamp {
    Timestamp::from_unix_s(1_700_000_000 + n)
}

fn id(n: u64) -> String {
    format!("0198c2a4-5f7e-7c31-9d5e-{n:012x}")
}

fn subject(n: u64) -> SubjectToken {
    SubjectToken(
        u128::from(n).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes(),
    )
}

fn size_of(folder: &Path) -> u64 {
    let files = std::fs::read_dir(folder).expect("it is there");
    files.map(|file| file.and_then(|file| file.metadata()).map_or(0, |it| it.len())).sum()
}

/// Starts anew to look for the most memory in use.
fn forget_peak() {
    std::fs::write("/proc/self/clear_refs", "5").expect("Linux knows it");
}

/// The most memory in use since, in bytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux knows it");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}
