//! Fixed-size values that entries write as lower-case hexadecimal, and times as RFC 3339.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::Deserializer;
use serde::Serializer;
use serde::de::Error;

use crate::types::SubjectToken;
use crate::types::Timestamp;

/// Who acted, as the log names them: 16 bytes of an HMAC over the credential owner. The log never
/// holds the owner itself, because the owner may be the subject.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct ActorToken(pub [u8; 16]);

impl ActorToken {
    /// Reads 32 hexadecimal digits.
    pub fn parse(text: &str) -> Option<Self> {
        from_hex(text).map(Self)
    }
}

impl fmt::Display for ActorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        with_hex(&self.0, |text| f.write_str(text))
    }
}

/// Reads a subject token from 32 hexadecimal digits.
pub fn parse_subject_token(text: &str) -> Option<SubjectToken> {
    from_hex(text).map(SubjectToken)
}

/// `#[serde(with = "token::hex")]`: 16 or 32 bytes.
pub(super) mod hex {
    use super::Cow;
    use super::Deserialize;
    use super::Deserializer;
    use super::Error;
    use super::Serializer;
    use super::from_hex;
    use super::with_hex;

    #[expect(clippy::ref_option, reason = "serde hands in a reference to the field")]
    pub(in crate::audit) fn serialize<S: Serializer, const N: usize>(
        bytes: &Option<[u8; N]>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match bytes {
            Some(bytes) => with_hex(bytes, |text| to.serialize_str(text)),
            None => to.serialize_none(),
        }
    }

    pub(in crate::audit) fn deserialize<'de, D: Deserializer<'de>, const N: usize>(
        from: D,
    ) -> Result<Option<[u8; N]>, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        let wrong = || D::Error::custom("not the hexadecimal digits of a hash");
        from_hex(&text).ok_or_else(wrong).map(Some)
    }
}

/// `#[serde(with = "token::actor")]`.
pub(super) mod actor {
    use super::ActorToken;
    use super::Deserializer;
    use super::Serializer;
    use super::hex;

    #[expect(clippy::ref_option, reason = "serde hands in a reference to the field")]
    pub(in crate::audit) fn serialize<S: Serializer>(
        token: &Option<ActorToken>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        hex::serialize(&token.map(|token| token.0), to)
    }

    pub(in crate::audit) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Option<ActorToken>, D::Error> {
        Ok(hex::deserialize(from)?.map(ActorToken))
    }
}

/// `#[serde(with = "token::subjects")]`.
pub(super) mod subjects {
    use super::Cow;
    use super::Deserialize;
    use super::Deserializer;
    use super::Error;
    use super::Serializer;
    use super::SubjectToken;
    use super::parse_subject_token;
    use super::with_hex;

    struct Hex<'a>(&'a SubjectToken);

    impl serde::Serialize for Hex<'_> {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            with_hex(&self.0.0, |text| to.serialize_str(text))
        }
    }

    pub(in crate::audit) fn serialize<S: Serializer>(
        tokens: &[SubjectToken],
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_seq(tokens.iter().map(Hex))
    }

    pub(in crate::audit) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Vec<SubjectToken>, D::Error> {
        let texts = Vec::<Cow<'de, str>>::deserialize(from)?;
        let wrong = || D::Error::custom("not the hexadecimal digits of a subject token");
        texts.iter().map(|text| parse_subject_token(text).ok_or_else(wrong)).collect()
    }
}

/// `#[serde(with = "token::time")]`.
pub(super) mod time {
    use super::Cow;
    use super::Deserialize;
    use super::Deserializer;
    use super::Error;
    use super::Serializer;
    use super::Timestamp;
    use super::parse_time;

    pub(in crate::audit) fn serialize<S: Serializer>(
        time: &Timestamp,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.collect_str(time)
    }

    pub(in crate::audit) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Timestamp, D::Error> {
        let text = Cow::<'de, str>::deserialize(from)?;
        parse_time(&text).ok_or_else(|| D::Error::custom("not a time in UTC"))
    }
}

/// Reads the one form of a time that entries use: `2026-11-21T09:00:00.000Z`.
pub(super) fn parse_time(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    let marks = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':'), (19, b'.'), (23, b'Z')];
    if bytes.len() != 24 || marks.iter().any(|(at, mark)| bytes.get(*at) != Some(mark)) {
        return None;
    }
    let number = |from: usize, to: usize| -> Option<u64> {
        let digits = bytes.get(from..to)?;
        digits.iter().try_fold(0, |sum, digit| {
            digit.is_ascii_digit().then(|| sum * 10 + u64::from(digit - b'0'))
        })
    };
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1970..=9999).contains(&year) || !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    // Days from the civil date: the inverse of what `Timestamp` prints.
    let shifted = if month <= 2 { year - 1 } else { year };
    let doy = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let doe = shifted % 400 * 365 + shifted % 400 / 4 - shifted % 400 / 100 + doy;
    let days = shifted / 400 * 146_097 + doe - 719_468;
    let ms = ((days * 24 + hour) * 60 + minute) * 60_000 + second * 1000 + number(20, 23)?;
    let time = Timestamp::from_unix_ms(ms);
    // One text per time: the 31st of a short month or a 61st second is not read as another day.
    (time.to_string() == text).then_some(time)
}

pub(super) fn with_hex<R>(bytes: &[u8], with: impl FnOnce(&str) -> R) -> R {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or(b'0');
    let mut text = [0_u8; 64];
    for (pair, byte) in text.chunks_exact_mut(2).zip(bytes) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
    let written = text.get(..bytes.len() * 2).unwrap_or(&text);
    with(std::str::from_utf8(written).unwrap_or_default())
}

fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |c: u8| match c {
        b'0'..=b'9' => Some(c - b'0'),
        b'a'..=b'f' => Some(c - b'a' + 10),
        _ => None,
    };
    if text.len() != N * 2 {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}
