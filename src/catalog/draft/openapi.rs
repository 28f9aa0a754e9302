//! Reads a description of an HTTP interface: OpenAPI 3 and Swagger 2.
//!
//! Source of the names: <https://spec.openapis.org/oas/v3.1.0> and
//! <https://swagger.io/specification/v2/>. Only references within the document are followed.

use serde_json::Map;
use serde_json::Value;

use super::Draft;
use super::DraftRoute;
use super::DraftSet;
use super::Kinds;
use super::is_name;

/// The data sets that a description's answers in JSON speak of.
pub fn from_openapi(document: &Value) -> Draft {
    let mut draft = Draft::default();
    let Some(paths) = document.get("paths").and_then(Value::as_object) else {
        draft.note("the description has no `paths`".into());
        return draft;
    };
    let about = Document(document);
    for (path, item) in paths {
        let item = about.follow(item);
        for method in METHODS {
            if let Some(operation) = item.get(method.to_ascii_lowercase()) {
                about.operation((method, path), item, operation, &mut draft);
            }
        }
    }
    // The fields of what is changed and removed were read with what is shown.
    draft.sets.retain(|set| !set.fields.is_empty());
    draft
}

#[derive(Clone, Copy)]
struct Document<'d>(&'d Value);

/// Where records stand in an answer, and what one is.
struct Found<'d> {
    records: String,
    schema: &'d Value,
}

impl<'d> Document<'d> {
    fn operation(
        self,
        (method, path): (&'static str, &str),
        item: &'d Value,
        operation: &'d Value,
        draft: &mut Draft,
    ) {
        let Some(name) = set_name(path) else {
            return draft.note(format!("{method} {path}: no word in the path names a data set"));
        };
        let may_wrap = method == "GET" && !path.ends_with('}');
        let found = self.answer(operation).and_then(|schema| self.records(schema, may_wrap));
        if found.is_none() && method == "GET" {
            return draft
                .note(format!("{method} {path}: no answer of records in JSON is described"));
        }
        let query = self.parameters(item, operation);
        let Some(set) = draft.set(&name) else { return };
        let mut records = "$".to_owned();
        if let Some(found) = found {
            let mut way = Way { path: String::new(), schemas: vec![found.schema] };
            self.fields(found.schema, &mut way, set);
            records = found.records;
        }
        set.add_route(DraftRoute { method, template: path.to_owned(), records, query });
    }

    /// The schema of the answer that says it went well.
    fn answer(self, operation: &'d Value) -> Option<&'d Value> {
        let answers = operation.get("responses")?.as_object()?;
        let good = ["200", "201", "2XX", "default"];
        let answer = good.iter().find_map(|status| answers.get(*status))?;
        let answer = self.follow(answer);
        let schema = match answer.get("content").and_then(Value::as_object) {
            Some(content) => {
                let is_json = |kind: &&String| {
                    let kind = kind.split(';').next().unwrap_or_default().trim();
                    kind == "application/json" || kind.ends_with("+json") || kind == "*/*"
                };
                let kind = content.keys().find(is_json)?;
                content.get(kind)?.get("schema")?
            }
            None => answer.get("schema")?,
        };
        Some(self.follow(schema))
    }

    /// Where the records stand: in a list, in a list inside a wrapper, or the answer is one.
    fn records(self, schema: &'d Value, may_wrap: bool) -> Option<Found<'d>> {
        if let Some(items) = schema.get("items") {
            let schema = self.follow(items);
            return self.is_object(schema).then_some(Found { records: "$[*]".into(), schema });
        }
        let properties = self.properties(schema);
        // What has an id is a record itself, and no wrapper around some.
        let has_id = properties.iter().any(|(name, _)| *name == "id");
        let lists = properties.iter().filter_map(|(name, property)| {
            let items = self.follow(self.follow(property).get("items")?);
            self.is_object(items).then_some((*name, items))
        });
        let mut lists = lists.collect::<Vec<_>>().into_iter();
        match (lists.next(), lists.next()) {
            (Some((name, schema)), None) if may_wrap && !has_id && plain(name) => {
                Some(Found { records: format!("$.{name}[*]"), schema })
            }
            _ if properties.is_empty() => None,
            _ => Some(Found { records: "$".into(), schema }),
        }
    }

    /// The names of the parameters of the query.
    fn parameters(self, item: &'d Value, operation: &'d Value) -> Vec<String> {
        let both = [item.get("parameters"), operation.get("parameters")];
        let all = both.into_iter().flatten().filter_map(Value::as_array).flatten();
        let query = all
            .map(|parameter| self.follow(parameter))
            .filter(|parameter| parameter.get("in").and_then(Value::as_str) == Some("query"));
        let names = query.filter_map(|parameter| parameter.get("name").and_then(Value::as_str));
        names.map(str::to_owned).collect()
    }

    /// Every leaf below a schema.
    fn fields(self, schema: &'d Value, way: &mut Way<'d>, set: &mut DraftSet) {
        let named = self.properties(schema).into_iter().filter(|(name, _)| is_name(name));
        for (name, property) in named {
            let property = self.follow(property);
            way.with(name, property, |way| self.field(property, way, set));
        }
    }

    fn field(self, schema: &'d Value, way: &mut Way<'d>, set: &mut DraftSet) {
        let too_deep = way.schemas.len() > DEEPEST || way.is_loop();
        if !too_deep {
            if let Some(items) = schema.get("items") {
                let items = self.follow(items);
                way.path.push_str("[*]");
                way.schemas.push(items);
                return self.field(items, way, set);
            }
            if !self.properties(schema).is_empty() {
                return self.fields(schema, way, set);
            }
        }
        let Some(field) = set.field(&way.path) else { return };
        let is = |kind: &str| match schema.get("type") {
            Some(Value::String(own)) => own == kind,
            Some(Value::Array(all)) => all.iter().any(|own| own.as_str() == Some(kind)),
            _ => false,
        };
        let whole = too_deep || is("object") || is("array");
        let number = is("number") || is("integer");
        field.kinds = Kinds { text: is("string"), number, truth: is("boolean"), whole };
        if let Some(format) = schema.get("format").and_then(Value::as_str) {
            field.looks.described(format);
        }
    }

    fn is_object(self, schema: &'d Value) -> bool {
        !self.properties(schema).is_empty()
    }

    /// The properties of a schema, with those of the schemas it is put together from.
    fn properties(self, schema: &'d Value) -> Vec<(&'d str, &'d Value)> {
        let mut found: Vec<(&str, &Value)> = Vec::new();
        let mut open = vec![schema];
        let mut steps = 0;
        while let Some(schema) = open.pop() {
            steps += 1;
            if steps > MOST_PARTS {
                break;
            }
            let own =
                schema.get("properties").and_then(Value::as_object).into_iter().flat_map(Map::iter);
            for (name, property) in own {
                if !found.iter().any(|(known, _)| *known == name.as_str()) {
                    found.push((name, property));
                }
            }
            let parts = ["allOf", "oneOf", "anyOf"].into_iter().filter_map(|word| schema.get(word));
            let parts = parts.filter_map(Value::as_array).flatten();
            open.extend(parts.map(|part| self.follow(part)));
        }
        found
    }

    /// What a reference within the document stands for; anything else is itself.
    fn follow(self, value: &'d Value) -> &'d Value {
        let mut value = value;
        for _ in 0..DEEPEST {
            let Some(to) = value.get("$ref").and_then(Value::as_str) else { return value };
            let Some(found) = to.strip_prefix('#').and_then(|to| self.0.pointer(to)) else {
                return &Value::Null;
            };
            value = found;
        }
        &Value::Null
    }
}

/// The way to a field: its path and the schemas on it.
struct Way<'d> {
    path: String,
    schemas: Vec<&'d Value>,
}

impl<'d> Way<'d> {
    /// Goes one name down, and comes back.
    fn with(&mut self, name: &str, schema: &'d Value, work: impl FnOnce(&mut Self)) {
        let (length, depth) = (self.path.len(), self.schemas.len());
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(name);
        self.schemas.push(schema);
        work(self);
        self.path.truncate(length);
        self.schemas.truncate(depth);
    }

    /// Whether the last schema stands in itself.
    fn is_loop(&self) -> bool {
        let Some((last, above)) = self.schemas.split_last() else { return false };
        above.iter().any(|schema| std::ptr::eq(*schema, *last))
    }
}

/// The last word of a path that is no variable, as a data set may be called.
pub(super) fn set_name(path: &str) -> Option<String> {
    let mut words = path.rsplit('/').filter(|part| !part.is_empty() && !part.contains(['{', '}']));
    let word: String = words
        .next()?
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '_' { c.to_ascii_lowercase() } else { '_' })
        .collect();
    (!word.trim_matches('_').is_empty()).then_some(word)
}

/// Whether a name can be a step of a selector.
fn plain(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-'))
}

const METHODS: [&str; 5] = ["GET", "POST", "PUT", "PATCH", "DELETE"];
/// Fields deeper than this are taken whole.
const DEEPEST: usize = 16;
/// So many schemas are put together to one.
const MOST_PARTS: usize = 64;
