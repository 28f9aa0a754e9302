//! Where a call goes: store, data set, route, and what it selects by.

use std::fmt;
use std::sync::Arc;

use http::Method as HttpMethod;

use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::catalog::Found;
use crate::catalog::Matched;
use crate::catalog::Method;
use crate::catalog::Route;
use crate::catalog::Router;
use crate::protocol::http::RequestHead;
use crate::protocol::http::Target;
use crate::types::DataSetId;

use super::config::Place;
use super::error::CallError;
use super::seek::Sought;
use super::shared::Mount;
use super::shared::Shared;
use super::shared::Snapshot;

/// Where a call goes.
pub(crate) struct Routed {
    /// The position of the store among the gateway's.
    pub(crate) store: usize,
    /// The data set.
    pub(crate) set: Arc<DataSet>,
    /// The route.
    pub(crate) route: Arc<Route>,
    /// The fields it selects by, without repetition.
    pub(crate) selects_by: Vec<FieldIx>,
    /// What of that is sealed, and how the store is asked for it.
    pub(crate) sought: Vec<Sought>,
    /// The values of the path's variables: personal data.
    vars: Vec<(FieldIx, String)>,
    /// The data set whose route it is, when it is another one than `set`.
    owner: Option<DataSetId>,
}

impl Routed {
    /// The data set whose route it is.
    pub(crate) fn owner(&self) -> &DataSetId {
        self.owner.as_ref().unwrap_or(&self.set.id)
    }

    /// The same route to the records of `set` that stand beside its own. What it selects by are
    /// fields of its own data set, so it selects those of no other.
    pub(crate) fn beside(&self, set: &Arc<DataSet>) -> Self {
        let is_own = set.id == *self.owner();
        Self {
            store: self.store,
            set: Arc::clone(set),
            route: Arc::clone(&self.route),
            selects_by: if is_own { self.selects_by.clone() } else { Vec::new() },
            // The store was asked for these among the route's own records alone.
            sought: Vec::new(),
            vars: if is_own { self.vars.clone() } else { Vec::new() },
            owner: Some(self.owner().clone()),
        }
    }

    /// What the path says of a field.
    pub(crate) fn variable(&self, field: FieldIx) -> Option<&str> {
        self.vars.iter().find(|(known, _)| *known == field).map(|(_, value)| value.as_str())
    }
}

impl fmt::Debug for Routed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routed").field("route", &self.route.template).finish_non_exhaustive()
    }
}

/// Finds the store of a request and its target there.
///
/// # Errors
/// When no store lies there.
pub(crate) fn store(shared: &Shared, head: &RequestHead) -> Result<(usize, Target), CallError> {
    let host = head.authority.host();
    let by_host = |mount: &Mount| matches!(&mount.place, Place::Host(own) if **own == *host);
    if let Some(store) = shared.stores.iter().position(by_host) {
        return Ok((store, head.target.clone()));
    }
    let below = |mount: &Mount| match &mount.place {
        Place::Host(_) => None,
        Place::Prefix(prefix) => Some((prefix.len(), head.target.below(prefix)?)),
    };
    let candidates = shared.stores.iter().enumerate().filter_map(|(store, it)| {
        let (length, target) = below(it)?;
        Some((length, store, target))
    });
    let longest = candidates.max_by_key(|(length, _, _)| *length);
    longest.map(|(_, store, target)| (store, target)).ok_or(CallError::Route)
}

/// Finds the route of a target, and checks its query parameters.
///
/// # Errors
/// When no route leads there, none with that method, or a parameter is not listed.
pub(crate) fn route(
    snapshot: &Snapshot,
    store: usize,
    target: &Target,
    method: &HttpMethod,
) -> Result<Routed, CallError> {
    let router = snapshot.routers.get(store).ok_or(CallError::Route)?;
    let word = if *method == HttpMethod::HEAD { "GET" } else { method.as_str() };
    let known = Method::parse(word);
    let found = router.find(known.unwrap_or(Method::Get), target.path());
    let matched = match (found, known) {
        (Found::Nothing, _) => return Err(CallError::Route),
        (Found::OtherMethods, _) => {
            return Err(CallError::Method { allow: allowed(router, target.path()) });
        }
        (Found::Route(_), None) => {
            return Err(CallError::Method { allow: allowed(router, target.path()) });
        }
        (Found::Route(matched), Some(_)) => matched,
    };
    let mut selects_by: Vec<FieldIx> = matched.vars.iter().map(|(field, _)| *field).collect();
    for (name, _) in target.query() {
        if !matched.route.knows_parameter(name) {
            return Err(CallError::Parameter { listed: parameters(&matched.route) });
        }
        selects_by.extend(matched.route.finds_by(name));
    }
    selects_by.sort_unstable();
    selects_by.dedup();
    let Matched { set, route, vars } = matched;
    Ok(Routed { store, set, route, selects_by, sought: Vec::new(), vars, owner: None })
}

/// The query parameters a route lists, in words.
fn parameters(route: &Route) -> Box<str> {
    let selecting = route.find_by.iter().map(|(name, _)| name);
    let names: Vec<String> =
        route.query.iter().chain(selecting).map(|name| format!("`{name}`")).collect();
    names.join(", ").into()
}

/// What may be asked at a path where the method asked for may not.
fn allowed(router: &Router, path: &str) -> Box<str> {
    let is_routed = |method: &Method| matches!(router.find(*method, path), Found::Route(_));
    let word = |method: Method| if method == Method::Get { "GET, HEAD" } else { method.as_str() };
    let words: Vec<&str> = Method::ALL.into_iter().filter(is_routed).map(word).collect();
    words.join(", ").into()
}
