//! What a gateway is started with, and why it does not start.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use crate::api::OperatorsError;
use crate::audit::AuditError;
use crate::authn::AuthnError;
use crate::clock::EntropyError;
use crate::keys::KeysError;
use crate::net::NetError;
use crate::proxy::ProxyError;
use crate::state::StateError;
use crate::subjects::ApprovalError;
use crate::subjects::SubjectsError;
use crate::types::told;
use crate::upstream::UpstreamError;

use super::files::ReadError;
use super::load::LoadError;
use super::witness::HistoryError;

/// Where the gateway listens, with the ports that were picked.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The first gateway listener.
    pub gateway: SocketAddr,
    /// The first admin listener.
    pub admin: SocketAddr,
}

/// What the keys and issuers of a configuration are good for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Trust {
    /// Made-up people: public keys will do.
    Demo,
    /// Real people: a demo's root key is refused.
    Real,
}

/// The gateway did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The approvals.
    #[error(transparent)]
    Approvals(#[from] ApprovalError),
    /// The log.
    #[error("the audit log cannot be opened")]
    Audit(#[source] AuditError),
    /// The log's key.
    #[error("the audit log's key cannot be used: {0}")]
    AuditKey(String),
    /// The issuers.
    #[error("no issuer can be used: {}", .0.iter().map(|e| told(e)).collect::<Vec<_>>().join("; "))]
    Authn(Vec<AuthnError>),
    /// Another process has the state, the keys or the log.
    #[error("another privet runs on this folder: stop it, or use another folder")]
    Busy,
    /// The root key is a demo's, which everybody can open.
    #[error(
        "the root key opens with the demo's passphrase, which is public; \
         make a configuration of your own with `privet init DIR`"
    )]
    DemoKey,
    /// The development issuer beyond loopback.
    #[error(
        "the development issuer signs for everybody who can read its key, and the gateway listens \
         on {0}; remove that [[issuer]] from privet.toml, or listen on 127.0.0.1"
    )]
    DevIssuer(SocketAddr),
    /// A folder of the state.
    #[error("cannot make `{path}`")]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The log and the state do not fit each other.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// No name for the worker of jobs.
    #[error("jobs cannot be run")]
    Jobs(#[source] EntropyError),
    /// The keys.
    #[error("the keys cannot be opened")]
    Keys(#[source] KeysError),
    /// The configuration.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A listener.
    #[error(transparent)]
    Net(#[from] NetError),
    /// A socket that was handed over shows plain HTTP to the network.
    #[error(
        "plain HTTP on the {0} socket that was handed over, `{1}`, which is not this machine alone; \
         add `tls` to [gateway], and let operators come to 127.0.0.1"
    )]
    Open(&'static str, SocketAddr),
    /// A port.
    #[error("no port for {section}")]
    Listen {
        /// Whose `listen` names it.
        section: &'static str,
        /// What the system said.
        #[source]
        source: NetError,
    },
    /// Nowhere to listen.
    #[error("`{0}` lists no address; write listen = [\"127.0.0.1:…\"]")]
    NoListener(&'static str),
    /// The operators file.
    #[error("the operators file `{path}` cannot be used")]
    Operators {
        /// Which.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        source: OperatorsError,
    },
    /// The traffic side.
    #[error("the gateway cannot serve this policy")]
    Proxy(#[from] ProxyError),
    /// A file.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The state.
    #[error("the state cannot be opened")]
    State(#[source] StateError),
    /// The cards, and the erasures they have forgotten.
    #[error("the cards cannot be compared with the ledger of tombstones")]
    Subjects(#[from] SubjectsError),
    /// The policy's own tests fail.
    #[error("the policy's tests fail:\n{0}")]
    Tests(String),
    /// A thread could not be started.
    #[error("a worker cannot start")]
    Thread(#[source] io::Error),
    /// A store.
    #[error("a store cannot be used")]
    Upstream(#[from] UpstreamError),
}

impl From<AuditError> for StartError {
    fn from(error: AuditError) -> Self {
        if matches!(error, AuditError::InUse { .. }) { Self::Busy } else { Self::Audit(error) }
    }
}

impl From<KeysError> for StartError {
    fn from(error: KeysError) -> Self {
        match error {
            KeysError::State(StateError::Locked { .. }) => Self::Busy,
            error => Self::Keys(error),
        }
    }
}

impl From<StateError> for StartError {
    fn from(error: StateError) -> Self {
        if matches!(error, StateError::Locked { .. }) { Self::Busy } else { Self::State(error) }
    }
}
