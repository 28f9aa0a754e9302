//! Arguments of `privet consent`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{AdminArgs, Shape};

#[derive(Debug, Subcommand)]
#[command(
    before_help = "Examples:\n  privet consent keys > receipts.jwks           the public key of receipts, to publish\n  privet consent verify receipt.jws --keys receipts.jwks"
)]
pub(in crate::cli) enum ConsentCommand {
    /// Prints the public key of receipts as a JWK set. Publish it, and keep a copy.
    Keys {
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Checks a receipt with the public key alone, and shows what it says; exit code 5 when it
    /// does not hold.
    Verify {
        /// The receipt; `-` reads it from standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The key set that `privet consent keys` printed.
        #[arg(long, value_name = "FILE")]
        keys: PathBuf,
        /// How to show what it says.
        #[arg(long, value_enum, default_value_t = Shape::Table)]
        output: Shape,
    },
}
