//! Arguments of `privet audit`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use crate::audit::Format;

use super::{AdminArgs, ConfigArgs, Shape};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum AuditCommand {
    /// Checks the log's tree and signatures, or a proof; exit code 5 when they do not hold.
    Verify {
        #[command(flatten)]
        folder: AuditFolder,
        /// A checkpoint kept elsewhere: the log must still contain it. May be given several times;
        /// the more, the closer the place of a change is known.
        #[arg(long, value_name = "FILE")]
        since: Vec<PathBuf>,
        /// Check this file, which `privet audit prove` or `consistency` wrote, instead of the log.
        /// Needs no log, only the public key.
        #[arg(long, value_name = "FILE")]
        proof: Option<PathBuf>,
        /// The public key of a witness, or a file that holds it: it must have signed. May be given
        /// several times.
        #[arg(long, value_name = "KEY")]
        witness_key: Vec<String>,
    },
    /// Removes old entries; another operator approves. Their hashes stay, so the log, old proofs
    /// and kept checkpoints verify as before.
    Prune {
        /// Those before this time, such as 2025-01-01, or before this index.
        #[arg(long, value_name = "TIME|INDEX")]
        before: String,
        /// Follow the job to its end; exit code 1 when it fails.
        #[arg(long)]
        wait: bool,
        /// How to show it.
        #[arg(long, value_enum, default_value_t = Shape::Table)]
        output: Shape,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Writes a proof that one entry is in the log, for somebody who has only the public key.
    Prove {
        /// Which entry, by the index that `privet audit search` shows.
        index: u64,
        #[command(flatten)]
        folder: AuditFolder,
        /// The file to write, by custom with the ending .tlog-proof; standard output without.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
        /// Prove it under the newest checkpoint that this witness signed, by its public key or a
        /// file that holds it.
        #[arg(long, value_name = "KEY")]
        witness_key: Option<String>,
    },
    /// Writes a proof that one checkpoint continues another: nothing in between was changed.
    Consistency {
        /// The older checkpoint.
        #[arg(value_name = "OLD")]
        old: PathBuf,
        /// The newer checkpoint; the published one without.
        #[arg(value_name = "NEW")]
        new: Option<PathBuf>,
        #[command(flatten)]
        folder: AuditFolder,
        /// The file to write; standard output without.
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Lists times the log does not account for: silence without a stop, a start without a stop
    /// before it, a clock that went back. Exit code 5 when there is one. Reads the entries as they
    /// are; `verify` checks them.
    Gaps(GapArgs),
    /// Writes entries for other programs, from the folder alone: JSONL, CSV or OCSF.
    Export(Box<ExportArgs>),
    /// Makes the index of the log anew, which searches use. Works beside a running gateway, which
    /// keeps the index up to date by itself.
    Reindex(AuditFolder),
    /// Lists entries, the newest last.
    Search(Box<SearchArgs>),
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct AuditFolder {
    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,
    /// The log's folder, when there is no configuration at hand.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) dir: Option<PathBuf>,
    /// The log's public key, or a file that holds it: the log must be signed with it. Checks and
    /// proofs need it with --dir.
    #[arg(long, value_name = "KEY")]
    pub(in crate::cli) key: Option<String>,
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct GapArgs {
    #[command(flatten)]
    pub(in crate::cli) folder: AuditFolder,
    /// Only what reaches into the time from here on, such as 2026-11-21T09:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) from: Option<String>,
    /// Only what began before this time, now without. A log that ends earlier without a stop has a
    /// gap until then.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) until: Option<String>,
    /// The longest silence that is no gap. A running gateway makes an entry every minute.
    #[arg(long, default_value = "3m", value_name = "TIME")]
    pub(in crate::cli) longest: String,
    /// How to show them.
    #[arg(long, value_enum, default_value_t = Rows::Table)]
    pub(in crate::cli) output: Rows,
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct SearchArgs {
    #[command(flatten)]
    pub(in crate::cli) folder: AuditFolder,
    /// Only entries at or after this time, such as 2026-11-21T09:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) from: Option<String>,
    /// Only entries before this time.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) until: Option<String>,
    /// Only this kind: release, outcome, refusal, admin, …
    #[arg(long, value_name = "KIND")]
    pub(in crate::cli) kind: Option<String>,
    /// Only this caller or whom they acted for, by the token that the log shows.
    #[arg(long, value_name = "TOKEN")]
    pub(in crate::cli) actor: Option<String>,
    /// Only callers who spoke for this role, as the log shows it.
    #[arg(long, value_name = "ROLE")]
    pub(in crate::cli) role: Option<String>,
    /// Only this purpose.
    #[arg(long, value_name = "PURPOSE")]
    pub(in crate::cli) purpose: Option<String>,
    /// Only this store.
    #[arg(long, value_name = "STORE")]
    pub(in crate::cli) store: Option<String>,
    /// Only this data set, such as shop.customers.
    #[arg(long, value_name = "SET")]
    pub(in crate::cli) data_set: Option<String>,
    /// Only entries with a field of this category, such as user.contact.email.
    #[arg(long, value_name = "CATEGORY")]
    pub(in crate::cli) category: Option<String>,
    /// Only entries with a field of this level: general, sensitive, critical. With --category or
    /// --view, the same field.
    #[arg(long, value_name = "LEVEL")]
    pub(in crate::cli) level: Option<String>,
    /// Only entries with a field in this form: show, generalize, mask, pseudonymize, ciphertext,
    /// drop.
    #[arg(long, value_name = "VIEW")]
    pub(in crate::cli) view: Option<String>,
    /// Only this decision: permit, refuse.
    #[arg(long, value_name = "DECISION")]
    pub(in crate::cli) decision: Option<String>,
    /// Only the call with this request or decision id.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) request: Option<String>,
    /// Only entries about this person, by the token that `privet subject show` prints.
    #[arg(long, value_name = "TOKEN")]
    pub(in crate::cli) subject: Option<String>,
    /// Only what left under this approval or broken glass, and what was done about it, by its id.
    #[arg(long, value_name = "ID")]
    pub(in crate::cli) clearance: Option<String>,
    /// At most this many entries, the newest; 0 for all.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(in crate::cli) limit: usize,
    /// All entries, the oldest first, shown as they are found.
    #[arg(long, conflicts_with = "cursor")]
    pub(in crate::cli) all: bool,
    /// Go on where a search for the same ended, by what it printed.
    #[arg(long, value_name = "CURSOR")]
    pub(in crate::cli) cursor: Option<String>,
    /// Look at every entry, as if there were no index.
    #[arg(long)]
    pub(in crate::cli) scan: bool,
    /// How to show them.
    #[arg(long, value_enum, default_value_t = Rows::Table)]
    pub(in crate::cli) output: Rows,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum Rows {
    /// Aligned columns for people.
    Table,
    /// One JSON array.
    Json,
    /// One JSON object a line.
    Jsonl,
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct ExportArgs {
    #[command(flatten)]
    pub(in crate::cli) folder: AuditFolder,
    /// How to write them.
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    pub(in crate::cli) format: ExportFormat,
    /// Only entries at or after this time, such as 2026-11-21T09:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) from: Option<String>,
    /// Only entries before this time.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) until: Option<String>,
    /// The file to write; standard output without.
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) output: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum ExportFormat {
    /// A JSON object a line: the entry as the log has it, and its index.
    Jsonl,
    /// A line of values, safe to open in a spreadsheet.
    Csv,
    /// An OCSF event a line, of the class API Activity (6003).
    Ocsf,
}

impl From<ExportFormat> for Format {
    fn from(format: ExportFormat) -> Self {
        match format {
            ExportFormat::Jsonl => Self::Jsonl,
            ExportFormat::Csv => Self::Csv,
            ExportFormat::Ocsf => Self::Ocsf,
        }
    }
}
