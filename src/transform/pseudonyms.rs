//! The shapes of pseudonyms. Each closes on a value that does not have it.

use jiff::Span;
use jiff::civil::Date;

use super::views;
use crate::policy::Digits;

/// Whether `text` has the shape of an address: something, `@`, a domain, and no white space.
pub fn is_email(text: &str) -> bool {
    views::is_address(text) && !text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// Appends `text` with other digits in the places of its own; false, and nothing appended, when it
/// is not of the form.
///
/// Beside ASCII digits only separators may stand in it, which stay where they are: letters would
/// leave as they are. `permute` replaces the digits it is given last, and is given those that stay
/// first. With Luhn's formula it is given all but one of the free digits, and that one becomes
/// what makes the whole valid: of the numbers that keep the same digits no two become the same.
/// A number that stays what it is has no pseudonym.
pub fn digits(
    form: Digits,
    text: &str,
    permute: impl FnOnce(&[u8], &mut [u8]) -> bool,
    out: &mut Vec<u8>,
) -> bool {
    let mut found = [0; MAX_DIGITS];
    let Some(count) = read_digits(text, &mut found) else { return false };
    let is_between = (usize::from(form.min)..=usize::from(form.max)).contains(&count);
    let Some(stored) = found.get(..count).filter(|_| is_between) else { return false };
    if form.luhn && luhn(stored) != 0 {
        return false;
    }
    let mut made = found;
    let Some(made) = made.get_mut(..count) else { return false };
    let (first, last) = (usize::from(form.keep_first), usize::from(form.keep_last));
    let Some(end) = count.checked_sub(last).filter(|end| first < *end) else { return false };
    let mut kept = [0; MAX_DIGITS];
    let staying = stored.get(..first).into_iter().chain(stored.get(end..)).flatten();
    kept.iter_mut().zip(staying).for_each(|(to, from)| *to = *from);
    let Some(free) = made.get_mut(first..end) else { return false };
    let (free, check) = match free {
        [free @ .., check] if form.luhn => (free, Some(check)),
        free => (free, None),
    };
    if !permute(kept.get(..first + last).unwrap_or_default(), free) {
        return false;
    }
    if check.is_some() && !balance(made, end - 1) {
        return false;
    }
    if *made == *stored {
        return false;
    }
    let mut digits = made.iter();
    for byte in text.bytes() {
        let digit = byte.is_ascii_digit().then(|| digits.next()).flatten();
        out.push(digit.map_or(byte, |digit| b'0' + digit));
    }
    true
}

/// Whether `text` has as many digits as the form asks for and nothing else but separators.
pub(super) fn has_digits(form: Digits, text: &str) -> bool {
    let range = usize::from(form.min)..=usize::from(form.max);
    read_digits(text, &mut [0; MAX_DIGITS]).is_some_and(|count| range.contains(&count))
}

/// The digits of `text` as numbers, and how many there are; `None` when something else stands in
/// it than digits and separators.
fn read_digits(text: &str, found: &mut [u8; MAX_DIGITS]) -> Option<usize> {
    let mut count = 0;
    if text.len() > 2 * MAX_DIGITS {
        return None;
    }
    for byte in text.bytes() {
        if byte.is_ascii_digit() {
            *found.get_mut(count)? = byte - b'0';
            count += 1;
        } else if !SEPARATORS.contains(&byte) {
            return None;
        }
    }
    Some(count)
}

/// Luhn's sum modulo 10 (ISO/IEC 7812-1, annex B): 0 of a valid number.
fn luhn(digits: &[u8]) -> u8 {
    let weighed = digits.iter().rev().enumerate().map(|(at, digit)| match digit * 2 {
        _ if at % 2 == 0 => *digit,
        double if double > 9 => double - 9,
        double => double,
    });
    weighed.fold(0, |sum, digit| (sum + digit) % 10)
}

/// Sets the digit at `at` to the only one that makes the number valid.
fn balance(digits: &mut [u8], at: usize) -> bool {
    (0..10).any(|digit| {
        if let Some(place) = digits.get_mut(at) {
            *place = digit;
        }
        luhn(digits) == 0
    })
}

/// Appends `text`, a date with or without a time, moved by `days`; false, and nothing appended,
/// when it is none, or would leave the years 1 to 9999. The time stays as it is written.
pub fn shift_date(text: &str, days: i32, out: &mut Vec<u8>) -> bool {
    let Some((date, time)) = text.split_at_checked(10) else { return false };
    if !time.is_empty() && !is_time(time.as_bytes()) {
        return false;
    }
    let Some(date) = civil(date.as_bytes()) else { return false };
    let Ok(moved) = date.checked_add(Span::new().days(days)) else { return false };
    if moved.year() < 1 {
        return false;
    }
    for part in [moved.year() / 100, moved.year() % 100] {
        two(part, out);
    }
    for part in [moved.month(), moved.day()] {
        out.push(b'-');
        two(i16::from(part), out);
    }
    out.extend_from_slice(time.as_bytes());
    true
}

/// Whether `text` is a date, with or without a time, that [`shift_date`] may move.
pub(super) fn is_date(text: &str) -> bool {
    shift_date(text, 0, &mut Vec::new())
}

/// `1988-10-09`, when there is such a day. There was no year 0.
fn civil(text: &[u8]) -> Option<Date> {
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text else { return None };
    let century = i16::from(pair(y1, y2)?) * 100;
    let year = century + i16::from(pair(y3, y4)?);
    Date::new(year, pair(m1, m2)?, pair(d1, d2)?).ok().filter(|_| year > 0)
}

/// Two digits.
fn pair(tens: &u8, ones: &u8) -> Option<i8> {
    let digit = |byte: &u8| byte.is_ascii_digit().then(|| i8::try_from(byte - b'0').ok()).flatten();
    Some(digit(tens)? * 10 + digit(ones)?)
}

fn two(number: i16, out: &mut Vec<u8>) {
    let digit = |number: i16| b'0' + u8::try_from(number % 10).unwrap_or_default();
    out.extend_from_slice(&[digit(number / 10), digit(number)]);
}

/// `T10:30`, with seconds and up to nine digits of a fraction, and a zone. Anything else might be
/// more than a time, and would leave as it is.
fn is_time(text: &[u8]) -> bool {
    let [b'T' | b't' | b' ', h1, h2, b':', m1, m2, rest @ ..] = text else { return false };
    if !is_below(h1, h2, 24) || !is_below(m1, m2, 60) {
        return false;
    }
    let rest = match rest {
        [b':', s1, s2, rest @ ..] if is_below(s1, s2, 61) => match rest {
            [b'.', rest @ ..] => {
                let fraction = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
                if !(1..=9).contains(&fraction) {
                    return false;
                }
                rest.get(fraction..).unwrap_or_default()
            }
            rest => rest,
        },
        rest => rest,
    };
    match rest {
        [] | [b'Z' | b'z'] => true,
        [b'+' | b'-', h1, h2, b':', m1, m2] | [b'+' | b'-', h1, h2, m1, m2] => {
            is_below(h1, h2, 24) && is_below(m1, m2, 60)
        }
        [b'+' | b'-', h1, h2] => is_below(h1, h2, 24),
        _ => false,
    }
}

fn is_below(tens: &u8, ones: &u8, limit: i8) -> bool {
    pair(tens, ones).is_some_and(|number| number < limit)
}

/// How addresses that stand for others end: below a name that nobody can have (RFC 2606).
pub const DOMAIN: &str = ".privet.invalid";
/// What may stand between digits. None of them needs escaping in JSON.
pub(super) const SEPARATORS: &[u8] = b" -./()+";
/// As many as FF1 takes.
const MAX_DIGITS: usize = crate::crypto::Ff1::MAX_DIGITS;
