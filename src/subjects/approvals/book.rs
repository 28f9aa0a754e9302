//! All approvals: in the state for good, and in memory for the data path.

use std::collections::BTreeMap;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::Mutex;

use crate::audit::ActorToken;
use crate::keys::KeyRing;
use crate::policy::Clearable;
use crate::policy::Clearance;
use crate::policy::ClearanceKind;
use crate::policy::Identity;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::Rev;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;
use crate::subjects::AccordError;
use crate::subjects::SubjectsError;
use crate::subjects::accord;
use crate::types::PurposeId;
use crate::types::Timestamp;

use super::ApprovalMetrics;
use super::row::Approval;
use super::row::ApprovalError;
use super::row::ApprovalState;
use super::row::Finding;
use super::row::New;
use super::row::ReviewState;

/// All approvals. Clones share them.
#[derive(Clone)]
pub struct Approvals(Arc<Inner>);

struct Inner {
    keys: KeyRing,
    state: Engine,
    table: ArcSwap<Table>,
    metrics: ApprovalMetrics,
    /// Held by whoever changes a row, so that memory follows the state in its order.
    turn: Mutex<()>,
}

#[derive(Clone, Debug, Default)]
struct Table {
    rows: BTreeMap<Box<str>, (Rev, Arc<Approval>)>,
    /// What each actor may use.
    cleared: HashMap<[u8; 16], Arc<[Clearance]>>,
}

/// Somebody, by the names under which they count as one person. None can be read as a name but the
/// first, which stands in the state and on pages alone.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct People {
    /// As their credential names them.
    pub owner: String,
    /// As the log calls them.
    pub actor: String,
    pub(super) names: Vec<String>,
}

/// What somebody asks for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The grant.
    pub grant: Clearable<'a>,
    /// For this purpose alone.
    pub purpose: Option<&'a PurposeId>,
    /// The number or name of the case.
    pub case: &'a str,
    /// Why it is needed.
    pub why: &'a str,
}

/// A row as it will be, and the version it was decided on. Its entry in the log comes between.
#[derive(Clone, Debug)]
pub struct Settling {
    /// Its id.
    pub id: Box<str>,
    before: Option<Rev>,
    /// As it will be.
    pub row: Approval,
}

impl Approvals {
    /// Reads what the state has.
    ///
    /// # Errors
    /// When a row cannot be read: it might be one that stands against somebody.
    pub async fn open(keys: KeyRing, state: Engine, now: Timestamp) -> Result<Self, ApprovalError> {
        let mut table = Table::default();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let page = state.scan(PREFIX, after.as_deref(), PAGE).await.map_err(unavailable)?;
            for item in &page.items {
                let row = Approval::decode(&item.value.value)?;
                let id = item.key.strip_prefix(PREFIX).and_then(|id| std::str::from_utf8(id).ok());
                let id = id.ok_or(ApprovalError::Subjects(SubjectsError::Damaged))?;
                table.rows.insert(id.into(), (item.value.version, Arc::new(row)));
            }
            after = page.items.last().map(|item| item.key.clone());
            if !page.more {
                break;
            }
        }
        let metrics = ApprovalMetrics::default();
        table.derive(now);
        table.count(&metrics, now);
        let turn = Mutex::new(());
        let table = ArcSwap::from_pointee(table);
        Ok(Self(Arc::new(Inner { keys, state, table, metrics, turn })))
    }

    /// Without any, kept in `state`: for tests, and for a state that is known to be empty.
    pub fn empty(keys: KeyRing, state: Engine) -> Self {
        let turn = Mutex::new(());
        let (table, metrics) = (ArcSwap::default(), ApprovalMetrics::default());
        Self(Arc::new(Inner { keys, state, table, metrics, turn }))
    }

    /// Counters.
    pub fn metrics(&self) -> &ApprovalMetrics {
        &self.0.metrics
    }

    /// The principal with what was cleared for it; nothing when that is nothing. No waiting.
    pub fn cleared(&self, identity: &Identity) -> Option<Identity> {
        let table = self.0.table.load();
        if table.cleared.is_empty() {
            return None;
        }
        let cleared = table.cleared.get(&self.0.keys.owner_token(&identity.owner))?;
        Some(Identity { cleared: Arc::clone(cleared), ..identity.clone() })
    }

    /// Somebody's names.
    pub fn people(&self, identity: &Identity) -> People {
        let token = |text: &str| ActorToken(self.0.keys.owner_token(text)).to_string();
        // A second name that differs in the case of its letters is no second person, nor is a
        // second credential of one subject.
        let mut names = vec![token(&format!("person/{}", identity.owner.to_ascii_lowercase()))];
        if let Some((domain, id)) = &identity.subject {
            names.push(token(&format!("subject/{domain}/{}", id.expose())));
        }
        let owner = identity.owner.to_string();
        People { actor: token(&owner), owner, names }
    }

    /// Every row with its id, in the order of ids.
    pub fn list(&self) -> Vec<(Box<str>, Arc<Approval>)> {
        let table = self.0.table.load();
        table.rows.iter().map(|(id, (_, row))| (id.clone(), Arc::clone(row))).collect()
    }

    /// The row with this id.
    pub fn find(&self, id: &str) -> Option<Arc<Approval>> {
        let table = self.0.table.load();
        table.rows.get(id).map(|(_, row)| Arc::clone(row))
    }

    /// A request of somebody, to be written with [`settle`](Self::settle).
    ///
    /// # Errors
    /// When it says too little, or they have too many.
    pub fn request(
        &self,
        who: &People,
        asked: Asked<'_>,
        now: Timestamp,
    ) -> Result<Settling, ApprovalError> {
        self.prepare(who, (ClearanceKind::Approval, asked), now)
    }

    /// What somebody breaks glass for, to be written with [`settle`](Self::settle).
    ///
    /// # Errors
    /// As [`request`](Self::request); and when they broke glass before and nobody looked at it in
    /// time.
    pub fn break_glass(
        &self,
        who: &People,
        asked: Asked<'_>,
        now: Timestamp,
    ) -> Result<Settling, ApprovalError> {
        let table = self.0.table.load();
        let overdue = |row: &Approval| row.review_state(now) == ReviewState::Overdue;
        if table.rows.values().any(|(_, row)| row.is_of(who) && overdue(row)) {
            return Err(ApprovalError::Overdue);
        }
        let clearing = asked.grant.clearing();
        let times = (clearing.for_s, clearing.review_within_s);
        let mut settling = self.prepare(who, (ClearanceKind::BreakGlass, asked), now)?;
        settling.row = settling.row.broken(times, now);
        Ok(settling)
    }

    fn prepare(
        &self,
        who: &People,
        (kind, asked): (ClearanceKind, Asked<'_>),
        now: Timestamp,
    ) -> Result<Settling, ApprovalError> {
        let table = self.0.table.load();
        let is_open = |row: &Approval| {
            matches!(row.state(now), ApprovalState::Waiting | ApprovalState::InForce)
        };
        let open = table.rows.values().filter(|(_, row)| row.is_of(who) && is_open(row)).count();
        if open >= MOST_OPEN {
            return Err(ApprovalError::TooMany(MOST_OPEN));
        }
        let (grant, role) = (asked.grant.grant(), &asked.grant.clearing().role);
        let new = New { kind, grant, purpose: asked.purpose, role, who };
        let row = Approval::new(&new, (asked.case, asked.why), now)?;
        let id = accord::fresh_id(self.0.keys.entropy());
        let id = id.map_err(|_| ApprovalError::Subjects(SubjectsError::Interrupted))?;
        Ok(Settling { id: id.into(), before: None, row })
    }

    /// The request, agreed to by somebody else, for `for_s` seconds from now.
    ///
    /// # Errors
    /// When it is not there to be agreed to by them.
    pub fn approve(
        &self,
        id: &str,
        (by, for_s): (&People, u64),
        now: Timestamp,
    ) -> Result<Settling, ApprovalError> {
        self.change(id, |row| row.approve(by, for_s, now))
    }

    /// The request, to which somebody else says no.
    ///
    /// # Errors
    /// When it is not there to be refused by them.
    pub fn refuse(&self, id: &str, by: &People, now: Timestamp) -> Result<Settling, ApprovalError> {
        self.change(id, |row| row.refuse(by, now))
    }

    /// The request or what is in force, taken back. Who may is for whoever asks to know.
    ///
    /// # Errors
    /// When it has ended.
    pub fn revoke(&self, id: &str, by: &People, now: Timestamp) -> Result<Settling, ApprovalError> {
        self.change(id, |row| row.revoke(by, now))
    }

    /// The broken glass, with what somebody else found.
    ///
    /// # Errors
    /// When it is not there to be reviewed by them.
    pub fn review(
        &self,
        id: &str,
        (by, finding, note): (&People, Finding, &str),
        now: Timestamp,
    ) -> Result<Settling, ApprovalError> {
        self.change(id, |row| row.review(by, (finding, note), now))
    }

    /// Broken glass whose review is overdue and of which that was not told yet.
    pub fn newly_overdue(&self, now: Timestamp) -> Vec<Settling> {
        let table = self.0.table.load();
        table.count(&self.0.metrics, now);
        let news = table.rows.iter().filter_map(|(id, (rev, row))| {
            let mut row = Approval::clone(row);
            let settling = Settling { id: id.clone(), before: Some(*rev), row: row.clone() };
            row.tell_overdue(now).then_some(Settling { row, ..settling })
        });
        news.collect()
    }

    fn change(
        &self,
        id: &str,
        change: impl FnOnce(&mut Approval) -> Result<(), ApprovalError>,
    ) -> Result<Settling, ApprovalError> {
        let table = self.0.table.load();
        let (id, (rev, row)) = table.rows.get_key_value(id).ok_or(AccordError::NotFound)?;
        let mut row = Approval::clone(row);
        change(&mut row)?;
        Ok(Settling { id: id.clone(), before: Some(*rev), row })
    }

    /// Writes a row as it will be; from then on it counts. Past ones are cleared away with it.
    ///
    /// # Errors
    /// When it is not any more what it was decided on, or cannot be written. Then nothing of it
    /// counts in this process.
    pub async fn settle(&self, settling: Settling, now: Timestamp) -> Result<(), ApprovalError> {
        let this = self.clone();
        // On a task of its own: if the caller goes away in the middle, the row may still be
        // written, and what is in memory must follow.
        let task = tokio::spawn(async move { this.settle_now(settling, now).await });
        task.await.map_err(|_| ApprovalError::Subjects(SubjectsError::Interrupted))?
    }

    async fn settle_now(&self, settling: Settling, now: Timestamp) -> Result<(), ApprovalError> {
        let _turn = self.0.turn.lock().await;
        let Settling { id, before, row } = settling;
        let mut table = Table::clone(&self.0.table.load());
        let damaged = |_| ApprovalError::Subjects(SubjectsError::Damaged);
        let mut tx = Tx::new();
        let expect = before.map_or(Expect::Absent, Expect::Version);
        tx.put(&key(&id), serde_json::to_vec(&row).map_err(damaged)?, expect);
        let past = table.rows.iter().filter(|(known, (_, row))| **known != id && row.is_past(now));
        let past: Vec<_> = past.map(|(id, (rev, _))| (id.clone(), *rev)).take(PAGE / 2).collect();
        for (id, rev) in &past {
            tx.delete(&key(id), Expect::Version(*rev));
        }
        let done = self.0.state.commit(tx).await;
        match &done {
            Ok(rev) => {
                for (id, _) in &past {
                    table.rows.remove(id);
                }
                let is_new = before.is_none() && row.kind() == ClearanceKind::BreakGlass;
                if is_new {
                    self.0.metrics.broken.inc();
                }
                table.rows.insert(id, (*rev, Arc::new(row)));
            }
            Err(StateError::Conflict { .. }) => return Err(AccordError::Conflict.into()),
            // It may have been written or not; it counts again when it was read anew.
            Err(_) => match self.0.state.get(&key(&id)).await {
                Ok(Some(found)) => {
                    let row = Approval::decode(&found.value)?;
                    table.rows.insert(id, (found.version, Arc::new(row)));
                }
                _ => drop(table.rows.remove(&id)),
            },
        }
        table.derive(now);
        table.count(&self.0.metrics, now);
        self.0.table.store(Arc::new(table));
        done.map(|_| ()).map_err(unavailable)
    }
}

impl Table {
    /// Puts together what each actor may use.
    fn derive(&mut self, now: Timestamp) {
        let mut cleared: HashMap<[u8; 16], Vec<Clearance>> = HashMap::new();
        for (id, (_, row)) in &self.rows {
            let clearance = row.clearance(id).filter(|it| now < it.until);
            if let (Some(clearance), Some(actor)) = (clearance, ActorToken::parse(&row.actor)) {
                cleared.entry(actor.0).or_default().push(clearance);
            }
        }
        self.cleared = cleared.into_iter().map(|(actor, list)| (actor, list.into())).collect();
    }

    fn count(&self, metrics: &ApprovalMetrics, now: Timestamp) {
        let rows = || self.rows.values().map(|(_, row)| row);
        let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        let state = |wanted| number(rows().filter(|row| row.state(now) == wanted).count());
        let review = |wanted| number(rows().filter(|row| row.review_state(now) == wanted).count());
        metrics.waiting.set(state(ApprovalState::Waiting));
        metrics.in_force.set(state(ApprovalState::InForce));
        let overdue = review(ReviewState::Overdue);
        metrics.reviews_due.set(review(ReviewState::Due) + overdue);
        metrics.reviews_overdue.set(overdue);
    }
}

impl fmt::Debug for Approvals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Approvals").finish_non_exhaustive()
    }
}

fn unavailable(error: StateError) -> ApprovalError {
    ApprovalError::Subjects(SubjectsError::State(error))
}

fn key(id: &str) -> Vec<u8> {
    [PREFIX, id.as_bytes()].concat()
}

/// Where the rows stand.
const PREFIX: &[u8] = b"approval/";
const PAGE: usize = 500;
/// What one person may have waiting or in force at a time.
const MOST_OPEN: usize = 20;
