//! The exports of the audit log: made at the start, looked after while the gateway runs.

use std::sync::Arc;

use prometheus_client::registry::Registry;
use tokio::task::JoinSet;

use crate::api::Check;
use crate::audit::ExportMetrics;
use crate::audit::ExportStatus;
use crate::audit::Exporter;
use crate::audit::Log;
use crate::audit::examine_export;
use crate::clock::Clock;
use crate::clock::Entropy;
use crate::config::Config;
use crate::net::NetError;
use crate::types::Faults;
use crate::types::told;

/// The exports of a gateway, before and after they were set to work.
#[derive(Debug, Default)]
pub(super) struct Exports {
    waiting: Vec<Exporter>,
    status: Vec<ExportStatus>,
}

impl Exports {
    /// Makes every export of the configuration; none works yet.
    pub(super) fn new(
        config: &Config,
        log: &Log,
        (clock, entropy): (&Arc<dyn Clock>, &Arc<dyn Entropy>),
        registry: &mut Registry,
    ) -> Result<Self, NetError> {
        let metrics = ExportMetrics::default();
        if !config.exports.is_empty() {
            metrics.register(registry);
        }
        let mut made = Self::default();
        for export in &config.exports {
            let sources = (Arc::clone(clock), Arc::clone(entropy));
            let export = Exporter::new(export, log.clone(), sources, &metrics)?;
            made.status.push(export.status());
            made.waiting.push(export);
        }
        Ok(made)
    }

    /// Sets them to work.
    pub(super) fn start(&mut self, tasks: &mut JoinSet<()>) {
        for export in self.waiting.drain(..) {
            tasks.spawn(export.run());
        }
    }

    /// How each stands. Protected data leaves whether or not copies of the log do.
    pub(super) fn checks(&self) -> impl Iterator<Item = Check> {
        self.status.iter().map(|status| match status.is_well() {
            true => Check::passed("export", status.to_string()),
            false => Check::noted("export", status.to_string()),
        })
    }
}

/// Looks at the files that exports need.
pub(super) fn examine(config: &Config, faults: &mut Faults) {
    for (index, export) in config.exports.iter().enumerate() {
        if let Some((key, error)) = examine_export(export) {
            let place = config.place(&["audit", "export", &index.to_string(), key]);
            faults.error(&place, told(&error), "");
        }
    }
}
