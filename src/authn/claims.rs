//! What a verified token says, cut down to what its issuer may assert.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::policy::Identity;
use crate::types::DomainId;
use crate::types::RecipientId;
use crate::types::Region;
use crate::types::SubjectId;
use crate::types::Timestamp;

use super::Allowed;
use super::AuthnError;
use super::IssuerConfig;
use super::json::Json;
use super::json::Map;

/// What a token came to.
#[derive(Debug)]
pub(super) struct Reading {
    /// What the principal may speak for.
    pub(super) identity: Identity,
    /// Whether the token says that a second factor was used, whenever that was.
    pub(super) mfa: bool,
    /// What was not believed: the claim, and why. May hold values of the token: for its holder
    /// only.
    pub(super) ignored: Vec<(String, String)>,
}

/// Checks audience and times, then reads what the issuer is believed about.
pub(super) fn read(
    config: &IssuerConfig,
    claims: &Map,
    now: Timestamp,
) -> Result<Reading, AuthnError> {
    check_audience(config, claims)?;
    let expires = check_times(config, claims, now)?;
    let subject = claims.get("sub").and_then(Json::text).filter(|sub| is_short(sub));
    let subject = subject.ok_or(AuthnError::Malformed { what: "it has no usable `sub`" })?;
    let owner: Arc<str> = format!("{}|{subject}", config.name).into();
    let mut facts = Facts { config, claims, ignored: Vec::new() };
    let mfa = facts.holds("mfa");
    let (purposes, names_purposes) = facts.purposes();
    let mut said = BTreeMap::new();
    said.insert("roles".into(), facts.roles());
    for name in config.claims.keys().filter(|name| !RESERVED.contains(&name.as_str())) {
        said.insert(name.as_str().into(), facts.words(name).unwrap_or_default());
    }
    let identity = Identity {
        owner,
        claims: said,
        purposes,
        names_purposes,
        cleared: Arc::default(),
        region: facts.region(),
        recipient: facts.recipient(),
        mfa_at: mfa.then(|| facts.mfa_at(now)).flatten(),
        ticket: facts.ticket(),
        subject: facts.subject(),
        expires,
    };
    Ok(Reading { identity, mfa, ignored: facts.ignored })
}

/// The default domain of subject ids.
pub(super) const PERSON: &str = "person";

/// The facts that have a meaning of their own; other names under `claims` are free.
pub(super) const RESERVED: &[&str] =
    &["roles", "purposes", "ticket", "subject", "region", "recipient", "mfa"];

fn check_audience(config: &IssuerConfig, claims: &Map) -> Result<(), AuthnError> {
    let meant = match claims.get("aud") {
        Some(Json::Text(audience)) => **audience == *config.audience,
        Some(Json::List(audiences)) => {
            audiences.iter().any(|audience| audience.text() == Some(&config.audience))
        }
        _ => false,
    };
    if meant {
        return Ok(());
    }
    Err(AuthnError::OtherAudience { issuer: config.name.as_str().into() })
}

/// Gives the moment from which the token is no longer believed, leeway included.
fn check_times(
    config: &IssuerConfig,
    claims: &Map,
    now: Timestamp,
) -> Result<Timestamp, AuthnError> {
    let leeway_ms = config.leeway_s.saturating_mul(1000);
    let time = |name: &str, what| match claims.get(name) {
        None => Ok(None),
        Some(time) => match time.seconds() {
            Some(seconds) => Ok(Some(Timestamp::from_unix_s(seconds))),
            None => Err(AuthnError::Malformed { what }),
        },
    };
    let expires = time("exp", "its `exp` is not a time")?
        .ok_or(AuthnError::Malformed { what: "it has no `exp`" })?;
    let issued = time("iat", "its `iat` is not a time")?;
    let starts = time("nbf", "its `nbf` is not a time")?;
    if issued.is_some_and(|issued| issued > expires) {
        return Err(AuthnError::Malformed { what: "it expires before it was issued" });
    }
    if now >= expires.plus_ms(leeway_ms) {
        return Err(AuthnError::Expired);
    }
    let latest = now.plus_ms(leeway_ms);
    if starts.is_some_and(|starts| starts > latest) || issued.is_some_and(|issued| issued > latest)
    {
        return Err(AuthnError::NotYet);
    }
    Ok(expires.plus_ms(leeway_ms))
}

/// Reads facts one at a time, noting what is not believed.
struct Facts<'a> {
    config: &'a IssuerConfig,
    claims: &'a Map,
    ignored: Vec<(String, String)>,
}

impl<'a> Facts<'a> {
    fn roles(&mut self) -> Vec<Box<str>> {
        let words = self.words("roles").unwrap_or_default();
        let may = &self.config.may_assert.roles;
        let (kept, cut) = words.into_iter().partition(|word| may.allows(word));
        self.note_cut("roles", "roles", cut);
        kept
    }

    /// The purposes the token may be used for, and whether it names them. One that names purposes,
    /// however badly, may use only those it names well; one that names none may use what its
    /// issuer may assert: leaving the claim out opens nothing.
    fn purposes(&mut self) -> (Option<Vec<Box<str>>>, bool) {
        let may = &self.config.may_assert.purposes;
        let Some(words) = self.words("purposes") else {
            return match may {
                Allowed::Any => (None, false),
                Allowed::Only(words) => (Some(words.iter().cloned().collect()), false),
            };
        };
        let (kept, cut) = words.into_iter().partition(|word| may.allows(word));
        self.note_cut("purposes", "purposes", cut);
        (Some(kept), true)
    }

    fn ticket(&mut self) -> bool {
        let said = match (self.path("ticket"), self.value("ticket")) {
            (Some(path), _) if path.contains(':') => self.holds("ticket"),
            (_, Some(Json::Text(ticket))) => !ticket.trim().is_empty(),
            (_, Some(Json::Bool(ticket))) => *ticket,
            _ => false,
        };
        if said && !self.config.may_assert.ticket {
            self.note("ticket", "`may_assert` does not have `ticket = true`");
        }
        said && self.config.may_assert.ticket
    }

    fn region(&mut self) -> Option<Region> {
        let said = self.value("region")?;
        let region = said.text().and_then(Region::parse);
        if region.is_none() {
            self.note("region", "it is not a country of two letters");
        }
        region
    }

    /// Whom the caller passes data to. A token that names one its issuer may not assert has none:
    /// the issuer's own recipient is for tokens that are silent.
    fn recipient(&mut self) -> Option<RecipientId> {
        let Some(said) = self.value("recipient") else { return self.config.recipient.clone() };
        let Some(id) = said.text().and_then(|text| RecipientId::parse(text).ok()) else {
            self.note("recipient", "it is not text that can be the id of a recipient");
            return None;
        };
        if self.config.may_assert.recipients.allows(id.as_str()) {
            return Some(id);
        }
        self.note_cut("recipient", "recipients", vec![id.as_str().into()]);
        None
    }

    fn subject(&mut self) -> Option<(DomainId, SubjectId)> {
        let said = self.value("subject")?;
        let id = match said {
            Json::Text(_) | Json::Integer(_) => said.word(),
            _ => None,
        };
        let Some(id) = id.and_then(|id| SubjectId::parse(&id).ok()) else {
            self.note("subject", "it is not text or a whole number that can be a subject id");
            return None;
        };
        let domain = self.config.subject_domain.clone();
        let domain = domain.or_else(|| DomainId::parse(PERSON).ok())?;
        Some((domain, id))
    }

    /// When the second factor was shown. Only `auth_time` says so: the time of issue may be that
    /// of a renewal long after.
    fn mfa_at(&mut self, now: Timestamp) -> Option<Timestamp> {
        let at = self.claims.get("auth_time").and_then(Json::seconds).map(Timestamp::from_unix_s);
        let latest = now.plus_ms(self.config.leeway_s.saturating_mul(1000));
        let at = at.filter(|at| *at <= latest);
        if at.is_none() {
            self.note("mfa", "there is no `auth_time` to say when");
        }
        at
    }

    /// Whether a fact of the form `path:value`, or `path` alone for a truth value, holds.
    fn holds(&self, name: &str) -> bool {
        let Some(path) = self.path(name) else { return false };
        match path.rsplit_once(':') {
            None => find(self.claims, path) == Some(&Json::Bool(true)),
            Some((path, wanted)) => match find(self.claims, path) {
                Some(Json::List(items)) => items.iter().any(|item| item.text() == Some(wanted)),
                Some(said) => said.text() == Some(wanted),
                None => false,
            },
        }
    }

    /// The words of a claim that is one word or a list of them. None when it is not there.
    fn words(&mut self, name: &str) -> Option<Vec<Box<str>>> {
        let said = self.value(name)?;
        let items = match said {
            Json::List(items) => items.as_slice(),
            one => std::slice::from_ref(one),
        };
        let words: Vec<Box<str>> =
            items.iter().filter_map(Json::word).filter(|word| is_short(word)).collect();
        if words.len() != items.len() {
            self.note(name, "part of it is not text of 1 to 256 bytes");
        }
        Some(words)
    }

    fn value(&self, name: &str) -> Option<&'a Json> {
        match (self.path(name), name) {
            (Some(path), _) => find(self.claims, path),
            // What `may_assert` opens has a usual place; everything else must be mapped.
            (None, "roles" | "ticket" | "recipient") => self.claims.get(name),
            (None, "purposes") => {
                self.claims.get("purposes").or_else(|| self.claims.get("purpose"))
            }
            (None, _) => None,
        }
    }

    fn path(&self, name: &str) -> Option<&'a str> {
        self.config.claims.get(name).map(String::as_str)
    }

    fn note(&mut self, name: &str, why: &str) {
        self.ignored.push((name.to_owned(), why.to_owned()));
    }

    fn note_cut(&mut self, name: &str, list: &str, cut: Vec<Box<str>>) {
        let why = format!("`may_assert.{list}` does not list it");
        self.ignored.extend(cut.into_iter().map(|word| (format!("{name}: {word}"), why.clone())));
    }
}

/// What stands at `path`: the member of that very name, or members joined by `.`.
fn find<'a>(claims: &'a Map, path: &str) -> Option<&'a Json> {
    if let Some(value) = claims.get(path) {
        return Some(value);
    }
    let (first, rest) = path.split_once('.')?;
    match claims.get(first)? {
        Json::Map(inner) => find(inner, rest),
        _ => None,
    }
}

fn is_short(text: &str) -> bool {
    (1..=MAX_WORD).contains(&text.len()) && !text.chars().any(char::is_control)
}

const MAX_WORD: usize = 256;
