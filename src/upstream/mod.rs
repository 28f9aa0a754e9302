//! Connections to the stores: per-worker pools, health, timeouts. Needs a Permit.
