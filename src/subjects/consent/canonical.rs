//! JSON of one form for each value, to be hashed and signed (RFC 8785).

use serde::Serialize;
use serde_json::Value;
use sha2::Digest as _;
use sha2::Sha256;

use super::ids::Digest;

/// The canonical form of RFC 8785 of what has texts, whole numbers below 2^53, booleans, lists and
/// objects with ASCII names: names sorted, no spaces. `None` for what is no JSON, or has a number
/// of another kind.
pub fn canonical(value: &impl Serialize) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    write(&serde_json::to_value(value).ok()?, &mut text)?;
    Some(text)
}

/// The SHA-256 of the canonical form.
pub fn digest(value: &impl Serialize) -> Option<Digest> {
    canonical(value).map(|text| of_bytes(&text))
}

pub(super) fn of_bytes(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

fn write(value: &Value, to: &mut Vec<u8>) -> Option<()> {
    match value {
        Value::Object(members) => {
            let mut names: Vec<_> = members.iter().collect();
            names.sort_by_key(|(name, _)| *name);
            to.push(b'{');
            for (n, (name, member)) in names.into_iter().enumerate() {
                if !name.is_ascii() {
                    // Sorted by UTF-16 there, and by UTF-8 here.
                    return None;
                }
                if n > 0 {
                    to.push(b',');
                }
                serde_json::to_writer(&mut *to, name).ok()?;
                to.push(b':');
                write(member, to)?;
            }
            to.push(b'}');
        }
        Value::Array(items) => {
            to.push(b'[');
            for (n, item) in items.iter().enumerate() {
                if n > 0 {
                    to.push(b',');
                }
                write(item, to)?;
            }
            to.push(b']');
        }
        Value::Number(number) => {
            number.as_u64().filter(|n| *n < EXACT)?;
            serde_json::to_writer(to, number).ok()?;
        }
        Value::Null | Value::Bool(_) | Value::String(_) => serde_json::to_writer(to, value).ok()?,
    }
    Some(())
}

/// Whole numbers below this are the same in every JSON library.
const EXACT: u64 = 1 << 53;
