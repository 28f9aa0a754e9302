//! String escapes, both ways.

/// Appends the text that the inside of a JSON string stands for. `raw` was validated; an escape
/// that is none would be left out rather than trusted.
pub(super) fn unescape(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let (plain, escape) = rest.split_at(at);
        out.extend_from_slice(plain);
        rest = one(escape, out);
    }
    out.extend_from_slice(rest);
}

/// Reads the escape at the start of `raw` and returns what follows it.
fn one<'a>(raw: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let byte = match raw.get(1) {
        Some(b'b') => 0x08,
        Some(b'f') => 0x0c,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'u') => return unicode(raw, out),
        Some(other) => *other,
        None => return &[],
    };
    out.push(byte);
    raw.get(2..).unwrap_or_default()
}

fn unicode<'a>(raw: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let first = hex4(raw.get(2..).unwrap_or_default()).unwrap_or(REPLACEMENT);
    let (code, used) = match first {
        0xD800..=0xDBFF => {
            let second = hex4(raw.get(8..).unwrap_or_default()).unwrap_or(REPLACEMENT);
            let low = u32::from(second).wrapping_sub(0xDC00);
            (0x10000 + ((u32::from(first) - 0xD800) << 10) + (low & 0x3FF), 12)
        }
        _ => (u32::from(first), 6),
    };
    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    raw.get(used..).unwrap_or_default()
}

/// The number that the first four bytes write in hexadecimal digits.
pub(super) fn hex4(digits: &[u8]) -> Option<u16> {
    digits.first_chunk::<4>()?.iter().try_fold(0u16, |sum, digit| {
        let value = char::from(*digit).to_digit(16)?;
        Some((sum << 4) | u16::try_from(value).ok()?)
    })
}

/// Appends `text` as the inside of a JSON string: only what must be escaped is.
pub(super) fn escape(text: &[u8], out: &mut Vec<u8>) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let Some((byte, after)) = special.split_first() else { return };
        match byte {
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', *byte]),
            control => {
                let digit = |value: u8| if value < 10 { b'0' + value } else { b'a' + value - 10 };
                out.extend_from_slice(b"\\u00");
                out.extend_from_slice(&[digit(control >> 4), digit(control & 15)]);
            }
        }
        rest = after;
    }
    out.extend_from_slice(rest);
}

/// What stands in for half a pair; the validator lets none through.
const REPLACEMENT: u16 = 0xFFFD;

/// Appends a JSON string.
pub(super) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    escape(text.as_bytes(), out);
    out.push(b'"');
}
