//! Certificates and tokens that were read again, and are used all together or not at all.

use std::sync::Arc;

use crate::net::NextTls;
use crate::net::ServerTls;
use crate::types::told;
use crate::upstream::NextCredentials;
use crate::upstream::Store;

/// Certificates and tokens that were read and are not in use yet.
pub(super) struct Credentials {
    /// In the order of the stores.
    of_stores: Vec<NextCredentials>,
    tls: Option<NextTls>,
}

impl Credentials {
    /// Reads what the gateway shows stores and callers of itself. All of it can be used, or none.
    ///
    /// # Errors
    /// Why one of them cannot be used.
    pub(super) fn prepare(stores: &[Arc<Store>], tls: Option<&ServerTls>) -> Result<Self, String> {
        let of_stores = stores.iter().map(|store| store.prepare_credentials());
        let of_stores = of_stores.collect::<Result<_, _>>().map_err(|e| told(&e))?;
        let tls = tls.map(ServerTls::prepare).transpose();
        let tls = tls.map_err(|e| format!("the old certificate stays: {}", told(&e)))?;
        Ok(Self { of_stores, tls })
    }

    /// From now on they are shown.
    pub(super) fn put_to_use(self, stores: &[Arc<Store>], tls: Option<&ServerTls>) {
        for (store, next) in stores.iter().zip(self.of_stores) {
            store.use_credentials(next);
        }
        if let (Some(tls), Some(next)) = (tls, self.tls) {
            tls.replace(next);
        }
    }
}
