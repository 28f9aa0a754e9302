//! Drafts of data sections: what fields there are, and what they seem to be.
//!
//! A draft comes from an interface's description ([`from_openapi`]), from sampled answers
//! ([`Draft::sample`]) or from another tool's file ([`from_fides`]). It holds names and counts,
//! never values. What nobody could classify is written as a comment, so that it stays dropped.

mod fides;

mod looks;
mod openapi;
mod sample;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeMap;

use crate::types::CategoryId;
use crate::types::Level;

use super::category;
use super::guess;
use super::guess::Guess;

pub use self::fides::from_fides;
pub use self::openapi::from_openapi;
pub use self::yaml::Key;

use self::looks::Looks;
use self::openapi::set_name;

/// What a store seems to hold.
#[derive(Debug, Default)]
pub struct Draft {
    sets: Vec<DraftSet>,
    /// What was left out, and why; in the order it was met.
    notes: Vec<String>,
}

/// What one data set seems to be.
#[derive(Debug, Default)]
struct DraftSet {
    /// Its name in the store.
    name: String,
    routes: Vec<DraftRoute>,
    /// By path.
    fields: BTreeMap<String, DraftField>,
    /// Whom a file said its records are about: the path of the id.
    about: Option<String>,
    /// How many records were looked at.
    sampled: u32,
}

/// A route that the store seems to have.
#[derive(Debug)]
struct DraftRoute {
    method: &'static str,
    /// With its variables named as the description names them.
    template: String,
    /// Where the records stand in the answer.
    records: String,
    query: Vec<String>,
}

/// What one field seems to be.
#[derive(Debug, Default)]
struct DraftField {
    /// The kinds of JSON values met or described.
    kinds: Kinds,
    /// What a file said it is.
    said: Option<(CategoryId, String)>,
    looks: Looks,
}

/// Kinds of JSON values.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a kind that was met or not")]
struct Kinds {
    text: bool,
    number: bool,
    truth: bool,
    /// An object or array that is not described any further.
    whole: bool,
}

/// What a field is taken for.
struct Class {
    category: CategoryId,
    /// How sure, in percent.
    confidence: u8,
    why: String,
}

impl Draft {
    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.sets.is_empty()
    }

    /// How many data sets and fields were found, and how many fields have no category.
    pub fn counts(&self) -> (usize, usize, usize) {
        let fields = || self.sets.iter().flat_map(|set| &set.fields);
        let unknown = fields().filter(|(path, field)| field.class(path).is_none()).count();
        (self.sets.len(), fields().count(), unknown)
    }

    fn note(&mut self, what: String) {
        if !self.notes.contains(&what) {
            self.notes.push(what);
        }
    }

    /// The data set of this name; made when there is none.
    fn set(&mut self, name: &str) -> Option<&mut DraftSet> {
        let at = match self.sets.iter().position(|set| set.name == name) {
            Some(at) => at,
            None => {
                self.sets.push(DraftSet { name: name.to_owned(), ..DraftSet::default() });
                self.sets.len() - 1
            }
        };
        self.sets.get_mut(at)
    }
}

impl DraftSet {
    /// The field at this path, when it can be written in a policy and there is room for it.
    fn field(&mut self, path: &str) -> Option<&mut DraftField> {
        crate::types::FieldPath::parse(path).ok()?;
        if !self.fields.contains_key(path) && self.fields.len() >= MAX_FIELDS {
            return None;
        }
        Some(self.fields.entry(path.to_owned()).or_default())
    }

    fn add_route(&mut self, route: DraftRoute) {
        let same =
            |known: &DraftRoute| (known.method, &known.template) == (route.method, &route.template);
        if !self.routes.iter().any(same) {
            self.routes.push(route);
        }
    }
}

impl DraftField {
    /// What the field is taken for. Where name and values point to different categories, the more
    /// protective one counts.
    fn class(&self, path: &str) -> Option<Class> {
        if let Some((category, why)) = &self.said {
            return Some(Class { category: category.clone(), confidence: 100, why: why.clone() });
        }
        let named = guess::by_name(path);
        let seen = self.looks.guess();
        let level = |guess: &Guess| {
            CategoryId::parse(guess.category)
                .ok()
                .and_then(|id| category::find(&id))
                .map(|c| c.level)
        };
        let (guess, why) = match (named, seen) {
            (None, None) => return None,
            (Some(named), None) => (named, format!("by its name, {}", named.what)),
            (None, Some(seen)) => (seen, format!("its values look like {}", seen.what)),
            (Some(named), Some(seen)) if named.category == seen.category => {
                let confidence = named.confidence.max(seen.confidence).saturating_add(5).min(99);
                (Guess { confidence, ..named }, format!("name and values say {}", named.what))
            }
            (Some(named), Some(seen)) => {
                let why =
                    format!("the name says {}, its values look like {}", named.what, seen.what);
                let stricter = level(&seen) > level(&named)
                    || level(&seen) == level(&named) && seen.confidence > named.confidence;
                let guess = if stricter { seen } else { named };
                (Guess { confidence: guess.confidence.min(50), ..guess }, why)
            }
        };
        let category = CategoryId::parse(guess.category).ok()?;
        Some(Class { category, confidence: guess.confidence, why })
    }
}

impl Class {
    fn level(&self) -> Level {
        category::find(&self.category).map_or(Level::Critical, |found| found.level)
    }
}

/// Whether a name can be a step of a path: a dot or bracket in it would be read as a way down.
fn is_name(name: &str) -> bool {
    !name.is_empty() && !name.contains(['.', '[', ']']) && !name.chars().any(char::is_control)
}

/// As many as a data set may have.
const MAX_FIELDS: usize = 4_096;
