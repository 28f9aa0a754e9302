//! Arguments of `privet subject`, and how a person is named.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{AdminArgs, Rows};

/// Whom a command is about. The id is read from standard input when it is `-`.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct WhoArgs {
    /// The space of ids; needed where the policy has several.
    #[arg(long, value_name = "DOMAIN")]
    pub(in crate::cli) domain: Option<String>,
    /// The person's id, as the stores know them; `-` reads it from standard input.
    #[arg(value_name = "ID")]
    pub(in crate::cli) id: String,
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct ReportArgs {
    #[command(flatten)]
    pub(in crate::cli) who: WhoArgs,
    /// Only entries at or after this time, such as 2026-11-21T09:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) from: Option<String>,
    /// Only entries before this time.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) until: Option<String>,
    /// Write the proof of each entry into this folder; it is checked with `privet audit verify
    /// --proof`. Needs the log's folder to be on this machine.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) proofs: Option<PathBuf>,
    /// Look at every entry, as if there were no index: somebody who can write to its folder could
    /// leave entries out of it.
    #[arg(long)]
    pub(in crate::cli) scan: bool,
    /// How to show it.
    #[arg(long, value_enum, default_value_t = Rows::Table)]
    pub(in crate::cli) output: Rows,
    #[command(flatten)]
    pub(in crate::cli) admin: AdminArgs,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SubjectCommand {
    /// Shows a person's card.
    Show {
        #[command(flatten)]
        who: WhoArgs,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Lists who saw a person's data: every entry of the log that names them, and what left
    /// without naming anybody. That it was asked for is recorded.
    Report(ReportArgs),
    /// Sets all that stands against the use of a person's data: restricted, objected, minor,
    /// deceased, several with commas between them; or `active`. Holds are placed with `privet hold
    /// add`, and stay.
    Status {
        #[command(flatten)]
        who: WhoArgs,
        /// What stands from now on, such as restricted,minor.
        status: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Records an answer to a consent question.
    Consent {
        #[command(flatten)]
        who: WhoArgs,
        /// The consent's name, such as marketing.
        consent: String,
        /// The answer.
        #[arg(value_enum)]
        answer: Answer,
        /// When it lapses, such as 2027-01-01T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Records that a person opted out, or takes it back.
    OptOut {
        #[command(flatten)]
        who: WhoArgs,
        /// The opt-out's name, such as analytics.
        name: String,
        /// Take the opt-out back.
        #[arg(long)]
        undo: bool,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Names who may act for a person: a guardian, the next of kin, an agent.
    #[command(subcommand)]
    Representative(RepresentativeCommand),
    /// Destroys a person's key: what is sealed with it never opens again. Cannot be undone.
    EraseKey {
        #[command(flatten)]
        who: WhoArgs,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

#[derive(Debug, Subcommand)]
#[command(
    before_help = "Examples:\n  privet subject representative add c-1002 --of c-2044 --kind guardian --until 2034-05-01T00:00:00Z --proof birth-register-118\n  privet subject representative remove c-1002 --of c-2044"
)]
pub(in crate::cli) enum RepresentativeCommand {
    /// Names somebody who may act for a person until a time.
    Add {
        #[command(flatten)]
        who: WhoArgs,
        /// Whom they act for; the id is in the same space unless `--of-domain` says otherwise.
        #[arg(long, value_name = "ID")]
        of: String,
        /// The space of ids of whom they act for.
        #[arg(long, value_name = "DOMAIN")]
        of_domain: Option<String>,
        /// As what: guardian, next_of_kin or agent.
        #[arg(long)]
        kind: String,
        /// Until when, such as 2034-05-01T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        until: String,
        /// What proves it: the number of a file, and nobody's name.
        #[arg(long, value_name = "REFERENCE")]
        proof: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Takes back that somebody may act for a person.
    Remove {
        #[command(flatten)]
        who: WhoArgs,
        /// Whom they act for.
        #[arg(long, value_name = "ID")]
        of: String,
        /// The space of ids of whom they act for.
        #[arg(long, value_name = "DOMAIN")]
        of_domain: Option<String>,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum Answer {
    /// The person agreed.
    Given,
    /// The person refused, or took consent back.
    Refused,
}
