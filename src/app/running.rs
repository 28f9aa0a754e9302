//! The gateway from start to stop.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

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
use crate::clock::EntropyError;
use crate::config::Config;
use crate::keys::KeysError;
use crate::net;
use crate::net::Bound;
use crate::net::Drain;
use crate::net::Inherited;
use crate::net::ListenerSetup;
use crate::net::NetError;
use crate::net::NetMetrics;
use crate::net::Places;
use crate::net::ServerTls;
use crate::proxy::ProxyError;
use crate::state::StateError;
use crate::subjects::SubjectsError;
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
use super::telemetry::Telemetry;
use super::witness::HistoryError;
use super::worker;
use super::worker::Duty;
use super::worker::Pulse;

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
    /// No name for the worker of jobs.
    #[error("jobs cannot be run")]
    Jobs(#[source] EntropyError),
    /// The keys.
    #[error("the keys cannot be opened")]
    Keys(#[source] KeysError),
    /// The configuration.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A listener.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A socket that was handed over shows plain HTTP to the network.
    #[error(
        "plain HTTP on the {0} socket that was handed over, `{1}`, which is not this machine alone; \
         add `tls` to [gateway], and let operators come to 127.0.0.1"
    )]
    Open(&'static str, SocketAddr),
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
    /// The cards, and the erasures they have forgotten.
    #[error("the cards cannot be compared with the ledger of tombstones")]
    Subjects(#[from] SubjectsError),
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
    pulses: Vec<Pulse>,
    /// How long calls are still taken while `/readyz` says no, and how long they may then take.
    notice: Duration,
    finish: Duration,
    tasks: JoinSet<()>,
    pub(super) site: Arc<Site>,
    log: Log,
    telemetry: Telemetry,
}

impl Running {
    /// Opens everything, starts the workers, and gives the gateway when all listeners accept.
    ///
    /// Opening reads disks and derives keys, which blocks the calling thread for a moment.
    pub async fn start(
        mut loaded: Loaded,
        trust: Trust,
        inherited: &Inherited,
    ) -> Result<Self, StartError> {
        harden::no_core_dumps();
        listen_where_handed_over(&mut loaded.config, inherited)?;
        loaded.require_tests().map_err(StartError::Tests)?;
        let drain = Drain::new();
        let net = NetMetrics::default();
        let mut parts = Parts::open(&loaded, trust, &net).await?;
        let telemetry = parts.take_telemetry();
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
        let (notice, finish) = (config.gateway.notice(), config.gateway.drain.finish);
        let sockets = gateway_sockets(&config.gateway.listen, inherited)?;
        // A little longer than those are counted for who are cut.
        let until_cut = finish + COUNTING;
        let duty = Duty { setup, shared: Arc::clone(parts.shared()), finish: until_cut };
        let (gateway, workers, pulses) = start_workers(sockets, &duty).await?;

        let mut tasks = JoinSet::new();
        parts.watch(config.shred_within, &mut tasks, &drain)?;
        let operators = read_operators(&config.admin.operators_file)?;
        let handed_over = !inherited.gateway().is_empty();
        let site = parts.into_site(&loaded, operators, tls, (&drain, handed_over));
        let admin_drain = Drain::new();
        let sockets = admin_sockets(&config.admin.listen, inherited)?;
        let admin = serve_admin(sockets, &site, &admin_drain, &mut tasks)?;
        let addresses = Addresses { gateway, admin };
        let log = site.log().clone();
        let witness = site.witness();
        let first = witness.record(&log, site.start_entry()).await?;
        witness.begin(&log).await?;
        tasks.spawn(witness.clone().watch(log.clone(), drain.clone()));
        tracing::info!(index = first.index(), "started");
        Ok(Self {
            addresses,
            drain,
            admin_drain,
            workers,
            pulses,
            notice,
            finish,
            tasks,
            site,
            log,
            telemetry,
        })
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

    /// Sees whether the workers run; each look covers the time since the last.
    pub fn heart(&self) -> Heart {
        Heart { pulses: self.pulses.clone(), seen: Vec::new() }
    }

    /// The longest a stop takes.
    pub fn longest_stop(&self) -> Duration {
        self.notice + self.finish + CLOSING
    }

    /// Says for a while that it is not ready, then takes no new calls, lets those under way end,
    /// and closes the log. Gives how many connections had to be cut.
    pub async fn stop(mut self) -> usize {
        self.drain.leave();
        tokio::time::sleep(self.notice).await;
        self.drain.start();
        let cut = self.drain.finished(self.finish).await;
        self.admin_drain.start();
        let workers = std::mem::take(&mut self.workers);
        // Workers end by themselves once nothing is open; joining blocks, so not on this runtime.
        let joined = tokio::task::spawn_blocking(move || {
            workers.into_iter().for_each(|worker| drop(worker.join()));
        });
        // Calls that are cut write down that they were, so the log is closed after them.
        drop(tokio::time::timeout(CLOSING, joined).await);
        self.tasks.shutdown().await;
        std::mem::take(&mut self.telemetry).finish().await;
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

/// The workers of a gateway, seen from outside.
#[derive(Debug)]
pub struct Heart {
    pulses: Vec<Pulse>,
    seen: Vec<u64>,
}

impl Heart {
    /// Whether every worker has run since the last look. The first look is about the start.
    pub fn beats(&mut self) -> bool {
        let now: Vec<u64> = self.pulses.iter().map(Pulse::beats).collect();
        let stuck = now.iter().zip(&self.seen).any(|(now, seen)| now == seen);
        self.seen = now;
        !stuck
    }
}

/// Sockets that were handed over take the place of `listen`, under the same rules.
fn listen_where_handed_over(config: &mut Config, inherited: &Inherited) -> Result<(), StartError> {
    let beyond = |found: &[SocketAddr]| found.iter().find(|a| !a.ip().is_loopback()).copied();
    let (gateway, admin) =
        (net::addresses(inherited.gateway())?, net::addresses(inherited.admin())?);
    match (beyond(&gateway), beyond(&admin)) {
        (Some(open), _) if config.gateway.tls.is_none() => {
            return Err(StartError::Open("gateway", open));
        }
        (_, Some(open)) => return Err(StartError::Open("admin", open)),
        _ => {}
    }
    if !gateway.is_empty() {
        config.gateway.listen = gateway;
        // New connections wait in the socket; those that are open end with their next answer.
        config.gateway.drain.notice.get_or_insert(HANDOVER);
    }
    if !admin.is_empty() {
        config.admin.listen = admin;
    }
    Ok(())
}

/// The sockets of each worker.
fn gateway_sockets(
    listen: &[SocketAddr],
    inherited: &Inherited,
) -> Result<Vec<Vec<Bound>>, StartError> {
    let count = worker::count();
    let mut sockets: Vec<Vec<Bound>> = (0..count).map(|_| Vec::new()).collect();
    let mut spread = |bound: Vec<Bound>| {
        for (mine, socket) in sockets.iter_mut().zip(bound) {
            mine.push(socket);
        }
    };
    for socket in inherited.gateway() {
        spread(Bound::inherited(socket, count)?);
    }
    for address in listen.iter().filter(|_| inherited.gateway().is_empty()) {
        let bound = Bound::bind_shared(*address, count);
        spread(bound.map_err(|source| StartError::Listen { section: "[gateway]", source })?);
    }
    Ok(sockets)
}

fn admin_sockets(listen: &[SocketAddr], inherited: &Inherited) -> Result<Vec<Bound>, StartError> {
    if inherited.admin().is_empty() {
        let bind = |address: &SocketAddr| {
            Bound::bind(*address)
                .map_err(|source| StartError::Listen { section: "[admin]", source })
        };
        return listen.iter().map(bind).collect();
    }
    let handles = inherited.admin().iter().map(|socket| Bound::inherited(socket, 1));
    Ok(handles.collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

async fn start_workers(
    sockets: Vec<Vec<Bound>>,
    duty: &Duty,
) -> Result<(SocketAddr, Vec<JoinHandle<()>>, Vec<Pulse>), StartError> {
    let first = sockets.first().and_then(|mine| mine.first()).map(Bound::address);
    let first = first.ok_or(StartError::NoListener("[gateway]"))?;
    let (mut workers, mut pulses) = (Vec::new(), Vec::new());
    for (number, sockets) in sockets.into_iter().enumerate() {
        let (worker, pulse) = worker::start(number, sockets, duty).await?;
        workers.push(worker);
        pulses.push(pulse);
    }
    Ok((first, workers, pulses))
}

fn serve_admin(
    sockets: Vec<Bound>,
    site: &Arc<Site>,
    drain: &Drain,
    tasks: &mut JoinSet<()>,
) -> Result<SocketAddr, StartError> {
    let parts = Arc::new(Admin {
        gateway: Arc::clone(site) as Arc<dyn api::Gateway>,
        cards: site.cards().clone(),
        jobs: site.jobs().clone(),
        mfa: site.mfa(),
        keys: site.keys().clone(),
        log: site.log().clone(),
        operators: site.operators(),
    });
    let first = sockets.first().map(Bound::address);
    for bound in sockets {
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
/// How long open connections are waited for before sockets go back to who handed them over.
const HANDOVER: Duration = Duration::from_secs(1);
/// How long the connections that are cut stay to be counted.
const COUNTING: Duration = Duration::from_millis(200);
/// Time for the log and the state to be closed.
const CLOSING: Duration = Duration::from_secs(15);
