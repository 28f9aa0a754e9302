//! What may be typed after `privet policy`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::{AdminArgs, ConfigArgs, Shape};

#[derive(Debug, Subcommand)]
#[command(
    before_help = "Examples:\n  privet policy test                                   run policies/*.test.yaml\n  privet policy matrix --role support                  what one role gets of every field\n  privet policy matrix --output html > matrix.html     to print and sign\n  privet policy diff policies new-policies             what becomes wider or narrower\n  privet policy diff policies --running                what a reload would change\n  privet policy explain --as support --for order_support --field shop.customers.email\n  privet policy schema > policy.schema.json            for editors"
)]
pub(in crate::cli) enum PolicyCommand {
    /// Runs every policies/*.test.yaml; exit code 4 when a test fails.
    Test {
        #[command(flatten)]
        config: ConfigArgs,
        /// How to show the results.
        #[arg(long, value_enum, default_value_t = TestOutput::Tree)]
        output: TestOutput,
    },
    /// Prints every cell: what each role gets of each field, for each purpose, and on which
    /// conditions.
    Matrix(MatrixArgs),
    /// Prints exactly the cells that become wider or narrower; exit code 1 when one becomes wider.
    Diff(Box<DiffArgs>),
    /// Says in sentences why a role sees a field as it does, with file and line. It is a question:
    /// the exit code is 0 whatever the answer is.
    Explain(ExplainArgs),
    /// Says what enforcing the policy would change, where it is only observed.
    Observe(ObserveArgs),
    /// Prints the JSON Schema of policies, or of their tests, for editors.
    Schema {
        /// Of which files.
        #[arg(value_enum, default_value_t = SchemaOf::Policy)]
        of: SchemaOf,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum TestOutput {
    /// An indented list for people.
    Tree,
    /// JUnit XML for CI.
    Junit,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum SchemaOf {
    /// Policies: *.yaml.
    Policy,
    /// Their tests: *.test.yaml.
    Test,
}

#[derive(Args, Clone, Debug)]
#[command(
    before_help = "Examples:\n  privet policy observe                                  everything the log has\n  privet policy observe --since 2026-11-01 --data shop.customers\n  privet policy observe --output csv > observed.csv"
)]
pub(in crate::cli) struct ObserveArgs {
    /// Calls from then on, such as 2026-11-01.
    #[arg(long, value_name = "TIME")]
    pub(in crate::cli) since: Option<String>,
    /// Of this data set alone, such as shop.customers.
    #[arg(long, value_name = "SET")]
    pub(in crate::cli) data: Option<String>,
    /// How to show it.
    #[arg(long, value_enum, default_value_t = ObserveOutput::Table)]
    pub(in crate::cli) output: ObserveOutput,
    #[command(flatten)]
    pub(in crate::cli) admin: AdminArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum ObserveOutput {
    /// For people.
    Table,
    /// For programs.
    Json,
    /// For spreadsheets.
    Csv,
}

/// Where policies are.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct PoliciesArgs {
    #[command(flatten)]
    pub(in crate::cli) config: ConfigArgs,
    /// A folder of policies, or one file, instead of those of the configuration.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) policies: Option<PathBuf>,
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct MatrixArgs {
    #[command(flatten)]
    pub(in crate::cli) policies: PoliciesArgs,
    /// Only this role; may be given several times.
    #[arg(long, value_name = "ROLE")]
    pub(in crate::cli) role: Vec<String>,
    /// Only this purpose; may be given several times.
    #[arg(long, value_name = "PURPOSE")]
    pub(in crate::cli) purpose: Vec<String>,
    /// Only this data set; may be given several times.
    #[arg(long, value_name = "DATA")]
    pub(in crate::cli) data: Vec<String>,
    /// How to show it.
    #[arg(long, value_enum, default_value_t = MatrixOutput::Table)]
    pub(in crate::cli) output: MatrixOutput,
    /// In which language.
    #[arg(long, value_enum, default_value_t = Tongue::En)]
    pub(in crate::cli) language: Tongue,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum MatrixOutput {
    /// For people.
    Table,
    /// For spreadsheets.
    Csv,
    /// One page to print and sign.
    Html,
    /// For programs.
    Json,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(in crate::cli) enum Tongue {
    /// English.
    En,
    /// 简体中文.
    #[value(name = "zh-CN", alias = "zh")]
    ZhCn,
}

#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct DiffArgs {
    /// The policies as they are: a folder or a file. With --running: as they are to be.
    #[arg(value_name = "A")]
    pub(in crate::cli) first: PathBuf,
    /// The policies as they are to be.
    #[arg(value_name = "B", conflicts_with = "running")]
    pub(in crate::cli) second: Option<PathBuf>,
    /// Compare with the policy that the gateway runs; takes an operator of the role `officer`.
    #[arg(long)]
    pub(in crate::cli) running: bool,
    /// Exit code 0 even when something becomes wider.
    #[arg(long)]
    pub(in crate::cli) allow_wider: bool,
    /// Tell of every change how many recorded calls, records and people it would have concerned:
    /// the folder of an audit log.
    #[arg(long, value_name = "DIR")]
    pub(in crate::cli) log: Option<PathBuf>,
    /// The public key that the log must be signed with, or a file that holds it.
    #[arg(long, value_name = "KEY", requires = "log")]
    pub(in crate::cli) key: Option<String>,
    /// Only what was recorded from here on, such as 2026-11-21 or 7d.
    #[arg(long, value_name = "TIME", requires = "log")]
    pub(in crate::cli) since: Option<String>,
    /// How to show it.
    #[arg(long, value_enum, default_value_t = Shape::Table)]
    pub(in crate::cli) output: Shape,
    #[command(flatten)]
    pub(in crate::cli) admin: AdminArgs,
}

#[derive(Args, Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact that is given or is not")]
pub(in crate::cli) struct ExplainArgs {
    #[command(flatten)]
    pub(in crate::cli) policies: PoliciesArgs,
    /// The one role that the caller holds.
    #[arg(long = "as", value_name = "ROLE")]
    pub(in crate::cli) role: String,
    /// The purpose of the call.
    #[arg(long = "for", value_name = "PURPOSE")]
    pub(in crate::cli) purpose: String,
    /// The data set and the field, such as shop.customers.email.
    #[arg(long, value_name = "FIELD")]
    pub(in crate::cli) field: String,
    /// What is done: read, create, update, delete.
    #[arg(long, default_value = "read", value_name = "ACTION")]
    pub(in crate::cli) action: String,
    /// The country the caller is in.
    #[arg(long, value_name = "CC")]
    pub(in crate::cli) region: Option<String>,
    /// The country whose law holds for the record.
    #[arg(long, value_name = "CC")]
    pub(in crate::cli) record_region: Option<String>,
    /// The caller has just shown a second factor.
    #[arg(long)]
    pub(in crate::cli) mfa: bool,
    /// The caller has a ticket.
    #[arg(long)]
    pub(in crate::cli) ticket: bool,
    /// What grants ask to be approved is approved, or glass was broken for it.
    #[arg(long)]
    pub(in crate::cli) cleared: bool,
    /// The caller sends `Sec-GPC: 1`.
    #[arg(long)]
    pub(in crate::cli) gpc: bool,
    /// Whom the data is passed to.
    #[arg(long, value_name = "RECIPIENT")]
    pub(in crate::cli) recipient: Option<String>,
    /// The record is about the caller.
    #[arg(long)]
    pub(in crate::cli) is_subject: bool,
    /// As what the caller may act for the person: guardian, next_of_kin or agent.
    #[arg(long, value_name = "KIND")]
    pub(in crate::cli) acts_as: Option<String>,
    /// The record's fields equal the claims that `rows` ask for.
    #[arg(long)]
    pub(in crate::cli) rows: bool,
    /// The person agreed to what the purpose asks.
    #[arg(long)]
    pub(in crate::cli) consent: bool,
    /// The person opted out.
    #[arg(long)]
    pub(in crate::cli) opted_out: bool,
    /// What stands against the use of the person's data, such as restricted or minor,held.
    #[arg(long, default_value = "active", value_name = "STATUS")]
    pub(in crate::cli) status: String,
    /// How to show it.
    #[arg(long, value_enum, default_value_t = Shape::Table)]
    pub(in crate::cli) output: Shape,
}
