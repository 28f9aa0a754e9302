//! Tests of the real program as a process: the command line, real stores, kill -9, what it leaves
//! on disk.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr,
    reason = "clippy's exemptions for tests do not reach the functions beside them"
)]

mod accesses;
mod approvals;
mod audit_cli;
mod audit_search;
mod backfill;
mod command_line;
mod consent;
mod delivery;
mod go_verifier;
mod exports;
mod full_disk;
mod harness;
mod idle;
mod jobs;
mod keys;
mod kill9;
mod memory;
mod observe;
mod operation;
mod operators;
mod planted;
mod policy_guide;
mod policy_tools;
mod reidentify;
mod restore;
mod retention;
mod rollback;
mod scan;
mod secrets;
mod setup;
mod slowhttp;
mod stolen;
mod third_party_client;
mod third_party_store;
mod transfers;
mod unlinked;
mod witness;
