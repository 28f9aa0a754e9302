//! Counts what stands in sampled answers.

use serde_json::Value;

use super::Draft;
use super::DraftField;
use super::DraftRoute;
use super::DraftSet;
use super::is_name;

impl Draft {
    /// Looks at the first `most` records of an answer of `GET path`: which fields they have, and what
    /// their values look like. Gives the number of records looked at; nothing of them is kept.
    pub fn sample(&mut self, set: &str, path: &str, answer: &Value, most: usize) -> usize {
        let Some((mut records, at)) = records(answer) else {
            self.note(format!("GET {path}: the answer holds no records"));
            return 0;
        };
        let Some(set) = self.set(set) else { return 0 };
        records.truncate(most);
        for record in &records {
            set.sampled = set.sampled.saturating_add(1);
            let mut path = String::new();
            set.look(record, &mut path, 0);
        }
        let template = path.split('?').next().unwrap_or(path).to_owned();
        set.add_route(DraftRoute { method: "GET", template, records: at, query: Vec::new() });
        records.len()
    }

    /// What the data set of a path would be called; `None` when no word of it can be a name.
    pub fn name_of(path: &str) -> Option<String> {
        super::openapi::set_name(path.split('?').next().unwrap_or(path))
    }

    /// The lists that can be asked for without knowing an id, with the names of their data sets.
    pub fn lists(&self) -> Vec<(String, String)> {
        let lists = self.sets.iter().flat_map(|set| {
            let routes = set.routes.iter();
            let open = routes.filter(|it| it.method == "GET" && !it.template.contains('{'));
            open.map(|route| (set.name.clone(), route.template.clone()))
        });
        lists.collect()
    }
}

impl DraftSet {
    fn look(&mut self, value: &Value, path: &mut String, depth: usize) {
        match value {
            Value::Object(members) if depth < DEEPEST && (depth == 0 || !is_map(members)) => {
                for (name, value) in members.iter().filter(|(name, _)| is_name(name)) {
                    let length = path.len();
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(name);
                    self.look(value, path, depth + 1);
                    path.truncate(length);
                }
            }
            Value::Array(items) if depth < DEEPEST => {
                let length = path.len();
                path.push_str("[*]");
                for item in items {
                    self.look(item, path, depth + 1);
                }
                path.truncate(length);
            }
            value => {
                if let Some(field) = self.field(path) {
                    field.look(value);
                }
            }
        }
    }
}

impl DraftField {
    fn look(&mut self, value: &Value) {
        match value {
            Value::Null => {}
            Value::Bool(_) => self.kinds.truth = true,
            Value::Number(number) => {
                self.kinds.number = true;
                self.looks.count(&number.to_string());
            }
            Value::String(text) => {
                self.kinds.text = true;
                self.looks.count(text);
            }
            Value::Array(_) | Value::Object(_) => self.kinds.whole = true,
        }
    }
}

/// The records of an answer and where they stand: a list, the only list in a wrapper, or the
/// answer itself.
fn records(answer: &Value) -> Option<(Vec<&Value>, String)> {
    let objects = |items: &Vec<Value>| items.iter().all(Value::is_object) && !items.is_empty();
    match answer {
        Value::Array(items) => objects(items).then(|| (items.iter().collect(), "$[*]".to_owned())),
        Value::Object(members) => {
            let mut lists = members.iter().filter_map(|(name, value)| {
                value.as_array().filter(|items| objects(items)).map(|items| (name, items))
            });
            match (lists.next(), lists.next()) {
                (Some((name, items)), None) if !members.contains_key("id") => {
                    Some((items.iter().collect(), format!("$.{name}[*]")))
                }
                _ if members.is_empty() => None,
                _ => Some((vec![answer], "$".to_owned())),
            }
        }
        _ => None,
    }
}

/// Whether an object's keys are data rather than names of fields: they could be anybody's id or
/// address, and must not become paths.
fn is_map(members: &serde_json::Map<String, Value>) -> bool {
    let data = |name: &String| {
        name.is_empty()
            || name.len() > 64
            || name.chars().any(|c| c == '@' || c.is_control() || ".[]".contains(c))
            || name.chars().filter(char::is_ascii_digit).count() * 2 > name.chars().count()
            || name.matches('-').count() >= 4
    };
    members.len() > MOST_NAMES || members.keys().any(data)
}

/// Fields deeper than this are taken whole.
const DEEPEST: usize = 16;
/// An object with more members is taken whole.
const MOST_NAMES: usize = 256;
