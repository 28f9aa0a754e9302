//! Asks witnesses to sign the log's checkpoints (C2SP tlog-witness), beside the traffic: a witness
//! that is slow, away or hostile holds up nothing, and is told of in metrics and the log.

use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::StatusCode;
use http::Uri;
use http::header;
use tokio::task::JoinSet;

use crate::audit::Cosigned;
use crate::audit::Log;
use crate::audit::SearchError;
use crate::audit::WitnessMetrics;
use crate::config::WitnessSection;
use crate::net;
use crate::net::ClientTls;
use crate::net::Drain;
use crate::net::Fetch;
use crate::net::NetError;
use crate::net::Question;
use crate::types::told;

/// Why a checkpoint was not signed.
#[derive(Debug, thiserror::Error)]
enum Unsigned {
    /// It has seen more than there is.
    #[error(
        "the witness has signed {signed} entries and the log has fewer: an older copy of the log \
         was put back"
    )]
    Ahead { signed: u64 },
    /// It says that the log does not continue what it has signed.
    #[error(
        "the witness says that the log does not continue the {signed} entries it has signed: the \
         log was changed, or continued in two places"
    )]
    Contradicts { signed: u64 },
    /// It gave no signature of its own.
    #[error("the witness answered without a signature of the key in privet.toml")]
    NoSignature,
    /// Reaching it.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The log's own files.
    #[error("the log's tiles could not be read")]
    Read(#[from] SearchError),
    /// Another answer.
    #[error("the witness answered with status {status}{}", hint(*status))]
    Status { status: StatusCode },
    /// The thread that reads tiles is gone.
    #[error("the log's tiles could not be read in time")]
    Stopped,
}

fn hint(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => ": it does not watch this log, or `url` is not its address",
        StatusCode::FORBIDDEN => ": it knows this log under another key",
        _ => "",
    }
}

/// Starts a task for each witness.
pub(super) fn start(
    witnesses: &[WitnessSection],
    log: &Log,
    tasks: &mut JoinSet<()>,
    drain: &Drain,
) -> Result<(), NetError> {
    for section in witnesses {
        let is_tls = section.url.scheme_str() == Some("https");
        let tls = is_tls.then(|| ClientTls::new(section.ca.as_deref())).transpose()?;
        let fetch =
            Fetch { url: page(&section.url)?, tls, limit_bytes: ANSWER_BYTES, timeout: TIMEOUT };
        let cosigning = Cosigning {
            fetch,
            metrics: log.metrics().witness(section.key.name()),
            signed: 0,
            section: section.clone(),
            log: log.clone(),
            done: None,
            trouble: None,
        };
        tasks.spawn(cosigning.run(drain.clone()));
    }
    Ok(())
}

/// One witness.
struct Cosigning {
    section: WitnessSection,
    fetch: Fetch,
    log: Log,
    metrics: WitnessMetrics,
    /// Entries of the last checkpoint it signed, as far as we know.
    signed: u64,
    /// Entries of the last checkpoint that was signed by this process's asking.
    done: Option<u64>,
    /// The last trouble that was told.
    trouble: Option<String>,
}

impl Cosigning {
    async fn run(mut self, drain: Drain) {
        self.signed = self.log.cosigned_size(&self.section.key);
        self.metrics.size.set(i64::try_from(self.signed).unwrap_or(i64::MAX));
        let mut pause = TICK;
        loop {
            tokio::select! {
                () = drain.started() => return,
                () = tokio::time::sleep(pause) => {}
            }
            pause = match self.submit().await {
                Ok(()) => {
                    if self.trouble.take().is_some() {
                        tracing::info!(
                            witness = self.section.key.name(),
                            "the witness signs again"
                        );
                    }
                    TICK
                }
                Err(error) => {
                    self.metrics.failures.inc();
                    self.tell(&error);
                    (pause * 2).min(LONGEST_PAUSE)
                }
            };
        }
    }

    /// Once for each trouble: what lasts is seen in the metrics.
    fn tell(&mut self, error: &Unsigned) {
        let text = told(error);
        if self.trouble.as_ref() == Some(&text) {
            return;
        }
        let witness = self.section.key.name();
        match error {
            Unsigned::Ahead { .. } | Unsigned::Contradicts { .. } => {
                tracing::error!(witness, error = text, "the audit log is not what it was");
            }
            _ => tracing::warn!(witness, error = text, "a checkpoint was not signed"),
        }
        self.trouble = Some(text);
    }

    /// Has the published checkpoint signed, when that was not done yet.
    async fn submit(&mut self) -> Result<(), Unsigned> {
        let Some(published) = self.log.published() else { return Ok(()) };
        if self.done == Some(published.size) {
            return Ok(());
        }
        // A witness that knows another size says which; then it is asked once more.
        for _ in 0..2 {
            let (log, signed) = (self.log.clone(), self.signed);
            let request = tokio::task::spawn_blocking(move || log.extension(signed)).await;
            let request = request.map_err(|_| Unsigned::Stopped)??;
            let request = request.ok_or(Unsigned::Ahead { signed })?;
            let (status, answer) = net::ask(&self.fetch, question(request.to_string())).await?;
            let answer = String::from_utf8_lossy(&answer);
            match status {
                StatusCode::OK => return self.keep(request.checkpoint, &answer),
                StatusCode::CONFLICT => match answer.trim_end().parse::<u64>() {
                    Ok(other) if other != signed => self.signed = other,
                    _ => return Err(Unsigned::Contradicts { signed }),
                },
                StatusCode::UNPROCESSABLE_ENTITY => return Err(Unsigned::Contradicts { signed }),
                status => return Err(Unsigned::Status { status }),
            }
        }
        Err(Unsigned::Status { status: StatusCode::CONFLICT })
    }

    fn keep(&mut self, note: String, answer: &str) -> Result<(), Unsigned> {
        let text = note.split_inclusive("\n\n").next().and_then(|text| text.strip_suffix('\n'));
        let line = text.and_then(|text| self.section.key.choose(text, answer));
        let line = line.ok_or(Unsigned::NoSignature)?.to_owned();
        let size = note.lines().nth(1).and_then(|size| size.parse::<u64>().ok());
        let size = size.ok_or(Unsigned::NoSignature)?;
        let witness = self.section.key.clone();
        (self.signed, self.done) = (size, Some(size));
        self.log.cosign(Cosigned { note, line, witness });
        self.metrics.size.set(i64::try_from(size).unwrap_or(i64::MAX));
        self.metrics.signatures.inc();
        Ok(())
    }
}

/// Where checkpoints are sent: the address in privet.toml may have a path.
fn page(base: &Uri) -> Result<Uri, NetError> {
    let text = format!("{}/add-checkpoint", base.to_string().trim_end_matches('/'));
    text.parse().map_err(|_| NetError::Url { text: text.into(), what: "it is no base address" })
}

fn question(body: String) -> Question {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    Question { method: Method::POST, headers, body: Bytes::from(body) }
}

/// How often news is looked for: a busy log publishes twice a second, and its newest checkpoint
/// covers all before.
const TICK: Duration = Duration::from_secs(1);
/// The longest a witness that fails is left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How long a witness may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The largest answer that is read.
const ANSWER_BYTES: usize = 16 << 10;
