//! Settings that are allowed and risky: each is told with its place, its risk and what is safer.
//!
//! What would be plainly wrong is refused where it is read, and never comes here.

use std::path::Path;
use std::time::Duration;

use crate::audit::Durability;
use crate::authn::Algorithm;
use crate::authn::Allowed;
use crate::authn::IssuerConfig;
use crate::config::Config;
use crate::config::StoreSection;
use crate::policy::PolicySet;
use crate::types::Faults;

use super::init::DEV_ISSUER;
use super::recipients;
use super::root_key;

/// Tells every risky setting.
pub(super) fn check(config: &Config, policy: &PolicySet, faults: &mut Faults) {
    let mut risks = Risks { config, faults };
    risks.log();
    risks.callers();
    risks.limits();
    for (index, issuer) in config.authn.issuers.iter().enumerate() {
        risks.issuer(&index.to_string(), issuer);
    }
    for (index, store) in config.stores.iter().enumerate() {
        risks.store(&index.to_string(), store);
    }
    root_key::risks(config, faults);
    unsafe_writes(policy, faults);
    recipients::check(config, policy, faults);
}

/// Where risks are told.
struct Risks<'a> {
    config: &'a Config,
    faults: &'a mut Faults,
}

impl Risks<'_> {
    fn tell(&mut self, path: &[&str], what: impl Into<String>, help: &str) {
        self.faults.warning(&self.config.place(path), what, help);
    }

    fn log(&mut self) {
        if self.config.audit.durability == Durability::Batched {
            let what = "answers leave before their entry is on disk: a power cut loses up to 200 ms of the log";
            self.tell(
                &["audit", "durability"],
                what,
                "write \"strict\", unless that was measured and meant",
            );
        }
    }

    fn callers(&mut self) {
        let gateway = &self.config.gateway;
        let asks = gateway.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
        let is_open = gateway.listen.iter().any(|address| !address.ip().is_loopback());
        let notice = gateway.drain.notice;
        if asks && self.config.authn.certificates.is_empty() {
            let what = "certificates of callers are asked for, and stand for nobody";
            let help = "add a [[certificate]] for each caller, or leave `client_ca` out";
            self.tell(&["gateway", "tls", "client_ca"], what, help);
        }
        if is_open && notice == Some(Duration::ZERO) {
            let what = "calls are refused as soon as a stop begins: who spreads the load learns it from them";
            let help = "let `notice_s` be longer than the time between two health checks";
            self.tell(&["gateway", "drain", "notice_s"], what, help);
        }
    }

    fn limits(&mut self) {
        let limits = self.config.gateway.limits;
        let mib = |bytes: usize| bytes / (1 << 20);
        let sizes = [
            (
                "header_bytes",
                limits.header_bytes > HEADER,
                "each connection may hold that much before anybody is known",
                "32768 is enough for tokens",
            ),
            (
                "record_bytes",
                limits.record_bytes > RECORD,
                "each call under way may hold a record of that size",
                "name the largest record that is real",
            ),
            (
                "buffer_bytes",
                mib(limits.buffer_bytes) > BUFFERS_MIB,
                "the gateway may take that much memory before it says no",
                "stay below half of the memory it has",
            ),
            (
                "buffer_bytes",
                limits.buffer_bytes < 8 * limits.record_bytes,
                "that is room for fewer than eight of the longest records; others get 503",
                "raise it, or lower `record_bytes`",
            ),
        ];
        let times = [
            (
                "idle_s",
                limits.idle > IDLE,
                "connections without a call are kept that long",
                "60 is usual",
            ),
            (
                "client_write_s",
                limits.client_write > IDLE,
                "a client that takes nothing holds its buffers that long",
                "30 is usual",
            ),
        ];
        for (key, is_risky, what, help) in sizes.into_iter().chain(times) {
            if is_risky {
                self.tell(&["gateway", "limits", key], what, help);
            }
        }
        let each = limits.per_principal;
        let key = |word| ["gateway", "limits", "per_principal", word];
        if each.concurrent > CONCURRENT {
            let what = "one credential may take every connection for itself";
            self.tell(&key("concurrent"), what, "200 calls at once are many for one caller");
        }
        if each.per_second > PER_SECOND {
            let what = "one credential may read a whole data set in seconds";
            self.tell(&key("per_second"), what, "stay near what the busiest caller needs");
        }
    }

    fn issuer(&mut self, index: &str, issuer: &IssuerConfig) {
        let at = |key| ["issuer", index, key];
        if issuer.name == DEV_ISSUER {
            let what = "the development issuer is believed: who can read its key can be anybody";
            self.tell(
                &at("name"),
                what,
                "replace it with your identity provider before real data comes",
            );
            return;
        }
        for (word, allowed) in [
            ("roles", &issuer.may_assert.roles),
            ("purposes", &issuer.may_assert.purposes),
            ("recipients", &issuer.may_assert.recipients),
        ] {
            if *allowed == Allowed::Any {
                let what = format!("this issuer is believed about every one of the {word}");
                let help = "list those it decides about, so that a mistake there opens no more";
                self.tell(&["issuer", index, "may_assert", word], what, help);
            }
        }
        if issuer.algorithms.contains(&Algorithm::Rs256) {
            let what = "RS256 is the weakest algorithm that is believed";
            self.tell(
                &at("algorithms"),
                what,
                "let the issuer sign with ES256 or EdDSA, and list that alone",
            );
        }
        if issuer.refresh_s > REFRESH_S {
            let what = "a key that the issuer takes back is believed that long";
            self.tell(&at("refresh_s"), what, "600 is usual; a reload reads keys at once");
        }
        if issuer.leeway_s > LEEWAY_S {
            let what = "a token is believed that long after it has run out";
            self.tell(&at("leeway_s"), what, "keep the clocks right (30 is enough then)");
        }
    }

    fn store(&mut self, index: &str, store: &StoreSection) {
        let at = |key| ["store", index, key];
        let upstream = &store.upstream;
        if upstream.health.is_none() {
            let what = "nobody looks whether this store is well: callers find out";
            let help = "add health = { path = \"/health\", every_s = 5 }, a path that is answered \
                        below 400";
            self.tell(&at("health"), what, help);
        }
        if upstream.timeouts.first_byte > FIRST_BYTE {
            let what = "a store that hangs holds its callers that long";
            self.tell(&["store", index, "timeouts", "first_byte_s"], what, "10 is usual");
        }
        if upstream.timeouts.connect > CONNECT {
            let what = "an address that is gone holds callers that long before another is tried";
            self.tell(&["store", index, "timeouts", "connect_ms"], what, "500 is usual");
        }
        if upstream
            .ca
            .as_deref()
            .is_some_and(|ca| ca == Path::new("/etc/ssl/certs/ca-certificates.crt"))
        {
            let what = "every public authority may vouch for this store";
            self.tell(&at("ca"), what, "name the authority of the store alone");
        }
    }
}

/// Routes that change records though two writers may undo each other's work.
fn unsafe_writes(policy: &PolicySet, faults: &mut Faults) {
    for set in policy.sets() {
        for route in set.routes.iter().filter(|route| route.unsafe_writes) {
            let what = format!(
                "`{} {}` overwrites what somebody else changed meanwhile",
                route.method, route.template
            );
            faults.warning(
                &route.place,
                what,
                "let the store give strong ETags and leave `unsafe_writes` out",
            );
        }
    }
}

/// Tokens fit in less.
const HEADER: usize = 128 * 1024;
const RECORD: usize = 32 << 20;
const BUFFERS_MIB: usize = 8 * 1024;
const IDLE: Duration = Duration::from_secs(600);
const CONCURRENT: u32 = 5_000;
const PER_SECOND: u32 = 50_000;
const REFRESH_S: u64 = 3600;
const LEEWAY_S: u64 = 30;
const FIRST_BYTE: Duration = Duration::from_secs(120);
const CONNECT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Clock;
    use crate::clock::SystemClock;
    use crate::policy::PolicyFile;
    use crate::types::Fault;
    use crate::types::SourceFile;
    use std::sync::Arc;

    /// A configuration without risks.
    fn sound() -> String {
        include_str!("../../dist/privet.toml")
            .replace("@TENANT@", "t")
            .replace("@STORE@", "http://127.0.0.1:7001")
            .replace("@GATEWAY@", "7410")
            .replace("@ADMIN@", "7480")
            .replace("# health", "health")
            .replace("@ISSUER@", "https://id.example")
            .replace("data/root.passphrase", "/run/credentials/privet/passphrase")
            .replace("roles = \"*\", purposes = \"*\"", "roles = [\"support\"], purposes = [\"a\"]")
    }

    fn policy(text: &str) -> PolicySet {
        let mut faults = Faults::new();
        let file = PolicyFile { name: "policy.yaml".into(), text: text.into() };
        let policy = PolicySet::compile(&[file], SystemClock.now(), &mut faults);
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        policy.ok_or(faults).unwrap()
    }

    const POLICY: &str = "\
privet: policy/v1
purposes: { a: { basis: contract } }
roles: { support: { claim: roles, has: support } }
data:
  shop.things:
    subject: none
    routes:
      - { on: 'GET /t/{id}', records: $ }
      - { on: 'PUT /t/{id}', records: $ }
    fields: { id: { category: system.operations }, v: { category: system.operations } }
grants:
  - { id: g, roles: [support], purposes: [a], data: [shop.things], can: [read, update], fields: { id: show, v: show }, writes: [v] }
";

    /// What is told of a configuration and a policy.
    fn told(config: &str, policy_text: &str) -> Vec<Fault> {
        let mut faults = Faults::new();
        let file = SourceFile { name: "privet.toml".into(), text: config.into() };
        let config = Config::read(&Arc::new(file), &mut faults);
        let errors: Vec<String> = faults.iter().map(ToString::to_string).collect();
        let config = config.ok_or(errors).unwrap();
        check(&config, &policy(policy_text), &mut faults);
        faults.into_sorted()
    }

    /// Each risk: its name, what is replaced by what, what stands in its line, what is told.
    const RISKS: &[(&str, &str, &str, &str, &str)] = &[
        ("batched log", "\"strict\"", "\"batched\"", "durability", "power cut"),
        (
            "passphrase beside the key",
            "/run/credentials/privet/passphrase",
            "data/p",
            "passphrase_file",
            "has both",
        ),
        (
            "any role",
            "roles = [\"support\"]",
            "roles = \"*\"",
            "may_assert",
            "every one of the roles",
        ),
        (
            "any purpose",
            "purposes = [\"a\"]",
            "purposes = \"*\"",
            "may_assert",
            "every one of the purposes",
        ),
        ("RS256", "[\"ES256\"]", "[\"ES256\", \"RS256\"]", "algorithms", "weakest"),
        (
            "old keys",
            "audience = \"privet\"",
            "audience = \"privet\"\nrefresh_s = 86400",
            "refresh_s",
            "takes back",
        ),
        (
            "old tokens",
            "audience = \"privet\"",
            "audience = \"privet\"\nleeway_s = 60",
            "leeway_s",
            "run out",
        ),
        ("development issuer", "https://id.example", DEV_ISSUER, "name =", "can be anybody"),
        ("no health check", "health = {", "# health = {", "[[store]]", "nobody looks"),
        ("patience with a store", "first_byte_s = 10", "first_byte_s = 3600", "timeouts", "hangs"),
        (
            "patience with an address",
            "connect_ms = 500",
            "connect_ms = 60000",
            "timeouts",
            "is gone",
        ),
        (
            "every authority",
            "prefix = \"/shop\"",
            "prefix = \"/shop\"\nca = \"/etc/ssl/certs/ca-certificates.crt\"",
            "ca =",
            "vouch",
        ),
        (
            "store in the clear",
            "http://127.0.0.1:7001",
            "http://store.example",
            "urls",
            "in the clear",
        ),
        (
            "proxies",
            "[gateway.limits]",
            "trusted_proxies = [\"10.0.0.1\"]\n[gateway.limits]",
            "trusted_proxies",
            "changes nothing",
        ),
        (
            "certificates of nobody",
            "[gateway.limits]",
            "tls = { cert = \"c\", key_file = \"k\", client_ca = \"a\" }\n[gateway.limits]",
            "client_ca",
            "stand for nobody",
        ),
        (
            "no notice",
            "[gateway.limits]",
            "tls = { cert = \"c.pem\", key_file = \"c.key\" }\ndrain = { notice_s = 0 }\n[gateway.limits]",
            "notice_s",
            "as soon as a stop begins",
        ),
        (
            "long heads",
            "record_bytes = 1048576",
            "header_bytes = 1048576",
            "header_bytes",
            "before anybody is known",
        ),
        (
            "long records",
            "record_bytes = 1048576",
            "record_bytes = 268435456\nbuffer_bytes = 4294967296",
            "record_bytes",
            "a record of that size",
        ),
        (
            "large buffers",
            "record_bytes = 1048576",
            "buffer_bytes = 17179869184",
            "buffer_bytes",
            "memory",
        ),
        (
            "small buffers",
            "record_bytes = 1048576",
            "buffer_bytes = 1048576",
            "buffer_bytes",
            "fewer than eight",
        ),
        ("long idleness", "idle_s = 60", "idle_s = 3600", "idle_s", "kept that long"),
        (
            "slow clients",
            "client_write_s = 30",
            "client_write_s = 3600",
            "client_write_s",
            "holds its buffers",
        ),
        (
            "many calls at once",
            "concurrent = 200",
            "concurrent = 100000",
            "per_principal",
            "every connection",
        ),
        (
            "many calls a second",
            "per_second = 2000",
            "per_second = 1000000",
            "per_principal",
            "whole data set",
        ),
    ];

    #[test]
    fn a_sound_configuration_has_no_risk() {
        assert_eq!(told(&sound(), POLICY), []);
    }

    #[test]
    fn every_risky_setting_is_told_with_its_place_its_risk_and_what_is_safer() {
        for &(name, from, to, line, what) in RISKS {
            let text = sound().replacen(from, to, 1);
            assert_ne!(text, sound(), "{name}");
            let text = if name == "no notice" {
                text.replacen("127.0.0.1:7410", "0.0.0.0:443", 1)
            } else {
                text
            };
            let told = told(&text, POLICY);
            assert_eq!(told.len(), 1, "{name}: {told:?}");
            let shown = told[0].to_string();
            assert!(!told[0].is_error() && shown.contains(what), "{name}: {shown}");
            let at = told[0].place.as_ref().unwrap().line_column().0;
            assert!(text.lines().nth(at - 1).unwrap().contains(line), "{name}: {shown}");
            assert!(told[0].help.as_ref().is_some_and(|help| !help.is_empty()), "{name}");
        }
    }

    #[test]
    fn writes_that_overwrite_unseen_changes_are_told() {
        let text = POLICY.replacen(
            "'PUT /t/{id}', records: $",
            "'PUT /t/{id}', records: $, unsafe_writes: accepted",
            1,
        );
        let told = told(&sound(), &text);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].to_string().contains("`PUT /t/{id}` overwrites"), "{}", told[0]);
    }

    #[test]
    fn what_is_plainly_wrong_is_refused() {
        for (name, from, to) in [
            ("plain HTTP off loopback", "127.0.0.1:7410", "0.0.0.0:7410"),
            ("operators off loopback", "127.0.0.1:7480", "0.0.0.0:7480"),
            ("keys fetched in the clear", "certs/jwks.json", "http://id.example/jwks"),
            ("no audience", "audience = \"privet\"\n", ""),
            (
                "certificates that nobody asks for",
                "[[store]]",
                "[[certificate]]\ndns = \"a\"\nowner = \"a\"\n[[store]]",
            ),
            (
                "a buffer smaller than a record",
                "record_bytes = 1048576",
                "record_bytes = 268435456",
            ),
        ] {
            let text = sound().replacen(from, to, 1);
            assert_ne!(text, sound(), "{name}");
            let text = text.replace(
                "record_bytes = 268435456",
                "record_bytes = 268435456\nbuffer_bytes = 1048576",
            );
            let mut faults = Faults::new();
            let file = Arc::new(SourceFile { name: "privet.toml".into(), text });
            assert!(Config::read(&file, &mut faults).is_none(), "{name}");
            assert!(faults.has_errors(), "{name}");
        }
    }
}
