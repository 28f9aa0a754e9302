//! What can go wrong between the gateway and a store.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::net::NetError;
use crate::protocol::http::CodingError;
use crate::protocol::http::MediaError;
use crate::types::ClientError;
use crate::types::ErrorKind;

/// Why a call to a store gave nothing, or not all.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// The answer breaks a rule of HTTP or of this gateway.
    #[error("the store's answer is refused")]
    Answer(#[source] AnswerFault),
    /// As many calls as allowed are under way.
    #[error("the store has as many calls under way as allowed")]
    Busy,
    /// The connection broke before the head of an answer.
    #[error("the connection to the store broke")]
    Broken(#[source] hyper::Error),
    /// The store cannot be connected to.
    #[error("the store cannot be reached")]
    Connect(#[source] NetError),
    /// A file of the credentials cannot be read.
    #[error("the store's credentials cannot be used")]
    Credentials(#[source] NetError),
    /// The file holds nothing that can be sent.
    #[error("the store's file of credentials holds no token or secret")]
    CredentialsEmpty,
    /// The body broke off.
    #[error("the store's answer broke off")]
    Interrupted(#[source] hyper::Error),
    /// The body was read on after it had failed.
    #[error("the store's answer had failed before")]
    Over,
    /// The permit is not for this call.
    #[error("the permit is not for this store and method")]
    Permit,
    /// The request cannot be written as HTTP.
    #[error("the request cannot be written")]
    Request(#[source] http::Error),
    /// A body is of another length than was said.
    #[error("the body of a request is not as long as its head says")]
    Short,
    /// Every address is set aside after failures, or fails its health check.
    #[error("every address of the store is set aside; the next try is in {} ms", back_in.as_millis())]
    SetAside {
        /// When one of them is tried again.
        back_in: Duration,
    },
    /// The token service gave no token for the store.
    #[error("no access token for the store: {why}")]
    Token {
        /// What went wrong, without any word of the service's answer.
        why: Arc<str>,
        /// When it is asked again.
        back_in: Duration,
    },
    /// The store did not believe the access token.
    #[error("the store refused the access token")]
    TokenRefused,
    /// The trust store cannot be loaded.
    #[error("TLS to the store cannot be set up")]
    Tls(#[source] NetError),
    /// The store took too long.
    #[error("the store took too long: {0}")]
    Timeout(&'static str),
}

/// What is wrong with an answer.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AnswerFault {
    /// Its content coding.
    #[error(transparent)]
    Coding(#[from] CodingError),
    /// It came before the store had everything.
    #[error("the store answered before it had all of the request")]
    Early,
    /// Lines that end only with the connection: a cut could not be told from the end.
    #[error("the answer has no length, so that a cut could not be told from its end")]
    Endless,
    /// Its framing headers.
    #[error("the answer's framing headers contradict each other")]
    Framing,
    /// Its head, or more of it than is read.
    #[error("the answer's head is malformed or too large")]
    Head,
    /// Its media type.
    #[error(transparent)]
    Media(#[from] MediaError),
    /// A part nobody asked for.
    #[error("the answer is a part of a document, which was not asked for")]
    Partial,
    /// A switch of protocols.
    #[error("the answer switches protocols")]
    Upgrade,
}

impl From<AnswerFault> for UpstreamError {
    fn from(fault: AnswerFault) -> Self {
        Self::Answer(fault)
    }
}

impl UpstreamError {
    /// When trying again may help, where that is known.
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::SetAside { back_in } | Self::Token { back_in, .. } => Some(*back_in),
            _ => None,
        }
    }

    /// Whether it speaks against the address: connecting, timing out, breaking, bad HTTP.
    pub(super) const fn blames_address(&self) -> bool {
        match self {
            Self::Answer(fault) => {
                matches!(fault, AnswerFault::Head | AnswerFault::Framing | AnswerFault::Upgrade)
            }
            Self::Broken(_) | Self::Connect(_) | Self::Interrupted(_) | Self::Timeout(_) => true,
            _ => false,
        }
    }
}

impl ClientError for UpstreamError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::Busy => ErrorKind::Overloaded,
            Self::SetAside { .. } | Self::Token { .. } | Self::TokenRefused => {
                ErrorKind::Unavailable
            }
            Self::Credentials(_)
            | Self::CredentialsEmpty
            | Self::Permit
            | Self::Request(_)
            | Self::Short
            | Self::Tls(_) => ErrorKind::Internal,
            _ => ErrorKind::Upstream,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        match self {
            Self::Answer(AnswerFault::Media(_)) => {
                "the data store's answer is not what the route says: its media type is not one \
                 of records"
                    .into()
            }
            Self::Answer(_) => "the data store's answer is not HTTP that can be read safely".into(),
            Self::Broken(_) | Self::Connect(_) => "the data store cannot be reached".into(),
            Self::SetAside { .. } => "the data store cannot be reached; try again later".into(),
            Self::Busy => "the data store is busy; try again later".into(),
            Self::Interrupted(_) | Self::Over => "the data store's answer broke off".into(),
            Self::Token { .. } | Self::TokenRefused => {
                "the gateway has no access of its own to the data store; try again later".into()
            }
            Self::Timeout(_) => "the data store took too long".into(),
            Self::Credentials(_)
            | Self::CredentialsEmpty
            | Self::Permit
            | Self::Request(_)
            | Self::Short
            | Self::Tls(_) => "the gateway could not ask the data store".into(),
        }
    }
}
