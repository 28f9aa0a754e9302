//! Keyed hashes, sealing, signatures and trees. Bytes in, bytes out; no I/O.

pub mod merkle;
pub mod note;
