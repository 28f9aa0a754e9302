//! `privet init`: a first configuration.

use std::path::Path;

use crate::app;
use crate::app::Plan;
use crate::clock::SystemEntropy;

use super::exit::{Exit, Failure, data};
use super::serve;

/// Fills the folder and says what to do next.
pub(super) fn run(dir: &Path) -> Result<(), Failure> {
    let written = serve::block_on(async {
        let written = app::init(dir, &Plan::default(), &SystemEntropy).await;
        written.map_err(|e| Failure::caused(Exit::Failed, &e))
    })?;
    let mut page = String::new();
    for path in written {
        page.push_str(&format!("wrote {}\n", path.display()));
    }
    let dir = dir.display();
    page.push_str(&format!(
        "\nNext:\n  cd {dir}\n  edit privet.toml: where your store answers (urls = …)\n  \
         privet check && privet policy test\n  privet serve\n\n\
         operator.token lets you use `privet subject …` and the admin listener: keep it safe.\n\
         Back up data/root.key, data/root.passphrase and data/keys, each apart from the others: \
         without them\nno key opens, and nobody can make them again.\n"
    ));
    data(&page)
}
