//! Arguments of `privet token`.

use clap::{Args, Subcommand};

use super::ConfigArgs;

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum TokenCommand {
    /// Prints a token of the development issuer that `privet init` made.
    Mint(Box<MintArgs>),
    /// Says what Privet reads from a token, which is read from standard input.
    Explain(ConfigArgs),
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct MintArgs {
    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,
    /// Whose token it is: two approve together only when they are two.
    #[arg(long, value_name = "NAME", default_value = "privet-token-mint")]
    pub(in crate::cli) owner: String,
    /// A role; may be given several times.
    #[arg(long, value_name = "ROLE")]
    pub(in crate::cli) role: Vec<String>,
    /// A purpose; may be given several times.
    #[arg(long, value_name = "PURPOSE")]
    pub(in crate::cli) purpose: Vec<String>,
    /// The id of the person who calls, as the stores know them.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) subject_id: Option<String>,
    /// The country the caller is in, such as DE.
    #[arg(long, value_name = "CC")]
    pub(in crate::cli) region: Option<String>,
    /// Whom the caller passes data to: an id under `recipients:` of the policy.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) recipient: Option<String>,
    /// The caller has just used a second factor.
    #[arg(long)]
    pub(in crate::cli) mfa: bool,
    /// The ticket the caller works on.
    #[arg(long, value_name = "TICKET")]
    pub(in crate::cli) ticket: Option<String>,
    /// Another claim that the issuer's `claims` map, such as team=north; may be given several
    /// times.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(in crate::cli) claim: Vec<String>,
    /// How long the token is good, such as 30m, 1h or 2d.
    #[arg(long, default_value = "1h", value_name = "TIME")]
    pub(in crate::cli) ttl: String,
}
