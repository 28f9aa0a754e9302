//! One HTTP/1.1 connection to a store.

use http::Request;
use http::Response;
use http::header;
use hyper::body::Incoming;
use hyper::client::conn::http1;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::net;
use crate::types::told;

use super::AnswerFault;
use super::HealthCheck;
use super::Store;
use super::UpstreamError;
use super::pipe::Sent;
use super::store::Address;

/// The most header lines of an answer.
const MAX_HEADERS: usize = 100;
/// The smallest read buffer the HTTP library allows.
const MIN_BUFFER: usize = 8 * 1024;

/// A connection that one call uses at a time.
#[derive(Debug)]
pub(super) struct Connection {
    sender: http1::SendRequest<Sent>,
    /// Which of the store's certificates it was made with.
    generation: u64,
    driver: AbortHandle,
}

impl Connection {
    pub(super) async fn open(store: &Store, address: &Address) -> Result<Self, UpstreamError> {
        let limit = store.config.timeouts.connect;
        // Asked first: credentials that change meanwhile make the connection one of before.
        let generation = store.credentials().generation();
        let stream =
            net::connect(&store.target(address), limit).await.map_err(UpstreamError::Connect)?;
        store.metrics.connections.inc();
        let head = store.config.limits.head_bytes;
        let (sender, connection) = http1::Builder::new()
            .max_headers(MAX_HEADERS)
            .max_header_size(head)
            .max_buf_size(head.max(MIN_BUFFER) * 2)
            .handshake(hyper_util::rt::TokioIo::new(stream))
            .await
            .map_err(UpstreamError::Broken)?;
        // Its failure is seen by the call that uses it; an idle one just leaves the pool.
        let driver = tokio::spawn(async move { drop(connection.await) }).abort_handle();
        Ok(Self { sender, generation, driver })
    }

    /// Whether the connection can take a request; waits for the end of the last one.
    pub(super) async fn is_usable(&mut self) -> bool {
        !self.sender.is_closed() && self.sender.ready().await.is_ok()
    }

    /// Whether it was made with the certificates that `store` uses now.
    pub(super) fn is_current(&self, store: &Store) -> bool {
        self.generation == store.credentials().generation()
    }

    /// Ends the connection with what is returned, whatever it is doing, unless it is kept.
    pub(super) fn cut_unless_kept(&self) -> Cut {
        Cut(Some(self.driver.clone()))
    }

    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    pub(super) async fn send(
        &mut self,
        request: Request<Sent>,
    ) -> Result<Response<Incoming>, UpstreamError> {
        self.sender.send_request(request).await.map_err(|error| {
            if error.is_parse() { AnswerFault::Head.into() } else { UpstreamError::Broken(error) }
        })
    }
}

impl Connection {
    /// Sends a request that must not be sent twice. An error comes with the request when no byte
    /// of it was written.
    pub(super) async fn send_once(
        &mut self,
        request: Request<Sent>,
    ) -> Result<Response<Incoming>, (UpstreamError, Option<Request<Sent>>)> {
        self.sender.try_send_request(request).await.map_err(|mut failed| {
            let unsent = failed.take_message();
            let error = failed.into_error();
            if error.is_parse() {
                (AnswerFault::Head.into(), None)
            } else {
                (UpstreamError::Broken(error), unsent)
            }
        })
    }
}

/// Ends a connection when dropped.
#[derive(Debug)]
pub(super) struct Cut(Option<AbortHandle>);

impl Cut {
    /// Lets the connection go on.
    pub(super) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Cut {
    fn drop(&mut self) {
        if let Some(driver) = &self.0 {
            driver.abort();
        }
    }
}

/// Asks whether `address` answers its health check below 400 in time, and says why not. Reads
/// nothing but the status, so it needs no permit.
pub(super) async fn probe(
    store: &Store,
    address: &Address,
    check: &HealthCheck,
) -> Result<(), String> {
    let answered = async {
        let mut request = Request::get(check.path.as_str()).header(header::HOST, &address.host);
        if let Some(value) = store.credentials().authorization().await? {
            request = request.header(header::AUTHORIZATION, value.as_ref());
        }
        let request = request.body(Sent::default()).map_err(UpstreamError::Request)?;
        let answer = Connection::open(store, address).await?.send(request).await?;
        Ok::<_, UpstreamError>(answer.status())
    };
    match timeout(store.config.timeouts.first_byte, answered).await {
        Ok(Ok(status)) if status.as_u16() < 400 => Ok(()),
        Ok(Ok(status)) => Err(format!("its health check is answered with {}", status.as_u16())),
        Ok(Err(error)) => Err(told(&error)),
        Err(_) => Err("its health check takes too long".to_owned()),
    }
}
