//! Arguments of `privet claim`.

use clap::Subcommand;

use super::{AdminArgs, WhoArgs};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum ClaimCommand {
    /// Asks what the log calls somebody who was erased; needs --totp, and `[audit] unlink_after`.
    Request {
        #[command(flatten)]
        who: WhoArgs,
        /// The number of the case. It stays in the audit log: no name, no id.
        #[arg(long)]
        case: String,
        /// Why it is needed.
        #[arg(long)]
        why: String,
        /// For how many seconds the claim may be approved and shown; at most a day.
        #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
        valid_for: u64,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Agrees to another operator's claim; needs --totp.
    Approve {
        /// The claim's id.
        #[arg(value_name = "CLAIM")]
        claim: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Tells the token of your approved claim, once; needs --totp with a new code.
    Show {
        /// The claim's id.
        #[arg(value_name = "CLAIM")]
        claim: String,
        #[command(flatten)]
        who: WhoArgs,
        #[command(flatten)]
        admin: AdminArgs,
    },
}
