//! The work of a job: pass after pass over a data set, a page a step.

use std::collections::HashMap;
use std::collections::HashSet;
use std::fmt;
use std::hash::RandomState;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::jobs::At;
use crate::jobs::Check;
use crate::jobs::Job;
use crate::jobs::JobId;
use crate::jobs::Jobs;
use crate::jobs::Progress;
use crate::jobs::Step;
use crate::jobs::StepError;
use crate::jobs::StepFuture;
use crate::jobs::Work;
use crate::policy::Maintenance;
use crate::policy::NotAgreed;
use crate::policy::PolicySet;
use crate::proxy::Mount;
use crate::proxy::Shared;
use crate::types::DataSetId;
use crate::types::StoreId;
use crate::upstream::Upstream;

use super::batch;
use super::batch::POLICY_CHANGED;
use super::batch::Wrote;
use super::count::Count;
use super::order::Order;
use super::order::hex;
use super::page::NO_KEYS;
use super::page::Scene;
use super::page::Seen;
use super::place::From;
use super::place::PAGE;
use super::place::Paging;
use super::place::Place;

/// The work of jobs that move data sets.
pub struct Backfill {
    shared: Arc<Shared>,
    /// Ways to the stores, beside those of the traffic.
    upstreams: Vec<(StoreId, Upstream)>,
    /// What is known of the pass under way over each data set. It does not survive the process:
    /// a pass without it is followed by another.
    passes: Mutex<HashMap<DataSetId, Pass>>,
    /// Tells pages apart.
    prints: RandomState,
    most_records: u64,
}

/// What is known of a pass under way.
struct Pass {
    job: JobId,
    /// Where it stands: what is known fits no other place.
    cursor: Option<Arc<str>>,
    count: Count,
    /// What steps wrote that broke off and so were not counted yet.
    carried: Wrote,
    /// The pages there were, by the prints of their first records.
    pages: HashSet<u64>,
    after: Option<String>,
    /// Whether it saw everything from its beginning.
    is_whole: bool,
}

/// How far a job is: durable after each step.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Cursor {
    /// Passes before this one.
    passes: u32,
    /// Records of this pass that were looked at.
    records: u64,
    /// Pages of this pass.
    pages: u64,
    /// Whether this pass wrote anything, or put something off.
    busy: bool,
    written: u64,
    refused: u64,
    gone: u64,
    postponed: u64,
}

impl Backfill {
    /// The work of a gateway. A list with more than `most_records` counts as one that does not
    /// end.
    pub fn new(shared: Arc<Shared>, most_records: u64) -> Self {
        let way = |mount: &Mount| (mount.id().clone(), Upstream::new(Arc::clone(&mount.store)));
        let upstreams = shared.stores.iter().map(way).collect();
        let (passes, prints) = (Mutex::default(), RandomState::new());
        Self { shared, upstreams, passes, prints, most_records }
    }

    async fn go_on(self: Arc<Self>, at: At) -> Result<Step, StepError> {
        let scene = Arc::new(self.scene(&at.job)?);
        let cursor = Cursor::read(at.cursor.as_deref())?;
        let mut pass = self.take(&scene, &at, &cursor);
        let done = self.page(&scene, &cursor, &mut pass).await;
        match done {
            Err(StepError::Again(why)) => {
                // Nothing of the step was counted but what it wrote: what was known still fits.
                self.put(&scene, pass);
                Err(StepError::Again(why))
            }
            Err(error) => Err(error),
            Ok((next, ended)) if ended => self.end(&scene, next, pass),
            Ok((next, _)) => Ok(self.more(&scene, &next, pass)),
        }
    }

    /// What a step works with, when it may be done at all.
    fn scene(&self, job: &Arc<Job>) -> Result<Scene, StepError> {
        const ODD: &str = "the job's arguments are not understood";
        let order = Order::read(&job.args).ok_or(StepError::Fatal(ODD))?;
        let (way, id) = (order.way(), order.set_id());
        let (way, id) = way.zip(id).ok_or(StepError::Fatal(ODD))?;
        let policy = self.shared.policy();
        if hex(&policy.hash()) != order.policy {
            return Err(StepError::Fatal(POLICY_CHANGED));
        }
        let agreed = agreed(&policy, (&order, &id), job)?;
        let place = Place::of(agreed.set(), order.cursor.as_deref());
        let place = place.map_err(|_| StepError::Fatal("the data set has no routes for it"))?;
        let way_to = self.upstreams.iter().find(|(store, _)| *store == agreed.set().store);
        let (_, upstream) = way_to.ok_or(StepError::Fatal("the store is not there"))?;
        if !self.shared.keys.is_usable() {
            return Err(StepError::Again(NO_KEYS));
        }
        let (shared, upstream) = (Arc::clone(&self.shared), upstream.clone());
        Ok(Scene { shared, upstream, place, agreed, order, way, job: Arc::clone(job) })
    }

    /// What is known of the pass, or that nothing is.
    fn take(&self, scene: &Scene, at: &At, cursor: &Cursor) -> Pass {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        let known = passes.remove(&scene.place.set.id);
        let fits = |pass: &Pass| pass.job == at.job.id && pass.cursor == at.cursor;
        known.filter(fits).unwrap_or_else(|| Pass {
            job: at.job.id.clone(),
            cursor: at.cursor.clone(),
            count: Count::default(),
            carried: Wrote::default(),
            pages: HashSet::new(),
            after: None,
            is_whole: cursor.records == 0,
        })
    }

    fn put(&self, scene: &Scene, pass: Pass) {
        let mut passes = self.passes.lock().unwrap_or_else(PoisonError::into_inner);
        passes.insert(scene.place.set.id.clone(), pass);
    }

    /// Does a page. Where the job stands then, and whether the pass is over.
    async fn page(
        &self,
        scene: &Arc<Scene>,
        cursor: &Cursor,
        pass: &mut Pass,
    ) -> Result<(Cursor, bool), StepError> {
        let is_by_value = matches!(scene.place.paging, Paging::After { .. });
        // The value to go on after stands nowhere on disk: such a pass begins anew.
        let mut next = *cursor;
        if is_by_value && pass.after.is_none() && cursor.records > 0 {
            (next.records, next.pages, pass.is_whole) = (0, 0, true);
        }
        let from = From { records: next.records, pages: next.pages, after: pass.after.as_deref() };
        let mut seen = scene.page(from, &self.prints).await?;
        let is_last = match scene.place.paging {
            Paging::Whole => seen.ended,
            _ => seen.records == 0 || is_repeated(&seen, pass)?,
        };
        let is_repeat = is_last && seen.records > 0 && scene.place.paging != Paging::Whole;
        if is_repeat {
            return Ok((next, true));
        }
        if next.records.saturating_add(seen.records) > self.most_records {
            return Err(StepError::Fatal("the store's list does not end"));
        }
        if !scene.order.dry_run {
            batch::write(scene, &seen.to_do, &mut pass.carried).await?;
        }
        let wrote = std::mem::take(&mut pass.carried);
        if wrote.refused >= HOPELESS && wrote.written + cursor.written == 0 {
            return Err(StepError::Fatal("the store refuses the records that are written"));
        }
        pass.count.merge(std::mem::take(&mut seen.count));
        pass.pages.extend(seen.print.filter(|_| pass.pages.len() < MOST_PAGES));
        pass.after = seen.last.or(pass.after.take());
        next.records += seen.records;
        next.pages += 1;
        next.busy |= wrote.written + wrote.postponed > 0;
        next.written += wrote.written;
        next.refused += wrote.refused + seen.unaddressed;
        next.gone += wrote.gone;
        next.postponed += wrote.postponed;
        Ok((next, is_last))
    }

    /// The job goes on in the same pass, or with the next.
    fn more(&self, scene: &Scene, next: &Cursor, mut pass: Pass) -> Step {
        let text = next.written();
        let step = Step::More {
            cursor: text.clone(),
            progress: progress(scene, next),
            summary: Some(summary(scene, next, &pass.count)),
            report: Vec::new(),
        };
        pass.cursor = Some(text.into());
        self.put(scene, pass);
        step
    }

    /// The pass is over: so is the job, when it saw everything and found nothing to do.
    fn end(&self, scene: &Scene, cursor: Cursor, pass: Pass) -> Result<Step, StepError> {
        let is_settled = pass.is_whole && (scene.order.dry_run || !cursor.busy);
        if is_settled {
            return Ok(Step::Done {
                progress: progress(scene, &cursor),
                summary: Some(summary(scene, &cursor, &pass.count)),
                report: pass.count.report(&scene.place.set),
            });
        }
        if cursor.passes + 1 >= MOST_PASSES {
            return Err(StepError::Fatal("records keep changing while they are moved"));
        }
        let next =
            Cursor { passes: cursor.passes + 1, records: 0, pages: 0, busy: false, ..cursor };
        let pass = Pass {
            count: Count::default(),
            pages: HashSet::new(),
            after: None,
            is_whole: true,
            ..pass
        };
        Ok(self.more(scene, &next, pass))
    }
}

/// The proof that the work was agreed on. Without an approval nothing is changed, whatever the
/// arguments say.
fn agreed(
    policy: &PolicySet,
    (order, set): (&Order, &DataSetId),
    job: &Job,
) -> Result<Maintenance, StepError> {
    let agreed = match &job.approved_by {
        _ if order.dry_run => Maintenance::survey(policy, set, &job.requested_by),
        Some(approver) => Maintenance::agreed(policy, set, (&job.requested_by, approver)),
        None => Err(NotAgreed::Alone),
    };
    agreed.map_err(|error| {
        StepError::Fatal(match error {
            NotAgreed::Alone => "nobody but its requester approved the job",
            NotAgreed::NoSet => POLICY_CHANGED,
        })
    })
}

/// Whether a page has been there before. A short one that comes again is the last; a full one
/// means that the list does not go on as it is asked to.
fn is_repeated(seen: &Seen, pass: &Pass) -> Result<bool, StepError> {
    let is_known = seen.print.is_some_and(|print| pass.pages.contains(&print));
    let is_short = usize::try_from(seen.records).is_ok_and(|n| n < PAGE);
    if is_known && !(is_short && seen.ended) {
        return Err(StepError::Fatal("the store's list does not turn its pages"));
    }
    Ok(is_known)
}

/// How far the job is: records of this pass, out of as many as the dry run saw.
fn progress(scene: &Scene, cursor: &Cursor) -> Progress {
    let total = scene.order.expected.map(|total| total.max(cursor.records));
    Progress { done: cursor.records, total }
}

fn summary(scene: &Scene, cursor: &Cursor, count: &Count) -> Value {
    json!({
        "pass": cursor.passes + 1,
        "records": count.records,
        "to_change": count.to_do,
        "troubles": count.troubles(),
        "written": cursor.written,
        "refused": cursor.refused,
        "gone": cursor.gone,
        "postponed": cursor.postponed,
        "dry_run": scene.order.dry_run,
    })
}

impl Cursor {
    fn read(text: Option<&str>) -> Result<Self, StepError> {
        let Some(text) = text else { return Ok(Self::default()) };
        let read = serde_json::from_str(text);
        read.map_err(|_| StepError::Fatal("the place where the job stands is not understood"))
    }

    fn written(&self) -> String {
        // Numbers can always be written.
        serde_json::to_string(self).unwrap_or_default()
    }
}

impl Work for Backfill {
    fn needs_approval(&self, args: &Value) -> bool {
        Order::read(args).is_none_or(|order| !order.dry_run)
    }

    fn before_approval(self: Arc<Self>, jobs: Jobs, job: Job) -> Check {
        Box::pin(async move {
            let order = Order::read(&job.args).ok_or("the job's arguments are not understood")?;
            if hex(&self.shared.policy().hash()) != order.policy {
                return Err(POLICY_CHANGED);
            }
            match order.tried(&jobs).await {
                Ok(Some(_)) => Ok(()),
                Ok(None) => Err("there is no dry run of the same under the policy in force"),
                Err(_) => Err("the jobs cannot be read"),
            }
        })
    }

    fn step(self: Arc<Self>, at: At) -> StepFuture {
        Box::pin(self.go_on(at))
    }
}

impl fmt::Debug for Backfill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Backfill(..)")
    }
}

/// The most pages that are told apart.
const MOST_PAGES: usize = 1 << 20;
/// The most passes of a job.
const MOST_PASSES: u32 = 16;
/// So many refusals of a step, and nothing written before, say that the store takes none.
const HOPELESS: u64 = 16;
