//! The pipeline of one call, from socket to socket.

mod config;

pub use self::config::{Limits, PerPrincipal, Place};
