//! Reading small files, with their size and their permissions checked on the open file.

use std::fs::File;
use std::fs::Metadata;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::NetError;

/// Reads a file of at most `limit` bytes, refusing one that everybody may write or that belongs to
/// somebody else: what it says could be anybody's word.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, NetError> {
    let file = open(path)?;
    check_writers(&about(&file, path)?, path)?;
    read(&file, path, limit)
}

/// Refuses a folder that everybody may put files into, or that belongs to somebody else.
pub fn check_folder(path: &Path) -> Result<(), NetError> {
    let folder = open(path)?;
    check_writers(&about(&folder, path)?, path)
}

/// Reads a file that holds a secret, refusing one that its group or others may read. The bytes are
/// wiped when dropped.
pub fn read_secret(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, NetError> {
    let file = open(path)?;
    // The open file is asked, not the path: the path could name another file by now.
    let about = about(&file, path)?;
    if about.mode() & 0o077 != 0 {
        return Err(NetError::Readable { path: path.to_owned(), mode: about.mode() & 0o7777 });
    }
    check_writers(&about, path)?;
    read(&file, path, limit).map(Zeroizing::new)
}

fn about(file: &File, path: &Path) -> Result<Metadata, NetError> {
    file.metadata().map_err(|source| failed(path, source))
}

fn check_writers(about: &Metadata, path: &Path) -> Result<(), NetError> {
    if about.file_type().is_file() || about.is_dir() {
        let us = rustix::process::geteuid().as_raw();
        return check_owner_and_mode(path, about.uid(), about.mode(), us);
    }
    // A pipe or a device has no contents that somebody could have changed before.
    Ok(())
}

fn check_owner_and_mode(path: &Path, owner: u32, mode: u32, us: u32) -> Result<(), NetError> {
    if mode & 0o002 != 0 {
        return Err(NetError::Writable { path: path.to_owned(), mode: mode & 0o7777 });
    }
    if owner != us && owner != 0 {
        return Err(NetError::Owner { path: path.to_owned(), owner, us });
    }
    Ok(())
}

fn open(path: &Path) -> Result<File, NetError> {
    File::open(path).map_err(|source| failed(path, source))
}

fn read(file: &File, path: &Path, limit: u64) -> Result<Vec<u8>, NetError> {
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(|source| failed(path, source))?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > limit) {
        return Err(NetError::TooLarge { path: path.to_owned(), limit });
    }
    Ok(bytes)
}

fn failed(path: &Path, source: std::io::Error) -> NetError {
    NetError::Read { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of a file with this owner and mode, read by user 7.
    fn said(owner: u32, mode: u32) -> String {
        let checked = check_owner_and_mode(Path::new("etc/x"), owner, mode, 7);
        checked.err().map_or_else(String::new, |error| error.to_string())
    }

    #[test]
    fn only_we_root_and_a_group_they_chose_may_write() {
        for (owner, mode) in [(7, 0o644), (0, 0o644), (7, 0o664), (7, 0o755), (7, 0o600)] {
            assert_eq!(said(owner, mode), "", "{owner} {mode:o}");
        }
        for mode in [0o666, 0o646, 0o777, 0o1777, 0o602] {
            assert!(said(7, mode).contains("chmod o-w etc/x"), "{mode:o}");
        }
        assert!(said(8, 0o644).contains("chown 7 etc/x"), "{}", said(8, 0o644));
    }
}
