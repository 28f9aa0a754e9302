//! The task of one export: reads, delivers, moves its place, and starts over.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::ExportConfig;
use super::ExportError;
use super::ExportMetrics;
use super::ExportStatus;
use super::Receiver;
use super::Writer;
use super::batch::Batch;
use super::file::Folder;
use super::metrics::OneExport;
use super::place::Place;
use super::place::PlaceFile;
use super::syslog::Syslog;
use super::webhook;
use super::webhook::Webhook;
use crate::audit::Log;
use crate::clock::Clock;
use crate::clock::Entropy;
use crate::net::ClientTls;
use crate::net::NetError;
use crate::net::Target;
use crate::types::Timestamp;
use crate::types::told;

/// An export that is ready to run.
#[derive(Debug)]
pub struct Exporter {
    log: Log,
    dir: PathBuf,
    sink: Sink,
    file: PlaceFile,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    metrics: OneExport,
    status: ExportStatus,
    name: String,
    /// Failures in a row.
    failures: u32,
    /// When the oldest entry was made that the receiver has not taken.
    oldest: Option<Timestamp>,
}

#[derive(Debug)]
enum Sink {
    Folder(Folder),
    Webhook(Webhook),
    Syslog(Syslog),
}

/// Looks at what an export needs before it starts: certificates and secrets. The key of the
/// configuration comes with what is wrong with it.
pub fn examine(config: &ExportConfig) -> Option<(&'static str, ExportError)> {
    let secret = match &config.to {
        Receiver::Webhook { secret_file, .. } => webhook::secrets(secret_file).err(),
        _ => None,
    };
    secret
        .map(|error| ("secret_file", error))
        .or_else(|| Sink::new(config, "").err().map(|error| ("ca", error.into())))
}

impl Sink {
    fn new(config: &ExportConfig, origin: &str) -> Result<Self, NetError> {
        let (name, writer) = (config.name.as_str(), Writer::new(config.format, origin));
        Ok(match &config.to {
            Receiver::File { dir, rotate_bytes } => Self::Folder(Folder {
                name: name.to_owned(),
                dir: dir.clone(),
                rotate_bytes: *rotate_bytes,
                writer,
            }),
            Receiver::Webhook { url, secret_file, ca } => {
                Self::Webhook(Webhook::new(name, (url, secret_file), ca.as_deref(), writer)?)
            }
            Receiver::Syslog { host, port, ca, identity, confirm } => {
                let tls = match identity {
                    Some(identity) => ClientTls::with_identity(ca.as_deref(), identity)?,
                    None => ClientTls::new(ca.as_deref())?,
                };
                let target = Target {
                    host: host.as_str().into(),
                    port: *port,
                    tls: Some(tls.without_alpn()),
                };
                Self::Syslog(Syslog { target, confirm: *confirm, writer })
            }
        })
    }

    /// Hands over a batch, and gives the place behind it.
    async fn take(
        &self,
        batch: &Arc<Batch>,
        place: &Place,
        now: Timestamp,
    ) -> Result<Place, ExportError> {
        let mut next = place.clone();
        next.next = batch.next;
        match self {
            Self::Folder(folder) => {
                let (folder, batch, place) = (folder.clone(), Arc::clone(batch), place.clone());
                next.file = Some(blocking(move || folder.take(&batch, &place)).await?);
            }
            Self::Webhook(webhook) => webhook.take(batch, now).await?,
            Self::Syslog(syslog) => syslog.take(batch).await?,
        }
        Ok(next)
    }
}

impl Exporter {
    /// An export of `log`, whose place is beside the log's folder.
    ///
    /// # Errors
    /// When a certificate of the receiver's cannot be used.
    pub fn new(
        config: &ExportConfig,
        log: Log,
        (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>),
        metrics: &ExportMetrics,
    ) -> Result<Self, NetError> {
        let (dir, origin) = (log.dir().to_owned(), log.origin().to_owned());
        Ok(Self {
            sink: Sink::new(config, &origin)?,
            file: PlaceFile::new(&dir, &config.name, &origin),
            metrics: metrics.of(&config.name),
            status: ExportStatus::new(&config.name),
            name: config.name.clone(),
            log,
            dir,
            clock,
            entropy,
            failures: 0,
            oldest: None,
        })
    }

    /// How it stands.
    pub fn status(&self) -> ExportStatus {
        self.status.clone()
    }

    /// Works until it is dropped.
    pub async fn run(mut self) {
        let mut place = None;
        loop {
            match self.step(&mut place).await {
                Ok(true) => self.recover(),
                Ok(false) => {
                    self.recover();
                    tokio::time::sleep(POLL).await;
                }
                Err(error) => {
                    self.fail(&error);
                    self.pause(place.as_ref()).await;
                }
            }
        }
    }

    /// Delivers one batch; `false` when there is nothing new.
    async fn step(&mut self, place: &mut Option<Place>) -> Result<bool, ExportError> {
        let known = match place.take() {
            Some(known) => known,
            None => {
                let file = self.file.clone();
                blocking(move || file.load()).await?
            }
        };
        let (size, next) = (self.size(), known.next);
        *place = Some(known.clone());
        if next > size {
            return Err(ExportError::Shorter { next, size });
        }
        let (dir, bounds) = (self.dir.clone(), (self.log.minimum(), size));
        let Some(batch) = blocking(move || Batch::read(&dir, next, bounds)).await? else {
            self.tell_lag(next);
            return Ok(false);
        };
        self.oldest = batch.entries.first().map(|(_, entry)| entry.time);
        self.tell_lag(next);
        let batch = Arc::new(batch);
        let taken = self.sink.take(&batch, &known, self.clock.now()).await?;
        let (file, moved) = (self.file.clone(), taken.clone());
        blocking(move || file.store(&moved)).await?;
        self.metrics.entries.inc_by(batch.next - batch.first());
        self.tell_lag(taken.next);
        *place = Some(taken);
        Ok(true)
    }

    /// Published entries.
    fn size(&self) -> u64 {
        self.log.published().map_or(0, |published| published.size)
    }

    fn tell_lag(&self, next: u64) {
        let entries = self.size().saturating_sub(next);
        let seconds = match self.oldest {
            Some(oldest) if entries > 0 => self.clock.now().ms_since(oldest) / 1000,
            _ => 0,
        };
        self.metrics.lag_entries.set(i64::try_from(entries).unwrap_or(i64::MAX));
        self.metrics.lag_seconds.set(i64::try_from(seconds).unwrap_or(i64::MAX));
        self.status.set_behind(entries);
    }

    fn fail(&mut self, error: &ExportError) {
        self.failures = self.failures.saturating_add(1);
        self.metrics.failures.inc();
        if self.status.fail(error.word()) {
            let (export, error) = (&self.name, told(error));
            tracing::warn!(export, error, "an export does not come on; it tries again");
        }
    }

    fn recover(&mut self) {
        self.failures = 0;
        if self.status.recover() {
            tracing::info!(export = self.name, "the export comes on again");
        }
    }

    /// Waits before the next try, longer with every failure in a row and never as long as another
    /// export, so that a receiver that comes back is not met by all at once. The lag goes on.
    async fn pause(&self, place: Option<&Place>) {
        let mut left = wait(self.failures, self.chance());
        while !left.is_zero() {
            let step = left.min(TELL_EVERY);
            tokio::time::sleep(step).await;
            left -= step;
            if let Some(place) = place {
                self.tell_lag(place.next);
            }
        }
    }

    /// A random byte; the middle without randomness.
    fn chance(&self) -> u8 {
        let mut byte = [128];
        match self.entropy.fill(&mut byte) {
            Ok(()) => byte.first().copied().unwrap_or(128),
            Err(_) => 128,
        }
    }
}

/// 0.25, 0.5, 1 … 60 seconds, of which between a half and all.
fn wait(failures: u32, chance: u8) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(16));
    let full = doubled.min(LONGEST_WAIT);
    full / 2 + full / 2 * u32::from(chance) / 255
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ExportError> + Send + 'static,
) -> Result<T, ExportError> {
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(ExportError::Ended))
}

/// How often news is looked for. Checkpoints come every second, or sooner under load.
const POLL: Duration = Duration::from_millis(200);
const TELL_EVERY: Duration = Duration::from_secs(1);
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

#[cfg(test)]
pub(super) mod waiting {
    use super::*;

    #[test]
    fn waits_grow_to_a_minute_and_no_two_are_alike() {
        for (failures, chance, ms) in [
            (1, 255, 250),
            (1, 0, 125),
            (2, 255, 500),
            (4, 255, 2_000),
            (9, 255, 60_000),
            (100, 255, 60_000),
            (100, 0, 30_000),
            (u32::MAX, 128, 45_058),
        ] {
            let found = wait(failures, chance).as_millis();
            assert!(found.abs_diff(ms) <= 1, "{failures} {chance}: {found}");
        }
    }
}
