//! Reads the dataset files of Fides, which many already have.
//!
//! Source of the format: the `Dataset` model of fideslang,
//! <https://ethyca.github.io/fideslang/resources/dataset/>.

use crate::types::CategoryId;
use crate::types::Faults;
use crate::types::doc::Entry;
use crate::types::doc::Node;
use crate::types::doc::Value;

use super::Draft;
use super::DraftSet;
use super::Kinds;
use super::category;
use super::is_name;
use super::set_name;

/// The data sets of a file: one for each collection. What a field is, is taken over; addresses of
/// the store, rules of erasure and masking are not, and each is noted.
pub fn from_fides(file: &Node, faults: &mut Faults) -> Draft {
    let mut draft = Draft::default();
    let found = get(file, "dataset").map(Node::one_or_list).unwrap_or_default();
    if found.is_empty() {
        let help = "a dataset file of Fides begins with `dataset:`";
        faults.error(&file.place.first_line(), "this file has no `dataset`", help);
    }
    for dataset in found {
        let Some(collections) = get(dataset, "collections").and_then(|node| node.list(faults))
        else {
            faults.error(&dataset.place.first_line(), "this dataset has no `collections`", "");
            continue;
        };
        for collection in collections {
            self::collection(collection, &mut draft, faults);
        }
    }
    draft
}

fn collection(node: &Node, draft: &mut Draft, faults: &mut Faults) {
    let name = get(node, "name").and_then(|node| node.text(faults)).and_then(set_name);
    let Some(name) = name else {
        faults.error(&node.place.first_line(), "this collection has no `name`", "");
        return;
    };
    let mut reader = Reader { notes: Vec::new(), faults };
    if let Some(set) = draft.set(&name) {
        for field in get(node, "fields").map(Node::one_or_list).unwrap_or_default() {
            reader.field(field, "", set);
        }
    }
    for word in ["after", "erase_after", "skip_processing", "masking_strategy_override"] {
        if found_in(node, word) {
            reader.notes.push(format!("{name}: `{word}` was not taken over"));
        }
    }
    let notes = reader.notes;
    notes.into_iter().for_each(|note| draft.note(note));
}

struct Reader<'f> {
    notes: Vec<String>,
    faults: &'f mut Faults,
}

impl Reader<'_> {
    fn field(&mut self, node: &Node, above: &str, set: &mut DraftSet) {
        let Some(name) = get(node, "name").and_then(|node| node.text(self.faults)) else {
            self.faults.error(&node.place.first_line(), "this field has no `name`", "");
            return;
        };
        if !is_name(name) {
            self.notes.push(format!("`{name}` cannot be the name of a field"));
            return;
        }
        let meta = get(node, "fides_meta");
        let said = |word: &str| meta.and_then(|meta| get(meta, word));
        let kind = said("data_type").and_then(Node::as_text).unwrap_or_default();
        let list = if kind.ends_with("[]") { "[*]" } else { "" };
        let dot = if above.is_empty() { "" } else { "." };
        let path = format!("{above}{dot}{name}{list}");
        let children = get(node, "fields").map(Node::one_or_list).unwrap_or_default();
        for child in children {
            self.field(child, &path, set);
        }
        if !children.is_empty() {
            return;
        }
        let category = self.category(node, &path);
        if set.about.is_none() && (said("primary_key").is_some() || said("identity").is_some()) {
            let is_id = |category: &CategoryId| category.as_str().starts_with("user.unique_id");
            if category.as_ref().is_some_and(|(category, _)| is_id(category)) {
                set.about = Some(path.clone());
            }
        }
        let Some(field) = set.field(&path) else {
            return self.notes.push(format!("`{path}` cannot be the path of a field"));
        };
        field.kinds = Kinds {
            text: kind.starts_with("string"),
            number: kind.starts_with("integer") || kind.starts_with("float"),
            truth: kind.starts_with("boolean"),
            whole: kind.starts_with("object"),
        };
        field.said = category;
    }

    /// The most protective of the categories that the file names.
    fn category(&mut self, node: &Node, path: &str) -> Option<(CategoryId, String)> {
        let named = get(node, "data_categories").map(Node::one_or_list).unwrap_or_default();
        let mut found: Vec<(CategoryId, String)> = Vec::new();
        for item in named {
            let Some(text) = item.text(self.faults) else { continue };
            match nearest(text) {
                Some(category) if category.as_str() == text => {
                    found.push((category, "said by the file".into()));
                }
                Some(category) => {
                    self.notes.push(format!("`{path}`: `{text}` is taken for `{category}`"));
                    found.push((category, format!("the file says {text}")));
                }
                None => self.notes.push(format!("`{path}`: `{text}` is no known category")),
            }
        }
        let level =
            |(category, _): &(CategoryId, String)| category::find(category).map(|c| c.level);
        let most = found.iter().map(level).max()?;
        found.into_iter().find(|one| level(one) == most)
    }
}

/// The category, or the closest one above it that is known.
fn nearest(text: &str) -> Option<CategoryId> {
    let mut text = text;
    loop {
        let known = CategoryId::parse(text).ok().filter(|id| category::find(id).is_some());
        if known.is_some() {
            return known;
        }
        text = text.rsplit_once('.')?.0;
    }
}

fn found_in(node: &Node, word: &str) -> bool {
    match &node.value {
        Value::Map(entries) => {
            let here = |entry: &Entry| &*entry.key == word || found_in(&entry.node, word);
            entries.iter().any(here)
        }
        Value::List(items) => items.iter().any(|item| found_in(item, word)),
        _ => false,
    }
}

fn get<'n>(node: &'n Node, word: &str) -> Option<&'n Node> {
    let Value::Map(entries) = &node.value else { return None };
    entries.iter().find(|entry| &*entry.key == word).map(|entry| &entry.node)
}
