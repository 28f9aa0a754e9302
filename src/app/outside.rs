//! The files that privet.toml names and that only a running gateway opens: looked at beforehand.

use std::sync::Arc;

use crate::authn::Authenticator;
use crate::authn::AuthnConfig;
use crate::authn::AuthnMetrics;
use crate::clock::SystemClock;
use crate::config::Config;
use crate::net::ServerTls;
use crate::types::Fault;
use crate::types::Faults;
use crate::types::told;
use crate::upstream;

use super::exports;
use super::folders;
use super::harden;
use super::load::Loaded;
use super::root_key;
use super::running::read_operators;
use super::sockets::connections_that_fit;

impl Loaded {
    /// What a start would refuse in keys, certificates, key sets, operators and credentials.
    ///
    /// # Errors
    /// Every fault, with its place in privet.toml.
    pub fn require_files(&self) -> Result<(), Vec<Fault>> {
        let mut faults = Faults::new();
        let config = &self.config;
        root_key::examine(config, &mut faults);
        folders::examine(config, &mut faults);
        issuers(config, &mut faults);
        stores(config, &mut faults);
        exports::examine(config, &mut faults);
        if let Some(files) = &config.gateway.tls
            && let Err(error) = ServerTls::load(files.clone(), Arc::new(SystemClock))
        {
            faults.error(&config.place(&["gateway", "tls"]), told(&error), "");
        }
        if let Err(error) = read_operators(&config.admin.operators_file) {
            faults.error(&config.place(&["admin", "operators_file"]), told(&error), "");
        }
        if faults.has_errors() { Err(faults.into_sorted()) } else { Ok(()) }
    }
}

/// Warns of more connections than this system lets a process have.
pub(super) fn descriptors(config: &Config, faults: &mut Faults) {
    let Some(wanted) = config.gateway.limits.connections else { return };
    let most = harden::most_descriptors();
    let fit = connections_that_fit(most, config);
    if wanted > fit {
        let what = format!("room for {fit} connections: {most} files may be open");
        let help = "raise the limit (`ulimit -Hn`, or `LimitNOFILE=` of the service)";
        faults.warning(&config.place(&["gateway", "limits", "connections"]), what, help);
    }
}

/// Key sets in files; those behind URLs may be out of reach just now.
fn issuers(config: &Config, faults: &mut Faults) {
    for (index, issuer) in config.authn.issuers.iter().enumerate() {
        let alone = AuthnConfig { issuers: vec![issuer.clone()], certificates: Vec::new() };
        let opened = Authenticator::new(alone, Arc::new(SystemClock), AuthnMetrics::default());
        for error in opened.err().into_iter().flatten() {
            let place = config.place(&["issuer", &index.to_string(), "jwks"]);
            faults.error(&place, told(&error), "");
        }
    }
}

fn stores(config: &Config, faults: &mut Faults) {
    for (index, store) in config.stores.iter().enumerate() {
        let index = index.to_string();
        for (keys, error) in upstream::examine(&store.upstream) {
            let path: Vec<&str> =
                ["store", &index].into_iter().chain(keys.iter().copied()).collect();
            faults.error(&config.place(&path), told(&error), "");
        }
    }
}
