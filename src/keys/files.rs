//! Reading and writing files that only this process may see.

use std::ffi::OsString;
use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::Read;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::fs::OFlags;
use zeroize::Zeroizing;

use super::error::KeysError;

/// Reads a secret text. Refuses links, devices, long files and files others may read.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    // Without `NONBLOCK`, opening a pipe would wait for somebody to write to it.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => KeysError::Missing { path: path.to_path_buf() },
        _ if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            KeysError::Plain { path: path.to_path_buf() }
        }
        _ => KeysError::io("read", path)(error),
    })?;
    let about = file.metadata().map_err(KeysError::io("read", path))?;
    if !about.is_file() || !usize::try_from(about.len()).is_ok_and(|len| len < MAX_BYTES) {
        return Err(KeysError::Plain { path: path.to_path_buf() });
    }
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(KeysError::Open { path: path.to_path_buf(), mode });
    }
    // Room for everything at once: a string that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(MAX_BYTES));
    file.take(about.len()).read_to_string(&mut text).map_err(KeysError::io("read", path))?;
    Ok(text)
}

/// Refuses a program that is not there, or that everybody may change.
pub(super) fn require_program(path: &Path) -> Result<(), KeysError> {
    let about = fs::metadata(path).map_err(KeysError::io("read", path))?;
    let mode = about.permissions().mode() & 0o777;
    if mode & 0o002 != 0 {
        return Err(KeysError::Writable { path: path.to_path_buf(), mode });
    }
    if about.is_file() { Ok(()) } else { Err(KeysError::Plain { path: path.to_path_buf() }) }
}

/// Writes a secret text under a name that nothing has, and makes it durable.
pub(super) fn create(path: &Path, text: &str) -> Result<(), KeysError> {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(".new");
    let fresh = path.with_file_name(name);
    let write = || {
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // A link, unlike a rename, never replaces a key that appeared meanwhile.
        fs::hard_link(&fresh, path)?;
        fs::remove_file(&fresh)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
    };
    write().map_err(KeysError::io("write", path))
}

/// Makes a folder that only this process may enter, and those above it.
pub(super) fn create_folder(path: &Path) -> Result<(), KeysError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(KeysError::io("make", path))
}

const MAX_BYTES: usize = 4_096;
