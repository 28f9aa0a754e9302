//! Calls of approved work on whole data sets, beside those of traffic.

use http::Method;

use crate::audit::IntentReceipt;
use crate::policy::Maintenance;

use super::StoreRequest;
use super::StoreResponse;
use super::StoreWrite;
use super::Upstream;
use super::UpstreamError;
use super::WriteError;
use super::write::unsent;

impl Upstream {
    /// Asks the store for records of the data set that work was agreed on.
    ///
    /// # Errors
    /// As [`fetch`](Self::fetch).
    pub async fn survey(
        &self,
        agreed: &Maintenance,
        request: &StoreRequest,
    ) -> Result<StoreResponse, UpstreamError> {
        if !self.serves(agreed) || request.method != Method::GET {
            return Err(UpstreamError::Permit);
        }
        self.ask(request).await
    }

    /// Changes one record of the data set that work was agreed on by two people. `intent`: the proof
    /// that the intent for the batch it belongs to is in the log. It is sent once.
    ///
    /// # Errors
    /// As [`alter`](Self::alter).
    pub async fn rewrite(
        &self,
        agreed: &Maintenance,
        intent: &IntentReceipt,
        write: &StoreWrite,
    ) -> Result<StoreResponse, WriteError> {
        let _ = intent.index();
        let changes = matches!(write.method, Method::PATCH | Method::PUT);
        if !self.serves(agreed) || agreed.approver().is_none() || !changes {
            return Err(unsent(UpstreamError::Permit));
        }
        self.put(write).await
    }

    fn serves(&self, agreed: &Maintenance) -> bool {
        agreed.set().store == self.store.config.store
    }
}
