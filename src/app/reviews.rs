//! Telling that broken glass was not reviewed in time.

use std::sync::Arc;
use std::time::Duration;

use crate::audit::ActorToken;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::audit::Log;
use crate::clock::Clock;
use crate::subjects::Approvals;
use crate::types::RuleId;
use crate::types::told;

/// Looks every minute, for ever, and tells each missing review once.
pub(super) async fn watch(approvals: Approvals, log: Log, clock: Arc<dyn Clock>) {
    loop {
        tell(&approvals, &log, &*clock).await;
        tokio::time::sleep(EVERY).await;
    }
}

async fn tell(approvals: &Approvals, log: &Log, clock: &dyn Clock) {
    let now = clock.now();
    for settling in approvals.newly_overdue(now) {
        let mut entry = Entry::new(Kind::Alert);
        entry.reason = Some("review_overdue".into());
        entry.actor = ActorToken::parse(&settling.row.actor);
        entry.rules = RuleId::parse(&settling.row.grant).into_iter().collect();
        let kind = settling.row.kind().as_str();
        entry.facts.insert(kind.into(), (*settling.id).into());
        let id = settling.id.clone();
        tracing::warn!(id = &*id, "a broken glass was not reviewed in time");
        if let Err(error) = log.record(entry).await {
            tracing::error!(error = told(&error), "the audit log cannot be written");
            return;
        }
        if let Err(error) = approvals.settle(settling, now).await {
            tracing::warn!(error = told(&error), id = &*id, "it will be told again");
        }
    }
}

const EVERY: Duration = Duration::from_secs(60);
