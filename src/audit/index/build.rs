//! Makes the index of a segment from its entries, in bounded memory.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs;
use std::fs::DirBuilder;
use std::fs::File;
use std::fs::OpenOptions;
use std::io;
use std::io::BufReader;
use std::io::BufWriter;
use std::io::Read;
use std::io::Seek;
use std::io::Write;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering;

use rustix::fs::FlockOperation;
use rustix::fs::flock;

use crate::audit::Entry;
use crate::audit::folder::Folder;
use crate::crypto::merkle::fold;
use crate::crypto::merkle::leaf;
use crate::crypto::sha256;
use crate::protocol::tlog;
use crate::protocol::tlog::Tile;

use super::BUNDLE;
use super::IndexError;
use super::SEGMENT;
use super::bundle_hashes;
use super::file::Writer;
use super::folder_of;
use super::name_of;
use super::terms::Term;
use super::terms::Terms;

/// Indexes segments of one log.
#[derive(Debug)]
pub(in crate::audit) struct Builder {
    folder: Folder,
    root: PathBuf,
    /// Bytes that are left free for the log.
    min_free: u64,
    stop: Arc<AtomicBool>,
    terms: Terms,
    /// Terms and places that are not sorted yet.
    pairs: Vec<(Term, u16)>,
    /// How many of them are sorted at once.
    at_once: usize,
}

impl Builder {
    /// For the log in `dir`. Ends early once `stop` is set.
    pub(in crate::audit) fn new(dir: &Path, min_free: u64, stop: Arc<AtomicBool>) -> Self {
        Self {
            folder: Folder::new(dir),
            root: folder_of(dir),
            min_free,
            stop,
            terms: Terms::default(),
            pairs: Vec::new(),
            at_once: AT_ONCE,
        }
    }

    /// Sorts fewer at once, so that a test sees what many entries do.
    #[cfg(test)]
    pub(in crate::audit) fn sorting(self, at_once: usize) -> Self {
        Self { at_once, ..self }
    }

    /// The folder of the index.
    pub(in crate::audit) fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the index of the full bundles of a segment, of a log with `size` entries, and puts it
    /// in the place of an older one. Gives how many entries it covers. Waits for whoever else is
    /// at it.
    pub(in crate::audit) fn build(&mut self, segment: u64, size: u64) -> Result<u32, IndexError> {
        let root = self.root.clone();
        let failed = |source| IndexError::Io { dir: root.clone(), source: Arc::new(source) };
        make_folder(&root).map_err(failed)?;
        let stat = rustix::fs::statvfs(&root).map_err(|errno| failed(errno.into()))?;
        if stat.f_bavail.saturating_mul(stat.f_frsize) < self.min_free {
            return Err(IndexError::NoSpace);
        }
        let lock = open(&root.join(LOCK)).map_err(failed)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|errno| failed(errno.into()))?;
        let hashes = bundle_hashes((&self.folder, size), segment).map_err(failed)?;
        let minimum = self.folder.minimum();
        let mut made = Made { root: &root, runs: Vec::new(), times: Vec::new() };
        self.pairs.clear();
        for (bundle, hash) in (0..).zip(&hashes) {
            let first = segment * SEGMENT + bundle * BUNDLE;
            if first < minimum {
                // Pruned: it is in no time and has no words.
                made.times.push((u64::MAX, 0));
                continue;
            }
            self.bundle(first, hash, &mut made)?;
            if self.pairs.len() >= self.at_once {
                made.spill(&mut self.pairs).map_err(failed)?;
            }
        }
        let stamp = sha256(hashes.as_flattened());
        let entries = made.finish(&mut self.pairs, (segment, stamp)).map_err(failed)?;
        drop(lock);
        Ok(entries)
    }

    /// Adds a bundle, when it is the one the log has the hash of.
    fn bundle(
        &mut self,
        first: u64,
        hash: &[u8; 32],
        made: &mut Made<'_>,
    ) -> Result<(), IndexError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(IndexError::Stopped);
        }
        let damaged = |index| IndexError::Damaged { index };
        let tile = Tile::entries(first / BUNDLE, tlog::FULL);
        let bytes = self.folder.tile(tile).map_err(|source| IndexError::Io {
            dir: self.root.clone(),
            source: Arc::new(source),
        })?;
        let bytes = bytes.ok_or_else(|| damaged(first))?;
        let (mut leaves, mut found) = (Vec::new(), Vec::new());
        let mut times = (u64::MAX, 0);
        for (index, entry) in (first..).zip(tlog::entries(&bytes)) {
            let entry = entry.map_err(|_| damaged(index))?;
            leaves.push(leaf(entry));
            let entry = Entry::from_bytes(entry).map_err(|_| damaged(index))?;
            let time = entry.time.unix_ms();
            times = (times.0.min(time), times.1.max(time));
            found.clear();
            self.terms.of_entry(&entry, &mut found);
            let place = u16::try_from(index % SEGMENT).map_err(|_| damaged(index))?;
            self.pairs.extend(found.iter().map(|term| (*term, place)));
        }
        if leaves.len() != usize::from(tlog::FULL) || fold(&leaves) != *hash {
            return Err(damaged(first));
        }
        made.times.push(times);
        Ok(())
    }
}

/// What was made of a segment so far.
struct Made<'a> {
    root: &'a Path,
    /// Files of sorted pairs.
    runs: Vec<File>,
    /// The earliest and the latest time of each bundle.
    times: Vec<(u64, u64)>,
}

impl Made<'_> {
    /// Sorts what was collected into a file of its own, which has no name any more.
    fn spill(&mut self, pairs: &mut Vec<(Term, u16)>) -> io::Result<()> {
        let path = self.root.join(format!("{NEW}-{}", self.runs.len()));
        let mut file = open(&path)?;
        fs::remove_file(&path)?;
        pairs.sort_unstable();
        pairs.dedup();
        let mut writer = BufWriter::new(&file);
        for (term, place) in pairs.drain(..) {
            writer.write_all(&term.to_le_bytes())?;
            writer.write_all(&place.to_le_bytes())?;
        }
        writer.flush()?;
        drop(writer);
        file.rewind()?;
        self.runs.push(file);
        Ok(())
    }

    /// Writes the index and puts it in place.
    fn finish(
        self,
        pairs: &mut Vec<(Term, u16)>,
        (segment, stamp): (u64, [u8; 32]),
    ) -> io::Result<u32> {
        pairs.sort_unstable();
        let new = self.root.join(NEW);
        let file = open(&new)?;
        let bundles = u32::try_from(self.times.len()).unwrap_or(0);
        let mut writer = Writer::new(file, bundles)?;
        let mut runs: Vec<Run> = self.runs.into_iter().map(Run::new).collect();
        let mut heap = BinaryHeap::new();
        for (number, run) in runs.iter_mut().enumerate() {
            heap.extend(run.next()?.map(|pair| Reverse((pair, number))));
        }
        let mut rest = pairs.iter().copied().peekable();
        loop {
            let from_rest = match (heap.peek(), rest.peek()) {
                (None, None) => break,
                (None, Some(_)) => true,
                (Some(_), None) => false,
                (Some(Reverse((least, _))), Some(pair)) => pair <= least,
            };
            let pair = if from_rest {
                rest.next()
            } else {
                let Some(Reverse((pair, number))) = heap.pop() else { break };
                if let Some(run) = runs.get_mut(number) {
                    heap.extend(run.next()?.map(|pair| Reverse((pair, number))));
                }
                Some(pair)
            };
            if let Some((term, place)) = pair {
                writer.add(term, place)?;
            }
        }
        writer.finish((segment, stamp), &self.times)?;
        pairs.clear();
        fs::rename(&new, self.root.join(name_of(segment)))?;
        Ok(bundles * u32::from(tlog::FULL))
    }
}

/// Sorted pairs in a file.
struct Run(BufReader<File>);

impl Run {
    fn new(file: File) -> Self {
        Self(BufReader::with_capacity(64 << 10, file))
    }

    fn next(&mut self) -> io::Result<Option<(Term, u16)>> {
        let (mut term, mut place) = ([0; 8], [0; 2]);
        match self.0.read_exact(&mut term) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            read => read?,
        }
        self.0.read_exact(&mut place)?;
        Ok(Some((Term::from_le_bytes(term), u16::from_le_bytes(place))))
    }
}

// As readable as the log itself.
fn make_folder(root: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o750).create(root)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o640).open(path)
}

/// The file that keeps others away while one writes.
pub(super) const LOCK: &str = "lock";
/// A file that is being written.
const NEW: &str = "new";
/// About 32 MiB.
const AT_ONCE: usize = 2 << 20;
