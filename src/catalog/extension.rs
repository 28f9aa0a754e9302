//! Categories that a policy adds to those of fideslang.
//!
//! An extension stands below a category that is known, as fideslang has it (`user.contact.messenger`
//! below `user.contact`). It may be more protected than what it stands below, never less.

use crate::types::CategoryId;
use crate::types::Faults;
use crate::types::Flags;
use crate::types::Level;
use crate::types::Place;
use crate::types::doc::Entry;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::types::doc::closest;

use super::category;

/// More categories than this in one policy are a mistake.
const MAX_OWN: usize = 1_000;

/// The categories that a policy can use: the built-in ones and its own.
#[derive(Debug, Default)]
pub struct Categories {
    own: Vec<Own>,
}

/// A category of the policy's own.
#[derive(Debug)]
struct Own {
    id: CategoryId,
    level: Level,
    flags: Flags,
    place: Place,
}

impl Categories {
    /// Reads the `categories:` parts of all files together, whatever their order. Reports every
    /// fault; a category with faults stands with the level and flags of what it stands below, so
    /// that what names it is not reported as well.
    pub fn read(parts: &[&Node], faults: &mut Faults) -> Self {
        let mut found = Self::default();
        let entries = parts.iter().filter_map(|node| node.map(faults)).flatten();
        let mut entries: Vec<&Entry> = entries.collect();
        // What stands above comes first.
        entries.sort_by(|a, b| a.key.cmp(&b.key));
        if let Some(entry) = entries.get(MAX_OWN) {
            let what = format!("more than {MAX_OWN} categories are added");
            faults.error(&entry.key_place, what, "use those that are there");
            entries.truncate(MAX_OWN);
        }
        for entry in entries {
            let own = found.one(entry, faults);
            found.own.extend(own);
        }
        found
    }

    /// The level and the flags of a category; nothing of one that is not known.
    pub fn find(&self, id: &CategoryId) -> Option<(Level, Flags)> {
        let own = || self.own.iter().find(|own| own.id == *id).map(|own| (own.level, own.flags));
        category::find(id).map(|known| (known.level, known.flags)).or_else(own)
    }

    /// The keys of all of them.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        category::all().map(|known| known.key).chain(self.own.iter().map(|own| own.id.as_str()))
    }

    fn one(&self, entry: &Entry, faults: &mut Faults) -> Option<Own> {
        let id = self.name(entry, faults);
        let mut map = MapReader::new(&entry.node, "a category", faults)?;
        if let Some(node) = map.optional("title") {
            node.localized(faults);
        }
        let (level, flags) = (map.optional("level"), map.optional("flags"));
        map.finish(faults);
        let id = id?;
        let (above, below) = self.above(&id).or_else(|| {
            let what = format!("`{id}` stands below no category that is known");
            let first = id.as_str().rsplit_once('.').map_or(id.as_str(), |(above, _)| above);
            let near = closest(first, self.keys());
            let help = near.map_or_else(
                || "add it below a built-in one, such as `user.contact`".to_owned(),
                |near| format!("did you mean to add it below `{near}`?"),
            );
            faults.error(&entry.key_place, what, help);
            None
        })?;
        let level = level.map_or(below.0, |node| self::level(node, (&above, below.0), faults));
        let flags = flags.map_or(below.1, |node| self::flags(node, (&above, below.1), faults));
        Some(Own { id, level, flags, place: entry.key_place.clone() })
    }

    /// The name, when it is one and new.
    fn name(&self, entry: &Entry, faults: &mut Faults) -> Option<CategoryId> {
        let place = &entry.key_place;
        let id = CategoryId::parse(&entry.key).ok().filter(|id| is_key(id.as_str()));
        let Some(id) = id else {
            let what = format!("`{}` is no category", entry.key);
            faults.error(place, what, "write small letters, digits and `_`, joined by `.`");
            return None;
        };
        if category::find(&id).is_some() {
            let what = format!("`{id}` is built in, and cannot be changed");
            faults.error(place, what, "raise the level of the fields, or add a category below it");
            return None;
        }
        if let Some(first) = self.own.iter().find(|own| own.id == id) {
            let what = format!("category `{id}` stands here for the second time");
            faults.error(place, what, format!("the first is at {}", first.place));
            return None;
        }
        Some(id)
    }

    /// The closest category above, with its level and flags.
    fn above(&self, id: &CategoryId) -> Option<(CategoryId, (Level, Flags))> {
        let mut key = id.as_str();
        while let Some((above, _)) = key.rsplit_once('.') {
            key = above;
            let known = CategoryId::parse(key).ok().and_then(|id| Some((self.find(&id)?, id)));
            if let Some((class, id)) = known {
                return Some((id, class));
            }
        }
        None
    }
}

/// Whether a text is written as fideslang keys are.
fn is_key(text: &str) -> bool {
    text.split('.').all(|part| {
        let mut bytes = part.bytes();
        bytes.next().is_some_and(|first| first.is_ascii_lowercase())
            && bytes.all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'_')
    })
}

fn level(node: &Node, (above, least): (&CategoryId, Level), faults: &mut Faults) -> Level {
    let words = Level::ALL.map(Level::as_str);
    let Some(level) = node.word("level", Level::parse, &words, faults) else { return least };
    if level < least {
        let what = format!("{level} is less than `{above}` has, which is {least}");
        faults.error(&node.place, what, format!("write {least} or more, or leave it out"));
    }
    level.max(least)
}

fn flags(node: &Node, (above, least): (&CategoryId, Flags), faults: &mut Faults) -> Flags {
    let words = Flags::NAMED.map(|(_, word)| word);
    let mut flags = Flags::NONE;
    for item in node.one_or_list() {
        let flag = item.word("flag", Flags::parse, &words, faults);
        flags = flags.with(flag.unwrap_or_default());
    }
    let lost: Vec<&str> =
        least.words().filter(|word| !flags.words().any(|it| it == *word)).collect();
    if !lost.is_empty() {
        let lost = lost.join(", ");
        let what = format!("`{above}` is {lost}, and what stands below it is as well");
        faults.error(&node.place, what, format!("add {lost}, or leave `flags` out"));
    }
    flags.with(least)
}
