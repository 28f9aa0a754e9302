//! Arguments of `privet key`.

use clap::Subcommand;

use super::ConfigArgs;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeyCommand {
    /// Makes whatever keys are missing, at the provider of the root key and in the folder of keys.
    /// The gateway must not be running.
    Init(ConfigArgs),
}
