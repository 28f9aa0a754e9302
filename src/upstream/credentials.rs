//! What the gateway shows a store of itself: a certificate, a token, or both. Read in one step and
//! used in another, so that several stores change together or not at all.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use zeroize::Zeroizing;

use crate::net;
use crate::net::ClientTls;

use super::Bearer;
use super::StoreUrl;
use super::UpstreamConfig;
use super::UpstreamError;
use super::oauth::Client;
use super::oauth::Tokens;

/// The longest file of a token or a secret.
const MAX_SECRET: u64 = 16 * 1024;

/// The credentials in use.
#[derive(Debug)]
pub(super) struct Credentials {
    tls: ArcSwapOption<ClientTls>,
    /// Goes up when `tls` changes: connections of before are not used again.
    generation: AtomicU64,
    token: TokenSource,
}

/// Where the token comes from.
enum TokenSource {
    Nowhere,
    File(ArcSwapOption<HeaderValue>),
    OAuth(Box<Tokens>),
}

/// Credentials that were read and checked, and are not in use yet.
#[derive(Debug)]
pub struct NextCredentials {
    tls: Option<ClientTls>,
    token: NextToken,
}

enum NextToken {
    Nowhere,
    File(HeaderValue),
    OAuth(Client),
}

impl NextCredentials {
    /// Reads every file that `config` names.
    pub(super) fn read(config: &UpstreamConfig) -> Result<Self, UpstreamError> {
        let token = match &config.bearer {
            None => NextToken::Nowhere,
            Some(Bearer::File(path)) => NextToken::File(bearer(&secret(path)?)?),
            Some(Bearer::OAuth(oauth)) => NextToken::OAuth(Client::read(oauth)?),
        };
        Ok(Self { tls: tls(config)?, token })
    }
}

fn tls(config: &UpstreamConfig) -> Result<Option<ClientTls>, UpstreamError> {
    if !config.urls.iter().any(StoreUrl::is_tls) {
        return Ok(None);
    }
    let ca = config.ca.as_deref();
    let tls = match &config.identity {
        Some(identity) => ClientTls::with_identity(ca, identity),
        None => ClientTls::new(ca),
    };
    tls.map(Some).map_err(UpstreamError::Tls)
}

/// What is wrong with the files that `config` names: each with the keys of a `[[store]]` that lead
/// to its name.
pub fn examine(config: &UpstreamConfig) -> Vec<(&'static [&'static str], UpstreamError)> {
    let mut found: Vec<(&'static [&'static str], UpstreamError)> = Vec::new();
    let mut note = |keys, error: Option<UpstreamError>| found.extend(error.map(|e| (keys, e)));
    let ca = |path: &Path| ClientTls::new(Some(path)).err().map(UpstreamError::Tls);
    let authorities = config.ca.as_deref().and_then(ca);
    if authorities.is_none() && config.identity.is_some() {
        note(&["auth", "client_cert"], tls(config).err());
    }
    note(&["ca"], authorities);
    match &config.bearer {
        None => {}
        Some(Bearer::File(path)) => {
            let read = secret(path).and_then(|token| bearer(&token));
            note(&["auth", "bearer_file"], read.err());
        }
        Some(Bearer::OAuth(oauth)) => {
            let path = &oauth.client_secret_file;
            note(&["auth", "oauth", "client_secret_file"], secret(path).err());
            note(&["auth", "oauth", "ca"], oauth.ca.as_deref().and_then(ca));
        }
    }
    found
}

impl Credentials {
    pub(super) fn new(config: &UpstreamConfig, first: NextCredentials) -> Self {
        let token = match (first.token, &config.bearer) {
            (NextToken::File(value), _) => TokenSource::File(ArcSwapOption::from_pointee(value)),
            (NextToken::OAuth(client), Some(Bearer::OAuth(oauth))) => {
                TokenSource::OAuth(Box::new(Tokens::new(oauth.clone(), client)))
            }
            _ => TokenSource::Nowhere,
        };
        let tls = ArcSwapOption::from_pointee(first.tls);
        Self { tls, generation: AtomicU64::new(0), token }
    }

    pub(super) fn replace(&self, next: NextCredentials) {
        if let Some(tls) = next.tls {
            self.tls.store(Some(Arc::new(tls)));
            self.generation.fetch_add(1, Ordering::Release);
        }
        match (next.token, &self.token) {
            (NextToken::File(value), TokenSource::File(current)) => {
                current.store(Some(Arc::new(value)));
            }
            (NextToken::OAuth(client), TokenSource::OAuth(tokens)) => tokens.replace(client),
            // A store has one kind of token from its start to its end.
            _ => {}
        }
    }

    /// Reads the token or the secret again, which others renew while the gateway runs.
    pub(super) fn reread(&self, config: &UpstreamConfig) -> Result<(), UpstreamError> {
        match (&self.token, &config.bearer) {
            (TokenSource::File(current), Some(Bearer::File(path))) => {
                let value = bearer(&secret(path)?)?;
                if current.load().as_deref() != Some(&value) {
                    current.store(Some(Arc::new(value)));
                }
                Ok(())
            }
            (TokenSource::OAuth(tokens), _) => tokens.reread(),
            _ => Ok(()),
        }
    }

    /// Renews what ends by itself. Never ends.
    pub(super) async fn keep_fresh(&self, store: &str) {
        match &self.token {
            TokenSource::OAuth(tokens) => tokens.keep_fresh(store).await,
            _ => std::future::pending().await,
        }
    }

    /// The value of `Authorization`, when the store is shown one.
    pub(super) async fn authorization(&self) -> Result<Option<Arc<HeaderValue>>, UpstreamError> {
        match &self.token {
            TokenSource::Nowhere => Ok(None),
            TokenSource::File(current) => Ok(current.load_full()),
            TokenSource::OAuth(tokens) => tokens.value().await.map(Some),
        }
    }

    /// The store said 401 to `value`: whether another try may be answered otherwise.
    pub(super) fn refused(&self, value: Option<&Arc<HeaderValue>>) -> bool {
        match (&self.token, value) {
            (TokenSource::OAuth(tokens), Some(value)) => tokens.refused(value),
            _ => false,
        }
    }

    /// Why the store cannot be shown a token, when it cannot.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        match &self.token {
            TokenSource::OAuth(tokens) => tokens.trouble(),
            _ => None,
        }
    }

    pub(super) fn tls(&self) -> Option<ClientTls> {
        self.tls.load().as_deref().cloned()
    }

    pub(super) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }
}

/// Reads a secret without the space around it. An empty one is a fault.
pub(super) fn secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, UpstreamError> {
    let bytes = net::read_secret(path, MAX_SECRET).map_err(UpstreamError::Credentials)?;
    let secret = bytes.trim_ascii();
    if secret.is_empty() {
        return Err(UpstreamError::CredentialsEmpty);
    }
    Ok(Zeroizing::new(secret.to_vec()))
}

/// The value of `Authorization` that shows `token`.
pub(super) fn bearer(token: &[u8]) -> Result<HeaderValue, UpstreamError> {
    let mut line = Zeroizing::new(b"Bearer ".to_vec());
    line.extend_from_slice(token);
    let value = HeaderValue::from_bytes(&line).ok().filter(|_| !token.is_empty());
    let mut value = value.ok_or(UpstreamError::CredentialsEmpty)?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nowhere => "Nowhere",
            Self::File(_) => "File(..)",
            Self::OAuth(_) => "OAuth(..)",
        })
    }
}

impl fmt::Debug for NextToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NextToken(..)")
    }
}
