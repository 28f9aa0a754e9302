//! Where callers and operators connect.

use std::net::SocketAddr;
use std::time::Duration;

use crate::net::TlsConfig;
use crate::proxy::Limits;
use crate::proxy::PerPrincipal;
use crate::types::Faults;
use crate::types::doc::Entry;
use crate::types::doc::MapReader;
use crate::types::doc::Node;

use super::AdminListener;
use super::DrainTimes;
use super::Gateway;
use super::paths::Paths;

/// `[gateway]`.
pub(super) fn gateway(node: &Node, paths: &Paths, faults: &mut Faults) -> Option<Gateway> {
    let mut map = MapReader::new(node, "`[gateway]`", faults)?;
    let listen = map.required("listen", faults);
    let has_tls = map.entry("tls").is_some();
    let tls = map.optional("tls").and_then(|n| tls(n, paths, faults));
    let limits =
        map.optional("limits").map_or_else(|| Some(Limits::default()), |n| limits(n, faults));
    let drain = map.optional("drain").map_or(Some(DRAIN), |n| drain(n, faults));
    if let Some(proxies) = map.optional("trusted_proxies") {
        // Nothing is decided by a client's address yet, so naming proxies would change nothing.
        if !proxies.list(faults).unwrap_or_default().is_empty() {
            faults.warning(
                &proxies.place,
                "`trusted_proxies` changes nothing in this version",
                "no decision rests on a client's address; leave the list empty",
            );
        }
    }
    map.finish(faults);
    let listen = addresses(listen?, faults);
    if !has_tls {
        refuse_open(
            &listen,
            "add tls = { cert = \"…\", key_file = \"…\" }, or listen on 127.0.0.1",
            faults,
        );
    }
    let listen = listen.into_iter().map(|(_, address)| address).collect();
    Some(Gateway { listen, tls, limits: limits?, drain: drain? })
}

/// `drain`: how much time a stop takes.
fn drain(node: &Node, faults: &mut Faults) -> Option<DrainTimes> {
    let mut map = MapReader::new(node, "`drain`", faults)?;
    let mut seconds = |key, range| {
        let node = map.optional(key)?;
        node.whole(range, faults).map(Duration::from_secs)
    };
    let notice = seconds("notice_s", 0..=300);
    let finish = seconds("finish_s", 1..=3600).unwrap_or(DRAIN.finish);
    map.finish(faults);
    Some(DrainTimes { notice, finish })
}

/// `[admin]`.
pub(super) fn admin(
    node: &Node,
    paths: &Paths,
    gateway: &[SocketAddr],
    faults: &mut Faults,
) -> Option<AdminListener> {
    let mut map = MapReader::new(node, "`[admin]`", faults)?;
    let listen = map.required("listen", faults);
    let operators = map.optional("operators_file");
    let operators =
        operators.map_or_else(|| Some(paths.join("operators")), |n| paths.read(n, faults));
    map.finish(faults);
    let listen = addresses(listen?, faults);
    refuse_open(
        &listen,
        "the admin listener speaks plain HTTP; listen on 127.0.0.1 and tunnel to it",
        faults,
    );
    for (node, address) in &listen {
        if address.port() != 0 && gateway.contains(address) {
            let what = format!("the gateway listens on `{address}` already");
            faults.error(&node.place, what, "give the admin listener an address of its own");
        }
    }
    let listen = listen.into_iter().map(|(_, address)| address).collect();
    Some(AdminListener { listen, operators_file: operators? })
}

/// `[postgres]` and `[portal]`: read like the others, so that what is wrong shows early.
pub(super) fn later(entry: &Entry, what: &'static str, faults: &mut Faults) {
    let Some(mut map) = MapReader::new(&entry.node, what, faults) else { return };
    let listen = map.required("listen", faults);
    map.finish(faults);
    listen.map(|node| addresses(node, faults));
    let what = format!("{what} is read, but nothing listens there in this version");
    faults.warning(&entry.key_place, what, "");
}

fn addresses<'a>(node: &'a Node, faults: &mut Faults) -> Vec<(&'a Node, SocketAddr)> {
    let found: Vec<_> = node
        .texts(faults)
        .into_iter()
        .filter_map(|(item, text)| match text.parse() {
            Ok(address) => Some((item, address)),
            Err(_) => {
                item.mismatch("an address and port", "write it as \"127.0.0.1:7410\"", faults)
            }
        })
        .collect();
    if found.is_empty() && node.one_or_list().is_empty() {
        faults.error(&node.place, "no address to listen on", "write listen = [\"127.0.0.1:7410\"]");
    }
    found
}

/// Plain HTTP beyond this machine shows every answer to the network.
fn refuse_open(listen: &[(&Node, SocketAddr)], help: &str, faults: &mut Faults) {
    for (node, address) in listen {
        if !address.ip().is_loopback() {
            let what = format!("plain HTTP on `{address}`, which is not this machine alone");
            faults.error(&node.place, what, help);
        }
    }
}

fn tls(node: &Node, paths: &Paths, faults: &mut Faults) -> Option<TlsConfig> {
    let mut map = MapReader::new(node, "`tls`", faults)?;
    let cert = map.required("cert", faults).and_then(|n| paths.read(n, faults));
    let key_file = map.required("key_file", faults).and_then(|n| paths.read(n, faults));
    let client_ca = map.optional("client_ca").map(|n| paths.read(n, faults));
    map.finish(faults);
    let client_ca = match client_ca {
        Some(None) => return None,
        Some(path) => path,
        None => None,
    };
    Some(TlsConfig { cert: cert?, key_file: key_file?, client_ca })
}

fn limits(node: &Node, faults: &mut Faults) -> Option<Limits> {
    let mut map = MapReader::new(node, "`[gateway.limits]`", faults)?;
    let default = Limits::default();
    let default_file = usize::try_from(default.file_bytes).unwrap_or(usize::MAX);
    let mut bytes = |key, range, default| match map.optional(key) {
        Some(n) => n.whole(range, faults).and_then(|n| usize::try_from(n).ok()),
        None => Some(default),
    };
    let header_bytes = bytes("header_bytes", 8192..=1 << 20, default.header_bytes);
    let record_bytes = bytes("record_bytes", 1024..=1 << 28, default.record_bytes);
    let file_bytes = bytes("file_bytes", 1024..=1 << 44, default_file);
    let buffer_bytes = bytes("buffer_bytes", 1 << 20..=1 << 40, default.buffer_bytes);
    let mut seconds = |key, default| match map.optional(key) {
        Some(n) => n.whole(1..=86_400, faults).map(Duration::from_secs),
        None => Some(default),
    };
    let idle = seconds("idle_s", default.idle);
    let head = seconds("head_s", default.head);
    let client_write = seconds("client_write_s", default.client_write);
    let per_principal = match map.optional("per_principal") {
        Some(n) => per_principal(n, faults),
        None => Some(default.per_principal),
    };
    let mut count = |key| map.optional(key).map(|n| n.whole(1..=1 << 24, faults));
    let connections = count("connections");
    let connections_per_peer = count("connections_per_peer");
    map.finish(faults);
    let count = |read: Option<Option<u64>>| read.flatten().and_then(|n| usize::try_from(n).ok());
    if let (Some(record), Some(buffer)) = (record_bytes, buffer_bytes)
        && record > buffer
    {
        let what = format!("a record may have {record} bytes, all buffers together {buffer}");
        faults.error(&node.place.first_line(), what, "raise `buffer_bytes`");
    }
    Some(Limits {
        header_bytes: header_bytes?,
        record_bytes: record_bytes?,
        file_bytes: u64::try_from(file_bytes?).ok()?,
        buffer_bytes: buffer_bytes?,
        idle: idle?,
        head: head?,
        client_write: client_write?,
        per_principal: per_principal?,
        connections: count(connections),
        connections_per_peer: count(connections_per_peer),
    })
}

fn per_principal(node: &Node, faults: &mut Faults) -> Option<PerPrincipal> {
    let mut map = MapReader::new(node, "`per_principal`", faults)?;
    let default = PerPrincipal::default();
    let mut number = |key, default| match map.optional(key) {
        Some(n) => n.whole(1..=1_000_000_000, faults).and_then(|n| u32::try_from(n).ok()),
        None => Some(default),
    };
    let concurrent = number("concurrent", default.concurrent);
    let per_second = number("per_second", default.per_second);
    map.finish(faults);
    Some(PerPrincipal { concurrent: concurrent?, per_second: per_second? })
}

const DRAIN: DrainTimes = DrainTimes { notice: None, finish: Duration::from_secs(30) };
