//! What every worker of the gateway shares, and the policy in force.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use arc_swap::ArcSwap;
use arc_swap::Guard;
use tokio::sync::Mutex;

use crate::audit::Log;
use crate::authn::Authenticator;
use crate::catalog::DataSet;
use crate::catalog::Router;
use crate::clock::Clock;
use crate::clock::Entropy;
use crate::keys::KeyRing;
use crate::policy::Permit;
use crate::policy::PolicySet;
use crate::policy::View;
use crate::protocol::http::RequestId;
use crate::protocol::http::TraceParent;
use crate::subjects::Approvals;
use crate::subjects::Cards;
use crate::telemetry::Spans;
use crate::transform::Shape;
use crate::types::DataSetId;
use crate::types::Faults;
use crate::types::StoreId;
use crate::types::Timestamp;
use crate::upstream::Store;

use super::admission::Admissions;
use super::budget::Budget;
use super::bulk::Bulk;
use super::config::Limits;
use super::config::Place;
use super::error::ProxyError;
use super::gpc::Gpc;
use super::inbox::Inbox;
use super::inbox::Table;
use super::inbox::Tables;
use super::metrics::ProxyMetrics;
use super::plan::PlanFacts;

/// A store the gateway stands in front of, and where.
#[derive(Clone, Debug)]
pub struct Mount {
    /// Where its traffic is found.
    pub place: Place,
    /// The store, shared by all workers.
    pub store: Arc<Store>,
}

impl Mount {
    /// The store's name: the first part of the names of its data sets.
    pub fn id(&self) -> &StoreId {
        &self.store.config().store
    }
}

/// What the gateway is made of.
#[derive(Debug)]
pub struct Parts {
    /// The policy to start with.
    pub policy: Arc<PolicySet>,
    /// The stores. They stay the same while the gateway runs.
    pub stores: Vec<Mount>,
    /// Believes callers or does not.
    pub authenticator: Authenticator,
    /// What is known of the people records are about.
    pub cards: Cards,
    /// What was approved for callers, or what they broke glass for.
    pub approvals: Approvals,
    /// The keys of pseudonyms and of actors in the log.
    pub keys: KeyRing,
    /// The log without which nothing leaves.
    pub log: Log,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Randomness, for ids.
    pub entropy: Arc<dyn Entropy>,
    /// Where fields go that no policy lists.
    pub inbox: Inbox,
    /// The limits.
    pub limits: Limits,
    /// Takes a span of each call, where traces are exported.
    pub spans: Option<Spans>,
}

/// What every worker shares.
#[derive(Debug)]
pub struct Shared {
    pub(crate) stores: Vec<Mount>,
    pub(crate) authenticator: Authenticator,
    pub(crate) cards: Cards,
    pub(crate) approvals: Approvals,
    pub(crate) gpc_turn: Mutex<()>,
    pub(crate) keys: KeyRing,
    pub(crate) log: Log,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) admissions: Arc<Admissions>,
    pub(crate) budget: Budget,
    pub(crate) bulk: Bulk,
    pub(crate) metrics: ProxyMetrics,
    pub(crate) inbox: Inbox,
    pub(crate) spans: Option<Spans>,
    limits: Limits,
    snapshot: ArcSwap<Snapshot>,
    ids: Ids,
}

/// A policy with what was derived from it. One call sees one snapshot at a time.
#[derive(Debug)]
pub(crate) struct Snapshot {
    /// Goes up with every policy put in force.
    pub(crate) generation: u64,
    pub(crate) policy: Arc<PolicySet>,
    /// What a privacy signal means under it.
    pub(crate) gpc: Gpc,
    /// One per store, in the order of [`Shared::stores`].
    pub(crate) routers: Vec<Router>,
    shapes: HashMap<DataSetId, Arc<Shape>>,
    /// What is known of unlisted members, for the shape of the same data set.
    tables: Tables,
    /// What was made of plans so far, by data set and views.
    plans: ArcSwap<Vec<KnownPlan>>,
}

/// A plan, and what it comes to.
#[derive(Clone, Debug)]
struct KnownPlan {
    set: Arc<DataSet>,
    views: Box<[View]>,
    facts: Arc<PlanFacts>,
}

impl Shared {
    /// Puts the parts together.
    ///
    /// # Errors
    /// When the policy names a store that is not there, has ambiguous routes, or when the system
    /// has no randomness.
    pub fn new(parts: Parts) -> Result<Arc<Self>, ProxyError> {
        let since = parts.clock.now();
        let snapshot = Snapshot::new((1, since), parts.policy, &parts.stores)?;
        let metrics = ProxyMetrics::new();
        metrics.observe(&snapshot.policy);
        let mut seed = [0; 8];
        parts.entropy.fill(&mut seed).map_err(ProxyError::Entropy)?;
        let limits = parts.limits;
        Ok(Arc::new(Self {
            stores: parts.stores,
            authenticator: parts.authenticator,
            cards: parts.cards,
            approvals: parts.approvals,
            gpc_turn: Mutex::new(()),
            keys: parts.keys,
            log: parts.log,
            clock: parts.clock,
            admissions: Arc::new(Admissions::new(limits.per_principal)),
            budget: Budget::new(limits.buffer_bytes, limits.record_bytes),
            bulk: Bulk::new(),
            metrics,
            inbox: parts.inbox,
            spans: parts.spans,
            limits,
            snapshot: ArcSwap::from_pointee(snapshot),
            ids: Ids { seed, next: AtomicU64::new(0) },
        }))
    }

    /// Puts another policy in force. Calls under way meet it at their next batch: they go on when
    /// it lets them see the same, and are cut off when it does not.
    ///
    /// # Errors
    /// When the policy cannot be served; the one in force stays.
    pub fn replace_policy(&self, policy: Arc<PolicySet>) -> Result<(), ProxyError> {
        let generation = self.snapshot.load().generation + 1;
        let since = self.clock.now();
        let snapshot = Snapshot::new((generation, since), policy, &self.stores)?;
        self.metrics.observe(&snapshot.policy);
        self.snapshot.store(Arc::new(snapshot));
        Ok(())
    }

    /// The policy in force.
    pub fn policy(&self) -> Arc<PolicySet> {
        Arc::clone(&self.snapshot.load().policy)
    }

    /// What the traffic side counts.
    pub fn metrics(&self) -> &ProxyMetrics {
        &self.metrics
    }

    /// The limits in force.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    pub(crate) fn snapshot(&self) -> Guard<Arc<Snapshot>> {
        self.snapshot.load()
    }

    /// A new id for a call.
    pub(crate) fn request_id(&self, now: Timestamp) -> RequestId {
        RequestId::new(now, &self.ids.unique())
    }

    /// The trace a call belongs to: the caller's, or a new one.
    pub(crate) fn trace(&self, of_caller: Option<TraceParent>) -> TraceParent {
        let mut span = [0; 8];
        let mut trace = [0; 16];
        let unique = self.ids.unique();
        for (to, from) in span.iter_mut().zip(unique.iter().rev()) {
            *to = *from;
        }
        // What differs between calls stands last, where sampling looks.
        for (to, from) in trace.iter_mut().zip(self.ids.seed.iter().chain(&unique)) {
            *to = *from;
        }
        let begun = || {
            let is_taken = self.spans.as_ref().is_some_and(|spans| spans.takes(trace));
            TraceParent::root(trace, span).recorded(is_taken)
        };
        of_caller.map_or_else(begun, |parent| parent.child(span))
    }
}

impl Snapshot {
    fn new(
        (generation, since): (u64, Timestamp),
        policy: Arc<PolicySet>,
        stores: &[Mount],
    ) -> Result<Self, ProxyError> {
        let known = |set: &DataSet| stores.iter().any(|store| *store.id() == set.store);
        if let Some(set) = policy.sets().iter().find(|set| !known(set)) {
            return Err(ProxyError::UnknownStore { set: set.id.clone(), store: set.store.clone() });
        }
        let mut faults = Faults::new();
        let router = |mount: &Mount| {
            let of_store = |set: &&Arc<DataSet>| set.store == *mount.id();
            let sets: Vec<_> = policy.sets().iter().filter(of_store).cloned().collect();
            Router::build(&sets, &mut faults)
        };
        let routers = stores.iter().map(router).collect();
        if faults.has_errors() {
            return Err(ProxyError::Routes { faults: faults.into_sorted() });
        }
        let shapes =
            policy.sets().iter().map(|set| (set.id.clone(), Arc::new(Shape::new(set)))).collect();
        let gpc = Gpc::new(&policy, since);
        let tables = policy.sets().iter().map(|set| (set.id.clone(), Arc::default())).collect();
        Ok(Self { generation, policy, gpc, routers, shapes, tables, plans: ArcSwap::default() })
    }

    /// What is known of unlisted members of records with this shape, when it is one of this policy.
    pub(crate) fn table(&self, set: &DataSetId, shape: &Arc<Shape>) -> Option<Arc<Table>> {
        let own = self.shapes.get(set).filter(|own| Arc::ptr_eq(own, shape));
        own.and_then(|_| self.tables.get(set)).cloned()
    }

    /// The shape of a data set's records.
    pub(crate) fn shape(&self, set: &DataSetId) -> Option<&Arc<Shape>> {
        self.shapes.get(set)
    }

    /// What is written down and told of the plan of a permit this policy gave.
    pub(crate) fn plan_facts(&self, permit: &Permit) -> Arc<PlanFacts> {
        let plans = self.plans.load();
        let is_it = |plan: &&KnownPlan| {
            Arc::ptr_eq(&plan.set, permit.set()) && *plan.views == *permit.widest()
        };
        if let Some(known) = plans.iter().find(is_it) {
            return Arc::clone(&known.facts);
        }
        let facts = Arc::new(PlanFacts::of(permit));
        let known = KnownPlan {
            set: Arc::clone(permit.set()),
            views: permit.widest().into(),
            facts: Arc::clone(&facts),
        };
        // Two that come at the same time keep one or both; a look-up finds the first.
        let mut more = Vec::clone(&plans);
        more.truncate(MAX_PLANS - 1);
        more.push(known);
        self.plans.store(Arc::new(more));
        facts
    }

    /// The data set of that name, as this policy describes it.
    pub(crate) fn set(&self, id: &DataSetId) -> Option<&Arc<DataSet>> {
        self.policy.sets().iter().find(|set| set.id == *id)
    }
}

/// Ids that no other call of this or another process has. They are no secret: a random start and
/// a count save a system call for each.
#[derive(Debug)]
struct Ids {
    seed: [u8; 8],
    next: AtomicU64,
}

impl Ids {
    fn unique(&self) -> [u8; 10] {
        let count = self.next.fetch_add(1, Ordering::Relaxed);
        let seed = u64::from_be_bytes(self.seed);
        // Odd multiplier: different counts stay different, and look it.
        let mixed = count.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(seed).to_be_bytes();
        let [a, b, ..] = self.seed;
        let [c, d, e, f, g, h, i, j] = mixed;
        [c, d, e, f, g, h, i, j, a, b]
    }
}

/// More plans than this are not kept: a look-up compares with each.
const MAX_PLANS: usize = 64;
