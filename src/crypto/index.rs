//! Blind indexes: what stands beside a sealed value so that it can be found by equality.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

use super::mac::Mac;

/// The form in which values are compared. Its id is part of what is hashed: a form never changes,
/// a new one gets a new id.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NormalForm {
    /// As `Text`, and an address has one `@` with something on both sides.
    Email,
    /// Every byte counts.
    Exact,
    /// Letters and digits alone, without case: `AB 12-3` and `ab123` are one.
    Id,
    /// Digits alone, after one `+`; `00` before them counts as `+`.
    Phone,
    /// NFKC, without case, white space at the ends gone and one blank for any inside.
    Text,
}

impl NormalForm {
    /// Every form.
    pub const ALL: [Self; 5] = [Self::Email, Self::Exact, Self::Id, Self::Phone, Self::Text];

    /// The word used in policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Exact => "exact",
            Self::Id => "id",
            Self::Phone => "phone",
            Self::Text => "text",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|form| form.as_str() == word)
    }

    const fn id(self) -> &'static [u8] {
        match self {
            Self::Email => b"email.1",
            Self::Exact => b"exact.1",
            Self::Id => b"id.1",
            Self::Phone => b"phone.1",
            Self::Text => b"text.1",
        }
    }

    /// The value in this form; wiped when dropped.
    pub fn of(self, value: &str) -> Zeroizing<String> {
        Zeroizing::new(match self {
            Self::Exact => value.to_owned(),
            Self::Email | Self::Text => spaced(&folded(value)),
            Self::Id => folded(value).chars().filter(|c| c.is_alphanumeric()).collect(),
            Self::Phone => phone(&folded(value)),
        })
    }
}

/// NFKC without case. Upper case first, so that what has no single lower-case form (`ß`, `ſ`) meets
/// its other spellings; letter by letter, so that a sigma at the end is one like any other.
fn folded(value: &str) -> String {
    let upper = value.nfkc().flat_map(char::to_uppercase);
    let lower: String = upper.flat_map(char::to_lowercase).collect();
    lower.chars().map(|c| if c == 'ς' { 'σ' } else { c }).nfkc().collect()
}

fn spaced(value: &str) -> String {
    let words: Vec<&str> = value.split_whitespace().collect();
    words.join(" ")
}

fn phone(value: &str) -> String {
    let trimmed = value.trim();
    let is_international = trimmed.starts_with('+') || trimmed.starts_with("00");
    let digits: String = trimmed.chars().filter(char::is_ascii_digit).collect();
    let digits =
        if trimmed.starts_with("00") { digits.get(2..).unwrap_or_default() } else { &digits };
    if is_international { format!("+{digits}") } else { digits.to_owned() }
}

/// Appends the index of a value: `bi1_` and base64url of the first `bytes` bytes (at most 32) of an
/// HMAC over tenant, the name it is sealed as, the form's id and the value in that form.
pub fn blind_index(
    key: &Mac,
    (tenant, sealed_as): (&str, &str),
    (form, bytes): (NormalForm, u8),
    value: &str,
    out: &mut Vec<u8>,
) {
    let normal = form.of(value);
    let parts: [&[u8]; 5] =
        [b"privet/bi/v1", tenant.as_bytes(), sealed_as.as_bytes(), form.id(), normal.as_bytes()];
    let code = key.of_parts(&parts);
    let kept = code.get(..usize::from(bytes)).unwrap_or(&code);
    let mut text = [0; 43];
    let len = URL_SAFE_NO_PAD.encode_slice(kept, &mut text).unwrap_or_default();
    out.extend_from_slice(b"bi1_");
    out.extend(text.iter().take(len));
}
