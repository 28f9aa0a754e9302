//! Finds the end of a string's plain part, eight bytes at a time.

/// The first byte of a string's inside that is not plain: a quote, a backslash or a control
/// character.
#[inline]
pub(super) fn special(text: &[u8]) -> Option<(usize, u8)> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = ONES << 7;
    let (words, tail) = text.as_chunks::<8>();
    let mut at = 0;
    for word in words.iter().take(WORDS) {
        let word = u64::from_le_bytes(*word);
        // A byte that is zero in `x` borrows in `x - ONES`; bytes above the first such one may
        // be marked wrongly, so only the lowest mark counts.
        let quote = word ^ (ONES * 0x22);
        let slash = word ^ (ONES * 0x5c);
        let marks =
            quote.wrapping_sub(ONES) | slash.wrapping_sub(ONES) | word.wrapping_sub(ONES * 0x20);
        // None of the three changes the top bit of a byte, and no byte with it set is special.
        let marks = marks & !word & HIGH;
        if marks != 0 {
            at += marks.trailing_zeros() as usize / 8;
            return Some((at, *text.get(at)?));
        }
        at += 8;
    }
    let rest = if words.len() <= WORDS { tail } else { text.get(at..)? };
    let found = if rest.len() < 8 {
        rest.iter().position(|byte| matches!(byte, b'"' | b'\\' | 0..0x20))?
    } else {
        let until = memchr::memchr2(b'"', b'\\', rest).unwrap_or(rest.len());
        let plain = rest.get(..until)?;
        // Over the whole span without a way out early, so that it becomes vector code.
        if plain.iter().fold(u8::MAX, |least, byte| least.min(*byte)) < 0x20 {
            plain.iter().position(|byte| *byte < 0x20)?
        } else {
            until
        }
    };
    at += found;
    Some((at, *text.get(at)?))
}

/// Strings up to this many words of eight bytes are scanned by word, longer ones by `memchr`.
const WORDS: usize = 4;
