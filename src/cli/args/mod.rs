//! What may be typed. Examples come first in every help text (clig.dev).

mod approval;
mod audit;
mod claim;
mod consent;
mod hold;
mod job;
mod key;
mod operator;
mod policy;
mod reidentify;
mod store;
mod subject;
mod token;
mod transfer;
mod witness;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(super) use self::approval::{ApprovalCommand, CallerArgs, FindingWord, WishArgs};
pub(super) use self::audit::{AuditCommand, AuditFolder, ExportArgs, GapArgs, Rows, SearchArgs};
pub(super) use self::claim::ClaimCommand;
pub(super) use self::consent::{
    ConsentCommand, ConsentImport, ImportFormat, NoticeCommand, RecordArgs, Said, Sheet,
};
pub(super) use self::hold::HoldCommand;
pub(super) use self::job::JobCommand;
pub(super) use self::key::{KeyCommand, RotateCommand};
pub(super) use self::operator::OperatorCommand;
pub(super) use self::policy::{
    DiffArgs, ExplainArgs, MatrixArgs, MatrixOutput, ObserveArgs, ObserveOutput, PoliciesArgs,
    PolicyCommand, SchemaOf, TestOutput, Tongue,
};
pub(super) use self::reidentify::ReidentifyCommand;
pub(super) use self::store::{
    BackfillArgs, ImportArgs, InboxArgs, InboxCommand, InboxShape, ScanArgs, StoreCommand,
};
pub(super) use self::subject::{
    Answer, ReportArgs, RepresentativeCommand, SubjectCommand, WhoArgs,
};
pub(super) use self::token::{MintArgs, TokenCommand};
pub(super) use self::transfer::TransferCommand;
pub(super) use self::witness::WitnessCommand;

/// A privacy and data-governance gateway.
#[derive(Debug, Parser)]
#[command(
    name = "privet",
    version,
    before_help = "Examples:\n  privet demo                      see it work, with made-up people\n  privet init shop                 write a first configuration into ./shop\n  privet check                     list every problem of privet.toml and policies/\n  privet serve                     run the gateway\n  privet policy test               run policies/*.test.yaml",
    after_help = "Exit codes: 0 ok, 1 failed, 2 usage, 3 configuration or policy does not compile,\n4 policy tests failed, 5 a proof does not verify, 6 refused by policy",
    arg_required_else_help = true,
    infer_subcommands = false,
    max_term_width = 100
)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Shows what Privet does with a small shop of made-up people.
    Demo(DemoArgs),
    /// Writes a first configuration: privet.toml, policies, certificates, keys.
    Init(InitArgs),
    /// Lists every problem of the configuration and its policies.
    Check(CheckArgs),
    /// Runs the gateway.
    Serve(ConfigArgs),
    /// Tries, shows and compares policies before they are deployed.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Makes and reads tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Checks and searches the audit log, and proves what is in it.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Co-signs the checkpoints of audit logs, as their witness under other control.
    #[command(subcommand)]
    Witness(WitnessCommand),
    /// Shows or sets what stands in a person's card (status, consents, opt-outs), or destroys
    /// their key.
    #[command(subcommand)]
    Subject(SubjectCommand),
    /// Tells what the log calls somebody who was erased, for legal claims; it takes two operators.
    #[command(subcommand)]
    Claim(ClaimCommand),
    /// Keeps a person's data for a case, whatever else is due: legal holds.
    #[command(subcommand)]
    Hold(HoldCommand),
    /// Records what people agree to, proves it, and moves it in and out.
    #[command(subcommand)]
    Consent(ConsentCommand),
    /// Asks for, gives and reviews what a grant needs besides a role: approvals and broken glass.
    #[command(subcommand)]
    Approval(ApprovalCommand),
    /// Moves what a store holds into envelopes, or out of them.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Shows, approves, cancels and follows long work of the running gateway.
    #[command(subcommand)]
    Job(JobCommand),
    /// Makes and replaces the keys that everything is sealed with.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Lets people use the admin listener.
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Turns reversible tokens back into values, which takes two operators.
    #[command(subcommand)]
    Reidentify(ReidentifyCommand),
    /// Shows whom data is passed to, by which mechanisms, and how many people were counted.
    #[command(subcommand)]
    Transfer(TransferCommand),
    /// Prints shell completions.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
    /// Prints the manual page.
    Man,
}

#[derive(Args, Clone, Debug)]
pub(super) struct ConfigArgs {
    /// The configuration file.
    #[arg(long, default_value = "privet.toml", value_name = "FILE")]
    pub(super) config: PathBuf,
}

#[derive(Args, Clone, Debug)]
pub(super) struct CheckArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// Ask the running gateway whether it is ready, instead; exit code 1 when it is not.
    #[arg(long)]
    pub(super) live: bool,
}

#[derive(Args, Clone, Debug)]
pub(super) struct DemoArgs {
    /// Keep everything in this folder and write DIR/demo.json.
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// Print the table and stop.
    #[arg(long)]
    pub(super) once: bool,
    /// With --once: print JSON instead of the table.
    #[arg(long, requires = "once")]
    pub(super) json: bool,
    /// The first of the ports to use; 0 picks free ones.
    #[arg(long, value_name = "PORT")]
    pub(super) ports: Option<u16>,
}

#[derive(Args, Clone, Debug)]
pub(super) struct InitArgs {
    /// The folder to write into; made when it is missing, and it must hold no privet.toml.
    #[arg(value_name = "DIR")]
    pub(super) dir: PathBuf,
}

/// How to reach the running gateway.
#[derive(Args, Clone, Debug)]
pub(super) struct AdminArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// A file that holds an operator's token (default: operator.token beside the configuration).
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,
    /// The six digits of your authenticator app, where a command asks for your second factor.
    #[arg(long, value_name = "CODE")]
    pub(super) totp: Option<String>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Shape {
    /// For people.
    Table,
    /// For programs.
    Json,
}
