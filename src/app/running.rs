//! The gateway from start to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::task::JoinSet;

use crate::api;
use crate::api::Admin;
use crate::api::Operators;
use crate::audit::AuditError;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::audit::Log;
use crate::net::Bound;
use crate::net::Drain;
use crate::net::Inherited;
use crate::net::ListenerSetup;
use crate::net::NetMetrics;
use crate::net::ServerTls;
use crate::types::told;

use super::admin;
use super::cosigning;
use super::files;
use super::gateway::Parts;
use super::gateway::Site;
use super::harden;
use super::load::Loaded;
use super::sockets::admin_sockets;
use super::sockets::gateway_sockets;
use super::sockets::listen_where_handed_over;
use super::sockets::places;
use super::start::Addresses;
use super::start::StartError;
use super::start::Trust;
use super::telemetry::Telemetry;
use super::worker;
use super::worker::Duty;
use super::worker::Pulse;

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
        let admin = serve_admin(sockets, (&site, config.shred_within), &admin_drain, &mut tasks)?;
        let addresses = Addresses { gateway, admin };
        let log = site.log().clone();
        let witness = site.witness();
        let first = witness.record(&log, site.start_entry()).await?;
        witness.begin(&log).await?;
        tasks.spawn(witness.clone().watch(log.clone(), drain.clone()));
        cosigning::start(&config.witnesses, &log, &mut tasks, &drain)?;
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
        if let Err(error) = self.site.inbox().flush().await {
            tracing::warn!(error = told(&error), "the inbox of unlisted fields is not kept");
        }
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
    (site, shred_within): (&Arc<Site>, Duration),
    drain: &Drain,
    tasks: &mut JoinSet<()>,
) -> Result<SocketAddr, StartError> {
    let parts = Arc::new(Admin {
        gateway: Arc::clone(site) as Arc<dyn api::Gateway>,
        cards: site.cards().clone(),
        authenticator: site.authenticator().clone(),
        approvals: site.approvals().clone(),
        jobs: site.jobs().jobs.clone(),
        rotation: Arc::clone(&site.jobs().rotation),
        shred_within,
        mfa: site.mfa(),
        keys: site.keys().clone(),
        inbox: site.inbox().clone(),
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

/// How long the connections that are cut stay to be counted.
const COUNTING: Duration = Duration::from_millis(200);
/// Time for the log and the state to be closed.
const CLOSING: Duration = Duration::from_secs(15);
