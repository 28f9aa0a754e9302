//! What can go wrong with a socket or its files.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// A socket, certificate or fetch failed. `Display` is for the operator and says what would help.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A certificate file holds something that is not a usable certificate chain.
    #[error("`{}` cannot be used: {what}", path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what would help.
        what: String,
    },
    /// No connection to `host` within the time allowed, or none at all.
    #[error("cannot connect to `{host}`")]
    Connect {
        /// The host as configured.
        host: Box<str>,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The answer to a fetch is not what was asked for.
    #[error("`{host}` answered with something unusable: {what}")]
    Fetch {
        /// The host as configured.
        host: Box<str>,
        /// What is wrong with the answer.
        what: String,
    },
    /// A TLS handshake failed.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
    /// A socket that was handed over cannot be used.
    #[error("the socket `{name}` that was handed over cannot be used")]
    Inherited {
        /// Its name.
        name: Box<str>,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A socket was handed over under a name that says nothing.
    #[error(
        "a socket was handed over under the name `{name}`; \
         write FileDescriptorName=gateway (or admin) into its systemd socket unit"
    )]
    SocketName {
        /// The name in `LISTEN_FDNAMES`.
        name: Box<str>,
    },
    /// A private file can be read by others.
    #[error("`{}` can be read by others (mode {mode:04o}); run: chmod 600 {}", path.display(), path.display())]
    Readable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// A file cannot be read.
    #[error("cannot read `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It took longer than the limit.
    #[error("{what} took longer than {limit_ms} ms")]
    Timeout {
        /// What did.
        what: &'static str,
        /// The limit.
        limit_ms: u128,
    },
    /// A file is larger than anything of its kind.
    #[error("`{}` is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// A file or folder belongs to somebody who is neither this gateway's user nor root.
    #[error("`{}` belongs to user {owner}; run: chown {us} {}", path.display(), path.display())]
    Owner {
        /// The file.
        path: PathBuf,
        /// Whose it is.
        owner: u32,
        /// Whose it should be.
        us: u32,
    },
    /// A file or folder can be changed by everybody.
    #[error("`{}` can be written by everybody (mode {mode:04o}); run: chmod o-w {}", path.display(), path.display())]
    Writable {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The text is not an address this gateway connects to.
    #[error("`{text}` is not usable as a URL: {what}")]
    Url {
        /// The text as configured.
        text: Box<str>,
        /// What is wrong with it.
        what: &'static str,
    },
}
