//! Whether a person's records allow a use: at any moment, by what was known at any moment.
//!
//! All events of all records about one question are put in the order of their own times; of two
//! of the same time, what was recorded later comes later. Then
//!
//! - a yes holds until it is over, or until something takes its place;
//! - a no (`Refused`, `Withdrawn`, `Revoked`) ends whatever was given, in whichever record;
//! - `Expired`, `Invalidated` and `Unknown` are about the record they stand in, and end what was
//!   given there;
//! - `Requested` and `RequestDeferred` change no answer;
//! - a yes in a record does not count once the record that takes its place has an answer;
//! - a yes under a notice counts until a version that requires renewal takes effect.

use super::ids::RecordId;
use super::model::ConsentEvent;
use super::model::ConsentRecord;
use super::model::NewConsent;
use super::model::NewEvent;
use super::notices::Notices;
use super::words::ConsentState;
use super::words::ConsentType;
use super::words::Entity;
use crate::types::Timestamp;

/// A moment that is asked about, and the moment whose knowledge counts.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Moment {
    /// Events that happened by then count.
    pub at: Timestamp,
    /// Of those, the ones that were recorded by then.
    pub known_by: Timestamp,
}

impl Moment {
    /// What was decided at a moment: by what was known then.
    pub const fn then(at: Timestamp) -> Self {
        Self { at, known_by: at }
    }
}

/// How a person's consent to one question stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Standing {
    /// What it has come to. Whatever is not certain is `Unknown`.
    pub state: ConsentState,
    /// Until when what was given is valid; without it, until it is taken back.
    pub until: Option<Timestamp>,
    /// When it came to that.
    pub since: Option<Timestamp>,
    /// The record that decides.
    pub record: Option<RecordId>,
    /// Whether it was asked for alone.
    pub separate: bool,
    /// Whether a guardian spoke.
    pub by_guardian: bool,
}

impl Standing {
    /// Nothing is known.
    pub const UNKNOWN: Self = Self {
        state: ConsentState::Unknown,
        until: None,
        since: None,
        record: None,
        separate: false,
        by_guardian: false,
    };

    /// Whether data may be used on this ground.
    pub const fn allows(&self) -> bool {
        self.state.allows()
    }
}

/// How a person's records stand to a question at a moment.
pub fn standing(
    records: &[ConsentRecord],
    notices: &Notices,
    question: &str,
    moment: Moment,
) -> Standing {
    let Some((record, event)) = decider(records, question, moment) else {
        return Standing::UNKNOWN;
    };
    let mut standing = Standing {
        state: event.event.state,
        until: event.event.valid_until,
        since: Some(happened(event)),
        record: Some(record.record_id),
        separate: record.consent.separate,
        by_guardian: event.event.entity_id == Entity::Guardian,
    };
    if standing.state.allows() {
        if standing.until.is_some_and(|until| until <= moment.at) {
            standing.state = ConsentState::Expired;
        }
        let outdated =
            record.consent.notice.as_ref().and_then(|shown| {
                notices.outdated_from((&shown.id, &shown.version), moment.known_by)
            });
        if outdated.is_some_and(|from| from <= moment.at) {
            standing.state = ConsentState::Unknown;
        }
    }
    standing
}

/// The event that decides, and its record. Validity and notices are left to the caller.
pub(super) fn decider<'a>(
    records: &'a [ConsentRecord],
    question: &str,
    moment: Moment,
) -> Option<(&'a ConsentRecord, &'a ConsentEvent)> {
    let mut events: Vec<_> = records
        .iter()
        .filter(|record| record.consent.process.iter().any(|p| p.purpose_key == question))
        .flat_map(|record| record.events.iter().map(move |event| (record, event)))
        .filter(|(record, event)| counts(record, event, question, moment))
        .collect();
    // A stable sort: events of one version stay in their order.
    events.sort_by_key(|(record, event)| {
        (happened(event), event.recorded_at, record.record_id, event.version)
    });
    let (mut decided, mut asked) = (None::<(&ConsentRecord, &ConsentEvent)>, None);
    for (record, event) in &events {
        use ConsentState as S;
        let is_own = decided.is_none_or(|(other, _)| other.record_id == record.record_id);
        match event.event.state {
            S::Requested | S::RequestDeferred => asked = Some((*record, *event)),
            S::Given | S::RenewedGiven => {
                if !gave_way(record, &events, happened(event)) {
                    decided = Some((record, event));
                }
            }
            S::Refused | S::Withdrawn | S::Revoked => decided = Some((record, event)),
            S::Expired | S::Invalidated | S::Unknown if is_own => decided = Some((record, event)),
            S::Expired | S::Invalidated | S::Unknown => {}
        }
    }
    decided.or(asked)
}

/// Whether an event is about the question, had happened and was known, and could be valid.
fn counts(record: &ConsentRecord, event: &ConsentEvent, question: &str, moment: Moment) -> bool {
    let is_valid = !event.event.state.allows()
        || (is_expressed(&record.consent, &event.event)
            && (!record.consent.separate || record.consent.process.len() == 1));
    event.event.purpose_key == question
        && happened(event) <= moment.at
        && event.recorded_at <= moment.known_by
        && is_valid
}

/// Whether a record that takes the place of this one had an answer by then. `events` are those of
/// one question that count.
fn gave_way(
    record: &ConsentRecord,
    events: &[(&ConsentRecord, &ConsentEvent)],
    by: Timestamp,
) -> bool {
    events.iter().any(|(other, event)| {
        other.consent.supersedes == Some(record.record_id)
            && happened(event) <= by
            && is_answer(event.event.state)
    })
}

/// Whether it is the person's answer, or the end of one.
pub(super) const fn is_answer(state: ConsentState) -> bool {
    use ConsentState as S;
    matches!(state, S::Given | S::RenewedGiven | S::Refused | S::Withdrawn | S::Revoked)
}

/// Whether a yes was said, where the law wants it said. Only regimes that are known to let silence
/// count do.
pub(super) fn is_expressed(record: &NewConsent, event: &NewEvent) -> bool {
    let opts_out = || record.regime.as_deref().is_some_and(|of| OPT_OUT_REGIMES.contains(&of));
    match event.kind {
        Some(ConsentType::Expressed | ConsentType::ExplicitlyExpressed) => true,
        Some(ConsentType::Implied) => opts_out(),
        None => false,
    }
}

/// When it happened: never later than it was recorded.
pub(super) fn happened(event: &ConsentEvent) -> Timestamp {
    event.event.time.unwrap_or(event.recorded_at).min(event.recorded_at)
}

/// Regimes under which data may be used until the person says no (California: CCPA § 1798.120).
pub const OPT_OUT_REGIMES: [&str; 3] = ["ccpa", "cpra", "us-ca"];
