//! The kinds of jobs of this release, and the audit log as the place where their life is noted.

use std::sync::Arc;

use tokio::task::JoinSet;

use crate::api;
use crate::api::PruneAudit;
use crate::api::RotateEpoch;
use crate::api::RotateRoot;
use crate::api::RotateSubject;
use crate::audit::Log;
use crate::backfill;
use crate::backfill::Backfill;
use crate::clock::Clock;
use crate::clock::Entropy;
use crate::jobs::Job;
use crate::jobs::Jobs;
use crate::jobs::JobsConfig;
use crate::jobs::Kinds;
use crate::jobs::Ledger;
use crate::jobs::Moment;
use crate::jobs::Noted;
use crate::jobs::Unrecorded;
use crate::jobs::Work;
use crate::jobs::Worker;
use crate::keys::KeyRing;
use crate::net::Drain;
use crate::proxy::Shared;
use crate::state::Engine;
use crate::subjects::Cards;
use crate::types::told;

use super::start::StartError;

/// The jobs of a gateway, and what hands people to one kind of them.
#[derive(Clone, Debug)]
pub(super) struct LongWork {
    pub(super) jobs: Jobs,
    pub(super) rotation: Arc<RotateSubject>,
}

/// Opens the jobs: `kinds`, and those that replace keys. Both engines of this release let no
/// second process in.
pub(super) fn open(
    state: Engine,
    sources: (Arc<dyn Clock>, Arc<dyn Entropy>),
    (keys, cards): (&KeyRing, &Cards),
    kinds: Kinds,
) -> LongWork {
    let rotation = Arc::new(RotateSubject::new(cards.clone()));
    let kinds = kinds
        .with(api::ROTATE_EPOCH, Arc::new(RotateEpoch::new(keys.clone())))
        .with(api::ROTATE_ROOT, Arc::new(RotateRoot::new(keys.clone())))
        .with(api::ROTATE_SUBJECT, Arc::clone(&rotation) as Arc<dyn Work>);
    let config = JobsConfig { alone: true, ..JobsConfig::default() };
    LongWork { jobs: Jobs::new(state, sources, kinds, config), rotation }
}

/// The kinds of this release.
pub(super) fn kinds(shared: &Arc<Shared>, (log, cards): (&Log, &Cards)) -> Kinds {
    let moving = Backfill::new(Arc::clone(shared), backfill::MOST_RECORDS);
    let pruning = PruneAudit::new(log.clone(), cards.clone());
    Kinds::default()
        .with(api::AUDIT_PRUNE, Arc::new(pruning))
        .with(backfill::KIND, Arc::new(moving))
}

/// Runs jobs until the drain starts.
pub(super) fn run(
    jobs: &Jobs,
    (keys, log): (&KeyRing, &Log),
    tasks: &mut JoinSet<()>,
    drain: &Drain,
) -> Result<(), StartError> {
    let ledger = Arc::new(AuditLedger { keys: keys.clone(), log: log.clone() });
    let worker = Worker::new(jobs.clone(), ledger).map_err(StartError::Jobs)?;
    let drain = drain.clone();
    tasks.spawn(async move { worker.run(drain.started()).await });
    Ok(())
}

/// Notes the life of jobs in the audit log.
#[derive(Debug)]
struct AuditLedger {
    keys: KeyRing,
    log: Log,
}

impl Ledger for AuditLedger {
    fn note(&self, moment: Moment, job: &Job) -> Noted {
        let mut entry = api::job_entry(&self.keys, job);
        let reason = match moment {
            Moment::Started => "job_started",
            Moment::Done => "job_done",
            Moment::Failed => "job_failed",
            Moment::Cancelled => "job_cancelled",
        };
        entry.reason = Some(reason.into());
        let log = self.log.clone();
        Box::pin(async move {
            let noted = log.record(entry).await;
            noted.map(drop).map_err(|error| {
                tracing::error!(error = told(&error), "the audit log cannot be written");
                Unrecorded
            })
        })
    }
}
