//! The gateway from start to stop.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::task::JoinSet;

use crate::api;
use crate::api::Admin;
use crate::api::Operators;
use crate::api::OperatorsError;
use crate::audit::AuditError;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::audit::Log;
use crate::authn::AuthnError;
use crate::config::Config;
use crate::keys::KeysError;
use crate::net::Bound;
use crate::net::Drain;
use crate::net::ListenerSetup;
use crate::net::NetError;
use crate::net::NetMetrics;
use crate::net::Places;
use crate::net::ServerTls;
use crate::proxy::ProxyError;
use crate::proxy::Shared;
use crate::state::StateError;
use crate::types::told;
use crate::upstream::UpstreamError;

use super::admin;
use super::files;
use super::files::ReadError;
use super::gateway::Parts;
use super::gateway::Site;
use super::harden;
use super::load::LoadError;
use super::load::Loaded;
use super::witness::HistoryError;
use super::worker;

/// Where the gateway listens, with the ports that were picked.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The first gateway listener.
    pub gateway: SocketAddr,
    /// The first admin listener.
    pub admin: SocketAddr,
}

/// What the keys and issuers of a configuration are good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trust {
    /// Made-up people: public keys will do.
    Demo,
    /// Real people: a demo's root key is refused.
    Real,
}

/// The gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log.
    #[error("the audit log cannot be opened")]
    Audit(#[source] AuditError),
    /// The log's key.
    #[error("the audit log's key cannot be used: {0}")]
    AuditKey(String),
    /// The issuers.
    #[error("no issuer can be used: {}", .0.iter().map(|e| told(e)).collect::<Vec<_>>().join("; "))]
    Authn(Vec<AuthnError>),
    /// Another process has the state, the keys or the log.
    #[error("another privet runs on this folder: stop it, or use another folder")]
    Busy,
    /// The root key is a demo's, which everybody can open.
    #[error(
        "the root key opens with the demo's passphrase, which is public; \
         make a configuration of your own with `privet init DIR`"
    )]
    DemoKey,
    /// The development issuer beyond loopback.
    #[error(
        "the development issuer signs for everybody who can read its key, and the gateway listens \
         on {0}; remove that [[issuer]] from privet.toml, or listen on 127.0.0.1"
    )]
    DevIssuer(SocketAddr),
    /// A folder of the state.
    #[error("cannot make `{path}`")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The log and the state do not fit each other.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// The keys.
    #[error("the keys cannot be opened")]
    Keys(#[source] KeysError),
    /// The configuration.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A listener.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A port.
    #[error("no port for {section}")]
    Listen {
        /// Whose `listen` names it.
        section: &'static str,
        /// What the system said.
        #[source]
        source: NetError,
    },
    /// Nowhere to listen.
    #[error("`{0}` lists no address; write listen = [\"127.0.0.1:…\"]")]
    NoListener(&'static str),
    /// The operators file.
    #[error("the operators file `{path}` cannot be used")]
    Operators {
        /// Which.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: OperatorsError,
    },
    /// The traffic side.
    #[error("the gateway cannot serve this policy")]
    Proxy(#[from] ProxyError),
    /// A file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The state.
    #[error("the state cannot be opened")]
    State(#[source] StateError),
    /// The policy's own tests fail.
    #[error("the policy's tests fail:\n{0}")]
    Tests(String),
    /// A thread could not be started.
    #[error("a worker cannot start")]
    Thread(#[source] io::Error),
    /// A store.
    #[error("a store cannot be used")]
    Upstream(#[from] UpstreamError),
}

impl From<AuditError> for StartError {
    fn from(error: AuditError) -> Self {
        if matches!(error, AuditError::InUse { .. }) { Self::Busy } else { Self::Audit(error) }
    }
}

impl From<KeysError> for StartError {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::State(StateError::Locked { .. }) => Self::Busy,
            error => Self::Keys(error),
        }
    }
}

impl From<StateError> for StartError {
    fn from(error: StateError) -> Self {
        if matches!(error, StateError::Locked { .. }) { Self::Busy } else { Self::State(error) }
    }
}

/// A running gateway. Stop it with [`stop`](Self::stop); dropped, it ends without good manners.
#[derive(Debug)]
pub struct Running {
    addresses: Addresses,
    drain: Drain,
    admin_drain: Drain,
    workers: Vec<JoinHandle<()>>,
    tasks: JoinSet<()>,
    site: Arc<Site>,
    log: Log,
}

impl Running {
    /// Opens everything, starts the workers, and gives the gateway when all listeners accept.
    ///
    /// Opening reads disks and derives keys, which blocks the calling thread for a moment.
    pub async fn start(loaded: Loaded, trust: Trust) -> Result<Self, StartError> {
        harden::no_core_dumps();
        loaded.require_tests().map_err(StartError::Tests)?;
        let drain = Drain::new();
        let net = NetMetrics::default();
        let parts = Parts::open(&loaded, trust, &net).await?;
        let config = &loaded.config;
        let tls = match &config.gateway.tls {
            Some(files) => Some(Arc::new(ServerTls::load(files.clone(), parts.clock())?)),
            None => None,
        };
        let setup = ListenerSetup {
            tls: tls.clone(),
            connections: places(config),
            handshake_timeout: config.gateway.limits.head,
            drain: drain.clone(),
            metrics: net,
        };
        let (gateway, workers) =
            start_workers(&config.gateway.listen, &setup, parts.shared()).await?;

        let mut tasks = JoinSet::new();
        parts.watch(&mut tasks, &drain);
        let operators = read_operators(&config.admin.operators_file)?;
        let site = parts.into_site(&loaded, operators, tls);
        let admin_drain = Drain::new();
        let admin = serve_admin(&loaded, &site, &admin_drain, &mut tasks)?;
        let addresses = Addresses { gateway, admin };
        let log = site.log().clone();
        let witness = site.witness();
        let first = witness.record(&log, site.start_entry()).await?;
        witness.begin(&log).await?;
        tasks.spawn(witness.clone().watch(log.clone(), drain.clone()));
        tracing::info!(index = first.index(), "started");
        Ok(Self { addresses, drain, admin_drain, workers, tasks, site, log })
    }

    /// Where it listens.
    pub const fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Reads policies, issuers, certificates, operators and credentials again. What was in force stays
    /// when anything is wrong.
    pub async fn reload(&self) -> Result<api::Reloaded, String> {
        let site = Arc::clone(&self.site);
        // Reading files and compiling policies takes tens of milliseconds of one thread.
        let done = tokio::task::spawn_blocking(move || api::Gateway::reload(&*site)).await;
        done.unwrap_or_else(|_| Err("the reload did not finish".to_owned()))
    }

    /// Whether callers speak TLS with it.
    pub fn speaks_tls(&self) -> bool {
        self.site.speaks_tls()
    }

    /// Takes no new calls, lets those under way end, and closes the log. Gives how many
    /// connections had to be cut.
    pub async fn stop(mut self) -> usize {
        self.drain.start();
        let cut = self.drain.finished(worker::GRACE).await;
        self.admin_drain.start();
        let workers = std::mem::take(&mut self.workers);
        // Workers end by themselves once nothing is open; joining blocks, so not on this runtime.
        let joined = tokio::task::spawn_blocking(move || {
            workers.into_iter().for_each(|worker| drop(worker.join()));
        });
        if cut == 0 {
            drop(joined.await);
        }
        self.tasks.shutdown().await;
        if let Err(error) = self.close_log().await {
            let error = told(&error);
            tracing::error!(error, "the audit log was not closed in good order");
        }
        cut
    }

    async fn close_log(&self) -> Result<(), AuditError> {
        let witness = self.site.witness();
        let last = witness.record(&self.log, Entry::new(Kind::Stop)).await?;
        tracing::info!(index = last.index(), "stopped");
        self.log.close().await?;
        witness.keep(&self.log, &mut None).await;
        Ok(())
    }
}

async fn start_workers(
    listen: &[SocketAddr],
    setup: &ListenerSetup,
    shared: &Arc<Shared>,
) -> Result<(SocketAddr, Vec<JoinHandle<()>>), StartError> {
    let count = worker::count();
    let mut sockets: Vec<Vec<Bound>> = (0..count).map(|_| Vec::new()).collect();
    let mut first = None;
    for address in listen {
        let bound = Bound::bind_shared(*address, count)
            .map_err(|source| StartError::Listen { section: "[gateway]", source })?;
        first = first.or_else(|| bound.first().map(Bound::address));
        for (mine, socket) in sockets.iter_mut().zip(bound) {
            mine.push(socket);
        }
    }
    let first = first.ok_or(StartError::NoListener("[gateway]"))?;
    let mut workers = Vec::new();
    for (number, sockets) in sockets.into_iter().enumerate() {
        workers.push(worker::start(number, sockets, setup, shared).await?);
    }
    Ok((first, workers))
}

fn serve_admin(
    loaded: &Loaded,
    site: &Arc<Site>,
    drain: &Drain,
    tasks: &mut JoinSet<()>,
) -> Result<SocketAddr, StartError> {
    let config = &loaded.config.admin;
    let parts = Arc::new(Admin {
        gateway: Arc::clone(site) as Arc<dyn api::Gateway>,
        cards: site.cards().clone(),
        keys: site.keys().clone(),
        log: site.log().clone(),
        operators: site.operators(),
    });
    let mut first = None;
    for address in &config.listen {
        let bound = Bound::bind(*address)
            .map_err(|source| StartError::Listen { section: "[admin]", source })?;
        first = first.or(Some(bound.address()));
        let listener = admin::listener(bound, drain)?;
        let (pages, drain) = (api::router(Arc::clone(&parts)), drain.clone());
        tasks.spawn(
            listener
                .serve(move |connection| admin::serve(connection, pages.clone(), drain.clone())),
        );
    }
    first.ok_or(StartError::NoListener("[admin]"))
}

/// Reads the operators file; without one nobody is let in.
pub(super) fn read_operators(path: &std::path::Path) -> Result<Operators, StartError> {
    if !path.exists() {
        return Ok(Operators::default());
    }
    let text = files::secret_text(path, files::LONGEST)?;
    Operators::parse(&text)
        .map_err(|source| StartError::Operators { path: path.to_owned(), source })
}

/// The places for callers' connections: as many as are configured and this process has
/// descriptors for.
fn places(config: &Config) -> Arc<Places> {
    let limits = &config.gateway.limits;
    let fit = connections_that_fit(harden::raise_descriptors(), config);
    if let Some(wanted) = limits.connections.filter(|wanted| *wanted > fit) {
        tracing::warn!(wanted, fit, "the limit on open files leaves room for fewer connections");
    }
    let total = limits.connections.unwrap_or(MOST_CONNECTIONS).min(fit);
    Places::new(total, limits.connections_per_peer.unwrap_or_else(|| total.div_ceil(2)))
}

/// How many callers may be connected when `descriptors` may be open: a call that is under way
/// takes one more, towards a store.
pub(super) fn connections_that_fit(descriptors: u64, config: &Config) -> usize {
    let addresses = config
        .stores
        .iter()
        .map(|store| store.upstream.urls.len().saturating_mul(store.upstream.limits.calls));
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    let to_stores = addresses.fold(0, usize::saturating_add).min(descriptors / 4);
    descriptors.saturating_sub(to_stores).saturating_sub(OTHER_FILES).max(1)
}

/// Open connections at once, over all workers, where nothing else is said.
const MOST_CONNECTIONS: usize = 20_000;
/// Descriptors for everything that is not a connection.
const OTHER_FILES: usize = 256;
