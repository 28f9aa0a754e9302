//! Reading small files, with their size and their permissions checked on the open file.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use zeroize::Zeroizing;

use super::NetError;

/// Reads a file of at most `limit` bytes.
pub fn read_bounded(path: &Path, limit: u64) -> Result<Vec<u8>, NetError> {
    read(&open(path)?, path, limit)
}

/// Reads a file that holds a secret, refusing one that its group or others may read. The bytes are
/// wiped when dropped.
pub fn read_secret(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, NetError> {
    let file = open(path)?;
    // The open file is asked, not the path: the path could name another file by now.
    let mode = file.metadata().map_err(|source| failed(path, source))?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(NetError::Readable { path: path.to_owned(), mode: mode & 0o7777 });
    }
    read(&file, path, limit).map(Zeroizing::new)
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
