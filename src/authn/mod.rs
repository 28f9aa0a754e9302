//! Who is calling: tokens and client certificates turned into principals.
//!
//! Nothing a caller merely sends opens anything. A token is verified against the keys of the issuer
//! it names, and what it says is cut down to what that issuer may assert.

mod authenticator;
mod cache;
mod certificate;
mod claims;
mod config;
mod dev;
mod error;
mod explain;
mod issuer;
mod json;
mod key_set;
mod metrics;
mod principal;
mod settings;
#[cfg(test)]
mod tests;
mod token;

pub use self::authenticator::{Authenticator, IssuerStatus, NextSettings};
pub use self::config::{
    Algorithm, Allowed, AuthnConfig, CertificateMatch, CertificatePrincipal, IssuerConfig,
    JwksSource, MayAssert,
};
pub use self::dev::{DevIssuer, Wanted};
pub use self::error::AuthnError;
pub use self::explain::{Explanation, Verdict};
pub use self::key_set::reads_as_key_set;
pub use self::metrics::{AuthnMetrics, Refused};
pub use self::principal::{Principal, Strength};
pub use self::token::reads_as_token;
