//! Privet: a privacy and data-governance gateway.
//!
//! Read the modules in the order below: each may name only the modules above it
//! (`tests/architecture.rs` holds the list and fails the build when it is broken).

// Pure: no tokio, files, network, environment or clock.
pub mod types;
pub mod crypto;
pub mod protocol;
pub mod catalog;
pub mod policy;
pub mod transform;

// The data plane.
pub mod clock;
pub mod state;
pub mod jobs;
pub mod net;
pub mod audit;
pub mod keys;
pub mod subjects;
pub mod authn;
pub mod upstream;
pub mod telemetry;
pub mod proxy;
pub mod backfill;

// The control plane and the roof.
pub mod api;
pub mod config;
pub mod app;
pub mod demo;
pub mod cli;
