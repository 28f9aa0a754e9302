//! Entries to a server, a signed POST a batch, after Standard Webhooks 1.0.0
//! (<https://www.standardwebhooks.com>): HMAC-SHA-256 over id, time and body.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::HeaderMap;
use http::HeaderName;
use http::HeaderValue;
use http::Method;
use http::Uri;
use http::header;
use zeroize::Zeroizing;

use super::ExportError;
use super::Format;
use super::Writer;
use super::batch::Batch;
use crate::crypto;
use crate::net;
use crate::net::ClientTls;
use crate::net::Fetch;
use crate::net::NetError;
use crate::net::Question;
use crate::types::Timestamp;

/// A server that takes entries.
#[derive(Debug)]
pub(super) struct Webhook {
    fetch: Fetch,
    secret_file: PathBuf,
    writer: Writer,
    /// What ids begin with: of two gateways that send to one server, each has its own.
    prefix: String,
}

impl Webhook {
    pub(super) fn new(
        name: &str,
        (url, secret_file): (&Uri, &Path),
        ca: Option<&Path>,
        writer: Writer,
    ) -> Result<Self, NetError> {
        let tls = match url.scheme_str() {
            Some("https") => Some(ClientTls::new(ca)?),
            _ => None,
        };
        let log = crypto::sha256(writer.origin().as_bytes());
        let log: String = log.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
        let fetch = Fetch { url: url.clone(), tls, limit_bytes: ANSWER_BYTES, timeout: TIMEOUT };
        let secret_file = secret_file.to_owned();
        Ok(Self { fetch, secret_file, writer, prefix: format!("{log}_{name}") })
    }

    /// Sends a batch; it is taken when the server answers with a status of 2xx.
    pub(super) async fn take(&self, batch: &Batch, now: Timestamp) -> Result<(), ExportError> {
        // The file is small, and read anew so that a new secret needs no restart.
        let secrets = secrets(&self.secret_file)?;
        let body = self.body(batch)?;
        let id = format!("{}_{}_{}", self.prefix, batch.first(), batch.next.saturating_sub(1));
        let headers = headers(&id, now, &body, (self.writer.format(), &secrets));
        let question = Question { method: Method::POST, headers, body: Bytes::from(body) };
        let (status, _) = net::ask(&self.fetch, question).await?;
        if status.is_success() { Ok(()) } else { Err(ExportError::Status(status.as_u16())) }
    }

    /// A JSON object a line, or an array of events.
    fn body(&self, batch: &Batch) -> Result<Vec<u8>, ExportError> {
        let is_array = self.writer.format() == Format::Ocsf;
        let mut body = Vec::new();
        for (index, entry) in &batch.entries {
            if is_array {
                body.push(if body.is_empty() { b'[' } else { b',' });
            }
            let damaged = |_| ExportError::Damaged { index: *index };
            self.writer.object(*index, entry, &mut body).map_err(damaged)?;
            if !is_array {
                body.push(b'\n');
            }
        }
        if is_array {
            body.push(b']');
        }
        Ok(body)
    }
}

fn headers(
    id: &str,
    now: Timestamp,
    body: &[u8],
    (format, secrets): (Format, &[Zeroizing<Vec<u8>>]),
) -> HeaderMap {
    let time = now.unix_s().to_string();
    let signed = [id.as_bytes(), b".", time.as_bytes(), b".", body].concat();
    let signatures: Vec<String> = secrets
        .iter()
        .map(|secret| format!("v1,{}", STANDARD.encode(crypto::hmac_sha256(secret, &signed))))
        .collect();
    let content = if format == Format::Ocsf { "application/json" } else { "application/x-ndjson" };
    let texts = [
        (HeaderName::from_static("webhook-id"), id),
        (HeaderName::from_static("webhook-timestamp"), time.as_str()),
        (HeaderName::from_static("webhook-signature"), &signatures.join(" ")),
        (header::CONTENT_TYPE, content),
    ];
    let value = |text: &str| HeaderValue::from_str(text).ok();
    texts.into_iter().filter_map(|(name, text)| Some((name, value(text)?))).collect()
}

/// Reads the secrets of a file, one a line: `whsec_` and base64. With two of them a server can
/// change from one to the other at its own time.
pub(super) fn secrets(path: &Path) -> Result<Vec<Zeroizing<Vec<u8>>>, ExportError> {
    let text = net::read_secret(path, SECRET_FILE_BYTES)?;
    let text = std::str::from_utf8(&text).map_err(|_| ExportError::Secret)?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let found: Option<Vec<_>> = lines.map(secret).collect();
    found.filter(|found| (1..=MAX_SECRETS).contains(&found.len())).ok_or(ExportError::Secret)
}

fn secret(line: &str) -> Option<Zeroizing<Vec<u8>>> {
    let bytes = Zeroizing::new(STANDARD.decode(line.strip_prefix("whsec_")?).ok()?);
    (24..=64).contains(&bytes.len()).then_some(bytes)
}

const TIMEOUT: Duration = Duration::from_secs(30);
/// What a server says beside its status is not looked at.
const ANSWER_BYTES: usize = 64 << 10;
const SECRET_FILE_BYTES: u64 = 4096;
const MAX_SECRETS: usize = 2;
