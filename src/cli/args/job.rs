//! Arguments of `privet job`.

use clap::Subcommand;

use super::{AdminArgs, Shape};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum JobCommand {
    /// Lists jobs, the newest first.
    List {
        /// How to show them.
        #[arg(long, value_enum, default_value_t = Shape::Table)]
        output: Shape,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Shows a job with its report.
    Show {
        /// Its id, or at least four letters of its beginning or end that no other has; ids of the
        /// same hours begin alike, so take the end.
        #[arg(value_name = "JOB")]
        id: String,
        /// How to show it.
        #[arg(long, value_enum, default_value_t = Shape::Table)]
        output: Shape,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Approves a job that another operator requested.
    Approve {
        /// Its id, or part of it.
        #[arg(value_name = "JOB")]
        id: String,
        /// How to show it.
        #[arg(long, value_enum, default_value_t = Shape::Table)]
        output: Shape,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Cancels a job; one that runs ends after the step that is under way.
    Cancel {
        /// Its id, or part of it.
        #[arg(value_name = "JOB")]
        id: String,
        /// How to show it.
        #[arg(long, value_enum, default_value_t = Shape::Table)]
        output: Shape,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Follows a job to its end; exit code 1 when it fails or is cancelled.
    Watch {
        /// Its id, or part of it.
        #[arg(value_name = "JOB")]
        id: String,
        /// A bar for people, or an object a line.
        #[arg(long, value_enum, default_value_t = Shape::Table)]
        output: Shape,
        #[command(flatten)]
        admin: AdminArgs,
    },
}
