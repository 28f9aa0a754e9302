//! What a refused caller is told: words of the policy, and nothing the caller sent.

use std::fmt::Display;

use crate::catalog::FieldIx;
use crate::catalog::Route;
use crate::types::Capacities;
use crate::types::RuleId;

use super::ClearanceKind;
use super::Clearing;
use super::Identity;
use super::PolicySet;
use super::Refusal;
use super::RefusalReason;
use super::compile::role_bit;
use super::decide::Asked;
use super::source::Grant;
use super::source::Holds;
use super::source::Role;

/// What a caller whom no grant covers lacks: a role that is granted anything of the data set, or
/// a purpose that its roles are granted.
pub(super) fn lacks(asked: &Asked<'_>, policy: &PolicySet, identity: &Identity) -> &'static str {
    let roles = Held::of(asked, policy, identity);
    if roles.grants().next().is_some() { "purpose" } else { "role" }
}

/// Says why a call was refused, and what would help.
pub(super) fn explain(
    asked: &Asked<'_>,
    route: &Route,
    policy: &PolicySet,
    refusal: &Refusal,
) -> String {
    let purpose = refusal.purpose.as_ref().map_or("", |purpose| purpose.as_str());
    let rule = refusal.rule.as_ref();
    let text = match refusal.reason {
        RefusalReason::FindBy => find_by(asked, route, policy, refusal),
        RefusalReason::NeedsUnmet => needs(policy, refusal),
        RefusalReason::NoGrant => no_grant(asked, policy, refusal),
        RefusalReason::RowsUnmet => rows(asked, policy, refusal),
        RefusalReason::Limit => {
            format!("limit `{}` refuses this call", rule.map_or("", RuleId::as_str))
        }
        RefusalReason::PurposeNotInToken => {
            format!("the credential may not be used for purpose `{purpose}`")
        }
        RefusalReason::UnknownPurpose if asked.purpose.is_some_and(|it| it.contains(',')) => {
            "one purpose a call: name a single one in `Privet-Purpose`".to_owned()
        }
        RefusalReason::UnknownPurpose if asked.purpose.is_none() => {
            "the purpose of the credential is none of the policy; name one in `Privet-Purpose`"
                .to_owned()
        }
        reason => reason.words().to_owned(),
    };
    if refusal.second {
        return format!("for the credential in `Privet-On-Behalf-Of`: {text}");
    }
    text
}

/// The roles of one credential.
struct Held<'a> {
    asked: &'a Asked<'a>,
    policy: &'a PolicySet,
    claimed: u128,
    may_be: Capacities,
}

impl<'a> Held<'a> {
    fn of(asked: &'a Asked<'a>, policy: &'a PolicySet, identity: &Identity) -> Self {
        let set = policy.sets().get(asked.set);
        let may_be = set.map_or(Capacities::NONE, |set| asked.may_be(identity, set));
        Self { asked, policy, claimed: policy.claimed(&identity.claims), may_be }
    }

    fn has(&self, at: usize) -> bool {
        match self.policy.model().roles.get(at).map(|role| &role.holds) {
            Some(Holds::Claim { .. }) => self.claimed & role_bit(at) != 0,
            Some(Holds::Subject { or }) => self.may_be.meets(Capacities::SELF.or(*or)),
            None => false,
        }
    }

    fn roles(&self) -> impl Iterator<Item = &Role> {
        let roles = self.policy.model().roles.iter().enumerate();
        roles.filter(|(at, _)| self.has(*at)).map(|(_, role)| role)
    }

    /// The grants these roles have on the data set, for whatever purpose.
    fn grants(&self) -> impl Iterator<Item = &Grant> {
        let (set, action) = (self.asked.set, self.asked.action);
        self.policy.model().grants.iter().filter(move |grant| {
            grant.sets.contains(&set)
                && grant.actions.contains(&action)
                && grant.roles.iter().any(|role| self.has(*role))
        })
    }
}

fn no_grant(asked: &Asked<'_>, policy: &PolicySet, refusal: &Refusal) -> String {
    if let Some(rule) = &refusal.rule {
        return format!("grant `{rule}` covers this call, but is not in force at this time");
    }
    let second = asked.on_behalf_of.filter(|_| refusal.second);
    let held = Held::of(asked, policy, second.unwrap_or(asked.identity));
    let roles = listed(held.roles().map(|role| &role.id));
    if roles.is_empty() {
        let claims = listed(policy.role_claims());
        return format!(
            "no role of the policy is recognised in the credential: roles come from the signed \
             claim {claims}, as far as the issuer may assert them"
        );
    }
    let model = policy.model();
    let set = policy.sets().get(asked.set).map_or("", |set| set.id.as_str());
    let (action, purpose) = (asked.action.as_str(), refusal.purpose.as_ref());
    let purpose = purpose.map_or("", |purpose| purpose.as_str());
    let text = format!("no grant for purpose `{purpose}` lets {roles} {action} `{set}`");
    let others = |at: &usize| held.grants().any(|grant| grant.purposes.contains(at));
    let others = (0..model.purposes.len()).filter(others);
    let others = listed(others.filter_map(|at| model.purposes.get(at)).map(|it| &it.id));
    if others.is_empty() {
        return format!("{text}, nor does one for any other purpose; another role is needed");
    }
    format!("{text}; there are grants for {others}")
}

fn needs(policy: &PolicySet, refusal: &Refusal) -> String {
    let Some(grant) = grant(policy, refusal) else {
        return refusal.reason.words().to_owned();
    };
    let needs = refusal.missing.iter().map(|missing| match (*missing, grant.needs.mfa_within_s) {
        ("mfa_within", Some(within_s)) => {
            format!("a second factor shown within {} (`mfa_within`)", duration(within_s))
        }
        ("ticket", _) => {
            "a ticket (the signed claim `ticket`, or the one its issuer's `claims` names)"
                .to_owned()
        }
        (other, _) => match &grant.needs.clearing {
            Some(clearing) if clearing.kind.as_str() == other => cleared(grant, clearing),
            _ => format!("`{other}`"),
        },
    });
    let needs: Vec<String> = needs.collect();
    format!("grant `{}` covers this call, but needs {}", grant.id, needs.join(" and "))
}

/// What somebody does who needs a clearance.
fn cleared(grant: &Grant, clearing: &Clearing) -> String {
    let (role, time) = (&clearing.role, duration(clearing.for_s));
    match clearing.kind {
        ClearanceKind::Approval => format!(
            "the approval of somebody else with the role `{role}`, for {time} (`approval`; ask with \
             `privet approval request --grant {}`)",
            grant.id
        ),
        ClearanceKind::BreakGlass => format!(
            "that you break glass for {time}, which `{role}` reviews afterwards (`break_glass`; \
             `privet approval break-glass --grant {}`)",
            grant.id
        ),
    }
}

fn rows(asked: &Asked<'_>, policy: &PolicySet, refusal: &Refusal) -> String {
    let Some(grant) = grant(policy, refusal) else {
        return refusal.reason.words().to_owned();
    };
    let second = asked.on_behalf_of.filter(|_| refusal.second);
    let claims = &second.unwrap_or(asked.identity).claims;
    let lacking = grant.rows.iter().filter(|row| claims.get(&row.claim).is_none_or(Vec::is_empty));
    let lacking = listed(lacking.map(|row| format!("caller.{}", row.claim)));
    format!(
        "grant `{}` covers this call, but needs the signed claim {lacking}, which the credential \
         does not have or its issuer's `claims` does not name",
        grant.id
    )
}

fn find_by(asked: &Asked<'_>, route: &Route, policy: &PolicySet, refusal: &Refusal) -> String {
    let set = policy.sets().get(asked.set);
    let (Some(ix), Some(set)) = (refusal.field, set) else {
        return refusal.reason.words().to_owned();
    };
    let field = set.get(ix).map_or("", |field| field.path.as_str());
    let purpose = refusal.purpose.as_ref().map_or("", |purpose| purpose.as_str());
    let selector = selector(route, ix, field);
    format!(
        "{selector} selects by `{field}`, which no grant that covers this call for `{purpose}` \
         shows or lists under `find_by`"
    )
}

/// What of a route selects by a field, as the policy writes it.
fn selector(route: &Route, ix: FieldIx, field: &str) -> String {
    if route.variables().any(|variable| variable == ix) {
        return format!("`{{{field}}}` in the path");
    }
    let parameter = route.find_by.iter().find(|(_, by)| *by == ix);
    parameter.map_or_else(|| "the call".to_owned(), |(name, _)| format!("parameter `{name}`"))
}

fn grant<'p>(policy: &'p PolicySet, refusal: &Refusal) -> Option<&'p Grant> {
    let rule = refusal.rule.as_ref()?;
    policy.model().grants.iter().find(|grant| grant.id == *rule)
}

fn listed<T: Display>(words: impl Iterator<Item = T>) -> String {
    let words: Vec<String> = words.map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

fn duration(seconds: u64) -> String {
    let (count, unit) = match seconds {
        s if s % 3600 == 0 => (s / 3600, "hour"),
        s if s % 60 == 0 => (s / 60, "minute"),
        s => (s, "second"),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}
