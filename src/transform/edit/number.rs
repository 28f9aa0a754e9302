//! Whether two JSON numbers are the same.

/// Whether `sent` says the number that `shown` says: they are the same decimal, or `sent` is what
/// becomes of `shown` in a client that reads numbers as IEEE doubles and writes them again. Such a
/// client did not change the number, and must not destroy the digits it could not hold.
pub(super) fn is_same(shown: &str, sent: &str) -> bool {
    if shown == sent {
        return true;
    }
    let Some(wanted) = Decimal::read(sent) else { return false };
    if Decimal::read(shown).is_some_and(|shown| shown == wanted) {
        return true;
    }
    match shown.parse::<f64>() {
        Ok(double) if double.is_finite() => {
            // The shortest text that reads as the double (JavaScript, Python, Go, Java, serde),
            // with 17 digits (C, older PHP), and with every digit (what prints it as an integer).
            let is_wanted = |text: &str| Decimal::read(text).is_some_and(|text| text == wanted);
            is_wanted(&format!("{double:e}"))
                || is_wanted(&format!("{double:.16e}"))
                || is_wanted(&format!("{double:.0}")) && double.fract() == 0.0
        }
        _ => false,
    }
}

/// Whether a number is beyond IEEE doubles: JavaScript reads it as infinity and writes `null`.
pub(super) fn becomes_null(shown: &str) -> bool {
    shown.parse::<f64>().is_ok_and(f64::is_infinite)
}

/// Whether the text is a number and a multiple of `step`, however large it is.
pub(super) fn is_multiple(text: &str, step: u64) -> bool {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit() || b".eE+-".contains(&byte))
        && text.parse::<f64>().is_ok();
    if !is_number {
        return false;
    }
    let (Some(number), step) = (Decimal::read(text), u128::from(step)) else { return false };
    let (Ok(exponent), 1..) = (u64::try_from(number.exponent), step) else { return false };
    let rest = number.digits.iter().fold(0, |rest, digit| (rest * 10 + figure(*digit)) % step);
    (rest * power_of_ten(exponent, step)).is_multiple_of(step)
}

fn figure(digit: u8) -> u128 {
    u128::from(digit.wrapping_sub(b'0'))
}

/// What is left of a power of ten by `step`, which is at most 64 bits wide, as are all products'
/// factors.
fn power_of_ten(mut exponent: u64, step: u128) -> u128 {
    let (mut power, mut square) = (1 % step, 10 % step);
    while exponent > 0 {
        if exponent % 2 == 1 {
            power = power * square % step;
        }
        square = square * square % step;
        exponent /= 2;
    }
    power
}

/// A decimal number, written one way.
#[derive(Debug, Eq, PartialEq)]
struct Decimal {
    is_negative: bool,
    /// Without zeros at either end.
    digits: Vec<u8>,
    /// The power of ten of the last digit.
    exponent: i64,
}

impl Decimal {
    /// `None` when the exponent does not fit in 64 bits.
    fn read(text: &str) -> Option<Self> {
        let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
        let (is_negative, mantissa) = match mantissa.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, mantissa),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let mut digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).collect();
        let kept = digits.iter().rposition(|digit| *digit != b'0').map_or(0, |last| last + 1);
        let zeros = i64::try_from(digits.len() - kept).ok()?;
        digits.truncate(kept);
        digits.drain(..digits.iter().take_while(|digit| **digit == b'0').count());
        if digits.is_empty() {
            return Some(Self { is_negative: false, digits, exponent: 0 });
        }
        let exponent = exponent.parse::<i64>().ok()?;
        let exponent = exponent.checked_sub(i64::try_from(fraction.len()).ok()?)?;
        Some(Self { is_negative, digits, exponent: exponent.checked_add(zeros)? })
    }
}
