//! What of an entry is indexed, and which of it a search asks for.

use std::collections::HashMap;

use sha2::Digest;
use sha2::Sha256;

use crate::audit::Entry;
use crate::audit::FieldView;
use crate::audit::Filter;

/// Stands for one value of one dimension: the first 8 bytes of a SHA-256. Two may be the same by
/// chance, so what is found by a term is compared with the filter before it is shown.
pub(super) type Term = u64;

/// What entries are looked for by. The numbers are written to files.
#[derive(Clone, Copy, Debug)]
enum Dimension {
    /// Who acted, or on whose behalf.
    Actor = 1,
    DataSet = 2,
    Decision = 3,
    /// Any mixture of category, level and view of one field.
    Field = 4,
    /// A request id or a decision id.
    Id = 5,
    Kind = 6,
    /// A release that names nobody.
    Nameless = 7,
    Purpose = 8,
    Role = 9,
    Store = 10,
    Subject = 11,
}

/// Makes terms, and remembers those of fields, which repeat from entry to entry.
#[derive(Debug, Default)]
pub(super) struct Terms {
    fields: HashMap<FieldView, [Term; MIXTURES]>,
}

impl Terms {
    /// Appends the terms of an entry; some may be there twice.
    pub(super) fn of_entry(&mut self, entry: &Entry, out: &mut Vec<Term>) {
        let mut add = |dimension, value: &[u8]| out.push(term(dimension, &[value]));
        for actor in entry.actor.iter().chain(&entry.on_behalf_of) {
            add(Dimension::Actor, &actor.0);
        }
        for id in entry.request_id.iter().chain(&entry.decision_id) {
            add(Dimension::Id, id.as_bytes());
        }
        for role in &entry.roles {
            add(Dimension::Role, role.as_str().as_bytes());
        }
        for subject in &entry.subjects {
            add(Dimension::Subject, &subject.0);
        }
        add(Dimension::Kind, entry.kind.as_str().as_bytes());
        let words = [
            (Dimension::DataSet, entry.data_set.as_ref().map(|id| id.as_str())),
            (Dimension::Decision, entry.decision.map(|decision| decision.as_str())),
            (Dimension::Purpose, entry.purpose.as_ref().map(|id| id.as_str())),
            (Dimension::Store, entry.store.as_ref().map(|id| id.as_str())),
            (Dimension::Nameless, entry.is_nameless_release().then_some("")),
        ];
        for (dimension, word) in words {
            word.into_iter().for_each(|word| add(dimension, word.as_bytes()));
        }
        for field in entry.fields.iter() {
            out.extend(self.of_field(field));
        }
    }

    fn of_field(&mut self, field: &FieldView) -> [Term; MIXTURES] {
        if let Some(known) = self.fields.get(field) {
            return *known;
        }
        if self.fields.len() >= MOST_FIELDS {
            self.fields.clear();
        }
        let parts = [field.category.as_str(), field.level.as_str(), field.view.as_str()];
        let mut made = [0; MIXTURES];
        for (mixture, slot) in (1_u8..).zip(&mut made) {
            let part = |at: usize| {
                let is_in = mixture & (1 << at) != 0;
                parts.get(at).copied().filter(|_| is_in).unwrap_or_default()
            };
            *slot = of_mixture([part(0), part(1), part(2)]);
        }
        self.fields.insert(field.clone(), made);
        made
    }
}

/// The terms that every entry has which the filter matches, the rarest kinds first. Times are not
/// among them.
pub(super) fn of_filter(filter: &Filter) -> Vec<Term> {
    let Filter {
        from: _,
        until: _,
        kind,
        actor,
        role,
        purpose,
        store,
        data_set,
        category,
        level,
        view,
        decision,
        request_id,
        subject,
        // Rare, and looked for in what the other terms leave.
        clearance: _,
        nameless,
        observed: _,
    } = filter;
    let word = |dimension, word: Option<&str>| word.map(|it| term(dimension, &[it.as_bytes()]));
    let category = category.as_ref().map(|category| category.as_str());
    let (level, view) = (level.map(|level| level.as_str()), view.map(|view| view.as_str()));
    let field = [category, level, view];
    let wants_field = field.iter().any(Option::is_some);
    let field = wants_field.then(|| of_mixture(field.map(Option::unwrap_or_default)));
    let terms = [
        word(Dimension::Id, request_id.as_deref()),
        subject.map(|subject| term(Dimension::Subject, &[&subject.0])),
        actor.map(|actor| term(Dimension::Actor, &[&actor.0])),
        word(Dimension::Purpose, purpose.as_ref().map(|id| id.as_str())),
        word(Dimension::Role, role.as_ref().map(|id| id.as_str())),
        word(Dimension::DataSet, data_set.as_ref().map(|id| id.as_str())),
        field,
        word(Dimension::Store, store.as_ref().map(|id| id.as_str())),
        word(Dimension::Kind, kind.map(|kind| kind.as_str())),
        word(Dimension::Decision, decision.map(|decision| decision.as_str())),
        word(Dimension::Nameless, nameless.then_some("")),
    ];
    terms.into_iter().flatten().collect()
}

/// No word has a zero byte in it.
fn of_mixture([category, level, view]: [&str; 3]) -> Term {
    let parts = [category.as_bytes(), &[0], level.as_bytes(), &[0], view.as_bytes()];
    term(Dimension::Field, &parts)
}

fn term(dimension: Dimension, parts: &[&[u8]]) -> Term {
    let mut hash = Sha256::new();
    hash.update([dimension as u8]);
    parts.iter().for_each(|part| hash.update(part));
    let hash: [u8; 32] = hash.finalize().into();
    let [first, ..] = hash.as_chunks::<8>().0 else { return 0 };
    Term::from_be_bytes(*first)
}

/// Ways to ask for some of a field's three words.
const MIXTURES: usize = 7;
/// Kinds of fields that are remembered at once.
const MOST_FIELDS: usize = 4096;
