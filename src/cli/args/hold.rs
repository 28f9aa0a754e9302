//! Arguments of `privet hold`.

use clap::Subcommand;

use super::AdminArgs;
use super::WhoArgs;

#[derive(Debug, Subcommand)]
#[command(
    before_help = "Examples:\n  privet hold add c-1002 --case 2026-113 --why \"claim before the county court\"\n  privet hold add c-1002 --case 2026-113 --why \"limitation\" --until 2028-01-01T00:00:00Z\n  privet hold list                 all holds, without saying whose\n  privet hold list c-1002          those on one person's data\n  privet hold release HOLD --why \"settled\""
)]
pub(in crate::cli) enum HoldCommand {
    /// Places a hold: the person's data is neither changed nor removed, and their key is kept.
    Add {
        #[command(flatten)]
        who: WhoArgs,
        /// The number of the case. It stays in the audit log.
        #[arg(long)]
        case: String,
        /// Why the data is kept.
        #[arg(long)]
        why: String,
        /// When the hold ends by itself, such as 2028-01-01T00:00:00Z.
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Lists holds, also those that have run out.
    List {
        /// Only those on the data of this person; `-` reads the id from standard input.
        #[arg(value_name = "ID")]
        who: Option<String>,
        /// The space of ids; needed where the policy has several.
        #[arg(long, value_name = "DOMAIN", requires = "who")]
        domain: Option<String>,
        #[command(flatten)]
        admin: AdminArgs,
    },
    /// Ends a hold.
    Release {
        /// Its id, as `privet hold list` shows it.
        hold: String,
        /// Why it is no longer needed. It stays in the audit log: name nobody.
        #[arg(long)]
        why: String,
        /// Whose it is: only for one that an earlier release placed as a status.
        #[arg(long, value_name = "ID")]
        of: Option<String>,
        /// The space of that id; needed where the policy has several.
        #[arg(long, value_name = "DOMAIN", requires = "of")]
        domain: Option<String>,
        #[command(flatten)]
        admin: AdminArgs,
    },
}
