//! Records with sealed values that are changed and made: the outcome is that of the same record
//! in clear, and nothing that is sealed leaves in clear.

use super::editing::change;
use super::editing::field_at;
use super::oracle::Dice;
use super::oracle::FIELDS;
use super::oracle::Members;
use super::*;
use crate::catalog::BlindIndex;
use crate::catalog::SealMode;
use crate::catalog::Sealing;
use crate::crypto::Envelope;
use crate::crypto::FieldKey;
use crate::crypto::NormalForm;
use crate::crypto::SubjectKey;
use crate::crypto::ValueKind;
use proptest::prelude::*;
use serde_json::value::RawValue;
use std::cell::Cell;

/// The keys of one person.
struct Person {
    key: SubjectKey,
    count: Cell<u8>,
    /// Which call fails, and how.
    fails: Cell<Option<(u8, Unsealed)>>,
    is_locked: bool,
}

impl Person {
    fn new(key: u8) -> Self {
        let key = SubjectKey::new([key; 32]);
        Self { key, count: Cell::new(0), fails: Cell::new(None), is_locked: false }
    }

    fn field_key(&self, field: FieldIx) -> FieldKey {
        FieldKey::sealing(&self.key, self.key.kid(), "shop", &field.index().to_string())
    }

    /// The envelope of a JSON value, in quotes.
    fn envelope(&self, field: usize, json: &str) -> String {
        let text: String;
        let (kind, plain) = match json.as_bytes()[0] {
            b'"' => {
                text = serde_json::from_str(json).unwrap();
                (ValueKind::Text, text.as_str())
            }
            b't' | b'f' => (ValueKind::Boolean, json),
            b'{' | b'[' => (ValueKind::Json, json),
            _ => (ValueKind::Number, json),
        };
        let mut out = Vec::new();
        self.seal(FieldIx(u16::try_from(field).unwrap()), kind, plain.as_bytes(), &mut out)
            .unwrap();
        format!("\"{}\"", String::from_utf8(out).unwrap())
    }

    /// The JSON value in an envelope; nothing when it is none of this person's.
    fn opened(&self, field: usize, json: &str) -> Option<String> {
        let text: String = serde_json::from_str(json).ok()?;
        let (ix, mut out) = (FieldIx(u16::try_from(field).unwrap()), Vec::new());
        let kind = self.open(ix, &text, &mut out).ok()?;
        let text = String::from_utf8(out).unwrap();
        Some(if kind == ValueKind::Text { serde_json::to_string(&text).unwrap() } else { text })
    }

    fn fail(&self) -> Result<u8, Unsealed> {
        let count = self.count.get().wrapping_add(1);
        self.count.set(count);
        match self.fails.get() {
            Some((at, why)) if at == count => Err(why),
            _ => Ok(count),
        }
    }
}

impl Seals for Person {
    fn open(&self, field: FieldIx, sealed: &str, out: &mut Vec<u8>) -> Result<ValueKind, Unopened> {
        if !Envelope::is_claimed(sealed) {
            return Err(Unopened::Plaintext);
        }
        let envelope = Envelope::parse(sealed).map_err(|_| Unopened::Malformed)?;
        if self.is_locked || self.fail().is_err() {
            return Err(Unopened::Unavailable);
        }
        if envelope.kid() != self.key.kid() {
            return Err(Unopened::Foreign);
        }
        let (kind, plain) = self.field_key(field).open(&envelope).map_err(|_| Unopened::Forged)?;
        out.extend_from_slice(&plain);
        Ok(kind)
    }

    fn seal(
        &self,
        field: FieldIx,
        kind: ValueKind,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unsealed> {
        let count = self.fail()?;
        self.field_key(field).seal(kind, plain, &[count; 16], out).map_err(|_| Unsealed::NoKey)
    }

    fn index(&self, _: FieldIx, plain: &str, out: &mut Vec<u8>) -> Result<(), Unsealed> {
        self.fail()?;
        out.extend_from_slice(b"bi1_");
        out.extend(
            plain.bytes().map(|byte| if byte.is_ascii_alphanumeric() { byte } else { b'-' }),
        );
        Ok(())
    }
}

/// A shape with sealed fields: path, and how.
fn sealed_shape(fields: &[(&str, bool)], sealed: impl Fn(usize) -> Option<Sealing>) -> Arc<Shape> {
    let mut set = fuzz::data_set(fields).unwrap();
    for (at, field) in set.fields.iter_mut().enumerate() {
        field.at_rest = sealed(at).map(Arc::new);
    }
    Arc::new(Shape::new(&set))
}

fn sealing(index: Option<&str>, mode: SealMode, max_length: Option<usize>) -> Sealing {
    let index =
        index.map(|member| BlindIndex { member: member.into(), form: NormalForm::Text, bytes: 16 });
    Sealing { name: "shop.people.field".into(), index, mode, max_length }
}

/// The same record with every value that `then` has something for replaced; the rest is written
/// in one way.
fn replaced(text: &str, then: &dyn Fn(usize, &str) -> Option<String>) -> String {
    fn walk(
        (text, path): (&str, &str),
        then: &dyn Fn(usize, &str) -> Option<String>,
        out: &mut String,
    ) {
        let at = field_at(path).filter(|at| {
            let is_container = text.starts_with(['{', '[']);
            text != "null" && (!is_container || FIELDS[*at].1 && FIELDS[*at].0 == path)
        });
        if let Some(other) = at.and_then(|at| then(at, text)) {
            return out.push_str(&other);
        }
        match text.as_bytes()[0] {
            b'{' => {
                let Members(members) = serde_json::from_str(text).unwrap();
                out.push('{');
                for (name, value) in members {
                    if !out.ends_with('{') {
                        out.push(',');
                    }
                    out.push_str(&serde_json::to_string(&name).unwrap());
                    out.push(':');
                    let name = if name.is_empty() { "?" } else { &name };
                    let path = format!("{path}.{}", name.replace(['.', '[', ']'], "?"));
                    walk((value.get(), path.trim_start_matches('.')), then, out);
                }
                out.push('}');
            }
            b'[' => {
                let items: Vec<Box<RawValue>> = serde_json::from_str(text).unwrap();
                out.push('[');
                for item in items {
                    if !out.ends_with('[') {
                        out.push(',');
                    }
                    walk((item.get(), &format!("{path}[*]")), then, out);
                }
                out.push(']');
            }
            b'"' => {
                let plain: String = serde_json::from_str(text).unwrap();
                out.push_str(&serde_json::to_string(&plain).unwrap());
            }
            _ => out.push_str(text),
        }
    }
    let mut out = String::new();
    walk((text.trim(), ""), then, &mut out);
    out
}

/// A record twice, in clear and with some fields sealed, and what a caller sends.
struct Twins {
    plain: Arc<Shape>,
    sealed: Arc<Shape>,
    is_sealed: Vec<bool>,
    person: Person,
    clear: String,
    stored: String,
    views: Vec<View>,
    writable: Vec<bool>,
    sent: String,
}

impl Twins {
    fn new(dice: &mut Dice) -> Self {
        let is_sealed: Vec<bool> =
            (0..FIELDS.len()).map(|at| at > 0 && dice.roll(2) == 0).collect();
        let strict = |at: usize| is_sealed[at].then(|| sealing(None, SealMode::Strict, None));
        let (plain, sealed) = (shape(FIELDS), sealed_shape(FIELDS, strict));
        let person = Person::new(1);
        // What is one value is sealed as it is written, and opens so.
        let clear = replaced(&dice.object(0), &|_, _| None);
        let stored = replaced(&clear, &|at, json| is_sealed[at].then(|| person.envelope(at, json)));
        let view = |dice: &mut Dice| {
            // Sealed text is something to see, and in clear there is none.
            loop {
                let view = dice.view();
                if view != View::Ciphertext {
                    return view;
                }
            }
        };
        let views: Vec<View> = FIELDS.iter().map(|_| view(dice)).collect();
        let writable = FIELDS.iter().map(|_| dice.roll(4) > 0).collect();
        let shown = rewrite_one(&plain, clear.as_bytes(), in_clear(&views)).unwrap();
        let mut sent = String::new();
        change(std::str::from_utf8(&shown).unwrap(), dice, &mut sent);
        Self { plain, sealed, is_sealed, person, clear, stored, views, writable, sent }
    }

    fn edit(&self, is_sealed: bool, mode: Mode) -> Result<(String, String, Edited), EditError> {
        let (mut body, mut whole) = (Vec::new(), Vec::new());
        let request = Edit {
            shape: if is_sealed { &self.sealed } else { &self.plain },
            stored: if is_sealed { &self.stored } else { &self.clear },
            sent: &self.sent,
            views: &self.views,
            pseudonyms: &Legible,
            seals: if is_sealed { &self.person } else { &NoSeals },
            writable: &self.writable,
            fixed: &[FieldIx(0)],
            mode,
            store_merges: mode == Mode::Merge && self.sent.len().is_multiple_of(2),
        };
        let edited = edit(&request, &mut body, &mut whole);
        assert!(edited.is_ok() || body.is_empty() && whole.is_empty());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        edited.map(|edited| (text(whole), text(body), edited))
    }

    /// A text of the sealed twin in clear; nothing when a value in it was in clear already.
    fn in_clear(&self, text: &str) -> Option<String> {
        let is_leaking = Cell::new(false);
        let open = |at: usize, json: &str| {
            if !self.is_sealed[at] {
                return None;
            }
            let opened = self.person.opened(at, json);
            is_leaking.set(is_leaking.get() || opened.is_none());
            // What is one value was sealed as it was written.
            opened.map(|json| Self::normal(&json))
        };
        let text = replaced(text, &open);
        (!is_leaking.get()).then_some(text)
    }

    fn normal(text: &str) -> String {
        if text.is_empty() { String::new() } else { replaced(text, &|_, _| None) }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn what_is_sealed_is_changed_as_if_it_were_not(seed: u64) {
        let twins = Twins::new(&mut Dice(seed));
        for mode in [Mode::Merge, Mode::Replace] {
            match (twins.edit(false, mode), twins.edit(true, mode)) {
                (Ok((whole, body, edited)), Ok((sealed_whole, sealed_body, sealed_edited))) => {
                    prop_assert_eq!(edited, sealed_edited);
                    let opened = twins.in_clear(&sealed_whole);
                    prop_assert_eq!(
                        opened, Some(Twins::normal(&whole)),
                        "{} with {} is {}", twins.stored, twins.sent, sealed_whole
                    );
                    if !body.is_empty() {
                        let opened = twins.in_clear(&sealed_body);
                        prop_assert_eq!(
                            opened, Some(Twins::normal(&body)),
                            "{} with {} sends {}", twins.stored, twins.sent, sealed_body
                        );
                    }
                }
                (Err(plain), Err(sealed)) => prop_assert_eq!(plain, sealed),
                (plain, sealed) => {
                    prop_assert!(false, "{} with {}: {:?}, {:?}", twins.stored, twins.sent, plain, sealed);
                }
            }
        }
    }

    #[test]
    fn what_is_kept_stays_the_same_envelope(seed: u64) {
        let twins = Twins::new(&mut Dice(seed));
        let envelopes = |text: &str| {
            let found = std::cell::RefCell::new(Vec::new());
            replaced(text, &|at, json| {
                found.borrow_mut().push((at, json.to_owned()));
                None
            });
            found.into_inner()
        };
        for mode in [Mode::Merge, Mode::Replace] {
            let Ok((whole, _, edited)) = twins.edit(true, mode) else { continue };
            let kept = |(at, _): &(usize, String)| {
                let field = FieldIx(u16::try_from(*at).unwrap());
                twins.is_sealed[*at] && !edited.fields().contains(&field)
            };
            let before: Vec<_> = envelopes(&twins.stored).into_iter().filter(kept).collect();
            let after: Vec<_> = envelopes(&whole).into_iter().filter(kept).collect();
            prop_assert_eq!(before, after);
        }
    }

    #[test]
    fn when_any_call_of_the_keys_fails_nothing_is_sent(seed: u64, at in 1u8..24, is_put: bool) {
        let twins = Twins::new(&mut Dice(seed));
        let mode = if is_put { Mode::Replace } else { Mode::Merge };
        for why in [Unsealed::NoKey, Unsealed::Unavailable] {
            twins.person.count.set(0);
            twins.person.fails.set(Some((at, why)));
            let outcome = twins.edit(true, mode);
            let has_failed = twins.person.count.get() >= at;
            twins.person.fails.set(None);
            prop_assert!(!has_failed || outcome.is_err());
            if let Ok((whole, _, _)) = outcome {
                prop_assert!(twins.in_clear(&whole).is_some());
            }
        }
    }
}

/// A field: path, view, how it is sealed.
type Listed = (&'static str, View, Option<Sealing>);

/// What a caller who may write everything makes of `stored`: what the store is sent, with
/// envelopes opened and marked, or the words of the refusal.
fn outcome(fields: &[Listed], mode: Mode, stored: &str, sent: &str) -> String {
    outcome_of((&Person::new(1), fields), (mode, false), stored, sent)
}

fn outcome_of(
    (person, fields): (&Person, &[Listed]),
    (mode, store_merges): (Mode, bool),
    stored: &str,
    sent: &str,
) -> String {
    let plain: Vec<_> = fields
        .iter()
        .map(|(path, ..)| (path.trim_start_matches("whole:"), path.starts_with("whole:")))
        .collect();
    let shape = sealed_shape(&plain, |at| fields[at].2.clone());
    let views: Vec<View> = fields.iter().map(|(_, view, _)| *view).collect();
    let (mut body, mut whole) = (Vec::new(), Vec::new());
    let request = Edit {
        shape: &shape,
        stored,
        sent,
        views: &views,
        pseudonyms: &Legible,
        seals: person,
        writable: &vec![true; fields.len()],
        fixed: &[FieldIx(0)],
        mode,
        store_merges,
    };
    match edit(&request, &mut body, &mut whole) {
        Ok(edited) if edited.is_unchanged() => "unchanged".into(),
        Ok(_) => marked(person, &String::from_utf8(body).unwrap(), stored),
        Err(error) => error.to_string(),
    }
}

/// The text with every envelope in it as `kept:VALUE` or `new:VALUE`.
fn marked(person: &Person, text: &str, stored: &str) -> String {
    let mut out = String::new();
    for (at, part) in text.split('"').enumerate() {
        let quoted = format!("\"{part}\"");
        let opened = (0..9).find_map(|field| person.opened(field, &quoted));
        match opened.filter(|_| at % 2 == 1) {
            Some(value) => {
                let mark = if stored.contains(part) { "kept" } else { "new" };
                out.push_str(&format!("<{mark}:{}>", value.replace('"', "'")));
            }
            None if at > 0 => out.push_str(&format!("\"{part}")),
            None => out.push_str(part),
        }
    }
    out.replace("\"<", "<").replace(">\"", ">")
}

fn strict() -> Option<Sealing> {
    Some(sealing(None, SealMode::Strict, None))
}

fn migrating() -> Option<Sealing> {
    Some(sealing(None, SealMode::Migrating, None))
}

const HINT: View =
    View::Mask(crate::policy::Mask { keep_first: 1, keep_last: 0, keep_domain: true });

/// A record with every kind of sealed field.
fn all(view: View) -> [Listed; 7] {
    [
        ("id", View::Show, None),
        ("email", view, Some(sealing(Some("email_index"), SealMode::Strict, None))),
        ("age", view, strict()),
        ("cards[*].pan", view, strict()),
        ("whole:extra", view, strict()),
        ("contact.phone", view, Some(sealing(Some("phone_index"), SealMode::Strict, None))),
        ("tags", view, migrating()),
    ]
}

fn stored(person: &Person) -> String {
    let sealed = |field, json| person.envelope(field, json);
    format!(
        r#"{{"id":"c-1","email":{},"email_index":"bi1_old","age":{},"cards":[{{"pan":{}}},{{"pan":{}}}],"extra":{},"contact":{{"phone":{}}},"phone_index":"bi1_p","tags":["a",{}]}}"#,
        sealed(1, "\"ana@mail.example\""),
        sealed(2, "41"),
        sealed(3, "\"4000\""),
        sealed(3, "\"4001\""),
        sealed(4, r#"{"a":[1,2],"b":null,"c":"x"}"#),
        sealed(5, "\"+447700900001\""),
        sealed(6, "\"b\""),
    )
}

#[test]
fn values_keep_their_kind_and_what_stays_keeps_its_envelope() {
    let stored = stored(&Person::new(1));
    for (mode, sent, then) in [
        (
            Mode::Merge,
            r#"{"email":"eve@mail.example"}"#,
            r#"{"email":<new:'eve@mail.example'>,"email_index":"bi1_eve-mail-example"}"#,
        ),
        (Mode::Merge, r#"{"email":"ana\u0040mail.example"}"#, "unchanged"),
        (Mode::Merge, r#"{"email":null}"#, r#"{"email":null,"email_index":null}"#),
        (Mode::Merge, r#"{"age":42}"#, r#"{"age":<new:42>}"#),
        (Mode::Merge, r#"{"age":4.1e1}"#, "unchanged"),
        (Mode::Merge, r#"{"age":"41"}"#, r#"{"age":<new:'41'>}"#),
        (Mode::Merge, r#"{"age":true}"#, r#"{"age":<new:true>}"#),
        // Items that moved, went and came.
        (
            Mode::Merge,
            r#"{"cards":[{"pan":"4001"},{"pan":"4000"}]}"#,
            r#"{"cards":[{"pan":<kept:'4001'>},{"pan":<kept:'4000'>}]}"#,
        ),
        (Mode::Merge, r#"{"cards":[{"pan":"4001"}]}"#, r#"{"cards":[{"pan":<kept:'4001'>}]}"#),
        (
            Mode::Merge,
            r#"{"cards":[{"pan":"4000"},{"pan":"4001"},{"pan":7}]}"#,
            r#"{"cards":[{"pan":<kept:'4000'>},{"pan":<kept:'4001'>},{"pan":<new:7>}]}"#,
        ),
        // A container that is one value is sealed as one.
        (Mode::Merge, r#"{"extra":{"b":2,"c":null}}"#, r#"{"extra":<new:{'a':[1,2],'b':2}>}"#),
        (Mode::Merge, r#"{"extra":[1, "x"]}"#, r#"{"extra":<new:[1,'x']>}"#),
        // What is nested has its index at the top.
        (
            Mode::Merge,
            r#"{"contact":{"phone":"1"}}"#,
            r#"{"contact":{"phone":<new:'1'>},"phone_index":"bi1_1"}"#,
        ),
        (Mode::Merge, r#"{"contact":null}"#, r#"{"contact":null,"phone_index":null}"#),
        // Values from before are sealed when their field is written.
        (Mode::Merge, r#"{"tags":["a","b","c"]}"#, r#"{"tags":[<new:'a'>,<kept:'b'>,<new:'c'>]}"#),
        (Mode::Merge, r#"{"tags":["a","b"]}"#, "unchanged"),
    ] {
        assert_eq!(outcome(&all(View::Show), mode, &stored, sent), then, "{sent}");
    }
    let shown = r#""id":"c-1","cards":[{"pan":"4000"},{"pan":"4001"}],"extra":{"a":[1,2],"b":null,"c":"x"},"tags":["a","b"],"age":41"#;
    let kept = r#""age":<kept:41>,"cards":[{"pan":<kept:'4000'>},{"pan":<kept:'4001'>}],"extra":<kept:{'a':[1,2],'b':null,'c':'x'}>"#;
    let tags = r#""tags":["a",<kept:'b'>]"#;
    let put = |more: &str| {
        outcome(&all(View::Show), Mode::Replace, &stored, &format!("{{{shown}{more}}}"))
    };
    assert_eq!(
        put(r#","contact":{"phone":"+447700900001"}"#),
        format!(
            r#"{{"id":"c-1",{kept},"contact":{{"phone":<kept:'+447700900001'>}},"phone_index":"bi1_p",{tags}}}"#
        ),
        "what goes takes its index with it"
    );
    assert_eq!(
        put(r#","email":null,"contact":{"phone":"+447700900001"}"#),
        format!(
            r#"{{"id":"c-1","email":null,"email_index":null,{kept},"contact":{{"phone":<kept:'+447700900001'>}},"phone_index":"bi1_p",{tags}}}"#
        )
    );
}

#[test]
fn a_masked_value_that_comes_back_is_the_same_envelope() {
    let stored = stored(&Person::new(1));
    for sent in [
        r#"{"email":"a***@mail.example"}"#,
        r#"{"email":"a***@mail.example","cards":[{"pan":"4***"},{"pan":"4***"}],"extra":"***"}"#,
        r#"{"age":"***"}"#,
    ] {
        assert_eq!(outcome(&all(HINT), Mode::Merge, &stored, sent), "unchanged", "{sent}");
    }
    let changed = outcome(&all(HINT), Mode::Merge, &stored, r#"{"email":"b***@mail.example"}"#);
    assert_eq!(changed, "the value for `email` has the form of a view and is not the current one");
    assert_eq!(
        outcome(&all(View::Drop), Mode::Merge, &stored, r#"{"age":7}"#),
        r#"{"age":<new:7>}"#
    );
}

#[test]
fn nobody_sends_an_envelope_where_values_are_sealed() {
    let (person, other) = (Person::new(1), Person::new(2));
    let stored = stored(&person);
    let whole = stored.split('"').find(|text| text.starts_with("pvt1_")).unwrap();
    let (own, _) = whole.split_at(60);
    let foreign = other.envelope(1, "\"eve@mail.example\"");
    let foreign = foreign.trim_matches('"');
    let escaped = own.replacen('p', r"\u0070", 1);
    for value in ["pvt1_", "pvt1_x", own, foreign, &escaped, r"\u0070vt1_x"] {
        for (view, mode) in
            [(View::Show, Mode::Merge), (HINT, Mode::Replace), (View::Drop, Mode::Merge)]
        {
            for (field, sent) in [
                ("email", format!(r#"{{"id":"c-1","email":"{value}"}}"#)),
                ("age", format!(r#"{{"id":"c-1","age":"{value}"}}"#)),
                ("contact.phone", format!(r#"{{"id":"c-1","contact":{{"phone":"{value}"}}}}"#)),
                ("extra", format!(r#"{{"id":"c-1","extra":"{value}"}}"#)),
            ] {
                assert_eq!(
                    outcome(&all(view), mode, &stored, &sent),
                    format!("the value for `{field}` claims to be sealed"),
                    "{sent}"
                );
            }
        }
        let sent = format!(r#"{{"tags":["a","{value}"]}}"#);
        let refused = outcome(&all(View::Show), Mode::Merge, &stored, &sent);
        assert_eq!(refused, "the value for `tags` claims to be sealed");
        let sent = format!(r#"{{"cards":[{{"pan":"{value}"}}]}}"#);
        let refused = outcome(&all(View::Show), Mode::Merge, &stored, &sent);
        assert_eq!(refused, "the value for `cards[*].pan` claims to be sealed");
        // Elsewhere it is a text like any other.
        let fields = [("id", View::Show, None), ("note", View::Show, None)];
        let stored = r#"{"id":"c-1","note":"pvt1_before"}"#;
        let sent = outcome(&fields, Mode::Merge, stored, &format!(r#"{{"note":"{value}"}}"#));
        assert_eq!(sent, format!(r#"{{"note":"{value}"}}"#));
    }
    // Not even the one that is stored there, as long as it was not shown.
    let sent = format!(r#"{{"email":"{whole}"}}"#);
    let refused = outcome(&all(View::Show), Mode::Merge, &stored, &sent);
    assert_eq!(refused, "the value for `email` claims to be sealed");
    // An index is written by nobody else.
    for sent in [r#"{"email_index":"bi1_x"}"#, r#"{"email_\u0069ndex":null}"#] {
        let refused = outcome(&all(View::Show), Mode::Merge, &stored, sent);
        assert_eq!(refused, "a member is not listed in the data set", "{sent}");
    }
}

#[test]
fn what_does_not_open_is_kept_and_compared_with_nothing() {
    let person = Person::new(1);
    let foreign = Person::new(2).envelope(1, "\"eve@mail.example\"");
    let fields = all(View::Show);
    for at_rest in [foreign.as_str(), "\"pvt1_AAAA\"", "\"in clear\"", "7", "true"] {
        let stored = format!(r#"{{"id":"c-1","email":{at_rest},"email_index":"bi1_old","x":1}}"#);
        // It is not shown, so a guess that is right is a value like any other.
        for guess in ["\"in clear\"", "\"eve@mail.example\"", "7", "true"] {
            let sent = format!(r#"{{"email":{guess}}}"#);
            let changed = outcome(&fields, Mode::Merge, &stored, &sent);
            assert!(changed.contains("<new:"), "{at_rest} {guess}: {changed}");
        }
        assert_eq!(outcome(&fields, Mode::Replace, &stored, r#"{"id":"c-1"}"#), "unchanged");
        let put = outcome(&fields, Mode::Replace, &stored, r#"{"id":"c-1","age":7}"#);
        let kept = stored.replace(r#""x":1}"#, r#""x":1,"age":<new:7>}"#);
        assert_eq!(put, kept, "{at_rest}");
        assert_eq!(outcome(&fields, Mode::Merge, &stored, r#"{"email":null}"#), "unchanged");
    }
    // A list with such an item is one value.
    let list =
        format!(r#"{{"cards":[{{"pan":{}}},{{"pan":{foreign}}}]}}"#, person.envelope(3, "1"));
    let refused = outcome(&fields, Mode::Merge, &list, r#"{"cards":[{"pan":2},{}]}"#);
    assert_eq!(
        refused,
        "`cards[*].pan` stands in a value that holds what the caller was not shown"
    );
    // Of one value nobody sets a part that nobody can read.
    let whole = format!(r#"{{"extra":{foreign}}}"#);
    let refused = outcome(&fields, Mode::Merge, &whole, r#"{"extra":{"a":1}}"#);
    assert_eq!(refused, "`extra` stands in a value that holds what the caller was not shown");
}

#[test]
fn values_from_before_are_shown_and_sealed_once_they_are_written() {
    let fields = [
        ("id", View::Show, None),
        ("email", View::Show, Some(sealing(Some("email_index"), SealMode::Migrating, None))),
        ("whole:extra", View::Show, migrating()),
    ];
    let stored = r#"{"id":"c-1","email":"ana@mail.example","extra":{"a":1}}"#;
    for (mode, sent, then) in [
        (Mode::Merge, r#"{"email":"ana@mail.example"}"#, "unchanged"),
        (Mode::Merge, r#"{"extra":{"b":2}}"#, r#"{"extra":<new:{'a':1,'b':2}>}"#),
        (
            Mode::Replace,
            r#"{"id":"c-1","email":"ana@mail.example","extra":3}"#,
            r#"{"id":"c-1","email":"ana@mail.example","extra":<new:3>}"#,
        ),
        (Mode::Merge, r#"{"email":"eve"}"#, r#"{"email":<new:'eve'>,"email_index":"bi1_eve"}"#),
    ] {
        assert_eq!(outcome(&fields, mode, stored, sent), then, "{sent}");
    }
}

#[test]
fn a_value_that_would_not_fit_is_refused_with_its_limit() {
    let fields = [
        ("id", View::Show, None),
        ("email", View::Show, Some(sealing(None, SealMode::Strict, Some(80)))),
    ];
    let stored = r#"{"id":"c-1"}"#;
    assert!(outcome(&fields, Mode::Merge, stored, r#"{"email":"ten bytes "}"#).contains("<new:"));
    let refused = outcome(&fields, Mode::Merge, stored, r#"{"email":"eleven byte"}"#);
    assert_eq!(refused, "the value for `email` is longer than 80 bytes when it is sealed");
    let error =
        EditError::TooLong { field: crate::types::FieldPath::parse("email").unwrap(), limit: 80 };
    let told = crate::types::ClientError::client_message(&error).into_owned();
    assert!(told.contains("at most 80 bytes") && told.contains("at most 10 bytes"), "{told}");
}

#[test]
fn a_store_that_merges_is_sent_what_is_sealed_whole() {
    let person = Person::new(1);
    let fields = [
        ("id", View::Show, None),
        ("box.extra", View::Show, None),
        ("whole:box.sealed", View::Show, strict()),
    ];
    let sealed = person.envelope(2, r#"{"a":null,"b":1}"#);
    let stored = format!(r#"{{"id":"c-1","box":{{"extra":1,"sealed":{sealed},"other":null}}}}"#);
    for (store_merges, then) in [
        (true, r#"{"box":{"extra":2,"sealed":<kept:{'a':null,'b':1}>}}"#),
        (false, r#"{"box":{"extra":2,"sealed":<kept:{'a':null,'b':1}>,"other":null}}"#),
    ] {
        let sent = r#"{"box":{"extra":2}}"#;
        let outcome = outcome_of((&person, &fields), (Mode::Merge, store_merges), &stored, sent);
        assert_eq!(outcome, then);
    }
}

#[test]
fn while_the_keys_are_locked_nothing_is_changed_or_made() {
    let mut person = Person::new(1);
    let stored = stored(&person);
    person.is_locked = true;
    let refused =
        outcome_of((&person, &all(View::Show)), (Mode::Merge, false), &stored, r#"{"id":"c-1"}"#);
    assert_eq!(refused, "the keys cannot be used at the moment");
}

#[test]
fn a_new_record_is_sealed_or_not_made() {
    let fields = all(View::Show);
    let plain: Vec<_> = fields
        .iter()
        .map(|(path, ..)| (path.trim_start_matches("whole:"), path.starts_with("whole:")))
        .collect();
    let shape = sealed_shape(&plain, |at| fields[at].2.clone());
    let views: Vec<View> = fields.iter().map(|(_, view, _)| *view).collect();
    let writable = vec![true; fields.len()];
    let person = Person::new(1);
    let make = |seals: &dyn Seals, sent: &str| {
        let mut body = Vec::new();
        let new = NewRecord { shape: &shape, sent, views: &views, seals, writable: &writable };
        let made = create(&new, &mut body);
        assert!(made.is_ok() || body.is_empty());
        made.map_or_else(
            |error| error.to_string(),
            |_| marked(&person, &String::from_utf8(body).unwrap(), ""),
        )
    };
    for (sent, then) in [
        (
            r#"{"id":"c","email":"eve","age":7}"#,
            r#"{"id":"c","email":<new:'eve'>,"age":<new:7>,"email_index":"bi1_eve"}"#,
        ),
        (
            r#"{"extra":{"a": [ 1 ]},"tags":["x",null],"email":null}"#,
            r#"{"extra":<new:{'a':[1]}>,"tags":[<new:'x'>,null]}"#,
        ),
        (r#"{"cards":[{"pan":"4000"},{}]}"#, r#"{"cards":[{"pan":<new:'4000'>},{}]}"#),
        (r#"{"email":["a"]}"#, "another kind of value stands where `email` is listed"),
        (r#"{"email":"\u0070vt1_x"}"#, "the value for `email` claims to be sealed"),
    ] {
        assert_eq!(make(&person, sent), then, "{sent}");
    }
    for sent in [r#"{"email":"eve"}"#, r#"{"tags":[true]}"#, r#"{"cards":[{"pan":1}]}"#] {
        assert!(make(&NoSeals, sent).starts_with("there is no key to seal"), "{sent}");
    }
    assert_eq!(make(&NoSeals, r#"{"id":"c"}"#), r#"{"id":"c"}"#);
    person.count.set(0);
    person.fails.set(Some((2, Unsealed::Unavailable)));
    assert_eq!(make(&person, r#"{"email":"eve"}"#), "the keys cannot be used at the moment");
}
