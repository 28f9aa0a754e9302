//! Wire formats and their hygiene: HTTP targets, headers, framing, media types.

pub mod http;
pub mod tlog;
