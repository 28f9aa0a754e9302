//! What two operators agree on, as entries and pages show it.

use serde_json::Map;
use serde_json::Value;
use serde_json::json;

use crate::audit::Entry;
use crate::protocol::http::ProblemKind;
use crate::subjects::Accord;
use crate::subjects::AccordError;
use crate::types::Timestamp;

/// Adds who asked, who agreed, and for which case.
pub(super) fn note(entry: &mut Entry, accord: &Accord) {
    entry.facts.insert("case".into(), accord.case.as_str().into());
    entry.facts.insert("requested_by".into(), accord.requested_by.as_str().into());
    if let Some(approver) = &accord.approved_by {
        entry.facts.insert("approved_by".into(), approver.as_str().into());
    }
}

/// The request with this id, and what more there is to say of it.
pub(super) fn page(id: &str, accord: &Accord, more: &[(&str, Value)]) -> Value {
    let expires = Timestamp::from_unix_ms(accord.expires).to_string();
    let mut page = Map::from_iter([("id".to_owned(), json!(id))]);
    page.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    for (name, value) in [
        ("case", json!(accord.case)),
        ("why", json!(accord.why)),
        ("requested_by", json!(accord.requested_by)),
        ("approved_by", json!(accord.approved_by)),
        ("expires", json!(expires)),
    ] {
        page.insert(name.to_owned(), value);
    }
    Value::Object(page)
}

/// What kind of refusal it is.
pub(super) const fn kind(error: AccordError) -> ProblemKind {
    match error {
        AccordError::Invalid(_) => ProblemKind::BadRequest,
        AccordError::NotFound => ProblemKind::NotFound,
        AccordError::Own | AccordError::NotYours => ProblemKind::Denied,
        AccordError::Conflict | AccordError::Expired | AccordError::Unapproved => {
            ProblemKind::Conflict
        }
    }
}
