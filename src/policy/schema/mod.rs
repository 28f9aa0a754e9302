//! JSON Schema of policies and tests, for editors.
//!
//! Tables of words make both schemas. A test holds them against the keys that
//! readers ask for, so that a word cannot be read and not stand in them.

mod shapes;
mod test_shapes;

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use self::shapes::Shape;
use self::shapes::Type;

/// The schema of policies (JSON Schema 2020-12).
pub fn policy() -> Value {
    schema("a policy", "Privet policy")
}

/// The schema of policy tests.
pub fn test() -> Value {
    schema("a policy test", "Privet policy test")
}

/// Every kind of map.
pub(super) fn all() -> impl Iterator<Item = &'static Shape> {
    shapes::SHAPES.iter().chain(test_shapes::SHAPES)
}

fn schema(root: &'static str, title: &str) -> Value {
    let mut found = Map::new();
    let mut open = vec![root];
    while let Some(what) = open.pop() {
        let Some(shape) = all().find(|shape| shape.what == what) else { continue };
        if found.contains_key(&slug(what)) {
            continue;
        }
        found.insert(slug(what), object(shape));
        for (_, of) in shape.keys {
            below(of, &mut open);
        }
        if let Some(of) = &shape.rest {
            below(of, &mut open);
        }
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": title,
        "$ref": format!("#/$defs/{}", slug(root)),
        "$defs": found,
    })
}

fn object(shape: &Shape) -> Value {
    let keys = shape.keys.iter().filter(|(_, of)| !matches!(of, Type::Later));
    let properties: Map<String, Value> =
        keys.map(|(key, of)| ((*key).to_owned(), value(of))).collect();
    let rest = shape.rest.as_ref().map_or(Value::Bool(false), value);
    let mut object = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": rest,
    });
    if !shape.required.is_empty()
        && let Some(map) = object.as_object_mut()
    {
        map.insert("required".into(), json!(shape.required));
    }
    object
}

fn value(of: &Type) -> Value {
    match of {
        Type::Any => json!({}),
        Type::Bool => json!({ "type": "boolean" }),
        Type::Later => Value::Bool(false),
        Type::List(of) => json!({ "type": "array", "items": value(of) }),
        Type::Localized => json!({
            "anyOf": [
                { "type": "string" },
                { "type": "object", "additionalProperties": { "type": "string" } },
            ],
        }),
        Type::Map(what) => json!({ "$ref": format!("#/$defs/{}", slug(what)) }),
        Type::Moment => json!({ "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}" }),
        Type::Names(of) => json!({ "type": "object", "additionalProperties": value(of) }),
        Type::OneOf(types) => json!({ "anyOf": types.iter().map(value).collect::<Vec<_>>() }),
        Type::Region => json!({ "type": "string", "pattern": "^[A-Za-z]{2}$" }),
        Type::Some(of) => {
            json!({ "anyOf": [value(of), { "type": "array", "items": value(of) }] })
        }
        Type::Text => json!({ "type": ["string", "number"] }),
        Type::True => json!({ "const": true }),
        Type::Whole => json!({ "type": "integer", "minimum": 0 }),
        Type::Words(words) => json!({ "enum": words() }),
    }
}

/// The shapes that a type names.
fn below(of: &Type, open: &mut Vec<&'static str>) {
    match of {
        Type::Map(what) => open.push(what),
        Type::List(of) | Type::Names(of) | Type::Some(of) => below(of, open),
        Type::OneOf(types) => types.iter().for_each(|of| below(of, open)),
        Type::Any
        | Type::Bool
        | Type::Later
        | Type::Localized
        | Type::Moment
        | Type::Region
        | Type::Text
        | Type::True
        | Type::Whole
        | Type::Words(_) => {}
    }
}

/// `a data set` as a name in a schema.
fn slug(what: &str) -> String {
    let kept = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    what.trim_matches('`').chars().map(kept).collect()
}
