//! The health of keys and stores, for `/readyz`.

use crate::api::Check;
use crate::authn::Authenticator;
use crate::keys::KeyRing;
use crate::subjects::Approval;
use crate::subjects::Approvals;
use crate::subjects::ReviewState;
use crate::types::Timestamp;
use crate::upstream::AddressState;
use crate::upstream::Store;

/// Whether values can be opened and sealed. What needs no key is served all the same, and people
/// can be erased: so calls still come here.
pub(super) fn of_keys(keys: &KeyRing) -> Check {
    if keys.is_usable() {
        return Check::passed("keys", "");
    }
    let detail = format!(
        "locked: the root key's provider ({}) did not answer for longer than `cached` of [keys]; \
         calls that need a key are refused until it does",
        keys.provider()
    );
    Check::noted("keys", detail)
}

/// Whether glass was broken that nobody reviewed in time: somebody should look, and data may leave.
pub(super) fn of_reviews(approvals: &Approvals, now: Timestamp) -> Option<Check> {
    let rows = approvals.list();
    let overdue = |row: &Approval| row.review_state(now) == ReviewState::Overdue;
    let count = rows.iter().filter(|(_, row)| overdue(row)).count();
    let detail = format!(
        "{count} times glass was broken and not reviewed in time; `privet approval list` names them"
    );
    (count > 0).then(|| Check::noted("reviews", detail))
}

/// How many addresses of a store are up, and why others are not.
pub(super) fn of_store(store: &Store) -> Check {
    let health = store.health();
    let up = health.addresses.iter().filter(|a| a.state == AddressState::Up).count();
    let mut detail = format!("{} {up} of {} addresses up", health.store, health.addresses.len());
    if let Some(why) = health.addresses.iter().find_map(|a| a.unwell.as_deref()) {
        detail = format!("{detail}: {why}");
    }
    match (up, health.trouble) {
        (_, Some(why)) => Check::noted("store", format!("{detail}, no access token: {why}")),
        (0, None) => Check::noted("store", detail),
        (_, None) => Check::passed("store", detail),
    }
}

/// Tokens of an issuer without keys are refused; those of the others are not.
pub(super) fn of_issuers(authenticator: &Authenticator) -> Vec<Check> {
    let issuers = authenticator.status().into_iter();
    let checks = issuers.map(|issuer| match issuer.keys {
        0 => Check::noted("issuer", format!("{} no keys", issuer.issuer)),
        _ => Check::passed("issuer", format!("{} ok", issuer.issuer)),
    });
    checks.collect()
}
