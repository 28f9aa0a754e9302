//! The forms of one value. Each closes on a value it does not fit.

use super::escape;
use crate::policy::DatePart;
use crate::policy::Generalize;
use crate::policy::Mask;

/// Appends the masked form of `text` as a JSON string: what stays, and exactly three stars for
/// the rest, however long it is.
///
/// Characters are Unicode scalar values. When less than two characters would be hidden, nothing
/// stays: a mask never gives a short value away. `keep_domain` keeps `@` and what follows only
/// when that looks like a domain; what stands before the `@` is masked as a value of its own.
pub(super) fn mask(mask: Mask, text: &str, out: &mut Vec<u8>) {
    let (local, domain) = match mask.keep_domain.then(|| split_domain(text)).flatten() {
        Some((local, domain)) => (local, domain),
        None => (text, ""),
    };
    let (first, last) = (usize::from(mask.keep_first), usize::from(mask.keep_last));
    // One character more than asked for is enough to know.
    let enough = first + last + 2;
    let is_long = local.chars().take(enough).count() == enough;
    let (head, tail) = if is_long { ends(local, first, last) } else { ("", "") };
    out.push(b'"');
    escape::escape(head.as_bytes(), out);
    out.extend_from_slice(STARS);
    escape::escape(tail.as_bytes(), out);
    escape::escape(domain.as_bytes(), out);
    out.push(b'"');
}

/// Appends three stars alone: what a mask makes of a value without characters to keep.
pub(super) fn mask_all(out: &mut Vec<u8>) {
    out.push(b'"');
    out.extend_from_slice(STARS);
    out.push(b'"');
}

/// The first and the last characters of `text`, which has more than both together.
fn ends(text: &str, first: usize, last: usize) -> (&str, &str) {
    let head = text.char_indices().nth(first).and_then(|(at, _)| text.get(..at));
    let tail = match last.checked_sub(1) {
        Some(nth) => text.char_indices().rev().nth(nth).and_then(|(at, _)| text.get(at..)),
        None => None,
    };
    (head.unwrap_or_default(), tail.unwrap_or_default())
}

/// Whether `text` is an address.
pub(super) fn is_address(text: &str) -> bool {
    split_domain(text).is_some()
}

/// Cuts an address before its last `@`. `None` when nothing stands before it, or what follows is
/// no domain: free text after an `@` is not shown as one.
fn split_domain(text: &str) -> Option<(&str, &str)> {
    let at = memchr::memrchr(b'@', text.as_bytes())?;
    let (local, domain) = text.split_at_checked(at)?;
    let host = domain.get(1..)?;
    let is_host = host.contains('.')
        && host.len() <= LONGEST_DOMAIN
        && host.split('.').all(|label| {
            !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-')
        });
    (!local.is_empty() && is_host).then_some((local, domain))
}

/// Appends the coarser form of a string; false, and nothing appended, when it has none.
pub(super) fn generalize_text(how: Generalize, text: &str, out: &mut Vec<u8>) -> bool {
    let Generalize::Date(part) = how else { return false };
    if !is_date(text) {
        return false;
    }
    let kept = match part {
        DatePart::Month => text.get(..7),
        DatePart::Year => text.get(..4),
    };
    let Some(kept) = kept else { return false };
    out.push(b'"');
    out.extend_from_slice(kept.as_bytes());
    out.push(b'"');
    true
}

/// Whether `text` is a date, `1988-10-09`, with or without a time after it: `T` or a blank, then
/// hours and minutes. Other ways to write dates are ambiguous or could be something else.
fn is_date(text: &str) -> bool {
    let Some((date, time)) = text.split_at_checked(10) else { return false };
    let mut parts = date.split('-').map(number);
    let (Some(Some(year)), Some(Some(month)), Some(Some(day)), None) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    let is_shaped = date.as_bytes().get(4) == Some(&b'-') && date.as_bytes().get(7) == Some(&b'-');
    is_shaped && (1..=days(year, month)).contains(&day) && (time.is_empty() || is_time(time))
}

fn days(year: u32, month: u32) -> u32 {
    let is_leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if is_leap => 29,
        2 => 28,
        _ => 0,
    }
}

/// `T10:30` and whatever of seconds and zone follows in their characters.
fn is_time(text: &str) -> bool {
    let [b'T' | b't' | b' ', h1, h2, b':', m1, m2, rest @ ..] = text.as_bytes() else {
        return false;
    };
    [h1, h2, m1, m2].iter().all(|digit| digit.is_ascii_digit())
        && rest.iter().all(|byte| byte.is_ascii_digit() || b":.,+-Zz ".contains(byte))
}

fn number(digits: &str) -> Option<u32> {
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten()
}

/// Appends the largest multiple of the step that is not above `text`, a JSON number; false, and
/// nothing appended, when it has none: it is written with an exponent, or does not fit in 128
/// bits. Nothing is ever rounded through a float.
pub(super) fn generalize_number(how: Generalize, text: &str, out: &mut Vec<u8>) -> bool {
    let Generalize::Number { step } = how else { return false };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.bytes().any(|byte| !byte.is_ascii_digit()) {
        return false;
    }
    let Ok(whole) = whole.parse::<i128>() else { return false };
    // `-0.5` lies below zero although its whole part is not negative.
    let is_below = text.starts_with('-') && fraction.bytes().any(|byte| byte != b'0');
    let Some(floor) = whole.checked_sub(i128::from(is_below)) else { return false };
    let step = i128::from(step);
    let multiple = floor.checked_rem_euclid(step).and_then(|above| floor.checked_sub(above));
    let Some(multiple) = multiple else { return false };
    integer(multiple, out);
    true
}

/// Appends a number in decimal digits.
fn integer(value: i128, out: &mut Vec<u8>) {
    let mut digits = [0u8; 40];
    let mut at = digits.len();
    let mut left = value.unsigned_abs();
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(left % 10).unwrap_or_default();
        left /= 10;
        at -= 1;
        if left == 0 {
            break;
        }
    }
    if value < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(digits.get(at..).unwrap_or_default());
}

/// What stands for the hidden part.
pub(super) const STARS: &[u8] = b"***";
/// RFC 1035 §2.3.4.
const LONGEST_DOMAIN: usize = 253;
