//! What may be typed. Examples come first in every help text (clig.dev).

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Tries policies before they are deployed.
    #[command(subcommand)]
    Policy(PolicyCommand),
    /// Makes and reads tokens.
    #[command(subcommand)]
    Token(TokenCommand),
    /// Checks and searches the audit log.
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Sets what stands in a person's card (status, consents, opt-outs), or destroys their key.
    #[command(subcommand)]
    Subject(SubjectCommand),
    /// Moves what a store holds into envelopes, or out of them.
    #[command(subcommand)]
    Store(StoreCommand),
    /// Shows, approves, cancels and follows long work of the running gateway.
    #[command(subcommand)]
    Job(JobCommand),
    /// Makes the keys that everything is sealed with.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Lets people use the admin listener.
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Turns reversible tokens back into values, which takes two operators.
    #[command(subcommand)]
    Reidentify(ReidentifyCommand),
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

#[derive(Debug, Subcommand)]
pub(super) enum PolicyCommand {
    /// Runs every policies/*.test.yaml; exit code 4 when a test fails.
    Test {
        #[command(flatten)]
        config: ConfigArgs,
        /// How to show the results.
        #[arg(long, value_enum, default_value_t = TestOutput::Tree)]
        output: TestOutput,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum KeyCommand {
    /// Makes whatever keys are missing, at the provider of the root key and in the folder of keys.
    /// The gateway must not be running.
    Init(ConfigArgs),
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum TestOutput {
    /// An indented list for people.
    Tree,
    /// JUnit XML for CI.
    Junit,
}

#[derive(Debug, Subcommand)]
pub(super) enum TokenCommand {
    /// Prints a token of the development issuer that `privet init` made.
    Mint(MintArgs),
    /// Says what Privet reads from a token, which is read from standard input.
    Explain(ConfigArgs),
}

#[derive(Args, Clone, Debug)]
pub(super) struct MintArgs {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// A role; may be given several times.
    #[arg(long, value_name = "ROLE")]
    pub(super) role: Vec<String>,
    /// A purpose; may be given several times.
    #[arg(long, value_name = "PURPOSE")]
    pub(super) purpose: Vec<String>,
    /// The id of the person who calls, as the stores know them.
    #[arg(long, value_name = "ID")]
    pub(super) subject_id: Option<String>,
    /// The country the caller is in, such as DE.
    #[arg(long, value_name = "CC")]
    pub(super) region: Option<String>,
    /// The caller has just used a second factor.
    #[arg(long)]
    pub(super) mfa: bool,
    /// The ticket the caller works on.
    #[arg(long, value_name = "TICKET")]
    pub(super) ticket: Option<String>,
    /// Another claim that the issuer's `claims` map, such as team=north; may be given several
    /// times.
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) claim: Vec<String>,
    /// How long the token is good, such as 30m, 1h or 2d.
    #[arg(long, default_value = "1h", value_name = "TIME")]
    pub(super) ttl: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum AuditCommand {
    /// Checks the log's tree and signatures; exit code 5 when they do not hold.
    Verify {
        #[command(flatten)]
        folder: AuditFolder,
        /// A checkpoint kept elsewhere: the log must still contain it.
        #[arg(long, value_name = "FILE")]
        since: Option<PathBuf>,
    },
    /// Lists entries, the newest last.
    Search(SearchArgs),
}

#[derive(Args, Clone, Debug)]
pub(super) struct AuditFolder {
    #[command(flatten)]
    pub(super) config: ConfigArgs,
    /// The log's folder, when there is no configuration at hand.
    #[arg(long, value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// The log's public key, or a file that holds it; needed with --dir.
    #[arg(long, value_name = "KEY")]
    pub(super) key: Option<String>,
}

#[derive(Args, Clone, Debug)]
pub(super) struct SearchArgs {
    #[command(flatten)]
    pub(super) folder: AuditFolder,
    /// Only entries at or after this time, such as 2026-11-21T09:00:00Z.
    #[arg(long, value_name = "TIME")]
    pub(super) from: Option<String>,
    /// Only entries before this time.
    #[arg(long, value_name = "TIME")]
    pub(super) until: Option<String>,
    /// Only this kind: release, outcome, refusal, admin, …
    #[arg(long, value_name = "KIND")]
    pub(super) kind: Option<String>,
    /// Only callers who spoke for this role, as the log shows it.
    #[arg(long, value_name = "ROLE")]
    pub(super) role: Option<String>,
    /// Only this purpose.
    #[arg(long, value_name = "PURPOSE")]
    pub(super) purpose: Option<String>,
    /// Only this data set, such as shop.customers.
    #[arg(long, value_name = "SET")]
    pub(super) data_set: Option<String>,
    /// Only the call with this request or decision id.
    #[arg(long, value_name = "ID")]
    pub(super) request: Option<String>,
    /// Only entries about this person, by the token that `privet subject show` prints.
    #[arg(long, value_name = "TOKEN")]
    pub(super) subject: Option<String>,
    /// At most this many entries, the newest; 0 for all.
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(super) limit: usize,
    /// How to show them.
    #[arg(long, value_enum, default_value_t = Rows::Table)]
    pub(super) output: Rows,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Rows {
    /// Aligned columns for people.
    Table,
    /// One JSON array.
    Json,
    /// One JSON object a line.
    Jsonl,
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

/// Whom a command is about. The id is read from standard input when it is `-`.
#[derive(Args, Clone, Debug)]
pub(super) struct WhoArgs {
    /// The space of ids; needed where the policy has several.
    #[arg(long, value_name = "DOMAIN")]
    pub(super) domain: Option<String>,
    /// The person's id, as the stores know them; `-` reads it from standard input.
    #[arg(value_name = "ID")]
    pub(super) id: String,
}

#[derive(Debug, Subcommand)]
pub(super) enum SubjectCommand {
    /// Shows a person's card.
    Show {
        #[command(flatten)]
        who: WhoArgs,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Sets the status: active, restricted, objected, held, minor, deceased.
    Status {
        #[command(flatten)]
        who: WhoArgs,
        /// The new status.
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
    /// Destroys a person's key: what is sealed with it never opens again. Cannot be undone.
    EraseKey {
        #[command(flatten)]
        who: WhoArgs,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Answer {
    /// The person agreed.
    Given,
    /// The person refused, or took consent back.
    Refused,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Shape {
    /// For people.
    Table,
    /// For programs.
    Json,
}

#[derive(Debug, Subcommand)]
pub(super) enum StoreCommand {
    /// Seals the values of a data set where the store keeps them, or opens them again.
    Backfill(BackfillArgs),
}

#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[derive(Args, Clone, Debug)]
#[command(
    before_help = "Examples:\n  privet store backfill shop.customers --dry-run --wait   say what would change\n  privet store backfill shop.customers                    ask for it; another operator approves\n  privet store backfill shop.customers --decrypt          the way back"
)]
pub(super) struct BackfillArgs {
    /// The data set, such as shop.customers.
    #[arg(value_name = "SET")]
    pub(super) set: String,
    /// Change nothing; report what would change and what cannot.
    #[arg(long)]
    pub(super) dry_run: bool,
    /// Open sealed values, so that the store holds them plain again.
    #[arg(long, conflicts_with_all = ["reseal", "reindex"])]
    pub(super) decrypt: bool,
    /// Seal again, with the newest key, what was sealed with an older one of its person.
    #[arg(long, conflicts_with = "reindex")]
    pub(super) reseal: bool,
    /// Make only the indexes anew.
    #[arg(long)]
    pub(super) reindex: bool,
    /// Write at most so many records in a second.
    #[arg(long, value_name = "N")]
    pub(super) per_second: Option<u32>,
    /// How the list goes on: a parameter of the list's route that takes a field's value of the
    /// last record, such as after=id. Not needed where the route has offset or page.
    #[arg(long, value_name = "PARAMETER=FIELD")]
    pub(super) cursor: Option<String>,
    /// Follow the job to its end and show its report; exit code 1 when it fails.
    #[arg(long)]
    pub(super) wait: bool,
    /// How to show it.
    #[arg(long, value_enum, default_value_t = Shape::Table)]
    pub(super) output: Shape,
    #[command(flatten)]
    pub(super) admin: AdminArgs,
}

#[derive(Debug, Subcommand)]
pub(super) enum ReidentifyCommand {
    /// Asks for the values of tokens; needs --totp.
    Request {
        /// A file with at most 100 tokens, one a line.
        #[arg(value_name = "FILE")]
        tokens: PathBuf,
        /// The purpose they were given out for.
        #[arg(long)]
        purpose: String,
        /// The number of the case. It stays in the audit log.
        #[arg(long)]
        case: String,
        /// Why it is needed.
        #[arg(long)]
        why: String,
        /// For how many seconds the request may be approved and shown; at most a day.
        #[arg(long, value_name = "SECONDS", default_value_t = 3_600)]
        valid_for: u64,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Agrees to another operator's request; needs --totp.
    Approve {
        /// Its id.
        id: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Fetches the values of your approved request. They are given out once.
    Show {
        /// Its id.
        id: String,
        #[command(flatten)]
        admin: AdminArgs,
    },
}

#[derive(Debug, Subcommand)]
pub(super) enum JobCommand {
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
        /// Its id, or at least four letters of its beginning or end that no other has.
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

#[derive(Debug, Subcommand)]
pub(super) enum OperatorCommand {
    /// Adds an operator and prints their token, once.
    Add {
        /// Their name, as the audit log will show it.
        name: String,
        /// What they may do.
        #[arg(long, default_value = "auditor", value_name = "ROLE")]
        role: String,
        /// Also sets up a second factor: prints the address that authenticator apps read, once.
        #[arg(long)]
        totp: bool,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Asks the running gateway whether the code of --totp is yours; uses it up.
    Verify {
        #[command(flatten)]
        admin: AdminArgs,
    },
}
