//! What would be read from a token, in words, for the one who holds it.

use std::sync::Arc;

use crate::types::Timestamp;

use super::authenticator;
use super::claims;
use super::claims::Reading;
use super::issuer::Issuer;
use super::token::Token;

/// What would be read from a token. Holds values of the token: show it only to its holder, never
/// log it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Explanation {
    /// Whether the token would be believed, and if not, why.
    pub verdict: Verdict,
    /// The issuer that it was matched to.
    pub issuer: Option<String>,
    /// The algorithm and key it names.
    pub signed_with: Option<String>,
    /// Each fact that is read: its name and value.
    pub facts: Vec<(String, String)>,
    /// Each claim that is not believed, and why.
    pub ignored: Vec<(String, String)>,
    /// Top-level claims that nothing is read from.
    pub unused: Vec<String>,
}

/// Whether a token would be believed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// Yes.
    Believed,
    /// No, for this reason.
    Refused(String),
}

impl Default for Verdict {
    fn default() -> Self {
        Self::Refused("nothing was read".to_owned())
    }
}

/// Reads a token as a call would, without asking its issuer for keys.
pub(super) fn explain(text: &str, issuers: &[Arc<Issuer>], now: Timestamp) -> Explanation {
    let mut explanation = Explanation::default();
    let token = match Token::read(text) {
        Ok(token) => token,
        Err(error) => return refused(explanation, error.to_string()),
    };
    let kid = token.signed.kid.as_deref().unwrap_or("no named key");
    explanation.signed_with = Some(format!("{} with {kid}", token.signed.algorithm.as_str()));
    let Some(issuer) = issuers.iter().find(|issuer| token.issuer() == Some(&issuer.name)) else {
        let known: Vec<&str> = issuers.iter().map(|issuer| &*issuer.name).collect();
        let known = known.join("`, `");
        return refused(explanation, format!("its `iss` is none of the issuers known: `{known}`"));
    };
    explanation.issuer = Some(issuer.name.to_string());
    explanation.unused = unused(&token, issuer);
    let checked = authenticator::check_signature(issuer, &issuer.keys(), &token)
        .and_then(|()| claims::read(&issuer.config, &token.claims, now));
    match checked {
        Err(error) => refused(explanation, error.to_string()),
        Ok(reading) => {
            explanation.facts = facts(&reading);
            explanation.facts.extend(grace(&reading, issuer, now));
            explanation.ignored = reading.ignored;
            explanation.verdict = Verdict::Believed;
            explanation
        }
    }
}

fn refused(explanation: Explanation, why: String) -> Explanation {
    Explanation { verdict: Verdict::Refused(why), ..explanation }
}

fn facts(reading: &Reading) -> Vec<(String, String)> {
    let identity = &reading.identity;
    let list = |words: &[Box<str>]| match words {
        [] => "none".to_owned(),
        words => words.join(", "),
    };
    let mut facts = vec![("owner".to_owned(), identity.owner.to_string())];
    let mut add = |name: &str, value: String| facts.push((name.to_owned(), value));
    for (name, words) in &identity.claims {
        add(name, list(words));
    }
    add("purposes", identity.purposes.as_deref().map_or("any that is granted".to_owned(), list));
    add("region", identity.region.map_or("unknown".to_owned(), |region| region.to_string()));
    add("recipient", identity.recipient.as_ref().map_or("none".to_owned(), ToString::to_string));
    let mfa = match (reading.mfa, identity.mfa_at) {
        (true, Some(at)) => format!("shown at {at}"),
        (true, None) => "shown, nobody says when".to_owned(),
        (false, _) => "not shown".to_owned(),
    };
    add("second factor", mfa);
    add("ticket", if identity.ticket { "yes" } else { "no" }.to_owned());
    let subject = identity.subject.as_ref();
    add(
        "subject",
        subject.map_or("nobody".to_owned(), |(domain, id)| format!("{domain} {}", id.expose())),
    );
    add("expires", identity.expires.to_string());
    facts
}

/// That a token lives on the leeway alone.
fn grace(reading: &Reading, issuer: &Issuer, now: Timestamp) -> Option<(String, String)> {
    let leeway_s = issuer.config.leeway_s;
    let left_ms = reading.identity.expires.ms_since(now);
    if left_ms > leeway_s.saturating_mul(1000) {
        return None;
    }
    let what = format!(
        "past its `exp`, believed for {} s more (leeway {leeway_s} s)",
        left_ms.div_ceil(1000)
    );
    Some(("leeway".to_owned(), what))
}

/// The top-level claims that neither the settings nor this gateway reads.
fn unused(token: &Token<'_>, issuer: &Issuer) -> Vec<String> {
    let paths = &issuer.config.claims;
    let read = |name: &str| {
        READ_ALWAYS.contains(&name)
            || paths.values().any(|path| {
                path == name
                    || path.split(['.', ':']).next() == Some(name)
                    || path.rsplit_once(':').is_some_and(|(path, _)| path == name)
            })
            || (name == "roles" && !paths.contains_key("roles"))
            || (matches!(name, "ticket" | "recipient") && !paths.contains_key(name))
            || (matches!(name, "purposes" | "purpose") && !paths.contains_key("purposes"))
    };
    token.claims.keys().filter(|name| !read(name)).map(ToString::to_string).collect()
}

const READ_ALWAYS: &[&str] = &["iss", "sub", "aud", "exp", "nbf", "iat", "auth_time"];
