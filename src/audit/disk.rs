//! Every touch of the disk the log makes, in one place, so that tests can fail any of them.

use std::fmt;
use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::ErrorKind;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::FileExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;

use super::AuditError;

/// One kind of touch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    Create,
    Remove,
    Rename,
    Sync,
    Truncate,
    Write,
}

/// What a test wants to go wrong.
#[derive(Debug)]
pub(super) struct Trip {
    /// Bytes that are still written before it fails.
    pub(super) after_bytes: usize,
    /// How it fails.
    pub(super) error: io::Error,
}

/// Asked before each touch with the file's name; production has none.
pub(super) type Hook = Arc<dyn Fn(Step, &str) -> Option<Trip> + Send + Sync>;

/// The folder of the log.
#[derive(Clone)]
pub(super) struct Disk {
    root: PathBuf,
    hook: Option<Hook>,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Disk({})", self.root.display())
    }
}

impl Disk {
    /// Makes the folder when it does not exist.
    pub(super) fn open(root: &Path, hook: Option<Hook>) -> Result<Self, AuditError> {
        let disk = Self { root: root.to_owned(), hook };
        if !root.is_dir() {
            let mut above = root.parent();
            let mut made = vec![root];
            while let Some(folder) = above.filter(|folder| !folder.as_os_str().is_empty()) {
                if folder.is_dir() {
                    break;
                }
                made.push(folder);
                above = folder.parent();
            }
            builder().create(root).map_err(|source| failed("make the folder", "", source))?;
            // A new name is durable only when the folder that holds it is.
            for folder in made {
                let holder = folder.parent().filter(|path| !path.as_os_str().is_empty());
                File::open(holder.unwrap_or(Path::new(".")))
                    .and_then(|file| file.sync_all())
                    .map_err(|source| failed("sync the folder above", "", source))?;
            }
        }
        Ok(disk)
    }

    pub(super) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes a folder below the root, and those above it, durable by name.
    pub(super) fn make_folder(&self, name: &str) -> Result<(), AuditError> {
        self.step(Step::Create, name)?;
        let path = self.root.join(name);
        builder().create(&path).map_err(|source| failed("make the folder", name, source))
    }

    /// Opens a file to read and write, making it when it does not exist.
    pub(super) fn open_file(&self, name: &str) -> Result<File, AuditError> {
        self.step(Step::Create, name)?;
        options()
            .create(true)
            .open(self.root.join(name))
            .map_err(|source| failed("open", name, source))
    }

    pub(super) fn write_at(
        &self,
        (file, name): (&File, &str),
        bytes: &[u8],
        offset: u64,
    ) -> Result<(), AuditError> {
        let failed = |source| failed("write", name, source);
        if let Some(trip) = self.hook.as_ref().and_then(|hook| hook(Step::Write, name)) {
            let torn = bytes.get(..trip.after_bytes).unwrap_or(bytes);
            file.write_all_at(torn, offset).map_err(failed)?;
            return Err(failed(trip.error));
        }
        file.write_all_at(bytes, offset).map_err(failed)
    }

    /// Waits until a file's bytes are on the disk.
    pub(super) fn sync(&self, (file, name): (&File, &str)) -> Result<(), AuditError> {
        self.step(Step::Sync, name)?;
        file.sync_data().map_err(|source| failed("sync", name, source))
    }

    /// Waits until the bytes of a file that was written earlier are on the disk.
    pub(super) fn sync_named(&self, name: &str) -> Result<(), AuditError> {
        let file = File::open(self.root.join(name)).map_err(|e| failed("open", name, e))?;
        self.sync((&file, name))
    }

    pub(super) fn sync_folder(&self, name: &str) -> Result<(), AuditError> {
        self.step(Step::Sync, name)?;
        File::open(self.root.join(name))
            .and_then(|file| file.sync_all())
            .map_err(|source| failed("sync the folder", name, source))
    }

    pub(super) fn set_len(&self, (file, name): (&File, &str), len: u64) -> Result<(), AuditError> {
        self.step(Step::Truncate, name)?;
        file.set_len(len).map_err(|source| failed("cut", name, source))
    }

    /// Puts a whole file in place at once: a reader sees the old one or the new one.
    pub(super) fn replace(&self, name: &str, bytes: &[u8]) -> Result<(), AuditError> {
        self.write_new(name, bytes)?;
        self.place(name)
    }

    /// As [`replace`](Self::replace), and durable when it returns.
    pub(super) fn replace_durably(&self, name: &str, bytes: &[u8]) -> Result<(), AuditError> {
        let file = self.write_new(name, bytes)?;
        self.sync((&file, name))?;
        self.place(name)?;
        self.sync_folder(folder_of(name))
    }

    fn write_new(&self, name: &str, bytes: &[u8]) -> Result<File, AuditError> {
        self.step(Step::Create, name)?;
        let file = options()
            .create(true)
            .truncate(true)
            .open(self.root.join(NEW))
            .map_err(|source| failed("create", name, source))?;
        self.write_at((&file, name), bytes, 0)?;
        Ok(file)
    }

    fn place(&self, name: &str) -> Result<(), AuditError> {
        self.step(Step::Rename, name)?;
        let new = self.root.join(NEW);
        let path = self.root.join(name);
        match fs::rename(&new, &path) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.make_folder(folder_of(name))?;
                fs::rename(&new, &path).map_err(|source| failed("put in place", name, source))
            }
            done => done.map_err(|source| failed("put in place", name, source)),
        }
    }

    /// Whether there is such a file.
    pub(super) fn exists(&self, name: &str) -> bool {
        self.root.join(name).exists()
    }

    /// A file's bytes; `None` when there is no such file.
    pub(super) fn read(&self, name: &str) -> Result<Option<Vec<u8>>, AuditError> {
        match fs::read(self.root.join(name)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(source) => Err(failed("read", name, source)),
        }
    }

    /// The names in a folder, in order; none when there is no such folder.
    pub(super) fn list(&self, name: &str) -> Result<Vec<String>, AuditError> {
        let failed = |source| failed("list", name, source);
        let entries = match fs::read_dir(self.root.join(name)) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut names = Vec::new();
        for entry in entries {
            names.push(entry.map_err(failed)?.file_name().to_string_lossy().into_owned());
        }
        names.sort();
        Ok(names)
    }

    /// Removes a file, or a folder with all it holds; one that is not there is no error.
    pub(super) fn remove(&self, name: &str) -> Result<(), AuditError> {
        self.step(Step::Remove, name)?;
        let path = self.root.join(name);
        let gone = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match gone {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(failed("remove", name, error)),
            _ => Ok(()),
        }
    }

    /// Bytes that may still be written to this disk.
    pub(super) fn free_bytes(&self) -> Result<u64, AuditError> {
        let stat = rustix::fs::statvfs(&self.root)
            .map_err(|errno| failed("ask for the free space of", "", errno.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn step(&self, step: Step, name: &str) -> Result<(), AuditError> {
        match self.hook.as_ref().and_then(|hook| hook(step, name)) {
            Some(trip) => Err(failed("touch", name, trip.error)),
            None => Ok(()),
        }
    }
}

/// The folder part of a name below the root.
pub(super) fn folder_of(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

pub(super) fn failed(action: &'static str, file: &str, source: io::Error) -> AuditError {
    AuditError::Io { action, file: file.to_owned(), source: Arc::new(source) }
}

// Readable by the group, so that an officer's account can check the log without being the gateway.
fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(0o640);
    options
}

fn builder() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o750);
    builder
}

/// Where a file is written before it is put in place. One writer at a time replaces files.
const NEW: &str = ".new";
