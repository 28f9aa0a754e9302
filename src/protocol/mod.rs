//! Wire formats and their hygiene: HTTP targets, headers, framing, media types; log tiles,
//! proofs and signed JSON.

pub mod http;
pub mod jws;
pub mod proof;
pub mod tlog;
