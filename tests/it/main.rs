//! The gateway over real sockets, in front of stores that answer whatever a test wants.
//!
//! The modules say `cfg(test)` so that clippy knows them for tests.

#[cfg(test)]
use privet::clock;

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod backfill;
#[cfg(test)]
mod clearances;
#[cfg(test)]
mod connection;
#[cfg(test)]
mod corpora;
#[cfg(test)]
mod corpus;
#[cfg(test)]
mod files;
#[cfg(test)]
mod formats;
#[cfg(test)]
mod flood;
#[cfg(test)]
mod gpc;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod hidden;
#[cfg(test)]
mod http;
#[cfg(test)]
mod observe;
#[cfg(test)]
mod refusals;
#[cfg(test)]
mod roundtrip;
#[cfg(test)]
mod sealed;
#[cfg(test)]
mod sets;
#[cfg(test)]
mod slow;
#[cfg(test)]
#[cfg(feature = "otel")]
mod telemetry;
#[cfg(test)]
mod transfers;
/// The transit engine that the tests of the library talk to as well.
#[cfg(test)]
#[expect(dead_code, reason = "it can be unwell in more ways than are of interest here")]
#[path = "../../src/keys/root/transit_server.rs"]
mod transit_server;
#[cfg(test)]
mod uploads;
#[cfg(test)]
mod upstream;
#[cfg(test)]
mod usefulness;
#[cfg(test)]
mod writes;
