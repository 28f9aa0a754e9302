//! Media types and content codings.

use bytes::Bytes;
use compression_codecs::BrotliEncoder;
use compression_codecs::EncodeV2;
use compression_codecs::GzipEncoder;
use compression_codecs::ZlibEncoder;
use compression_codecs::ZstdEncoder;
use compression_codecs::core::util::PartialBuffer;
use compression_codecs::core::util::WriteBuffer;
use http::HeaderMap;
use proptest::prelude::*;

use super::headers;
use crate::protocol::http::*;

#[test]
fn media_types_are_read_strictly() {
    use MediaType as M;
    for (value, read) in [
        ("application/json", Ok(M::Json)),
        ("Application/JSON; Charset=\"UTF-8\"", Ok(M::Json)),
        ("application/problem+json", Ok(M::Json)),
        ("application/x-ndjson", Ok(M::Ndjson)),
        ("application/jsonl;charset=utf-8", Ok(M::Ndjson)),
        ("text/json", Ok(M::Other)),
        ("text/event-stream", Ok(M::Other)),
        ("application/javascript", Ok(M::Other)),
        ("application/octet-stream", Ok(M::Other)),
        ("multipart/mixed; boundary=x", Ok(M::Other)),
        ("application/+json", Ok(M::Other)),
        ("application/json; charset=utf-16", Err(MediaError::Charset)),
        ("application/json; charset=utf-7", Err(MediaError::Charset)),
        ("application/json; charset=utf-8; charset=utf-16", Err(MediaError::Charset)),
        ("application/json; charset=utf-8; charset=utf-8", Err(MediaError::Repeated)),
        ("application/json, text/plain", Err(MediaError::Syntax)),
        ("application/json;", Err(MediaError::Syntax)),
        ("application/json; charset", Err(MediaError::Syntax)),
        ("application/json; charset=\"utf-8", Err(MediaError::Syntax)),
        ("json", Err(MediaError::Syntax)),
        ("", Err(MediaError::Syntax)),
    ] {
        assert_eq!(content_type(&headers(&[("content-type", value)])), read, "{value}");
    }
    assert_eq!(content_type(&HeaderMap::new()), Ok(M::Other));
    let twice = headers(&[("content-type", "application/json"), ("content-type", "text/html")]);
    assert_eq!(content_type(&twice), Err(MediaError::Repeated));
}

#[test]
fn one_known_coding_is_read() {
    for (lines, coding) in [
        (vec![], Ok(Coding::Identity)),
        (vec!["identity"], Ok(Coding::Identity)),
        (vec!["GZIP"], Ok(Coding::Gzip)),
        (vec!["br"], Ok(Coding::Brotli)),
        (vec!["zstd"], Ok(Coding::Zstd)),
        (vec!["deflate"], Ok(Coding::Deflate)),
        (vec!["gzip, gzip"], Err(CodingError::Several)),
        (vec!["gzip", "gzip"], Err(CodingError::Several)),
        (vec!["aws-chunked"], Err(CodingError::Unknown)),
        (vec![""], Err(CodingError::Unknown)),
    ] {
        let lines: Vec<_> = lines.iter().map(|v| ("content-encoding", *v)).collect();
        assert_eq!(content_coding(&headers(&lines)), coding, "{lines:?}");
    }
}

const CODINGS: [Coding; 4] = [Coding::Brotli, Coding::Deflate, Coding::Gzip, Coding::Zstd];

/// `data` in `coding`.
fn encode(coding: Coding, data: &[u8]) -> Vec<u8> {
    let mut codec: Box<dyn EncodeV2> = match coding {
        Coding::Brotli => Box::new(BrotliEncoder::new(
            compression_codecs::brotli::params::EncoderParams::default(),
        )),
        Coding::Deflate => {
            Box::new(ZlibEncoder::new(compression_codecs::core::Level::Default.into()))
        }
        Coding::Gzip => Box::new(GzipEncoder::new(compression_codecs::core::Level::Default.into())),
        Coding::Zstd => Box::new(ZstdEncoder::new(3)),
        Coding::Identity => return data.to_vec(),
    };
    let mut out = vec![0; data.len() + 64 * 1024];
    let mut input = PartialBuffer::new(data);
    let mut output = WriteBuffer::new_initialized(&mut out);
    while !input.unwritten().is_empty() {
        codec.encode(&mut input, &mut output).unwrap();
    }
    while !codec.finish(&mut output).unwrap() {}
    let length = output.written_len();
    out.truncate(length);
    out
}

/// Decodes `coded`, cut into pieces of `cut` bytes; also gives the longest piece handed out.
fn decode(
    coding: Coding,
    limits: Expansion,
    coded: &[u8],
    cut: usize,
) -> Result<(Vec<u8>, usize), CodingError> {
    let mut decoder = Decoder::new(coding, limits).unwrap();
    let (mut out, mut longest) = (Vec::new(), 0);
    for piece in coded.chunks(cut) {
        let mut input = Bytes::copy_from_slice(piece);
        loop {
            let decoded = decoder.decode(&mut input)?;
            longest = longest.max(decoded.len());
            out.extend_from_slice(&decoded);
            if decoded.is_empty() {
                break;
            }
        }
        assert!(input.is_empty(), "{coding:?} left input behind");
    }
    decoder.finish()?;
    Ok((out, longest))
}

fn json_lines(count: usize) -> Vec<u8> {
    (0..count).flat_map(|i| format!("{{\"id\":{i},\"v\":{}}}\n", i * 7919).into_bytes()).collect()
}

#[test]
fn every_coding_is_undone_in_bounded_pieces() {
    for coding in CODINGS {
        for data in [b"{}".to_vec(), json_lines(20_000)] {
            let coded = encode(coding, &data);
            for cut in [1, 7, 4096, usize::MAX] {
                let (out, longest) = decode(coding, Expansion::default(), &coded, cut).unwrap();
                assert_eq!(out, data, "{coding:?}, cut {cut}");
                assert!(longest <= 32 * 1024);
            }
        }
    }
}

#[test]
fn a_coded_body_cut_anywhere_is_an_error() {
    for coding in CODINGS {
        let coded = encode(coding, &json_lines(50));
        for end in 0..coded.len() {
            let result = decode(coding, Expansion::default(), &coded[..end], 64);
            assert_eq!(result, Err(CodingError::Truncated), "{coding:?} cut at {end}");
        }
    }
}

#[test]
fn bytes_after_the_coded_body_are_an_error() {
    for coding in CODINGS {
        let one = encode(coding, b"{\"id\":1}");
        for (what, tail) in [("a second member", one.clone()), ("one byte", b"x".to_vec())] {
            let both = [one.clone(), tail].concat();
            for cut in [one.len(), 1, usize::MAX] {
                let result = decode(coding, Expansion::default(), &both, cut);
                assert_eq!(result, Err(CodingError::Trailing), "{coding:?}: {what}");
            }
        }
    }
}

#[test]
fn bombs_are_stopped_soon() {
    for coding in CODINGS {
        let coded = encode(coding, &vec![b' '; 64 << 20]);
        let mut decoder = Decoder::new(coding, Expansion::default()).unwrap();
        let (mut input, mut given) = (Bytes::from(coded), 0);
        let error = loop {
            match decoder.decode(&mut input) {
                Ok(piece) if piece.is_empty() => panic!("{coding:?} was decoded to its end"),
                Ok(piece) => given += piece.len(),
                Err(error) => break error,
            }
        };
        assert_eq!(error, CodingError::Expansion, "{coding:?}");
        assert!(given <= 16 << 20, "{coding:?}: {given} bytes before it was stopped");
    }
}

#[test]
fn a_body_may_not_outgrow_the_absolute_cap() {
    let limits = Expansion { total_bytes: 1000, ..Expansion::default() };
    let coded = encode(Coding::Gzip, &[b'x'; 1001]);
    assert_eq!(decode(Coding::Gzip, limits, &coded, 64), Err(CodingError::Expansion));
    let coded = encode(Coding::Gzip, &[b'x'; 1000]);
    assert!(decode(Coding::Gzip, limits, &coded, 64).is_ok());
}

#[test]
fn a_plain_body_that_claims_a_coding_is_an_error() {
    for coding in CODINGS {
        let result = decode(coding, Expansion::default(), b"{\"id\": 1, \"city\": \"x\"}", 64);
        assert!(result.is_err(), "{coding:?}");
    }
}

#[test]
fn a_brotli_window_beyond_the_standard_is_refused() {
    let result = decode(Coding::Brotli, Expansion::default(), &[0x11, 0x1E, 0x03], 64);
    assert_eq!(result, Err(CodingError::Corrupt));
}

proptest! {
    #[test]
    fn decoding_does_not_depend_on_cuts(
        data in prop::collection::vec(any::<u8>(), 0..2000),
        coding in prop::sample::select(CODINGS.to_vec()),
        cut in 1usize..500,
    ) {
        let coded = encode(coding, &data);
        let out = decode(coding, Expansion::default(), &coded, cut).map(|(out, _)| out);
        prop_assert_eq!(out, Ok(data));
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(
        coded in prop::collection::vec(any::<u8>(), 0..300),
        coding in prop::sample::select(CODINGS.to_vec()),
        cut in 1usize..64,
    ) {
        if let Ok((_, longest)) = decode(coding, Expansion::default(), &coded, cut) {
            prop_assert!(longest <= 32 * 1024);
        }
    }
}
