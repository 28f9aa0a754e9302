//! Builds everything from the configuration: start, reload, drain, stop.

mod admin;
mod agreement;
mod cosigner;
mod checks;
mod exports;
mod files;
mod fill;
mod gateway;
mod harden;
mod init;
mod jobs;
mod load;
mod open_log;
mod outside;
mod policy_tests;
mod risks;
mod root_key;
mod running;
mod shredder;
mod sockets;
mod start;
mod stores;
mod telemetry;
mod too_open;
mod witness;
mod worker;

pub use self::cosigner::{CosignerError, CosignerSetup, RunningCosigner, init as init_cosigner};
pub use self::files::ReadError;
pub use self::fill::{FillError, Filling};
pub use self::init::{InitError, Plan, init, random_token};
pub use self::load::{LoadError, Loaded};
pub use self::open_log::public_key_file;
pub use self::running::{Heart, Running};
pub use self::start::{Addresses, StartError, Trust};
pub use self::stores::move_store;
pub use self::witness::HistoryError;
