//! The pipeline of one call, from socket to socket.
//!
//! The stages, in the order a call meets them: [`connection`] (limits a stranger meets first),
//! [`call`] (the stages one after another), [`caller`] (who calls), [`admission`] (how much),
//! [`route`] (where to), [`plan`] (what is decided), [`answer`] (what the store's status means),
//! [`records`] (read, judge, rewrite), [`feed`] (count, record, release), [`respond`] and
//! [`body`] (send). Files go through [`mod@file`] and [`file_body`] instead of the last four, and
//! through [`upload`] and [`upload_body`] when they are written. Other writes go through
//! [`mod@write`] after [`caller`], and come back to [`answer`]: what is
//! told of a write is a read. [`trail`] writes down how it ended.

mod admission;
mod answer;
mod body;
mod budget;
mod bulk;
mod call;
mod caller;
mod config;
mod connection;
mod error;
mod exports;
mod feed;
mod gpc;
mod heard;
mod file;
mod file_body;
mod late;
mod inbox;
mod links;
mod metrics;
mod observe;
mod observe_write;
mod opening;
mod patience;
pub(crate) mod people;
mod plan;
mod pseudonyms;
mod records;
mod respond;
mod route;
mod seek;
mod sets;
mod shared;
mod sums;
mod told;
mod trail;
mod upload;
mod upload_body;
mod watched;
mod worker;
mod write;
mod write_answer;
mod write_body;
mod write_change;
mod write_create;
mod write_error;
mod write_judge;
mod write_link;

pub use self::config::{Limits, PerPrincipal, Place};
pub use self::connection::Peer;
pub use self::error::ProxyError;
pub use self::inbox::{Inbox, Seen};
pub use self::metrics::ProxyMetrics;
pub use self::shared::{Mount, Parts, Shared};
pub use self::worker::Worker;
