//! Content codings: one at most, decoded piece by piece under a cap on how far it may expand.

use std::borrow::Cow;
use std::fmt;

use bytes::Buf;
use bytes::Bytes;
use compression_codecs::BrotliDecoder;
use compression_codecs::DecodeV2;
use compression_codecs::GzipDecoder;
use compression_codecs::ZlibDecoder;
use compression_codecs::ZstdDecoder;
use compression_codecs::core::util::PartialBuffer;
use compression_codecs::core::util::WriteBuffer;
use compression_codecs::zstd::params::DParameter;
use http::HeaderMap;
use http::header;

use crate::types::ClientError;
use crate::types::ErrorKind;

/// Decoded bytes handed out at once.
const PIECE: usize = 32 * 1024;
/// The widest window a zstd stream may ask for, as a power of two: what RFC 9659 allows in HTTP.
const ZSTD_WINDOW_LOG: u32 = 23;

/// A content coding Privet can undo.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Coding {
    /// Brotli (RFC 7932).
    Brotli,
    /// zlib (RFC 1950), which is what HTTP calls `deflate`.
    Deflate,
    /// gzip (RFC 1952), one member.
    Gzip,
    /// None.
    Identity,
    /// Zstandard (RFC 8878), one frame.
    Zstd,
}

/// Reads the content coding of a message: one at most, and a known one.
pub fn content_coding(headers: &HeaderMap) -> Result<Coding, CodingError> {
    let mut values = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(value) = values.next() else { return Ok(Coding::Identity) };
    if values.next().is_some() {
        return Err(CodingError::Several);
    }
    let text = value.to_str().map_err(|_| CodingError::Unknown)?.trim().to_ascii_lowercase();
    match text.as_str() {
        "br" => Ok(Coding::Brotli),
        "deflate" => Ok(Coding::Deflate),
        "gzip" | "x-gzip" => Ok(Coding::Gzip),
        "identity" => Ok(Coding::Identity),
        "zstd" => Ok(Coding::Zstd),
        _ if text.contains(',') => Err(CodingError::Several),
        _ => Err(CodingError::Unknown),
    }
}

/// How far a body may expand.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Expansion {
    /// Decoded bytes free of the ratio: small bodies compress well.
    pub free_bytes: u64,
    /// Decoded bytes for one coded byte, beyond the free ones.
    pub ratio: u64,
    /// Decoded bytes of one body, whatever its ratio.
    pub total_bytes: u64,
}

impl Default for Expansion {
    fn default() -> Self {
        Self { free_bytes: 1 << 20, ratio: 200, total_bytes: 16 << 30 }
    }
}

/// Undoes one content coding, piece by piece, in bounded memory.
pub struct Decoder {
    kind: Kind,
    limits: Expansion,
    taken: u64,
    given: u64,
    stage: Stage,
}

enum Kind {
    Brotli(BrotliDecoder),
    Deflate(ZlibDecoder),
    Gzip(GzipDecoder),
    Zstd(ZstdDecoder),
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Stage {
    /// Wants input.
    Hungry,
    /// The last piece was full, so more may be waiting inside.
    Full,
    /// The coded stream has ended.
    Ended,
}

impl Decoder {
    /// A decoder for `coding`, or `None` when there is nothing to undo.
    pub fn new(coding: Coding, limits: Expansion) -> Option<Self> {
        let kind = match coding {
            Coding::Identity => return None,
            Coding::Brotli => Kind::Brotli(BrotliDecoder::new()),
            Coding::Deflate => Kind::Deflate(ZlibDecoder::new()),
            Coding::Gzip => Kind::Gzip(GzipDecoder::new()),
            Coding::Zstd => {
                Kind::Zstd(ZstdDecoder::new_with_params(&[DParameter::window_log_max(
                    ZSTD_WINDOW_LOG,
                )]))
            }
        };
        Some(Self { kind, limits, taken: 0, given: 0, stage: Stage::Hungry })
    }

    /// Takes bytes from the front of `input` and returns at most 32 KiB of decoded ones.
    /// Nothing returned means that it wants more input than there is.
    pub fn decode(&mut self, input: &mut Bytes) -> Result<Bytes, CodingError> {
        let mut piece = Vec::new();
        while piece.len() < PIECE {
            if self.stage == Stage::Ended {
                if input.has_remaining() {
                    return Err(CodingError::Trailing);
                }
                break;
            }
            if self.stage == Stage::Hungry && !input.has_remaining() {
                break;
            }
            self.step(input, &mut piece)?;
        }
        Ok(piece.into())
    }

    /// Says that the input has ended, which is an error unless the coded stream has, too.
    pub fn finish(&self) -> Result<(), CodingError> {
        if self.stage == Stage::Ended { Ok(()) } else { Err(CodingError::Truncated) }
    }

    /// One call of the codec, appended to `piece`.
    fn step(&mut self, input: &mut Bytes, piece: &mut Vec<u8>) -> Result<(), CodingError> {
        self.refuse_wide_window(input)?;
        let start = piece.len();
        piece.resize(PIECE, 0);
        let room = piece.get_mut(start..).unwrap_or_default();
        let mut source = PartialBuffer::new(input.as_ref());
        let mut output = WriteBuffer::new_initialized(room);
        let codec: &mut dyn DecodeV2 = match &mut self.kind {
            Kind::Brotli(codec) => codec,
            Kind::Deflate(codec) => codec,
            Kind::Gzip(codec) => codec,
            Kind::Zstd(codec) => codec,
        };
        let drained = input.is_empty();
        let ended = match codec.decode(&mut source, &mut output) {
            // Run without input to learn whether more is inside, deflate calls "no" an error.
            Err(_) if drained && output.written_len() == 0 => Ok(false),
            result => result,
        };
        let (took, gave) = (source.written_len(), output.written_len());
        let full = output.has_no_spare_space();
        piece.truncate(start + gave);
        let stuck = took == 0 && gave == 0 && !drained;
        input.advance(took);
        self.account(took, gave)?;
        self.stage = match ended.map_err(|_| CodingError::Corrupt)? {
            true => Stage::Ended,
            false if stuck => return Err(CodingError::Corrupt),
            false if full => Stage::Full,
            false => Stage::Hungry,
        };
        Ok(())
    }

    /// The Brotli codec also reads the "large window" dialect, whose windows reach 1 GiB.
    fn refuse_wide_window(&self, input: &Bytes) -> Result<(), CodingError> {
        let first = self.taken == 0 && matches!(self.kind, Kind::Brotli(_));
        match input.first() {
            Some(byte) if first && byte & 0x7F == 0x11 => Err(CodingError::Corrupt),
            _ => Ok(()),
        }
    }

    fn account(&mut self, took: usize, gave: usize) -> Result<(), CodingError> {
        self.taken = self.taken.saturating_add(took as u64);
        self.given = self.given.saturating_add(gave as u64);
        let allowed = self.taken.saturating_mul(self.limits.ratio);
        let bomb = self.given > self.limits.free_bytes && self.given > allowed;
        if bomb || self.given > self.limits.total_bytes {
            return Err(CodingError::Expansion);
        }
        Ok(())
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("taken", &self.taken).finish_non_exhaustive()
    }
}

/// Why a coded body is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum CodingError {
    /// The bytes are not of the stated coding.
    #[error("the body is not of the content coding it states")]
    Corrupt,
    /// It expands beyond the cap.
    #[error("the body expands too far")]
    Expansion,
    /// More than one coding.
    #[error("the body states more than one content coding")]
    Several,
    /// Bytes after the end of the coded stream, a second member among them.
    #[error("bytes follow the end of the coded body")]
    Trailing,
    /// The input ended inside the coded stream.
    #[error("the coded body ends too early")]
    Truncated,
    /// A coding nobody here can undo.
    #[error("the body states a content coding that is not known")]
    Unknown,
}

impl ClientError for CodingError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::Upstream
    }

    fn client_message(&self) -> Cow<'static, str> {
        "the data store's answer could not be read".into()
    }
}
