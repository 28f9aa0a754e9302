//! One small exchange over HTTPS: no redirects followed, a size limit, one deadline.

use std::net::IpAddr;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::Request;
use http::StatusCode;
use http::Uri;
use http::header;
use http::request::Builder;
use http_body_util::BodyExt;
use http_body_util::Full;
use http_body_util::Limited;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::ClientTls;
use super::NetError;
use super::Target;
use super::connect;

/// What to fetch.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// The document; `https`, and where it is said also `http` on this machine.
    pub url: Uri,
    /// Whom to believe; without, nothing but this machine in the clear.
    pub tls: Option<ClientTls>,
    /// The largest answer to accept.
    pub limit_bytes: usize,
    /// How long everything may take.
    pub timeout: Duration,
}

/// A form to send, with the credentials that go with it.
#[derive(Debug)]
pub struct Form {
    /// Who sends it: the value of `Authorization`.
    pub authorization: HeaderValue,
    /// The fields, form-encoded.
    pub body: String,
}

/// A question whose answer means something under any status.
#[derive(Debug)]
pub struct Question {
    /// GET, POST, DELETE …
    pub method: Method,
    /// Headers besides those of the exchange itself; mark secret values as sensitive.
    pub headers: HeaderMap,
    /// JSON; empty where there is none.
    pub body: Bytes,
}

/// Asks and gives status and body, whatever the status is. A redirect is an answer like any
/// other: it is not followed. In the clear only to this machine itself.
pub async fn ask(fetch: &Fetch, question: Question) -> Result<(StatusCode, Bytes), NetError> {
    require_safe(fetch)?;
    let Question { method, headers, body } = question;
    let builder = request(Request::builder().method(method).uri(path(&fetch.url)), fetch);
    let builder = match body.is_empty() {
        true => builder,
        false => builder.header(header::CONTENT_TYPE, "application/json"),
    };
    let request = builder.body(Full::from(body)).map(|mut request| {
        request.headers_mut().extend(headers);
        request
    });
    exchange(fetch, request, "asking", Answers::All).await
}

/// Fetches a document. Any status but 200 is an error: a redirect could lead anywhere.
pub async fn https_get(fetch: &Fetch) -> Result<Bytes, NetError> {
    if fetch.url.scheme_str() != Some("https") {
        return Err(not_safe(&fetch.url, "it does not start with `https://`"));
    }
    let request = request(Request::get(path(&fetch.url)), fetch).body(Full::default());
    Ok(exchange(fetch, request, "fetching a document", Answers::Ok).await?.1)
}

/// Sends a form and gives the answer, which must have the status 200. In the clear only to this
/// machine itself.
pub async fn post_form(fetch: &Fetch, form: Form) -> Result<Bytes, NetError> {
    require_safe(fetch)?;
    let request = request(Request::post(path(&fetch.url)), fetch)
        .header(header::AUTHORIZATION, form.authorization)
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(Full::from(form.body));
    Ok(exchange(fetch, request, "sending a form", Answers::Ok).await?.1)
}

/// Sends a document and gives the answer, under the same conditions as [`post_form`].
pub async fn post(fetch: &Fetch, content: HeaderValue, body: Bytes) -> Result<Bytes, NetError> {
    require_safe(fetch)?;
    let request = request(Request::post(path(&fetch.url)), fetch)
        .header(header::CONTENT_TYPE, content)
        .body(Full::from(body));
    Ok(exchange(fetch, request, "sending a document", Answers::Ok).await?.1)
}

/// Which answers are read.
#[derive(Clone, Copy, Eq, PartialEq)]
enum Answers {
    /// Those with the status 200.
    Ok,
    /// Whatever their status.
    All,
}

fn require_safe(fetch: &Fetch) -> Result<(), NetError> {
    let host = fetch.url.host().unwrap_or_default();
    if fetch.url.scheme_str() == Some("https") || is_this_machine(host) {
        return Ok(());
    }
    Err(not_safe(&fetch.url, "in the clear only an address of this machine will do"))
}

/// Whether a host of a URL is this machine, by address or by the name `localhost`.
pub fn is_this_machine(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

fn not_safe(url: &Uri, what: &'static str) -> NetError {
    NetError::Url { text: url.to_string().into(), what }
}

fn path(url: &Uri) -> &str {
    url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
}

fn request(builder: Builder, fetch: &Fetch) -> Builder {
    let authority = fetch.url.authority().map_or("", http::uri::Authority::as_str);
    builder
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/json")
        .header(header::CONNECTION, "close")
}

async fn exchange(
    fetch: &Fetch,
    request: Result<Request<Full<Bytes>>, http::Error>,
    what: &'static str,
    answers: Answers,
) -> Result<(StatusCode, Bytes), NetError> {
    let target = Target::from_uri(&fetch.url, fetch.tls.as_ref())?;
    let request = request.map_err(|error| failed(&target, error.to_string()))?;
    tokio::time::timeout(fetch.timeout, send(fetch, &target, request, answers))
        .await
        .map_err(|_| NetError::Timeout { what, limit_ms: fetch.timeout.as_millis() })?
}

fn failed(target: &Target, what: String) -> NetError {
    NetError::Fetch { host: target.host.clone(), what }
}

async fn send(
    fetch: &Fetch,
    target: &Target,
    request: Request<Full<Bytes>>,
    answers: Answers,
) -> Result<(StatusCode, Bytes), NetError> {
    let failed = |what: String| failed(target, what);
    let stream = connect(target, fetch.timeout).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(error.to_string()))?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(|e| failed(e.to_string()))?;
        let status = answer.status();
        if answers == Answers::Ok && status != StatusCode::OK {
            return Err(failed(format!("status {}", status.as_u16())));
        }
        let body = Limited::new(answer.into_body(), fetch.limit_bytes);
        let body = body.collect().await.map_err(|error| failed(error.to_string()))?;
        Ok((status, body.to_bytes()))
    };
    // The connection is driven here rather than in a task, so that it ends with the fetch.
    tokio::pin!(connection);
    tokio::pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => answer,
        ended = &mut connection => match ended {
            // What was received before the end may still be read.
            Ok(()) => answer.await,
            Err(error) => Err(failed(error.to_string())),
        },
    }
}
