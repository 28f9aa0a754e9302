//! Arguments of `privet reidentify`.

use std::path::PathBuf;

use clap::Subcommand;

use super::AdminArgs;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ReidentifyCommand {
    /// Asks for the values of tokens; needs --totp.
    Request {
        /// A file with at most 100 tokens, one a line.
        #[arg(value_name = "FILE")]
        tokens: PathBuf,
        /// The purpose they were given out for.
        #[arg(long)]
        purpose: String,
        /// The number of the case. It stays in the audit log.
        #[arg(long)]
        case: String,
        /// Why it is needed.
        #[arg(long)]
        why: String,
        /// For how many seconds the request may be approved and shown; at most a day.
        #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
        valid_for: u64,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Agrees to another operator's request; needs --totp.
    Approve {
        /// Its id.
        id: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Fetches the values of your approved request, once; needs --totp with a new code.
    Show {
        /// Its id.
        id: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
}
