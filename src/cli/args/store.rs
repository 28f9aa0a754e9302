//! Arguments of `privet store`.

use clap::{Args, Subcommand};

use super::{AdminArgs, Shape};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum StoreCommand {
    /// Seals the values of a data set where the store keeps them, or opens them again.
    Backfill(BackfillArgs),
}

#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[derive(Args, Clone, Debug)]
#[command(
    before_help = "Examples:\n  privet store backfill shop.customers --dry-run --wait   say what would change\n  privet store backfill shop.customers                    ask for it; another operator approves\n  privet store backfill shop.customers --decrypt          the way back"
)]
pub(in crate::cli) struct BackfillArgs {
    /// The data set, such as shop.customers.
    #[arg(value_name = "SET")]
    pub(in crate::cli) set: String,
    /// Change nothing; report what would change and what cannot.
    #[arg(long)]
    pub(in crate::cli) dry_run: bool,
    /// Open sealed values, so that the store holds them plain again.
    #[arg(long, conflicts_with_all = ["reseal", "reindex"])]
    pub(in crate::cli) decrypt: bool,
    /// Seal again, with the newest key, what was sealed with an older one of its person.
    #[arg(long, conflicts_with = "reindex")]
    pub(in crate::cli) reseal: bool,
    /// Make only the indexes anew.
    #[arg(long)]
    pub(in crate::cli) reindex: bool,
    /// Write at most so many records in a second.
    #[arg(long, value_name = "N")]
    pub(in crate::cli) per_second: Option<u32>,
    /// How the list goes on: a parameter of the list's route that takes a field's value of the
    /// last record, such as after=id. Not needed where the route has offset or page.
    #[arg(long, value_name = "PARAMETER=FIELD")]
    pub(in crate::cli) cursor: Option<String>,
    /// Follow the job to its end and show its report; exit code 1 when it fails.
    #[arg(long)]
    pub(in crate::cli) wait: bool,
    /// How to show it.
    #[arg(long, value_enum, default_value_t = Shape::Table)]
    pub(in crate::cli) output: Shape,
    #[command(flatten)]
    pub(in crate::cli) admin: AdminArgs,
}
