//! The ledger of tombstones: who was erased, kept for ever and outside of every backup.
//!
//! An older copy of the keys or of the state, put back, knows nothing of erasures made since.
//! The ledger does. It holds no id: a person stands in it as an HMAC, under a key of its own, of
//! the key of their records, so it names nobody even to whoever has every other key.
//!
//! Layout: a title line, then entries, oldest first, each length (2) ‖ body ‖ code (32) ‖ CRC-32
//! (4). The body is version (1) ‖ time in ms (8) ‖ subject (32) ‖ count of kids (1) ‖ kids (16
//! each) ‖ request (the rest). The code is an HMAC of the entry's number, the code before it and
//! the body: no entry can be changed, moved, put in or taken out without the key. Integers are
//! big-endian.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::fs::OpenOptions;
use std::io;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::MutexGuard;
use std::sync::PoisonError;
use std::sync::RwLock;

use super::error::KeysError;
use super::files;
use super::subject_keys::RecordKey;
use crate::crypto::Kid;
use crate::crypto::Mac;
use crate::crypto::Secret;
use crate::crypto::derive;
use crate::crypto::same;
use crate::types::Timestamp;

/// How far a ledger had come: how many tombstones, and the code of the last, which depends on
/// all of them. Kept elsewhere, so that an older ledger is noticed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct HighWater {
    /// How many tombstones.
    pub count: u64,
    /// The code of the last; zeros for none.
    pub code: [u8; 32],
}

impl HighWater {
    /// The fact under which entries of the audit log hold it.
    pub const FACT: &'static str = "tombstones";

    /// Of a ledger without a tombstone.
    pub const NONE: Self = Self { count: 0, code: [0; 32] };

    /// As bytes for a row of an engine.
    pub fn encode(&self) -> Vec<u8> {
        [self.count.to_be_bytes().as_slice(), &self.code].concat()
    }

    /// Reads what [`Self::encode`] made.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (count, code) = bytes.split_first_chunk::<8>()?;
        Some(Self { count: u64::from_be_bytes(*count), code: code.try_into().ok()? })
    }
}

impl fmt::Display for HighWater {
    /// Count and code in hexadecimal, as in files and audit entries.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.count)?;
        self.code.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl std::str::FromStr for HighWater {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (count, hex) = text.split_once(' ').ok_or(())?;
        if hex.len() != 64 || !hex.is_ascii() {
            return Err(());
        }
        let mut code = [0; 32];
        for (byte, pair) in code.iter_mut().zip(hex.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| ())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| ())?;
        }
        Ok(Self { count: count.parse().map_err(|_| ())?, code })
    }
}

/// What is written down when a key is destroyed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Tombstone {
    pub(super) time: Timestamp,
    /// What [`Ledger::hash`] makes of the person.
    pub(super) subject: [u8; 32],
    /// The ids of every generation of their key.
    pub(super) kids: Vec<Kid>,
    /// The request that asked for it, in whoever's words.
    pub(super) request: String,
}

/// The ledger, read into memory.
pub(super) struct Ledger {
    subjects: Mac,
    chain: Mac,
    file: Mutex<LedgerFile>,
    /// Everybody who was erased. Asked on every look-up of a card that is not at hand.
    erased: RwLock<HashSet<[u8; 32]>>,
}

struct LedgerFile {
    /// `None`: in memory alone.
    path: Option<PathBuf>,
    /// Where the last whole entry ends. What is beyond was never acknowledged.
    end: u64,
    torn: bool,
    /// A write failed: nobody knows what is on disk until it is read again.
    failed: bool,
    codes: Vec<[u8; 32]>,
    times: Vec<Timestamp>,
}

impl Ledger {
    /// A ledger that is gone at exit.
    pub(super) fn ephemeral(key: &Secret) -> Self {
        Self::of(key, None)
    }

    /// Reads the ledger at `path`; makes an empty one when there is none and `known`, the most
    /// that anybody remembers of it, is nothing. Refuses one that is shorter than `known`, is not
    /// the one that `known` speaks of, or was changed.
    ///
    /// An entry cut short at the end is what a crash leaves of one that nobody was told of. It
    /// does not count, and the next entry takes its place.
    pub(super) fn open(path: &Path, key: &Secret, known: &[HighWater]) -> Result<Self, KeysError> {
        let ledger = Self::of(key, Some(path.to_path_buf()));
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(KeysError::io("read", path)(error)),
        };
        let short_title = TITLE.starts_with(&bytes) && bytes.len() < TITLE.len();
        if !short_title {
            ledger.read(path, &bytes)?;
        }
        for known in known {
            ledger.require(*known)?;
        }
        if short_title {
            begin(path).map_err(KeysError::io("write", path))?;
        }
        Ok(ledger)
    }

    fn of(key: &Secret, path: Option<PathBuf>) -> Self {
        let end = TITLE.len() as u64;
        let (codes, times) = (Vec::new(), Vec::new());
        let file = LedgerFile { path, end, torn: false, failed: false, codes, times };
        Self {
            subjects: Mac::new(&derive(key, &[b"privet/ledger/v1", b"subjects"])),
            chain: Mac::new(&derive(key, &[b"privet/ledger/v1", b"chain"])),
            file: Mutex::new(file),
            erased: RwLock::default(),
        }
    }

    fn read(&self, path: &Path, bytes: &[u8]) -> Result<(), KeysError> {
        let damaged = |entry| KeysError::Ledger { path: path.to_path_buf(), entry };
        let mut rest = bytes.strip_prefix(TITLE).ok_or_else(|| damaged(0))?;
        let mut file = self.file();
        let mut erased = self.erased.write().unwrap_or_else(PoisonError::into_inner);
        while !rest.is_empty() {
            let number = file.codes.len() as u64 + 1;
            let Some(Frame { body, code, after, whole }) = frame(rest).filter(|f| !f.is_torn())
            else {
                // Only the last entry can be cut short; a length that was changed reaches to the
                // end as well, and shows as a ledger that is shorter than what is known of it.
                file.torn = true;
                break;
            };
            let expected = self.code(number, file.last(), body);
            let tombstone = decode(body).filter(|_| same(&expected, code));
            let tombstone = tombstone.filter(|_| whole).ok_or_else(|| damaged(number))?;
            erased.insert(tombstone.subject);
            file.end += (rest.len() - after.len()) as u64;
            file.codes.push(expected);
            file.times.push(tombstone.time);
            rest = after;
        }
        Ok(())
    }

    /// What stands in the ledger for the person whose records have this key.
    pub(super) fn hash(&self, record: &RecordKey) -> [u8; 32] {
        self.subjects.of_parts(&[&record.0])
    }

    /// Whether the person was erased.
    pub(super) fn has(&self, record: &RecordKey) -> bool {
        let erased = self.erased.read().unwrap_or_else(PoisonError::into_inner);
        !erased.is_empty() && erased.contains(&self.hash(record))
    }

    /// How far it has come.
    pub(super) fn high_water(&self) -> HighWater {
        self.file().high_water()
    }

    /// When the tombstone after the first `count` was written.
    pub(super) fn oldest_after(&self, count: u64) -> Option<Timestamp> {
        let file = self.file();
        file.times.get(usize::try_from(count).ok()?).copied()
    }

    /// Refuses when this is not the ledger that `known` speaks of, or an older copy of it.
    pub(super) fn require(&self, known: HighWater) -> Result<(), KeysError> {
        let file = self.file();
        let path = file.path.clone().unwrap_or_default();
        let found = file.codes.len() as u64;
        if known.count > found {
            return Err(KeysError::LedgerShort { path, found, known: known.count });
        }
        let at = usize::try_from(known.count).ok().and_then(|count| count.checked_sub(1));
        let code = at.and_then(|at| file.codes.get(at)).copied().unwrap_or([0; 32]);
        if same(&code, &known.code) {
            Ok(())
        } else {
            Err(KeysError::LedgerForked { path, known: known.count })
        }
    }

    /// Writes a tombstone; `Ok`: it is on disk, and the person counts as erased. Blocks.
    /// An error leaves open whether it will be there after a restart.
    pub(super) fn append(&self, tombstone: &Tombstone) -> Result<HighWater, KeysError> {
        let mut file = self.file();
        let number = file.codes.len() as u64 + 1;
        let body = encode(tombstone);
        let code = self.code(number, file.last(), &body);
        file.append(&framed(&body, &code))?;
        file.codes.push(code);
        file.times.push(tombstone.time);
        let mut erased = self.erased.write().unwrap_or_else(PoisonError::into_inner);
        erased.insert(tombstone.subject);
        Ok(file.high_water())
    }

    fn code(&self, number: u64, before: [u8; 32], body: &[u8]) -> [u8; 32] {
        let number = number.to_be_bytes();
        self.chain.of_parts(&[b"privet/tombstone/v1", &number, &before, body])
    }

    fn file(&self) -> MutexGuard<'_, LedgerFile> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LedgerFile {
    fn last(&self) -> [u8; 32] {
        self.codes.last().copied().unwrap_or([0; 32])
    }

    fn high_water(&self) -> HighWater {
        HighWater { count: self.codes.len() as u64, code: self.last() }
    }

    fn append(&mut self, frame: &[u8]) -> Result<(), KeysError> {
        let Some(path) = &self.path else { return Ok(()) };
        if self.failed {
            return Err(KeysError::LedgerFailed { path: path.clone() });
        }
        self.failed = true;
        let written = || {
            let mut file = OpenOptions::new().append(true).open(path)?;
            if self.torn {
                file.set_len(self.end)?;
            }
            // Somebody else wrote to it, or it was replaced.
            if file.metadata()?.len() != self.end {
                return Err(io::Error::other("it is not as long as this process left it"));
            }
            file.write_all(frame)?;
            file.sync_data()
        };
        written().map_err(KeysError::io("write", path))?;
        (self.failed, self.torn) = (false, false);
        self.end += frame.len() as u64;
        Ok(())
    }
}

/// Makes an empty ledger.
fn begin(path: &Path) -> io::Result<()> {
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(TITLE)?;
    file.sync_all()?;
    files::sync_folder_of(path)
}

fn framed(body: &[u8], code: &[u8; 32]) -> Vec<u8> {
    let len = u16::try_from(body.len()).unwrap_or(u16::MAX).to_be_bytes();
    let mut frame = [len.as_slice(), body, code].concat();
    let crc = crc32fast::hash(&frame);
    frame.extend_from_slice(&crc.to_be_bytes());
    frame
}

/// An entry as it stands in the file.
struct Frame<'a> {
    body: &'a [u8],
    code: &'a [u8; 32],
    after: &'a [u8],
    /// Whether the sum is right.
    whole: bool,
}

impl Frame<'_> {
    /// A wrong sum at the end is a write that was cut; before the end it is damage.
    fn is_torn(&self) -> bool {
        !self.whole && self.after.is_empty()
    }
}

/// The first entry.
fn frame(bytes: &[u8]) -> Option<Frame<'_>> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    let len = usize::from(u16::from_be_bytes(*len));
    let (body, rest) = rest.split_at_checked(len)?;
    let (code, rest) = rest.split_first_chunk::<32>()?;
    let (crc, after) = rest.split_first_chunk::<4>()?;
    let (checked, _) = bytes.split_at_checked(2 + len + 32)?;
    let whole = crc32fast::hash(checked) == u32::from_be_bytes(*crc);
    Some(Frame { body, code, after, whole })
}

fn encode(tombstone: &Tombstone) -> Vec<u8> {
    let mut body = vec![VERSION];
    body.extend_from_slice(&tombstone.time.unix_ms().to_be_bytes());
    body.extend_from_slice(&tombstone.subject);
    let kids = tombstone.kids.iter().take(MAX_KIDS);
    body.push(u8::try_from(kids.len()).unwrap_or(u8::MAX));
    kids.for_each(|kid| body.extend_from_slice(&kid.0));
    body.extend(tombstone.request.bytes().take(MAX_REQUEST));
    body
}

fn decode(body: &[u8]) -> Option<Tombstone> {
    let ([version], rest) = body.split_first_chunk::<1>()?;
    let (time, rest) = rest.split_first_chunk::<8>()?;
    let (subject, rest) = rest.split_first_chunk::<32>()?;
    let ([count], rest) = rest.split_first_chunk::<1>()?;
    let (kids, request) = rest.split_at_checked(usize::from(*count) * 16)?;
    let kids = kids.chunks_exact(16).filter_map(|kid| Some(Kid(kid.try_into().ok()?)));
    (*version == VERSION).then(|| Tombstone {
        time: Timestamp::from_unix_ms(u64::from_be_bytes(*time)),
        subject: *subject,
        kids: kids.collect(),
        request: String::from_utf8_lossy(request).into_owned(),
    })
}

const TITLE: &[u8] = b"privet-tombstones/v1\n";
const VERSION: u8 = 1;
/// As many generations as a record has.
const MAX_KIDS: usize = 255;
/// The longest name of a request.
pub(super) const MAX_REQUEST: usize = 128;

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;

    fn key() -> Secret {
        Secret::new([7; 32])
    }

    fn tombstone(ledger: &Ledger, n: u8) -> Tombstone {
        Tombstone {
            time: Timestamp::from_unix_ms(1_000 + u64::from(n)),
            subject: ledger.hash(&RecordKey([n; 32])),
            kids: vec![Kid([n; 16]), Kid([n + 100; 16])],
            request: format!("request {n}"),
        }
    }

    /// A ledger of `count` tombstones in a folder of its own, and what is known of it.
    fn written(count: u8) -> (TempDir, PathBuf, HighWater) {
        let home = TempDir::new().unwrap();
        let path = home.path().join("tombstones");
        let ledger = Ledger::open(&path, &key(), &[]).unwrap();
        for n in 0..count {
            ledger.append(&tombstone(&ledger, n)).unwrap();
        }
        let known = ledger.high_water();
        (home, path, known)
    }

    fn open(path: &Path, known: HighWater) -> Result<Ledger, KeysError> {
        Ledger::open(path, &key(), &[known])
    }

    /// Where each entry begins, and where the last ends.
    fn edges(bytes: &[u8]) -> Vec<usize> {
        let mut edges = vec![TITLE.len()];
        while *edges.last().unwrap() < bytes.len() {
            let at = *edges.last().unwrap();
            let len = usize::from(u16::from_be_bytes([bytes[at], bytes[at + 1]]));
            edges.push(at + 2 + len + 32 + 4);
        }
        edges
    }

    #[test]
    fn who_was_erased_stays_erased() {
        let (_home, path, known) = written(3);
        let ledger = open(&path, known).unwrap();
        assert_eq!((ledger.high_water(), known.count), (known, 3));
        for n in 0..5 {
            assert_eq!(ledger.has(&RecordKey([n; 32])), n < 3, "{n}");
        }
        assert_eq!(ledger.oldest_after(1), Some(Timestamp::from_unix_ms(1_001)));
        assert_eq!(ledger.oldest_after(3), None);
        ledger.append(&tombstone(&ledger, 9)).unwrap();
        let again = open(&path, ledger.high_water()).unwrap();
        assert!(again.has(&RecordKey([9; 32])) && again.has(&RecordKey([0; 32])));
        again.require(known).unwrap();
    }

    #[test]
    fn every_flipped_bit_is_refused() {
        let (_home, path, known) = written(2);
        let good = fs::read(&path).unwrap();
        for bit in 0..good.len() * 8 {
            let mut bytes = good.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bytes).unwrap();
            assert!(open(&path, known).is_err(), "bit {bit}");
        }
        fs::write(&path, &good).unwrap();
        assert!(open(&path, known).is_ok());
    }

    #[test]
    fn entries_taken_out_put_in_or_moved_are_refused() {
        let (_home, path, known) = written(3);
        let good = fs::read(&path).unwrap();
        let edges = edges(&good);
        let entry = |n: usize| &good[edges[n]..edges[n + 1]];
        for (what, entries) in [
            ("none", vec![]),
            ("the last taken out", vec![entry(0), entry(1)]),
            ("the first taken out", vec![entry(1), entry(2)]),
            ("the middle taken out", vec![entry(0), entry(2)]),
            ("two changed places", vec![entry(1), entry(0), entry(2)]),
            ("one twice", vec![entry(0), entry(0), entry(1), entry(2)]),
            ("the last twice", vec![entry(0), entry(1), entry(2), entry(2)]),
        ] {
            fs::write(&path, [TITLE, &entries.concat()].concat()).unwrap();
            assert!(open(&path, known).is_err(), "{what}");
        }
    }

    #[test]
    fn the_checksum_alone_makes_no_entry() {
        let (_home, path, known) = written(1);
        let mut bytes = fs::read(&path).unwrap();
        let other = Ledger::ephemeral(&Secret::new([8; 32]));
        let body = encode(&tombstone(&other, 5));
        bytes.extend(framed(&body, &other.code(2, known.code, &body)));
        fs::write(&path, &bytes).unwrap();
        let refused = open(&path, known).err().unwrap();
        assert!(matches!(refused, KeysError::Ledger { entry: 2, .. }), "{refused}");
    }

    #[test]
    fn an_entry_cut_short_is_one_that_nobody_was_told_of() {
        let (_home, path, known) = written(2);
        let whole = fs::read(&path).unwrap();
        let ledger = open(&path, known).unwrap();
        ledger.append(&tombstone(&ledger, 7)).unwrap();
        let (after, told) = (fs::read(&path).unwrap(), ledger.high_water());
        for len in whole.len()..after.len() {
            fs::write(&path, &after[..len]).unwrap();
            let refused = open(&path, told).err().unwrap();
            assert!(matches!(refused, KeysError::LedgerShort { found: 2, known: 3, .. }));
            let ledger = open(&path, known).unwrap();
            assert!(!ledger.has(&RecordKey([7; 32])));
            // The next takes its place.
            ledger.append(&tombstone(&ledger, 8)).unwrap();
            assert!(open(&path, ledger.high_water()).unwrap().has(&RecordKey([8; 32])));
        }
        // Its length came to the disk before its bytes.
        let mut zeros = whole.clone();
        zeros.resize(after.len(), 0);
        zeros[whole.len()..whole.len() + 2].copy_from_slice(&after[whole.len()..whole.len() + 2]);
        fs::write(&path, &zeros).unwrap();
        assert_eq!(open(&path, known).unwrap().high_water(), known);
        assert!(open(&path, told).is_err());
    }

    #[test]
    fn an_older_or_another_ledger_is_refused() {
        let (_home, path, known) = written(2);
        let older = fs::read(&path).unwrap();
        let ledger = open(&path, known).unwrap();
        ledger.append(&tombstone(&ledger, 7)).unwrap();
        fs::write(&path, &older).unwrap();
        let refused = open(&path, ledger.high_water()).err().unwrap();
        assert!(matches!(refused, KeysError::LedgerShort { .. }));
        assert!(refused.to_string().contains("estore"), "{refused}");
        // Continued differently from there.
        let other = open(&path, known).unwrap();
        other.append(&tombstone(&other, 8)).unwrap();
        let refused = open(&path, ledger.high_water()).err().unwrap();
        assert!(matches!(refused, KeysError::LedgerForked { .. }), "{refused}");
        fs::remove_file(&path).unwrap();
        assert!(open(&path, known).is_err());
        assert!(!path.exists(), "nothing is made in its place");
    }

    #[test]
    fn nobody_else_may_write_to_it() {
        let (_home, path, known) = written(1);
        let ledger = open(&path, known).unwrap();
        let twin = open(&path, known).unwrap();
        twin.append(&tombstone(&twin, 5)).unwrap();
        assert!(ledger.append(&tombstone(&ledger, 6)).is_err());
        assert!(matches!(
            ledger.append(&tombstone(&ledger, 6)),
            Err(KeysError::LedgerFailed { .. })
        ));
        assert!(!ledger.has(&RecordKey([6; 32])));
    }

    #[test]
    fn a_high_water_mark_has_one_spelling() {
        let (_home, _, known) = written(2);
        assert_eq!(known.to_string().parse(), Ok(known));
        assert_eq!(HighWater::decode(&known.encode()), Some(known));
        for wrong in ["", "2", "2 ", "x 00", &format!("2 {}", "zz".repeat(32))] {
            assert!(wrong.parse::<HighWater>().is_err(), "{wrong}");
        }
        assert_eq!(HighWater::decode(&known.encode()[1..]), None);
    }
}
