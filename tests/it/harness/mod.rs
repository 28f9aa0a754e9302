//! A gateway in this process on a free port, a store that answers scripted bytes, tokens, and a
//! client that sends bytes and reads bytes.

mod client;
mod coding;
mod shelf;
mod store;
mod table;

pub(crate) use self::client::Reply;
pub(crate) use self::client::exchange;
pub(crate) use self::client::get;
pub(crate) use self::coding::brotli;
pub(crate) use self::coding::decompressed;
pub(crate) use self::coding::gzip;
pub(crate) use self::coding::zlib;
pub(crate) use self::coding::zstd;
pub(crate) use self::shelf::Patching;
pub(crate) use self::shelf::Shelf;
pub(crate) use self::store::Asked;
pub(crate) use self::store::FakeStore;
pub(crate) use self::store::Step;
pub(crate) use self::store::json;
pub(crate) use self::table::Table;
pub(crate) use self::table::Versions;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use privet::audit::AuditConfig;
use privet::audit::Log;
use privet::authn::Allowed;
use privet::authn::Authenticator;
use privet::authn::AuthnConfig;
use privet::authn::AuthnMetrics;
use privet::authn::CertificatePrincipal;
use privet::authn::DevIssuer;
use privet::authn::IssuerConfig;
use privet::authn::JwksSource;
use privet::authn::MayAssert;
use privet::authn::Wanted;
use privet::clock::Clock;
use privet::clock::SystemClock;
use privet::clock::SystemEntropy;
use privet::crypto::note::NoteKey;
use privet::keys::KeyRing;
use privet::net::Bound;
use privet::net::Drain;
use privet::net::Listener;
use privet::net::ListenerSetup;
use privet::net::NetMetrics;
use privet::net::Places;
use privet::policy::PolicyFile;
use privet::policy::PolicySet;
use privet::proxy::Inbox;
use privet::proxy::Limits;
use privet::proxy::Mount;
use privet::proxy::Parts;
use privet::proxy::Peer;
use privet::proxy::Place;
use privet::proxy::Shared;
use privet::proxy::Worker;
use privet::state::Engine;
use privet::state::MemoryStore;
use privet::subjects::Approvals;
use privet::subjects::Cards;
use privet::subjects::SubjectsConfig;
use privet::telemetry::Spans;
use privet::types::DomainId;
use privet::types::Faults;
use privet::types::StoreId;
use privet::types::Timestamp;
use privet::upstream::Store;
use privet::upstream::StoreUrl;
use privet::upstream::UpstreamConfig;
use privet::upstream::UpstreamMetrics;

/// The name of the log of every test.
const ORIGIN: &str = "privet.test/it";

/// A gateway that runs until it is dropped.
pub(crate) struct Gateway {
    pub(crate) address: SocketAddr,
    pub(crate) shared: Arc<Shared>,
    pub(crate) authenticator: Authenticator,
    pub(crate) approvals: Approvals,
    pub(crate) cards: Cards,
    pub(crate) keys: KeyRing,
    pub(crate) log: Log,
    pub(crate) inbox: Inbox,
    pub(crate) drain: Drain,
    worker: Arc<Worker>,
    issuer: DevIssuer,
    issuer_config: IssuerConfig,
    dir: TempDir,
}

/// What a gateway is started with.
pub(crate) struct Setup {
    pub(crate) policy: String,
    pub(crate) place: Place,
    pub(crate) limits: Limits,
    /// The store's name, and where it answers.
    pub(crate) store: (&'static str, SocketAddr),
    /// The client certificates that are believed.
    pub(crate) certificates: Vec<CertificatePrincipal>,
    pub(crate) clock: Arc<dyn Clock>,
    /// Takes the spans of calls.
    pub(crate) spans: Option<Spans>,
    /// Where the keys of people are kept, and their cards.
    pub(crate) key_rows: MemoryStore,
    pub(crate) card_rows: MemoryStore,
    /// The keys, where they are not to be of this process alone.
    pub(crate) keys: Option<KeyRing>,
}

impl Setup {
    /// A store named `shop` under `/shop`, with the default limits.
    pub(crate) fn new(policy: &str, store: &FakeStore) -> Self {
        Self::at(policy, store.address())
    }

    /// As [`Self::new`], with the store at an address.
    pub(crate) fn at(policy: &str, store: SocketAddr) -> Self {
        Self {
            policy: policy.to_owned(),
            place: Place::Prefix("/shop".into()),
            limits: Limits::default(),
            store: ("shop", store),
            certificates: Vec::new(),
            clock: Arc::new(SystemClock),
            spans: None,
            key_rows: MemoryStore::default(),
            card_rows: MemoryStore::default(),
            keys: None,
        }
    }
}

impl Gateway {
    /// Starts a gateway on the runtime this is called in.
    pub(crate) fn start(setup: Setup) -> Self {
        let dir = TempDir::new().unwrap();
        let clock = setup.clock;
        let entropy = Arc::new(SystemEntropy);
        let issuer = DevIssuer::create(dir.path()).unwrap();
        let issuer_config = issuer_config(dir.path().join(DevIssuer::JWKS_FILE));
        let authn =
            AuthnConfig { issuers: vec![issuer_config.clone()], certificates: setup.certificates };
        let authenticator =
            Authenticator::new(authn, Arc::clone(&clock), AuthnMetrics::default()).unwrap();
        let rows = Engine::Memory(setup.key_rows);
        let own = || KeyRing::ephemeral(rows, entropy.clone()).unwrap();
        let keys = setup.keys.unwrap_or_else(own);
        let state = Engine::Memory(setup.card_rows);
        let approvals = Approvals::empty(keys.clone(), state.clone());
        let cards = Cards::open(keys.clone(), state, &SubjectsConfig::default());
        tokio::spawn(cards.clone().keep_keys());
        let audit = AuditConfig::new(dir.path().join("audit"), ORIGIN);
        let key = NoteKey::new(ORIGIN, keys.audit_signer()).unwrap();
        let log = Log::open(audit, key, Arc::clone(&clock)).unwrap();
        let (name, address) = setup.store;
        let url = StoreUrl::parse(&format!("http://{address}")).unwrap();
        let inbox_rows = MemoryStore::default();
        let inbox = Inbox::empty(Engine::Memory(inbox_rows));
        let upstream = UpstreamConfig::new(StoreId::parse(name).unwrap(), vec![url]);
        let store = Store::open(upstream, &UpstreamMetrics::default()).unwrap();
        let parts = Parts {
            policy: Arc::new(compile(&setup.policy)),
            stores: vec![Mount { place: setup.place, store }],
            authenticator: authenticator.clone(),
            cards: cards.clone(),
            approvals: approvals.clone(),
            keys: keys.clone(),
            log: log.clone(),
            clock,
            entropy,
            inbox: inbox.clone(),
            limits: setup.limits,
            spans: setup.spans,
        };
        let shared = Shared::new(parts).unwrap();
        let drain = Drain::new();
        let worker = Worker::new(Arc::clone(&shared));
        let address = listen(Arc::clone(&worker), &drain);
        Self {
            address,
            shared,
            authenticator,
            approvals,
            cards,
            keys,
            log,
            inbox,
            drain,
            worker,
            issuer,
            issuer_config,
            dir,
        }
    }

    /// A token for these roles and purposes.
    pub(crate) fn token(&self, roles: &[&str], purposes: &[&str]) -> String {
        let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
        self.mint(&Wanted { roles: words(roles), purposes: words(purposes), ..wanted("agent-1") })
    }

    /// A token that says what is wanted.
    pub(crate) fn mint(&self, wanted: &Wanted) -> String {
        self.issuer.mint(&self.issuer_config, wanted, SystemClock.now()).unwrap()
    }

    /// A token of support that the issuer would mint with other settings, `age_s` seconds ago.
    pub(crate) fn odd_token(&self, age_s: i64, change: impl FnOnce(&mut IssuerConfig)) -> String {
        let mut config = self.issuer_config.clone();
        change(&mut config);
        let now = SystemClock.now();
        let at = if age_s < 0 {
            now.plus_ms(age_s.unsigned_abs() * 1000)
        } else {
            Timestamp::from_unix_ms(now.ms_since(Timestamp::from_unix_s(age_s.unsigned_abs())))
        };
        let wanted = Wanted { roles: vec!["support".to_owned()], ..wanted("agent-1") };
        self.issuer.mint(&config, &wanted, at).unwrap()
    }

    /// Sends `request` on a connection whose handshake showed a certificate, in DER.
    pub(crate) async fn exchange_as(&self, certificate: &[u8], request: &[u8]) -> Reply {
        let (mut ours, theirs) = tokio::io::duplex(64 * 1024);
        let peer = Peer { certificate: Some(certificate.into()), alpn: None };
        let served = Arc::clone(&self.worker).serve_stream(theirs, peer, self.drain.clone());
        let asked = async {
            ours.write_all(request).await.unwrap();
            let mut answer = Vec::new();
            ours.read_to_end(&mut answer).await.unwrap();
            answer
        };
        let ((), answer) = tokio::join!(served, asked);
        Reply::parse(answer, false)
    }

    /// Puts another policy in force.
    pub(crate) fn reload(&self, policy: &str) {
        self.shared.replace_policy(Arc::new(compile(policy))).unwrap();
    }

    /// The folder of the audit log.
    pub(crate) fn audit_dir(&self) -> PathBuf {
        self.dir.path().join("audit")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.drain.start();
    }
}

/// What a token says when a test has no other wishes.
pub(crate) fn wanted(owner: &str) -> Wanted {
    Wanted { owner: owner.to_owned(), ttl_s: 3600, ..Wanted::default() }
}

/// A hold without an end.
pub(crate) fn a_hold() -> privet::subjects::Hold {
    let now = Timestamp::from_unix_s(1);
    privet::subjects::Hold::new(("olga", now), ("2026-113", "a claim"), None).unwrap()
}

/// The domain of the people in the tests.
pub(crate) fn person() -> DomainId {
    DomainId::parse("person").unwrap()
}

/// Compiles a policy, or shows every fault of it.
pub(crate) fn compile(text: &str) -> PolicySet {
    let mut faults = Faults::new();
    let file = PolicyFile { name: "policy.yaml".to_owned(), text: text.to_owned() };
    let policy = PolicySet::compile(&[file], SystemClock.now(), &mut faults);
    let faults: String = faults.into_sorted().iter().map(|fault| format!("{fault}\n")).collect();
    policy.ok_or(faults).unwrap()
}

fn listen(worker: Arc<Worker>, drain: &Drain) -> SocketAddr {
    let bound = Bound::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = bound.address();
    let setup = ListenerSetup {
        tls: None,
        connections: Places::new(1000, 1000),
        handshake_timeout: Duration::from_secs(5),
        drain: drain.clone(),
        metrics: NetMetrics::default(),
    };
    let listener = Listener::new(bound, setup).unwrap();
    let drain = drain.clone();
    tokio::spawn(
        listener.serve(move |connection| Arc::clone(&worker).serve(connection, drain.clone())),
    );
    address
}

fn issuer_config(jwks: PathBuf) -> IssuerConfig {
    let facts = ["roles", "purposes", "ticket", "region", "team"];
    let mut claims: BTreeMap<String, String> =
        facts.iter().map(|&fact| (fact.to_owned(), fact.to_owned())).collect();
    claims.insert("subject".to_owned(), "subject_id".to_owned());
    claims.insert("mfa".to_owned(), "acr:gold".to_owned());
    IssuerConfig {
        claims,
        may_assert: MayAssert {
            roles: Allowed::Any,
            purposes: Allowed::Any,
            ticket: true,
            recipients: Allowed::Any,
        },
        ..IssuerConfig::new("https://id.test", "privet", JwksSource::File(jwks))
    }
}
