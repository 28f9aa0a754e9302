//! Why somebody was not believed.

use std::borrow::Cow;
use std::path::PathBuf;

use crate::net::NetError;
use crate::types::ClientError;
use crate::types::ErrorKind;

/// A credential or a key set was refused. No text holds any part of a credential.
#[derive(Debug, thiserror::Error)]
pub enum AuthnError {
    /// A setting of an issuer or certificate cannot work.
    #[error("issuer or certificate `{name}`: {what}")]
    Config {
        /// The issuer or owner as configured.
        name: Box<str>,
        /// What is wrong, and what would help.
        what: String,
    },
    /// The credential was valid once.
    #[error("the credential has expired")]
    Expired,
    /// A key set cannot be used.
    #[error("the key set of `{issuer}` cannot be used: {what}")]
    KeySet {
        /// The issuer as configured.
        issuer: Box<str>,
        /// What is wrong with it.
        what: String,
    },
    /// A key set cannot be read.
    #[error("the key set of `{issuer}` cannot be read")]
    KeySetRead {
        /// The issuer as configured.
        issuer: Box<str>,
        /// Why not.
        #[source]
        source: NetError,
    },
    /// The issuer is known, but none of its keys could be had yet.
    #[error("no key of `{issuer}` could be read yet")]
    KeysMissing {
        /// The issuer as configured.
        issuer: Box<str>,
    },
    /// A file of the development issuer cannot be written.
    #[error("cannot write `{}`", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The token cannot be signed.
    #[error("the token cannot be signed: {what}")]
    Mint {
        /// Why not.
        what: &'static str,
    },
    /// There is no credential.
    #[error("no credential was sent")]
    Missing,
    /// The credential is not valid yet, by more than the leeway.
    #[error("the credential is not valid yet")]
    NotYet,
    /// The token is not one this gateway reads.
    #[error("the token is malformed: {what}")]
    Malformed {
        /// What is wrong with it.
        what: &'static str,
    },
    /// The token was issued for something else.
    #[error("a token of `{issuer}` is meant for another audience")]
    OtherAudience {
        /// The issuer as configured.
        issuer: Box<str>,
    },
    /// The owner's access was suspended.
    #[error("the credential's owner is suspended")]
    Suspended,
    /// No certificate entry, or more than one, fits.
    #[error("the client certificate is not usable: {what}")]
    UnknownCertificate {
        /// Why not.
        what: &'static str,
    },
    /// The token names no issuer that is configured.
    #[error("the token names an issuer that is not configured")]
    UnknownIssuer,
    /// No key of the issuer fits the token.
    #[error("no key of `{issuer}` fits the token: {what}")]
    UnknownKey {
        /// The issuer as configured.
        issuer: Box<str>,
        /// Why none fits.
        what: &'static str,
    },
    /// The signature is not the issuer's.
    #[error("the signature of a token of `{issuer}` does not verify")]
    WrongSignature {
        /// The issuer as configured.
        issuer: Box<str>,
    },
}

impl AuthnError {
    /// A short name of the cause, for metrics and the audit log.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Config { .. } => "config",
            Self::Expired => "expired",
            Self::KeySet { .. } | Self::KeySetRead { .. } => "key_set",
            Self::KeysMissing { .. } => "keys_missing",
            Self::Malformed { .. } => "malformed",
            Self::Mint { .. } | Self::Write { .. } => "mint",
            Self::Missing => "missing",
            Self::NotYet => "not_yet",
            Self::OtherAudience { .. } => "other_audience",
            Self::Suspended => "suspended",
            Self::UnknownCertificate { .. } => "unknown_certificate",
            Self::UnknownIssuer => "unknown_issuer",
            Self::UnknownKey { .. } => "unknown_key",
            Self::WrongSignature { .. } => "wrong_signature",
        }
    }
}

impl ClientError for AuthnError {
    fn kind(&self) -> ErrorKind {
        match self {
            Self::KeysMissing { .. } => ErrorKind::Unavailable,
            Self::Config { .. }
            | Self::KeySet { .. }
            | Self::KeySetRead { .. }
            | Self::Mint { .. }
            | Self::Write { .. } => ErrorKind::Internal,
            Self::Suspended => ErrorKind::Denied,
            Self::Expired
            | Self::Malformed { .. }
            | Self::Missing
            | Self::NotYet
            | Self::OtherAudience { .. }
            | Self::UnknownCertificate { .. }
            | Self::UnknownIssuer
            | Self::UnknownKey { .. }
            | Self::WrongSignature { .. } => ErrorKind::Unauthenticated,
        }
    }

    fn client_message(&self) -> Cow<'static, str> {
        match self {
            Self::Config { .. }
            | Self::KeySet { .. }
            | Self::KeySetRead { .. }
            | Self::Mint { .. }
            | Self::Write { .. } => "the credential could not be checked",
            Self::Expired => "the credential has expired; get a new one",
            Self::KeysMissing { .. } => "the issuer's keys cannot be read at the moment; try later",
            Self::Malformed { what } => {
                return format!("the token cannot be verified: {what}").into();
            }
            Self::Missing => {
                "no credential was sent; send `Authorization: Bearer …`, or a client certificate"
            }
            Self::NotYet => "the credential is not valid yet; compare the clocks (`nbf`, `iat`)",
            Self::OtherAudience { .. } => {
                "the token was issued for another audience; ask for one whose `aud` is this gateway"
            }
            Self::Suspended => "access is suspended",
            Self::UnknownCertificate { .. } => {
                "the client certificate is not known here; send `Authorization: Bearer` and a token"
            }
            Self::UnknownIssuer => "the issuer of the token (`iss`) is not known here",
            // One text for both: which keys an issuer has is nobody's business.
            Self::UnknownKey { .. } | Self::WrongSignature { .. } => {
                "the token cannot be verified: it is not signed with a key of its issuer"
            }
        }
        .into()
    }
}
