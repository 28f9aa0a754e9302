//! `privet audit export`: entries for other programs.

use std::fs::File;
use std::io::BufWriter;
use std::io::Write;
use std::io::stdout;
use std::path::Path;
use std::path::PathBuf;

use crate::audit;
use crate::audit::ExportError;
use crate::audit::Filter;
use crate::audit::Format;
use crate::audit::SearchError;

use super::args::ExportArgs;
use super::audit::no_checkpoint;
use super::audit::readable_folder;
use super::exit::{Exit, Failure, tell};
use super::time;

/// Writes entries to a file, which is there whole or not at all, or to standard output.
pub(super) fn run(wish: &ExportArgs) -> Result<(), Failure> {
    let dir = readable_folder(&wish.folder)?;
    let filter = Filter {
        from: wish.from.as_deref().map(time::moment).transpose()?,
        until: wish.until.as_deref().map(time::moment).transpose()?,
        ..Filter::default()
    };
    let format = Format::from(wish.format);
    let count = match &wish.output {
        Some(path) => to_file(&dir, format, &filter, path)?,
        None => audit::export(&dir, format, &filter, &mut stdout().lock())
            .map_err(|error| told(&dir, &error))?,
    };
    tell(&format!("note: {count} entries"));
    Ok(())
}

fn to_file(dir: &Path, format: Format, filter: &Filter, path: &Path) -> Result<u64, Failure> {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let wrong =
        |e| Failure::new(Exit::Failed, format_args!("cannot write `{}`: {e}", path.display()));
    let mut file = BufWriter::new(File::create(&part).map_err(wrong)?);
    let count = audit::export(dir, format, filter, &mut file).map_err(|error| told(dir, &error))?;
    file.flush().and_then(|()| file.get_ref().sync_all()).map_err(wrong)?;
    std::fs::rename(&part, path).map_err(wrong)?;
    Ok(count)
}

fn told(dir: &Path, error: &ExportError) -> Failure {
    match error {
        ExportError::Search(SearchError::NoCheckpoint) => no_checkpoint(dir),
        error => Failure::caused(Exit::Failed, error),
    }
}
