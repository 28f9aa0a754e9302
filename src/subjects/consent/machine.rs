//! Which state of a consent may follow which, in words.

use super::error::ConsentError;
use super::words::ConsentState;
use super::words::ConsentState::Expired;
use super::words::ConsentState::Given;
use super::words::ConsentState::Invalidated;
use super::words::ConsentState::Refused;
use super::words::ConsentState::RenewedGiven;
use super::words::ConsentState::RequestDeferred;
use super::words::ConsentState::Requested;
use super::words::ConsentState::Revoked;
use super::words::ConsentState::Unknown;
use super::words::ConsentState::Withdrawn;
use super::words::Entity;

/// What may follow a state of one purpose in one record; `None` stands before the first event.
/// Where validity is over, [`Expired`] stands in the place of what was given.
pub(super) const fn followers(from: Option<ConsentState>) -> &'static [ConsentState] {
    match from {
        None | Some(Unknown) => &[Requested, RequestDeferred, Refused, Given, Invalidated, Unknown],
        Some(Requested) => &[RequestDeferred, Refused, Given, Expired, Invalidated, Unknown],
        Some(RequestDeferred) => &[Requested, Refused, Given, Expired, Invalidated, Unknown],
        Some(Refused) => &[Requested, Given, Invalidated, Unknown],
        Some(Given | RenewedGiven) => {
            &[RenewedGiven, Expired, Withdrawn, Revoked, Invalidated, Unknown]
        }
        Some(Expired) => &[Requested, RenewedGiven, Refused, Expired, Invalidated, Unknown],
        Some(Withdrawn) => &[Requested, Given, Refused, Invalidated, Unknown],
        Some(Revoked) => &[Requested, Given, Refused, Invalidated, Unknown],
        // What was never valid is not renewed: it is asked for anew.
        Some(Invalidated) => &[Requested, Refused, Unknown],
    }
}

/// Whether `to` may follow `from` when `by` says so.
///
/// # Errors
/// When it may not; says what to do instead.
pub(super) fn step(
    from: Option<ConsentState>,
    to: ConsentState,
    by: &Entity,
) -> Result<(), ConsentError> {
    let refuse = |why| Err(ConsentError::Transition { from, to, why });
    match (to, by.is_subject()) {
        (Revoked, true) => return refuse("what the person ends is `Withdrawn`"),
        (Given | RenewedGiven | Refused | Withdrawn | RequestDeferred, false) => {
            return refuse("only `subject` or `guardian` can say this");
        }
        _ => {}
    }
    if followers(from).contains(&to) {
        return Ok(());
    }
    refuse(match (to, from) {
        (Withdrawn, None) => "there is nothing to withdraw; record `Refused`",
        (Withdrawn, Some(Expired)) => "its validity is over already; record `Refused`",
        (Withdrawn | Revoked, _) => "it does not stand any more, or never did",
        (Given, Some(Given | RenewedGiven | Expired)) => "given again is `RenewedGiven`",
        (Refused, Some(Given | RenewedGiven)) => "what was given is taken back by `Withdrawn`",
        (Given | RenewedGiven, Some(Invalidated)) => "ask anew: record `Requested` first",
        (RenewedGiven, _) => "what was not given before cannot be renewed; record `Given`",
        (Requested | RequestDeferred, _) => "there is an answer already; ask in a new record",
        _ => "see the table in docs/consent-states.md",
    })
}
