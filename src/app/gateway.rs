//! Everything a running gateway is made of, and what operators may ask of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::Mutex;
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::registry::Registry;
use tokio::task::JoinSet;

use crate::api;
use crate::api::Check;
use crate::api::Mfa;
use crate::api::Operators;
use crate::api::Reloaded;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::audit::Log;
use crate::authn::Authenticator;
use crate::authn::AuthnMetrics;
use crate::authn::NextSettings;
use crate::catalog::DataSet;
use crate::clock::Clock;
use crate::clock::Entropy;
use crate::clock::SystemClock;
use crate::clock::SystemEntropy;
use crate::config::Config;
use crate::keys::KeyRing;
use crate::net::Drain;
use crate::net::NetMetrics;
use crate::net::ServerTls;
use crate::policy::PolicySet;
use crate::proxy::Inbox;
use crate::proxy::Parts as ProxyParts;
use crate::proxy::Shared;
use crate::state::Engine;
use crate::subjects::Approvals;
use crate::subjects::Cards;
use crate::types::Timestamp;
use crate::types::told;
use crate::upstream::Store;
use crate::upstream::UpstreamMetrics;

use super::checks;
use super::credentials::Credentials;
use super::exports::Exports;
use super::jobs;
use super::load::Loaded;
use super::observing;
use super::open_issuers::open_issuers;
use super::open_log::open_log;
use super::open_stores::open_stores;
use super::policy_entry;
use super::reviews;
use super::running::read_operators;
use super::shredder;
use super::shredder::Shredder;
use super::start::StartError;
use super::start::Trust;
use super::telemetry::Telemetry;
use super::too_open::refuse_demo_key;
use super::too_open::refuse_dev_issuer;
use super::witness::Witness;

/// What has been opened, before anything listens.
pub(super) struct Parts {
    shared: Arc<Shared>,
    authenticator: Authenticator,
    cards: Cards,
    jobs: jobs::LongWork,
    keys: KeyRing,
    log: Log,
    witness: Witness,
    stores: Vec<Arc<Store>>,
    registry: Registry,
    clock: Arc<dyn Clock>,
    telemetry: Telemetry,
    exports: Exports,
    inbox: Inbox,
}

/// A running gateway as operators see it.
#[derive(Debug)]
pub(super) struct Site {
    shared: Arc<Shared>,
    authenticator: Authenticator,
    cards: Cards,
    jobs: jobs::LongWork,
    keys: KeyRing,
    log: Log,
    exports: Exports,
    inbox: Inbox,
    witness: Witness,
    stores: Vec<Arc<Store>>,
    registry: Registry,
    clock: Arc<dyn Clock>,
    tls: Option<Arc<ServerTls>>,
    path: PathBuf,
    /// Whether callers come through sockets that were handed over, whatever the file says.
    handed_over: bool,
    drain: Drain,
    /// What the gateway was started with.
    config: Config,
    /// Parts of privet.toml that changed since and wait for a restart.
    at_restart: ArcSwap<Vec<&'static str>>,
    operators: Arc<ArcSwap<Operators>>,
    /// One reload at a time; holds nothing.
    reloading: Mutex<()>,
}

/// What is counted of people, of agreements about them and of where their data goes.
fn register_people(cards: &Cards, shared: &Shared, registry: &mut Registry) {
    cards.metrics().register(registry.sub_registry_with_prefix("privet_subjects"));
    let approvals = shared.approvals.metrics();
    approvals.register(registry.sub_registry_with_prefix("privet_approvals"));
    cards.exports().register(registry.sub_registry_with_prefix("privet_transfer"));
}

impl Parts {
    /// Opens keys, state, log, issuers and stores, in this order.
    pub(super) async fn open(
        loaded: &Loaded,
        trust: Trust,
        net: &NetMetrics,
    ) -> Result<Self, StartError> {
        let config = &loaded.config;
        refuse_demo_key(&config.keys, trust)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let mut registry = Registry::default();

        let keys = KeyRing::open(&config.keys, entropy.clone()).await?;
        let state = Engine::open(&config.state)?;
        let cards = Cards::open(keys.clone(), state.clone(), &shredder::kept(config));
        let approvals = Approvals::open(keys.clone(), state.clone(), clock.now()).await?;
        let witness = Witness::new(state.clone(), keys.clone(), &config.audit.dir);
        witness.before_opening().await?;
        let log = open_log(&config.audit, &keys, &clock)?;
        witness.compare(&log).await?;
        shredder::prepare(&keys, &cards, &loaded.policy).await?;

        let authn = AuthnMetrics::default();
        let authenticator = open_issuers(config, &clock, &authn).await?;
        refuse_dev_issuer(&config.gateway.listen, &authenticator.status())?;

        let upstream = UpstreamMetrics::default();
        let mounts = open_stores(config, &upstream)?;
        let stores = mounts.iter().map(|mount| Arc::clone(&mount.store)).collect();
        let telemetry = Telemetry::start(config.telemetry.as_ref(), &mut registry)?;
        let inbox = Inbox::open(state.clone()).await.map_err(StartError::State)?;
        let shared = Shared::new(ProxyParts {
            policy: Arc::clone(&loaded.policy),
            stores: mounts,
            authenticator: authenticator.clone(),
            cards: cards.clone(),
            approvals,
            keys: keys.clone(),
            log: log.clone(),
            clock: Arc::clone(&clock),
            entropy: entropy.clone(),
            inbox: inbox.clone(),
            limits: config.gateway.limits,
            spans: telemetry.spans(),
        })?;

        let exports = Exports::new(config, &log, (&clock, &entropy), &mut registry)?;
        let sources = (Arc::clone(&clock), entropy);
        let jobs = jobs::open(
            state.clone(),
            sources,
            (&keys, &cards),
            jobs::kinds(&shared, (&log, &cards)),
        );

        net.register(&mut registry);
        authn.register(&mut registry);
        upstream.register(&mut registry);
        log.metrics().register(&mut registry);
        shared.metrics().register(&mut registry);
        state.metrics().register(registry.sub_registry_with_prefix("privet_state"));
        keys.metrics().register(registry.sub_registry_with_prefix("privet_keys"));
        register_people(&cards, &shared, &mut registry);
        jobs.jobs.metrics().register(registry.sub_registry_with_prefix("privet_jobs"));
        Ok(Self {
            shared,
            authenticator,
            cards,
            jobs,
            keys,
            log,
            witness,
            stores,
            registry,
            clock,
            telemetry,
            exports,
            inbox,
        })
    }

    pub(super) fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    pub(super) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The export of traces, for whoever ends it.
    pub(super) fn take_telemetry(&mut self) -> Telemetry {
        std::mem::take(&mut self.telemetry)
    }

    /// Starts what runs beside the traffic: health of stores, fresh key sets, jobs,
    /// the end of epochs.
    pub(super) fn watch(
        &mut self,
        shred_within: Duration,
        tasks: &mut JoinSet<()>,
        drain: &Drain,
    ) -> Result<(), StartError> {
        jobs::run(&self.jobs.jobs, (&self.keys, &self.log), tasks, drain)?;
        let shredder = Shredder::new(self.keys.clone(), self.clock(), shred_within);
        tasks.spawn(shredder.run());
        tasks.spawn(self.log.clone().keep_index());
        let approvals = self.shared.approvals.clone();
        tasks.spawn(reviews::watch(approvals, self.log.clone(), self.clock()));
        for store in &self.stores {
            tasks.spawn(Arc::clone(store).watch());
        }
        tasks.spawn(self.cards.clone().keep_keys());
        tasks.spawn(self.inbox.clone().keep());
        self.exports.start(tasks);
        let (authenticator, drain) = (self.authenticator.clone(), drain.clone());
        tasks.spawn(async move { authenticator.keep_fresh(drain).await });
        Ok(())
    }

    pub(super) fn into_site(
        self,
        loaded: &Loaded,
        operators: Operators,
        tls: Option<Arc<ServerTls>>,
        (drain, handed_over): (&Drain, bool),
    ) -> Arc<Site> {
        let Self {
            shared,
            authenticator,
            cards,
            jobs,
            keys,
            log,
            exports,
            inbox,
            witness,
            stores,
            registry,
            clock,
            ..
        } = self;
        Arc::new(Site {
            shared,
            authenticator,
            cards,
            jobs,
            keys,
            log,
            exports,
            inbox,
            witness,
            stores,
            registry,
            clock,
            tls,
            path: loaded.path.clone(),
            handed_over,
            drain: drain.clone(),
            config: loaded.config.clone(),
            at_restart: ArcSwap::default(),
            operators: Arc::new(ArcSwap::from_pointee(operators)),
            reloading: Mutex::new(()),
        })
    }
}

impl Site {
    pub(super) fn cards(&self) -> &Cards {
        &self.cards
    }

    pub(super) fn authenticator(&self) -> &Authenticator {
        &self.authenticator
    }

    pub(super) fn approvals(&self) -> &Approvals {
        &self.shared.approvals
    }

    pub(super) fn mfa(&self) -> Mfa {
        Mfa::new(self.witness.state().clone(), Arc::clone(&self.clock))
    }

    pub(super) fn jobs(&self) -> &jobs::LongWork {
        &self.jobs
    }

    pub(super) fn keys(&self) -> &KeyRing {
        &self.keys
    }

    pub(super) fn log(&self) -> &Log {
        &self.log
    }

    pub(super) fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    pub(super) fn witness(&self) -> &Witness {
        &self.witness
    }

    pub(super) fn speaks_tls(&self) -> bool {
        self.tls.is_some()
    }

    pub(super) fn operators(&self) -> Arc<ArcSwap<Operators>> {
        Arc::clone(&self.operators)
    }

    /// The first entry after a start: what is in force.
    pub(super) fn start_entry(&self) -> Entry {
        observing::warn(&self.shared.policy(), self.clock.now());
        let mut entry = Entry::new(Kind::Start);
        entry.policy = Some(self.shared.policy().hash());
        entry.facts.insert("version".into(), env!("CARGO_PKG_VERSION").into());
        entry
    }

    fn replace(&self) -> Result<Reloaded, String> {
        let mut loaded = Loaded::read(&self.path).map_err(|e| e.to_string())?;
        if self.handed_over {
            loaded.config.gateway.listen.clone_from(&self.config.gateway.listen);
            loaded.config.gateway.drain = self.config.gateway.drain;
        }
        let at_restart = self.config.needs_restart(&loaded.config);
        // Told whatever comes of the rest: the file differs from what is running.
        self.at_restart.store(Arc::new(at_restart.clone()));
        loaded.require_tests().map_err(|report| format!("the policy's tests fail:\n{report}"))?;
        let operators =
            read_operators(&loaded.config.admin.operators_file).map_err(|e| told(&e))?;
        let issuers = self.prepare_issuers(&loaded)?;
        self.require_stores(&loaded.policy)?;
        // What can fail comes before anything changes: a refused reload leaves all as it was.
        let credentials = Credentials::prepare(&self.stores, self.tls.as_deref())?;
        let after = loaded.policy.hash();
        self.record_policy(&self.shared.policy(), &loaded.policy)?;
        // People of a new domain have keys from now on, and the next roll carries them over.
        self.keys.know_domains(loaded.policy.domains());
        self.shared.replace_policy(loaded.policy).map_err(|e| told(&e))?;
        observing::warn(&self.shared.policy(), self.clock.now());
        credentials.put_to_use(&self.stores, self.tls.as_deref());
        self.authenticator.replace(issuers);
        self.operators.store(Arc::new(operators));
        self.read_issuer_keys();
        Ok(Reloaded { policy: hex(&after), at_restart })
    }

    fn prepare_issuers(&self, loaded: &Loaded) -> Result<NextSettings, String> {
        let issuers = self.authenticator.prepare(loaded.config.authn.clone());
        let issuers = issuers
            .map_err(|errors| errors.iter().map(|e| told(e)).collect::<Vec<_>>().join("; "))?;
        refuse_dev_issuer(&self.config.gateway.listen, &issuers.status()).map_err(|e| told(&e))?;
        Ok(issuers)
    }

    /// Refuses a policy for a store that is not there until a restart.
    fn require_stores(&self, policy: &PolicySet) -> Result<(), String> {
        let open = |set: &&Arc<DataSet>| self.stores.iter().any(|s| s.config().store == set.store);
        match policy.sets().iter().find(|set| !open(set)) {
            Some(set) => {
                Err(format!("`{}` is in a store that is opened at a restart only", set.id))
            }
            None => Ok(()),
        }
    }

    /// Key sets are read again too; one that cannot be read stays as it was.
    fn read_issuer_keys(&self) {
        let refreshed = tokio::runtime::Handle::current().block_on(self.authenticator.refresh());
        for error in refreshed.err().into_iter().flatten() {
            tracing::warn!(error = told(&error), "keeping the last good keys of an issuer");
        }
    }

    /// A change of policy is in the log before it is in force.
    fn record_policy(&self, before: &PolicySet, after: &PolicySet) -> Result<(), String> {
        let mut entry = Entry::new(Kind::Policy);
        entry.policy = Some(after.hash());
        entry.facts = policy_entry::facts(before, after);
        // A reload runs on a thread of its own, where waiting is allowed.
        tokio::runtime::Handle::current()
            .block_on(self.log.record(entry))
            .map(|receipt| tracing::info!(index = receipt.index(), "policy change recorded"))
            .map_err(|e| format!("the audit log cannot be written: {e}"))
    }
}

impl api::Gateway for Site {
    fn checks(&self) -> Vec<Check> {
        let mut checks = vec![Check::passed("policy", hex(&self.shared.policy().hash()))];
        if self.drain.is_leaving() {
            checks.push(Check::failed("drain", "the gateway is about to stop"));
        }
        checks.push(match self.log.trouble() {
            Some(trouble) => Check::failed("audit", &*trouble),
            None if !self.log.writable() => Check::failed("audit", "closed"),
            None => Check::passed("audit", ""),
        });
        checks.push(if self.cards.writable() {
            Check::passed("state", "")
        } else {
            Check::failed("state", "subject cards cannot be written")
        });
        checks.push(checks::of_keys(&self.keys));
        checks.extend(observing::checks(&self.shared.policy(), self.clock.now()));
        checks.push(if self.clock.now() > EARLIEST {
            Check::passed("clock", "")
        } else {
            Check::failed("clock", "it shows a time before this program was made")
        });
        checks.extend(checks::of_reviews(&self.shared.approvals, self.clock.now()));
        checks.extend(self.exports.checks());
        checks.extend(checks::of_issuers(&self.authenticator));
        checks.extend(self.stores.iter().map(|store| checks::of_store(store)));
        let at_restart = self.at_restart.load();
        if !at_restart.is_empty() {
            let detail =
                format!("privet.toml changed: {} takes effect at restart", at_restart.join(", "));
            checks.push(Check::noted("config", detail));
        }
        checks
    }

    fn policy(&self) -> Arc<PolicySet> {
        self.shared.policy()
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        // Writing to a String does not fail.
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap_or_default();
        text
    }

    fn reload(&self) -> Result<Reloaded, String> {
        let _one = self.reloading.lock().map_err(|_| "a reload broke off before".to_owned())?;
        let done = self.replace();
        match &done {
            Ok(now) if now.at_restart.is_empty() => {
                tracing::info!(policy = now.policy, "reloaded");
            }
            Ok(now) => {
                let parts = now.at_restart.join(", ");
                tracing::warn!(
                    policy = now.policy,
                    parts,
                    "reloaded, but these parts of privet.toml changed and take effect at restart only"
                );
            }
            Err(why) => tracing::error!(why, "reload refused; what was in force still is"),
        }
        done
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        write!(text, "{byte:02x}").unwrap_or_default();
    }
    text
}

/// 2026-01-01: no clock that is right shows less.
const EARLIEST: Timestamp = Timestamp::from_unix_s(1_767_225_600);
