//! Opens the stores of the configuration.

use crate::config::Config;
use crate::config::StoreSection;
use crate::proxy::Mount;
use crate::upstream::Store;
use crate::upstream::UpstreamMetrics;

use super::start::StartError;

/// Opens every store.
///
/// # Errors
/// When one cannot be used.
pub(super) fn open_stores(
    config: &Config,
    metrics: &UpstreamMetrics,
) -> Result<Vec<Mount>, StartError> {
    let open = |store: &StoreSection| {
        let opened = Store::open(store.upstream.clone(), metrics)?;
        Ok(Mount { place: store.place.clone(), store: opened })
    };
    config.stores.iter().map(open).collect()
}
