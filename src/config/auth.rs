//! `auth` of a `[[store]]`: what the gateway shows a store of itself.

use http::Uri;

use crate::net::ClientIdentity;
use crate::net::is_this_machine;
use crate::types::Faults;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::upstream::Bearer;
use crate::upstream::OAuth;
use crate::upstream::StoreUrl;

use super::paths::Paths;

/// A certificate, a token, or both.
pub(super) struct Auth {
    pub(super) identity: Option<ClientIdentity>,
    pub(super) bearer: Option<Bearer>,
}

/// Reads `auth`. Secrets are named by file alone.
pub(super) fn read(node: &Node, paths: &Paths, faults: &mut Faults) -> Option<Auth> {
    let mut map = MapReader::new(node, "`auth`", faults)?;
    let file = map.optional("bearer_file");
    let oauth = map.optional("oauth");
    let pair = (map.optional("client_cert"), map.optional("client_key_file"));
    map.finish(faults);
    if file.is_none() && oauth.is_none() && matches!(pair, (None, None)) {
        let help = "write `bearer_file`, `oauth`, or `client_cert` and `client_key_file`";
        faults.error(&node.place.first_line(), "`auth` shows the store nothing", help);
        return None;
    }
    let bearer = match (file, oauth) {
        (Some(file), Some(_)) => {
            let help = "a store is shown one token; write one of them";
            super::conflict(&file.place, "`bearer_file` beside `oauth`", help, faults);
            return None;
        }
        (Some(file), None) => Some(Bearer::File(paths.read(file, faults)?)),
        (None, Some(node)) => Some(Bearer::OAuth(token_service(node, paths, faults)?)),
        (None, None) => None,
    };
    Some(Auth { identity: identity(node, pair, paths, faults), bearer })
}

/// What an address must be for `auth` to reach it and nobody else.
pub(super) fn fits(node: &Node, urls: &[StoreUrl], auth: Option<&Auth>, faults: &mut Faults) {
    let Some(auth) = auth else { return };
    if auth.identity.is_some() && urls.iter().any(|url| !url.is_tls()) {
        let what = "`client_cert` is shown over TLS alone, and the store has an `http` address";
        faults.error(&node.place.first_line(), what, "write its `urls` with https");
    }
    let open = |url: &StoreUrl| !url.is_tls() && !is_this_machine(url.authority().host());
    if auth.bearer.is_some() && urls.iter().any(open) {
        let what = "the store's token travels in the clear";
        faults.warning(&node.place.first_line(), what, "write its `urls` with https");
    }
}

/// Both names or neither; half of the pair is a fault and nothing.
fn identity(
    node: &Node,
    pair: (Option<&Node>, Option<&Node>),
    paths: &Paths,
    faults: &mut Faults,
) -> Option<ClientIdentity> {
    let (Some(cert), Some(key)) = pair else {
        if pair.0.or(pair.1).is_some() {
            let what = "`client_cert` and `client_key_file` need each other";
            faults.error(&node.place.first_line(), what, "write both, or neither");
        }
        return None;
    };
    let (cert, key_file) = (paths.read(cert, faults), paths.read(key, faults));
    Some(ClientIdentity { cert: cert?, key_file: key_file? })
}

fn token_service(node: &Node, paths: &Paths, faults: &mut Faults) -> Option<OAuth> {
    let mut map = MapReader::new(node, "`oauth`", faults)?;
    let url = map.required("token_url", faults).and_then(|n| token_url(n, faults));
    let client_id = map.required("client_id", faults).and_then(|n| n.text(faults));
    let secret = map.required("client_secret_file", faults).and_then(|n| paths.read(n, faults));
    let scope = map.optional("scope").map(|n| n.text(faults));
    let ca = map.optional("ca").map(|n| paths.read(n, faults));
    map.finish(faults);
    let mut oauth = OAuth {
        token_url: url?,
        client_id: client_id?.to_owned(),
        client_secret_file: secret?,
        scope: None,
        ca: None,
    };
    if let Some(scope) = scope {
        oauth.scope = Some(scope?.to_owned());
    }
    if let Some(ca) = ca {
        oauth.ca = Some(ca?);
    }
    Some(oauth)
}

/// The secret goes there, so nobody on the way may read it.
fn token_url(node: &Node, faults: &mut Faults) -> Option<Uri> {
    safe_url(node, "use `client_secret_file`", "the secret is sent there", faults)
}

/// A URL under `https`, or in the clear on this machine; without credentials.
pub(super) fn safe_url(
    node: &Node,
    instead_of_credentials: &str,
    why: &str,
    faults: &mut Faults,
) -> Option<Uri> {
    let text = node.text(faults)?;
    let url = text.parse::<Uri>().ok().filter(|url| url.host().is_some_and(|h| !h.is_empty()));
    let has_password = |url: &Uri| url.authority().is_some_and(|a| a.as_str().contains('@'));
    if url.as_ref().is_some_and(has_password) {
        // Shown without its line, which holds the password.
        let what = format!("{}: the URL holds credentials; {instead_of_credentials}", node.place);
        faults.error_nowhere(what, "");
        return None;
    }
    let safe = |url: &Uri| match url.scheme_str() {
        Some("https") => true,
        Some("http") => url.host().is_some_and(is_this_machine),
        _ => false,
    };
    match url.filter(safe) {
        Some(url) => Some(url),
        None => node.mismatch("an https URL", why, faults),
    }
}
