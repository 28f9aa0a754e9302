//! What all workers share about one store.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::net;
use crate::types::told;

use super::AddressHealth;
use super::AddressState;
use super::NextCredentials;
use super::StoreHealth;
use super::StoreUrl;
use super::UpstreamConfig;
use super::UpstreamError;
use super::UpstreamMetrics;
use super::connection;
use super::credentials::Credentials;
use super::health::Standing;
use super::metrics::StoreMetrics;

/// How often the files of tokens and secrets are read again.
const REREAD: Duration = Duration::from_secs(5);

/// One store: its addresses, their health, its credentials.
pub struct Store {
    pub(super) config: UpstreamConfig,
    pub(super) metrics: StoreMetrics,
    addresses: Vec<Arc<Address>>,
    credentials: Credentials,
    start: Instant,
    turn: AtomicUsize,
}

/// One address of a store.
#[derive(Debug)]
pub(super) struct Address {
    pub(super) index: usize,
    pub(super) host: HeaderValue,
    url: StoreUrl,
    standing: Standing,
    /// Why the last health check failed, when it did.
    unwell: ArcSwapOption<String>,
}

impl Store {
    /// Sets the store up and reads its credentials; connects to nothing yet. Must be called
    /// within a tokio runtime.
    pub fn open(
        config: UpstreamConfig,
        metrics: &UpstreamMetrics,
    ) -> Result<Arc<Self>, UpstreamError> {
        let credentials = Credentials::new(&config, NextCredentials::read(&config)?);
        let addresses = config.urls.iter().enumerate();
        let addresses = addresses.map(|(i, url)| address(i, url)).collect::<Result<Vec<_>, _>>()?;
        Ok(Arc::new(Self {
            metrics: metrics.of(&config.store),
            config,
            addresses,
            credentials,
            start: Instant::now(),
            turn: AtomicUsize::new(0),
        }))
    }

    /// Reads the credentials again, certificates and authorities included, without using them yet.
    pub fn prepare_credentials(&self) -> Result<NextCredentials, UpstreamError> {
        NextCredentials::read(&self.config)
    }

    /// Uses what was prepared. Connections that showed an older certificate are not used again.
    pub fn use_credentials(&self, next: NextCredentials) {
        self.credentials.replace(next);
    }

    /// Keeps asking whether the addresses are well, and rereads the credentials. Never ends; run
    /// it once for all workers and drop it to stop.
    pub async fn watch(self: Arc<Self>) {
        let mut tasks = JoinSet::new();
        tasks.spawn(Arc::clone(&self).watch_credentials());
        let store = Arc::clone(&self);
        tasks.spawn(async move {
            store.credentials.keep_fresh(store.config.store.as_str()).await;
        });
        for address in &self.addresses {
            if self.config.health.is_some() {
                tasks.spawn(Arc::clone(&self).watch_address(Arc::clone(address)));
            }
        }
        while tasks.join_next().await.is_some() {}
    }

    /// The health of every address, for `/readyz`.
    pub fn health(&self) -> StoreHealth {
        let now = self.now();
        let addresses = self.addresses.iter().map(|address| AddressHealth {
            url: address.url.to_string(),
            state: address.standing.state(now),
            calls: address.standing.calls(),
            unwell: address.unwell.load_full(),
        });
        let (store, addresses) = (self.config.store.clone(), addresses.collect());
        StoreHealth { store, addresses, trouble: self.credentials.trouble() }
    }

    /// What is configured.
    pub const fn config(&self) -> &UpstreamConfig {
        &self.config
    }

    pub(super) fn address_count(&self) -> usize {
        self.addresses.len()
    }

    pub(super) const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Where `address` is, and what is shown there now.
    pub(super) fn target(&self, address: &Address) -> net::Target {
        let url = &address.url;
        let host = url.authority().host().trim_start_matches('[').trim_end_matches(']');
        let tls = if url.is_tls() { self.credentials.tls() } else { None };
        net::Target { host: host.into(), port: url.port(), tls }
    }

    /// The address to call: the least loaded of the healthy. Avoids `but` when there is another.
    ///
    /// With none healthy, calls that would only wait are turned away at once; one call in each
    /// interval goes through to try an address.
    pub(super) fn choose(self: &Arc<Self>, but: Option<usize>) -> Result<Load, UpstreamError> {
        let now = self.now();
        let count = self.addresses.len().max(1);
        let turn = self.turn.fetch_add(1, Ordering::Relaxed) % count;
        let rank = |address: &&Arc<Address>| {
            let again = but == Some(address.index);
            // Equals take turns.
            let place = (address.index + count - turn) % count;
            (again, address.standing.calls(), place)
        };
        // Who loses the race for a trial looks again, and finds the address set aside.
        for _ in 0..=count {
            let up = self.addresses.iter().filter(|a| a.standing.state(now) == AddressState::Up);
            let Some(address) = up.min_by_key(rank) else { break };
            if address.standing.calls() >= self.config.limits.calls {
                return Err(UpstreamError::Busy);
            }
            if address.standing.enter(now) {
                return Ok(Load { store: Arc::clone(self), address: Arc::clone(address) });
            }
        }
        self.try_one(now)
    }

    /// The address that may be tried soonest, when its time has come.
    fn try_one(self: &Arc<Self>, now: u64) -> Result<Load, UpstreamError> {
        let trial_at = |address: &Arc<Address>| Some((address.standing.trial_at()?, address.index));
        let soonest = self.addresses.iter().filter_map(trial_at).min();
        let Some((trial_at, index)) = soonest else {
            // Only health checks can bring an address back.
            let every = self.config.health.as_ref().map_or(Duration::ZERO, |check| check.every);
            return Err(UpstreamError::SetAside { back_in: every });
        };
        let address = self.addresses.get(index).ok_or(UpstreamError::Busy)?;
        if trial_at <= now && address.standing.enter(now) {
            return Ok(Load { store: Arc::clone(self), address: Arc::clone(address) });
        }
        let back_in = Duration::from_millis(trial_at.saturating_sub(now).max(1));
        Err(UpstreamError::SetAside { back_in })
    }

    fn now(&self) -> u64 {
        // Starts at 1: 0 means "not set aside".
        u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX).saturating_add(1)
    }

    async fn watch_credentials(self: Arc<Self>) {
        loop {
            tokio::time::sleep(REREAD).await;
            if let Err(error) = self.credentials.reread(&self.config) {
                let store = self.config.store.as_str();
                let error = told(&error);
                tracing::warn!(store, error, "kept the store's old credentials");
            }
        }
    }

    async fn watch_address(self: Arc<Self>, address: Arc<Address>) {
        let Some(check) = &self.config.health else { return };
        loop {
            let unwell = connection::probe(&self, &address, check).await.err();
            let was_up = address.standing.state(self.now()) == AddressState::Up;
            address.standing.probed(unwell.is_none());
            address.unwell.store(unwell.map(Arc::new));
            let is_up = address.standing.state(self.now()) == AddressState::Up;
            let (store, url) = (self.config.store.as_str(), &address.url);
            match (was_up, is_up) {
                (true, false) => {
                    let unwell = address.unwell.load();
                    let why = unwell.as_ref().map_or("", |why| why.as_str());
                    tracing::warn!(store, %url, why, "an address of the store is down");
                }
                (false, true) => tracing::info!(store, %url, "an address of the store is back"),
                _ => {}
            }
            tokio::time::sleep(check.every).await;
        }
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("config", &self.config).finish_non_exhaustive()
    }
}

fn address(index: usize, url: &StoreUrl) -> Result<Arc<Address>, UpstreamError> {
    let host = HeaderValue::from_str(url.authority().as_str())
        .map_err(|error| UpstreamError::Request(error.into()))?;
    let (standing, unwell) = (Standing::default(), ArcSwapOption::empty());
    Ok(Arc::new(Address { index, host, url: url.clone(), standing, unwell }))
}

/// A call under way to one address, counted while it lives.
#[derive(Debug)]
pub(super) struct Load {
    store: Arc<Store>,
    pub(super) address: Arc<Address>,
}

impl Load {
    pub(super) fn succeeded(&self) {
        self.address.standing.succeeded();
    }

    /// Counts `error` against the address when it is the address's fault.
    pub(super) fn failed(&self, error: &UpstreamError) {
        if error.blames_address() && self.address.standing.failed(self.store.now()) {
            self.store.metrics.ejections.inc();
            let (store, url) = (self.store.config.store.as_str(), &self.address.url);
            tracing::warn!(store, %url, "an address of the store is set aside after failures");
        }
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.address.standing.leave();
    }
}
