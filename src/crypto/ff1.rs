//! Digits that become other digits: FF1 of NIST SP 800-38G, with AES-256.
//!
//! Revision 1 requires a domain of at least a million values, which are six digits: with fewer,
//! whoever sees enough pairs knows the whole table.

use aes::Aes256;
use fpe::ff1::FF1;
use fpe::ff1::NumeralString;
use fpe::ff1::Operations;

use super::secret::Secret;

/// Permutes strings of digits, each length and tweak in a way of its own.
#[expect(missing_debug_implementations, reason = "it is a key")]
pub struct Ff1(FF1<Aes256>);

/// Fewer than [`Ff1::MIN_DIGITS`], more than [`Ff1::MAX_DIGITS`], or not digits.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("FF1 takes {} to {} digits", Ff1::MIN_DIGITS, Ff1::MAX_DIGITS)]
pub struct NotPermutable;

impl Ff1 {
    /// The fewest digits: SP 800-38G rev. 1, §5.2, asks for a domain of at least 10^6.
    pub const MIN_DIGITS: usize = 6;
    /// The most digits. Halves of this length are computed with in 64 bits, without allocating.
    pub const MAX_DIGITS: usize = 38;

    /// Expands a key. `None` when the cipher does not take it, which no key of this length is.
    pub fn new(key: &Secret) -> Option<Self> {
        FF1::new(key.expose(), RADIX).ok().map(Self)
    }

    /// Replaces `digits`, each a number from 0 to 9 and not its character, by others. The same
    /// under one tweak, and one to one: no two strings of one length become the same.
    ///
    /// # Errors
    /// When there are too few or too many, or they are not digits. They then stay as they are.
    pub fn permute(&self, tweak: &[u8], digits: &mut [u8]) -> Result<(), NotPermutable> {
        let plain = Digits::read(digits)?;
        let permuted = self.0.encrypt(tweak, &plain).map_err(|_| NotPermutable)?;
        permuted.write(digits);
        Ok(())
    }
}

/// Up to 38 digits as two numbers.
struct Digits(Half, Half);

/// So many digits as one number below 10^`len`.
#[derive(Clone, Copy)]
struct Half {
    value: u64,
    len: u8,
}

impl Digits {
    fn read(digits: &[u8]) -> Result<Self, NotPermutable> {
        let is_long = (Ff1::MIN_DIGITS..=Ff1::MAX_DIGITS).contains(&digits.len());
        if !is_long || digits.iter().any(|digit| u32::from(*digit) >= RADIX) {
            return Err(NotPermutable);
        }
        let (left, right) = digits.split_at(digits.len() / 2);
        Ok(Self(Half::read(left)?, Half::read(right)?))
    }

    fn write(&self, digits: &mut [u8]) {
        let (left, right) = digits.split_at_mut(usize::from(self.0.len));
        self.0.write(left);
        self.1.write(right);
    }
}

impl Half {
    fn read(digits: &[u8]) -> Result<Self, NotPermutable> {
        let value = digits.iter().fold(0, |value, digit| value * 10 + u64::from(*digit));
        Ok(Self { value, len: u8::try_from(digits.len()).map_err(|_| NotPermutable)? })
    }

    fn write(self, digits: &mut [u8]) {
        let mut left = self.value;
        for digit in digits.iter_mut().rev() {
            *digit = u8::try_from(left % 10).unwrap_or_default();
            left /= 10;
        }
    }

    /// The sum or difference of the number and what big-endian `bytes` say, modulo 10^`len`.
    fn modulo(self, bytes: impl Iterator<Item = u8>, add: bool) -> Self {
        // INVARIANT: `len` is at most 19, and 10^19 fits in 64 bits.
        let modulus = u128::from(10_u64.pow(u32::from(self.len)));
        let (mut other, mut word, mut count) = (0_u128, 0_u128, 0);
        // Eight bytes a step: the remainder before them has at most 64 bits.
        for byte in bytes {
            word = word << 8 | u128::from(byte);
            count += 8;
            if count == 64 {
                other = (other << 64 | word) % modulus;
                (word, count) = (0, 0);
            }
        }
        other = (other << count | word) % modulus;
        let value = u128::from(self.value);
        let result = if add { value + other } else { value + modulus - other } % modulus;
        Self { value: u64::try_from(result).unwrap_or_default(), len: self.len }
    }
}

/// A number as its last `len` bytes, big-endian.
struct Bytes {
    bytes: [u8; 24],
    start: usize,
}

impl AsRef<[u8]> for Bytes {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(self.start..).unwrap_or_default()
    }
}

impl Operations for Half {
    type Bytes = Bytes;

    fn numeral_count(&self) -> usize {
        usize::from(self.len)
    }

    fn to_be_bytes(&self, _radix: u32, b: usize) -> Bytes {
        let mut bytes = [0; 24];
        let [.., a, b1, c, d, e, f, g, h] = &mut bytes;
        let number = self.value.to_be_bytes();
        for (to, from) in [a, b1, c, d, e, f, g, h].into_iter().zip(number) {
            *to = from;
        }
        // INVARIANT: 19 digits need 8 bytes.
        Bytes { bytes, start: bytes.len().saturating_sub(b) }
    }

    fn add_mod_exp(self, other: impl Iterator<Item = u8>, _radix: u32, _m: usize) -> Self {
        // INVARIANT: `m` is the length of this half.
        self.modulo(other, true)
    }

    fn sub_mod_exp(self, other: impl Iterator<Item = u8>, _radix: u32, _m: usize) -> Self {
        self.modulo(other, false)
    }
}

impl NumeralString for Digits {
    type Ops = Half;

    fn is_valid(&self, radix: u32) -> bool {
        radix == RADIX
    }

    fn numeral_count(&self) -> usize {
        self.0.numeral_count() + self.1.numeral_count()
    }

    fn split(&self) -> (Half, Half) {
        (self.0, self.1)
    }

    fn concat(a: Half, b: Half) -> Self {
        Self(a, b)
    }
}

const RADIX: u32 = 10;

#[cfg(test)]
impl Ff1 {
    /// Back again.
    pub(crate) fn restore(&self, tweak: &[u8], digits: &mut [u8]) -> Result<(), NotPermutable> {
        let permuted = Digits::read(digits)?;
        self.0.decrypt(tweak, &permuted).map_err(|_| NotPermutable)?.write(digits);
        Ok(())
    }
}
