//! Where the gateway listens, and how many callers it has room for.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crate::config::Config;
use crate::net;
use crate::net::Bound;
use crate::net::Inherited;
use crate::net::Places;

use super::harden;
use super::start::StartError;
use super::worker;

/// Sockets that were handed over take the place of `listen`, under the same rules.
pub(super) fn listen_where_handed_over(
    config: &mut Config,
    inherited: &Inherited,
) -> Result<(), StartError> {
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
pub(super) fn gateway_sockets(
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

pub(super) fn admin_sockets(
    listen: &[SocketAddr],
    inherited: &Inherited,
) -> Result<Vec<Bound>, StartError> {
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

/// The places for callers' connections: as many as are configured and this process has
/// descriptors for.
pub(super) fn places(config: &Config) -> Arc<Places> {
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
