//! Percent-encoding with one normal form, and the characters no part of a target may hide.

use unicode_normalization::UnicodeNormalization;

use super::TargetError;

/// What a decoded path segment may never hold: each is read as structure by some server.
const STRUCTURE: &[char] = &['/', '\\', ';', '\0'];

/// Whether `byte` may stand for itself anywhere in a target (RFC 3986 `unreserved`).
pub(super) const fn unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// Whether `byte` may stand unencoded in a path segment; `;` may not, since some servers cut
/// the segment there.
const fn segment_byte(byte: u8) -> bool {
    unreserved(byte)
        || matches!(
            byte,
            b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b'=' | b':' | b'@'
        )
}

/// Whether `byte` may stand unencoded in a query. Brackets may, though RFC 3986 says not:
/// browsers send them so, and the query is written anew before it goes on.
const fn query_byte(byte: u8) -> bool {
    segment_byte(byte) || matches!(byte, b'/' | b'?' | b'[' | b']')
}

/// Appends `byte` as `%XX`.
pub(super) fn push_encoded(byte: u8, out: &mut String) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    for nibble in [byte >> 4, byte & 0xF] {
        out.push(HEX.get(usize::from(nibble)).copied().unwrap_or(b'0').into());
    }
}

/// Appends `text` with everything but unreserved characters encoded.
pub(super) fn push_component(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if unreserved(byte) {
            out.push(byte.into());
        } else {
            push_encoded(byte, out);
        }
    }
}

/// Appends the normal form of one raw path segment: unreserved characters decoded, hexadecimal
/// in capitals, everything else as it came.
pub(super) fn push_segment(raw: &str, out: &mut String) -> Result<(), TargetError> {
    let start = out.len();
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let value = hex_pair(bytes.next(), bytes.next())?;
            decoded.push(value);
            if unreserved(value) {
                out.push(value.into());
            } else {
                push_encoded(value, out);
            }
        } else if segment_byte(byte) {
            decoded.push(byte);
            out.push(byte.into());
        } else {
            return Err(raw_fault(byte));
        }
    }
    if out.len() == start {
        return Err(TargetError::EmptySegment);
    }
    check_segment(&decoded)
}

/// Decodes one raw query name or value, once; `+` is a space, as forms write it.
pub(super) fn decode_query(raw: &str) -> Result<String, TargetError> {
    let text = decode_form(raw)?;
    if text.chars().any(char::is_control) {
        return Err(TargetError::ControlCharacter);
    }
    Ok(text)
}

/// As [`decode_query`], for text of several lines: the caller looks at control characters.
pub(super) fn decode_form(raw: &str) -> Result<String, TargetError> {
    let mut decoded = Vec::with_capacity(raw.len());
    let mut bytes = raw.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'%' => decoded.push(hex_pair(bytes.next(), bytes.next())?),
            b'+' => decoded.push(b' '),
            _ if query_byte(byte) => decoded.push(byte),
            _ => return Err(raw_fault(byte)),
        }
    }
    String::from_utf8(decoded).map_err(|_| TargetError::NotUtf8)
}

/// The text one segment of a normalised path stands for.
///
/// ```
/// assert_eq!(privet::protocol::http::decode_segment("zo%C3%AB"), "zoë");
/// ```
pub fn decode_segment(segment: &str) -> String {
    let mut decoded = Vec::with_capacity(segment.len());
    let mut bytes = segment.bytes();
    while let Some(byte) = bytes.next() {
        let pair = if byte == b'%' { hex_pair(bytes.next(), bytes.next()).ok() } else { None };
        decoded.push(pair.unwrap_or(byte));
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn hex_pair(high: Option<u8>, low: Option<u8>) -> Result<u8, TargetError> {
    let digit = |byte: Option<u8>| {
        let value = char::from(byte?).to_digit(16)?;
        u8::try_from(value).ok()
    };
    match (digit(high), digit(low)) {
        (Some(high), Some(low)) => Ok(high << 4 | low),
        _ => Err(TargetError::BadEscape),
    }
}

const fn raw_fault(byte: u8) -> TargetError {
    match byte {
        b'\\' => TargetError::Backslash,
        b';' => TargetError::Parameters,
        b'#' => TargetError::Fragment,
        0..=0x1F | 0x7F => TargetError::ControlCharacter,
        0x80.. => TargetError::RawNonAscii,
        _ => TargetError::BadCharacter,
    }
}

/// Refuses a decoded segment that a server behind us may read as more than one plain name.
fn check_segment(decoded: &[u8]) -> Result<(), TargetError> {
    let text = std::str::from_utf8(decoded).map_err(|_| TargetError::NotUtf8)?;
    if text.chars().any(char::is_control) {
        return Err(TargetError::ControlCharacter);
    }
    if text.contains('\\') {
        return Err(TargetError::Backslash);
    }
    if text.contains(';') {
        return Err(TargetError::Parameters);
    }
    if text.contains(STRUCTURE) {
        return Err(TargetError::EncodedSlash);
    }
    // Windows servers trim spaces and dots from the end of a name, so `.. ` is `..` to them.
    if text.trim_matches([' ', '.']).is_empty() {
        return Err(TargetError::DotSegment);
    }
    if holds_escape(decoded) {
        return Err(TargetError::DoubleEncoding);
    }
    // Servers that fold look-alikes ("best fit") read a full-width `．` or `／` as the ASCII one.
    let folds = |c: char| {
        !c.is_ascii()
            && std::iter::once(c).nfkc().any(|f| f.is_ascii() && !f.is_ascii_alphanumeric())
    };
    if text.chars().any(folds) {
        return Err(TargetError::LookAlike);
    }
    Ok(())
}

/// Whether what was decoded once could be decoded again.
fn holds_escape(decoded: &[u8]) -> bool {
    decoded.windows(3).any(
        |w| matches!(w, [b'%', high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit()),
    )
}
