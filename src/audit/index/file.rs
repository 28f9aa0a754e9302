//! The file of one segment's index, read where it is needed and never as a whole.
//!
//! Layout; integers are little-endian:
//!
//! ```text
//! head       magic (8), segment (8), entries (4), blocks (4), where their table is (8), stamp (32),
//!            earliest time (8), latest (8), CRC-32 of the times (4), CRC-32 of the head (4)
//! times      earliest (8) and latest (8) of each bundle of 256 entries
//! blocks     about 4 KiB each: term (8) and places (see `positions`), in the order of terms
//! table      of each block: its first term (8), where it is (8), its length (4), its CRC-32 (4),
//!            CRC-32 of this row (4)
//! ```
//!
//! Whatever is read is covered by a checksum: a damaged file is noticed before it misleads.

use std::fs::File;
use std::io;
use std::io::BufWriter;
use std::io::Write;
use std::os::unix::fs::FileExt;

use crate::types::Timestamp;

use super::positions;
use super::positions::Positions;
use super::terms::Term;

/// What a file says of itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Head {
    /// Which segment it is of.
    pub(super) segment: u64,
    /// How many of its entries, from the first on; a multiple of 256.
    pub(super) entries: u32,
    blocks: u32,
    table_at: u64,
    /// The hash over the hashes of the bundles it was made of.
    pub(super) stamp: [u8; 32],
    /// The earliest and the latest time.
    pub(super) times: (u64, u64),
    times_crc: u32,
}

impl Head {
    fn encode(&self) -> [u8; HEAD] {
        let mut bytes = Vec::with_capacity(HEAD);
        bytes.extend(MAGIC);
        bytes.extend(self.segment.to_le_bytes());
        bytes.extend(self.entries.to_le_bytes());
        bytes.extend(self.blocks.to_le_bytes());
        bytes.extend(self.table_at.to_le_bytes());
        bytes.extend(self.stamp);
        bytes.extend(self.times.0.to_le_bytes());
        bytes.extend(self.times.1.to_le_bytes());
        bytes.extend(self.times_crc.to_le_bytes());
        bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
        let mut head = [0; HEAD];
        head.iter_mut().zip(bytes).for_each(|(slot, byte)| *slot = byte);
        head
    }

    fn decode(bytes: &[u8; HEAD]) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        let mut parts = Parts(body.strip_prefix(MAGIC)?);
        let is_whole = crc32fast::hash(body) == u32::from_le_bytes(*crc);
        is_whole.then_some(())?;
        Some(Self {
            segment: parts.u64()?,
            entries: parts.u32()?,
            blocks: parts.u32()?,
            table_at: parts.u64()?,
            stamp: *parts.take()?,
            times: (parts.u64()?, parts.u64()?),
            times_crc: parts.u32()?,
        })
    }
}

/// A segment's index, open for reading.
#[derive(Debug)]
pub(super) struct Reader {
    file: File,
    pub(super) head: Head,
}

impl Reader {
    /// Reads the head; `None` when it is damaged.
    pub(super) fn open(file: File) -> io::Result<Option<Self>> {
        let mut bytes = [0; HEAD];
        let is_there = read_at(&file, &mut bytes, 0)?;
        let head = Head::decode(&bytes).filter(|_| is_there);
        Ok(head.map(|head| Self { file, head }))
    }

    /// Which bundles may have entries made at `from` or later and before `until`; `None` when the
    /// file is damaged.
    pub(super) fn bundles_between(
        &self,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> io::Result<Option<Positions>> {
        let overlaps = |(earliest, latest): (u64, u64)| {
            from.is_none_or(|from| latest >= from.unix_ms())
                && until.is_none_or(|until| earliest < until.unix_ms())
        };
        let mut found = Positions::none();
        if !overlaps(self.head.times) {
            return Ok(Some(found));
        }
        if from.is_none() && until.is_none() {
            found.add_range(0, self.head.entries);
            return Ok(Some(found));
        }
        let bundles = self.head.entries / BUNDLE;
        let mut bytes = vec![0; usize::try_from(bundles * TIMES).unwrap_or(0)];
        let is_there = read_at(&self.file, &mut bytes, HEAD as u64)?;
        if !is_there || crc32fast::hash(&bytes) != self.head.times_crc {
            return Ok(None);
        }
        let mut parts = Parts(&bytes);
        for bundle in 0..bundles {
            let (Some(earliest), Some(latest)) = (parts.u64(), parts.u64()) else { break };
            if overlaps((earliest, latest)) {
                found.add_range(bundle * BUNDLE, (bundle + 1) * BUNDLE);
            }
        }
        Ok(Some(found))
    }

    /// The places of a term, none when it is not there; `None` when the file is damaged.
    pub(super) fn find(&self, wanted: Term) -> io::Result<Option<Positions>> {
        // The last block whose first term is not behind the wanted one.
        let (mut low, mut high, mut block) = (0, self.head.blocks, None);
        while low < high {
            let middle = low + (high - low) / 2;
            let Some(row) = self.row(middle)? else { return Ok(None) };
            if row.first <= wanted {
                (low, block) = (middle + 1, Some(row));
            } else {
                high = middle;
            }
        }
        let Some(row) = block else { return Ok(Some(Positions::none())) };
        if row.len > LONGEST_BLOCK {
            return Ok(None);
        }
        let mut bytes = vec![0; usize::try_from(row.len).unwrap_or(0)];
        let is_there = read_at(&self.file, &mut bytes, row.at)?;
        if !is_there || crc32fast::hash(&bytes) != row.crc {
            return Ok(None);
        }
        Ok(find_in(&bytes, wanted))
    }

    fn row(&self, at: u32) -> io::Result<Option<Row>> {
        let mut bytes = [0; ROW];
        let at = self.head.table_at.saturating_add(u64::from(at) * ROW as u64);
        let is_there = read_at(&self.file, &mut bytes, at)?;
        Ok(Row::decode(&bytes).filter(|_| is_there))
    }
}

/// The places of a term in a block, none when it is not there; `None` when it is malformed.
fn find_in(mut block: &[u8], wanted: Term) -> Option<Positions> {
    while !block.is_empty() {
        let (term, rest) = block.split_first_chunk::<8>()?;
        let term = Term::from_le_bytes(*term);
        if term == wanted {
            return Some(positions::decode(rest)?.0);
        }
        if term > wanted {
            break;
        }
        block = positions::skip(rest)?;
    }
    Some(Positions::none())
}

/// A row of the table of blocks.
struct Row {
    first: Term,
    at: u64,
    len: u32,
    crc: u32,
}

impl Row {
    fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend(self.first.to_le_bytes());
        out.extend(self.at.to_le_bytes());
        out.extend(self.len.to_le_bytes());
        out.extend(self.crc.to_le_bytes());
        let crc = crc32fast::hash(out.get(start..).unwrap_or_default());
        out.extend(crc.to_le_bytes());
    }

    fn decode(bytes: &[u8; ROW]) -> Option<Self> {
        let (body, crc) = bytes.split_last_chunk::<4>()?;
        let mut parts = Parts(body);
        let is_whole = crc32fast::hash(body) == u32::from_le_bytes(*crc);
        is_whole.then_some(())?;
        let (first, at) = (parts.u64()?, parts.u64()?);
        Some(Self { first, at, len: parts.u32()?, crc: parts.u32()? })
    }
}

/// Writes a segment's index, term by term.
pub(super) struct Writer {
    file: BufWriter<File>,
    /// Where the next block goes.
    at: u64,
    first: Term,
    block: Vec<u8>,
    /// The places of the term that is being written.
    places: Option<(Term, Vec<u16>)>,
    table: Vec<u8>,
    blocks: u32,
}

impl Writer {
    /// `file` is empty; `bundles`: how many bundles the entries are in.
    pub(super) fn new(file: File, bundles: u32) -> io::Result<Self> {
        let mut file = BufWriter::with_capacity(64 << 10, file);
        let at = HEAD + usize::try_from(bundles * TIMES).unwrap_or(0);
        // Head and times are known at the end.
        file.write_all(&vec![0; at])?;
        let (block, table) = (Vec::new(), Vec::new());
        Ok(Self { file, at: at as u64, first: 0, block, places: None, table, blocks: 0 })
    }

    /// Adds a place to a term. Both only go up.
    pub(super) fn add(&mut self, term: Term, place: u16) -> io::Result<()> {
        if let Some((_, places)) = self.places.as_mut().filter(|(current, _)| *current == term) {
            if places.last() != Some(&place) {
                places.push(place);
            }
            return Ok(());
        }
        self.end_term()?;
        self.places = Some((term, vec![place]));
        Ok(())
    }

    fn end_term(&mut self) -> io::Result<()> {
        let Some((term, places)) = self.places.take() else { return Ok(()) };
        if self.block.is_empty() {
            self.first = term;
        }
        self.block.extend(term.to_le_bytes());
        positions::encode(&places, &mut self.block);
        if self.block.len() < BLOCK { Ok(()) } else { self.end_block() }
    }

    fn end_block(&mut self) -> io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        self.file.write_all(&self.block)?;
        let len = u32::try_from(self.block.len()).unwrap_or(u32::MAX);
        let (first, at, crc) = (self.first, self.at, crc32fast::hash(&self.block));
        Row { first, at, len, crc }.encode(&mut self.table);
        self.at += u64::from(len);
        self.blocks += 1;
        self.block.clear();
        Ok(())
    }

    /// Writes what is left. `times`: the earliest and the latest of each bundle. Nothing waits for
    /// the disk: what a power cut tears does not match its checksum and is made again.
    pub(super) fn finish(
        mut self,
        (segment, stamp): (u64, [u8; 32]),
        times: &[(u64, u64)],
    ) -> io::Result<()> {
        self.end_term()?;
        self.end_block()?;
        self.file.write_all(&self.table)?;
        let file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        let mut bytes = Vec::new();
        for (earliest, latest) in times {
            bytes.extend(earliest.to_le_bytes());
            bytes.extend(latest.to_le_bytes());
        }
        let earliest = times.iter().map(|(earliest, _)| *earliest).min().unwrap_or(0);
        let latest = times.iter().map(|(_, latest)| *latest).max().unwrap_or(0);
        let head = Head {
            segment,
            entries: u32::try_from(times.len()).unwrap_or(0) * BUNDLE,
            blocks: self.blocks,
            table_at: self.at,
            stamp,
            times: (earliest, latest),
            times_crc: crc32fast::hash(&bytes),
        };
        file.write_all_at(&bytes, HEAD as u64)?;
        file.write_all_at(&head.encode(), 0)
    }
}

/// Reads exactly as many bytes; `false` when the file ends before.
fn read_at(file: &File, bytes: &mut [u8], at: u64) -> io::Result<bool> {
    match file.read_exact_at(bytes, at) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// What is left of a row of numbers.
struct Parts<'a>(&'a [u8]);

impl<'a> Parts<'a> {
    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (first, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(first)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(|bytes| u32::from_le_bytes(*bytes))
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(|bytes| u64::from_le_bytes(*bytes))
    }
}

const MAGIC: &[u8] = b"pvtindx1";
const HEAD: usize = 8 + 8 + 4 + 4 + 8 + 32 + 8 + 8 + 4 + 4;
const ROW: usize = 8 + 8 + 4 + 4 + 4;
/// Bytes of the times of a bundle.
const TIMES: u32 = 16;
/// Entries of a bundle.
const BUNDLE: u32 = 256;
/// A block ends once it is as long.
const BLOCK: usize = 4096;
/// No block is longer: one that is almost full, and a bitmap.
const LONGEST_BLOCK: u32 = 4096 + 8 + 2 + 8192;
