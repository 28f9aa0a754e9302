//! One worker's calls to a store.

use std::sync::Arc;

use http::HeaderValue;
use http::Method;
use http::Request;
use http::StatusCode;
use http::header;
use tokio::time::timeout;

use crate::policy::Pass;
use crate::protocol::http::StoreHeaders;
use crate::protocol::http::Target;

use super::StoreBody;
use super::StoreResponse;
use super::UpstreamError;
use super::answer;
use super::body::Lease;
use super::connection::Connection;
use super::pipe::Sent;
use super::pool::Pool;
use super::store::Load;
use super::store::Store;

/// What to ask a store. Its types hold only what was normalised and allowed.
#[derive(Clone, Debug)]
pub struct StoreRequest {
    /// GET; a HEAD of the client is asked as GET, so that its answer is known.
    pub method: Method,
    /// The path on the store, without the gateway's prefix, and the query.
    pub target: Target,
    /// The headers that may go.
    pub headers: StoreHeaders,
}

/// One worker's way to a store, with its own pool of connections. Cloning shares the pool.
#[derive(Clone, Debug)]
pub struct Upstream {
    pub(super) store: Arc<Store>,
    pub(super) pool: Arc<Pool>,
}

impl Upstream {
    /// A way to `store` with an empty pool.
    pub fn new(store: Arc<Store>) -> Self {
        let limits = &store.config.limits;
        let pool = Pool::new(store.address_count(), limits.idle_connections, limits.idle_for);
        Self { store, pool }
    }

    /// The store it leads to.
    pub const fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Asks the store under a permit for it, be it for a write: what is written is judged by what is
    /// there, or by the record that it belongs to. A read that fails before its answer begins is asked
    /// once more, of another address where there is one.
    pub async fn fetch(
        &self,
        permit: &impl Pass,
        request: &StoreRequest,
    ) -> Result<StoreResponse, UpstreamError> {
        let store = self.store.config.store.as_str();
        if permit.set().store.as_str() != store || request.method != Method::GET {
            return Err(UpstreamError::Permit);
        }
        self.ask(request).await
    }

    /// How many connections are idle.
    #[cfg(test)]
    pub(super) fn pool_len(&self) -> usize {
        self.pool.len()
    }

    pub(super) async fn ask(&self, request: &StoreRequest) -> Result<StoreResponse, UpstreamError> {
        self.store.metrics.requests.inc();
        let answer = match self.attempt(request, None).await {
            Err((error, tried)) if self.may_retry(&error) => {
                self.store.metrics.retries.inc();
                match self.attempt(request, Some(tried)).await {
                    // Nobody is left to ask: what went wrong before says more.
                    Err((UpstreamError::SetAside { .. }, _)) => Err((error, tried)),
                    second => second,
                }
            }
            first => first,
        };
        answer.map_err(|(error, _)| {
            self.store.metrics.failures.inc();
            error
        })
    }

    /// Sends `request` once. A second time it goes on a new connection, to another address than
    /// `tried` if it can. An error comes with the address that failed.
    async fn attempt(
        &self,
        request: &StoreRequest,
        tried: Option<usize>,
    ) -> Result<StoreResponse, (UpstreamError, usize)> {
        let nobody = |error| (error, usize::MAX);
        let shown = self.store.credentials().authorization().await.map_err(nobody)?;
        let load = self.store.choose(tried).map_err(nobody)?;
        let index = load.address.index;
        match self.send(request, &load, shown.as_deref(), tried.is_some()).await {
            Ok((head, incoming, connection)) => {
                let facts = answer::check(&head).map_err(|fault| {
                    let error = fault.into();
                    load.failed(&error);
                    (error, index)
                })?;
                load.succeeded();
                // Dropped in any case, so that the next call comes with another one.
                let may_differ = head.status == StatusCode::UNAUTHORIZED
                    && self.store.credentials().refused(shown.as_ref());
                if may_differ && tried.is_none() {
                    return Err((UpstreamError::TokenRefused, index));
                }
                let lease = Lease { pool: Arc::clone(&self.pool), connection, load };
                let store = Arc::clone(&self.store);
                Ok(StoreResponse {
                    status: head.status,
                    headers: head.headers,
                    media: facts.media,
                    body: StoreBody::new(store, incoming, facts.coding, lease),
                })
            }
            Err(error) => {
                load.failed(&error);
                Err((error, index))
            }
        }
    }

    async fn send(
        &self,
        request: &StoreRequest,
        load: &Load,
        shown: Option<&HeaderValue>,
        fresh: bool,
    ) -> Result<(http::response::Parts, hyper::body::Incoming, Connection), UpstreamError> {
        let request = self.write(request, &load.address.host, shown)?;
        let mut connection = self.connection(load, fresh).await?;
        let limit = self.store.config.timeouts.first_byte;
        let answer = timeout(limit, connection.send(request))
            .await
            .map_err(|_| UpstreamError::Timeout("the head of an answer"))??;
        let (head, incoming) = answer.into_parts();
        Ok((head, incoming, connection))
    }

    pub(super) async fn connection(
        &self,
        load: &Load,
        fresh: bool,
    ) -> Result<Connection, UpstreamError> {
        while !fresh && let Some(mut connection) = self.pool.take(load.address.index) {
            if connection.is_current(&self.store) && connection.is_usable().await {
                return Ok(connection);
            }
        }
        Connection::open(&self.store, &load.address).await
    }

    pub(super) fn write(
        &self,
        request: &StoreRequest,
        host: &HeaderValue,
        shown: Option<&HeaderValue>,
    ) -> Result<Request<Sent>, UpstreamError> {
        let mut written = Request::builder()
            .method(request.method.clone())
            .uri(request.target.path_and_query())
            .body(Sent::default())
            .map_err(UpstreamError::Request)?;
        let codings = if self.store.config.limits.compression {
            "zstd, br, gzip, deflate"
        } else {
            "identity"
        };
        let headers = written.headers_mut();
        *headers = request.headers.as_map().clone();
        headers.insert(header::HOST, host.clone());
        headers.entry(header::ACCEPT_ENCODING).or_insert_with(|| HeaderValue::from_static(codings));
        if let Some(value) = shown {
            headers.insert(header::AUTHORIZATION, value.clone());
        }
        Ok(written)
    }

    /// Only what is sure not to have begun to answer, and only where another try may differ.
    fn may_retry(&self, error: &UpstreamError) -> bool {
        match error {
            UpstreamError::Broken(_) | UpstreamError::TokenRefused => true,
            UpstreamError::Connect(_) => self.store.address_count() > 1,
            _ => false,
        }
    }
}
