//! Content codings, from both sides.

use compression_codecs::BrotliDecoder;
use compression_codecs::BrotliEncoder;
use compression_codecs::DecodeV2;
use compression_codecs::DeflateDecoder;
use compression_codecs::EncodeV2;
use compression_codecs::GzipDecoder;
use compression_codecs::GzipEncoder;
use compression_codecs::ZlibDecoder;
use compression_codecs::ZlibEncoder;
use compression_codecs::ZstdDecoder;
use compression_codecs::ZstdEncoder;
use compression_codecs::brotli::params::EncoderParams;
use compression_codecs::core::Level;
use compression_codecs::core::util::PartialBuffer;
use compression_codecs::core::util::WriteBuffer;

const PIECE: usize = 64 * 1024;
/// More than this of a decoded text is not looked at.
const MOST: usize = 8 * 1024 * 1024;

/// `text` as gzip.
pub(crate) fn gzip(text: &[u8]) -> Vec<u8> {
    encode(GzipEncoder::new(Level::Default.into()), text)
}

/// `text` as what HTTP calls `deflate`.
pub(crate) fn zlib(text: &[u8]) -> Vec<u8> {
    encode(ZlibEncoder::new(Level::Default.into()), text)
}

/// `text` as Brotli.
pub(crate) fn brotli(text: &[u8]) -> Vec<u8> {
    encode(BrotliEncoder::new(EncoderParams::default()), text)
}

/// `text` as Zstandard.
pub(crate) fn zstd(text: &[u8]) -> Vec<u8> {
    encode(ZstdEncoder::new(3), text)
}

fn encode(mut encoder: impl EncodeV2, text: &[u8]) -> Vec<u8> {
    let mut input = PartialBuffer::new(text);
    let mut coded = Vec::new();
    let mut piece = vec![0; PIECE];
    loop {
        let mut output = WriteBuffer::new_initialized(&mut piece);
        let is_fed = input.unwritten().is_empty();
        let is_done = if is_fed {
            encoder.finish(&mut output).unwrap()
        } else {
            encoder.encode(&mut input, &mut output).unwrap();
            false
        };
        let count = output.written_len();
        coded.extend_from_slice(&piece[..count]);
        if is_done {
            return coded;
        }
    }
}

/// What `body` says in each coding in which it says anything.
pub(crate) fn decompressed(body: &[u8]) -> Vec<Vec<u8>> {
    let mut codecs: [Box<dyn DecodeV2>; 5] = [
        Box::new(GzipDecoder::new()),
        Box::new(BrotliDecoder::new()),
        Box::new(ZstdDecoder::new()),
        Box::new(ZlibDecoder::new()),
        Box::new(DeflateDecoder::new()),
    ];
    let texts = codecs.iter_mut().map(|codec| decode(codec.as_mut(), body));
    texts.filter(|text| !text.is_empty()).collect()
}

fn decode(codec: &mut dyn DecodeV2, body: &[u8]) -> Vec<u8> {
    let mut input = PartialBuffer::new(body);
    let mut text = Vec::new();
    let mut piece = vec![0; PIECE];
    while text.len() < MOST && !input.unwritten().is_empty() {
        let mut output = WriteBuffer::new_initialized(&mut piece);
        let before = input.written_len();
        let ended = codec.decode(&mut input, &mut output);
        let count = output.written_len();
        text.extend_from_slice(&piece[..count]);
        let is_stuck = count == 0 && input.written_len() == before;
        if is_stuck || !matches!(ended, Ok(false)) {
            break;
        }
    }
    text
}
