//! What values look like, counted; the values themselves are let go of at once.

use crate::catalog::guess::Guess;

/// How many values of a field looked like what.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Looks {
    seen: u32,
    counts: [u32; KINDS.len()],
}

/// What a value can look like.
struct Kind {
    guess: Guess,
    holds: fn(&str) -> bool,
}

/// In the order of how much they tell: a value counts for the first that holds.
const KINDS: [Kind; 9] = [
    kind("user.contact.email", 95, "e-mail addresses", is_email),
    kind("user.financial.credit_card", 90, "card numbers", is_card),
    kind("user.financial.bank_account", 90, "bank accounts (IBAN)", is_iban),
    kind(
        "user.government_id.national_identification_number",
        95,
        "Chinese identity numbers",
        is_cn_id,
    ),
    kind("user.device.ip_address", 85, "IP addresses", is_ip),
    kind("user.contact.phone_number", 75, "telephone numbers", is_phone),
    kind("user.contact.url", 40, "web addresses", is_url),
    kind("user.unique_id", 60, "unique ids", is_uuid),
    kind("system.operations", 40, "moments", is_moment),
];

const fn kind(
    category: &'static str,
    confidence: u8,
    what: &'static str,
    holds: fn(&str) -> bool,
) -> Kind {
    Kind { guess: Guess { category, confidence, what }, holds }
}

impl Looks {
    /// Counts one value.
    pub(super) fn count(&mut self, value: &str) {
        if value.is_empty() || value.len() > LONGEST {
            return;
        }
        self.seen = self.seen.saturating_add(1);
        let found = KINDS.iter().position(|kind| (kind.holds)(value));
        if let Some(count) = found.and_then(|at| self.counts.get_mut(at)) {
            *count = count.saturating_add(1);
        }
    }

    /// Counts what a description says of the values.
    pub(super) fn described(&mut self, format: &str) {
        self.count(match format {
            "email" | "idn-email" => "somebody@mail.example",
            "ipv4" | "ipv6" => "192.0.2.1",
            "uuid" => "00000000-0000-0000-0000-000000000000",
            "uri" | "url" => "https://www.example",
            "date-time" => "2026-01-01T00:00:00Z",
            _ => return,
        });
    }

    /// What four of five values look like.
    pub(super) fn guess(&self) -> Option<Guess> {
        let (at, count) = self.counts.iter().enumerate().max_by_key(|(_, count)| **count)?;
        let most = *count > 0 && u64::from(*count) * 5 >= u64::from(self.seen) * 4;
        KINDS.get(at).filter(|_| most).map(|kind| kind.guess)
    }
}

/// One `@`, a name before it, a host with a dot behind it.
fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.split_once('@') else { return false };
    let odd = |c: char| c.is_whitespace() || c == '@' || c.is_control();
    !name.is_empty()
        && host.contains('.')
        && !host.starts_with('.')
        && !host.ends_with('.')
        && !text.replacen('@', "", 1).contains(odd)
}

/// 12 to 19 digits in groups, with the check digit of ISO/IEC 7812-1 annex B (Luhn).
fn is_card(text: &str) -> bool {
    let Some(digits) = digits(text, " -") else { return false };
    (12..=19).contains(&digits.len()) && luhn(&digits)
}

fn luhn(digits: &[u32]) -> bool {
    let sum = digits.iter().rev().enumerate().fold(0, |sum, (at, digit)| {
        let doubled = digit * 2;
        sum + match at % 2 {
            0 => *digit,
            _ if doubled > 9 => doubled - 9,
            _ => doubled,
        }
    });
    sum % 10 == 0 && digits.iter().any(|digit| *digit != 0)
}

/// ISO 13616: country, two check digits, up to 30 letters and digits; remainder 1 modulo 97.
fn is_iban(text: &str) -> bool {
    let text: String = text.chars().filter(|c| *c != ' ').collect();
    if !(15..=34).contains(&text.len()) || !text.bytes().all(|b| b.is_ascii_alphanumeric()) {
        return false;
    }
    let (head, rest) = text.split_at(4);
    let shape = head.bytes().take(2).all(|b| b.is_ascii_uppercase())
        && head.bytes().skip(2).all(|b| b.is_ascii_digit());
    let remainder = rest.chars().chain(head.chars()).try_fold(0_u32, |remainder, c| {
        let value = c.to_digit(36)?;
        Some((if value > 9 { remainder * 100 } else { remainder * 10 } + value) % 97)
    });
    shape && remainder == Some(1)
}

/// GB 11643-1999: 17 digits and a check character by ISO 7064 MOD 11-2.
fn is_cn_id(text: &str) -> bool {
    const WEIGHTS: [u32; 17] = [7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2];
    if text.len() != 18 {
        return false;
    }
    let digits: Option<Vec<u32>> = text.chars().take(17).map(|c| c.to_digit(10)).collect();
    let Some(digits) = digits else { return false };
    let sum: u32 = digits.iter().zip(WEIGHTS).map(|(digit, weight)| digit * weight).sum();
    let check = usize::try_from(sum % 11).ok().and_then(|at| "10X98765432".chars().nth(at));
    text.chars().last().map(|c| c.to_ascii_uppercase()) == check
}

fn is_ip(text: &str) -> bool {
    text.parse::<core::net::IpAddr>().is_ok()
}

/// E.164 with its `+`, or 7 to 15 digits with separators people write.
fn is_phone(text: &str) -> bool {
    let rest = text.strip_prefix('+').unwrap_or(text);
    let separated = rest.len() != text.len() || text.contains([' ', '-', '(', ')', '/']);
    let is_date = text.len() == 10 && text.matches('-').count() == 2;
    let count = digits(rest, " -()./").map_or(0, |digits| digits.len());
    (7..=15).contains(&count) && separated && !is_date
}

fn is_url(text: &str) -> bool {
    ["https://", "http://"].iter().any(|scheme| text.starts_with(scheme))
}

/// RFC 9562: 8-4-4-4-12 hexadecimal digits.
fn is_uuid(text: &str) -> bool {
    let lengths = text.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12]) && text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit())
}

/// RFC 3339 with a time of day. A bare date could be a birthday and is not counted.
fn is_moment(text: &str) -> bool {
    text.contains(['T', ' ']) && text.replacen(' ', "T", 1).parse::<jiff::Timestamp>().is_ok()
}

/// The digits of a text of digits and `between`; nothing when there is anything else.
fn digits(text: &str, between: &str) -> Option<Vec<u32>> {
    text.chars().filter(|c| !between.contains(*c)).map(|c| c.to_digit(10)).collect()
}

/// Longer text is prose.
const LONGEST: usize = 256;
