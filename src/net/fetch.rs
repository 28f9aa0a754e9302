//! One small document over HTTPS: no redirects, a size limit, one deadline.

use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::StatusCode;
use http::Uri;
use http::header;
use http_body_util::BodyExt;
use http_body_util::Empty;
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
    /// The document; `https` only.
    pub url: Uri,
    /// Whom to believe.
    pub tls: ClientTls,
    /// The largest document to accept.
    pub limit_bytes: usize,
    /// How long everything may take.
    pub timeout: Duration,
}

/// Fetches a document. Any status but 200 is an error: a redirect could lead anywhere.
pub async fn https_get(fetch: &Fetch) -> Result<Bytes, NetError> {
    if fetch.url.scheme_str() != Some("https") {
        let text = fetch.url.to_string().into();
        return Err(NetError::Url { text, what: "it does not start with `https://`" });
    }
    let target = Target::from_uri(&fetch.url, Some(&fetch.tls))?;
    tokio::time::timeout(fetch.timeout, get(fetch, &target)).await.map_err(|_| {
        NetError::Timeout { what: "fetching a document", limit_ms: fetch.timeout.as_millis() }
    })?
}

async fn get(fetch: &Fetch, target: &Target) -> Result<Bytes, NetError> {
    let failed = |what: String| NetError::Fetch { host: target.host.clone(), what };
    let stream = connect(target, fetch.timeout).await?;
    let (mut sender, connection) =
        http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(error.to_string()))?;
    let authority = fetch.url.authority().map_or("", http::uri::Authority::as_str);
    let path = fetch.url.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let request = Request::get(path)
        .header(header::HOST, authority)
        .header(header::ACCEPT, "application/json")
        .header(header::CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .map_err(|error| failed(error.to_string()))?;
    let answer = async {
        let answer = sender.send_request(request).await.map_err(|e| failed(e.to_string()))?;
        if answer.status() != StatusCode::OK {
            return Err(failed(format!("status {}", answer.status().as_u16())));
        }
        let body = Limited::new(answer.into_body(), fetch.limit_bytes);
        let body = body.collect().await.map_err(|error| failed(error.to_string()))?;
        Ok(body.to_bytes())
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
