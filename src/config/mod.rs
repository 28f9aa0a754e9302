//! Reads privet.toml into checked settings, reporting every fault with its place.
//!
//! A [`Config`] that exists is valid. Relative paths are relative to the file. Secrets come only
//! through `*_file` keys.

mod audit;
mod auth;
mod issuer;
mod keys;
mod listen;
mod paths;
mod store;
mod telemetry;
mod witness;
#[cfg(test)]
mod audit_tests;
#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::audit::AuditConfig;
use crate::audit::Durability;
use crate::audit::ExportConfig;
use crate::authn::AuthnConfig;
use crate::keys::KeysConfig;
use crate::keys::RootProvider;
use crate::net::TlsConfig;
use crate::proxy::Limits;
use crate::proxy::Place as StorePlace;
use crate::state::StateConfig;
use crate::telemetry::TelemetryConfig;
use crate::types::Faults;
use crate::types::Place;
use crate::types::SourceFile;
use crate::types::doc;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::upstream::UpstreamConfig;

use self::paths::Paths;

pub use self::witness::WitnessSection;

/// Everything privet.toml says.
#[derive(Clone, Debug)]
pub struct Config {
    /// The folder of policies.
    pub policies: PathBuf,
    /// Who runs this installation.
    pub organisation: Organisation,
    /// The traffic side.
    pub gateway: Gateway,
    /// The admin listener.
    pub admin: AdminListener,
    /// Where cards are kept.
    pub state: StateConfig,
    /// The log.
    pub audit: AuditConfig,
    /// Who gets copies of its entries.
    pub exports: Vec<ExportConfig>,
    /// Who co-signs its checkpoints.
    pub witnesses: Vec<WitnessSection>,
    /// The keys.
    pub keys: KeysConfig,
    /// For how long after an erasure two people together can still be told which entries of the
    /// log were about the person.
    pub unlink_after: Duration,
    /// How long an older copy of the files may hold the key of somebody who was erased.
    pub shred_within: Duration,
    /// Issuers and client certificates.
    pub authn: AuthnConfig,
    /// The stores.
    pub stores: Vec<StoreSection>,
    /// Where traces go, when they go anywhere.
    pub telemetry: Option<TelemetryConfig>,
    /// The file as written, for those who find out later what is wrong with it.
    pub written: Node,
}

/// Who runs this installation, for people who ask.
#[derive(Clone, Debug, Default)]
pub struct Organisation {
    /// Its name.
    pub name: Option<String>,
    /// Where people write to.
    pub contact: Option<String>,
}

/// The traffic side.
#[derive(Clone, Debug)]
pub struct Gateway {
    /// Where callers connect.
    pub listen: Vec<SocketAddr>,
    /// The certificate; needed off loopback.
    pub tls: Option<TlsConfig>,
    /// Limits.
    pub limits: Limits,
    /// How it stops.
    pub drain: DrainTimes,
}

/// How much time a stop takes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct DrainTimes {
    /// How long calls are still taken while `/readyz` says no, so that whoever spreads the load
    /// sends them elsewhere. When it is not set: see [`Gateway::notice`].
    pub notice: Option<Duration>,
    /// How long calls under way may take to end.
    pub finish: Duration,
}

impl Gateway {
    /// How long calls are still taken once the gateway is to stop: as configured, else a few
    /// seconds where somebody outside this machine may send calls, else not at all.
    pub fn notice(&self) -> Duration {
        let is_local = self.listen.iter().all(|address| address.ip().is_loopback());
        let usual = if is_local { Duration::ZERO } else { NOTICE };
        self.drain.notice.unwrap_or(usual)
    }
}

/// The admin listener.
#[derive(Clone, Debug)]
pub struct AdminListener {
    /// Where operators connect; loopback only.
    pub listen: Vec<SocketAddr>,
    /// Who they are.
    pub operators_file: PathBuf,
}

/// One `[[store]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StoreSection {
    /// Where its traffic is found.
    pub place: StorePlace,
    /// How it is reached.
    pub upstream: UpstreamConfig,
}

impl Config {
    /// Reads the file. Every fault is reported; `None` when one of them is an error.
    pub fn read(file: &Arc<SourceFile>, faults: &mut Faults) -> Option<Self> {
        let before = faults.errors();
        let root = doc::toml(Arc::clone(file), faults)?;
        let paths = Paths::beside(Path::new(&file.name));
        let config = read_root(&root, &paths, faults);
        config.filter(|_| faults.errors() == before)
    }
}

impl Config {
    /// Where a value stands in the file, by keys and numbers; where it is left out, what is
    /// around it.
    pub fn place(&self, path: &[&str]) -> Place {
        self.written.at(path).place.first_line()
    }

    /// The parts of the file that differ in `next` and that a running gateway cannot take up.
    pub fn needs_restart(&self, next: &Self) -> Vec<&'static str> {
        let parts = [
            ("tenant", self.keys.tenant == next.keys.tenant),
            ("[gateway] listen", self.gateway.listen == next.gateway.listen),
            ("[gateway] tls", self.gateway.tls == next.gateway.tls),
            ("[gateway] drain", self.gateway.drain == next.gateway.drain),
            ("[gateway.limits]", self.gateway.limits == next.gateway.limits),
            ("[admin] listen", self.admin.listen == next.admin.listen),
            ("[state]", self.state == next.state),
            ("[audit]", self.audit_settings() == next.audit_settings()),
            ("[keys]", self.keys_settings() == next.keys_settings()),
            ("[[store]]", self.stores == next.stores),
            ("[telemetry]", self.telemetry == next.telemetry),
        ];
        parts.into_iter().filter(|(_, same)| !same).map(|(part, _)| part).collect()
    }

    fn keys_settings(&self) -> (&RootProvider, Option<&Path>, Duration, Duration) {
        let high_water = self.keys.high_water.as_deref();
        (&self.keys.root, high_water, self.keys.cached, self.shred_within)
    }

    /// Without the log's name, which follows from the tenant.
    fn audit_settings(&self) -> (&Path, Durability, &[ExportConfig], Duration, &[WitnessSection]) {
        let Self { audit, exports, unlink_after, witnesses, .. } = self;
        (&audit.dir, audit.durability, exports, *unlink_after, witnesses)
    }
}

fn read_root(root: &Node, paths: &Paths, faults: &mut Faults) -> Option<Config> {
    let mut map = MapReader::new(root, "the configuration", faults)?;
    if let Some(node) = map.required("privet", faults) {
        node.word("format", |t| (t == FORMAT).then_some(()), &[FORMAT], faults);
    }
    let policies = map.required("policies", faults).and_then(|n| paths.read(n, faults));
    let tenant = map.required("tenant", faults).and_then(|n| tenant(n, faults));
    let organisation = map.optional("organisation").and_then(|n| organisation(n, faults));
    let gateway = map.required("gateway", faults).and_then(|n| listen::gateway(n, paths, faults));
    let taken = gateway.as_ref().map_or(&[][..], |gateway| &gateway.listen);
    let admin = map.required("admin", faults).and_then(|n| listen::admin(n, paths, taken, faults));
    for (key, what) in [("postgres", "`[postgres]`"), ("portal", "`[portal]`")] {
        if let Some(entry) = map.entry(key) {
            listen::later(entry, what, faults);
        }
    }
    let state = map.required("state", faults).and_then(|n| state(n, paths, faults));
    let data = state.as_ref().and_then(|(_, keys)| keys.parent());
    let keys = map.required("keys", faults).and_then(|n| keys::read(n, paths, data, faults));
    let audit = map.required("audit", faults).and_then(|n| audit::read(n, paths, faults));
    let issuers = map.optional("issuer").map_or_else(Vec::new, |n| issuer::all(n, paths, faults));
    let certificates =
        map.optional("certificate").map_or_else(Vec::new, |n| issuer::certificates(n, faults));
    if map.entry("issuer").is_none() && map.entry("certificate").is_none() {
        faults.error(
            &root.place.first_line(),
            "no [[issuer]] and no [[certificate]]: nobody could show who they are",
            "`privet init DIR` writes a development issuer",
        );
    }
    let asks = |gateway: &Gateway| gateway.tls.as_ref().is_some_and(|t| t.client_ca.is_some());
    if let (Some(node), Some(gateway)) = (map.optional("certificate"), &gateway)
        && !asks(gateway)
    {
        let what = "no caller is ever asked for a certificate";
        faults.error(&node.place.first_line(), what, "add `client_ca` to `tls` of [gateway]");
    }
    let stores = map.required("store", faults).map(|n| store::all(n, paths, faults));
    let telemetry = map.entry("telemetry").map(|e| telemetry::read(e, paths, faults));
    map.finish(faults);

    let tenant = tenant?;
    let (keys, dir) = (keys?, state.as_ref().map(|(_, dir)| dir.clone())?);
    let section = audit?;
    let audit = AuditConfig { durability: section.durability, ..log_config(&section.dir, &tenant) };
    Some(Config {
        policies: policies?,
        organisation: organisation.unwrap_or_default(),
        gateway: gateway?,
        admin: admin?,
        state: state?.0,
        audit,
        exports: section.exports,
        unlink_after: section.unlink_after,
        witnesses: section.witnesses,
        shred_within: keys.shred_within,
        keys: keys.into_config(dir, tenant),
        authn: AuthnConfig { issuers, certificates },
        stores: stores?,
        telemetry: match telemetry {
            Some(telemetry) => Some(telemetry?),
            None => None,
        },
        written: root.clone(),
    })
}

/// The tenant is part of every derived key and of the log's name.
fn tenant(node: &Node, faults: &mut Faults) -> Option<String> {
    let text = node.text(faults)?;
    let fits = text.len() <= 64
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.".contains(&b));
    if fits {
        return Some(text.to_owned());
    }
    node.mismatch("a short name", "use at most 64 of a-z, 0-9, `-` and `.`", faults)
}

fn organisation(node: &Node, faults: &mut Faults) -> Option<Organisation> {
    let mut map = MapReader::new(node, "`[organisation]`", faults)?;
    let mut text = |key| map.optional(key).and_then(|n| n.text(faults)).map(str::to_owned);
    let (name, contact) = (text("name"), text("contact"));
    map.finish(faults);
    Some(Organisation { name, contact })
}

/// The engine, and the folder that key slots and subject keys share with it.
fn state(node: &Node, paths: &Paths, faults: &mut Faults) -> Option<(StateConfig, PathBuf)> {
    let mut map = MapReader::new(node, "`[state]`", faults)?;
    let url = map.required("url", faults);
    map.finish(faults);
    let url = url?;
    let text = url.text(faults)?;
    if text.starts_with("postgres:") || text.starts_with("postgresql:") {
        doc::not_in_this_version(&url.place, text.split(':').next().unwrap_or(text), faults);
        return None;
    }
    let Some(folder) = text.strip_prefix("sled:").filter(|folder| !folder.is_empty()) else {
        return url.mismatch("the URL of a state store", "write \"sled:data/state\"", faults);
    };
    let folder = paths.join(folder);
    let keys = folder.parent().unwrap_or(Path::new("")).join("keys");
    Some((StateConfig::Sled { path: folder }, keys))
}

/// The log's name is in every checkpoint, for ever the same.
fn log_config(dir: &Path, tenant: &str) -> AuditConfig {
    AuditConfig::new(dir, format!("{tenant}/node-1"))
}

/// Reads any text as privet.toml; whether every fault has its place inside the text, and whether
/// settings come out exactly when there is no error. Never `false`: this is the property that
/// fuzzing asserts.
pub fn places_hold(text: &str) -> bool {
    let file = Arc::new(SourceFile { name: "privet.toml".into(), text: text.into() });
    let mut faults = Faults::new();
    let config = Config::read(&file, &mut faults);
    let inside = |place: &Place| file.text.get(place.span.clone()).is_some();
    faults.iter().all(|fault| fault.place.as_ref().is_none_or(inside))
        && config.is_some() != faults.has_errors()
}

/// A fault about a key that may not stand beside another.
fn conflict(place: &Place, what: &str, help: &str, faults: &mut Faults) {
    faults.error(place, what, help);
}

/// Health checks of load balancers come every few seconds.
const NOTICE: Duration = Duration::from_secs(5);
const FORMAT: &str = "config/v1";
