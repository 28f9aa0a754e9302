//! The record rewriter beside a reader that builds every value in memory, in one run: compare
//! the two throughputs, not the numbers themselves.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up has nothing to measure")]

use bytes::Bytes;
use divan::Bencher;
use divan::counter::BytesCount;
use privet::catalog::DataSet;
use privet::catalog::Field;
use privet::catalog::Records;
use privet::catalog::Selector;
use privet::policy::Mask;
use privet::policy::View;
use privet::transform::Batch;
use privet::transform::Format;
use privet::transform::Limits;
use privet::transform::NoSeals;
use privet::transform::Plain;
use privet::transform::Progress;
use privet::transform::Pseudonyms;
use privet::transform::Reader;
use privet::transform::Shape;
use privet::transform::Showing;
use privet::transform::Writer;
use privet::transform::validate;
use privet::types::CategoryId;
use privet::types::DataSetId;
use privet::types::FieldPath;
use privet::types::Flags;
use privet::types::Level;
use privet::types::Place;
use privet::types::SourceFile;
use privet::types::StoreId;
use serde_json::Value;
use std::fmt::Write as _;
use std::sync::Arc;

fn main() {
    divan::main();
}

const SIZES: [usize; 3] = [2 << 10, 64 << 10, 1 << 20];
/// Five fields are masked, the others shown, as in the comparison of proxies.
const MASKED: [&str; 5] = ["name", "email", "phone", "national_id", "address.street"];
const SHOWN: [&str; 11] = [
    "id",
    "address.city",
    "address.zip",
    "address.country",
    "birth_date",
    "tier",
    "balance",
    "created_at",
    "tags",
    "consent.marketing",
    "consent.analytics",
];
const MASK: Mask = Mask { keep_first: 1, keep_last: 2, keep_domain: false };

/// What a store would answer: `size` bytes of customer records.
fn body(size: usize) -> Bytes {
    let mut text = String::from("{\"data\":[");
    for n in 0.. {
        if n > 0 {
            text.push(',');
        }
        write!(
            text,
            "{{\"id\":\"c_{n:08}\",\"name\":\"Alice Example {n}\",\"email\":\"alice.{n}@example.com\",\
             \"phone\":\"+1415555{:04}\",\"national_id\":\"123-45-{:04}\",\"address\":{{\"street\":\
             \"{n} Main Street\",\"city\":\"Springfield\",\"zip\":\"{n:05}\",\"country\":\"US\"}},\
             \"birth_date\":\"1980-01-{:02}\",\"tier\":\"gold\",\"balance\":{}.56,\"created_at\":\
             \"2024-01-01T00:00:00Z\",\"tags\":[\"a\",\"b\"],\"consent\":{{\"marketing\":true,\
             \"analytics\":false}}}}",
            n % 10_000, n % 10_000, n % 28 + 1, n % 9_999,
        )
        .unwrap();
        if text.len() >= size {
            break;
        }
    }
    text.push_str("]}");
    Bytes::from(text)
}

struct NoTokens;

impl Pseudonyms for NoTokens {
    fn write(&self, _plain: &Plain<'_>, _out: &mut Vec<u8>) -> bool {
        false
    }
}

struct Rewriter {
    selector: Selector,
    shape: Arc<Shape>,
    views: Vec<View>,
    batch: Batch,
    out: Vec<u8>,
}

impl Rewriter {
    fn new(masked: &[&str], shown: &[&str]) -> Self {
        let file = Arc::new(SourceFile { name: String::new(), text: String::new() });
        let place = Place { file, span: 0..0 };
        let field = |path: &&str| Field {
            path: FieldPath::parse(path).unwrap(),
            category: CategoryId::parse("user.contact").unwrap(),
            level: Level::Sensitive,
            flags: Flags::PERSONAL,
            whole: false,
            text: false,
            at_rest: None,
            place: place.clone(),
        };
        let set = DataSet {
            id: DataSetId::parse("shop.customers").unwrap(),
            store: StoreId::parse("shop").unwrap(),
            title: None,
            subjects: Vec::new(),
            region: None,
            routes: Vec::new(),
            observe: None,
            fields: masked.iter().chain(shown).map(field).collect(),
            place: place.clone(),
        };
        let mut views = vec![View::Mask(MASK); masked.len()];
        views.resize(masked.len() + shown.len(), View::Show);
        Self {
            selector: Selector {
                steps: vec!["data".into()],
                records: Records::Each,
                around: Vec::new(),
            },
            shape: Arc::new(Shape::new(&set)),
            views,
            batch: Batch::new(256, 1 << 20),
            out: Vec::new(),
        }
    }

    fn run(&mut self, body: &Bytes) -> usize {
        let limits = Limits::default();
        let mut reader = Reader::new(Format::Json, &self.selector, Arc::clone(&self.shape), limits);
        let mut writer = Writer::new(Format::Json, &self.selector, Arc::clone(&self.shape));
        self.out.clear();
        writer.begin(&mut self.out);
        let mut offset = 0;
        loop {
            let progress = reader.read(&mut self.batch).unwrap();
            for record in 0..self.batch.len() {
                let views = &self.views;
                let showing = Showing { views, pseudonyms: &NoTokens, seals: &NoSeals };
                writer.record(&self.batch, record, showing, &mut self.out);
            }
            self.batch.clear();
            match progress {
                Progress::BatchFull => {}
                Progress::End => break,
                // Pieces of the size in which bodies arrive.
                Progress::NeedMore if offset < body.len() => {
                    let end = body.len().min(offset + (16 << 10));
                    reader.push(body.slice(offset..end));
                    offset = end;
                }
                Progress::NeedMore => reader.end_of_input(),
            }
        }
        writer.end(reader.around(), &mut self.out);
        self.out.len()
    }
}

/// Five fields masked, eleven shown.
#[divan::bench(args = SIZES)]
fn rewriter(bencher: Bencher<'_, '_>, size: usize) {
    let body = body(size);
    let mut rewriter = Rewriter::new(&MASKED, &SHOWN);
    bencher.counter(BytesCount::new(body.len())).bench_local(|| rewriter.run(&body));
}

/// Most of the record unlisted, so that it is checked and left out.
#[divan::bench(args = SIZES)]
fn rewriter_few_fields(bencher: Bencher<'_, '_>, size: usize) {
    let body = body(size);
    let mut rewriter = Rewriter::new(&["email"], &["id"]);
    bencher.counter(BytesCount::new(body.len())).bench_local(|| rewriter.run(&body));
}

/// The strict check alone.
#[divan::bench(args = SIZES)]
fn check(bencher: Bencher<'_, '_>, size: usize) {
    let body = body(size);
    bencher.counter(BytesCount::new(body.len())).bench_local(|| validate(&body).unwrap());
}

/// The same five fields masked in a tree of values, which is then written out.
#[divan::bench(args = SIZES)]
fn tree_of_values(bencher: Bencher<'_, '_>, size: usize) {
    let body = body(size);
    let mask = |value: Option<&mut Value>| {
        let Some(Value::String(text)) = value else { return };
        let last: Vec<char> = text.chars().rev().take(2).collect();
        let masked = text.chars().take(1).chain("***".chars()).chain(last.into_iter().rev());
        *text = masked.collect();
    };
    bencher.counter(BytesCount::new(body.len())).bench_local(|| {
        let mut tree: Value = serde_json::from_slice(&body).unwrap();
        for record in tree.get_mut("data").unwrap().as_array_mut().unwrap() {
            for path in MASKED {
                match path.split_once('.') {
                    Some((outer, inner)) => mask(record.get_mut(outer).unwrap().get_mut(inner)),
                    None => mask(record.get_mut(path)),
                }
            }
        }
        serde_json::to_vec(&tree).unwrap()
    });
}
