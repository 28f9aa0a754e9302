//! Text for people, in one or several languages.

use std::collections::BTreeMap;

/// Text for people: one text for every language, or one a language tag.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Localized {
    pub(super) any: Option<Box<str>>,
    pub(super) by_language: BTreeMap<Box<str>, Box<str>>,
}

impl Localized {
    /// The same text in every language.
    pub fn plain(text: &str) -> Self {
        Self { any: Some(text.into()), by_language: BTreeMap::new() }
    }

    /// The text in `language` (a tag such as `zh-CN`), else in its main language, else in English,
    /// else in the first language there is.
    pub fn text(&self, language: &str) -> &str {
        let main = language.split('-').next().unwrap_or(language);
        self.any
            .as_ref()
            .or_else(|| self.by_language.get(language))
            .or_else(|| self.by_language.get(main))
            .or_else(|| self.by_language.get("en"))
            .or_else(|| self.by_language.values().next())
            .map_or("", |text| text)
    }
}
