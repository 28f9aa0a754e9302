//! Arguments of `privet consent`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{AdminArgs, Shape, WhoArgs};

#[derive(Debug, Subcommand)]
#[command(
    before_help = "Examples:\n  privet consent record c-1002 marketing --notice shop/3 --text notice.txt   the person said yes\n  privet consent withdraw c-1002 marketing                    the person took it back\n  privet consent show c-1002 --at 2026-03-01                  what stood on that day\n  privet consent receipt RECORD > receipt.jws                 for the person\n  privet consent keys > receipts.jwks                         the public key, to publish\n  privet consent verify receipt.jws --keys receipts.jwks      check it, offline\n  privet consent import consents.csv                          from another system; again if cut off"
)]
pub(in crate::cli) enum ConsentCommand {
    /// Shows what a person was asked and answered, and what stands now or stood at a time.
    Show {
        #[command(flatten)]
        who: WhoArgs,
        /// What stood at this time, such as 2026-03-01T12:00:00Z.
        #[arg(long, value_name = "TIME")]
        at: Option<String>,
        /// How to show it.
        #[arg(long, value_enum, default_value_t = Sheet::Table)]
        output: Sheet,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Records what a person answered. What was recorded already is not recorded twice.
    Record(Box<RecordArgs>),
    /// Records that a person took consent back, in every record in which it stands.
    Withdraw {
        #[command(flatten)]
        who: WhoArgs,
        /// The consent's name, such as marketing.
        #[arg(value_name = "CONSENT")]
        consent: String,
        /// How the person said so, such as phone.
        #[arg(long, value_name = "TEXT")]
        method: Option<String>,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Records what another system holds, from JSON lines or CSV. Import a file again after it was
    /// cut off: a line that is there already is not recorded twice.
    Import(ConsentImport),
    /// Writes all records, without the ids by which stores know people.
    Export {
        /// How to write them: json, jsonl (one record a line) or csv (one event a line).
        #[arg(long, value_enum, default_value_t = Sheet::Jsonl)]
        output: Sheet,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Prints the signed receipt of a record.
    Receipt {
        /// The record's id.
        #[arg(value_name = "RECORD")]
        record: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Prints what stands of a record as a Kantara consent receipt (KI-CR v1.1.0).
    Kantara {
        /// The record's id.
        #[arg(value_name = "RECORD")]
        record: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Checks a receipt with the public key alone, and shows what it says; exit code 5 when it
    /// does not hold.
    Verify {
        /// The receipt; `-` reads it from standard input.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// The key set that `privet consent keys` printed.
        #[arg(long, value_name = "FILE")]
        keys: PathBuf,
        /// How to show what it says.
        #[arg(long, value_enum, default_value_t = Shape::Table)]
        output: Shape,
    },
    /// Prints the public key of receipts as a JWK set. Publish it, and keep a copy.
    Keys {
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Registers the notices that people are shown, and lists them.
    #[command(subcommand)]
    Notice(NoticeCommand),
}

#[derive(Args, Debug)]
pub(in crate::cli) struct RecordArgs {
    #[command(flatten)]
    pub(in crate::cli) who: WhoArgs,
    /// What was asked, such as marketing; several share one notice. Left out with --file.
    #[arg(value_name = "CONSENT", required_unless_present = "file", conflicts_with = "file")]
    pub(in crate::cli) consents: Vec<String>,
    /// The record as JSON, with everything that ISO/IEC TS 27560 asks for (docs/consent.md).
    #[arg(long, value_name = "FILE")]
    pub(in crate::cli) file: Option<PathBuf>,
    /// What the person answered.
    #[arg(long, value_enum, default_value_t = Said::Given, conflicts_with = "file")]
    pub(in crate::cli) answer: Said,
    /// Until when it is valid, such as 2027-01-01T00:00:00Z.
    #[arg(long, value_name = "TIME", conflicts_with = "file")]
    pub(in crate::cli) until: Option<String>,
    /// The notice the person was shown: its id, a slash, its version.
    #[arg(long, value_name = "ID/VERSION", requires = "text", conflicts_with = "file")]
    pub(in crate::cli) notice: Option<String>,
    /// The text of that notice; its SHA-256 is recorded.
    #[arg(long, value_name = "FILE", requires = "notice")]
    pub(in crate::cli) text: Option<PathBuf>,
    /// The language it was shown in, such as zh-CN.
    #[arg(long, value_name = "LANGUAGE", conflicts_with = "file")]
    pub(in crate::cli) language: Option<String>,
    /// Where the person said it: web, app, api, paper or phone.
    #[arg(long, value_name = "CHANNEL", conflicts_with = "file")]
    pub(in crate::cli) channel: Option<String>,
    /// The regime whose rules hold, such as gdpr or pipl.
    #[arg(long, value_name = "REGIME", conflicts_with = "file")]
    pub(in crate::cli) regime: Option<String>,
    /// Separate consent (单独同意): asked for alone.
    #[arg(long, conflicts_with = "file")]
    pub(in crate::cli) separate: bool,
    /// The name of this attempt, so that it can be repeated; one is made without.
    #[arg(long, value_name = "KEY")]
    pub(in crate::cli) key: Option<String>,
    #[command(flatten)]
    pub(in crate::cli) admin: AdminArgs,
}

#[derive(Args, Debug)]
pub(in crate::cli) struct ConsentImport {
    /// The file; `-` reads JSON lines from standard input.
    #[arg(value_name = "FILE")]
    pub(in crate::cli) file: PathBuf,
    /// How it is written; without, its name says so.
    #[arg(long, value_enum)]
    pub(in crate::cli) format: Option<ImportFormat>,
    #[command(flatten)]
    pub(in crate::cli) admin: AdminArgs,
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum NoticeCommand {
    /// Registers a version of a notice by its text.
    Add {
        /// The notice's id.
        #[arg(value_name = "ID")]
        id: String,
        /// Its version.
        #[arg(value_name = "VERSION")]
        version: String,
        /// Its text, as people are shown it; only its SHA-256 is kept.
        #[arg(value_name = "FILE")]
        text: PathBuf,
        /// The language of the text, such as zh-CN.
        #[arg(long, value_name = "LANGUAGE")]
        language: String,
        /// Where people find it.
        #[arg(long, value_name = "URL")]
        url: Option<String>,
        /// From when it is in force; without, from now on.
        #[arg(long, value_name = "TIME")]
        from: Option<String>,
        /// Purpose, method or kinds of data changed: everybody is asked anew.
        #[arg(long)]
        requires_renewal: bool,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Lists the notices.
    List {
        /// How to show them.
        #[arg(long, value_enum, default_value_t = Sheet::Table)]
        output: Sheet,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(in crate::cli) enum Sheet {
    /// Aligned columns for people.
    Table,
    /// One JSON array.
    Json,
    /// One JSON object a line.
    Jsonl,
    /// For spreadsheets; no cell is a formula.
    Csv,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(in crate::cli) enum ImportFormat {
    /// One JSON object a line.
    Jsonl,
    /// A table whose first line names the columns.
    Csv,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum Said {
    /// Yes.
    Given,
    /// No.
    Refused,
    /// Nothing yet: the person was asked.
    Requested,
}
