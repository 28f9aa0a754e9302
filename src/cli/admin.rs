//! Calls to the admin listener of the running gateway.

use std::net::SocketAddr;
use std::path::Path;
use std::path::PathBuf;

use bytes::Bytes;
use http::Request;
use http::Response;
use http::StatusCode;
use http::request::Builder;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::app::Loaded;
use crate::net::read_secret;

use super::args::AdminArgs;
use super::check;
use super::exit::{Exit, Failure, data};
use super::serve;

/// Sends `body` to `path` with the operator's token, and gives the answer.
pub(super) fn post(at: &AdminArgs, path: &str, body: &Value) -> Result<Value, Failure> {
    Caller::new(at)?.post(path, body)
}

/// An operator at the command line, who may call several times.
pub(super) struct Caller {
    address: SocketAddr,
    token: String,
    totp: Option<String>,
}

impl Caller {
    /// Reads where the gateway is and the operator's token.
    pub(super) fn new(at: &AdminArgs) -> Result<Self, Failure> {
        let loaded = check::load(&at.config.config)?;
        Ok(Self { address: address(&loaded)?, token: token(at)?, totp: at.totp.clone() })
    }

    /// Sends `body` to `path` and gives the answer.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Value, Failure> {
        let mut request = Request::post(path).header("content-type", "application/json");
        if let Some(code) = &self.totp {
            request = request.header("privet-totp", code);
        }
        let (status, value) = self.send(request, body.to_string())?;
        if status.is_success() { Ok(value) } else { Err(refused(status, &value)) }
    }

    /// Asks for `path`.
    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        let (status, value) = self.send(Request::get(path), String::new())?;
        if status.is_success() { Ok(value) } else { Err(refused(status, &value)) }
    }

    /// Asks for `path`, which may not be there.
    pub(super) fn find(&self, path: &str) -> Result<Option<Value>, Failure> {
        let (status, value) = self.send(Request::get(path), String::new())?;
        match status {
            StatusCode::NOT_FOUND => Ok(None),
            status if status.is_success() => Ok(Some(value)),
            status => Err(refused(status, &value)),
        }
    }

    /// Sends a request and gives the answer as text, with its headers.
    pub(super) fn text(&self, request: Builder, body: String) -> Result<Response<String>, Failure> {
        let answer = self.answer(request, body)?;
        if !answer.status().is_success() {
            let problem = serde_json::from_slice(answer.body()).unwrap_or_default();
            return Err(refused(answer.status(), &problem));
        }
        let (head, body) = answer.into_parts();
        Ok(Response::from_parts(head, String::from_utf8_lossy(&body).into_owned()))
    }

    fn send(&self, request: Builder, body: String) -> Result<(StatusCode, Value), Failure> {
        let answer = self.answer(request, body)?;
        Ok((answer.status(), serde_json::from_slice(answer.body()).unwrap_or_default()))
    }

    fn answer(&self, request: Builder, body: String) -> Result<Response<Bytes>, Failure> {
        let request = request
            .header("host", self.address.to_string())
            .header("authorization", format!("Bearer {}", self.token))
            .body(Full::new(Bytes::from(body)))
            .map_err(|e| Failure::new(Exit::Failed, e))?;
        ask(self.address, request)
    }
}

fn refused(status: StatusCode, problem: &Value) -> Failure {
    let detail = problem.get("detail").and_then(Value::as_str).unwrap_or("no reason was given");
    Failure::new(Exit::Failed, format_args!("the gateway refused ({status}): {detail}"))
}

/// Asks the running gateway whether protected data may leave.
pub(super) fn ready(config: &Path) -> Result<(), Failure> {
    let loaded = check::load(config)?;
    let address = address(&loaded)?;
    let request = Request::get("/readyz?verbose")
        .header("host", address.to_string())
        .body(Full::new(Bytes::new()))
        .map_err(|e| Failure::new(Exit::Failed, e))?;
    let answer = ask(address, request)?;
    data(&String::from_utf8_lossy(answer.body()))?;
    if answer.status().is_success() {
        return Ok(());
    }
    Err(Failure::new(Exit::Failed, "the gateway is not ready"))
}

fn address(loaded: &Loaded) -> Result<SocketAddr, Failure> {
    let first = loaded.config.admin.listen.first().copied();
    first.ok_or_else(|| Failure::new(Exit::Config, "`[admin]` lists no address"))
}

/// Sends one request to the admin listener and reads its whole answer.
fn ask(address: SocketAddr, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, Failure> {
    serve::block_on(async {
        let stream = TcpStream::connect(address).await.map_err(|e| {
            let help = "is `privet serve` running with this configuration?";
            Failure::new(
                Exit::Failed,
                format_args!("cannot reach the gateway at {address}: {e}; {help}"),
            )
        })?;
        let broken = |e: &dyn std::error::Error| Failure::caused(Exit::Failed, e);
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
            .await
            .map_err(|e| broken(&e))?;
        let driver = tokio::spawn(connection);
        let answer = sender.send_request(request).await.map_err(|e| broken(&e))?;
        let (head, body) = answer.into_parts();
        let body = Limited::new(body, LONGEST_ANSWER).collect().await.map_err(|e| broken(&*e))?;
        driver.abort();
        Ok(Response::from_parts(head, body.to_bytes()))
    })
}

fn token(at: &AdminArgs) -> Result<String, Failure> {
    let beside = at.config.config.parent().map_or_else(PathBuf::new, PathBuf::from);
    let path = at.token_file.clone().unwrap_or_else(|| beside.join("operator.token"));
    let bytes = read_secret(&path, 4096).map_err(|e| Failure::caused(Exit::Failed, &e))?;
    // `privet operator add --totp` prints a second line, which is for an authenticator app.
    let first = std::str::from_utf8(&bytes).unwrap_or_default().lines().next().unwrap_or_default();
    Ok(first.trim().to_owned())
}

/// The longest answer: a page of the audit log.
const LONGEST_ANSWER: usize = 16 << 20;
