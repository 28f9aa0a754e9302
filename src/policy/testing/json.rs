//! Records of tests as JSON values.

use std::borrow::Cow;

use serde_json::Map;
use serde_json::Value;

use crate::types::FieldPath;
use crate::types::doc::Node;
use crate::types::doc::Value as Written;

/// A value as written, as JSON. Dates stay text.
pub(super) fn json(node: &Node) -> Value {
    match &node.value {
        Written::Bool(value) => Value::Bool(*value),
        Written::List(items) => Value::Array(items.iter().map(json).collect()),
        Written::Map(entries) => {
            let members = entries.iter().map(|e| (String::from(&*e.key), json(&e.node)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Written::Null => Value::Null,
        Written::Number(digits) => {
            serde_json::from_str(digits).unwrap_or_else(|_| Value::String(String::from(&**digits)))
        }
        Written::Text(text) => Value::String(String::from(&**text)),
    }
}

/// The scalar at a path; `None` when it is missing, null, a container or one of several.
pub(super) fn scalar<'a>(record: &'a Value, path: &FieldPath) -> Option<Cow<'a, str>> {
    match at(record, path.as_str())? {
        Value::String(text) => Some(Cow::Borrowed(text)),
        Value::Number(number) => Some(Cow::Owned(number.to_string())),
        Value::Bool(value) => Some(Cow::Borrowed(if *value { "true" } else { "false" })),
        Value::Array(_) | Value::Null | Value::Object(_) => None,
    }
}

/// The value at a path of names.
pub(super) fn at<'a>(record: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(record, |value, name| value.get(name))
}

/// Whether any value stands at a path, in any item of an array on the way.
pub(super) fn any_at(record: &Value, path: &str) -> bool {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let Some(value) = record.get(name.trim_end_matches("[*]")) else { return false };
    let items = match value {
        Value::Array(items) if name.ends_with("[*]") => items.as_slice(),
        other => std::slice::from_ref(other),
    };
    items.iter().any(|item| rest.is_none_or(|rest| any_at(item, rest)))
}

/// Whether `whole` has everything `part` has.
pub(super) fn includes(whole: &Value, part: &Value) -> bool {
    match (whole, part) {
        (Value::Object(whole), Value::Object(part)) => part
            .iter()
            .all(|(name, part)| whole.get(name).is_some_and(|whole| includes(whole, part))),
        (whole, part) => whole == part,
    }
}
