//! The simplest way to show a record, for tests of policies and of nothing else.

use std::sync::Arc;

use serde_json::Map;
use serde_json::Value;

use crate::catalog::DataSet;
use crate::policy::DatePart;
use crate::policy::Generalize;
use crate::policy::Mask;
use crate::policy::Render;
use crate::policy::View;
use crate::types::PurposeId;

/// Shows records value by value.
pub(super) struct Plain;

impl Render for Plain {
    fn record(
        &self,
        set: &Arc<DataSet>,
        purpose: &PurposeId,
        record: &Value,
        views: &[View],
    ) -> Option<Value> {
        let mut shown = Value::Object(Map::new());
        for ((_, field), view) in set.indexed().zip(views) {
            let names: Vec<&str> = field.path.as_str().split('.').collect();
            copy(record, &mut shown, &names, &|value| change(value, *view, purpose));
        }
        Some(shown)
    }
}

fn copy(from: &Value, to: &mut Value, names: &[&str], change: &dyn Fn(&Value) -> Option<Value>) {
    let (Some((name, rest)), Some(to)) = (names.split_first(), to.as_object_mut()) else { return };
    let bare = name.trim_end_matches("[*]");
    let Some(value) = from.get(bare) else { return };
    if rest.is_empty() {
        if let Some(value) = change(value) {
            to.insert(bare.into(), value);
        }
        return;
    }
    let mut inner = to.get(bare).cloned().unwrap_or(Value::Object(Map::new()));
    copy(value, &mut inner, rest, change);
    if inner.as_object().is_some_and(|inner| !inner.is_empty()) {
        to.insert(bare.into(), inner);
    }
}

fn change(value: &Value, view: View, purpose: &PurposeId) -> Option<Value> {
    let text = value.as_str().unwrap_or_default();
    let chars: Vec<char> = text.chars().collect();
    match view {
        View::Show | View::Generalize(Generalize::Part) => Some(value.clone()),
        View::Generalize(Generalize::Date(part)) => {
            let kept = if part == DatePart::Year { 4 } else { 7 };
            Some(chars.iter().take(kept).collect::<String>().into())
        }
        View::Generalize(Generalize::Number { step }) => {
            value.as_u64().map(|number| (number / step * step).into())
        }
        View::Mask(Mask { keep_first, keep_last, keep_domain }) => {
            let first: String = chars.iter().take(keep_first.into()).collect();
            let last: String =
                chars.iter().skip(chars.len().saturating_sub(keep_last.into())).collect();
            let domain = text.find('@').filter(|_| keep_domain).and_then(|at| text.get(at..));
            Some(format!("{first}***{last}{}", domain.unwrap_or_default()).into())
        }
        View::Pseudonymize(_) => {
            let sum = text.bytes().fold(7_u64, |sum, byte| sum * 31 % 1_000_003 + u64::from(byte));
            Some(format!("ps1_{purpose}_{sum}").into())
        }
        View::Ciphertext | View::Drop => None,
    }
}
