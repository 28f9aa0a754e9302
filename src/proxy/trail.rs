//! What is written down about one call: its outcome, its line in the access log, its counts.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;
use http::StatusCode;
use tokio::time::Instant;

use crate::audit::Ending;
use crate::audit::Entry;
use crate::audit::FieldViews;
use crate::audit::Kind;
use crate::audit::Verdict;
use crate::protocol::http::RequestId;
use crate::protocol::http::TraceParent;
use crate::telemetry::Span;
use crate::types::Action;
use crate::types::told;

use super::admission::Admission;
use super::error::CallError;
use super::metrics::CallLabels;
use super::metrics::ObservedLabels;
use super::metrics::Word;
use super::shared::Shared;
use super::sums::Sums;

/// What left, so far.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// Records released.
    pub(crate) records: u32,
    /// Records left out.
    pub(crate) left_out: u32,
    /// Bytes of the body.
    pub(crate) bytes: u64,
}

impl Tally {
    /// Whether nothing has left.
    pub(crate) const fn is_nothing(&self) -> bool {
        self.records == 0 && self.bytes == 0
    }
}

/// What is written down about one call. It is written exactly once, at the end; a trail that is
/// dropped before is one whose client went away.
pub(crate) struct Trail {
    pub(crate) shared: Arc<Shared>,
    /// The id of the call and of its decision.
    pub(crate) id: RequestId,
    /// The call's part of its trace, which every question to a store names as its parent.
    pub(crate) trace: TraceParent,
    parent: Option<[u8; 8]>,
    /// What is known of the call, as its entries begin.
    pub(crate) facts: Entry,
    /// Time spent waiting for the store.
    pub(crate) waited: Duration,
    pub(crate) tally: Tally,
    pub(crate) status: StatusCode,
    /// The call's place among those of its credential owner.
    pub(crate) admission: Option<Admission>,
    /// The `Privet-Fields` of the plan, once there is one.
    pub(crate) plan: Option<HeaderValue>,
    /// What the issuers of both credentials call a second factor, where they name one.
    pub(crate) acr: [Option<Box<str>>; 2],
    /// Whether something was cut off on its way to the store.
    pub(crate) is_cut: bool,
    /// What the policy would have changed, where it is only observed.
    pub(crate) sums: Option<Sums>,
    started: Instant,
    method: &'static str,
    ended: bool,
}

impl Trail {
    /// The start of a call.
    pub(crate) fn begin(
        shared: Arc<Shared>,
        (id, parent): (RequestId, Option<TraceParent>),
        method: &'static str,
    ) -> Box<Self> {
        let mut facts = Entry::new(Kind::Outcome);
        let text = id.shared();
        facts.request_id = Some(Arc::clone(&text));
        facts.decision_id = Some(text);
        shared.metrics.under_way.inc();
        let trace = shared.trace(parent);
        Box::new(Self {
            shared,
            id,
            trace,
            parent: parent.map(|parent| parent.span_id()),
            facts,
            waited: Duration::ZERO,
            tally: Tally::default(),
            status: StatusCode::OK,
            admission: None,
            plan: None,
            acr: [None, None],
            is_cut: false,
            sums: None,
            started: Instant::now(),
            method,
            ended: false,
        })
    }

    /// Observes what the gateway itself took, once the answer begins.
    pub(crate) fn answered(&mut self, status: StatusCode) {
        self.status = status;
        let own = self.started.elapsed().saturating_sub(self.waited);
        self.shared.metrics.overhead.observe(own.as_secs_f64());
        self.shared.metrics.upstream.observe(self.waited.as_secs_f64());
    }

    /// Writes down a call that came to nothing.
    pub(crate) fn fail(&mut self, error: &CallError) {
        if error.is_fault() {
            let error = told(error);
            tracing::warn!(decision = self.id.as_str(), error, "call failed");
        }
        self.facts.reason = Some(Cow::Borrowed(error.reason()));
        if error.is_refusal() {
            self.refuse(error);
        }
        let ending = match error {
            _ if self.is_cut => Ending::Aborted,
            CallError::Hidden(_) | CallError::NotFound => Ending::NotFound,
            _ => Ending::Failed,
        };
        self.end(ending);
    }

    /// Writes down a call that was cut off after its first byte.
    pub(crate) fn abort(&mut self, error: &CallError) {
        let cause = told(error);
        tracing::warn!(decision = self.id.as_str(), error = cause, "answer cut off");
        self.facts.reason = Some(Cow::Borrowed(error.reason()));
        if error.is_refusal() {
            self.refuse(error);
        }
        self.end(Ending::Aborted);
    }

    /// Writes down a call whose client takes nothing.
    pub(crate) fn slow(&mut self) {
        self.facts.reason = Some("client_slow".into());
        self.end(Ending::Aborted);
    }

    /// Whether a policy permitted the call.
    pub(crate) fn is_permitted(&self) -> bool {
        self.facts.decision == Some(Verdict::Permit)
    }

    /// Writes down how the call ended; the first end counts.
    pub(crate) fn end(&mut self, ending: Ending) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        self.count(ending);
        self.log(ending);
        self.trace(ending);
        // A call that nobody was permitted has released nothing: its refusal is its entry.
        if !self.is_permitted() {
            return;
        }
        // What was shown, and in which form, stands in the release entries of the call.
        let mut entry = std::mem::replace(&mut self.facts, Entry::new(Kind::Outcome));
        entry.observed = self.sums.as_ref().map(|sums| Box::new(sums.told()));
        entry.kind = Kind::Outcome;
        entry.fields = FieldViews::default();
        entry.outcome = Some(ending);
        entry.status = Some(self.status.as_u16());
        entry.records = Some(self.tally.records);
        entry.left_out = Some(self.tally.left_out);
        entry.bytes = Some(self.tally.bytes);
        self.shared.log.note(entry);
    }

    fn refuse(&mut self, error: &CallError) {
        if let Some(purpose) = error.purpose() {
            self.facts.purpose = Some(purpose.clone());
        }
        self.facts.action.get_or_insert(Action::Read);
        self.facts.policy.get_or_insert_with(|| self.shared.policy().hash());
        let mut entry = self.facts.clone();
        entry.kind = Kind::Refusal;
        entry.decision = Some(Verdict::Refuse);
        entry.status = Some(error.status().as_u16());
        entry.rules = error.rule().cloned().into_iter().collect();
        self.shared.log.note(entry);
    }

    fn decision(&self) -> &'static str {
        if self.is_permitted() { "permit" } else { "refuse" }
    }

    fn count(&self, ending: Ending) {
        let metrics = &self.shared.metrics;
        metrics.under_way.dec();
        let labels = CallLabels {
            store: Word(self.facts.store.clone()),
            purpose: Word(self.facts.purpose.clone()),
            action: self.facts.action.map_or("", Action::as_str),
            decision: self.decision(),
            outcome: ending.as_str(),
        };
        metrics.requests.get_or_create(&labels).inc();
        if let (Some(sums), Some(set)) = (&self.sums, &self.facts.data_set) {
            let would = sums.would();
            let labels = ObservedLabels { data_set: set.as_str().to_owned(), would };
            metrics.observed.get_or_create(&labels).inc();
        }
        metrics.bytes.inc_by(self.tally.bytes);
        metrics.released.inc_by(self.tally.records.into());
        metrics.left_out.inc_by(self.tally.left_out.into());
    }

    /// INVARIANT: names a route by its template and everything else by words of the product.
    fn log(&self, ending: Ending) {
        let took = self.started.elapsed();
        tracing::info!(
            target: "access",
            method = self.method,
            route = self.facts.route.as_deref().unwrap_or_default(),
            store = self.facts.store.as_ref().map_or("", |store| store.as_str()),
            purpose = self.facts.purpose.as_ref().map_or("", |purpose| purpose.as_str()),
            status = self.status.as_u16(),
            outcome = ending.as_str(),
            reason = self.facts.reason.as_deref().unwrap_or_default(),
            decision = self.id.as_str(),
            duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            upstream_us = u64::try_from(self.waited.as_micros()).unwrap_or(u64::MAX),
            bytes = self.tally.bytes,
            records = self.tally.records,
        );
    }
}

impl Trail {
    /// Hands the call over to whoever exports traces, when there is one and the trace is recorded.
    fn trace(&self, ending: Ending) {
        let Some(spans) = self.shared.spans.as_ref().filter(|_| self.trace.sampled()) else {
            return;
        };
        let facts = &self.facts;
        spans.add(Span {
            context: self.trace,
            parent: self.parent,
            ended: self.shared.clock.now(),
            took: self.started.elapsed(),
            waited: self.waited,
            method: self.method,
            route: facts.route.clone(),
            status: self.status.as_u16(),
            store: facts.store.clone(),
            data_set: facts.data_set.clone(),
            purpose: facts.purpose.clone(),
            action: facts.action,
            decision_id: self.id.clone(),
            decision: self.decision(),
            outcome: ending.as_str(),
            reason: facts.reason.clone(),
            is_fault: self.status.is_server_error() || ending == Ending::Aborted,
            records: self.tally.records,
            left_out: self.tally.left_out,
            bytes: self.tally.bytes,
        });
    }
}

impl Drop for Trail {
    fn drop(&mut self) {
        self.end(Ending::Gone);
    }
}

impl fmt::Debug for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Trail").field("id", &self.id).finish_non_exhaustive()
    }
}
