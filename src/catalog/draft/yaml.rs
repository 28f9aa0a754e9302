//! Writes a draft as a policy file. What is uncertain stands in comments.

use std::fmt;

use crate::types::Level;

use super::Class;
use super::Draft;
use super::DraftField;
use super::DraftRoute;
use super::DraftSet;
use super::Kinds;

impl Draft {
    /// The draft of a file for the store's data sets, to be read and completed by a person.
    pub fn yaml(&self, store: &str) -> String {
        let mut text = String::from(HEAD);
        for note in &self.notes {
            line(&mut text, format_args!("# left out: {note}"));
        }
        line(&mut text, format_args!("privet: policy/v1\n\ndata:"));
        for set in &self.sets {
            set.write(store, &mut text);
        }
        text
    }
}

/// A field that is written, with what it is taken for.
struct Listed<'d> {
    path: &'d str,
    field: &'d DraftField,
    class: Option<Class>,
    whole: bool,
}

impl DraftSet {
    fn write(&self, store: &str, text: &mut String) {
        let listed = self.listed();
        line(text, format_args!("  {store}.{}:", self.name));
        self.subject(&listed, text);
        if let Some(country) = listed.iter().find(|it| it.path == "country" && it.class.is_some()) {
            let path = country.path;
            line(text, format_args!("    # region: {path}   # if it holds two letters such as CN"));
        }
        if self.routes.is_empty() {
            line(
                text,
                format_args!("    # routes:   # say how the store is asked: the file names none"),
            );
        } else {
            line(text, format_args!("    routes:"));
            for route in &self.routes {
                route.write(&listed, text);
            }
        }
        line(text, format_args!("    fields:"));
        for field in &listed {
            field.write(text);
        }
    }

    /// The leaves as a policy may list them: none within another.
    fn listed(&self) -> Vec<Listed<'_>> {
        let mut found: Vec<Listed<'_>> = Vec::new();
        for (path, field) in &self.fields {
            if found.last().is_some_and(|above| above.whole && is_below(path, above.path)) {
                continue;
            }
            let below = || self.fields.keys().filter(|other| is_below(other, path));
            let has_parts = below().next().is_some();
            if has_parts && !field.kinds.any() {
                // It was only ever empty.
                continue;
            }
            let whole = has_parts || field.kinds.whole;
            let class = match below()
                .filter_map(|part| self.fields.get(part)?.class(part))
                .max_by_key(Class::level)
            {
                Some(part) if has_parts => Some(part),
                _ => field.class(path),
            };
            found.push(Listed { path, field, class, whole });
        }
        found
    }

    /// Whom the records are about. Where nobody can tell, `check` is to ask.
    fn subject(&self, listed: &[Listed<'_>], text: &mut String) {
        let usable =
            |path: &str| listed.iter().any(|it| it.path == path && it.class.is_some() && !it.whole);
        let domain =
            if STAFF.iter().any(|word| self.name.contains(word)) { "employee" } else { "person" };
        let people = PEOPLE.iter().chain(&STAFF).any(|word| self.name.contains(word));
        let own = self.about.as_deref().filter(|path| usable(path));
        let id = ["id", "uuid", "_id"].into_iter().find(|path| people && usable(path));
        let other = || {
            let is_person = |it: &&Listed<'_>| {
                let id = it.class.as_ref().is_some_and(|c| c.category.as_str() == "user.unique_id");
                id && !it.path.contains(['.', '[']) && it.path != "id" && usable(it.path)
            };
            listed.iter().find(is_person).map(|it| it.path)
        };
        let personal =
            |it: &Listed<'_>| it.class.as_ref().is_none_or(|c| c.level() > Level::General);
        match own.or(id).or_else(other) {
            Some(path) => line(
                text,
                format_args!(
                    "    subject: {{ field: {}, domain: {domain} }}   # check: is this whom a record is about?",
                    Key(path)
                ),
            ),
            None if listed.iter().any(personal) => line(
                text,
                format_args!(
                    "    # subject: {{ field: …, domain: {domain} }}   # whom is a record about? `none` only for nobody"
                ),
            ),
            None => line(
                text,
                format_args!(
                    "    subject: none   # check: nothing here seems to be about a person"
                ),
            ),
        }
    }
}

impl DraftRoute {
    fn write(&self, listed: &[Listed<'_>], text: &mut String) {
        let template = match self.template(listed) {
            Ok(template) => template,
            Err(variable) => {
                let call = quoted(&format!("{} {}", self.method, self.template));
                let why = format_args!("which field of a record is {{{variable}}}?");
                return line(text, format_args!("      # - {{ on: {call} }}   # {why}"));
            }
        };
        let call = quoted(&format!("{} {template}", self.method));
        let records = quoted(&self.records);
        let one = self.records == "$" && usable(listed, "id").is_some();
        let written = match self.method {
            "GET" => {
                let (more, refused) = self.parameters(listed);
                let read =
                    format_args!("      - {{ on: {call}, records: {records}{more} }}{refused}");
                return line(text, read);
            }
            "DELETE" => String::new(),
            "POST" if one => format!(", records: {records}, created_id: \"$.id\""),
            "POST" => format!(", records: {records}"),
            _ => ", records: \"$\"".to_owned(),
        };
        let why = "writes: when a grant needs them";
        line(text, format_args!("      # - {{ on: {call}{written} }}   # {why}"));
    }

    /// The path with its variables named after fields; or the variable that no field is named as.
    fn template(&self, listed: &[Listed<'_>]) -> Result<String, &str> {
        let mut template = String::new();
        for part in self.template.split('/').skip(1) {
            template.push('/');
            let variable = part.strip_prefix('{').and_then(|part| part.strip_suffix('}'));
            let Some(variable) = variable else {
                template.push_str(part);
                continue;
            };
            let named = listed.iter().find(|it| same(it.path, variable));
            let last = self.template.ends_with(part);
            let id = || usable(listed, "id").filter(|_| last);
            let field = named.and_then(|it| usable(listed, it.path)).or_else(id).ok_or(variable)?;
            template.extend(["{", field.path, "}"]);
        }
        Ok(template)
    }

    /// What a list may be asked with, and a comment that names what is left out.
    fn parameters(&self, listed: &[Listed<'_>]) -> (String, String) {
        let (mut query, mut find_by, mut left) = (Vec::new(), Vec::new(), Vec::new());
        for name in &self.query {
            match usable(listed, name) {
                _ if PAGING.contains(&name.to_ascii_lowercase().as_str()) => {
                    query.push(Key(name).to_string());
                }
                Some(_) => find_by.push(format!("{}: {}", Key(name), Key(name))),
                None => left.push(name.escape_debug().to_string()),
            }
        }
        let unless_empty = |names: &[String], before: &str, after: &str| match names {
            [] => String::new(),
            names => format!("{before}{}{after}", names.join(", ")),
        };
        let more = unless_empty(&query, ", query: [", "]")
            + &unless_empty(&find_by, ", find_by: { ", " }");
        (more, unless_empty(&left, "   # refused until listed: ", ""))
    }
}

/// The field at a path, when a policy can name it as one value of a record.
fn usable<'l, 'd>(listed: &'l [Listed<'d>], path: &str) -> Option<&'l Listed<'d>> {
    let found = listed.iter().find(|it| it.path == path && it.class.is_some() && !it.whole);
    found.filter(|it| !it.path.contains("[*]"))
}

impl Listed<'_> {
    fn write(&self, text: &mut String) {
        let (key, kinds) = (Key(self.path), self.field.kinds);
        let whole = if self.whole { ", whole: true" } else { "" };
        let Some(class) = &self.class else {
            return line(
                text,
                format_args!(
                    "      # {key}: {{ category: …{whole} }}   # not classified, so it is dropped ({kinds})"
                ),
            );
        };
        let Class { category, confidence, why } = class;
        let level = class.level();
        let check = if *confidence < SURE { "check: " } else { "" };
        line(
            text,
            format_args!(
                "      {key}: {{ category: {category}{whole} }}   # {check}{confidence} %, {why}; {level}"
            ),
        );
    }
}

impl Kinds {
    const fn any(self) -> bool {
        self.text || self.number || self.truth || self.whole
    }
}

impl fmt::Display for Kinds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [
            (self.text, "text"),
            (self.number, "a number"),
            (self.truth, "true or false"),
            (self.whole, "an object or list"),
        ];
        let mut words = words.iter().filter(|(is, _)| *is).map(|(_, word)| *word);
        f.write_str(words.next().unwrap_or("only ever empty"))?;
        words.try_for_each(|word| write!(f, ", {word}"))
    }
}

/// A text as YAML takes it for text: plain where that is certain, else in quotes.
#[derive(Clone, Copy, Debug)]
pub struct Key<'t>(pub &'t str);

impl fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let first = self.0.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
        let word = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"];
        let is_word = word.contains(&self.0.to_ascii_lowercase().as_str());
        if first && self.0.chars().all(plain) && !is_word {
            return f.write_str(self.0);
        }
        f.write_str(&quoted(self.0))
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with(['.', '[']))
}

/// Whether two names differ only in how they are written: `customerId`, `customer_id`.
fn same(a: &str, b: &str) -> bool {
    let letters = |text: &str| -> String {
        text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
    };
    letters(a) == letters(b)
}

fn line(text: &mut String, content: fmt::Arguments<'_>) {
    text.push_str(&content.to_string());
    text.push('\n');
}

const HEAD: &str = "\
# A draft: names and guesses, no policy yet. Look at every line, above all at those that say `check`.
# A field that stands in a comment, or nowhere, is dropped. Nobody sees anything without a grant.
";
/// Names of parameters that choose a page and select no records by what stands in them.
const PAGING: [&str; 10] = [
    "limit",
    "offset",
    "page",
    "per_page",
    "page_size",
    "pagesize",
    "size",
    "cursor",
    "_limit",
    "_page",
];
const PEOPLE: [&str; 15] = [
    "customer",
    "user",
    "member",
    "person",
    "people",
    "patient",
    "client",
    "contact",
    "subscriber",
    "guest",
    "student",
    "account",
    "profile",
    "visitor",
    "lead",
];
const STAFF: [&str; 3] = ["employee", "staff", "worker"];
/// Guesses below this many percent are to be looked at first.
const SURE: u8 = 60;
