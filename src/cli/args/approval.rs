//! Arguments of `privet approval`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{AdminArgs, ConfigArgs, Shape};

#[derive(Debug, Subcommand)]
#[command(
    before_help = "Examples:\n  privet approval request --token-file me.token --grant health-desk --case C-17 --why \"complaint\"\n  privet approval list --token-file dpo.token\n  privet approval approve ID --token-file dpo.token\n  privet approval break-glass --token-file me.token --grant emergency --case C-18 --why \"outage\"\n  privet approval review ID --token-file dpo.token --finding justified --note \"was needed\""
)]
pub(in crate::cli) enum ApprovalCommand {
    /// Asks for the approval that a grant needs.
    Request {
        #[command(flatten)]
        wish: WishArgs,
        #[command(flatten)]
        by: CallerArgs,
    },
    /// Breaks glass: the grant counts at once, an alert is raised, and somebody reviews it. Needs a
    /// token with a fresh second factor.
    BreakGlass {
        #[command(flatten)]
        wish: WishArgs,
        #[command(flatten)]
        by: CallerArgs,
    },
    /// Lists what you asked for and what your roles approve or review, the newest first.
    List {
        /// How to show them.
        #[arg(long, value_enum, default_value_t = Shape::Table)]
        output: Shape,
        #[command(flatten)]
        by: CallerArgs,
    },
    /// Shows one, with what left under it.
    Show {
        /// Its id.
        id: String,
        #[command(flatten)]
        by: CallerArgs,
    },
    /// Agrees to somebody else's request. Needs a token with a fresh second factor.
    Approve {
        /// Its id.
        id: String,
        #[command(flatten)]
        by: CallerArgs,
    },
    /// Says no to somebody else's request. Needs a token with a fresh second factor.
    Refuse {
        /// Its id.
        id: String,
        #[command(flatten)]
        by: CallerArgs,
    },
    /// Takes a request, an approval or a broken glass back, at once.
    Revoke {
        /// Its id.
        id: String,
        #[command(flatten)]
        by: CallerArgs,
    },
    /// Writes down what you found about somebody else's broken glass. Needs a token with a fresh
    /// second factor.
    Review {
        /// Its id.
        id: String,
        /// Whether it was right to break it.
        #[arg(long, value_enum)]
        finding: FindingWord,
        /// What you found, without personal data.
        #[arg(long)]
        note: String,
        #[command(flatten)]
        by: CallerArgs,
    },
}

/// What is asked for.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct WishArgs {
    /// The grant, as the refused call and the policy name it.
    #[arg(long)]
    pub(in crate::cli) grant: String,
    /// For this purpose alone; without, for all the grant has.
    #[arg(long)]
    pub(in crate::cli) purpose: Option<String>,
    /// The number of the case. It stays in the audit log.
    #[arg(long)]
    pub(in crate::cli) case: String,
    /// Why it is needed.
    #[arg(long)]
    pub(in crate::cli) why: String,
}

/// Who asks the running gateway.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct CallerArgs {
    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,
    /// A file that holds your token: the one your calls to the gateway carry.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) token_file: PathBuf,
}

impl From<&CallerArgs> for AdminArgs {
    fn from(by: &CallerArgs) -> Self {
        let token_file = Some(by.token_file.clone());
        Self { config: by.config.clone(), token_file, totp: None }
    }
}

/// What a review found.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum FindingWord {
    /// It was right to break it.
    Justified,
    /// It was not.
    Unjustified,
}
