//! Who is calling: tokens and client certificates turned into principals.
//!
//! Nothing a caller merely sends opens anything. A token is verified against the keys of the issuer
//! it names, and what it says is cut down to what that issuer may assert.

mod authenticator;
mod config;
mod error;
mod metrics;
mod principal;

pub use self::authenticator::{Authenticator, IssuerStatus};
pub use self::config::{
    Algorithm, Allowed, AuthnConfig, CertificateMatch, CertificatePrincipal, IssuerConfig,
    JwksSource, MayAssert,
};
pub use self::error::AuthnError;
pub use self::metrics::{AuthnMetrics, Refused};
pub use self::principal::{Principal, Strength};
