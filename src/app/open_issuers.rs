//! Opens the issuers of a configuration, whose tokens are checked.

use std::sync::Arc;

use crate::authn::Authenticator;
use crate::authn::AuthnMetrics;
use crate::clock::Clock;
use crate::config::Config;
use crate::types::told;

use super::start::StartError;

/// Who checks tokens. An issuer that cannot be reached now may be later; until then its tokens are
/// refused.
pub(super) async fn open_issuers(
    config: &Config,
    clock: &Arc<dyn Clock>,
    metrics: &AuthnMetrics,
) -> Result<Authenticator, StartError> {
    let made = Authenticator::new(config.authn.clone(), Arc::clone(clock), metrics.clone());
    let authenticator = made.map_err(StartError::Authn)?;
    if let Err(errors) = authenticator.refresh().await {
        for error in errors {
            tracing::warn!(error = told(&error), "an issuer's keys could not be read");
        }
    }
    Ok(authenticator)
}
