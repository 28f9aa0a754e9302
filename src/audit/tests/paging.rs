//! Search with an index beside a naive one without: whatever is asked, the pages joined are what
//! stands in the log.

use std::sync::LazyLock;

use proptest::prelude::*;

use crate::crypto::merkle::leaf;
use crate::crypto::note::Checkpoint;
use crate::types::*;

use super::*;
use crate::audit::derive::CHECKPOINT;
use crate::audit::derive::Deriver;
use crate::audit::disk::Disk;

/// Puts a log of these entries in a folder, without a journal.
pub(super) fn written(dir: &Path, entries: &[Entry]) {
    let disk = Disk::open(dir, None).unwrap();
    let mut deriver = Deriver::default();
    for entry in entries {
        let bytes = entry.to_bytes().unwrap();
        deriver.add(&bytes, leaf(&bytes));
        deriver.write(&disk, &mut Vec::new()).unwrap();
    }
    deriver.write_unfinished(&disk).unwrap();
    let checkpoint = Checkpoint {
        origin: "log.example/node-1".into(),
        size: deriver.size(),
        root: deriver.root(),
    };
    let note = key().sign(&checkpoint.to_string());
    disk.replace_durably(CHECKPOINT, note.as_bytes()).unwrap();
}

/// An entry with about everything, which depends on `n` alone.
pub(super) fn varied(n: u64) -> Entry {
    // Marsaglia's xorshift64*.
    let mut dice = n.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut roll = |sides: u64| {
        dice ^= dice >> 12;
        dice ^= dice << 25;
        dice ^= dice >> 27;
        (dice.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) % sides
    };
    let mut entry = Entry::new(Kind::ALL[usize::try_from(roll(12)).unwrap()]);
    entry.time = Timestamp::from_unix_ms(1_000_000 + n * 1000 + roll(3000));
    entry.node = "node-1".into();
    entry.request_id = Some(format!("0198c2a4-{n:08}").into());
    entry.decision_id = (roll(2) == 0).then(|| format!("decision-{n}").into());
    entry.actor = Some(ActorToken([u8::try_from(roll(40)).unwrap(); 16]));
    entry.on_behalf_of = (roll(5) == 0).then(|| ActorToken([u8::try_from(roll(40)).unwrap(); 16]));
    entry.roles = match roll(4) {
        0 => Vec::new(),
        1 => vec![role("support"), role("analyst")],
        2 => vec![role("analyst")],
        _ => vec![role("support")],
    };
    entry.purpose = PurposeId::parse(["orders", "marketing", "statistics"][pick(roll(3))]).ok();
    entry.store = StoreId::parse(["shop", "crm"][pick(roll(2))]).ok();
    let set = (roll(3) > 0).then(|| ["shop.a", "shop.b", "crm.c"][pick(roll(3))]);
    entry.data_set = set.and_then(|set| DataSetId::parse(set).ok());
    entry.decision = [None, Some(Verdict::Permit), Some(Verdict::Refuse)][pick(roll(3))];
    let fields: Vec<FieldView> = (0..roll(4))
        .map(|_| FieldView {
            category: category(["user.name", "user.email", "health"][pick(roll(3))]),
            level: Level::ALL[pick(roll(3))],
            view: Shown::ALL[pick(roll(6))],
        })
        .collect();
    entry.fields = fields.into();
    entry.records = Some(u32::try_from(roll(3)).unwrap());
    entry.subjects = (0..roll(4)).map(|_| subject(roll(20_000))).collect();
    entry
}

fn pick(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

fn earlier(time: Timestamp, ms: u64) -> Timestamp {
    Timestamp::from_unix_ms(time.unix_ms().saturating_sub(ms))
}

fn role(name: &str) -> RoleId {
    RoleId::parse(name).unwrap()
}

fn category(name: &str) -> CategoryId {
    CategoryId::parse(name).unwrap()
}

pub(super) fn subject(n: u64) -> SubjectToken {
    let mut token = [0; 16];
    token[..8].copy_from_slice(&n.to_be_bytes());
    SubjectToken(token)
}

/// A log of more than one segment with its index, which no test changes.
pub(super) struct Big {
    pub(super) dir: tempfile::TempDir,
    pub(super) entries: Vec<Entry>,
}

pub(super) static BIG: LazyLock<Big> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let entries: Vec<Entry> = (0..70_100).map(varied).collect();
    let log = dir.path().join("audit");
    written(&log, &entries);
    let mut heard = Vec::new();
    let done = reindex(&log, |done, of| heard.push((done, of))).unwrap();
    assert_eq!((done.indexed, done.size), (69_888, 70_100), "all whole bundles");
    assert_eq!(heard, [(70_100 - 65_536, 70_100), (70_100, 70_100)]);
    assert!(done.damaged.is_empty());
    Big { dir, entries }
});

impl Big {
    pub(super) fn log(&self) -> std::path::PathBuf {
        self.dir.path().join("audit")
    }
}

/// The indexes on all pages, and how many bundles were read for them.
pub(super) fn pages(
    dir: &Path,
    filter: &Filter,
    (order, limit, scan): (Order, usize, bool),
) -> (Vec<u64>, u64) {
    let (mut found, mut bundles, mut cursor) = (Vec::new(), 0, None::<String>);
    loop {
        let wish = Wish { filter, order, cursor: cursor.as_deref(), limit, scan };
        let page = page(dir, &wish).unwrap();
        assert!(page.rows.len() <= limit && page.damaged.is_empty());
        assert!(page.rows.iter().all(|(_, entry)| filter.matches(entry)));
        found.extend(page.rows.iter().map(|(index, _)| *index));
        bundles += page.bundles;
        assert!(page.bundles <= 256);
        match page.next {
            Some(next) => {
                assert_ne!(Some(&next), cursor.as_ref(), "it must come to an end");
                cursor = Some(next);
            }
            None => return (found, bundles),
        }
    }
}

/// What a naive reader finds.
pub(super) fn naive(entries: &[Entry], filter: &Filter, order: Order) -> Vec<u64> {
    let found = (0..).zip(entries).filter(|(_, entry)| filter.matches(entry));
    let mut found: Vec<u64> = found.map(|(index, _)| index).collect();
    if order == Order::NewestFirst {
        found.reverse();
    }
    found
}

prop_compose! {
    /// Asks for what an entry has, so that something is found, or for anything at all.
    fn filters()(
        like in 0..70_100_u64,
        asked in proptest::collection::vec(proptest::bool::weighted(0.2), 15),
        narrow in 0..4_u8,
        other in any::<u8>(),
        span in 0..50_000_u64,
    ) -> Filter {
        let entry = varied(like);
        let ask = |at: usize| asked[at];
        let field = entry.fields.first();
        let mut filter = Filter {
            from: ask(0).then(|| earlier(entry.time, span)),
            until: ask(1).then(|| entry.time.plus_ms(span)),
            kind: ask(2).then_some(entry.kind),
            actor: entry.actor.filter(|_| ask(3)),
            role: entry.roles.first().filter(|_| ask(4)).cloned(),
            purpose: entry.purpose.filter(|_| ask(5)),
            store: entry.store.filter(|_| ask(6)),
            data_set: entry.data_set.filter(|_| ask(7)),
            category: field.filter(|_| ask(8)).map(|field| field.category.clone()),
            level: field.filter(|_| ask(9)).map(|field| field.level),
            view: field.filter(|_| ask(10)).map(|field| field.view),
            decision: entry.decision.filter(|_| ask(11)),
            nameless: ask(12) && other % 4 == 0,
            ..Filter::default()
        };
        // Mostly something rare as well: reading everything takes long.
        match narrow {
            0 => filter.request_id = entry.decision_id.or(entry.request_id).map(|id| id.to_string()),
            1 => filter.subject = entry.subjects.first().copied().or(Some(subject(7))),
            2 => filter.from = Some(earlier(entry.time, span)),
            _ => filter.actor = Some(ActorToken([other % 50; 16])),
        }
        if narrow == 2 {
            filter.until = Some(entry.time.plus_ms(span));
        }
        filter
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn all_pages_joined_are_what_stands_in_the_log(
        filter in filters(),
        oldest_first: bool,
        limit in prop_oneof![Just(1000_usize), 1..60_usize],
    ) {
        let order = if oldest_first { Order::OldestFirst } else { Order::NewestFirst };
        let wanted = naive(&BIG.entries, &filter, order);
        let limit = limit.max(wanted.len() / 10).min(MOST_ROWS);
        let (found, _) = pages(&BIG.log(), &filter, (order, limit, false));
        prop_assert_eq!(found, wanted);
    }
}

#[test]
fn what_is_rare_is_found_in_few_bundles() {
    let any = Filter::default;
    let wanted = BIG.entries[12_345].request_id.as_deref().map(str::to_owned);
    let named = BIG.entries[12_345..].iter().find_map(|entry| entry.subjects.first().copied());
    let filters = [
        Filter { request_id: wanted.clone(), ..any() },
        Filter { request_id: wanted, role: Some(role("nobody")), ..any() },
        Filter { subject: named, ..any() },
        Filter { subject: Some(subject(99_999)), ..any() },
        Filter { purpose: PurposeId::parse("nothing").ok(), ..any() },
        Filter {
            category: Some(category("health")),
            kind: Some(Kind::Stop),
            until: Some(Timestamp::from_unix_ms(1_100_000)),
            ..any()
        },
    ];
    for filter in &filters {
        let hits = naive(&BIG.entries, filter, Order::NewestFirst);
        let (found, bundles) = pages(&BIG.log(), filter, (Order::NewestFirst, 1000, false));
        assert_eq!(found, hits);
        let of_hits: std::collections::BTreeSet<u64> = hits.iter().map(|hit| hit / 256).collect();
        // The last one is unfinished, and has no index.
        assert!(bundles <= of_hits.len() as u64 + 1, "{bundles} bundles for {filter:?}");
        let (found, all) = pages(&BIG.log(), filter, (Order::NewestFirst, 1000, true));
        assert_eq!((found, all), (hits, 274), "a scan reads everything");
    }
    // A first page of what is common reads the end alone.
    let common = Filter { role: Some(role("support")), ..any() };
    let wish =
        Wish { filter: &common, order: Order::NewestFirst, cursor: None, limit: 100, scan: false };
    let found = page(&BIG.log(), &wish).unwrap();
    assert_eq!((found.rows.len(), found.bundles <= 3), (100, true));
}

#[test]
fn the_words_of_a_field_must_be_of_the_same_field() {
    let dir = tempfile::tempdir().unwrap();
    let mut entry = varied(1);
    let field = |name: &str, level, view| FieldView { category: category(name), level, view };
    entry.fields = vec![
        field("user.name", Level::Sensitive, Shown::Show),
        field("health", Level::Critical, Shown::Mask),
    ]
    .into();
    written(dir.path(), &vec![entry; 256]);
    reindex(dir.path(), |_, _| {}).unwrap();
    for (name, level, view, count) in [
        (Some("health"), None, None, 256),
        (Some("health"), None, Some(Shown::Mask), 256),
        (Some("health"), None, Some(Shown::Show), 0),
        (Some("health"), Some(Level::Critical), Some(Shown::Mask), 256),
        (Some("user.name"), Some(Level::Critical), None, 0),
        (None, Some(Level::Critical), Some(Shown::Show), 0),
        (None, Some(Level::Critical), Some(Shown::Mask), 256),
        (None, None, Some(Shown::Drop), 0),
    ] {
        let filter = Filter { category: name.map(category), level, view, ..Filter::default() };
        for scan in [false, true] {
            let (found, bundles) = pages(dir.path(), &filter, (Order::OldestFirst, 300, scan));
            assert_eq!(found.len(), count, "{filter:?}");
            assert!(scan || count > 0 || bundles == 0, "the index knows the mixture");
        }
    }
}

#[test]
fn a_cursor_fits_its_own_search_alone() {
    let filter = Filter { role: Some(role("support")), ..Filter::default() };
    let ask = |filter: &Filter, order, cursor: Option<&str>| {
        page(&BIG.log(), &Wish { filter, order, cursor, limit: 10, scan: false })
    };
    let newest = Order::NewestFirst;
    let first = ask(&filter, newest, None).unwrap();
    let next = first.next.unwrap();
    let second = ask(&filter, newest, Some(&next)).unwrap();
    assert!(second.rows[0].0 < first.rows[9].0);
    assert_eq!(next, cursor_behind(first.rows[9].0, &filter, newest));
    let other = Filter { role: Some(role("analyst")), ..Filter::default() };
    let refused = |result: Result<Page, SearchError>| match result {
        Err(SearchError::Cursor(error)) => error,
        other => panic!("{other:?}"),
    };
    assert_eq!(refused(ask(&other, newest, Some(&next))), CursorError::Other);
    assert_eq!(refused(ask(&filter, Order::OldestFirst, Some(&next))), CursorError::Other);
    for text in ["", "x", "!!!", next.get(1..).unwrap(), &format!("{next}AA"), &"A".repeat(10_000)]
    {
        assert_eq!(refused(ask(&filter, newest, Some(text))), CursorError::Malformed, "{text}");
    }
    // One from a longer log goes on at the end.
    let far = cursor_behind(u64::MAX, &filter, Order::OldestFirst);
    assert!(ask(&filter, Order::OldestFirst, Some(&far)).unwrap().rows.is_empty());
    let zero = Wish { filter: &filter, order: newest, cursor: None, limit: 0, scan: false };
    assert_eq!(page(&BIG.log(), &zero).unwrap().rows.len(), 1, "a page that moves nowhere is none");
    let much = Wish { limit: usize::MAX, ..zero };
    assert_eq!(page(&BIG.log(), &much).unwrap().rows.len(), MOST_ROWS);
}

#[test]
fn a_page_does_bounded_work_and_says_where_it_goes_on() {
    let filter = Filter { request_id: Some("0198c2a4-00000003".into()), ..Filter::default() };
    let wish =
        Wish { filter: &filter, order: Order::NewestFirst, cursor: None, limit: 5, scan: true };
    let first = page(&BIG.log(), &wish).unwrap();
    assert_eq!((first.rows.len(), first.bundles), (0, 256));
    assert_eq!(first.unindexed, 65_536, "it says that there was no index to use");
    let second = page(&BIG.log(), &Wish { cursor: first.next.as_deref(), ..wish }).unwrap();
    assert_eq!((second.rows[0].0, second.next), (3, None));
    let indexed = page(&BIG.log(), &Wish { scan: false, ..wish }).unwrap();
    assert_eq!((indexed.rows[0].0, indexed.next, indexed.unindexed), (3, None, 0));
}

#[test]
fn a_bundle_that_is_gone_is_named_on_every_way() {
    let dir = tempfile::tempdir().unwrap();
    let entries: Vec<Entry> = (0..1200).map(varied).collect();
    written(dir.path(), &entries);
    reindex(dir.path(), |_, _| {}).unwrap();
    std::fs::remove_file(dir.path().join("tile/entries/001")).unwrap();
    for order in [Order::NewestFirst, Order::OldestFirst] {
        for scan in [false, true] {
            let filter = Filter::default();
            let wish = Wish { filter: &filter, order, cursor: None, limit: 2000, scan };
            let found = page(dir.path(), &wish).unwrap();
            let limit = MOST_ROWS.min(1200 - 256);
            assert_eq!((found.rows.len(), found.damaged), (limit, vec![256]), "{order:?} {scan}");
        }
    }
    std::fs::remove_dir_all(dir.path().with_extension("index")).ok();
}
