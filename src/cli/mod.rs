//! The command line: parse arguments, run a command, choose the exit code.

mod args;
mod exit;
mod pages;

use std::process::ExitCode;

use clap::Parser;

use self::args::{Cli, Command};
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
        Command::Completions { shell } => pages::completions(shell),
        Command::Man => pages::man(),
        _ => Ok(()),
    }
}
