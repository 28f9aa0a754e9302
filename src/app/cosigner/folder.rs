//! The folder of a witness: its key, the logs it watches, and the last checkpoint it signed of each.

use std::fs;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::ErrorKind;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rustix::fs::FlockOperation;
use rustix::fs::flock;
use rustix::io::Errno;
use zeroize::Zeroizing;

use crate::clock::Entropy;
use crate::crypto::Secret;
use crate::crypto::Signer;
use crate::crypto::cosignature::Cosigner;
use crate::crypto::cosignature::WitnessKey;
use crate::crypto::note::Checkpoint;
use crate::crypto::note::NoteError;
use crate::crypto::note::VerifierKey;
use crate::crypto::sha256;
use crate::net;

use super::CosignerError;

/// Makes the folder of a new witness, with a key of its own; gives its public key.
pub fn init(dir: &Path, name: &str, entropy: &dyn Entropy) -> Result<WitnessKey, CosignerError> {
    let mut seed = Zeroizing::new([0; 32]);
    entropy.fill(&mut *seed)?;
    let signer = Cosigner::new(name, Signer::from_seed(&Secret::new(*seed)));
    let public = signer.map_err(CosignerError::Name)?.public().clone();
    if dir.join(KEY).exists() {
        return Err(CosignerError::Taken(dir.join(KEY)));
    }
    let folder = dir.join(SEEN);
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder)
        .map_err(|source| failed("make", &folder, source))?;
    write_new(&dir.join(LOGS), LOGS_HELP, 0o644)?;
    write_new(&dir.join(PUBLIC), &format!("{public}\n"), 0o644)?;
    let secret = Zeroizing::new(format!("{name}\n{}\n", STANDARD.encode(*seed)));
    // Last, because its presence says that the folder is complete.
    write_new(&dir.join(KEY), &secret, 0o600)?;
    sync_folder(dir)?;
    Ok(public)
}

/// The folder of a witness, held by this process.
#[derive(Debug)]
pub(super) struct Folder {
    dir: PathBuf,
    _lock: File,
}

impl Folder {
    /// Takes the folder, or says who is in the way.
    pub(super) fn open(dir: &Path) -> Result<Self, CosignerError> {
        for name in [KEY, SEEN] {
            if !dir.join(name).exists() {
                return Err(CosignerError::NoWitness(dir.join(name)));
            }
        }
        let path = dir.join(LOCK);
        let lock = OpenOptions::new().create(true).append(true).mode(0o600).open(&path);
        let lock = lock.map_err(|source| failed("open", &path, source))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _lock: lock }),
            Err(Errno::WOULDBLOCK) => Err(CosignerError::Busy(dir.to_owned())),
            Err(errno) => Err(failed("lock", &path, errno.into())),
        }
    }

    /// The key it signs with.
    pub(super) fn signer(&self) -> Result<Cosigner, CosignerError> {
        let path = self.dir.join(KEY);
        let bytes = net::read_secret(&path, MAX_KEY_BYTES)?;
        let wrong = || CosignerError::Seed(path.clone());
        let text = std::str::from_utf8(&bytes).map_err(|_| wrong())?;
        let (name, seed) = text.trim_end().split_once('\n').ok_or_else(wrong)?;
        let seed = Zeroizing::new(STANDARD.decode(seed).map_err(|_| wrong())?);
        let seed = Secret::from_slice(&seed).ok_or_else(wrong)?;
        Cosigner::new(name, Signer::from_seed(&seed)).map_err(CosignerError::Name)
    }

    /// The keys of the logs it watches.
    pub(super) fn logs(&self) -> Result<Vec<VerifierKey>, CosignerError> {
        let path = self.dir.join(LOGS);
        let bytes = net::read_bounded(&path, MAX_LOGS_BYTES)?;
        let text = String::from_utf8_lossy(&bytes);
        let mut keys = Vec::new();
        for (line, text) in (1..).zip(text.lines().map(str::trim)) {
            if !text.is_empty() && !text.starts_with('#') {
                let wrong = |source| CosignerError::Key { path: path.clone(), line, source };
                keys.push(VerifierKey::parse(text).map_err(wrong)?);
            }
        }
        if keys.is_empty() { Err(CosignerError::NoLogs(path)) } else { Ok(keys) }
    }

    /// The last checkpoint it signed of a log; `None` when it never signed one.
    pub(super) fn seen(&self, origin: &str) -> Result<Option<Checkpoint>, CosignerError> {
        let path = self.dir.join(SEEN).join(file_of(origin));
        let text = match fs::read_to_string(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            text => text.map_err(|source| failed("read", &path, source))?,
        };
        let wrong = |source| CosignerError::Forgotten { path: path.clone(), source };
        let seen = Checkpoint::parse(&text).map_err(wrong)?;
        match seen.origin == origin {
            true => Ok(Some(seen)),
            false => Err(wrong(NoteError::Checkpoint { what: "it is of another log" })),
        }
    }

    /// Writes down a checkpoint before it is signed; it is on the disk when this returns.
    pub(super) fn remember(&self, checkpoint: &Checkpoint) -> Result<(), CosignerError> {
        let folder = self.dir.join(SEEN);
        let name = file_of(&checkpoint.origin);
        let (new, path) = (folder.join(format!("{name}.new")), folder.join(name));
        let write = || {
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(0o600)
                .open(&new)?;
            file.write_all(checkpoint.to_string().as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, &path)
        };
        write().map_err(|source| failed("write", &path, source))?;
        sync_folder(&folder)
    }
}

fn file_of(origin: &str) -> String {
    sha256(origin.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), CosignerError> {
    let made = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    made.and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()
    })
    .map_err(|source| failed("write", path, source))
}

fn sync_folder(path: &Path) -> Result<(), CosignerError> {
    let synced = File::open(path).and_then(|folder| folder.sync_all());
    synced.map_err(|source| failed("sync", path, source))
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> CosignerError {
    CosignerError::Io { action, path: path.to_owned(), source }
}

const KEY: &str = "witness.key";
const PUBLIC: &str = "witness.pub";
const LOGS: &str = "logs";
const SEEN: &str = "seen";
const LOCK: &str = "lock";

const LOGS_HELP: &str = "# The public keys of the logs this witness watches, one a line: name+hash+base64.\n\
     # A gateway writes its own beside the folder of its log, as audit.pub.\n";

const MAX_KEY_BYTES: u64 = 4096;
const MAX_LOGS_BYTES: u64 = 1 << 20;
