//! One issuer: its keys, where they come from, and when they are read again.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use arc_swap::ArcSwap;
use http::Uri;

use crate::net::ClientTls;
use crate::net::Fetch;
use crate::net::https_get;
use crate::net::read_bounded;
use crate::types::told;

use super::AuthnError;
use super::AuthnMetrics;
use super::IssuerConfig;
use super::IssuerStatus;
use super::JwksSource;
use super::dev;
use super::key_set::KeySet;

/// An issuer and its last good key set.
#[derive(Debug)]
pub(super) struct Issuer {
    pub(super) config: IssuerConfig,
    pub(super) name: Arc<str>,
    source: Source,
    keys: ArcSwap<Keys>,
    /// Held while keys are read, so that one reading serves everybody who waits.
    turn: tokio::sync::Mutex<()>,
    state: Mutex<State>,
}

/// A key set and its number.
#[derive(Debug, Default)]
pub(super) struct Keys {
    pub(super) set: KeySet,
    /// Goes up whenever the published document changes. 0: never read.
    pub(super) generation: u64,
    document: Vec<u8>,
}

#[derive(Debug)]
enum Source {
    File(PathBuf),
    Url(Box<Fetch>),
}

/// When keys were read and when a token may have them read again. Times are uptime.
#[derive(Debug, Default)]
struct State {
    read_ms: Option<u64>,
    due_ms: u64,
    asked_again_from_ms: u64,
    pause_ms: u64,
    trouble: Option<String>,
}

impl Issuer {
    /// Sets up the issuer; reads its keys when they are in a file.
    pub(super) fn new(
        config: IssuerConfig,
        now_ms: u64,
        metrics: &AuthnMetrics,
    ) -> Result<Self, AuthnError> {
        let source = match &config.jwks {
            JwksSource::File(path) => Source::File(path.clone()),
            JwksSource::Url { url, ca } => Source::Url(Box::new(Fetch {
                url: https_url(&config.name, url)?,
                tls: Some(ClientTls::new(ca.as_deref()).map_err(|source| {
                    AuthnError::KeySetRead { issuer: config.name.as_str().into(), source }
                })?),
                limit_bytes: MAX_DOCUMENT,
                timeout: FETCH_TIMEOUT,
            })),
        };
        let issuer = Self {
            name: config.name.as_str().into(),
            config,
            source,
            keys: ArcSwap::from_pointee(Keys::default()),
            turn: tokio::sync::Mutex::new(()),
            state: Mutex::new(State::default()),
        };
        if let Source::File(path) = &issuer.source {
            let document = read_file(path).map_err(|source| issuer.unreadable(source))?;
            issuer.finish(Ok(document), now_ms, metrics)?;
            if issuer.keys().set.len() == 0 {
                return Err(issuer.no_usable_key());
            }
        }
        Ok(issuer)
    }

    /// The last good keys.
    pub(super) fn keys(&self) -> Arc<Keys> {
        self.keys.load_full()
    }

    /// The number of the last good keys.
    pub(super) fn generation(&self) -> u64 {
        self.keys.load().generation
    }

    /// Reads the keys again. Keeps the last good ones when that fails.
    pub(super) async fn refresh(
        &self,
        now_ms: u64,
        metrics: &AuthnMetrics,
    ) -> Result<(), AuthnError> {
        let _turn = self.turn.lock().await;
        self.read_again(now_ms, metrics).await.map(|_| ())
    }

    /// Reads the keys again because a token names a key that is not among those of `generation`.
    /// Anybody can make up such a token, so this happens at most once per pause, and the pause
    /// doubles each time nothing new was found.
    pub(super) async fn refresh_for_token(
        &self,
        generation: u64,
        now_ms: u64,
        metrics: &AuthnMetrics,
    ) {
        let _turn = self.turn.lock().await;
        if self.generation() != generation || now_ms < self.state().asked_again_from_ms {
            return;
        }
        let outcome = self.read_again(now_ms, metrics).await;
        let mut state = self.state();
        state.pause_ms = match outcome {
            Ok(true) => MIN_PAUSE_MS,
            Ok(false) | Err(_) => (state.pause_ms * 2).clamp(MIN_PAUSE_MS, MAX_PAUSE_MS),
        };
        state.asked_again_from_ms = now_ms.saturating_add(state.pause_ms);
    }

    /// Whether the keys are to be read again by now.
    pub(super) fn is_due(&self, now_ms: u64) -> bool {
        now_ms >= self.state().due_ms
    }

    /// How the keys are doing.
    pub(super) fn status(&self, now_ms: u64) -> IssuerStatus {
        let keys = self.keys();
        let state = self.state();
        IssuerStatus {
            issuer: Arc::clone(&self.name),
            keys: keys.set.len(),
            generation: keys.generation,
            age_ms: state.read_ms.map(|read_ms| now_ms.saturating_sub(read_ms)),
            skipped: keys.set.skipped.clone(),
            trouble: state.trouble.clone(),
            development: keys.set.kids().any(|kid| kid.starts_with(dev::KID_PREFIX)),
        }
    }

    async fn read_again(&self, now_ms: u64, metrics: &AuthnMetrics) -> Result<bool, AuthnError> {
        let document = match &self.source {
            Source::Url(fetch) => https_get(fetch).await.map(Vec::from),
            Source::File(path) => {
                let path = path.clone();
                match tokio::task::spawn_blocking(move || read_file(&path)).await {
                    Ok(document) => document,
                    Err(_) => return Err(self.no_usable_key()),
                }
            }
        };
        let document = document.map_err(|source| self.unreadable(source));
        self.finish(document, now_ms, metrics)
    }

    /// Takes over a document that was read, or notes why there is none. Says whether it is new.
    fn finish(
        &self,
        document: Result<Vec<u8>, AuthnError>,
        now_ms: u64,
        metrics: &AuthnMetrics,
    ) -> Result<bool, AuthnError> {
        let taken = document.and_then(|document| self.take(document));
        let mut state = self.state();
        match &taken {
            Ok(_) => {
                metrics.key_sets_read.inc();
                state.read_ms = Some(now_ms);
                state.trouble = None;
                state.due_ms = now_ms.saturating_add(self.config.refresh_s.saturating_mul(1000));
            }
            Err(error) => {
                metrics.key_set_failures.inc();
                state.trouble = Some(told(error));
                state.due_ms = now_ms.saturating_add(RETRY_MS);
            }
        }
        taken
    }

    /// An issuer that publishes a good document without keys has withdrawn them all; that is
    /// followed, not kept out.
    fn take(&self, document: Vec<u8>) -> Result<bool, AuthnError> {
        let old = self.keys();
        if old.generation > 0 && old.document == document {
            return Ok(false);
        }
        let set = KeySet::parse(&document, &self.config.algorithms)
            .map_err(|what| AuthnError::KeySet { issuer: (*self.name).into(), what })?;
        self.keys.store(Arc::new(Keys { set, generation: old.generation + 1, document }));
        Ok(true)
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        // The state is plain numbers: whatever panicked left it usable.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn unreadable(&self, source: crate::net::NetError) -> AuthnError {
        AuthnError::KeySetRead { issuer: (*self.name).into(), source }
    }

    fn no_usable_key(&self) -> AuthnError {
        let skipped = self.keys().set.skipped.join("; ");
        let what = if skipped.is_empty() {
            "it holds no key".to_owned()
        } else {
            format!("it holds no usable key ({skipped})")
        };
        AuthnError::KeySet { issuer: (*self.name).into(), what }
    }
}

fn read_file(path: &std::path::Path) -> Result<Vec<u8>, crate::net::NetError> {
    read_bounded(path, MAX_DOCUMENT as u64)
}

fn https_url(issuer: &str, url: &str) -> Result<Uri, AuthnError> {
    let wrong = |what: &str| AuthnError::Config { name: issuer.into(), what: what.to_owned() };
    let uri: Uri = url.parse().map_err(|_| wrong("`jwks` is neither a file nor a URL"))?;
    let is_https = uri.scheme_str() == Some("https") && uri.host().is_some();
    if is_https { Ok(uri) } else { Err(wrong("`jwks` must start with `https://`, or be a file")) }
}

/// The largest key set that is read, in bytes.
const MAX_DOCUMENT: usize = 1 << 20;
const FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How soon a failed reading is tried again.
const RETRY_MS: u64 = 30_000;
/// The pause after the first token that named an unknown key, and the longest one.
const MIN_PAUSE_MS: u64 = 5_000;
const MAX_PAUSE_MS: u64 = 60_000;
