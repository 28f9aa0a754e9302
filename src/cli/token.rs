//! `privet token`: tokens of the development issuer, and what a token says.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use crate::authn::Authenticator;
use crate::authn::AuthnMetrics;
use crate::authn::DevIssuer;
use crate::authn::Explanation;
use crate::authn::IssuerConfig;
use crate::authn::JwksSource;
use crate::authn::Verdict;
use crate::authn::Wanted;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::policy::PolicySet;
use crate::types::PurposeId;
use crate::types::RecipientId;
use crate::types::doc::closest;
use crate::types::told;

use super::args::MintArgs;
use super::check;
use super::exit::{Exit, Failure, data, tell};
use super::time;

/// Prints a token of the development issuer.
pub(super) fn mint(wish: &MintArgs) -> Result<(), Failure> {
    let loaded = check::load(&wish.config.config)?;
    let Some((issuer, folder)) = loaded.config.authn.issuers.iter().find_map(development) else {
        return Err(Failure::new(
            Exit::Failed,
            "no development issuer here: `privet init` makes one, whose key stands beside its jwks file",
        ));
    };
    warn_of_strange_words(wish, &loaded.policy);
    let wanted = Wanted {
        owner: wish.owner.clone(),
        roles: wish.role.clone(),
        purposes: wish.purpose.clone(),
        subject_id: wish.subject_id.clone(),
        region: wish.region.clone(),
        recipient: wish.recipient.clone(),
        mfa: wish.mfa,
        ticket: wish.ticket.clone(),
        claims: claims(&wish.claim)?,
        ttl_s: time::span(&wish.ttl)?,
    };
    let token = DevIssuer::open(folder)
        .and_then(|signer| signer.mint(issuer, &wanted, SystemClock.now()))
        .map_err(|e| Failure::caused(Exit::Failed, &e))?;
    data(&format!("{token}\n"))
}

/// `NAME=VALUE`, several values of one name together.
fn claims(wished: &[String]) -> Result<Vec<(String, Vec<String>)>, Failure> {
    let mut found: Vec<(String, Vec<String>)> = Vec::new();
    for wish in wished {
        let Some((name, value)) = wish.split_once('=').filter(|(name, _)| !name.is_empty()) else {
            let what = format_args!("`{wish}` is not a claim; write it as team=north");
            return Err(Failure::new(Exit::Usage, what));
        };
        match found.iter_mut().find(|(known, _)| known == name) {
            Some((_, values)) => values.push(value.to_owned()),
            None => found.push((name.to_owned(), vec![value.to_owned()])),
        }
    }
    Ok(found)
}

/// A token may say anything; what the policy does not know opens nothing.
fn warn_of_strange_words(wish: &MintArgs, policy: &PolicySet) {
    let uses = policy.claim_uses();
    let roles: Vec<&str> = uses.iter().filter_map(|used| used.has).collect();
    let purposes: Vec<&str> = policy.purposes().map(PurposeId::as_str).collect();
    let recipients: Vec<&str> = policy.recipients().map(RecipientId::as_str).collect();
    let passed: Vec<String> = wish.recipient.iter().cloned().collect();
    let asked = [
        ("role", &wish.role, roles),
        ("purpose", &wish.purpose, purposes),
        ("recipient", &passed, recipients),
    ];
    for (kind, words, known) in asked {
        for word in words.iter().filter(|word| !known.contains(&word.as_str())) {
            let near = closest(word, known.iter().copied());
            let help = near.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
            tell(&format!("warning: the policy has no {kind} `{word}`{help}"));
        }
    }
}

/// The issuer and folder of a development key.
fn development(issuer: &IssuerConfig) -> Option<(&IssuerConfig, &Path)> {
    let JwksSource::File(jwks) = &issuer.jwks else { return None };
    let folder = jwks.parent()?;
    folder.join(DevIssuer::KEY_FILE).exists().then_some((issuer, folder))
}

/// Says what is read from the token on standard input. The token itself is not repeated.
pub(super) fn explain(config: &Path) -> Result<(), Failure> {
    let loaded = check::load(config)?;
    let mut text = String::new();
    std::io::stdin()
        .take(64 * 1024)
        .read_to_string(&mut text)
        .map_err(|e| Failure::new(Exit::Failed, format_args!("cannot read standard input: {e}")))?;
    if text.trim().is_empty() {
        return Err(Failure::new(
            Exit::Usage,
            "no token on standard input; privet token explain < FILE",
        ));
    }
    let config = loaded.config.authn;
    let authenticator = Authenticator::new(config, Arc::new(SystemClock), AuthnMetrics::default())
        .map_err(|e| {
            Failure::new(Exit::Failed, e.iter().map(|e| told(e)).collect::<Vec<_>>().join("; "))
        })?;
    let explanation = authenticator.explain(text.trim());
    data(&page(&explanation))?;
    match explanation.verdict {
        Verdict::Believed => Ok(()),
        Verdict::Refused(_) => Err(Failure::new(Exit::Refused, "")),
    }
}

fn page(explanation: &Explanation) -> String {
    let mut page = match &explanation.verdict {
        Verdict::Believed => "believed\n".to_owned(),
        Verdict::Refused(why) => format!("refused: {why}\n"),
    };
    let mut line = |name: &str, value: &str| page.push_str(&format!("  {name:<14} {value}\n"));
    if let Some(issuer) = &explanation.issuer {
        line("issuer", issuer);
    }
    if let Some(key) = &explanation.signed_with {
        line("signed", key);
    }
    for (name, value) in &explanation.facts {
        line(name, value);
    }
    for (name, why) in &explanation.ignored {
        line(name, &format!("not believed: {why}"));
    }
    for name in &explanation.unused {
        line(name, "not used");
    }
    page
}
