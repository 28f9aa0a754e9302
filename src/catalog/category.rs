//! What fields are: the fideslang categories with the level and the legal flags of each.

use crate::types::CategoryId;
use crate::types::Flags;
use crate::types::Level;

/// What is known of a category.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Category {
    /// Its key, such as `user.contact.email`.
    pub key: &'static str,
    /// Its level.
    pub level: Level,
    /// Its legal flags.
    pub flags: Flags,
}

/// The category with this key.
pub fn find(id: &CategoryId) -> Option<Category> {
    all().find(|category| category.key == id.as_str())
}

/// Whether `id` is `ancestor` or stands below it.
pub fn is_within(id: &CategoryId, ancestor: &CategoryId) -> bool {
    id.as_str()
        .strip_prefix(ancestor.as_str())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Every category, in the order of their keys.
pub fn all() -> impl Iterator<Item = Category> {
    include_str!("categories.tsv").lines().filter_map(|line| {
        let mut parts = line.split('\t');
        let key = parts.next()?;
        let level = Level::parse(parts.next()?)?;
        let words = parts.next().unwrap_or_default();
        let flags = words.split(' ').filter_map(Flags::parse).fold(Flags::NONE, Flags::with);
        Some(Category { key, level, flags })
    })
}
