//! Approvals and broken glass: asked for, agreed to, taken and reviewed by callers themselves.
//!
//! Whoever sends traffic through the gateway comes here with the same token. Every change is in the
//! log before it counts.

use std::sync::Arc;

use axum::extract::Path;
use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http::header;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::audit::ActorToken;
use crate::audit::Entry;
use crate::audit::Filter;
use crate::audit::Kind;
use crate::audit::Strength;
use crate::authn;
use crate::authn::Authenticator;
use crate::authn::AuthnError;
use crate::authn::Principal;
use crate::policy::Clearable;
use crate::policy::ClearanceKind;
use crate::policy::PolicySet;
use crate::protocol::http::ProblemKind;
use crate::subjects::Approval;
use crate::subjects::ApprovalError;
use crate::subjects::Asked;
use crate::subjects::FRESH_MFA_S;
use crate::subjects::Finding;
use crate::subjects::People;
use crate::subjects::ReviewState;
use crate::subjects::Settling;
use crate::types::ClientError;
use crate::types::ErrorKind;
use crate::types::PurposeId;
use crate::types::RuleId;
use crate::types::Timestamp;
use crate::types::told;

use super::accord;
use super::answer::Refused;
use super::answer::json;
use super::audit;
use super::cards::read;
use super::routes::Admin;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    grant: String,
    purpose: Option<String>,
    case: String,
    why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Found {
    finding: Finding,
    note: String,
}

/// Somebody who sends traffic, as they come here.
struct Visitor {
    principal: Arc<Principal>,
    people: People,
    policy: Arc<PolicySet>,
    now: Timestamp,
}

/// Asks for the approval that a grant needs.
pub(super) async fn request(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let visitor = admin.visitor(&headers).await?;
    let wish: Wish = read(&body)?;
    let grant = visitor.grant(&wish.grant, ClearanceKind::Approval)?;
    let asked = visitor.asked(grant, &wish)?;
    let settling = admin.approvals.request(&visitor.people, asked, visitor.now);
    let settling = settling.map_err(|error| refused(&error))?;
    admin.settle(&visitor, (Kind::Admin, "approval_requested"), settling).await
}

/// Breaks glass: the grant counts at once, somebody is told, and somebody looks at it afterwards.
pub(super) async fn break_glass(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let visitor = admin.visitor(&headers).await?;
    let wish: Wish = read(&body)?;
    let grant = visitor.grant(&wish.grant, ClearanceKind::BreakGlass)?;
    let within_s = grant.mfa_within_s().map_or(FRESH_MFA_S, |own| own.min(FRESH_MFA_S));
    admin.require_mfa(&visitor, within_s)?;
    let asked = visitor.asked(grant, &wish)?;
    let settling = admin.approvals.break_glass(&visitor.people, asked, visitor.now);
    let settling = settling.map_err(|error| refused(&error))?;
    let (id, grant) = (settling.id.clone(), settling.row.grant.clone());
    let done = admin.settle(&visitor, (Kind::Alert, "break_glass_opened"), settling).await?;
    tracing::warn!(id = &*id, grant, "somebody broke glass; it must be reviewed");
    Ok(done)
}

/// Lists what the visitor made, and what their roles approve or review.
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let visitor = admin.visitor(&headers).await?;
    let mut rows = admin.approvals.list();
    rows.retain(|(_, row)| visitor.may_see(row));
    rows.sort_by_key(|(_, row)| std::cmp::Reverse(row.asked_at));
    let rows: Vec<Value> = rows.iter().map(|(id, row)| page(id, row, visitor.now)).collect();
    Ok(json(&json!({ "rows": rows })))
}

/// Shows one, with what left under it.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let visitor = admin.visitor(&headers).await?;
    let row = admin.seen(&visitor, &id)?;
    let mut page = page(&id, &row, visitor.now);
    let releases = admin.releases(&id).await?;
    if let Some(page) = page.as_object_mut() {
        page.insert("releases".into(), releases);
    }
    Ok(json(&page))
}

/// Agrees to somebody else's request.
pub(super) async fn approve(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let visitor = admin.visitor(&headers).await?;
    let row = admin.judged(&visitor, &id)?;
    let clearable = visitor.policy.clearable(&row.grant);
    let clearing = clearable.as_ref().map(Clearable::clearing);
    // What the policy says now, or it would not count.
    let same = clearing.filter(|it| it.kind == row.kind() && it.role.as_str() == row.role);
    let Some(clearing) = same else {
        let why = "the policy no longer asks for this approval by this role; ask anew";
        return Err(Refused::new(ProblemKind::Conflict, why));
    };
    let settling = admin.approvals.approve(&id, (&visitor.people, clearing.for_s), visitor.now);
    let settling = settling.map_err(|error| refused(&error))?;
    admin.settle(&visitor, (Kind::Admin, "approval_approved"), settling).await
}

/// Says no to somebody else's request.
pub(super) async fn refuse(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let visitor = admin.visitor(&headers).await?;
    admin.judged(&visitor, &id)?;
    let settling = admin.approvals.refuse(&id, &visitor.people, visitor.now);
    let settling = settling.map_err(|error| refused(&error))?;
    admin.settle(&visitor, (Kind::Admin, "approval_refused"), settling).await
}

/// Takes something back: whoever made it may, and whoever approves or reviews such.
pub(super) async fn revoke(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let visitor = admin.visitor(&headers).await?;
    admin.seen(&visitor, &id)?;
    let settling = admin.approvals.revoke(&id, &visitor.people, visitor.now);
    let settling = settling.map_err(|error| refused(&error))?;
    admin.settle(&visitor, (Kind::Admin, "approval_revoked"), settling).await
}

/// Writes down what somebody else found about a broken glass.
pub(super) async fn review(
    State(admin): State<Arc<Admin>>,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let visitor = admin.visitor(&headers).await?;
    let found: Found = read(&body)?;
    admin.judged(&visitor, &id)?;
    let by = (&visitor.people, found.finding, &*found.note);
    let settling = admin.approvals.review(&id, by, visitor.now);
    let settling = settling.map_err(|error| refused(&error))?;
    admin.settle(&visitor, (Kind::Admin, "break_glass_reviewed"), settling).await
}

impl Visitor {
    /// A grant that needs a clearance of this kind, for a role that the visitor holds. Which others
    /// there are is nobody's business.
    fn grant(&self, name: &str, kind: ClearanceKind) -> Result<Clearable<'_>, Refused> {
        let found = self.policy.clearable(name).filter(|grant| {
            grant.clearing().kind == kind && grant.is_for(&self.principal.identity)
        });
        let Some(grant) = found else {
            let what = format!(
                "no grant of this name has `needs: {{ {} }}` and a role that the token has",
                kind.as_str()
            );
            return Err(Refused::new(ProblemKind::NotFound, what));
        };
        if !grant.is_in_force(self.now) {
            return Err(Refused::new(ProblemKind::Conflict, "the grant is not valid at this time"));
        }
        Ok(grant)
    }

    fn asked<'a>(&self, grant: Clearable<'a>, wish: &'a Wish) -> Result<Asked<'a>, Refused> {
        let purpose = match &wish.purpose {
            None => None,
            Some(name) => {
                let found = grant.purposes().find(|purpose| purpose.as_str() == name);
                let wrong = || {
                    let known: Vec<&str> = grant.purposes().map(PurposeId::as_str).collect();
                    let what = format!("the grant is for {}", known.join(", "));
                    Refused::new(ProblemKind::BadRequest, what)
                };
                Some(found.ok_or_else(wrong)?)
            }
        };
        Ok(Asked { grant, purpose, case: &wish.case, why: &wish.why })
    }

    /// Whether they hold a role.
    fn holds(&self, role: &str) -> bool {
        self.policy.roles_of(&self.principal.identity).any(|held| held.as_str() == role)
    }

    fn may_see(&self, row: &Approval) -> bool {
        row.is_of(&self.people) || self.holds(&row.role)
    }
}

impl Admin {
    /// Whose token the call carries: one that the gateway believes, and one alone.
    async fn visitor(&self, headers: &HeaderMap) -> Result<Visitor, Refused> {
        if headers.contains_key("privet-on-behalf-of") {
            let why = "come here with one token: nobody asks or agrees on behalf of another";
            return Err(Refused::new(ProblemKind::BadRequest, why));
        }
        let mut sent = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (sent.next(), sent.next()) else {
            let why = "send the token of a caller of the gateway as `Authorization: Bearer`, once";
            return Err(Refused::new(ProblemKind::Unauthenticated, why));
        };
        let token = Authenticator::bearer(value.as_bytes()).map_err(|e| unbelieved(&e))?;
        let principal = self.authenticator.token(token).await.map_err(|e| unbelieved(&e))?;
        let people = self.approvals.people(&principal.identity);
        Ok(Visitor { principal, people, policy: self.gateway.policy(), now: self.mfa.now() })
    }

    /// Asks for a second factor that is not older than this (RFC 9470).
    fn require_mfa(&self, visitor: &Visitor, within_s: u64) -> Result<(), Refused> {
        if visitor.principal.identity.has_fresh_mfa(within_s, visitor.now) {
            return Ok(());
        }
        let acr = self.authenticator.mfa_acr(&visitor.principal.issuer);
        let why = "this needs a token that says when a second factor was shown, not long ago";
        Err(Refused::step_up(why, within_s, acr.as_deref()))
    }

    /// A row that the visitor may see.
    fn seen(&self, visitor: &Visitor, id: &str) -> Result<Arc<Approval>, Refused> {
        let row = self.approvals.find(id).filter(|row| visitor.may_see(row));
        row.ok_or_else(|| Refused::new(ProblemKind::NotFound, "there is no such request"))
    }

    /// A row that the visitor may approve, refuse or review: of another person, in the role that it
    /// names, with a fresh second factor.
    fn judged(&self, visitor: &Visitor, id: &str) -> Result<Arc<Approval>, Refused> {
        let row = self.seen(visitor, id)?;
        if !visitor.holds(&row.role) {
            let what = format!("this is for somebody else with the role `{}`", row.role);
            return Err(Refused::new(ProblemKind::Denied, what));
        }
        // A grant that asks for a fresher factor asks it of whoever opens it as well.
        let own = visitor.policy.clearable(&row.grant).and_then(|grant| grant.mfa_within_s());
        self.require_mfa(visitor, own.map_or(FRESH_MFA_S, |own| own.min(FRESH_MFA_S)))?;
        Ok(row)
    }

    /// Writes a change down, makes it, and shows what it came to.
    async fn settle(
        &self,
        visitor: &Visitor,
        (kind, reason): (Kind, &'static str),
        settling: Settling,
    ) -> Result<Response, Refused> {
        let (id, row) = (settling.id.clone(), settling.row.clone());
        let entry = entry(visitor, (&id, &row), self.keys.owner_token(&visitor.people.owner));
        self.write(Entry { kind, reason: Some(reason.into()), ..entry.clone() }).await?;
        if let Err(error) = self.approvals.settle(settling, visitor.now).await {
            // Its entry came first, so that it failed is recorded too.
            self.write(Entry { reason: Some("approval_failed".into()), ..entry }).await?;
            return Err(refused(&error));
        }
        Ok(json(&page(&id, &row, visitor.now)))
    }

    async fn write(&self, entry: Entry) -> Result<(), Refused> {
        self.log.record(entry).await.map(|_| ()).map_err(|error| {
            tracing::error!(error = told(&error), "the audit log cannot be written");
            Refused::new(ProblemKind::Unavailable, "the audit log cannot be written")
        })
    }

    /// What left under a clearance, the newest first.
    async fn releases(&self, id: &str) -> Result<Value, Refused> {
        let filter = Filter {
            clearance: Some(id.to_owned()),
            kind: Some(Kind::Release),
            ..Filter::default()
        };
        let found = audit::look(&self.log, audit::Asked::newest(filter, None, MOST_RELEASES));
        let page = found.await?;
        let rows = page.rows.iter().map(|(index, entry)| {
            json!({
                "index": index,
                "time": entry.time.to_string(),
                "data_set": entry.data_set.as_ref().map(ToString::to_string),
                "purpose": entry.purpose.as_ref().map(ToString::to_string),
                "action": entry.action.map(|action| action.as_str()),
                "records": entry.records,
            })
        });
        Ok(Value::Array(rows.collect()))
    }
}

/// Who does what to which: no name, no reason in words.
fn entry(visitor: &Visitor, (id, row): (&str, &Approval), actor: [u8; 16]) -> Entry {
    let mut entry = Entry::new(Kind::Admin);
    entry.actor = Some(ActorToken(actor));
    entry.strength = Some(match visitor.principal.strength {
        authn::Strength::Certificate => Strength::Certificate,
        authn::Strength::Mfa => Strength::Mfa,
        authn::Strength::Token => Strength::Token,
    });
    entry.roles = visitor.policy.roles_of(&visitor.principal.identity).take(16).cloned().collect();
    entry.purpose = row.purpose.as_deref().and_then(|purpose| PurposeId::parse(purpose).ok());
    entry.rules = RuleId::parse(&row.grant).into_iter().collect();
    entry.policy = Some(visitor.policy.hash());
    let mut fact = |name: &'static str, value: &str| {
        entry.facts.insert(name.into(), value.into());
    };
    fact(row.kind().as_str(), id);
    fact("case", &row.accord.case);
    fact("requested_by", &row.actor);
    if let Some(approver) = &row.approver {
        fact("approved_by", approver);
    }
    if let Some(review) = &row.review {
        fact("finding", review.finding.as_str());
    }
    entry
}

fn page(id: &str, row: &Approval, now: Timestamp) -> Value {
    let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
    let times = row.times();
    let review = match row.review_state(now) {
        ReviewState::None => Value::Null,
        state => json!({
            "state": state.as_str(),
            "due": time(row.review_due()),
            "by": row.review.as_ref().map(|review| &review.by),
            "at": time(row.review.as_ref().map(|review| Timestamp::from_unix_ms(review.at))),
            "finding": row.review.as_ref().map(|review| review.finding.as_str()),
            "note": row.review.as_ref().map(|review| &review.note),
        }),
    };
    let more = [
        ("kind", json!(row.kind().as_str())),
        ("state", json!(row.state(now).as_str())),
        ("grant", json!(row.grant)),
        ("purpose", json!(row.purpose)),
        ("role", json!(row.role)),
        ("requested_at", json!(Timestamp::from_unix_ms(row.asked_at).to_string())),
        ("from", json!(time(times.map(|(from, _)| from)))),
        ("until", json!(time(times.map(|(_, until)| until)))),
        ("ended_by", json!(row.ended().map(|(by, _)| by))),
        ("review", review),
    ];
    accord::page(id, &row.accord, &more)
}

fn unbelieved(error: &AuthnError) -> Refused {
    let kind = match error.kind() {
        ErrorKind::Unavailable | ErrorKind::Internal => ProblemKind::Unavailable,
        _ => ProblemKind::Unauthenticated,
    };
    Refused::new(kind, error.client_message())
}

fn refused(error: &ApprovalError) -> Refused {
    let kind = match error {
        ApprovalError::Accord(error) => accord::kind(*error),
        ApprovalError::Kind(_) | ApprovalError::Ended | ApprovalError::Reviewed => {
            ProblemKind::Conflict
        }
        ApprovalError::Overdue | ApprovalError::TooMany(_) => ProblemKind::Denied,
        ApprovalError::Subjects(source) if source.is_locked() => return Refused::locked(),
        ApprovalError::Subjects(source) => {
            tracing::error!(error = told(source), "the approvals cannot be read or written");
            ProblemKind::Unavailable
        }
    };
    Refused::new(kind, error.to_string())
}

/// What is shown of what left under a clearance; `privet audit search --clearance` shows all.
const MOST_RELEASES: usize = 200;
