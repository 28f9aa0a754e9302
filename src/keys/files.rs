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
use std::os::unix::fs::MetadataExt;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::path::PathBuf;

use rustix::fs::CWD;
use rustix::fs::FlockOperation;
use rustix::fs::OFlags;
use rustix::fs::RenameFlags;
use rustix::io::Errno;
use zeroize::Zeroizing;

use super::error::KeysError;
use crate::clock::Entropy;

/// Reads a secret text. Refuses links, devices, long files and files others may read.
pub(super) fn read(path: &Path) -> Result<Zeroizing<String>, KeysError> {
    // Without `NONBLOCK`, opening a pipe would wait for somebody to write to it.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let flags = i32::try_from(flags.bits()).unwrap_or(0);
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = file.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => KeysError::Missing { path: path.to_path_buf() },
        _ if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
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
    let fresh = beside(path, ".new");
    let write = || {
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        step()?;
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&fresh)?;
        step()?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        step()?;
        // A link, unlike a rename, never replaces a key that appeared meanwhile.
        fs::hard_link(&fresh, path)?;
        step()?;
        fs::remove_file(&fresh)?;
        sync_folder_of(path)
    };
    write().map_err(KeysError::io("write", path))
}

/// Writes a text in the place of another, and makes it durable: after an error either may stand.
pub(super) fn replace(path: &Path, text: &str) -> Result<(), KeysError> {
    let fresh = beside(path, ".new");
    write_fresh(&fresh, text).map_err(KeysError::io("write", path))?;
    let write = || {
        step()?;
        fs::rename(&fresh, path)?;
        step()?;
        sync_folder_of(path)
    };
    write().map_err(KeysError::io("write", path))
}

/// As [`replace`], and writes random bytes over what stood there before. Killed in between, the
/// older text is left in a file whose name ends with `.new`.
pub(super) fn exchange(path: &Path, text: &str, entropy: &dyn Entropy) -> Result<(), KeysError> {
    let fresh = beside(path, ".new");
    write_fresh(&fresh, text).map_err(KeysError::io("write", path))?;
    swap(&fresh, path)?;
    shred(&fresh, entropy)
}

/// Gives two files each other's names in one step, and makes that durable. Where the file system
/// cannot, `other` takes the place of `path`, which is then unlinked and not written over.
pub(super) fn swap(other: &Path, path: &Path) -> Result<(), KeysError> {
    let swap = || {
        step()?;
        match rustix::fs::renameat_with(CWD, other, CWD, path, RenameFlags::EXCHANGE) {
            Ok(()) => {}
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => fs::rename(other, path)?,
            Err(error) => return Err(error.into()),
        }
        step()?;
        sync_folder_of(path)
    };
    swap().map_err(KeysError::io("write", path))
}

/// Gives a file another name, durably.
pub(super) fn rename(from: &Path, to: &Path) -> Result<(), KeysError> {
    let rename = || {
        step()?;
        fs::rename(from, to)?;
        step()?;
        sync_folder_of(to)
    };
    rename().map_err(KeysError::io("rename", from))
}

fn write_fresh(fresh: &Path, text: &str) -> io::Result<()> {
    step()?;
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(fresh)?;
    step()?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// Keeps other processes from replacing the root key, for as long as it is held.
pub(super) struct Lock {
    /// Closing it unlocks.
    _folder: File,
}

/// Locks the folder of keys for a change of what wraps them, or refuses.
pub(super) fn lock(dir: &Path) -> Result<Lock, KeysError> {
    let folder = File::open(dir).map_err(KeysError::io("read", dir))?;
    match rustix::fs::flock(&folder, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(Lock { _folder: folder }),
        Err(Errno::WOULDBLOCK) => Err(KeysError::Busy),
        Err(error) => Err(KeysError::io("lock", dir)(error.into())),
    }
}

/// Writes random bytes over a file and unlinks it. A file that is gone already is no error. One
/// that has a second name is needed under that, and is unlinked alone.
pub(super) fn shred(path: &Path, entropy: &dyn Entropy) -> Result<(), KeysError> {
    let about = match fs::symlink_metadata(path) {
        Ok(about) => about,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(KeysError::io("read", path)(error)),
    };
    let mut noise = vec![0; usize::try_from(about.len()).unwrap_or(0).min(MAX_BYTES)];
    entropy.fill(&mut noise).map_err(KeysError::Entropy)?;
    let flags = i32::try_from((OFlags::NOFOLLOW | OFlags::CLOEXEC).bits()).unwrap_or(0);
    let end = || {
        step()?;
        if about.nlink() == 1 {
            let mut file = OpenOptions::new().write(true).custom_flags(flags).open(path)?;
            file.write_all(&noise)?;
            file.sync_all()?;
        }
        step()?;
        fs::remove_file(path)?;
        sync_folder_of(path)
    };
    end().map_err(KeysError::io("destroy", path))
}

/// The path with something after its name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.file_name().map_or_else(OsString::new, OsString::from);
    name.push(suffix);
    path.with_file_name(name)
}

/// Makes the names in the folder of `path` durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Makes a folder that only this process may enter, and those above it.
pub(super) fn create_folder(path: &Path) -> Result<(), KeysError> {
    let mut builder = DirBuilder::new();
    builder.recursive(true).mode(0o700);
    builder.create(path).map_err(KeysError::io("make", path))
}

/// Before each change of the disk: where a test may end the work, as a kill would.
#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "it fails in tests")]
const fn step() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
fn step() -> io::Result<()> {
    LEFT.with(|left| match left.get() {
        None => Ok(()),
        Some(0) => Err(io::Error::other("the test ends the work here")),
        Some(more) => {
            left.set(Some(more - 1));
            Ok(())
        }
    })
}

/// Lets this thread change the disk `steps` more times; all later changes fail.
#[cfg(test)]
pub(super) fn fail_after(steps: Option<u32>) {
    LEFT.with(|left| left.set(steps));
}

#[cfg(test)]
thread_local! {
    static LEFT: std::cell::Cell<Option<u32>> = const { std::cell::Cell::new(None) };
}

const MAX_BYTES: usize = 4_096;
