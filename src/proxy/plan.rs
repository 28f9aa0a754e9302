//! The decision about a call, and what of it is written down and told.

use std::sync::Arc;

use http::HeaderMap;
use http::HeaderValue;

use crate::audit::Entry;
use crate::audit::FieldView;
use crate::audit::FieldViews;
use crate::audit::Shown;
use crate::audit::Verdict;
use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::catalog::Route;
use crate::policy::Call;
use crate::policy::ClearanceKind;
use crate::policy::Decision;
use crate::policy::Observation;
use crate::policy::Permit;
use crate::policy::Refusal;
use crate::policy::RefusalReason;
use crate::policy::View;
use crate::policy::decide;
use crate::policy::observe;
use crate::types::Action;
use crate::types::Capacities;
use crate::types::RepresentativeKind;
use crate::types::Timestamp;

use super::caller::Caller;
use super::error::CallError;
use super::route::Routed;
use super::shared::Snapshot;

/// The header that names the purpose.
const PURPOSE: &str = "privet-purpose";
/// The longest purpose that is looked up.
const PURPOSE_BYTES: usize = 256;

/// What a decision was asked about, kept so that it can be asked again.
#[derive(Debug)]
pub(crate) struct Question {
    /// Who calls.
    pub(crate) caller: Caller,
    /// Where to.
    pub(crate) routed: Routed,
    /// The purpose named.
    pub(crate) purpose: Option<Box<str>>,
    /// Whether the call carries a privacy signal.
    pub(crate) gpc: bool,
    /// Whether it is about reading, whatever the route's method: what is told of a write is a read.
    pub(crate) is_read: bool,
}

/// Reads the purpose a call names.
///
/// # Errors
/// When it is named twice, or is no text: nobody can say which one is meant.
pub(crate) fn purpose(headers: &HeaderMap) -> Result<Option<Box<str>>, CallError> {
    let mut values = headers.get_all(PURPOSE).iter();
    let Some(first) = values.next() else { return Ok(None) };
    let text = first.to_str().ok().filter(|text| text.len() <= PURPOSE_BYTES);
    match (text, values.next()) {
        (Some(text), None) => Ok(Some(text.trim().into())),
        _ => {
            let refusal = Refusal::new(RefusalReason::UnknownPurpose, &["purpose"]);
            let detail = "one purpose a call: give `Privet-Purpose` once, with one purpose";
            Err(CallError::Refused(refusal.with_detail(detail)))
        }
    }
}

impl Question {
    /// Asks a policy.
    ///
    /// # Errors
    /// When it refuses.
    pub(crate) fn ask(&self, snapshot: &Snapshot, now: Timestamp) -> Result<Permit, CallError> {
        let action = self.routed.route.method.action();
        let action = if self.is_read { Action::Read } else { action };
        self.ask_for((action, self.purpose.as_deref()), snapshot, now)
    }

    /// Asks the policy that gave `write` what of the record the caller may be shown, for the same
    /// purpose; nothing when it may be shown nothing.
    pub(crate) fn ask_read(
        &self,
        snapshot: &Snapshot,
        write: &Permit,
        now: Timestamp,
    ) -> Option<Permit> {
        self.ask_for((Action::Read, Some(write.purpose().as_str())), snapshot, now).ok()
    }

    /// Asks a policy that may only be observed here: the proof that it is, and what it decides.
    pub(crate) fn observe(
        &self,
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Option<(Observation, Decision)> {
        let action = self.routed.route.method.action();
        let asked = (action, self.purpose.as_deref());
        self.with_call(asked, now, |call| observe(call, &snapshot.policy))
    }

    fn with_call<T>(
        &self,
        (action, purpose): (Action, Option<&str>),
        now: Timestamp,
        then: impl FnOnce(&Call<'_>) -> T,
    ) -> T {
        let (own, behalf) = self.caller.identities();
        then(&Call {
            identity: &own,
            on_behalf_of: behalf.as_deref(),
            standing: self.caller.standing,
            purpose,
            set: &self.routed.set,
            route: &self.routed.route,
            action,
            selects_by: &self.routed.selects_by,
            gpc: self.gpc,
            now,
        })
    }

    fn ask_for(
        &self,
        asked: (Action, Option<&str>),
        snapshot: &Snapshot,
        now: Timestamp,
    ) -> Result<Permit, CallError> {
        match self.with_call(asked, now, |call| decide(call, &snapshot.policy)) {
            Decision::Permit(permit) => Ok(permit),
            Decision::Refuse(refusal) => Err(CallError::Refused(refusal)),
        }
    }

    /// Asks another policy than the one that gave `before`, half-way through a call.
    ///
    /// # Errors
    /// When the new policy refuses, or lets the call see anything else than the old one did: what
    /// was sent so far was shaped by the old one.
    pub(crate) fn ask_again(
        &mut self,
        snapshot: &Snapshot,
        before: &Permit,
        now: Timestamp,
    ) -> Result<Permit, CallError> {
        let set = snapshot.set(&self.routed.set.id).ok_or(CallError::PolicyChanged)?;
        let owner = snapshot.set(self.routed.owner()).ok_or(CallError::PolicyChanged)?;
        let old = &self.routed.route;
        let same = |route: &&Arc<Route>| {
            let same_places = route.beside.len() == old.beside.len()
                && route
                    .beside
                    .iter()
                    .zip(&old.beside)
                    .all(|(a, b)| (&a.set, &a.selector) == (&b.set, &b.selector));
            (route.method, &route.template, &route.records, &route.opaque)
                == (old.method, &old.template, &old.records, &old.opaque)
                && same_places
        };
        let route = owner.routes.iter().find(same).ok_or(CallError::PolicyChanged)?;
        if !same_fields(set, &self.routed.set) {
            return Err(CallError::PolicyChanged);
        }
        self.routed.route = Arc::clone(route);
        self.routed.set = Arc::clone(set);
        let is_same = snapshot.policy.hash() == before.policy_hash();
        let permit = self.ask(snapshot, now);
        // Under the same policy it is the caller who lacks something now, and may know what.
        let permit = permit.map_err(|why| if is_same { why } else { CallError::PolicyChanged })?;
        let unchanged = permit.purpose() == before.purpose()
            && permit.widest() == before.widest()
            && permit.grants() == before.grants();
        if unchanged { Ok(permit) } else { Err(CallError::PolicyChanged) }
    }
}

/// Whether two descriptions of a data set number the same fields and people the same way.
fn same_fields(a: &DataSet, b: &DataSet) -> bool {
    let fields = a.fields.len() == b.fields.len()
        && a.fields.iter().zip(&b.fields).all(|(a, b)| {
            (&a.path, &a.category, a.level, a.flags, a.whole, &a.at_rest)
                == (&b.path, &b.category, b.level, b.flags, b.whole, &b.at_rest)
        });
    let subjects = a.subjects.len() == b.subjects.len()
        && a.subjects
            .iter()
            .zip(&b.subjects)
            .all(|(a, b)| (a.field, &a.domain, &a.owns) == (b.field, &b.domain, &b.owns));
    fields && subjects && a.region == b.region
}

/// What of a plan is written down and told, whatever the call: made once, for many calls.
#[derive(Debug)]
pub(crate) struct PlanFacts {
    /// The kinds of data, with the form each is shown in.
    pub(crate) fields: FieldViews,
    /// The `Privet-Fields` header.
    pub(crate) header: HeaderValue,
    /// How many fields have a view, by its rank.
    pub(crate) counts: [u16; View::RANKS],
}

impl PlanFacts {
    /// What the plan of `permit` comes to.
    pub(crate) fn of(permit: &Permit) -> Self {
        let mut counts = [0; View::RANKS];
        for view in permit.widest() {
            if let Some(count) = counts.get_mut(usize::from(view.rank())) {
                *count += 1;
            }
        }
        let header = HeaderValue::try_from(privet_fields(&counts));
        let header = header.unwrap_or(HeaderValue::from_static(""));
        Self { fields: field_views(permit).into(), header, counts }
    }

    /// What it comes to for a file: of all fields only its own leaves, as it is.
    pub(crate) fn of_file(permit: &Permit, field: FieldIx) -> Self {
        let shown = permit.set().get(field).map(|field| FieldView {
            category: field.category.clone(),
            level: field.level,
            view: Shown::Show,
        });
        let fields = shown.into_iter().collect::<Vec<_>>().into();
        let header = HeaderValue::from_static("shown=1");
        Self { fields, header, counts: [1, 0, 0, 0, 0, 0] }
    }
}

/// Writes what was permitted into what becomes the call's entries, but for the kinds of data.
pub(crate) fn describe(permit: &Permit, entry: &mut Entry) {
    entry.decision = Some(Verdict::Permit);
    entry.purpose = Some(permit.purpose().clone());
    entry.basis = Some(permit.basis().as_str().into());
    entry.action = Some(permit.action());
    entry.rules = permit.grants().to_vec();
    entry.policy = Some(permit.policy_hash());
    for kind in [ClearanceKind::Approval, ClearanceKind::BreakGlass] {
        let ids = permit.under().iter().filter(|(of, _)| *of == kind).map(|(_, id)| &**id);
        let ids: Vec<&str> = ids.collect();
        if ids.is_empty() {
            entry.facts.remove(kind.as_str());
        } else {
            entry.facts.insert(kind.as_str().into(), ids.join(" ").into());
        }
    }
}

/// Writes down as what the caller acted for the people it is about.
pub(crate) fn represented(acted: Capacities, entry: &mut Entry) {
    if !acted.is_none() {
        let kinds: Vec<_> = acted.kinds().map(RepresentativeKind::as_str).collect();
        entry.facts.insert("as".into(), kinds.join(",").into());
    }
}

fn field_views(permit: &Permit) -> Vec<FieldView> {
    let mut views: Vec<FieldView> = Vec::with_capacity(permit.widest().len());
    for (field, view) in permit.set().fields.iter().zip(permit.widest()) {
        let view =
            FieldView { category: field.category.clone(), level: field.level, view: shown(*view) };
        if !views.contains(&view) {
            views.push(view);
        }
    }
    views
}

pub(crate) const fn shown(view: View) -> Shown {
    match view {
        View::Show => Shown::Show,
        View::Generalize(_) => Shown::Generalize,
        View::Mask(_) => Shown::Mask,
        View::Pseudonymize(_) => Shown::Pseudonymize,
        View::Ciphertext => Shown::Ciphertext,
        View::Drop => Shown::Drop,
    }
}

/// The `Privet-Fields` of a plan: how many fields are shown in which way.
pub(crate) fn privet_fields(counts: &[u16; View::RANKS]) -> String {
    let words = ["shown", "generalized", "masked", "pseudonymized", "ciphertext", "dropped"];
    let mut text = String::with_capacity(64);
    for (word, count) in words.iter().zip(counts).filter(|(_, count)| **count > 0) {
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(word);
        text.push('=');
        text.push_str(&count.to_string());
    }
    text
}
