//! What opens is shown as if it had never been sealed; what does not open is as if it were dropped.

use super::oracle::Dice;
use super::oracle::FIELDS;
use super::oracle::Members;
use super::*;
use crate::catalog::DataSet;
use crate::catalog::SealMode;
use crate::catalog::Sealing;
use crate::crypto::Envelope;
use crate::crypto::EnvelopeFault;
use crate::crypto::FieldKey;
use crate::crypto::SubjectKey;
use crate::crypto::ValueKind;
use crate::policy::Mask;
use crate::types::FieldPath;
use bytes::Bytes;
use proptest::prelude::*;
use serde_json::value::RawValue;

/// One person of one tenant, whose fields are sealed under their places.
struct Person {
    key: SubjectKey,
    tenant: &'static str,
}

const ANA: Person = Person { key: SubjectKey::new([1; 32]), tenant: "t" };
const BO: Person = Person { key: SubjectKey::new([2; 32]), tenant: "t" };
const ANA_ELSEWHERE: Person = Person { key: SubjectKey::new([1; 32]), tenant: "u" };

impl Person {
    fn field(&self, field: FieldIx) -> FieldKey {
        FieldKey::sealing(&self.key, self.key.kid(), self.tenant, &format!("f{}", field.0))
    }

    fn sealed(&self, field: u16, kind: ValueKind, plain: &str) -> String {
        let mut out = Vec::new();
        self.seal(FieldIx(field), kind, plain.as_bytes(), &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }
}

impl Seals for Person {
    fn open(&self, field: FieldIx, sealed: &str, out: &mut Vec<u8>) -> Result<ValueKind, Unopened> {
        let envelope = Envelope::parse(sealed).map_err(|fault| match fault {
            EnvelopeFault::Plain => Unopened::Plaintext,
            _ => Unopened::Malformed,
        })?;
        if envelope.kid() != self.key.kid() {
            return Err(Unopened::Foreign);
        }
        self.field(field).open_into(&envelope, out).map_err(|_| Unopened::Forged)
    }

    fn seal(
        &self,
        field: FieldIx,
        kind: ValueKind,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unsealed> {
        let random = [9; 16];
        self.field(field).seal(kind, plain, &random, out).map_err(|_| Unsealed::NoKey)
    }

    fn index(&self, _: FieldIx, _: &str, _: &mut Vec<u8>) -> Result<(), Unsealed> {
        Ok(())
    }
}

/// The same fields, those of `is_sealed` sealed.
fn sealed_set(
    fields: &[(&str, bool)],
    mode: SealMode,
    is_sealed: impl Fn(usize) -> bool,
) -> DataSet {
    let mut set = fuzz::data_set(fields).unwrap();
    for (at, field) in set.fields.iter_mut().enumerate().filter(|(at, _)| is_sealed(*at)) {
        let name = format!("f{at}").into();
        field.at_rest = Some(Arc::new(Sealing { name, index: None, mode, max_length: None }));
    }
    set
}

fn mask() -> View {
    View::Mask(Mask { keep_first: 1, keep_last: 0, keep_domain: false })
}

/// What Ana's record with the one field `value` becomes, where field 1 is sealed, and why a value
/// in it did not open.
fn one(mode: SealMode, whole: bool, value: &str, view: View) -> (String, Option<Unopened>) {
    let set = sealed_set(&[("id", false), ("value", whole)], mode, |at| at == 1);
    let shape = Shape::new(&set);
    let mut out = Vec::new();
    let showing = Showing { views: &[View::Drop, view], pseudonyms: &Legible, seals: &ANA };
    let record = format!("{{\"value\":{value}}}");
    let misses = rewrite::show(&shape, &record, showing, &mut out);
    assert!(misses.iter().count() <= 1);
    (String::from_utf8(out).unwrap(), misses.iter().next().map(|miss| miss.why))
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

#[test]
fn an_opened_value_is_what_it_was() {
    let year = View::Generalize(crate::policy::Generalize::Date(crate::policy::DatePart::Year));
    let tens = View::Generalize(crate::policy::Generalize::Number { step: 10 });
    let (show, pseudonym) = (View::Show, View::TOKEN);
    for (kind, plain, view, shown) in [
        (ValueKind::Text, "Ana", show, r#""Ana""#),
        (ValueKind::Text, "a\"b\\c\n\u{0}/é😀", show, "\"a\\\"b\\\\c\\n\\u0000/é😀\""),
        (ValueKind::Text, "", show, r#""""#),
        (ValueKind::Text, "42", show, r#""42""#),
        (ValueKind::Text, "pvt1_", show, r#""pvt1_""#),
        (ValueKind::Text, "Ana Ruiz", mask(), r#""A***""#),
        (ValueKind::Text, "A", mask(), r#""***""#),
        (ValueKind::Text, "1988-10-09", year, r#""1988""#),
        (ValueKind::Text, "Ana", pseudonym, r#""ps1_user-contact-email_Ana""#),
        (ValueKind::Number, "42", show, "42"),
        (ValueKind::Number, "-1.50E+3", show, "-1.50E+3"),
        (ValueKind::Number, "42", tens, "40"),
        (ValueKind::Number, "12345", mask(), r#""1***""#),
        (ValueKind::Boolean, "true", show, "true"),
        (ValueKind::Boolean, "false", mask(), r#""***""#),
    ] {
        let value = quoted(&ANA.sealed(1, kind, plain));
        let expected = (format!("{{\"value\":{shown}}}"), None);
        for mode in [SealMode::Strict, SealMode::Migrating] {
            assert_eq!(one(mode, false, &value, view), expected, "{plain} as {view}");
        }
    }
    let json = r#"{"a":[1,"x"],"b":null}"#;
    let value = quoted(&ANA.sealed(1, ValueKind::Json, json));
    for (whole, view, shown) in [
        (true, show, format!("{{\"value\":{json}}}")),
        (true, mask(), r#"{"value":"***"}"#.into()),
        (true, pseudonym, "{}".into()),
        // Of a field that is one plain value a container is never shown, sealed or not.
        (false, show, "{}".into()),
        (false, mask(), "{}".into()),
    ] {
        assert_eq!(one(SealMode::Strict, whole, &value, view), (shown, None));
    }
    assert_eq!(one(SealMode::Strict, false, "null", show), (r#"{"value":null}"#.into(), None));
}

#[test]
fn what_is_not_this_value_of_this_person_is_left_out() {
    let own = ANA.sealed(1, ValueKind::Text, "Ana");
    let with_head = |head: [u8; 2]| {
        use base64::Engine as _;
        use base64::engine::general_purpose::URL_SAFE_NO_PAD;
        let mut bytes = URL_SAFE_NO_PAD.decode(own.strip_prefix("pvt1_").unwrap()).unwrap();
        bytes[..2].copy_from_slice(&head);
        format!("pvt1_{}", URL_SAFE_NO_PAD.encode(bytes))
    };
    let last = if own.ends_with('A') { 'B' } else { 'A' };
    let cut = |length: usize| own.get(..length).unwrap();
    let (before, after) = own.split_at(own.len() / 2);
    let flipped = if after.starts_with('A') { 'B' } else { 'A' };
    let after = after.get(1..).unwrap();
    let values: &[(&str, String, Unopened)] = &[
        ("of somebody else", BO.sealed(1, ValueKind::Text, "Bo"), Unopened::Foreign),
        ("of another field", ANA.sealed(0, ValueKind::Text, "Ana"), Unopened::Forged),
        ("of another tenant", ANA_ELSEWHERE.sealed(1, ValueKind::Text, "A"), Unopened::Forged),
        ("changed", format!("{before}{flipped}{after}"), Unopened::Forged),
        ("another spelling", format!("{}{last}=", cut(own.len() - 1)), Unopened::Malformed),
        ("cut", cut(own.len() - 2).into(), Unopened::Forged),
        ("cut to its head", cut(48).into(), Unopened::Malformed),
        ("nothing behind the prefix", "pvt1_".into(), Unopened::Malformed),
        ("text that begins as one", "pvt1_is not sealed".into(), Unopened::Malformed),
        ("version 0", with_head([0, 1]), Unopened::Malformed),
        ("version 2", with_head([2, 1]), Unopened::Malformed),
        ("version 255", with_head([255, 1]), Unopened::Malformed),
        ("suite 2", with_head([1, 2]), Unopened::Malformed),
        ("text that is no JSON", ANA.sealed(1, ValueKind::Number, "1,\"x\":2"), Unopened::Forged),
        ("no boolean", ANA.sealed(1, ValueKind::Boolean, "True"), Unopened::Forged),
        ("no container", ANA.sealed(1, ValueKind::Json, "[1]]"), Unopened::Forged),
        ("a padded number", ANA.sealed(1, ValueKind::Number, " 1"), Unopened::Forged),
    ];
    for (what, sealed, why) in values {
        for view in [View::Show, mask(), View::TOKEN] {
            for mode in [SealMode::Strict, SealMode::Migrating] {
                // Cutting two characters leaves bits over or a wrong tag; either is no value.
                let (out, found) = one(mode, true, &quoted(sealed), view);
                let is_as_said = found == Some(*why) || *what == "cut" && found.is_some();
                assert!(out == "{}" && is_as_said, "{what}: {out} {found:?}");
            }
        }
    }
}

#[test]
fn plain_values_are_shown_only_while_a_field_is_being_sealed() {
    let sealed_inside = format!("\"see {}\"", ANA.sealed(1, ValueKind::Text, "Ana"));
    for plain in [r#""Ana""#, r#""\u0041na""#, "42", "true", r#""""#, &sealed_inside] {
        let expected = (format!("{{\"value\":{plain}}}"), Some(Unopened::Plaintext));
        assert_eq!(one(SealMode::Migrating, false, plain, View::Show), expected);
        let nothing = ("{}".into(), Some(Unopened::Plaintext));
        assert_eq!(one(SealMode::Strict, false, plain, View::Show), nothing);
        assert_eq!(one(SealMode::Strict, false, plain, mask()), nothing);
    }
    let shown = one(SealMode::Migrating, true, r#"{"a":1}"#, View::Show);
    assert_eq!(shown, (r#"{"value":{"a":1}}"#.into(), Some(Unopened::Plaintext)));
    assert_eq!(one(SealMode::Strict, true, r#"{"a":1}"#, View::Show).0, "{}");
}

#[test]
fn the_ciphertext_view_passes_on_what_looks_sealed_and_nothing_else() {
    let (own, other) = (ANA.sealed(1, ValueKind::Text, "A"), BO.sealed(1, ValueKind::Text, "B"));
    for mode in [SealMode::Strict, SealMode::Migrating] {
        for sealed in [&own, &other] {
            let (out, why) = one(mode, false, &quoted(sealed), View::Ciphertext);
            assert_eq!((out, why), (format!("{{\"value\":\"{sealed}\"}}"), None));
        }
        for plain in [r#""Ana""#, "42", "true", r#""pvt1_""#, r#""pvt1_QUJD""#] {
            assert_eq!(one(mode, false, plain, View::Ciphertext).0, "{}", "{plain}");
        }
        assert_eq!(one(mode, false, "null", View::Ciphertext).0, r#"{"value":null}"#);
    }
}

#[test]
fn what_stands_sealed_in_a_field_that_is_not_is_plain_text() {
    let sealed = ANA.sealed(0, ValueKind::Text, "Ana");
    let shape = Shape::new(&fuzz::data_set(&[("id", false)]).unwrap());
    let record = format!("{{\"id\":\"{sealed}\"}}");
    for (view, shown) in [
        (View::Show, record.clone()),
        (mask(), r#"{"id":"p***"}"#.into()),
        (View::Ciphertext, "{}".into()),
    ] {
        let mut out = Vec::new();
        let showing = Showing { views: &[view], pseudonyms: &Legible, seals: &ANA };
        assert!(rewrite::show(&shape, &record, showing, &mut out).is_empty());
        assert_eq!(String::from_utf8(out).unwrap(), shown);
    }
}

#[test]
fn a_record_full_of_sealed_values_is_read_once() {
    let set = sealed_set(&[("id", false), ("list[*]", false)], SealMode::Strict, |at| at == 1);
    let (own, other) = (ANA.sealed(1, ValueKind::Text, "x"), BO.sealed(1, ValueKind::Text, "y"));
    let items: Vec<String> =
        (0..2_000).map(|n| quoted(if n % 2 == 0 { &own } else { &other })).collect();
    let record = format!("{{\"list\":[{}]}}", items.join(","));
    let mut out = Vec::new();
    let showing = Showing { views: &[View::Drop, View::Show], pseudonyms: &Legible, seals: &ANA };
    let misses = rewrite::show(&Shape::new(&set), &record, showing, &mut out);
    let missed: Vec<_> = misses.iter().map(|miss| (miss.field, miss.why, miss.count)).collect();
    assert_eq!(missed, [(FieldIx(1), Unopened::Foreign, 1_000)]);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        format!("{{\"list\":[{}]}}", vec!["\"x\""; 1_000].join(","))
    );
    let large = "a".repeat(700_000);
    let value = quoted(&ANA.sealed(1, ValueKind::Text, &large));
    assert_eq!(one(SealMode::Strict, false, &value, View::Show).0.len(), large.len() + 12);
}

#[test]
fn cells_are_opened_too() {
    let fields: &[(&str, bool)] = &[("id", false), ("name", false), ("age", false), ("pan", false)];
    let set = sealed_set(fields, SealMode::Strict, |at| at > 0);
    let row = |name: &str| {
        let age = ANA.sealed(2, ValueKind::Number, "44");
        let pan = ANA.sealed(3, ValueKind::Text, "=1+1,\"x\"");
        format!("a-1,{name},{age},{pan}\r\n")
    };
    let name = ANA.sealed(1, ValueKind::Text, "Ana Ruiz");
    let text = format!("id,name,age,pan\r\n{}{}{}", row(&name), row("Ana"), row(""));
    let tens = View::Generalize(crate::policy::Generalize::Number { step: 10 });
    let shown =
        rewritten(&set, (Format::Csv, &[text.as_bytes()]), &[View::Show, mask(), tens, View::Show]);
    let cell = "\"'=1+1,\"\"x\"\"\"";
    let expected =
        format!("id,name,age,pan\r\na-1,A***,40,{cell}\r\na-1,,40,{cell}\r\na-1,,40,{cell}\r\n");
    assert_eq!(shown, expected);
    let hidden = rewritten(
        &set,
        (Format::Csv, &[text.as_bytes()]),
        &[View::Drop, View::Ciphertext, View::Drop, View::Drop],
    );
    assert_eq!(hidden, format!("name\r\n{name}\r\n\"\"\r\n\"\"\r\n"));
}

/// An answer with Ana's records, in pieces, as it is shown.
fn rewritten(set: &DataSet, (format, pieces): (Format, &[&[u8]]), views: &[View]) -> String {
    let (shape, selector) = (Arc::new(Shape::new(set)), selector(&[], Records::Each));
    let mut reader = Reader::new(format, &selector, Arc::clone(&shape), Limits::default());
    let mut writer = Writer::new(format, &selector, shape);
    let (mut batch, mut out) = (Batch::new(3, 512), Vec::new());
    let mut pieces = pieces.iter();
    let mut has_begun = false;
    loop {
        let progress = reader.read(&mut batch).unwrap();
        let begins = !batch.is_empty() || progress == Progress::End;
        if begins && !std::mem::replace(&mut has_begun, true) {
            if let Some(columns) = reader.columns() {
                writer.columns(columns, views);
            }
            writer.begin(&mut out);
        }
        for record in 0..batch.len() {
            let showing = Showing { views, pseudonyms: &Legible, seals: &ANA };
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
    String::from_utf8(out).unwrap()
}

/// Writes a record again, its sealed fields sealed when `seal`, else in the one spelling that
/// opened text has.
struct Sealer<'a> {
    set: &'a DataSet,
    seal: bool,
}

impl Sealer<'_> {
    fn any_below(&self, start: &str) -> bool {
        self.set.fields.iter().any(|field| field.path.as_str().starts_with(start))
    }

    fn value(&self, path: &str, value: &str) -> String {
        let leaf = FieldPath::parse(path).ok().and_then(|path| self.set.find(&path));
        let below = if path.is_empty() { String::new() } else { format!("{path}.") };
        let item = format!("{path}[*]");
        let is_whole = leaf.and_then(|ix| self.set.get(ix)).is_some_and(|field| field.whole);
        match value.as_bytes()[0] {
            b'{' if self.any_below(&below) => {
                let Members(members) = serde_json::from_str(value).unwrap();
                let members = members.iter().map(|(name, value)| {
                    let is_name = !name.is_empty() && !name.contains(['.', '[', ']']);
                    let value = if is_name {
                        self.value(&format!("{below}{name}"), value.get())
                    } else {
                        value.get().to_owned()
                    };
                    format!("{}:{value}", serde_json::to_string(name).unwrap())
                });
                format!("{{{}}}", members.collect::<Vec<_>>().join(","))
            }
            b'[' if self.any_below(&item) => self.items(&item, value),
            // Items of an array where one plain value is listed are viewed one by one.
            b'[' if leaf.is_some() && !is_whole => self.items(path, value),
            _ => self.leaf(leaf, is_whole, value),
        }
    }

    fn items(&self, path: &str, value: &str) -> String {
        let items: Vec<Box<RawValue>> = serde_json::from_str(value).unwrap();
        let items = items.iter().map(|item| match item.get().as_bytes()[0] {
            b'{' | b'[' if !path.ends_with("[*]") => item.get().to_owned(),
            _ => self.value(path, item.get()),
        });
        format!("[{}]", items.collect::<Vec<_>>().join(","))
    }

    fn leaf(&self, leaf: Option<FieldIx>, is_whole: bool, value: &str) -> String {
        let Some(field) = leaf.filter(|ix| self.set.sealing(*ix).is_some()) else {
            return value.to_owned();
        };
        let (kind, plain) = match value.as_bytes()[0] {
            b'n' => return value.to_owned(),
            b'"' => (ValueKind::Text, serde_json::from_str(value).unwrap()),
            b't' | b'f' => (ValueKind::Boolean, value.to_owned()),
            b'{' | b'[' if !is_whole => return value.to_owned(),
            b'{' | b'[' => (ValueKind::Json, value.to_owned()),
            _ => (ValueKind::Number, value.to_owned()),
        };
        match (self.seal, kind) {
            (true, kind) => quoted(&ANA.sealed(field.0, kind, &plain)),
            (false, ValueKind::Text) => {
                let mut out = Vec::new();
                escape::string(&plain, &mut out);
                String::from_utf8(out).unwrap()
            }
            (false, _) => plain,
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_sealed_store_reads_as_one_that_is_not(seed: u64, bits: u16, cuts in prop::collection::vec(any::<prop::sample::Index>(), 12)) {
        let mut dice = Dice(seed);
        let is_sealed = |at: usize| at > 0 && bits >> at & 1 == 1;
        let set = sealed_set(FIELDS, SealMode::Strict, is_sealed);
        let views: Vec<View> = (0..FIELDS.len())
            .map(|at| match dice.view() {
                View::Ciphertext if is_sealed(at) => View::Drop,
                view => view,
            })
            .collect();
        let records: Vec<String> = (0..4).map(|_| dice.object(0)).collect();
        let text = |seal: bool| {
            let sealer = Sealer { set: &set, seal };
            let records: Vec<String> =
                records.iter().map(|record| sealer.value("", record)).collect();
            format!("[{}]", records.join(","))
        };
        let (plain, sealed) = (text(false), text(true));
        let in_clear = fuzz::data_set(FIELDS).unwrap();
        let expected = rewritten(&in_clear, (Format::Json, &[plain.as_bytes()]), &views);
        let sealed = sealed.as_bytes();
        for cut in cuts {
            let (start, end) = sealed.split_at(cut.index(sealed.len()));
            prop_assert_eq!(&rewritten(&set, (Format::Json, &[start, end]), &views), &expected);
        }
        let bytes: Vec<&[u8]> = sealed.chunks(1).collect();
        prop_assert_eq!(&rewritten(&set, (Format::Json, &bytes), &views), &expected);
    }
}
