//! The journal's frames: one group of entries each, with a checksum, written and synced at once.
//!
//! A segment is a header and frames without gaps. What follows the last whole frame is either
//! zeros, written as room for the next, or the torn end of a write nobody was told had succeeded,
//! or damage; a frame therefore says up to which entry the journal was durable when it was written.

use crate::protocol::tlog;

/// The head of a segment: magic, the index of its first entry, checksum.
pub(super) const SEGMENT_HEAD: usize = 20;

/// The head of a frame.
const FRAME_HEAD: usize = 32;

/// The longest a frame's entries may be together.
pub(super) const MAX_PAYLOAD: usize = 2 << 20;

const SEGMENT_MAGIC: [u8; 8] = *b"PVTJRNL1";
const FRAME_MAGIC: [u8; 4] = *b"PVF1";

/// A whole frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Frame<'a> {
    /// The index of its first entry.
    pub(super) first: u64,
    /// Entries below this index were durable when it was written.
    pub(super) durable: u64,
    /// How many entries it holds.
    pub(super) count: u32,
    /// The entries, in the form of a bundle.
    pub(super) payload: &'a [u8],
}

impl Frame<'_> {
    fn len(&self) -> usize {
        FRAME_HEAD + self.payload.len()
    }
}

/// The head of a segment that begins with entry `first`.
pub(super) fn segment_head(first: u64) -> [u8; SEGMENT_HEAD] {
    let mut head = [0; SEGMENT_HEAD];
    let (body, sum) = head.split_at_mut(16);
    let (magic, index) = body.split_at_mut(8);
    magic.copy_from_slice(&SEGMENT_MAGIC);
    index.copy_from_slice(&first.to_be_bytes());
    sum.copy_from_slice(&crc32fast::hash(body).to_be_bytes());
    head
}

/// Starts a frame in an empty buffer; [`finish`] completes it after the entries were appended.
pub(super) fn start(buffer: &mut Vec<u8>) {
    buffer.clear();
    buffer.resize(FRAME_HEAD, 0);
}

/// Completes the frame whose entries follow its head in `buffer`.
pub(super) fn finish(buffer: &mut [u8], first: u64, durable: u64, count: u32) {
    let Some((head, payload)) = buffer.split_first_chunk_mut::<FRAME_HEAD>() else { return };
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    let mut body = [0_u8; FRAME_HEAD - 4];
    let parts: [&[u8]; 5] = [
        &FRAME_MAGIC,
        &first.to_be_bytes(),
        &durable.to_be_bytes(),
        &count.to_be_bytes(),
        &len.to_be_bytes(),
    ];
    for (to, from) in body.iter_mut().zip(parts.into_iter().flatten()) {
        *to = *from;
    }
    let (to, sum) = head.split_at_mut(FRAME_HEAD - 4);
    to.copy_from_slice(&body);
    sum.copy_from_slice(&checksum(&body, payload).to_be_bytes());
}

/// What a segment holds.
#[derive(Debug, Eq, PartialEq)]
pub(super) struct Scan<'a> {
    /// Its whole frames, in order, from its first entry on.
    pub(super) frames: Vec<Frame<'a>>,
    /// The index of the entry after its last.
    pub(super) next: u64,
    /// Bytes up to the end of its last whole frame; 0 when even the head is not whole.
    pub(super) len: usize,
    /// What follows them.
    pub(super) tail: Tail,
}

/// What follows the last whole frame of a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Tail {
    /// Nothing, or room for more.
    Clean,
    /// Bytes nobody was told were recorded.
    Torn,
    /// Bytes that must have been whole once: a later frame says so.
    Damaged,
}

/// Reads a segment that begins with entry `first`.
pub(super) fn scan(bytes: &[u8], first: u64) -> Scan<'_> {
    let whole = bytes.get(..SEGMENT_HEAD) == Some(&segment_head(first));
    let mut found = Scan { frames: Vec::new(), next: first, len: 0, tail: Tail::Clean };
    if whole {
        found.len = SEGMENT_HEAD;
        while let Some(frame) = read(bytes.get(found.len..).unwrap_or(&[])) {
            if frame.first != found.next {
                break;
            }
            found.len += frame.len();
            found.next += u64::from(frame.count);
            found.frames.push(frame);
        }
    }
    let rest = bytes.get(found.len..).unwrap_or(&[]);
    let is_room = whole && rest.iter().all(|byte| *byte == 0);
    if !rest.is_empty() && !is_room {
        found.tail = if whole { tail(rest, found.next) } else { headless(rest, first) };
    }
    found
}

/// A frame that begins with `bytes`, when it is whole.
fn read(bytes: &[u8]) -> Option<Frame<'_>> {
    let (head, rest) = bytes.split_first_chunk::<FRAME_HEAD>()?;
    let (body, sum) = head.split_at(FRAME_HEAD - 4);
    let (magic, numbers) = body.split_first_chunk::<4>()?;
    let (first, numbers) = numbers.split_first_chunk::<8>()?;
    let (durable, numbers) = numbers.split_first_chunk::<8>()?;
    let (count, numbers) = numbers.split_first_chunk::<4>()?;
    let (len, _) = numbers.split_first_chunk::<4>()?;
    let len = usize::try_from(u32::from_be_bytes(*len)).ok().filter(|len| *len <= MAX_PAYLOAD)?;
    let payload = rest.get(..len)?;
    if *magic != FRAME_MAGIC || checksum(body, payload).to_be_bytes() != sum {
        return None;
    }
    let count = u32::from_be_bytes(*count);
    // A frame without entries probes the disk; its bytes mean nothing.
    let entries = tlog::entries(payload).filter(Result::is_ok).count();
    if count != 0 && u32::try_from(entries).ok() != Some(count) {
        return None;
    }
    let first = u64::from_be_bytes(*first);
    first.checked_add(count.into())?;
    Some(Frame { first, durable: u64::from_be_bytes(*durable), count, payload })
}

/// Looks for a whole frame behind the break. One that was written when more than the entries
/// before the break were durable proves that what is broken was once on the disk.
fn tail(rest: &[u8], next: u64) -> Tail {
    let proves = |frame: Frame<'_>| frame.durable > next;
    if later_frames(rest).any(proves) { Tail::Damaged } else { Tail::Torn }
}

/// A segment's head is durable before its first frame is written, so any frame proves damage.
fn headless(rest: &[u8], first: u64) -> Tail {
    let any = later_frames(rest).any(|frame| frame.first >= first);
    if any { Tail::Damaged } else { Tail::Torn }
}

fn later_frames(rest: &[u8]) -> impl Iterator<Item = Frame<'_>> {
    memchr::memmem::find_iter(rest, &FRAME_MAGIC)
        .filter_map(move |at| rest.get(at..).and_then(read))
}

fn checksum(body: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(body);
    hasher.update(payload);
    hasher.finalize()
}
