//! How far the ledger of tombstones has come, kept in a file of its own apart from everything
//! else: where all of it is restored from an older copy, this is what remembers.

use std::fs;
use std::io;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::PoisonError;

use super::error::KeysError;
use super::files;
use super::ledger::HighWater;

/// The file, and what it says.
pub(super) struct Kept {
    path: PathBuf,
    /// Says, among the keys, that there is such a file.
    note: PathBuf,
    last: Mutex<Option<HighWater>>,
}

impl Kept {
    /// Reads the file at `path`. Nobody has written it yet where it is missing and `dir`, the
    /// folder of keys, knows of none; an empty one accepts whatever ledger there is.
    pub(super) fn read(path: &Path, dir: &Path) -> Result<(Self, HighWater), KeysError> {
        let note = dir.join(NOTE);
        let last = match fs::read_to_string(path) {
            Ok(text) if text.is_empty() => {
                tracing::warn!(
                    "the ledger of tombstones is taken as it is: nothing says how far it had come"
                );
                None
            }
            Ok(text) => Some(parse(&text).ok_or_else(|| damaged(path))?),
            Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(damaged(path)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(KeysError::io("read", path)(error));
            }
            Err(_) if note.exists() => {
                return Err(KeysError::KeptMissing { path: path.to_path_buf() });
            }
            Err(_) => None,
        };
        let kept = Self { path: path.to_path_buf(), note, last: Mutex::new(last) };
        Ok((kept, last.unwrap_or(HighWater::NONE)))
    }

    /// Writes down how far the ledger has come, durably. Blocks.
    pub(super) fn keep(&self, now: HighWater) -> Result<(), KeysError> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if *last != Some(now) {
            files::replace(&self.path, &line(now))?;
            *last = Some(now);
        }
        // After it: whoever finds the note may rely on the file.
        if self.note.exists() { Ok(()) } else { files::replace(&self.note, NOTED) }
    }
}

fn damaged(path: &Path) -> KeysError {
    KeysError::KeptDamaged { path: path.to_path_buf() }
}

fn line(mark: HighWater) -> String {
    format!("{TITLE}{mark}\n")
}

fn parse(text: &str) -> Option<HighWater> {
    let mark = text.strip_prefix(TITLE)?.strip_suffix('\n')?.parse().ok()?;
    (line(mark) == text).then_some(mark)
}

const TITLE: &str = "privet-high-water/v1 ";
const NOTE: &str = "high-water-kept";
const NOTED: &str = "The high-water mark of `tombstones` is kept where `keys.high_water` says.\n";

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn mark(count: u64) -> HighWater {
        HighWater { count, code: [7; 32] }
    }

    #[test]
    fn what_is_kept_is_read_again_and_nothing_else_is_taken_for_it() {
        let home = TempDir::new().unwrap();
        let (path, dir) = (home.path().join("mark"), home.path().join("keys"));
        fs::create_dir(&dir).unwrap();
        let read = || Kept::read(&path, &dir);
        let (kept, known) = read().unwrap();
        assert_eq!(known, HighWater::NONE);
        kept.keep(mark(3)).unwrap();
        assert_eq!(read().unwrap().1, mark(3));
        let text = fs::read_to_string(&path).unwrap();
        for wrong in [
            text.trim_end().to_owned(),
            text.replace(" 3 ", " 03 "),
            text.replace(" 3 ", " -3 "),
            text.replace("07", "0G"),
            text.replace("v1", "v2"),
            format!("{text}\n"),
            "\n".to_owned(),
        ] {
            fs::write(&path, &wrong).unwrap();
            assert!(matches!(read(), Err(KeysError::KeptDamaged { .. })), "{wrong:?}");
        }
        fs::write(&path, [0xff, 0xfe]).unwrap();
        assert!(matches!(read(), Err(KeysError::KeptDamaged { .. })));
        fs::remove_file(&path).unwrap();
        assert!(matches!(read(), Err(KeysError::KeptMissing { .. })));
        fs::write(&path, "").unwrap();
        assert_eq!(read().unwrap().1, HighWater::NONE, "somebody has said so");
    }
}
