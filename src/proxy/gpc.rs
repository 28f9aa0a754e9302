//! The privacy signal of browsers, Global Privacy Control: what it ends for good, and what is said
//! of it.
//!
//! For the call that carries it, the signal counts in the decision (`Call::gpc`) and goes on to the
//! store (`StoreHeaders`). When the caller is the person itself, it is kept too: before the call is
//! decided, and once.

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::Response;
use http::header;
use hyper::body::Incoming;

use crate::audit::Entry;
use crate::audit::Kind;
use crate::policy::PolicySet;
use crate::protocol::http::privacy_control;
use crate::subjects::Card;
use crate::subjects::consent::Filing;
use crate::subjects::consent::Said;
use crate::types::Consent;
use crate::types::DomainId;
use crate::types::SubjectId;
use crate::types::SubjectStatus;
use crate::types::Timestamp;

use super::body::AnswerBody;
use super::caller::Caller;
use super::error::CallError;
use super::shared::Shared;

/// What a privacy signal means under a policy.
#[derive(Debug)]
pub(crate) struct Gpc {
    opt_outs: Vec<Box<str>>,
    consents: Vec<Box<str>>,
    /// The statement of support, where there is a purpose that the signal ends.
    statement: Option<Bytes>,
}

impl Gpc {
    /// Under `policy`, which is in force since then.
    pub(crate) fn new(policy: &PolicySet, since: Timestamp) -> Self {
        let names = policy.gpc();
        let day: String = since.to_string().chars().take(DATE).collect();
        let statement = format!("{{\"gpc\":true,\"lastUpdate\":\"{day}\"}}\n");
        Self {
            opt_outs: names.opt_outs.into_iter().map(Box::from).collect(),
            consents: names.consents.into_iter().map(Box::from).collect(),
            statement: names.counts.then(|| statement.into()),
        }
    }

    /// What of a card the signal changes, by name; nothing when it says so already.
    fn changes<'a>(&'a self, card: Option<&Card>) -> Changes<'a> {
        let mut changes = Changes::default();
        if card.is_some_and(|card| card.status.contains(SubjectStatus::Erased)) {
            return changes;
        }
        let is_in = |name: &&str| card.is_none_or(|card| !card.opt_outs.contains(*name));
        changes.out = self.opt_outs.iter().map(|name| &**name).filter(is_in).collect();
        for name in &self.consents {
            match card.and_then(|card| card.consents.get(name)) {
                Some(Consent::Refused) => {}
                Some(Consent::Given { .. }) => {
                    changes.refused.push(name);
                    changes.conflict.push(name);
                }
                Some(Consent::Unknown) | None => changes.refused.push(name),
            }
        }
        changes
    }
}

/// What a signal changes.
#[derive(Debug, Default)]
struct Changes<'a> {
    out: Vec<&'a str>,
    refused: Vec<&'a str>,
    /// What the person had said yes to before.
    conflict: Vec<&'a str>,
}

impl Changes<'_> {
    fn is_nothing(&self) -> bool {
        self.out.is_empty() && self.refused.is_empty()
    }

    /// The entry, which says what the signal took back. It wins over an earlier yes, which is told.
    fn entry(&self, facts: &Entry, card: Option<&Card>) -> Entry {
        let mut entry = Entry::new(Kind::Consent);
        entry.request_id.clone_from(&facts.request_id);
        entry.actor = facts.actor;
        entry.reason = Some("gpc".into());
        entry.subjects = card.iter().map(|card| card.token).collect();
        entry.facts.insert("method".into(), "gpc".into());
        let lists =
            [("opt_outs", &self.out), ("refused", &self.refused), ("conflict", &self.conflict)];
        for (name, list) in lists.into_iter().filter(|(_, list)| !list.is_empty()) {
            entry.facts.insert(name.into(), list.join(" ").into());
        }
        entry
    }
}

/// Keeps the signal of a call for the person whose own credential the call carries. `facts`: how
/// entries of the call begin.
///
/// # Errors
/// When it cannot be written down or kept: then the call is not answered either.
pub(crate) async fn keep(
    shared: &Shared,
    caller: &Caller,
    (headers, facts): (&HeaderMap, &Entry),
) -> Result<(), CallError> {
    let snapshot = shared.snapshot();
    let person = caller.principal.identity.subject.as_ref();
    let (Some((domain, id)), Some(_)) = (person, &snapshot.gpc.statement) else { return Ok(()) };
    if !privacy_control(headers) || !snapshot.policy.domains().contains(domain.as_str()) {
        return Ok(());
    }
    let known = shared.cards.cached(domain, id.expose());
    if known.is_some_and(|card| snapshot.gpc.changes(Some(&card)).is_nothing()) {
        return Ok(());
    }
    Box::pin(keep_now(shared, (domain, id), &snapshot.gpc, facts)).await
}

/// One at a time, so that calls of one page that come together write it down once.
async fn keep_now(
    shared: &Shared,
    (domain, id): (&DomainId, &SubjectId),
    gpc: &Gpc,
    facts: &Entry,
) -> Result<(), CallError> {
    let _turn = shared.gpc_turn.lock().await;
    let mut found = Vec::new();
    let wanted = [(domain, id.expose())];
    shared.cards.cards(&wanted, &mut found).await.map_err(CallError::Subjects)?;
    let card = found.pop().flatten();
    let changes = gpc.changes(card.as_deref());
    if changes.is_nothing() {
        return Ok(());
    }
    let entry = changes.entry(facts, card.as_deref());
    let receipt = shared.log.record(entry).await.map_err(CallError::Audit)?;
    for name in &changes.out {
        let done = shared.cards.set_opt_out(domain, id.expose(), name, true).await;
        done.map_err(CallError::Subjects)?;
    }
    for name in &changes.refused {
        let filing = Filing {
            by: facts.actor.map(|actor| actor.to_string()).unwrap_or_default(),
            audit_seq: Some(receipt.index()),
            idempotency_key: None,
        };
        let (person, answer) = ((domain, id.expose()), (*name, Consent::Refused));
        let done = shared.cards.say_consent(person, answer, Said::Signal, filing).await;
        done.map_err(CallError::Subjects)?;
    }
    Ok(())
}

/// The statement that the signal is heeded (Global Privacy Control, § 4), for whoever asks.
pub(crate) fn statement(
    shared: &Shared,
    request: &Request<Incoming>,
) -> Option<Response<AnswerBody>> {
    let is_it =
        request.uri().path() == PLACE && matches!(*request.method(), Method::GET | Method::HEAD);
    if !is_it {
        return None;
    }
    let text = shared.snapshot().gpc.statement.clone()?;
    let is_head = request.method() == Method::HEAD;
    let body = if is_head { AnswerBody::nothing() } else { AnswerBody::words(text) };
    let mut response = Response::new(body);
    let fixed = [
        (header::CONTENT_TYPE, "application/json"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    for (name, value) in fixed {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    Some(response)
}

/// Where browsers and auditors look for it (RFC 8615).
const PLACE: &str = "/.well-known/gpc.json";
/// Of a time as it is written, the date.
const DATE: usize = 10;
