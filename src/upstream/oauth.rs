//! Access tokens by OAuth 2.0 client credentials (RFC 6749 §4.4): fetched once for everybody, kept
//! until shortly before they end, renewed in the background.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::time::Duration;

use arc_swap::ArcSwap;
use arc_swap::ArcSwapOption;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderValue;
use serde::Deserialize;
use tokio::time::Instant;

use crate::net;
use crate::net::ClientTls;
use crate::net::Fetch;
use crate::net::Form;
use crate::types::told;

use super::OAuth;
use super::UpstreamError;
use super::credentials;

/// The longest answer with a token.
const MAX_ANSWER: usize = 64 * 1024;
/// How long fetching a token may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// After a failure nobody asks again for this long.
const PAUSE: Duration = Duration::from_secs(5);
/// A token younger than this is not fetched again because a store refuses it: the next would be
/// refused as well.
const YOUNG: Duration = Duration::from_secs(5);
/// How long a token lasts that does not say so.
const UNSAID: Duration = Duration::from_secs(300);
/// No token is kept longer than this.
const LONGEST: Duration = Duration::from_secs(24 * 3600);
/// The most time before its end at which a token is no longer shown.
const MARGIN: Duration = Duration::from_secs(30);

/// The token of one store, shared by all workers.
pub(super) struct Tokens {
    config: OAuth,
    client: ArcSwap<Client>,
    current: ArcSwapOption<Token>,
    failure: Mutex<Option<Failure>>,
    /// One request for a token at a time.
    flight: tokio::sync::Mutex<()>,
}

/// How the gateway shows the token service who it is.
#[derive(Clone)]
pub(super) struct Client {
    authorization: HeaderValue,
    tls: ClientTls,
}

struct Token {
    value: Arc<HeaderValue>,
    got: Instant,
    /// When a new one is fetched in the background.
    renew_at: Instant,
    /// When it is no longer shown.
    end: Instant,
}

#[derive(Clone)]
struct Failure {
    why: Arc<str>,
    retry_at: Instant,
}

/// What a token service answers (RFC 6749 §5.1).
#[derive(Deserialize)]
struct Answer {
    access_token: String,
    token_type: String,
    expires_in: Option<u64>,
}

impl Client {
    /// Reads the secret, and the authorities the token service is believed by.
    pub(super) fn read(config: &OAuth) -> Result<Self, UpstreamError> {
        let tls = ClientTls::new(config.ca.as_deref()).map_err(UpstreamError::Tls)?;
        Ok(Self { authorization: authorization(config)?, tls })
    }
}

/// The client's name and secret, each form-encoded first (RFC 6749 §2.3.1).
fn authorization(config: &OAuth) -> Result<HeaderValue, UpstreamError> {
    let secret = credentials::secret(&config.client_secret_file)?;
    let encode = |bytes: &[u8]| form_urlencoded::byte_serialize(bytes).collect::<String>();
    let pair = zeroize::Zeroizing::new(format!(
        "{}:{}",
        encode(config.client_id.as_bytes()),
        encode(&secret)
    ));
    let line = zeroize::Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(&*pair)));
    let mut value = HeaderValue::from_str(&line).map_err(|_| UpstreamError::CredentialsEmpty)?;
    value.set_sensitive(true);
    Ok(value)
}

fn question(scope: Option<&str>) -> String {
    let mut form = form_urlencoded::Serializer::new(String::new());
    form.append_pair("grant_type", "client_credentials");
    if let Some(scope) = scope {
        form.append_pair("scope", scope);
    }
    form.finish()
}

impl Tokens {
    pub(super) fn new(config: OAuth, client: Client) -> Self {
        Self {
            config,
            client: ArcSwap::from_pointee(client),
            current: ArcSwapOption::empty(),
            failure: Mutex::default(),
            flight: tokio::sync::Mutex::default(),
        }
    }

    /// Shows the token service another secret from now on. The token at hand stays: it was given.
    pub(super) fn replace(&self, client: Client) {
        if self.client.load().authorization != client.authorization {
            self.set_failure(None);
        }
        self.client.store(Arc::new(client));
    }

    /// Reads the secret again; whom the token service is believed by stays.
    pub(super) fn reread(&self) -> Result<(), UpstreamError> {
        let authorization = authorization(&self.config)?;
        let tls = self.client.load().tls.clone();
        if self.client.load().authorization != authorization {
            self.replace(Client { authorization, tls });
        }
        Ok(())
    }

    /// The value of `Authorization` for the store. Whoever comes while one is fetched waits for
    /// it; after a failure everybody is turned away for a moment.
    pub(super) async fn value(&self) -> Result<Arc<HeaderValue>, UpstreamError> {
        if let Some(value) = self.at_hand() {
            return Ok(value);
        }
        let _flight = self.flight.lock().await;
        if let Some(value) = self.at_hand() {
            return Ok(value);
        }
        if let Some(failure) = self.failure().filter(|it| it.retry_at > Instant::now()) {
            return Err(failure.into());
        }
        self.fetch().await
    }

    /// A store said 401 to `value`: whether another try with another token may help.
    pub(super) fn refused(&self, value: &Arc<HeaderValue>) -> bool {
        let current = self.current.load_full();
        let Some(token) = current.filter(|token| Arc::ptr_eq(&token.value, value)) else {
            return true;
        };
        if token.got.elapsed() < YOUNG {
            return false;
        }
        self.current.compare_and_swap(&token, None);
        true
    }

    /// Renews the token before it ends. Never ends itself.
    pub(super) async fn keep_fresh(&self, store: &str) {
        loop {
            let due = self.current.load().as_ref().map(|token| token.renew_at);
            let due = due.into_iter().chain(self.failure().map(|failure| failure.retry_at)).max();
            // Looks again in between: a store may refuse the token before its time.
            let look = Instant::now() + PAUSE;
            tokio::time::sleep_until(due.map_or_else(Instant::now, |due| due.min(look))).await;
            let _flight = self.flight.lock().await;
            let now = Instant::now();
            let fresh = self.current.load().as_ref().is_some_and(|token| token.renew_at > now);
            if fresh || self.failure().is_some_and(|failure| failure.retry_at > now) {
                continue;
            }
            if let Err(error) = self.fetch().await {
                tracing::warn!(store, error = told(&error), "no new access token for the store");
            }
        }
    }

    /// Why there is no token, when there is none.
    pub(super) fn trouble(&self) -> Option<Arc<str>> {
        if self.at_hand().is_some() { None } else { self.failure().map(|failure| failure.why) }
    }

    fn at_hand(&self) -> Option<Arc<HeaderValue>> {
        let current = self.current.load();
        current.as_ref().filter(|it| it.end > Instant::now()).map(|it| Arc::clone(&it.value))
    }

    async fn fetch(&self) -> Result<Arc<HeaderValue>, UpstreamError> {
        match self.ask().await {
            Ok(token) => {
                let value = Arc::clone(&token.value);
                self.current.store(Some(Arc::new(token)));
                self.set_failure(None);
                Ok(value)
            }
            Err(why) => {
                let failure = Failure { why: why.into(), retry_at: Instant::now() + PAUSE };
                self.set_failure(Some(failure.clone()));
                Err(failure.into())
            }
        }
    }

    async fn ask(&self) -> Result<Token, String> {
        let client = self.client.load_full();
        let fetch = Fetch {
            url: self.config.token_url.clone(),
            tls: Some(client.tls.clone()),
            limit_bytes: MAX_ANSWER,
            timeout: PATIENCE,
        };
        let body = question(self.config.scope.as_deref());
        let form = Form { authorization: client.authorization.clone(), body };
        // Counted from the question: the token is never younger than it seems.
        let asked = Instant::now();
        let answer = net::post_form(&fetch, form).await.map_err(|error| told(&error))?;
        Token::read(&answer, asked).map_err(str::to_owned)
    }

    fn failure(&self) -> Option<Failure> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set_failure(&self, failure: Option<Failure>) {
        *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = failure;
    }
}

impl Token {
    /// Says nothing of the answer's own words: they may hold a token.
    fn read(answer: &[u8], asked: Instant) -> Result<Self, &'static str> {
        let answer: Answer = serde_json::from_slice(answer)
            .map_err(|_| "the token service's answer is not that of RFC 6749 §5.1")?;
        if !answer.token_type.eq_ignore_ascii_case("bearer") {
            return Err("the token service gives tokens of another type than Bearer");
        }
        let token = zeroize::Zeroizing::new(answer.access_token);
        let value = credentials::bearer(token.as_bytes())
            .map_err(|_| "the token service's token cannot be sent in a header")?;
        let life = answer.expires_in.map_or(UNSAID, Duration::from_secs).min(LONGEST);
        let margin = MARGIN.min(life / 5);
        if life.is_zero() {
            return Err("the token service's token has ended already");
        }
        let end = asked + life.saturating_sub(margin);
        let renew_at = asked + life.saturating_sub(margin * 2);
        Ok(Self { value: Arc::new(value), got: asked, renew_at, end })
    }
}

impl From<Failure> for UpstreamError {
    fn from(failure: Failure) -> Self {
        let back_in = failure.retry_at.saturating_duration_since(Instant::now());
        Self::Token { why: failure.why, back_in }
    }
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("config", &self.config).finish_non_exhaustive()
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client(..)")
    }
}
