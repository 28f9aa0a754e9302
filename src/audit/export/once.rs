//! All entries of a log at once, from its folder alone.

use std::io::Write;
use std::path::Path;

use super::ExportError;
use super::Format;
use super::Writer;
use crate::audit::Filter;
use crate::audit::SearchError;
use crate::audit::folder::Folder;
use crate::audit::search;
use crate::crypto::note::Checkpoint;

/// Writes the entries of the log in `dir` that `filter` lets through, and gives their number. The
/// log may be in use; what is written ends at its published checkpoint.
pub fn export(
    dir: &Path,
    format: Format,
    filter: &Filter,
    to: &mut dyn Write,
) -> Result<u64, ExportError> {
    let writer = Writer::new(format, origin(dir).ok_or(SearchError::NoCheckpoint)?);
    let mut rows = writer.head();
    let mut count = 0;
    for found in search(dir, filter, 0)? {
        let (index, entry) = found?;
        let damaged = |_| ExportError::Damaged { index };
        writer.line(index, &entry, &mut rows).map_err(damaged)?;
        count += 1;
        if rows.len() > CHUNK_BYTES {
            to.write_all(&rows).map_err(ExportError::Write)?;
            rows.clear();
        }
    }
    to.write_all(&rows).and_then(|()| to.flush()).map_err(ExportError::Write)?;
    Ok(count)
}

/// The log's name, as its checkpoint says it. Nothing rests on it, so no signature is asked for.
fn origin(dir: &Path) -> Option<String> {
    let note = Folder::new(dir).checkpoint().ok()??;
    let text = note.split_inclusive("\n\n").next()?.strip_suffix('\n')?;
    Some(Checkpoint::parse(text).ok()?.origin)
}

const CHUNK_BYTES: usize = 256 << 10;
