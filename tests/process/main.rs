//! Tests of the real program as a process: the command line, real stores, kill -9, what it leaves
//! on disk.

#![expect(clippy::unwrap_used, reason = "clippy's allow-unwrap-in-tests does not reach helpers")]
#![expect(clippy::indexing_slicing, reason = "a test may panic")]

mod command_line;
mod harness;
mod kill9;
mod planted;
mod third_party_store;
