//! `privet serve`: the gateway until it is told to stop.

use std::path::Path;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::signal::unix::Signal;
use tokio::signal::unix::SignalKind;
use tokio::signal::unix::signal;

use crate::app::Heart;
use crate::app::Running;
use crate::app::StartError;
use crate::app::Trust;
use crate::net::Inherited;

use super::check;
use super::exit::{Exit, Failure, tell};
use super::log;

/// Runs until SIGTERM or SIGINT; SIGHUP reloads.
pub(super) fn run(config: &Path) -> Result<(), Failure> {
    // Before any file is opened: the numbers of sockets are taken at their word.
    let inherited = inherited()?;
    let loaded = check::load(config)?;
    loaded.require_files().map_err(|faults| check::refused(&faults))?;
    let _access_log = log::start("info");
    for warning in &loaded.warnings {
        tracing::warn!("{warning}");
    }
    block_on(async {
        let running = Running::start(loaded, Trust::Real, &inherited).await;
        let running = running.map_err(|e| started(&e))?;
        // The workers have handles of their own.
        drop(inherited);
        // Who hears `ready` may send signals at once; without a handler they would kill.
        let mut signals = Signals::listen()?;
        let at = running.addresses();
        let tls = if running.speaks_tls() { "https" } else { "http" };
        tell(&format!("ready gateway={tls}://{} admin=http://{}", at.gateway, at.admin));
        notify(&[NotifyState::Ready]);
        if let Some(limit) = sd_notify::watchdog_enabled() {
            tokio::spawn(watchdog(running.heart(), limit));
        }
        until_told_to_stop(&running, &mut signals).await;
        let longest = running.longest_stop().as_micros();
        let longest = NotifyState::ExtendTimeoutUsec(u32::try_from(longest).unwrap_or(u32::MAX));
        notify(&[NotifyState::Stopping, longest]);
        let cut = running.stop().await;
        if cut > 0 {
            tracing::warn!(cut, "connections were cut at the end of the drain");
        }
        Ok(())
    })
}

/// The sockets that systemd hands over.
#[expect(clippy::disallowed_methods, reason = "the command line is where the environment is read")]
fn inherited() -> Result<Inherited, Failure> {
    let names = std::env::var("LISTEN_FDNAMES").unwrap_or_default();
    Inherited::take(&names).map_err(|e| Failure::caused(Exit::Failed, &e))
}

/// Runs a command's future on this thread.
pub(super) fn block_on<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::new(Exit::Failed, format_args!("cannot start a runtime: {e}")))?
        .block_on(work)
}

/// What this process is told by signals.
pub(super) struct Signals {
    hup: Signal,
    term: Signal,
    int: Signal,
}

/// One thing a signal asks for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Told {
    Reload,
    Stop,
}

impl Signals {
    /// From now on signals are heard.
    pub(super) fn listen() -> Result<Self, Failure> {
        let on = |kind| {
            signal(kind).map_err(|e| Failure::new(Exit::Failed, format_args!("signals: {e}")))
        };
        Ok(Self {
            hup: on(SignalKind::hangup())?,
            term: on(SignalKind::terminate())?,
            int: on(SignalKind::interrupt())?,
        })
    }

    /// Waits for any of them.
    pub(super) async fn any(&mut self) {
        self.next().await;
    }

    async fn next(&mut self) -> Told {
        tokio::select! {
            _ = self.term.recv() => Told::Stop,
            _ = self.int.recv() => Told::Stop,
            _ = self.hup.recv() => Told::Reload,
        }
    }
}

async fn until_told_to_stop(running: &Running, signals: &mut Signals) {
    while signals.next().await == Told::Reload {
        reloading();
        // The outcome, good or bad, is logged by the reload itself.
        drop(running.reload().await);
        notify(&[NotifyState::Ready]);
    }
}

/// Tells systemd that a reload has begun, and when: it waits for the `READY=1` after it.
fn reloading() {
    match NotifyState::monotonic_usec_now() {
        Ok(now) => notify(&[NotifyState::Reloading, now]),
        Err(_) => notify(&[NotifyState::Reloading]),
    }
}

/// Tells systemd that every worker runs, twice in each `limit`.
async fn watchdog(mut heart: Heart, limit: Duration) {
    loop {
        tokio::time::sleep(limit / 2).await;
        if heart.beats() {
            notify(&[NotifyState::Watchdog]);
        } else {
            tracing::error!("a worker has not run for {} s", limit.as_secs() / 2);
        }
    }
}

/// Tells systemd, when it started this process.
fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd could not be told");
    }
}

/// A start that failed: what, why, and what would help.
fn started(error: &StartError) -> Failure {
    let code = match error {
        StartError::Load(_) | StartError::NoListener(_) | StartError::Operators { .. } => {
            Exit::Config
        }
        StartError::Tests(_) => Exit::Tests,
        _ => Exit::Failed,
    };
    let failure = Failure::caused(code, error);
    match error {
        StartError::Listen { section, .. } => failure.with_suffix(&format!(
            "; choose another `listen` of {section} in privet.toml, or stop the program that has it"
        )),
        _ => failure,
    }
}
