//! Arguments of `privet operator`.

use clap::Subcommand;

use super::{AdminArgs, ConfigArgs};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum OperatorCommand {
    /// Adds an operator and prints their token, once.
    Add {
        /// Their name, as the audit log will show it.
        name: String,
        /// What they may do: collector (a back end: record consents and nothing else), auditor
        /// (look), officer (also people and approvals), admin (also keys and reloads).
        #[arg(long, default_value = "auditor", value_name = "ROLE")]
        role: String,
        /// Also sets up a second factor: prints the address that authenticator apps read, once.
        #[arg(long)]
        totp: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Asks the running gateway whether the code of --totp is yours; uses it up.
    Verify {
        #[command(flatten)]
        admin: AdminArgs,
    },
}
