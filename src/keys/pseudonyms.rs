//! Pseudonyms: the same value looks the same within one purpose, and different in the next.

use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::Ff1;
use crate::crypto::Mac;
use crate::crypto::Secret;
use crate::crypto::derive;
use crate::crypto::length_prefixed;
use crate::crypto::sha256;
use crate::policy::Digits;
use crate::policy::Pseudonym;
use crate::transform::Plain;
use crate::transform::pseudonyms;
use crate::types::DomainId;
use crate::types::PurposeId;

/// Makes the pseudonyms of one purpose. Keys and ciphers of shapes are made when the first value
/// needs them, and kept.
#[expect(missing_debug_implementations, reason = "it holds keys")]
pub struct PurposePseudonyms {
    tokens: Mac,
    /// What the keys of the shapes are derived from.
    shapes: Secret,
    purpose: PurposeId,
    emails: OnceLock<Emails>,
    digits: OnceLock<Option<Ff1>>,
    days: OnceLock<Mac>,
}

struct Emails {
    mac: Mac,
    /// `@`, the purpose as a label, and the reserved domain.
    domain: Box<str>,
}

impl PurposePseudonyms {
    pub(super) fn new(root: &Secret, tenant: &str, number: u32, purpose: &PurposeId) -> Self {
        let number = number.to_be_bytes();
        let key = |use_: &[u8]| {
            derive(root, &[use_, tenant.as_bytes(), &number, purpose.as_str().as_bytes()])
        };
        Self {
            tokens: Mac::new(&key(b"privet/ps/v1")),
            shapes: key(b"privet/ps-shapes/v1"),
            purpose: purpose.clone(),
            emails: OnceLock::new(),
            digits: OnceLock::new(),
            days: OnceLock::new(),
        }
    }

    /// Appends the pseudonym of a value; false, and nothing appended, when it has none. `person`:
    /// domain and id of whom the value is about, when that is one person; dates need it.
    pub fn write(
        &self,
        plain: &Plain<'_>,
        person: Option<(&DomainId, &str)>,
        out: &mut Vec<u8>,
    ) -> bool {
        let start = out.len();
        let is_made = match (plain.form, person) {
            (Pseudonym::Token { .. }, _) => self.write_token(plain, out),
            (Pseudonym::Email, _) => self.email(plain, out),
            (Pseudonym::Digits(form), _) => self.digits(form, plain, out),
            (Pseudonym::Date { days }, Some(person)) => {
                let moved = self.days_of(person, days);
                moved.is_some_and(|moved| pseudonyms::shift_date(plain.value, moved, out))
            }
            (Pseudonym::Date { .. }, None) => false,
        };
        if !is_made {
            out.truncate(start);
        }
        is_made
    }

    /// The token of a value: the first 16 bytes of HMAC-SHA-256 over the length-prefixed kind and
    /// value. The kind keeps apart values that mean different things: the number 7 as a person
    /// and the number 7 as an order.
    pub fn token(&self, kind: &str, value: &str) -> [u8; 16] {
        self.tokens.short(&[kind.as_bytes(), value.as_bytes()])
    }

    /// `ps1_` and 22 letters of base64url.
    fn write_token(&self, plain: &Plain<'_>, out: &mut Vec<u8>) -> bool {
        let mut text = [0; 22];
        out.extend_from_slice(TOKEN.as_bytes());
        let encoded = URL_SAFE_NO_PAD.encode_slice(self.token(plain.kind, plain.value), &mut text);
        encoded.is_ok_and(|len| {
            out.extend(text.iter().take(len));
            true
        })
    }

    /// `u`, 26 letters of base32, and a domain that no mail ever reaches (RFC 2606).
    fn email(&self, plain: &Plain<'_>, out: &mut Vec<u8>) -> bool {
        if !pseudonyms::is_email(plain.value) {
            return false;
        }
        let Emails { mac, domain } = self.emails.get_or_init(|| Emails {
            mac: Mac::new(&derive(&self.shapes, &[b"email"])),
            domain: format!("@{}{}", label(self.purpose.as_str()), pseudonyms::DOMAIN).into(),
        });
        out.push(b'u');
        base32(&mac.short(&[plain.kind.as_bytes(), plain.value.as_bytes()]), out);
        out.extend_from_slice(domain.as_bytes());
        true
    }

    /// FF1 over the free digits. Its tweak is the kind and the digits that stay, so that numbers
    /// which differ in those are permuted in ways of their own.
    fn digits(&self, form: Digits, plain: &Plain<'_>, out: &mut Vec<u8>) -> bool {
        let made = || Ff1::new(&derive(&self.shapes, &[b"ff1"]));
        let Some(ff1) = self.digits.get_or_init(made) else { return false };
        let kind = sha256(&length_prefixed(&[b"privet/ff1/v1", plain.kind.as_bytes()]));
        let permute = |kept: &[u8], free: &mut [u8]| {
            let mut tweak = [0; 16 + Ff1::MAX_DIGITS];
            let parts = kind.iter().take(16).chain(kept);
            tweak.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
            let tweak = tweak.get(..16 + kept.len()).unwrap_or_default();
            ff1.permute(tweak, free).is_ok()
        };
        pseudonyms::digits(form, plain.value, permute, out)
    }

    /// By how many days the dates of a person are moved: from -`range` to `range`, never 0.
    fn days_of(&self, (domain, id): (&DomainId, &str), range: u16) -> Option<i32> {
        let mac = self.days.get_or_init(|| Mac::new(&derive(&self.shapes, &[b"days"])));
        let parts = [domain.as_str().as_bytes(), id.as_bytes(), &range.to_be_bytes()];
        // Of 2^128 numbers none of at most 2^17 remainders is more likely than another by more
        // than 2^-111.
        let number = u128::from_be_bytes(mac.short(&parts));
        let place = i32::try_from(number.checked_rem(2 * u128::from(range))?).ok()?;
        let range = i32::from(range);
        Some(if place < range { place - range } else { place - range + 1 })
    }
}

/// A purpose as one label of a host name: `order_support` is `order-support`. What does not turn
/// into a label one to one gets a few letters of its hash, so that no two purposes share one.
fn label(purpose: &str) -> String {
    let is_plain = |c: char| matches!(c, 'a'..='z' | '0'..='9');
    let is_simple = purpose.len() <= MAX_LABEL
        && !purpose.contains("__")
        && purpose.chars().all(|c| is_plain(c) || c == '_')
        && purpose.starts_with(is_plain)
        && purpose.ends_with(is_plain);
    if is_simple {
        return purpose.replace('_', "-");
    }
    let letters = purpose.chars().map(|c| c.to_ascii_lowercase()).filter(|c| is_plain(*c));
    let mut hash = Vec::new();
    let code = sha256(purpose.as_bytes());
    base32(code.get(..10).unwrap_or_default(), &mut hash);
    let letters: String = letters.take(MAX_LABEL - 2 - hash.len()).collect();
    format!("p{letters}-{}", String::from_utf8(hash).unwrap_or_default())
}

/// Appends `bytes` in the lower-case alphabet of RFC 4648 §6, without padding.
fn base32(bytes: &[u8], out: &mut Vec<u8>) {
    let (mut bits, mut count) = (0_u16, 0_u8);
    let mut letter = |bits: u16| {
        out.push(*BASE32.get(usize::from(bits & 31)).unwrap_or(&b'a'));
    };
    for byte in bytes {
        // INVARIANT: fewer than 5 bits are left over from the bytes before.
        bits = bits << 8 | u16::from(*byte);
        count += 8;
        while count >= 5 {
            count -= 5;
            letter(bits >> count);
        }
        bits &= (1 << count) - 1;
    }
    if count > 0 {
        letter(bits << (5 - count));
    }
}

/// How tokens begin.
const TOKEN: &str = "ps1_";
const BASE32: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
/// RFC 1035 §2.3.4.
const MAX_LABEL: usize = 63;
