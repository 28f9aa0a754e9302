//! Worker threads: each with its own runtime, listening sockets and connections to the stores.

use std::io;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Builder;
use tokio::sync::oneshot;

use crate::net::Bound;
use crate::net::Drain;
use crate::net::Listener;
use crate::net::ListenerSetup;
use crate::proxy::Shared;
use crate::proxy::Worker;

use super::start::StartError;

/// How many workers there are: one for each core this process may use.
pub(super) fn count() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// What every worker is started with.
#[derive(Clone, Debug)]
pub(super) struct Duty {
    pub(super) setup: ListenerSetup,
    pub(super) shared: Arc<Shared>,
    /// How long calls under way may take, once draining.
    pub(super) finish: Duration,
}

/// Beats while the runtime of a worker runs its tasks.
#[derive(Clone, Debug, Default)]
pub(super) struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// How often it has beaten.
    pub(super) fn beats(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    async fn beat(self) {
        loop {
            tokio::time::sleep(BEAT).await;
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Starts worker `number` and waits until it listens.
pub(super) async fn start(
    number: usize,
    sockets: Vec<Bound>,
    duty: &Duty,
) -> Result<(JoinHandle<()>, Pulse), StartError> {
    let (duty, pulse) = (duty.clone(), Pulse::default());
    let (report, started) = oneshot::channel();
    let beating = pulse.clone();
    let thread = std::thread::Builder::new()
        .name(format!("worker-{number}"))
        .spawn(move || run(sockets, duty, beating, report))
        .map_err(StartError::Thread)?;
    match started.await {
        Ok(Ok(())) => Ok((thread, pulse)),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(StartError::Thread(io::Error::other("a worker ended at its start"))),
    }
}

fn run(
    sockets: Vec<Bound>,
    duty: Duty,
    pulse: Pulse,
    report: oneshot::Sender<Result<(), StartError>>,
) {
    let runtime = match Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(report.send(Err(StartError::Thread(error)))),
    };
    runtime.block_on(async move {
        let (drain, finish) = (duty.setup.drain.clone(), duty.finish);
        match listen(sockets, &duty.setup, duty.shared) {
            Ok(tasks) => {
                tokio::spawn(pulse.beat());
                drop(report.send(Ok(())));
                for task in tasks {
                    // A listener ends when the drain starts.
                    drop(task.await);
                }
                // Connections are tasks of this runtime: it goes on until they have ended. The
                // one who drains sets the limit.
                drain.finished(finish).await;
            }
            Err(error) => drop(report.send(Err(error))),
        }
    });
}

fn listen(
    sockets: Vec<Bound>,
    setup: &ListenerSetup,
    shared: Arc<Shared>,
) -> Result<Vec<tokio::task::JoinHandle<()>>, StartError> {
    let worker = Worker::new(shared);
    sockets
        .into_iter()
        .map(|socket| {
            let listener = Listener::new(socket, setup.clone())?;
            let (worker, drain) = (Arc::clone(&worker), setup.drain.clone());
            Ok(tokio::spawn(listener.serve(move |connection| {
                Arc::clone(&worker).serve(connection, Drain::clone(&drain))
            })))
        })
        .collect()
}

/// How often a worker shows that it runs.
const BEAT: Duration = Duration::from_secs(1);
