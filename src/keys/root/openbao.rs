//! A root key in the transit engine of OpenBao or Vault. It never leaves there: keys of slots are
//! sent to be wrapped and unwrapped.
//!
//! Slots are wrapped by the configured key; the slot of an epoch by a key of its own,
//! `KEY-epoch-N`, which is deleted when the epoch ends. The root key is replaced by a new version
//! of the configured key; older versions stay until the engine is told that they may not decrypt.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use http::Uri;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::Value;
use serde_json::json;
use zeroize::Zeroizing;

use super::Answer;
use super::Change;
use super::Place;
use super::Root;
use super::bound;
use crate::clock::Entropy;
use crate::crypto;
use crate::crypto::Secret;
use crate::keys::config::OpenBao;
use crate::keys::error::KeysError;
use crate::keys::fault::ProviderFault;
use crate::keys::files;
use crate::keys::slots::Stored;
use crate::net;
use crate::net::ClientTls;
use crate::net::Fetch;
use crate::net::NetError;
use crate::net::Question;

/// One transit engine.
pub(super) struct Transit {
    settings: OpenBao,
    tls: Option<ClientTls>,
}

/// What the engine says of a key.
#[derive(Deserialize)]
struct KeyFacts {
    #[serde(rename = "type")]
    kind: String,
    #[serde(flatten)]
    set: BTreeMap<String, Value>,
}

impl KeyFacts {
    /// Whether it seals with associated data, for whoever asks, and can never leave.
    fn fit(&self) -> bool {
        let never = ["derived", "exportable", "allow_plaintext_backup"];
        // What an engine does not know, it does not do.
        let off = |name: &&str| self.set.get(*name).is_none_or(|value| value == false);
        self.kind == KIND && never.iter().all(off)
    }

    /// The number of the version that seals.
    fn version(&self) -> Option<u64> {
        self.set.get("latest_version")?.as_u64()
    }
}

#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct Wrapped {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Unwrapped<'a> {
    plaintext: &'a str,
}

#[derive(Deserialize)]
struct Errors {
    errors: Vec<IgnoredAny>,
}

/// What came of a call, as far as callers tell answers apart.
enum Said {
    Yes(Bytes),
    /// 400: the engine refuses what it was given.
    Refused,
    /// 404: there is no such key.
    Nothing,
}

impl Transit {
    /// Reads whom to believe. Asks nobody.
    pub(super) fn new(settings: &OpenBao) -> Result<Self, KeysError> {
        let is_tls = settings.url.scheme_str() == Some("https");
        let tls = is_tls.then(|| ClientTls::new(settings.ca.as_deref()));
        let tls = tls.transpose().map_err(KeysError::Authority)?;
        Ok(Self { settings: settings.clone(), tls })
    }

    /// Whether there is a token. Asks nobody.
    pub(super) fn examine(&self) -> Result<(), KeysError> {
        self.headers().map(drop)
    }

    /// Refuses a configured key that is not there, or that could leave the engine.
    pub(super) async fn require_key(&self) -> Result<(), KeysError> {
        let key = &self.settings.key;
        if self.has_key(key).await? {
            return Ok(());
        }
        Err(self.fault(ProviderFault::NoKey { key: key.as_str().into() }))
    }

    /// Makes the configured key unless it is there. With `slots` there, its keys were wrapped by
    /// one that is gone; without, an epoch's key that is there belongs to another installation.
    pub(super) async fn create(&self, slots: bool) -> Result<(), KeysError> {
        let key = &self.settings.key;
        let has_key = self.has_key(key).await?;
        if slots && !has_key {
            return Err(self.fault(ProviderFault::NoKey { key: key.as_str().into() }));
        }
        let epoch = self.epoch_key(FIRST);
        if !slots && self.has_key(&epoch).await? {
            return Err(self.fault(ProviderFault::Taken { key: epoch.into() }));
        }
        if has_key { Ok(()) } else { self.make_key(key).await }
    }

    fn epoch_key(&self, epoch: u32) -> String {
        format!("{}-epoch-{epoch}", self.settings.key)
    }

    fn key_of(&self, place: &Place) -> String {
        place.epoch().map_or_else(|| self.settings.key.clone(), |epoch| self.epoch_key(epoch))
    }

    async fn facts(&self, key: &str) -> Result<Option<KeyFacts>, KeysError> {
        match self.ask(Method::GET, &format!("keys/{key}"), Bytes::new()).await? {
            Said::Yes(body) => self.parse::<Data<KeyFacts>>(&body).map(|facts| Some(facts.data)),
            Said::Nothing => Ok(None),
            Said::Refused => Err(self.fault(ProviderFault::Status { status: 400 })),
        }
    }

    /// Refuses one that is there and could leave.
    async fn has_key(&self, key: &str) -> Result<bool, KeysError> {
        let Some(facts) = self.facts(key).await? else { return Ok(false) };
        if !facts.fit() {
            return Err(self.fault(ProviderFault::Unfit { key: key.into() }));
        }
        Ok(true)
    }

    async fn make_key(&self, key: &str) -> Result<(), KeysError> {
        let body = json!({ "type": KIND, "exportable": false, "allow_plaintext_backup": false });
        self.must(self.post(&format!("keys/{key}"), &body).await?)?;
        // Whether it is there as asked for; a proxy in between might answer anything.
        if self.has_key(key).await? {
            return Ok(());
        }
        Err(self.fault(ProviderFault::Garbage))
    }

    /// The version of the configured key that seals now.
    async fn version(&self) -> Result<u64, KeysError> {
        let facts = self.facts(&self.settings.key).await?;
        let version = facts.and_then(|facts| facts.version());
        version.ok_or_else(|| self.fault(ProviderFault::Garbage))
    }

    /// Adds a version to the configured key, unless there is one after `from`.
    async fn add_version(&self, from: &str) -> Result<(), KeysError> {
        let before = from.parse::<u64>().map_err(|_| self.fault(ProviderFault::Garbage))?;
        self.require_key().await?;
        if self.version().await? > before {
            return Ok(());
        }
        let said = self.post(&format!("keys/{}/rotate", self.settings.key), &json!({})).await?;
        self.must(said)?;
        // Whether it is there; a proxy in between might answer anything.
        if self.version().await? > before {
            return Ok(());
        }
        Err(self.fault(ProviderFault::Garbage))
    }

    async fn wrap_at(&self, place: &Place, key: &Secret) -> Result<String, KeysError> {
        let name = self.key_of(place);
        if place.epoch().is_some() && !self.has_key(&name).await? {
            self.make_key(&name).await?;
        }
        let plain = Zeroizing::new(STANDARD.encode(bound::seal(place, key).as_slice()));
        let context = STANDARD.encode(&place.context);
        let body = json!({ "plaintext": plain.as_str(), "associated_data": context });
        let said = self.post(&format!("encrypt/{name}"), &body).await?;
        let wrapped: Data<Wrapped> = self.parse(&self.must(said)?)?;
        let wrapped = wrapped.data.ciphertext;
        // What does not open now would not open at the next start, with the key lost by then.
        match self.unwrap_at(place, &wrapped).await? {
            Some(opened) if crypto::same(opened.expose(), key.expose()) => Ok(wrapped),
            _ => Err(self.fault(ProviderFault::Garbage)),
        }
    }

    async fn unwrap_at(&self, place: &Place, wrapped: &str) -> Result<Option<Secret>, KeysError> {
        // The engine itself would overlook line ends.
        let fits = wrapped.len() <= MAX_WRAPPED
            && wrapped.starts_with("vault:v")
            && wrapped.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits {
            return Ok(None);
        }
        let name = self.key_of(place);
        let context = STANDARD.encode(&place.context);
        let body = json!({ "ciphertext": wrapped, "associated_data": context });
        let body = match self.post(&format!("decrypt/{name}"), &body).await? {
            Said::Yes(body) => body,
            // The engine says 400 of a wrong text, of other associated data and of a missing key.
            Said::Refused => return Ok(None),
            Said::Nothing => return Err(self.fault(ProviderFault::NoMount)),
        };
        let plain: Data<Unwrapped<'_>> = self.parse(&body)?;
        let plain = STANDARD.decode(plain.data.plaintext).map(Zeroizing::new);
        let plain = plain.map_err(|_| self.fault(ProviderFault::Garbage))?;
        Ok(bound::open(place, &plain))
    }

    async fn destroy_key(&self, key: &str) -> Result<(), KeysError> {
        if self.facts(key).await?.is_none() {
            return Ok(());
        }
        let allowed = json!({ "deletion_allowed": true });
        self.must(self.post(&format!("keys/{key}/config"), &allowed).await?)?;
        self.must(self.ask(Method::DELETE, &format!("keys/{key}"), Bytes::new()).await?)?;
        if self.facts(key).await?.is_some() {
            return Err(self.fault(ProviderFault::Undestroyed { key: key.into() }));
        }
        Ok(())
    }

    async fn post(&self, path: &str, body: &Value) -> Result<Said, KeysError> {
        self.ask(Method::POST, path, body.to_string().into()).await
    }

    async fn ask(&self, method: Method, path: &str, body: Bytes) -> Result<Said, KeysError> {
        let question = Question { method, headers: self.headers()?, body };
        let fetch = Fetch {
            url: self.url(path)?,
            tls: self.tls.clone(),
            limit_bytes: MAX_ANSWER,
            timeout: TIMEOUT,
        };
        let answer = Box::pin(net::ask(&fetch, question)).await;
        let (status, body) = answer.map_err(|error| self.unreachable(error))?;
        let fault = match status {
            StatusCode::OK | StatusCode::NO_CONTENT => return Ok(Said::Yes(body)),
            StatusCode::BAD_REQUEST => return Ok(Said::Refused),
            // Of a key that is not there the engine has nothing more to say; of a path without an
            // engine it has. Taken for one another, a wrong `mount` would pass for a deleted key.
            StatusCode::NOT_FOUND => match serde_json::from_slice::<Errors>(&body) {
                Ok(Errors { errors }) if errors.is_empty() => return Ok(Said::Nothing),
                _ => ProviderFault::NoMount,
            },
            StatusCode::FORBIDDEN => {
                ProviderFault::Forbidden { token_file: self.settings.token_file.clone() }
            }
            StatusCode::SERVICE_UNAVAILABLE => ProviderFault::Sealed,
            other => ProviderFault::Status { status: other.as_u16() },
        };
        Err(self.fault(fault))
    }

    /// Reads the token anew for every call, so that somebody else can renew it.
    fn headers(&self) -> Result<HeaderMap, KeysError> {
        let path = &self.settings.token_file;
        let token = files::read(path)?;
        let token = token.trim_ascii_end();
        let usable = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
        let header = usable.then(|| HeaderValue::from_str(token).ok()).flatten();
        let mut header = header.ok_or_else(|| KeysError::Token { path: path.clone() })?;
        header.set_sensitive(true);
        let mut headers = HeaderMap::new();
        headers.insert("x-vault-token", header);
        headers.insert("x-vault-request", HeaderValue::from_static("true"));
        if let Some(namespace) = &self.settings.namespace
            && let Ok(namespace) = HeaderValue::from_str(namespace)
        {
            headers.insert("x-vault-namespace", namespace);
        }
        Ok(headers)
    }

    fn url(&self, path: &str) -> Result<Uri, KeysError> {
        let OpenBao { url, mount, .. } = &self.settings;
        let base = url.to_string();
        let text = format!("{}/v1/{mount}/{path}", base.trim_end_matches('/'));
        text.parse().map_err(|_| self.fault(ProviderFault::Garbage))
    }

    fn must(&self, said: Said) -> Result<Bytes, KeysError> {
        match said {
            Said::Yes(body) => Ok(body),
            Said::Refused => Err(self.fault(ProviderFault::Status { status: 400 })),
            Said::Nothing => Err(self.fault(ProviderFault::NoMount)),
        }
    }

    fn parse<'a, T: Deserialize<'a>>(&self, body: &'a [u8]) -> Result<T, KeysError> {
        serde_json::from_slice(body).map_err(|_| self.fault(ProviderFault::Garbage))
    }

    fn unreachable(&self, error: NetError) -> KeysError {
        self.fault(ProviderFault::Unreachable(Box::new(error)))
    }

    /// What the engine answered is never part of it: it could repeat what it was sent.
    fn fault(&self, fault: ProviderFault) -> KeysError {
        let at = format!("openbao at `{}`", self.settings.url);
        KeysError::Provider { at: at.into(), fault }
    }
}

impl Root for Transit {
    fn kind(&self) -> &'static str {
        "openbao"
    }

    fn wrap<'a>(
        &'a self,
        place: &'a Place,
        key: &'a Secret,
        _random: &'a [u8; 16],
    ) -> Answer<'a, String> {
        Box::pin(self.wrap_at(place, key))
    }

    fn unwrap<'a>(&'a self, place: &'a Place, wrapped: &'a str) -> Answer<'a, Option<Secret>> {
        Box::pin(self.unwrap_at(place, wrapped))
    }

    fn destroy(&self, epoch: u32) -> Answer<'_, ()> {
        Box::pin(async move { self.destroy_key(&self.epoch_key(epoch)).await })
    }

    /// The oldest version that a slot needs.
    fn name(&self, stored: &[Stored]) -> String {
        let of_root = stored.iter().filter(|slot| slot.place.epoch().is_none());
        let oldest = of_root.filter_map(|slot| version_of(&slot.wrapped)).min();
        oldest.unwrap_or_default().to_string()
    }

    fn is_newest<'a>(&'a self, place: &'a Place, wrapped: &'a str) -> Answer<'a, bool> {
        Box::pin(async move {
            if place.epoch().is_some() {
                return Ok(true);
            }
            let newest = self.version().await?;
            Ok(version_of(wrapped).is_some_and(|version| version >= newest))
        })
    }

    fn next<'a>(self: Arc<Self>, change: Change<'a>) -> Answer<'a, Arc<dyn Root>> {
        Box::pin(async move {
            self.add_version(change.from).await?;
            Ok(self as Arc<dyn Root>)
        })
    }

    fn finish(self: Arc<Self>, _: &dyn Entropy) -> Answer<'_, Arc<dyn Root>> {
        Box::pin(async { Ok(self as Arc<dyn Root>) })
    }

    fn left_to_do(&self) -> Option<&'static str> {
        Some(OLDER_VERSIONS)
    }
}

/// The version of the key that wrapped this.
fn version_of(wrapped: &str) -> Option<u64> {
    wrapped.strip_prefix("vault:v")?.split_once(':')?.0.parse().ok()
}

const OLDER_VERSIONS: &str = "older versions of the key still open older copies of the slots: \
     raise min_decryption_version of the key once no backup needs them";

/// The one type whose seal takes associated data and that `destroy` and rotation are meant for.
const KIND: &str = "aes256-gcm96";
/// Everything one call may take, connecting included.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The engine's answers are a few hundred bytes; those about a key rotated often, a few thousand.
const MAX_ANSWER: usize = 64 * 1024;
/// Of 64 bytes: `vault:v` and a version, and 124 letters.
const MAX_WRAPPED: usize = 256;
const FIRST: u32 = 1;
