//! One finished call, as a trace shows it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use crate::protocol::http::RequestId;
use crate::protocol::http::TraceParent;
use crate::types::Action;
use crate::types::DataSetId;
use crate::types::PurposeId;
use crate::types::StoreId;
use crate::types::Timestamp;

/// One finished call.
#[derive(Clone, Debug)]
pub struct Span {
    /// The trace, and the id that the store was told as its parent's.
    pub context: TraceParent,
    /// The caller's own span.
    pub parent: Option<[u8; 8]>,
    /// When the call ended.
    pub ended: Timestamp,
    /// How long it took.
    pub took: Duration,
    /// Of that, waiting for the store.
    pub waited: Duration,
    /// A word of the product, `other` for what it does not know.
    pub method: &'static str,
    /// The template, once a route was found; never the path that was asked for.
    pub route: Option<Arc<str>>,
    /// The status of the answer.
    pub status: u16,
    /// The store, once found.
    pub store: Option<StoreId>,
    /// The data set, once found.
    pub data_set: Option<DataSetId>,
    /// The purpose, as the policy names it.
    pub purpose: Option<PurposeId>,
    /// What the call does to records.
    pub action: Option<Action>,
    /// The id of the decision, as the client reads it.
    pub decision_id: RequestId,
    /// `permit` or `refuse`.
    pub decision: &'static str,
    /// How the call ended.
    pub outcome: &'static str,
    /// Why, in a word of the product.
    pub reason: Option<Cow<'static, str>>,
    /// Whether it ended otherwise than it should have, by the gateway's or the store's doing.
    pub is_fault: bool,
    /// Records released.
    pub records: u32,
    /// Records left out.
    pub left_out: u32,
    /// Bytes of the answer's body.
    pub bytes: u64,
}
