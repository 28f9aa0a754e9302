//! Arguments of `privet store`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{AdminArgs, ConfigArgs, Shape};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum StoreCommand {
    /// Seals the values of a data set where the store keeps them, or opens them again.
    Backfill(BackfillArgs),
    /// Shows fields that were seen in answers and that no policy lists.
    Inbox(InboxArgs),
    /// Drafts a data section from a dataset file of Fides.
    Import(ImportArgs),
    /// Drafts a data section from an OpenAPI description and sampled answers; keeps no values.
    Scan(ScanArgs),
}

#[derive(Args, Clone, Debug)]
#[command(
    before_help = "Examples:\n  privet store import .fides/dataset.yml --store shop > draft.yaml\n\nCategories are taken over; routes, grants and whom records are about are for you to say."
)]
pub(in crate::cli) struct ImportArgs {
    /// The file, with `dataset:` in it.
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    /// What the store is called in privet.toml.
    #[arg(long, value_name = "NAME")]
    pub(in crate::cli) store: String,
}

#[derive(Args, Clone, Debug)]
#[command(
    before_help = "Examples:\n  privet store scan shop --openapi openapi.json            what a file describes\n  privet store scan shop --openapi /openapi.json --sample 50\n                                                          what the store describes, and 50 records of each list\n  privet store scan shop --list /customers --sample 50    a store without a description\n  privet store scan crm --url http://127.0.0.1:7001 --list /people --sample 20\n                                                          a store that is not in privet.toml yet\n\nThe draft is written to stdout. It holds names and counts, never a value that was read."
)]
pub(in crate::cli) struct ScanArgs {
    /// The store, as privet.toml names it; with --url, what it is to be called.
    #[arg(value_name = "STORE")]
    pub(in crate::cli) store: String,
    /// The OpenAPI description: a file (JSON or YAML), or its path at the store, such as
    /// /openapi.json.
    #[arg(long, value_name = "FILE|PATH")]
    pub(in crate::cli) openapi: Option<String>,
    /// A list to sample that no description names, such as /customers. May be given several times.
    #[arg(long, value_name = "PATH")]
    pub(in crate::cli) list: Vec<String>,
    /// Read so many records of each list and look at their values; none is kept or shown.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(in crate::cli) sample: usize,
    /// Where the store answers, instead of what privet.toml says.
    #[arg(long, value_name = "URL")]
    pub(in crate::cli) url: Option<String>,
    /// A file with the bearer token for --url.
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(in crate::cli) bearer_file: Option<PathBuf>,
    /// The authorities believed for --url, in PEM; without it the system's.
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(in crate::cli) ca: Option<PathBuf>,
    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,
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

#[derive(Args, Clone, Debug)]
#[command(
    before_help = "Examples:\n  privet store inbox                                       lines for `fields:`, with a guess each\n  privet store inbox --data shop.customers --output table\n  privet store inbox --data shop.customers dismiss shadow  show that one no more",
    subcommand_negates_reqs = true
)]
pub(in crate::cli) struct InboxArgs {
    #[command(subcommand)]
    pub(in crate::cli) command: Option<InboxCommand>,
    /// Of this data set alone, such as shop.customers.
    #[arg(long, value_name = "SET")]
    pub(in crate::cli) data: Option<String>,
    /// Those that were dismissed, too.
    #[arg(long)]
    pub(in crate::cli) all: bool,
    /// How to show it.
    #[arg(long, value_enum, default_value_t = InboxShape::Yaml)]
    pub(in crate::cli) output: InboxShape,
    #[command(flatten)]
    pub(in crate::cli) admin: AdminArgs,
}

#[derive(Clone, Debug, Subcommand)]
pub(in crate::cli) enum InboxCommand {
    /// Shows a field no more, or all fields of the data set.
    Dismiss {
        /// The field, as the inbox shows it; without one, all of the data set.
        #[arg(value_name = "FIELD")]
        path: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum InboxShape {
    /// Lines to paste under `fields:`.
    Yaml,
    /// For people.
    Table,
    /// For programs.
    Json,
}
