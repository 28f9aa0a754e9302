//! Wire formats and their hygiene: HTTP targets, headers, framing, media types; log tiles
//! and proofs.

pub mod http;
pub mod proof;
pub mod tlog;
