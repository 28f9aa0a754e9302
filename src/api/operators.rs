//! Who may use the admin listener: named operators with bearer tokens.
//!
//! The file holds one operator a line, `name role sha256-of-the-token`, and behind it, for those
//! with a second factor, `totp1_` and the sealed secret of their codes. The token itself is shown
//! once, when it is made, and kept nowhere.

use std::fmt::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::Digest;
use sha2::Sha256;
use subtle::ConstantTimeEq;

/// What an operator may do.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum OperatorRole {
    /// A back end that asks people for consent: may record what they answer, ask for one person's
    /// consents and fetch receipts, and look at nothing else.
    Collector,
    /// May look: status, audit search.
    Auditor,
    /// May also set what stands in subject cards.
    Officer,
    /// May also reload policies and settings.
    Admin,
}

impl OperatorRole {
    /// Every role, the least powerful first.
    pub const ALL: [Self; 4] = [Self::Collector, Self::Auditor, Self::Officer, Self::Admin];

    /// Whether the role may record consents and ask for those of one person. Not a question of
    /// more or less: an auditor looks and changes nothing.
    pub const fn may_collect(self) -> bool {
        !matches!(self, Self::Auditor)
    }

    /// The word in the file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Auditor => "auditor",
            Self::Collector => "collector",
            Self::Officer => "officer",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }
}

/// Somebody who may use the admin listener.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The name that is written to the audit log.
    pub name: Arc<str>,
    /// What they may do.
    pub role: OperatorRole,
    token_hash: [u8; 32],
    /// The secret of their codes, sealed for their name.
    pub(super) totp: Option<Arc<[u8]>>,
    /// Whether this call carried a code of theirs.
    pub(super) second_factor: bool,
}

/// A line of the operators file is wrong.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum OperatorsError {
    /// Not three or four words, or a role, a hash or a second factor that is none.
    #[error(
        "line {line} is not `name role sha256`, with a role of collector, auditor, officer or \
         admin, and `totp1_…` behind it where there is a second factor"
    )]
    Line {
        /// Its number, from one.
        line: usize,
    },
    /// Two lines name the same operator.
    #[error("line {line} names `{name}` a second time")]
    Twice {
        /// Its number, from one.
        line: usize,
        /// The name.
        name: String,
    },
}

/// All operators.
#[derive(Clone, Debug, Default)]
pub struct Operators(Vec<Operator>);

impl Operators {
    /// Reads the operators file. Empty lines and lines that start with `#` are passed over.
    pub fn parse(text: &str) -> Result<Self, OperatorsError> {
        let mut found: Vec<Operator> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let wrong = OperatorsError::Line { line: number + 1 };
            let words: Vec<&str> = line.split_whitespace().collect();
            let (name, role, hash, totp) = match words.as_slice() {
                [name, role, hash] => (name, role, hash, None),
                [name, role, hash, totp] => (name, role, hash, Some(*totp)),
                _ => return Err(wrong),
            };
            let totp = match totp.map(sealed) {
                Some(None) => return Err(wrong),
                totp => totp.flatten(),
            };
            let role = OperatorRole::parse(role).ok_or(wrong.clone())?;
            let token_hash = unhex(hash).ok_or(wrong)?;
            if found.iter().any(|o| *o.name == **name) {
                return Err(OperatorsError::Twice { line: number + 1, name: (*name).into() });
            }
            let name = (*name).into();
            found.push(Operator { name, role, token_hash, totp, second_factor: false });
        }
        Ok(Self(found))
    }

    /// The operator whose token this is. Every hash is compared, so that the time taken says
    /// nothing about which one came near.
    pub fn authenticate(&self, token: &str) -> Option<&Operator> {
        let hash: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let mut found = None;
        for operator in &self.0 {
            if bool::from(operator.token_hash.ct_eq(&hash)) {
                found = Some(operator);
            }
        }
        found
    }

    /// The line that lets `name` in with `token`; `totp` is the sealed secret of their codes.
    pub fn line(name: &str, role: OperatorRole, token: &str, totp: Option<&[u8]>) -> String {
        let hash = Sha256::digest(token.as_bytes());
        let mut line = format!("{name} {} ", role.as_str());
        for byte in hash {
            // Writing to a String does not fail.
            write!(line, "{byte:02x}").unwrap_or_default();
        }
        if let Some(totp) = totp {
            line.push(' ');
            line.push_str(TOTP);
            URL_SAFE_NO_PAD.encode_string(totp, &mut line);
        }
        line.push('\n');
        line
    }

    /// Whether the name is taken.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|operator| &*operator.name == name)
    }
}

/// The sealed secret in the fourth word of a line.
fn sealed(word: &str) -> Option<Arc<[u8]>> {
    let sealed = URL_SAFE_NO_PAD.decode(word.strip_prefix(TOTP)?).ok()?;
    Some(sealed.into())
}

/// What the fourth word of a line starts with.
const TOTP: &str = "totp1_";

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut out = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_lets_its_operator_in_and_nobody_else() {
        let file = format!(
            "# who\n\n{}{}",
            Operators::line("ada", OperatorRole::Admin, "token-a", None),
            Operators::line("ben", OperatorRole::Auditor, "token-b", Some(b"sealed")),
        );
        let operators = Operators::parse(&file).unwrap();
        assert_eq!(&*operators.authenticate("token-a").unwrap().name, "ada");
        assert_eq!(operators.authenticate("token-b").unwrap().role, OperatorRole::Auditor);
        let totp = |token| operators.authenticate(token).unwrap().totp.as_deref();
        assert_eq!((totp("token-a"), totp("token-b")), (None, Some(b"sealed".as_slice())));
        assert!(operators.authenticate("token-c").is_none());
        assert!(operators.authenticate("").is_none());
        assert!(!file.contains("token-a"));
    }

    #[test]
    fn wrong_lines_are_named() {
        let good = Operators::line("ada", OperatorRole::Admin, "t", None);
        let line = good.trim();
        for (text, wanted) in [
            ("ada admin".to_owned(), "line 1 is not"),
            (format!("{good}ben king 00"), "line 2 is not"),
            (format!("ada admin {}", "zz".repeat(32)), "line 1 is not"),
            (format!("{line} totp1_***"), "line 1 is not"),
            (format!("{line} secret"), "line 1 is not"),
            (format!("{line} totp1_c2VhbGVk more"), "line 1 is not"),
            (format!("{good}{good}"), "line 2 names `ada` a second time"),
        ] {
            let error = Operators::parse(&text).unwrap_err().to_string();
            assert!(error.starts_with(wanted), "{error}");
        }
    }
}
