//! Decides what a call may see. Pure: no clock, no network, no store, no async.
