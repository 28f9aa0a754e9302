//! The command line: parse arguments, run a command, choose the exit code.

mod access;
mod accesses;
mod admin;
mod approval;
mod args;
mod audit;
mod check;
mod claim;
mod consent;
mod demo;
mod diff;
mod exit;
mod export;
mod gaps;
mod hold;
mod inbox;
mod init;
mod job;
mod key;
mod key_status;
mod log;
mod observe;
mod operator;
mod pages;
mod policy;
mod proof;
mod prune;
mod reidentify;
mod rotate;
mod scan;
mod search;
mod serve;
mod store;
mod subject;
mod time;
mod token;
mod transfer;
mod witness;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command, KeyCommand, OperatorCommand, TokenCommand};
use self::exit::Failure;

/// Runs the command that the process was started with.
///
/// Data goes to stdout, talk to stderr. Exit codes: 0 ok, 1 failed, 2 usage, 3 configuration or
/// policy does not compile, 4 policy tests failed, 5 a proof does not verify, 6 refused by policy.
pub fn run() -> ExitCode {
    // clap prints usage errors itself, with "did you mean", and exits with 2.
    let cli = Cli::parse();
    match dispatch(cli.command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(command: Command) -> Result<(), Failure> {
    match command {
        Command::Approval(command) => approval::run(&command),
        Command::Audit(command) => audit::run(&command),
        Command::Check(wish) if wish.live => admin::ready(&wish.config.config),
        Command::Check(wish) => check::run(&wish.config.config),
        Command::Claim(command) => claim::run(&command),
        Command::Consent(command) => consent::run(&command),
        Command::Completions { shell } => pages::completions(shell),
        Command::Demo(wish) => demo::run(&wish),
        Command::Init(wish) => init::run(&wish.dir),
        Command::Job(command) => job::run(command),
        Command::Key(KeyCommand::Init(at)) => key::init(&at.config),
        Command::Key(KeyCommand::Passphrase { new_passphrase_file, config }) => {
            key::passphrase(&config.config, &new_passphrase_file)
        }
        Command::Key(KeyCommand::Status { offline, output, admin }) => {
            key_status::run(offline, output, &admin)
        }
        Command::Key(KeyCommand::Rotate(command)) => rotate::run(command),
        Command::Man => pages::man(),
        Command::Operator(OperatorCommand::Add { name, role, totp, config }) => {
            operator::add(&config.config, &name, &role, totp)
        }
        Command::Hold(command) => hold::run(&command),
        Command::Reidentify(command) => reidentify::run(&command),
        Command::Operator(OperatorCommand::Verify { admin }) => operator::verify(&admin),
        Command::Policy(command) => policy::run(&command),
        Command::Serve(at) => serve::run(&at.config),
        Command::Store(command) => store::run(command),
        Command::Subject(command) => subject::run(command),
        Command::Token(TokenCommand::Explain(at)) => token::explain(&at.config),
        Command::Token(TokenCommand::Mint(wish)) => token::mint(&wish),
        Command::Transfer(command) => transfer::run(&command),
        Command::Witness(command) => witness::run(command),
    }
}
