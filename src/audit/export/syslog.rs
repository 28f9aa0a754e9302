//! Entries to a syslog server: RFC 5424 messages, counted in octets, under TLS (RFC 5425).
//!
//! Syslog has no answers. What was written may still sit in a buffer when the server dies, so a
//! batch has a connection of its own, which we close first: a server that says `close_notify` in
//! turn has read everything before ours (RFC 5425 4.4, RFC 8446 6.1).

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::io::AsyncWriteExt;

use super::Confirm;
use super::ExportError;
use super::Writer;
use super::batch::Batch;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::net;
use crate::net::Target;

/// A syslog server.
#[derive(Debug)]
pub(super) struct Syslog {
    pub(super) target: Target,
    pub(super) confirm: Confirm,
    pub(super) writer: Writer,
}

impl Syslog {
    /// Sends a batch, and waits until the server has confirmed the end of the connection.
    pub(super) async fn take(&self, batch: &Batch) -> Result<(), ExportError> {
        let frames = self.frames(batch)?;
        let send = self.send(&frames);
        let late = ExportError::Unconfirmed("it took too long");
        tokio::time::timeout(TIMEOUT, send).await.unwrap_or(Err(late))
    }

    async fn send(&self, frames: &[u8]) -> Result<(), ExportError> {
        let mut stream = net::connect(&self.target, TIMEOUT).await?;
        stream.write_all(frames).await.map_err(ExportError::Broken)?;
        stream.shutdown().await.map_err(ExportError::Broken)?;
        let mut byte = [0; 64];
        match stream.read(&mut byte).await {
            Ok(0) => Ok(()),
            Ok(_) => Err(ExportError::Unconfirmed("it sent something else")),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => match self.confirm {
                Confirm::Tcp => Ok(()),
                Confirm::Tls => Err(ExportError::Unconfirmed("it ended without `close_notify`")),
            },
            Err(error) => Err(ExportError::Broken(error)),
        }
    }

    /// Each message with its length before it (RFC 5425 4.3).
    fn frames(&self, batch: &Batch) -> Result<Vec<u8>, ExportError> {
        let mut frames = Vec::new();
        let mut message = Vec::new();
        for (index, entry) in &batch.entries {
            message.clear();
            message.extend_from_slice(header(entry).as_bytes());
            let damaged = |_| ExportError::Damaged { index: *index };
            self.writer.object(*index, entry, &mut message).map_err(damaged)?;
            frames.extend_from_slice(format!("{} ", message.len()).as_bytes());
            frames.extend_from_slice(&message);
        }
        Ok(frames)
    }
}

/// The head of a message (RFC 5424 6.2), without structured data.
fn header(entry: &Entry) -> String {
    let severity = match entry.kind {
        Kind::Alert | Kind::Refusal => WARNING,
        _ => NOTICE,
    };
    let host = printable(&entry.node, 255);
    let priority = LOG_AUDIT * 8 + severity;
    format!("<{priority}>1 {} {host} privet - {} - ", entry.time, entry.kind.as_str())
}

/// A word of a head: printable ASCII without spaces, never empty.
fn printable(text: &str, most: usize) -> String {
    let kept: String = text.chars().filter(char::is_ascii_graphic).take(most).collect();
    if kept.is_empty() { "-".to_owned() } else { kept }
}

/// "log audit" (RFC 5424, table 1).
const LOG_AUDIT: u8 = 13;
const WARNING: u8 = 4;
const NOTICE: u8 = 5;

/// For one batch, from the look-up of the name to the confirmation.
const TIMEOUT: Duration = Duration::from_secs(30);
