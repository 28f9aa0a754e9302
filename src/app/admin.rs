//! Serving the admin listener: few connections, each with little time.

use std::time::Duration;

use axum::Router;
use http::Request;
use http::Response;
use http::StatusCode;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::rt::TokioTimer;
use hyper_util::service::TowerToHyperService;

use crate::net::Bound;
use crate::net::Connection;
use crate::net::Drain;
use crate::net::Listener;
use crate::net::ListenerSetup;
use crate::net::NetError;
use crate::net::NetMetrics;
use crate::net::Places;

/// A listener for operators, on the runtime this is called in.
pub(super) fn listener(bound: Bound, drain: &Drain) -> Result<Listener, NetError> {
    let setup = ListenerSetup {
        tls: None,
        connections: Places::new(MOST_CONNECTIONS, MOST_CONNECTIONS),
        handshake_timeout: HEADERS,
        drain: drain.clone(),
        metrics: NetMetrics::default(),
    };
    Listener::new(bound, setup)
}

/// Answers one connection until it ends, is idle or has lasted long enough.
pub(super) async fn serve(connection: Connection, pages: Router, drain: Drain) {
    // The slot is given back when the connection is gone.
    let Connection { stream, slot: _slot, .. } = connection;
    let pages = TowerToHyperService::new(pages);
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = pages.call(request);
        async move {
            match tokio::time::timeout(CALL, answer).await {
                Ok(answer) => answer,
                Err(_) => {
                    let mut answer = Response::new(axum::body::Body::empty());
                    *answer.status_mut() = StatusCode::REQUEST_TIMEOUT;
                    Ok(answer)
                }
            }
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        // Runs between calls too: an idle connection ends with it.
        .header_read_timeout(HEADERS)
        .half_close(false)
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        biased;
        _ = connection.as_mut() => return,
        () = drain.started() => {}
        () = tokio::time::sleep(LIFE) => {}
    }
    connection.as_mut().graceful_shutdown();
    // What fails here concerns one operator's connection, who sees it.
    drop(tokio::time::timeout(GRACE, connection).await);
}

/// Open connections at once; more are closed.
const MOST_CONNECTIONS: usize = 64;
/// How long a request's headers may take, and how long a connection may be idle.
const HEADERS: Duration = Duration::from_secs(10);
/// How long a call may take, its body included.
const CALL: Duration = Duration::from_secs(60);
/// How long a connection may last.
const LIFE: Duration = Duration::from_secs(300);
/// How long a connection that was told to close may still take.
const GRACE: Duration = Duration::from_secs(5);
