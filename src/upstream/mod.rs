//! Connections to the stores: per-worker pools, health, timeouts, decoded bodies.
//!
//! [`Store`] is what all workers share (addresses, health, credentials, counters); [`Upstream`]
//! is one worker's way to it. A call needs a [`Permit`](crate::policy::Permit), which only a
//! decision gives, or the proof that the policy is only observed in the data set
//! ([`Pass`](crate::policy::Pass)):
//!
//! ```compile_fail
//! # use privet::upstream::{StoreRequest, Upstream};
//! async fn undecided(upstream: &Upstream, request: &StoreRequest) {
//!     let _answer = upstream.fetch(request).await;
//! }
//! ```
//! ```
//! # use privet::upstream::{StoreRequest, Upstream};
//! async fn decided(upstream: &Upstream, permit: &privet::policy::Permit, request: &StoreRequest) {
//!     let _answer = upstream.fetch(permit, request).await;
//! }
//! ```
//!
//! What changes a store needs, beside the permit, the proof that the intent is in the log; a proof
//! is spent with the write it was made for:
//!
//! ```compile_fail
//! # use privet::upstream::{StoreWrite, Upstream};
//! async fn unrecorded(upstream: &Upstream, permit: &privet::policy::Permit, write: &StoreWrite) {
//!     let _answer = upstream.alter(permit, write).await;
//! }
//! ```
//! ```compile_fail
//! # use privet::{audit::IntentReceipt, policy::Permit};
//! # use privet::upstream::{StoreWrite, Upstream};
//! async fn twice(upstream: &Upstream, permit: &Permit, intent: IntentReceipt, write: &StoreWrite) {
//!     let _first = upstream.alter(permit, intent, write).await;
//!     let _again = upstream.alter(permit, intent, write).await;
//! }
//! ```
//! ```
//! # use privet::{audit::IntentReceipt, policy::Permit};
//! # use privet::upstream::{StoreWrite, Upstream};
//! async fn recorded(upstream: &Upstream, permit: &Permit, intent: IntentReceipt, write: &StoreWrite) {
//!     let _answer = upstream.alter(permit, intent, write).await;
//! }
//! ```

mod answer;
mod body;
mod config;
mod connection;
mod credentials;
mod error;
mod fetch;
mod health;
mod maintain;
mod metrics;
mod oauth;
mod pipe;
mod pool;
mod store;
#[cfg(test)]
mod tests;
mod upload;
mod write;

pub use self::answer::StoreResponse;
pub use self::body::StoreBody;
pub use self::config::{
    Bearer, HealthCheck, Limits, OAuth, StoreUrl, Timeouts, UpstreamConfig, UrlError,
};
pub use self::credentials::{NextCredentials, examine};
pub use self::error::{AnswerFault, UpstreamError};
pub use self::fetch::{StoreRequest, Upstream};
pub use self::health::{AddressHealth, AddressState, StoreHealth};
pub use self::metrics::UpstreamMetrics;
pub use self::pipe::{Pipe, Piped, Room};
pub use self::store::Store;
pub use self::upload::Upload;
pub use self::write::{Fate, StoreWrite, WriteError, WrittenBody};
