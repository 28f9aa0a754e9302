//! What an operator may set in a person's card. Ids travel in bodies, never in paths.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use serde::Deserialize;
use serde_json::Value;
use serde_json::json;

use crate::audit::ActorToken;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::keys::Destroyed;
use crate::keys::HighWater;
use crate::policy::PolicySet;
use crate::protocol::http::ProblemKind;
use crate::subjects::Card;
use crate::subjects::SubjectsError;
use crate::types::Consent;
use crate::types::DomainId;
use crate::types::Statuses;
use crate::types::SubjectId;
use crate::types::SubjectStatus;
use crate::types::Timestamp;
use crate::types::doc::closest;
use crate::types::told;

use super::Operator;
use super::OperatorRole;
use super::answer::Refused;
use super::answer::json;
use super::holds;
use super::representatives;
use super::routes::Admin;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Who {
    pub(super) domain: Option<String>,
    pub(super) id: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetStatus {
    domain: Option<String>,
    id: String,
    status: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetConsent {
    domain: Option<String>,
    id: String,
    consent: String,
    given: bool,
    until: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetOptOut {
    domain: Option<String>,
    id: String,
    name: String,
    out: bool,
}

/// A person, read from a body.
pub(super) struct Subject {
    pub(super) domain: DomainId,
    pub(super) id: SubjectId,
}

/// Shows a card. Asking makes none: nothing is known of a person who was never met.
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let (_, _, card) = admin.known_person(&body).await?;
    admin.record(&operator, Kind::Admin, "subject_shown", about(&card)).await?;
    Ok(json(&page(&card, admin.mfa.now())))
}

/// Sets the status.
pub(super) async fn set_status(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let wish: SetStatus = read(&body)?;
    let subject = Subject::read(&admin.gateway.policy(), wish.domain.as_deref(), &wish.id)?;
    if wish.status.split(',').any(|word| word.trim() == SubjectStatus::Held.as_str()) {
        return Err(wrong(HOLDS));
    }
    let settable = Statuses::parse(&wish.status).filter(|s| *s != Statuses::ERASED);
    let Some(status) = settable else {
        return Err(wrong(
            "`status` is `active`, or some of restricted, objected, minor, deceased with \
             commas between them",
        ));
    };
    let card = admin.card(&subject).await?;
    let mut entry = about(&card);
    entry.facts.insert("status".into(), status.to_string().into());
    admin.record(&operator, Kind::Consent, "status_set", entry).await?;
    let done = admin.cards.set_status(&subject.domain, subject.id.expose(), status).await;
    admin.changed(&subject, &operator, done).await
}

/// Records a consent or its withdrawal.
pub(super) async fn set_consent(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let wish: SetConsent = read(&body)?;
    let policy = admin.gateway.policy();
    let subject = Subject::read(&policy, wish.domain.as_deref(), &wish.id)?;
    let name = known("consent", "no purpose asks for it", &wish.consent, &policy.consents())?;
    let consent = if wish.given {
        Consent::given(wish.until.map(Timestamp::from_unix_ms))
    } else {
        Consent::Refused
    };
    let card = admin.card(&subject).await?;
    let mut entry = about(&card);
    entry.facts.insert("consent".into(), name.into());
    entry.facts.insert("given".into(), if wish.given { "true".into() } else { "false".into() });
    admin.record(&operator, Kind::Consent, "consent_set", entry).await?;
    let done = admin.cards.set_consent(&subject.domain, subject.id.expose(), name, consent).await;
    admin.changed(&subject, &operator, done).await
}

/// Records an opt-out, or takes it back.
pub(super) async fn set_opt_out(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let wish: SetOptOut = read(&body)?;
    let policy = admin.gateway.policy();
    let subject = Subject::read(&policy, wish.domain.as_deref(), &wish.id)?;
    let name = known("opt-out", "no purpose offers it", &wish.name, &policy.opt_outs())?;
    let card = admin.card(&subject).await?;
    let mut entry = about(&card);
    entry.facts.insert("opt_out".into(), name.into());
    entry.facts.insert("out".into(), if wish.out { "true".into() } else { "false".into() });
    admin.record(&operator, Kind::Consent, "opt_out_set", entry).await?;
    let done = admin.cards.set_opt_out(&subject.domain, subject.id.expose(), name, wish.out).await;
    admin.changed(&subject, &operator, done).await
}

/// Destroys a person's key. Works while the keys are locked, and as often as it is asked for: what
/// an earlier attempt left is completed.
pub(super) async fn erase_key(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    let who: Who = read(&body)?;
    let subject = Subject::read(&admin.gateway.policy(), who.domain.as_deref(), &who.id)?;
    let (mut entry, was_erased) = match admin.cards.find(&subject.domain, subject.id.expose()).await
    {
        Ok(Some(card)) if card.statuses(admin.mfa.now()).contains(SubjectStatus::Held) => {
            admin.record(&operator, Kind::Key, "key_erasure_refused", about(&card)).await?;
            return Err(held());
        }
        // The erased have no token of their own any more.
        Ok(Some(card)) if card.status.contains(SubjectStatus::Erased) => {
            (Entry::new(Kind::Key), true)
        }
        // Not by their token: the tombstone tells whom it is about, and when. Who compared the two
        // would know for ever whom the token was.
        Ok(Some(_)) => (Entry::new(Kind::Key), false),
        // A tombstone for an id that was mistyped could never be taken back.
        Ok(None) => return Err(Refused::new(ProblemKind::NotFound, UNKNOWN)),
        // A key that cannot be read is destroyed all the same; its token stands inside.
        Err(error) => {
            tracing::warn!(error = told(&error), "the key to destroy cannot be read");
            (Entry::new(Kind::Key), false)
        }
    };
    admin.record(&operator, Kind::Key, "key_erased", entry.clone()).await?;
    let request = ActorToken(admin.keys.owner_token(&operator.name)).to_string();
    match admin.cards.erase(&subject.domain, subject.id.expose(), &request).await {
        Ok(done) => {
            // Before anybody is told, so that an older ledger is noticed from here on.
            let tombstones = admin.keys.high_water().to_string();
            entry.facts.insert(HighWater::FACT.into(), tombstones.into());
            admin.record(&operator, Kind::Key, "key_erasure_done", entry).await?;
            Ok(json(&erased(&done, admin.keys.provider(), was_erased)))
        }
        Err(error) => {
            // Its entry came first, so that it failed is recorded too.
            admin.record(&operator, Kind::Key, "key_erasure_failed", entry).await?;
            if matches!(error, SubjectsError::Held) { Err(held()) } else { Err(state(&error)) }
        }
    }
}

impl Subject {
    /// The domain may be left out where the policy has but one.
    pub(super) fn read(
        policy: &PolicySet,
        domain: Option<&str>,
        id: &str,
    ) -> Result<Self, Refused> {
        let domains = policy.domains();
        let domain = match (domain, domains.first()) {
            (Some(domain), _) => known("domain", "no data set uses it", domain, &domains)?,
            (None, Some(only)) if domains.len() == 1 => only,
            (None, _) => return Err(wrong(format!("say which `domain`; {}", listed(&domains)))),
        };
        let domain = DomainId::parse(domain).map_err(|_| wrong("`domain` is not a word"))?;
        let id = SubjectId::parse(id).map_err(|_| wrong("`id` is not an id"))?;
        Ok(Self { domain, id })
    }
}

impl Admin {
    /// The person a body is about, with their card. Asking makes none.
    pub(super) async fn known_person(
        &self,
        body: &Bytes,
    ) -> Result<(DomainId, SubjectId, Arc<Card>), Refused> {
        let who: Who = read(body)?;
        let subject = Subject::read(&self.gateway.policy(), who.domain.as_deref(), &who.id)?;
        let found = self.cards.find(&subject.domain, subject.id.expose()).await;
        let Some(card) = found.map_err(|e| state(&e))? else {
            return Err(Refused::new(ProblemKind::NotFound, UNKNOWN));
        };
        Ok((subject.domain, subject.id, card))
    }

    pub(super) async fn card(&self, subject: &Subject) -> Result<Arc<Card>, Refused> {
        let mut found = Vec::new();
        let wanted = [(&subject.domain, subject.id.expose())];
        self.cards.cards(&wanted, &mut found).await.map_err(|e| state(&e))?;
        found.pop().flatten().ok_or_else(|| wrong(UNKNOWN))
    }

    /// The card after a change. A change that failed is recorded too: its entry came first.
    pub(super) async fn changed(
        &self,
        subject: &Subject,
        operator: &Operator,
        done: Result<u64, SubjectsError>,
    ) -> Result<Response, Refused> {
        if let Err(error) = done {
            let failed = Entry::new(Kind::Admin);
            self.record(operator, Kind::Admin, "change_failed", failed).await?;
            return Err(refused(&error));
        }
        let mut found = Vec::new();
        let wanted = [(&subject.domain, subject.id.expose())];
        match self.cards.cards(&wanted, &mut found).await {
            // It is done, and what it came to can be shown again once keys are open.
            Err(error) if error.is_locked() => Ok(json(&json!({ "changed": true }))),
            Err(error) => Err(state(&error)),
            Ok(()) => {
                let card = found.pop().flatten().ok_or_else(|| wrong(UNKNOWN))?;
                Ok(json(&page(&card, self.mfa.now())))
            }
        }
    }
}

pub(super) fn read<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<T, Refused> {
    // serde's text names members and types of our own, and a value only where it is not a string.
    serde_json::from_slice(body).map_err(|e| match e.classify() {
        serde_json::error::Category::Data => wrong("the body lacks a member, or has a wrong one"),
        _ => wrong("the body is not JSON"),
    })
}

/// A name that the policy in force uses: one that it does not would be stored and change nothing.
pub(super) fn known<'a>(
    kind: &str,
    why: &str,
    name: &'a str,
    names: &BTreeSet<&str>,
) -> Result<&'a str, Refused> {
    if names.contains(name) {
        return Ok(name);
    }
    let help = match closest(name, names.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? {}", listed(names)),
        None => listed(names),
    };
    // A name that is far too long was no slip of the hand, and is not repeated.
    let said: String = name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
    Err(wrong(format!("the policy has no {kind} `{said}`: {why}; {help}")))
}

fn listed(names: &BTreeSet<&str>) -> String {
    let names: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    if names.is_empty() { "it has none".to_owned() } else { format!("known: {}", names.join(", ")) }
}

pub(super) fn wrong(detail: impl Into<String>) -> Refused {
    Refused::new(ProblemKind::BadRequest, detail)
}

/// What was asked for cannot be, or the state cannot be used.
pub(super) fn refused(error: &SubjectsError) -> Refused {
    match error {
        SubjectsError::Invalid { .. } | SubjectsError::TooMany { .. } => wrong(error.to_string()),
        SubjectsError::Erased => Refused::new(ProblemKind::Conflict, error.to_string()),
        other => state(other),
    }
}

pub(super) fn state(error: &SubjectsError) -> Refused {
    if error.is_locked() {
        return Refused::locked();
    }
    tracing::error!(error = told(error), "a subject card cannot be read or written");
    Refused::new(ProblemKind::Unavailable, "the subject's card cannot be read or written now")
}

fn held() -> Refused {
    let why = "the person is held, which keeps their key; `privet hold list ID` shows why, and `privet hold \
               release HOLD` ends it";
    Refused::new(ProblemKind::Conflict, why)
}

/// What came of an erasure, and what it does not reach.
fn erased(done: &Destroyed, provider: &str, was_erased: bool) -> Value {
    let mut page = json!({
        "status": SubjectStatus::Erased.as_str(),
        "was_erased": was_erased,
        "keys_destroyed": done.keys,
        "copies_of_the_keys_open_until": "the next roll of the epoch, due within `keys.shred_within`",
        "named_in_the_log_until": done.kept_until.map(|until| until.to_string()),
        "remains_in_the_stores": ["blind indexes", "values that are not sealed"],
    });
    if provider == "file"
        && let Some(page) = page.as_object_mut()
    {
        page.insert("destruction".into(), "best effort on this medium".into());
    }
    page
}

pub(super) fn about(card: &Card) -> Entry {
    let mut entry = Entry::new(Kind::Admin);
    entry.subjects.push(card.token);
    entry
}

fn page(card: &Card, now: Timestamp) -> Value {
    let status = card.statuses(now);
    let consents: serde_json::Map<String, Value> = card
        .consents
        .iter()
        .map(|(name, consent)| {
            let answer = match consent {
                Consent::Given { until: None, .. } => json!({ "given": true }),
                Consent::Given { until: Some(until), .. } => {
                    json!({ "given": true, "until": until.to_string() })
                }
                Consent::Refused => json!({ "given": false }),
                Consent::Unknown => json!({ "given": null }),
            };
            (name.to_string(), answer)
        })
        .collect();
    json!({
        "token": card.token.to_string(),
        "status": status.to_string(),
        "holds": card.holds.iter().map(|hold| holds::page(hold, now)).collect::<Vec<_>>(),
        "representatives": representatives::page(card, status, now),
        "consents": consents,
        "opt_outs": card.opt_outs.iter().collect::<Vec<_>>(),
        "version": card.version,
    })
}

const HOLDS: &str = "a hold is no status: place one with `privet hold add ID --case CASE --why WHY`, \
                     and end it with `privet hold release HOLD --why WHY`";
pub(super) const UNKNOWN: &str = "nothing is known about that id";
const LONGEST_NAME: usize = 64;
