//! An authenticated caller.

use std::fmt;
use std::sync::Arc;

use crate::policy::Identity;

/// Somebody who showed who they are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Principal {
    /// What they may speak for, cut down to what their issuer may assert.
    pub identity: Identity,
    /// Who vouches for them: an issuer's name, or `certificate`.
    pub issuer: Arc<str>,
    /// How they showed it.
    pub strength: Strength,
}

/// How somebody showed who they are, for the audit log.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Strength {
    /// By a token.
    Token,
    /// By a token that says a second factor was used.
    Mfa,
    /// By a client certificate.
    Certificate,
}

impl Strength {
    /// The word in the audit log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::Mfa => "mfa",
            Self::Certificate => "certificate",
        }
    }
}

impl fmt::Display for Strength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
