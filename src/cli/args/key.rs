//! Arguments of `privet key`.

use std::path::PathBuf;

use clap::Subcommand;

use super::{AdminArgs, ConfigArgs, Shape, WhoArgs};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeyCommand {
    /// Makes whatever keys are missing, at the provider of the root key and in the folder of keys.
    /// The gateway must not be running.
    Init(ConfigArgs),
    /// Seals the root key's file by another passphrase; the gateway may be running.
    Passphrase {
        /// A file with the new passphrase, of at least 12 bytes, that nobody else may read.
        #[arg(long, value_name = "FILE")]
        new_passphrase_file: PathBuf,
        #[command(flatten)]
        config: ConfigArgs,
    },
    /// Shows what keys there are, their epoch, and what is done with them; no key and no person.
    /// Exit code 1 when the root key does not open what it should.
    Status {
        /// Read the folder of keys of a gateway that does not run, instead of asking one.
        #[arg(long, conflicts_with_all = ["token_file", "totp"])]
        offline: bool,
        /// How to show it.
        #[arg(long, value_enum, default_value_t = Shape::Table)]
        output: Shape,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Puts a new key in the place of one that the running gateway uses.
    #[command(subcommand)]
    Rotate(RotateCommand),
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum RotateCommand {
    /// Replaces the key that wraps everybody's, and destroys it; another operator approves.
    Epoch {
        /// Follow the job to its end; exit code 1 when it fails.
        #[arg(long)]
        wait: bool,
        /// How to show it.
        #[arg(long, value_enum, default_value_t = Shape::Table)]
        output: Shape,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Replaces the root key, at whichever provider holds it; another operator approves.
    Root {
        /// Follow the job to its end; exit code 1 when it fails.
        #[arg(long)]
        wait: bool,
        /// How to show it.
        #[arg(long, value_enum, default_value_t = Shape::Table)]
        output: Shape,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Makes a person's next key: it seals from now on, and those before it still open.
    Subject {
        #[command(flatten)]
        who: WhoArgs,
        /// Follow the job to its end; exit code 1 when it fails.
        #[arg(long)]
        wait: bool,
        /// How to show it.
        #[arg(long, value_enum, default_value_t = Shape::Table)]
        output: Shape,
        #[command(flatten)]
        admin: AdminArgs,
    },
}
