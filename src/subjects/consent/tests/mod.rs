//! What the ledger keeps is what decides, and cannot be changed behind its back.

mod histories;
mod keeping;
mod ledger;
mod machine;
mod records;
mod renewal;

use super::ids::Digest;
use super::model::NewConsent;
use super::model::NewEvent;
use super::model::NoticeShown;
use super::model::Process;
use super::words::ConsentState;
use super::words::ConsentType;
use super::words::Entity;
use super::write::Filing;

/// An event of now.
fn event(question: &str, state: ConsentState) -> NewEvent {
    let entity_id = match state {
        ConsentState::Revoked => Entity::Other("shop".into()),
        _ => Entity::Subject,
    };
    NewEvent {
        purpose_key: question.to_owned(),
        state,
        kind: state.allows().then_some(ConsentType::Expressed),
        time: None,
        valid_until: None,
        entity_id,
        method: None,
        evidence: None,
    }
}

/// A record of one question and one event for each of these.
fn asks(events: &[(&str, ConsentState)]) -> NewConsent {
    let process = |(question, _): &(&str, ConsentState)| Process {
        purpose_key: (*question).to_owned(),
        ..Process::default()
    };
    NewConsent {
        process: events.iter().map(process).collect(),
        events: events.iter().map(|(question, state)| event(question, *state)).collect(),
        ..NewConsent::default()
    }
}

fn shown(version: &str) -> NoticeShown {
    NoticeShown {
        id: "shop-privacy".into(),
        version: version.into(),
        url: None,
        sha256: Digest([1; 32]),
        shown_at: None,
    }
}

fn by(operator: &str) -> Filing {
    Filing { by: operator.into(), audit_seq: Some(7), idempotency_key: None }
}

fn keyed(key: &str) -> Filing {
    Filing { idempotency_key: Some(key.into()), ..by("ann") }
}
