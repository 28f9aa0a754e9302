//! A caller of the gateway: one call, the answer whole.

use std::net::SocketAddr;

use bytes::Bytes;
use http::request::Builder;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// The gateway did not answer, or not with JSON.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The answer is not JSON, or longer than a demo's answer can be.
    #[error("the answer of the gateway cannot be read: {0}")]
    Answer(String),
    /// No connection, or it broke.
    #[error("cannot reach the gateway: {0}")]
    Connect(String),
}

/// Gets `path` from the gateway with a token, and gives status and JSON.
pub(super) async fn get(
    gateway: SocketAddr,
    path: &str,
    token: &str,
    purpose: &str,
) -> Result<(StatusCode, Value), CallError> {
    let request = Request::get(path).header("privet-purpose", purpose);
    send(gateway, token, request, Bytes::new()).await
}

/// Sends JSON to a path of the admin listener with an operator's token.
pub(super) async fn post(
    admin: SocketAddr,
    path: &str,
    token: &str,
    body: &Value,
) -> Result<(StatusCode, Value), CallError> {
    let request = Request::post(path).header("content-type", "application/json");
    send(admin, token, request, Bytes::from(body.to_string())).await
}

async fn send(
    to: SocketAddr,
    token: &str,
    request: Builder,
    body: Bytes,
) -> Result<(StatusCode, Value), CallError> {
    let connect = |e: &dyn std::error::Error| CallError::Connect(e.to_string());
    let stream = TcpStream::connect(to).await.map_err(|e| connect(&e))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|e| connect(&e))?;
    let driver = tokio::spawn(connection);
    let request = request
        .header("host", to.to_string())
        .header("authorization", format!("Bearer {token}"))
        .body(Full::new(body))
        .map_err(|e| connect(&e))?;
    let answer = sender.send_request(request).await.map_err(|e| connect(&e))?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), LONGEST)
        .collect()
        .await
        .map_err(|e| CallError::Answer(e.to_string()))?
        .to_bytes();
    driver.abort();
    let value = serde_json::from_slice(&body).map_err(|e| CallError::Answer(e.to_string()))?;
    Ok((status, value))
}

const LONGEST: usize = 1 << 20;
