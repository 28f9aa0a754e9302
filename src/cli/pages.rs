//! Shell completions and the manual page, made from the command definitions.

use clap::CommandFactory;
use clap_complete::Shell;

use super::args::Cli;
use super::exit::{Exit, Failure, data};

/// Prints completions for a shell.
pub(super) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut page = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "privet", &mut page);
    data(&String::from_utf8_lossy(&page))
}

/// Prints the manual page in roff.
pub(super) fn man() -> Result<(), Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(Cli::command())
        .render(&mut page)
        .map_err(|e| Failure::new(Exit::Failed, e))?;
    data(&String::from_utf8_lossy(&page))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_sound() {
        Cli::command().debug_assert();
    }
}
