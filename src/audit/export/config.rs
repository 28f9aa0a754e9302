//! What an export needs to know before it starts.

use std::path::PathBuf;

use http::Uri;

use crate::net::ClientIdentity;

use super::Format;

/// One `[[audit.export]]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ExportConfig {
    /// Its name: of its place on the disk, and in metrics. See [`ExportConfig::is_name`].
    pub name: String,
    /// How an entry is written.
    pub format: Format,
    /// Where entries go.
    pub to: Receiver,
}

/// Where entries go.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Receiver {
    /// Files in a folder.
    File {
        /// The folder; made when it does not exist.
        dir: PathBuf,
        /// As many bytes end a file.
        rotate_bytes: u64,
    },
    /// A server that takes batches over HTTPS.
    Webhook {
        /// Where they are sent; `http` on this machine alone.
        url: Uri,
        /// The file with the secret that signs them.
        secret_file: PathBuf,
        /// Whom to believe, other than the system's authorities.
        ca: Option<PathBuf>,
    },
    /// A syslog server under TLS (RFC 5425).
    Syslog {
        /// A name or an address.
        host: String,
        /// Its port.
        port: u16,
        /// Whom to believe, other than the system's authorities.
        ca: Option<PathBuf>,
        /// The certificate to show.
        identity: Option<ClientIdentity>,
        /// What counts as taken.
        confirm: Confirm,
    },
}

/// What tells that a syslog server has taken a batch: the protocol has no answer of its own.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Confirm {
    /// Its `close_notify` in answer to ours (RFC 5425 4.4): nobody on the way can forge it.
    #[default]
    Tls,
    /// The end of its connection after ours. For servers that never say `close_notify`.
    Tcp,
}

impl Confirm {
    /// Reads the word used in configuration.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "tls" => Some(Self::Tls),
            "tcp" => Some(Self::Tcp),
            _ => None,
        }
    }
}

impl ExportConfig {
    /// Whether a text can be the name of an export: 1 to 32 of a-z, 0-9 and `-`.
    pub fn is_name(text: &str) -> bool {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        (1..=32).contains(&text.len()) && text.bytes().all(fits)
    }
}
