//! Calls that change a store: sent once.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::StatusCode;
use http::header;
use hyper::body::Incoming;
use tokio::time::timeout;

use crate::audit::IntentReceipt;
use crate::catalog;
use crate::policy::Pass;
use crate::protocol::http::StoreHeaders;
use crate::protocol::http::Target;
use crate::types::ClientError;
use crate::types::ErrorKind;

use super::StoreBody;
use super::StoreRequest;
use super::StoreResponse;
use super::Upstream;
use super::UpstreamError;
use super::answer;
use super::body::Lease;
use super::connection::Connection;
use super::pipe::Sent;
use super::store::Load;

/// What a store is to change.
#[derive(Clone)]
pub struct StoreWrite {
    /// POST, PUT, PATCH or DELETE.
    pub method: Method,
    /// The path on the store, without the gateway's prefix, and the query.
    pub target: Target,
    /// The headers that may go.
    pub headers: StoreHeaders,
    /// What is sent; nothing where a record is removed.
    pub body: Option<WrittenBody>,
    /// The version that must still be there.
    pub if_match: Option<HeaderValue>,
}

/// The body of a [`StoreWrite`].
#[derive(Clone)]
pub struct WrittenBody {
    /// Its bytes.
    pub bytes: Bytes,
    /// Its media type.
    pub content_type: &'static str,
}

impl fmt::Debug for StoreWrite {
    /// The body is personal data, and so may the path be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreWrite").field("method", &self.method).finish_non_exhaustive()
    }
}

impl fmt::Debug for WrittenBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WrittenBody(..)")
    }
}

/// What is known of a write that gave no answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Fate {
    /// The store said that it is done; the rest of its answer could not be read.
    Done(StatusCode),
    /// No byte of it was sent.
    NotSent,
    /// The store said no before it had all of it.
    Refused(StatusCode),
    /// It may have happened or not.
    Unknown,
}

/// Why a write gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("the write gave no answer")]
pub struct WriteError {
    /// What went wrong.
    #[source]
    pub cause: UpstreamError,
    /// What is known of the write.
    pub fate: Fate,
}

impl Upstream {
    /// Sends a write under a permit for it, and a proof that the intent is in the log. It is sent
    /// once: nobody can tell whether a write without an answer has happened.
    ///
    /// # Errors
    /// When there is no answer, or none that can be read.
    pub async fn alter(
        &self,
        permit: &impl Pass,
        intent: IntentReceipt,
        write: &StoreWrite,
    ) -> Result<StoreResponse, WriteError> {
        self.permitted(permit, &intent, write)?;
        self.put(write).await
    }

    /// Whether a permit and a proof that the intent is in the log cover a write.
    pub(super) fn permitted(
        &self,
        permit: &impl Pass,
        intent: &IntentReceipt,
        write: &StoreWrite,
    ) -> Result<(), WriteError> {
        let _ = intent.index();
        let store = self.store.config.store.as_str();
        let action = catalog::Method::parse(write.method.as_str()).map(catalog::Method::action);
        let is_covered = action == Some(permit.action()) && !permit.action().shows();
        if permit.set().store.as_str() != store || !is_covered {
            return Err(unsent(UpstreamError::Permit));
        }
        Ok(())
    }

    pub(super) async fn put(&self, write: &StoreWrite) -> Result<StoreResponse, WriteError> {
        self.store.metrics.requests.inc();
        let answer = self.send_once(write).await;
        if answer.is_err() {
            self.store.metrics.failures.inc();
        }
        answer
    }

    async fn send_once(&self, write: &StoreWrite) -> Result<StoreResponse, WriteError> {
        let shown = self.store.credentials().authorization().await.map_err(unsent)?;
        let load = self.store.choose(None).map_err(unsent)?;
        let request = self.compose(write, &load, shown.as_deref()).map_err(unsent)?;
        match self.transmit(request, &load).await {
            Ok(received) => self.received(received, load, shown.as_ref()),
            Err(error) => {
                load.failed(&error.cause);
                Err(error)
            }
        }
    }

    /// Looks at the head of an answer.
    pub(super) fn received(
        &self,
        (head, body, connection): Received,
        load: Load,
        shown: Option<&Arc<HeaderValue>>,
    ) -> Result<StoreResponse, WriteError> {
        let facts = match answer::check(&head) {
            Ok(facts) => facts,
            Err(fault) => {
                let cause = fault.into();
                load.failed(&cause);
                let is_done = head.status.is_success();
                let fate = if is_done { Fate::Done(head.status) } else { Fate::Unknown };
                return Err(WriteError { cause, fate });
            }
        };
        load.succeeded();
        if head.status == StatusCode::UNAUTHORIZED {
            // The next call comes with another one.
            self.store.credentials().refused(shown);
        }
        let lease = Lease { pool: Arc::clone(&self.pool), connection, load };
        Ok(StoreResponse {
            status: head.status,
            headers: head.headers,
            media: facts.media,
            body: StoreBody::new(Arc::clone(&self.store), body, facts.coding, lease),
        })
    }

    /// Sends the request; on a new connection when an idle one was closed before the first byte
    /// of it went.
    async fn transmit(
        &self,
        mut request: Request<Sent>,
        load: &Load,
    ) -> Result<Received, WriteError> {
        let limit = self.store.config.timeouts.first_byte;
        let mut fresh = false;
        loop {
            let mut connection = self.connection(load, fresh).await.map_err(unsent)?;
            let answer = timeout(limit, connection.send_once(request)).await;
            let late = |_| unknown(UpstreamError::Timeout("the head of an answer"));
            match answer.map_err(late)? {
                Ok(answer) => {
                    let (head, body) = answer.into_parts();
                    return Ok((head, body, connection));
                }
                Err((_, Some(again))) if !fresh => request = again,
                Err((cause, Some(_))) => return Err(unsent(cause)),
                Err((cause, None)) => return Err(unknown(cause)),
            }
            fresh = true;
        }
    }

    pub(super) fn compose(
        &self,
        write: &StoreWrite,
        load: &Load,
        shown: Option<&HeaderValue>,
    ) -> Result<Request<Sent>, UpstreamError> {
        let base = StoreRequest {
            method: write.method.clone(),
            target: write.target.clone(),
            headers: write.headers.clone(),
        };
        let mut request = self.write(&base, &load.address.host, shown)?;
        if let Some(body) = &write.body {
            let content_type = HeaderValue::from_static(body.content_type);
            request.headers_mut().insert(header::CONTENT_TYPE, content_type);
            *request.body_mut() = Sent::whole(body.bytes.clone());
        }
        if let Some(version) = &write.if_match {
            request.headers_mut().insert(header::IF_MATCH, version.clone());
        }
        Ok(request)
    }
}

pub(super) type Received = (http::response::Parts, Incoming, Connection);

pub(super) const fn unsent(cause: UpstreamError) -> WriteError {
    WriteError { cause, fate: Fate::NotSent }
}

pub(super) const fn unknown(cause: UpstreamError) -> WriteError {
    WriteError { cause, fate: Fate::Unknown }
}

impl ClientError for WriteError {
    fn kind(&self) -> ErrorKind {
        self.cause.kind()
    }

    fn client_message(&self) -> Cow<'static, str> {
        match self.fate {
            Fate::NotSent => self.cause.client_message(),
            Fate::Refused(_) => "the data store did not accept the request".into(),
            Fate::Done(_) | Fate::Unknown => {
                "the data store gave no answer that can be read, so the write may have happened or \
                 not; read the record before you write again"
                    .into()
            }
        }
    }
}
