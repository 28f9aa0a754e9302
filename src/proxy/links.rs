//! Links of a store's answer, as a client may follow them on the gateway.

use std::fmt;

use http::HeaderValue;

use crate::catalog::Found;
use crate::catalog::Matched;
use crate::catalog::Method;
use crate::protocol::http::Target;
use crate::protocol::http::reroute_location;
use crate::types::DataSetId;

use super::call::Decided;
use super::config::Place;
use super::route::Routed;
use super::seek;
use super::seek::Sought;
use super::shared::Shared;

/// What a call said, against which the links of its answer are held.
pub(crate) struct Links {
    store: usize,
    set: DataSetId,
    target: Target,
    sought: Vec<Sought>,
}

impl fmt::Debug for Links {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Links").field("set", &self.set).finish_non_exhaustive()
    }
}

impl Links {
    /// The links of a call's answer.
    pub(crate) fn new(decided: &Decided) -> Self {
        Self::of(&decided.question.routed, &decided.target)
    }

    /// The links of the answer to a call of `target`.
    pub(crate) fn of(routed: &Routed, target: &Target) -> Self {
        Self {
            store: routed.store,
            set: routed.set.id.clone(),
            target: target.clone(),
            sought: routed.sought.clone(),
        }
    }

    /// Where a redirect leads on the gateway. It must lead to a route of the same data set and say
    /// nothing that the caller did not say: a new value would be one no verdict was given about.
    pub(crate) fn location(&self, shared: &Shared, location: &str) -> Option<HeaderValue> {
        let path = self.reroute(shared, location, |_, value| self.said(value))?;
        HeaderValue::try_from(path).ok()
    }

    /// Where a new record is on the gateway, when the caller said everything in the path but the
    /// record's id, which it is shown.
    pub(crate) fn created(&self, shared: &Shared, location: &str, id: &str) -> Option<HeaderValue> {
        let told = |_: Option<&str>, value: &str| value == id || self.said(value);
        HeaderValue::try_from(self.reroute(shared, location, told)?).ok()
    }

    /// Where a link that the policy lists beside the records leads on the gateway. It must lead to
    /// a route of the same data set; a page's own parameters may be new, since the policy lets
    /// them out, but nothing that selects by a field may be.
    pub(crate) fn beside(&self, shared: &Shared, link: &str) -> Option<String> {
        let on_this_path = link.starts_with('?').then(|| format!("{}{link}", self.target.path()));
        let link = on_this_path.as_deref().unwrap_or(link);
        self.reroute(shared, link, |name, value| name.is_some() || self.said(value))
    }

    /// The path of a link on the gateway. `may_say` is asked about each of its values: with the
    /// parameter's name when it selects nothing.
    fn reroute(
        &self,
        shared: &Shared,
        link: &str,
        may_say: impl Fn(Option<&str>, &str) -> bool,
    ) -> Option<String> {
        let mount = shared.stores.get(self.store)?;
        let urls = &mount.store.config().urls;
        let own: Vec<_> = urls.iter().map(|url| url.authority().clone()).collect();
        let snapshot = shared.snapshot();
        let router = snapshot.routers.get(self.store)?;
        let prefix = match &mount.place {
            Place::Host(_) => "",
            Place::Prefix(prefix) => prefix.trim_end_matches('/'),
        };
        reroute_location(link, &own, |target| {
            let target = &seek::told(target, &self.sought);
            let Found::Route(Matched { set, route, vars, .. }) =
                router.find(Method::Get, target.path())
            else {
                return None;
            };
            let paths = vars.iter().all(|(_, value)| may_say(None, value));
            let queries = target.query().iter().all(|(name, value)| {
                let free = route.finds_by(name).is_none().then_some(&**name);
                route.knows_parameter(name) && may_say(free, value)
            });
            (set.id == self.set && paths && queries)
                .then(|| format!("{prefix}{}", target.path_and_query()))
        })
    }

    /// Whether the caller said a value.
    fn said(&self, value: &str) -> bool {
        self.target.segments().any(|segment| segment == value)
            || self.target.query().iter().any(|(_, own)| own == value)
    }
}
