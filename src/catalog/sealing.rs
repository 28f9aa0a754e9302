//! What fields say of their protection at rest, and what must not be sealed.

use std::sync::Arc;

use crate::crypto::NormalForm;
use crate::types::CategoryId;
use crate::types::DataSetId;
use crate::types::Faults;
use crate::types::FieldPath;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::types::doc::Value;

use super::BlindIndex;
use super::DataSet;
use super::FieldIx;
use super::Method;
use super::Route;
use super::SealMode;
use super::Sealing;

/// What a field is told by the container it stands in.
#[derive(Clone, Copy, Default)]
pub(super) struct Above {
    is_sealed: bool,
    mode: Option<SealMode>,
    max_length: Option<usize>,
}

/// The words of one field, as nodes: what they mean depends on whether it is sealed at all.
pub(super) struct Words<'a> {
    index: Option<&'a Node>,
    seal_as: Option<&'a Node>,
    encryption: Option<&'a Node>,
    max_length: Option<&'a Node>,
    /// Whether the field says that it is sealed, or that it is not.
    at_rest: Option<bool>,
}

impl<'a> Words<'a> {
    /// Takes the words out of a field's map.
    pub(super) fn take(map: &mut MapReader<'a>, faults: &mut Faults) -> Self {
        let at_rest = map.optional("at_rest").and_then(|node| {
            node.word("protection", plain_or_encrypt, &["plain", "encrypt"], faults)
        });
        Self {
            index: map.optional("index"),
            seal_as: map.optional("seal_as"),
            encryption: map.optional("encryption"),
            max_length: map.optional("max_length"),
            at_rest,
        }
    }

    /// What a container hands down to its children: its own words, else those of the container it
    /// stands in. Reports words that only a leaf can have.
    pub(super) fn below(&self, above: Above, faults: &mut Faults) -> Above {
        self.refuse_on_container(faults);
        let is_sealed = self.at_rest.unwrap_or(above.is_sealed);
        if !is_sealed {
            let own = [(self.encryption, "encryption"), (self.max_length, "max_length")];
            refuse_without_sealing(&own, faults);
            return Above::default();
        }
        let mode = self.mode(faults).or(above.mode);
        Above { is_sealed, mode, max_length: self.max_length(faults).or(above.max_length) }
    }

    fn refuse_on_container(&self, faults: &mut Faults) {
        for (node, word) in [(self.index, "index"), (self.seal_as, "seal_as")] {
            if let Some(node) = node {
                let what = format!("`{word}` stands on a field with children");
                faults.error(&node.place.first_line(), what, "write it on one of them");
            }
        }
    }

    /// How the leaf at `path` is sealed.
    pub(super) fn read(
        &self,
        (set, path, category): (&DataSetId, &FieldPath, &CategoryId),
        above: Above,
        faults: &mut Faults,
    ) -> Option<Arc<Sealing>> {
        if !self.at_rest.unwrap_or(above.is_sealed) {
            let own = [
                (self.index, "index"),
                (self.seal_as, "seal_as"),
                (self.encryption, "encryption"),
                (self.max_length, "max_length"),
            ];
            refuse_without_sealing(&own, faults);
            return None;
        }
        let name = self.seal_as.and_then(|node| {
            let text = node.text(faults)?;
            if is_name(text) {
                return Some(text.into());
            }
            let help = format!("letters, digits, `.`, `_` and `-`, at most {MAX_NAME}");
            faults.error(&node.place, format!("`{text}` cannot be a name to seal as"), help);
            None
        });
        let index = self.index.and_then(|node| index(node, category, faults));
        Some(Arc::new(Sealing {
            name: name.unwrap_or_else(|| format!("{set}.{path}").into()),
            index,
            mode: self.mode(faults).or(above.mode).unwrap_or_default(),
            max_length: self.max_length(faults).or(above.max_length),
        }))
    }

    fn mode(&self, faults: &mut Faults) -> Option<SealMode> {
        self.encryption?.word("way of sealing", mode, &["strict", "migrating"], faults)
    }

    fn max_length(&self, faults: &mut Faults) -> Option<usize> {
        usize::try_from(self.max_length?.whole(SHORTEST..=LONGEST, faults)?).ok()
    }
}

/// Reports words that stand on a field that is not sealed.
fn refuse_without_sealing(words: &[(Option<&Node>, &str)], faults: &mut Faults) {
    for (node, word) in words {
        if let Some(node) = node {
            let what = format!("`{word}` has no meaning on a field that is not sealed");
            let help = "write `at_rest: encrypt` beside it, or leave it out";
            faults.error(&node.place.first_line(), what, help);
        }
    }
}

/// Reads `index: email_index`, or `index: { field: email_index, as: email, bits: 128 }`.
fn index(node: &Node, category: &CategoryId, faults: &mut Faults) -> Option<BlindIndex> {
    let usual = usual_form(category);
    let (member, form, bits) = if let Value::Map(_) = node.value {
        let mut map = MapReader::new(node, "an index", faults)?;
        let member = map.required("field", faults);
        let words = NormalForm::ALL.map(NormalForm::as_str);
        let form = map
            .optional("as")
            .and_then(|node| node.word("form to compare in", NormalForm::parse, &words, faults));
        let bits = map.optional("bits").and_then(|node| {
            let bits = node.whole(FEWEST_BITS..=MOST_BITS, faults)?;
            if bits.is_multiple_of(8) {
                return Some(bits);
            }
            faults.error(&node.place, format!("{bits} bits are no whole bytes"), "");
            None
        });
        map.finish(faults);
        (member?, form.unwrap_or(usual), bits.unwrap_or(USUAL_BITS))
    } else {
        (node, usual, USUAL_BITS)
    };
    let name = member.text(faults)?;
    let is_plain = FieldPath::parse(name).is_ok() && !name.contains(['.', '[']);
    if !is_plain {
        let what = format!("`{name}` is no name of a member of the record");
        faults.error(&member.place, what, "the index stands at the top of the record");
        return None;
    }
    Some(BlindIndex { member: name.into(), form, bytes: u8::try_from(bits / 8).ok()? })
}

/// The form that fits what the field is.
fn usual_form(category: &CategoryId) -> NormalForm {
    let is = |above: &str| {
        let key = category.as_str();
        key == above || key.strip_prefix(above).is_some_and(|rest| rest.starts_with('.'))
    };
    if is("user.contact.email") {
        NormalForm::Email
    } else if is("user.contact.phone_number") {
        NormalForm::Phone
    } else if is("user.government_id") || is("user.financial") {
        NormalForm::Id
    } else {
        NormalForm::Text
    }
}

/// Reports fields that cannot be sealed: what finds a record or says whom it is about must be
/// readable before anything is opened.
pub(super) fn check(set: &DataSet, faults: &mut Faults) {
    let mut members: Vec<(&str, &FieldPath)> = Vec::new();
    let mut names: Vec<(&str, &FieldPath)> = Vec::new();
    for (ix, field) in set.indexed() {
        let Some(sealing) = &field.at_rest else { continue };
        let path = &field.path;
        if let Some((why, help)) = unsealable(set, ix) {
            faults.error(&field.place, format!("`{path}` cannot be sealed: {why}"), help);
        }
        if let Some((_, other)) = names.iter().find(|(name, _)| **name == *sealing.name) {
            let what = format!("`{path}` is sealed under the same name as `{other}`");
            let help = "their values could be exchanged: give each a name of its own";
            faults.error(&field.place, what, help);
        }
        names.push((&sealing.name, path));
        let Some(index) = &sealing.index else { continue };
        let top = |path: &FieldPath| {
            path.as_str().split(['.', '[']).next().is_some_and(|first| *first == *index.member)
        };
        if let Some(other) = set.fields.iter().find(|field| top(&field.path)) {
            let what = format!("the index of `{path}` stands where `{}` is", other.path);
            faults.error(&field.place, what, "give it a member of its own");
        }
        if let Some((_, other)) = members.iter().find(|(member, _)| **member == *index.member) {
            let what = format!("`{path}` and `{other}` have one index");
            faults.error(&field.place, what, "give each a member of its own");
        }
        members.push((&index.member, path));
        if field.whole || path.as_str().contains("[*]") {
            let what = format!("`{path}` may have several values in one record");
            faults.error(&field.place, what, "leave out `index`: a record has one of each");
        }
    }
    for route in &set.routes {
        unnamed(set, route, faults);
        for (name, ix) in &route.find_by {
            let sealing = set.sealing(*ix).filter(|sealing| sealing.index.is_none());
            if let (Some(_), Some(field)) = (sealing, set.get(*ix)) {
                let what = format!("`{name}` selects by `{}`, which is sealed", field.path);
                let help = "give the field an `index`, or leave the parameter out";
                faults.error(&route.place, what, help);
            }
        }
        check_selection(set, route, faults);
    }
}

/// Reports parameters by which callers could select by an index itself, or select by what is
/// sealed where nobody looks at the records before they leave or change.
fn check_selection(set: &DataSet, route: &Route, faults: &mut Faults) {
    let indexes = || set.fields.iter().filter_map(|field| field.at_rest.as_ref()?.index.as_ref());
    let is_index = |name: &str| indexes().any(|index| *index.member == *name);
    if let Some(name) = route.query.iter().find(|name| is_index(name)) {
        let what = format!("`{name}` is an index, by which callers would select");
        let help = "list the sealed field under `find_by`: its parameter takes the value itself";
        faults.error(&route.place, what, help);
    }
    for (name, ix) in &route.find_by {
        let own = set.sealing(*ix).and_then(|sealing| sealing.index.as_ref());
        if is_index(name) && own.is_none_or(|own| *own.member != **name) {
            let what = format!("`{name}` selects by one field and is the index of another");
            faults.error(&route.place, what, "give the parameter another name");
        }
        if own.is_some() && (route.method != Method::Get || route.opaque.is_some()) {
            let what =
                format!("`{name}` selects by a sealed field, and the route returns no records");
            faults.error(&route.place, what, "only a GET of records can be found so");
        }
    }
}

/// Warns of a route that can make only records that say themselves whom they are about: without
/// that nobody knows whose key seals them.
fn unnamed(set: &DataSet, route: &Route, faults: &mut Faults) {
    let is_sealed = set.fields.iter().any(|field| field.at_rest.is_some());
    let makes = route.method == Method::Post && route.records.is_some();
    if is_sealed && makes && route.created_id.is_none() {
        let what = format!(
            "`POST {}` has no `created_id`: a new record that does not say whom it is about is \
             refused, because nobody knows whose key seals it",
            route.template
        );
        let help = "write `created_id` where the store gives that id";
        faults.warning(&route.place, what, help);
    }
}

fn unsealable(set: &DataSet, ix: FieldIx) -> Option<(&'static str, &'static str)> {
    let plain = "write `at_rest: plain`, or leave it out";
    let is_variable = |route: &Arc<Route>| route.variables().any(|field| field == ix);
    let is_given = |route: &Arc<Route>| route.created_id == Some(ix);
    let is_file = |route: &Arc<Route>| route.opaque.as_ref().is_some_and(|file| file.field == ix);
    if set.subjects.is_empty() {
        Some(("no person's key seals data about nobody", plain))
    } else if set.is_subject(ix) {
        Some(("it says whose key opens the others", plain))
    } else if set.owner(ix).is_none() {
        Some((
            "it is about several people, and sealed with the key of one",
            "list it under `fields` of one subject",
        ))
    } else if set.region == Some(ix) {
        Some(("it says which country's law holds", plain))
    } else if set.routes.iter().any(is_variable) {
        Some(("a route's path is made of it", plain))
    } else if set.routes.iter().any(is_given) {
        Some(("the store gives it", plain))
    } else if set.routes.iter().any(is_file) {
        Some(("it is a file, and files are passed as they are", plain))
    } else {
        None
    }
}

/// Whether a protection at rest is encryption.
fn plain_or_encrypt(word: &str) -> Option<bool> {
    match word {
        "encrypt" => Some(true),
        "plain" => Some(false),
        _ => None,
    }
}

fn mode(word: &str) -> Option<SealMode> {
    match word {
        "migrating" => Some(SealMode::Migrating),
        "strict" => Some(SealMode::Strict),
        _ => None,
    }
}

fn is_name(text: &str) -> bool {
    text.len() <= MAX_NAME
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

const MAX_NAME: usize = 128;
/// The envelope of an empty text: `pvt1_` and the 62 characters of 46 bytes.
const SHORTEST: u64 = 67;
const LONGEST: u64 = 1 << 30;
const FEWEST_BITS: u64 = 16;
const MOST_BITS: u64 = 256;
/// Two of 2⁵⁰ different values meet with a chance of one in 2²⁹.
const USUAL_BITS: u64 = 128;
