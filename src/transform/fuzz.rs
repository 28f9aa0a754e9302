//! What must hold of the rewriter for every input, in a form that a fuzzer can drive.

use super::batch::Batch;
use super::csv::Scan;
use super::csv::is_formula;
use super::edit::Edit;
use super::edit::Mode;
use super::error::Malformed;
use super::error::TransformError;
use super::flat::Flat;
use super::reader::Reader;
use super::rewrite::show;
use super::rewrite::validate;
use super::seals::NoSeals;
use super::shape::Shape;
use super::state::Format;
use super::state::Limits;
use super::state::Progress;
use super::writer::Plain;
use super::writer::Pseudonyms;
use super::writer::Showing;
use super::writer::Writer;
use crate::catalog::DataSet;
use crate::catalog::Field;
use crate::catalog::FieldIx;
use crate::catalog::Records;
use crate::catalog::Selector;
use crate::catalog::SubjectField;
use crate::policy::DatePart;
use crate::policy::Generalize;
use crate::policy::Mask;
use crate::policy::View;
use crate::protocol::http::parse_form;
use crate::types::CategoryId;
use crate::types::DataSetId;
use crate::types::DomainId;
use crate::types::FieldPath;
use crate::types::Flags;
use crate::types::IdError;
use crate::types::Level;
use crate::types::Place;
use crate::types::SourceFile;
use crate::types::StoreId;
use bytes::Bytes;
use std::sync::Arc;

/// Feeds `data` to the rewriter beside planted values, and checks what must hold of the outcome.
///
/// # Panics
///
/// When the outcome depends on how the answer was cut, is no JSON, or shows a planted value: a
/// fuzzer reports that as a finding.
pub fn rewriter(data: &[u8]) {
    let ([how, cut], data) = data.split_first_chunk::<2>().unwrap_or((&[0, 0], data));
    let Ok((shape, views)) = planted_shape() else { return };
    let (format, selector, body) = answer(*how, data);
    let case = Case { format, selector: &selector, shape: &shape, views: &views, widest: &views };
    let whole = case.rewrite([body.as_slice()].into_iter());
    let cut = 1 + usize::from(*cut);
    assert!(whole == case.rewrite(body.chunks(cut)), "the outcome depends on the cuts");
    let Ok(out) = whole else { return };
    match format {
        Format::Csv => check_rows(&out),
        Format::Json => assert!(validate(&out).is_ok(), "the outcome is no JSON"),
        Format::Ndjson => {
            let mut lines = out.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
            assert!(lines.all(|line| validate(line).is_ok()), "a line is no JSON");
        }
    }
    let holds = |text: &[u8]| memchr::memmem::find(text, CANARY).is_some();
    assert!(holds(data) || !holds(&out), "a planted value was shown");
}

/// Merges what follows the first NUL of `data` into what stands before it, and checks what must
/// hold of the outcome. The first four bytes choose what may be written, and how.
///
/// # Panics
///
/// When what was shown cannot come back, when a field changes that may not be written, or when
/// the outcome is no JSON: a fuzzer reports that as a finding.
pub fn edit(data: &[u8]) {
    let Some(([mode, a, b, fixed], data)) = data.split_first_chunk::<4>() else { return };
    let (Ok((shape, views)), Ok(text)) = (planted_shape(), std::str::from_utf8(data)) else {
        return;
    };
    let (stored, sent) = text.split_once('\0').unwrap_or((text, "{}"));
    let bits = u16::from_le_bytes([*a, *b]);
    let writable: Vec<bool> = (0..views.len()).map(|at| bits >> (at % 16) & 1 == 1).collect();
    let edit = Edit {
        shape: &shape,
        stored,
        sent,
        views: &views,
        pseudonyms: &Reversed,
        seals: &NoSeals,
        writable: &writable,
        fixed: &[FieldIx(u16::from(*fixed % 16))],
        mode: if mode % 2 == 0 { Mode::Merge } else { Mode::Replace },
        store_merges: mode % 4 == 0,
    };
    let (mut body, mut whole) = (Vec::new(), Vec::new());
    let (mut shown, mut out) = (Vec::new(), Vec::new());
    let showing = Showing { views: &views, pseudonyms: &Reversed, seals: &NoSeals };
    show(&shape, stored.trim(), showing, &mut shown);
    if let Ok(shown) = std::str::from_utf8(&shown)
        && validate(stored.as_bytes()).is_ok()
        && stored.trim().starts_with('{')
    {
        let back = super::edit(&Edit { sent: shown, ..edit }, &mut body, &mut out);
        assert!(back.is_ok_and(|it| it.is_unchanged()), "what was shown cannot come back");
        assert!(out == stored.as_bytes(), "what came back changed something");
    }
    let Ok(edited) = super::edit(&edit, &mut body, &mut whole) else { return };
    assert!(validate(&whole).is_ok(), "the record is no JSON");
    assert!(edited.is_unchanged() || validate(&body).is_ok(), "what is sent is no JSON");
    let Ok(whole) = std::str::from_utf8(&whole) else { return };
    for (field, may) in (0..).map(FieldIx).zip(&writable) {
        // A container may become there for the sake of other fields in it.
        let is_nested = shape.path(field).is_none_or(|path| path.as_str().contains('.'));
        if !is_nested && (!may || edit.fixed.contains(&field)) {
            let only = |text| shown_alone(&shape, field, text);
            assert!(only(stored) == only(whole), "a field changed that may not be written");
        }
    }
}

/// One field of a record as it is, and nothing else.
fn shown_alone(shape: &Shape, field: FieldIx, record: &str) -> Vec<u8> {
    let (mut views, mut out) = (vec![View::Drop; field.index()], Vec::new());
    views.push(View::Show);
    let showing = Showing { views: &views, pseudonyms: &Reversed, seals: &NoSeals };
    show(shape, record.trim(), showing, &mut out);
    out
}

/// As [`rewriter`], with `data` as CSV, as rows of it or as one cell.
///
/// # Panics
///
/// When the outcome depends on how the answer was cut, has rows of different lengths, would be
/// calculated by a spreadsheet, or shows a planted value.
pub fn csv(data: &[u8]) {
    let ([how, cut], data) = data.split_first_chunk::<2>().unwrap_or((&[0, 0], data));
    let Ok((shape, views)) = planted_shape() else { return };
    let selector = Selector { steps: Vec::new(), records: Records::Each, around: Vec::new() };
    let header = b"id,closed,masked,x,name,some.other,number\r\n".as_slice();
    let planted = [b"c-1,", CANARY, b",", CANARY, b",", CANARY].join(b"".as_slice());
    let body = match how % 4 {
        0 => data.to_vec(),
        1 => [header, data].concat(),
        2 => [header, &planted, b",", data, b",a@b.example,12\r\n"].concat(),
        _ => [header, &planted, b",\"", data, b"\",a@b.example,12"].concat(),
    };
    let case = Case {
        format: Format::Csv,
        selector: &selector,
        shape: &shape,
        views: &views,
        widest: &views,
    };
    let whole = case.rewrite([body.as_slice()].into_iter());
    let cut = 1 + usize::from(*cut);
    assert!(whole == case.rewrite(body.chunks(cut)), "the outcome depends on the cuts");
    let Ok(out) = whole else { return };
    check_rows(&out);
    let holds = |text: &[u8]| memchr::memmem::find(text, CANARY).is_some();
    assert!(holds(data) || !holds(&out), "a planted value was shown");
}

/// Reads `data` as CSV and as a form that a client sends, says it as JSON and flat again.
///
/// # Panics
///
/// When what is said as JSON is none, or when the store would be told something else.
pub fn flat(data: &[u8]) {
    let Ok((shape, _)) = planted_shape() else { return };
    let read_csv =
        |text: &[u8]| Flat::csv(Bytes::copy_from_slice(text), &shape, Limits::default(), 100).ok();
    let read_form = |text: &[u8]| Some(Flat::form(parse_form(text).ok()?, &shape));
    check_flat(data, read_csv);
    check_flat(data, read_form);
}

fn check_flat(data: &[u8], read: impl Fn(&[u8]) -> Option<Flat>) {
    let Some(flat) = read(data) else { return };
    let json = flat.to_json(None);
    let records: Vec<&[u8]> =
        json.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).collect();
    assert!(records.len() == flat.len(), "another number of records");
    assert!(records.iter().all(|line| validate(line).is_ok()), "a record is no JSON");
    // What is not listed is refused before anything is written.
    let Some(again) = flat.write(records).filter(|again| !again.is_empty()) else { return };
    let Some(again) = read(&again) else { return assert!(flat.is_empty(), "it cannot be read") };
    assert!(again.to_json(None) == json, "the store is told something else");
}

/// Checks that every row has as many cells as the first, and that no cell would be calculated.
fn check_rows(mut out: &[u8]) {
    let mut scan = Scan::default();
    let mut count = None;
    while !out.is_empty() {
        scan.clear();
        let Ok(Some(row)) = scan.advance(out, (usize::MAX, Malformed::Cells)) else {
            assert!(out.is_empty(), "a row of the outcome is no CSV");
            return;
        };
        let cells = scan.cells();
        assert!(*count.get_or_insert(cells.len()) == cells.len(), "rows differ in length");
        let text = std::str::from_utf8(out.get(..row.len).unwrap_or_default());
        assert!(text.is_ok(), "the outcome is not UTF-8");
        for cell in cells {
            let mut plain = String::new();
            cell.unquote(text.unwrap_or_default(), &mut plain);
            assert!(plain.starts_with('\'') || !is_formula(&plain), "a cell is a formula");
        }
        out = out.get(row.next..).unwrap_or_default();
    }
}

/// One answer and how it is to be written.
#[derive(Debug)]
pub(super) struct Case<'a> {
    pub(super) format: Format,
    pub(super) selector: &'a Selector,
    pub(super) shape: &'a Arc<Shape>,
    pub(super) views: &'a [View],
    /// The most that any record shows.
    pub(super) widest: &'a [View],
}

impl Case<'_> {
    /// The whole answer rewritten, when it arrives in `pieces`.
    pub(super) fn rewrite<'b>(
        &self,
        pieces: impl Iterator<Item = &'b [u8]>,
    ) -> Result<Vec<u8>, TransformError> {
        let limits = Limits { record_bytes: 1 << 16, ..Limits::default() };
        let mut reader = Reader::new(self.format, self.selector, Arc::clone(self.shape), limits);
        let mut writer = Writer::new(self.format, self.selector, Arc::clone(self.shape));
        let mut batch = Batch::new(3, 512);
        let mut out = Vec::new();
        let mut has_begun = false;
        let mut pieces = pieces.fuse();
        loop {
            let progress = reader.read(&mut batch)?;
            // As the gateway does: before the first record, or at the end where there is none.
            let begins = !batch.is_empty() || progress == Progress::End;
            if begins && !std::mem::replace(&mut has_begun, true) {
                if let Some(columns) = reader.columns() {
                    writer.columns(columns, self.widest);
                }
                writer.begin(&mut out);
            }
            for record in 0..batch.len() {
                let showing = Showing { views: self.views, pseudonyms: &Reversed, seals: &NoSeals };
                writer.record(&batch, record, showing, &mut out);
            }
            batch.clear();
            match progress {
                Progress::BatchFull => {}
                Progress::End => break,
                Progress::NeedMore => match pieces.next() {
                    Some(piece) => reader.push(Bytes::copy_from_slice(piece)),
                    None => reader.end_of_input(),
                },
            }
        }
        writer.end(reader.around(), &mut out);
        Ok(out)
    }
}

/// Tokens that show neither kind nor value, for inputs nobody knows.
#[derive(Debug)]
struct Reversed;

impl Pseudonyms for Reversed {
    fn write(&self, plain: &Plain<'_>, out: &mut Vec<u8>) -> bool {
        out.extend_from_slice(b"ps1_");
        out.extend(plain.value.bytes().rev().map(|byte| b'a' + byte % 26));
        true
    }
}

/// A data set with `fields`: path and whether it is `whole`. The first is the subject's id.
pub(super) fn data_set(fields: &[(&str, bool)]) -> Result<DataSet, IdError> {
    let file = Arc::new(SourceFile { name: String::new(), text: String::new() });
    let place = Place { file, span: 0..0 };
    let field = |(path, whole): &(&str, bool)| {
        Ok(Field {
            path: FieldPath::parse(path)?,
            category: CategoryId::parse("user.contact.email")?,
            level: Level::Critical,
            flags: Flags::PERSONAL,
            whole: *whole,
            text: false,
            at_rest: None,
            place: place.clone(),
        })
    };
    let subject =
        SubjectField { field: FieldIx(0), domain: DomainId::parse("person")?, owns: None };
    Ok(DataSet {
        id: DataSetId::parse("shop.customers")?,
        store: StoreId::parse("shop")?,
        title: None,
        subjects: vec![subject],
        region: None,
        routes: Vec::new(),
        fields: fields.iter().map(field).collect::<Result<_, _>>()?,
        observe: None,
        place: place.clone(),
    })
}

fn planted_shape() -> Result<(Arc<Shape>, Vec<View>), IdError> {
    let mask = Mask { keep_first: 1, keep_last: 1, keep_domain: true };
    let listed: &[(&str, bool, View)] = &[
        ("id", false, View::TOKEN),
        ("name", false, View::Show),
        ("all", true, View::Show),
        ("some.part", false, View::Show),
        ("some.other", false, View::Mask(mask)),
        ("many[*].part", false, View::Show),
        ("many[*].date", false, View::Generalize(Generalize::Date(DatePart::Month))),
        ("number", false, View::Generalize(Generalize::Number { step: 7 })),
        ("closed", false, View::Drop),
        ("masked", false, View::Mask(Mask { keep_first: 0, keep_last: 2, keep_domain: false })),
    ];
    let fields: Vec<_> = listed.iter().map(|(path, whole, _)| (*path, *whole)).collect();
    let views = listed.iter().map(|(_, _, view)| *view).collect();
    Ok((Arc::new(Shape::new(&data_set(&fields)?)), views))
}

/// An answer with planted values before `data`, so that `data` cannot move them elsewhere.
fn answer(how: u8, data: &[u8]) -> (Format, Selector, Vec<u8>) {
    let member =
        [br#""closed":""#, CANARY, br#"","masked":""#, CANARY, br#"","x":[""#, CANARY].concat();
    let member = [member.as_slice(), br#""]"#].concat();
    let selector = |steps: &[&str], records| Selector {
        steps: steps.iter().map(|step| (*step).into()).collect(),
        records,
        around: vec!["total".into()],
    };
    let record = [b"{", member.as_slice(), b"}"].concat();
    let (one, each) = (Records::One, Records::Each);
    match how % 6 {
        0 => (Format::Json, selector(&[], one), data.to_vec()),
        1 => (
            Format::Json,
            selector(&[], one),
            [b"{", member.as_slice(), b",\"some\":", data, b"}"].concat(),
        ),
        2 => (
            Format::Json,
            selector(&[], each),
            [b"[", record.as_slice(), b",", data, b"]"].concat(),
        ),
        3 => (
            Format::Json,
            selector(&["data", "items"], each),
            [
                br#"{"data":{"note":""#,
                CANARY,
                br#"","items":["#,
                record.as_slice(),
                b",",
                data,
                b"]}}",
            ]
            .concat(),
        ),
        4 => (
            Format::Json,
            selector(&["data"], one),
            [br#"{"data":"#, record.as_slice(), br#","total":"#, data, b"}"].concat(),
        ),
        _ => (Format::Ndjson, selector(&[], each), [record.as_slice(), b"\n", data].concat()),
    }
}

/// The planted value.
const CANARY: &[u8] = b"cAnArY-7f3e91d2";
