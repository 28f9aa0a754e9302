//! Writes whose body comes while it is sent.

use std::fmt;
use std::pin::Pin;
use std::pin::pin;

use http::HeaderValue;
use http::Request;
use http::header;
use tokio::time::timeout;

use crate::audit::IntentReceipt;
use crate::policy::Permit;

use super::AnswerFault;
use super::Fate;
use super::Piped;
use super::StoreResponse;
use super::StoreWrite;
use super::Upstream;
use super::UpstreamError;
use super::WriteError;
use super::pipe::Sent;
use super::store::Load;
use super::write::Received;
use super::write::unknown;
use super::write::unsent;

/// An upload that may be sent.
///
/// INVARIANT: holds an [`IntentReceipt`], so that its intent is in the log before its first byte.
pub struct Upload {
    upstream: Upstream,
    write: StoreWrite,
    content_type: HeaderValue,
    body: Piped,
    _intent: IntentReceipt,
}

impl Upstream {
    /// As [`alter`](Self::alter), with a body that comes through a pipe. Sent with
    /// [`Upload::send`].
    ///
    /// # Errors
    /// When the permit is for something else.
    pub fn upload(
        &self,
        permit: &Permit,
        intent: IntentReceipt,
        write: StoreWrite,
        (content_type, body): (HeaderValue, Piped),
    ) -> Result<Upload, WriteError> {
        self.permitted(permit, &intent, &write)?;
        let upstream = self.clone();
        Ok(Upload { upstream, write, content_type, body, _intent: intent })
    }
}

impl Upload {
    /// Sends it once, while `pump` fills the pipe, which is not touched before there is a
    /// connection. Cut when `pump` fails or this is dropped.
    ///
    /// # Errors
    /// Those of `pump`: then the store has not got all of it.
    pub async fn send<E>(
        self,
        pump: impl Future<Output = Result<(), E>>,
    ) -> Result<Result<StoreResponse, WriteError>, E> {
        let Self { upstream, write, content_type, body, .. } = self;
        upstream.store.metrics.requests.inc();
        let answer = upstream.send_piped(&write, (content_type, body), pin!(pump)).await;
        if !matches!(answer, Ok(Ok(_))) {
            upstream.store.metrics.failures.inc();
        }
        answer
    }
}

impl Upstream {
    async fn send_piped<E>(
        &self,
        write: &StoreWrite,
        (content_type, body): (HeaderValue, Piped),
        pump: Pin<&mut impl Future<Output = Result<(), E>>>,
    ) -> Result<Result<StoreResponse, WriteError>, E> {
        let shown = match self.store.credentials().authorization().await {
            Ok(shown) => shown,
            Err(error) => return Ok(Err(unsent(error))),
        };
        let load = match self.store.choose(None) {
            Ok(load) => load,
            Err(error) => return Ok(Err(unsent(error))),
        };
        let mut request = match self.compose(write, &load, shown.as_deref()) {
            Ok(request) => request,
            Err(error) => return Ok(Err(unsent(error))),
        };
        request.headers_mut().insert(header::CONTENT_TYPE, content_type);
        *request.body_mut() = Sent::Piped(body);
        Ok(match self.transmit_piped(request, &load, pump).await? {
            Ok(received) => self.received(received, load, shown.as_ref()),
            Err(error) => {
                load.failed(&error.cause);
                Err(error)
            }
        })
    }

    /// Sends the request while the pipe is filled. What the store answers before it has everything
    /// can only be a refusal.
    async fn transmit_piped<E>(
        &self,
        mut request: Request<Sent>,
        load: &Load,
        mut pump: Pin<&mut impl Future<Output = Result<(), E>>>,
    ) -> Result<Result<Received, WriteError>, E> {
        let limit = self.store.config.timeouts.first_byte;
        let (mut fresh, mut is_filled) = (false, false);
        loop {
            let mut connection = match self.connection(load, fresh).await {
                Ok(connection) => connection,
                Err(error) => return Ok(Err(unsent(error))),
            };
            let cut = connection.cut_unless_kept();
            let answer = {
                let mut sending = pin!(connection.send_once(request));
                let early = if is_filled {
                    None
                } else {
                    tokio::select! {
                        // First what was sent, so that an answer to all of it is none before.
                        biased;
                        pumped = pump.as_mut() => {
                            pumped?;
                            is_filled = true;
                            None
                        }
                        answer = &mut sending => Some(answer),
                    }
                };
                match early {
                    Some(answer) => Ok(answer),
                    None => timeout(limit, sending).await,
                }
            };
            let Ok(answer) = answer else {
                return Ok(Err(unknown(UpstreamError::Timeout("the head of an answer"))));
            };
            match answer {
                Ok(answer) if is_filled => {
                    cut.keep();
                    let (head, body) = answer.into_parts();
                    return Ok(Ok((head, body, connection)));
                }
                Ok(early) => {
                    let cause = AnswerFault::Early.into();
                    let status = early.status();
                    let is_refusal = !status.is_success();
                    let fate = if is_refusal { Fate::Refused(status) } else { Fate::Unknown };
                    return Ok(Err(WriteError { cause, fate }));
                }
                Err((_, Some(again))) if !fresh => request = again,
                Err((cause, Some(_))) => return Ok(Err(unsent(cause))),
                Err((cause, None)) => return Ok(Err(unknown(cause))),
            }
            fresh = true;
        }
    }
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload").field("write", &self.write).finish_non_exhaustive()
    }
}
