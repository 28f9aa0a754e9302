//! Arguments of `privet transfer`.

use clap::Subcommand;

use super::{AdminArgs, Shape};

#[derive(Debug, Subcommand)]
#[command(
    before_help = "Examples:\n  privet transfer show                  people counted this year, recipients, what runs out\n  privet transfer show --output json    the same for programs"
)]
pub(in crate::cli) enum TransferCommand {
    /// Shows the people counted, the thresholds, and every recipient with what allows it.
    Show {
        /// How to show it.
        #[arg(long, value_enum, default_value_t = Shape::Table)]
        output: Shape,
        #[command(flatten)]
        admin: AdminArgs,
    },
}
