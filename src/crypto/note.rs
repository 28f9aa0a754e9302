//! C2SP signed notes (signed-note v1.0, tlog-checkpoint v1.0): a text, and the signatures of named
//! Ed25519 keys under it. The text of a checkpoint names a tree: origin, size and root.

use std::fmt;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::Digest;
use sha2::Sha256;

use super::merkle::Hash;
use super::sign::Signer;
use super::sign::Verifier;

/// Why a note, a key or a checkpoint was not accepted.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NoteError {
    /// The text is not a checkpoint.
    #[error("not a checkpoint: {what}")]
    Checkpoint {
        /// What is wrong.
        what: &'static str,
    },
    /// The text is not a verifier key.
    #[error("not a verifier key: {what}")]
    Key {
        /// What is wrong.
        what: &'static str,
    },
    /// The text is not a signed note.
    #[error("not a signed note: {what}")]
    Malformed {
        /// What is wrong.
        what: &'static str,
    },
    /// The name cannot stand in a key or a signature line.
    #[error("`{name}` cannot name a log: use text without spaces and without `+`")]
    Name {
        /// The name.
        name: String,
    },
    /// A signature that claims to be of the wanted key is not.
    #[error("the signature of `{name}` is wrong")]
    Signature {
        /// The name of the key.
        name: String,
    },
    /// The wanted key did not sign.
    #[error("there is no signature of `{name}`")]
    Unsigned {
        /// The name of the key.
        name: String,
    },
}

/// A named key that signs notes.
#[expect(missing_debug_implementations, reason = "it is a key")]
#[derive(Clone)]
pub struct NoteKey {
    verifier: VerifierKey,
    key: Arc<Signer>,
}

impl NoteKey {
    /// Gives a signing key the name under which it signs.
    pub fn new(name: &str, key: impl Into<Arc<Signer>>) -> Result<Self, NoteError> {
        let key = key.into();
        Ok(Self { verifier: VerifierKey::new(name, key.verifier().to_bytes())?, key })
    }

    /// The public half, to hand to those who check.
    pub fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// `text`, which must end its last line, with this key's signature under it.
    pub fn sign(&self, text: &str) -> String {
        let mut bytes = self.verifier.id.to_vec();
        bytes.extend(self.key.sign(text.as_bytes()));
        format!("{text}\n\u{2014} {} {}\n", self.verifier.name, STANDARD.encode(bytes))
    }
}

/// A named public key, written `name+hash+base64` as Go's `sumdb/note` reads it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct VerifierKey {
    name: Box<str>,
    id: [u8; 4],
    public: [u8; 32],
}

impl VerifierKey {
    /// Names a public key.
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, NoteError> {
        Ok(Self { name: name.into(), id: key_id(name, ALGORITHM, &public)?, public })
    }

    /// Reads `name+hash+base64`.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let (name, public) = parse_key(text, ALGORITHM)?;
        Self::new(name, public)
    }

    /// The name under which the key signs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The text of a note this key signed; signatures of other keys are passed over.
    pub fn open<'a>(&self, note: &'a str) -> Result<&'a str, NoteError> {
        let (text, signatures) = split(note)?;
        let mut found = false;
        for Signature { name, id, bytes } in &signatures {
            if *name == &*self.name && *id == self.id && !found {
                self.check(text, bytes)?;
                found = true;
            }
        }
        let unsigned = || NoteError::Unsigned { name: self.name.to_string() };
        found.then_some(text).ok_or_else(unsigned)
    }

    fn check(&self, text: &str, signature: &[u8]) -> Result<(), NoteError> {
        let wrong = || NoteError::Signature { name: self.name.to_string() };
        let key = Verifier::from_bytes(&self.public).map_err(|_| wrong())?;
        let signature = signature.try_into().map_err(|_| wrong())?;
        key.verify(text.as_bytes(), signature).map_err(|_| wrong())
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_key(f, (&self.name, self.id), ALGORITHM, &self.public)
    }
}

/// The four bytes that tell keys of one name apart.
pub(super) fn key_id(name: &str, algorithm: u8, public: &[u8; 32]) -> Result<[u8; 4], NoteError> {
    let plain = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    if name.is_empty() || !name.chars().all(plain) {
        return Err(NoteError::Name { name: name.to_owned() });
    }
    let hash: Hash = Sha256::new()
        .chain_update(name)
        .chain_update([b'\n', algorithm])
        .chain_update(public)
        .finalize()
        .into();
    let [a, b, c, d, ..] = hash;
    Ok([a, b, c, d])
}

/// Reads `name+hash+base64` as the name and the key.
pub(super) fn parse_key(text: &str, algorithm: u8) -> Result<(&str, [u8; 32]), NoteError> {
    let wrong = |what| NoteError::Key { what };
    let mut parts = text.trim_end().splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(wrong("it has the form `name+hash+key`"));
    };
    let bytes = STANDARD.decode(key).map_err(|_| wrong("the key is not base64"))?;
    let public = match bytes.split_first() {
        Some((first, public)) if *first == algorithm => public,
        Some((&COSIGNATURE, _)) => return Err(wrong("it is the key of a witness, not of a log")),
        Some((&ALGORITHM, _)) => return Err(wrong("it is the key of a log, not of a witness")),
        _ => return Err(wrong("it is not an Ed25519 key")),
    };
    let public = public.try_into().map_err(|_| wrong("the key is not 32 bytes long"))?;
    let hash_is = u32::from_str_radix(id, 16).ok().filter(|_| id.len() == 8);
    if hash_is != Some(u32::from_be_bytes(key_id(name, algorithm, &public)?)) {
        return Err(wrong("its hash does not fit its name and key"));
    }
    Ok((name, public))
}

pub(super) fn write_key(
    f: &mut fmt::Formatter<'_>,
    (name, id): (&str, [u8; 4]),
    algorithm: u8,
    public: &[u8; 32],
) -> fmt::Result {
    let mut key = vec![algorithm];
    key.extend(public);
    write!(f, "{name}+{:08x}+{}", u32::from_be_bytes(id), STANDARD.encode(key))
}

/// One signature of a note.
pub(super) struct Signature<'a> {
    pub(super) name: &'a str,
    pub(super) id: [u8; 4],
    pub(super) bytes: Vec<u8>,
}

/// The text of a note, and what stands under it.
pub(super) fn split(note: &str) -> Result<(&str, Vec<Signature<'_>>), NoteError> {
    let wrong = |what| NoteError::Malformed { what };
    if note.len() > MAX_NOTE_BYTES {
        return Err(wrong("it is longer than 1 MiB"));
    }
    if note.chars().any(|c| c.is_ascii_control() && c != '\n') {
        return Err(wrong("it has a control character"));
    }
    let end = note.rfind("\n\n").ok_or_else(|| wrong("no blank line before signatures"))? + 1;
    let (Some(text), Some(lines)) = (note.get(..end), note.get(end + 1..)) else {
        return Err(wrong("no signatures"));
    };
    let lines = lines.strip_suffix('\n').ok_or_else(|| wrong("its last line has no end"))?;
    Ok((text, lines.split('\n').map(signature).collect::<Result<_, _>>()?))
}

/// Reads `— name base64`.
pub(super) fn signature(line: &str) -> Result<Signature<'_>, NoteError> {
    let wrong = |what| NoteError::Malformed { what };
    let parts = line.strip_prefix("\u{2014} ").and_then(|rest| rest.split_once(' '));
    let (name, signature) = parts.ok_or_else(|| wrong("a signature line has another form"))?;
    let bytes = STANDARD.decode(signature).map_err(|_| wrong("a signature is not base64"))?;
    let (id, bytes) = bytes.split_first_chunk().ok_or_else(|| wrong("a signature is too short"))?;
    Ok(Signature { name, id: *id, bytes: bytes.to_vec() })
}

/// A state of a log.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// The name of the log.
    pub origin: String,
    /// Entries in it.
    pub size: u64,
    /// The root of its tree.
    pub root: Hash,
}

impl Checkpoint {
    /// Reads the text of a checkpoint; lines after the third are extensions and passed over.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let wrong = |what| NoteError::Checkpoint { what };
        let mut lines =
            text.strip_suffix('\n').ok_or_else(|| wrong("its last line has no end"))?.split('\n');
        let origin =
            lines.next().filter(|line| !line.is_empty()).ok_or_else(|| wrong("no origin"))?;
        let size_text = lines.next().ok_or_else(|| wrong("no size"))?;
        let size: u64 = size_text.parse().map_err(|_| wrong("its size is not a number"))?;
        if size.to_string() != size_text {
            return Err(wrong("its size is not written plainly"));
        }
        let root_text = lines.next().ok_or_else(|| wrong("no root"))?;
        let root = STANDARD.decode(root_text).map_err(|_| wrong("its root is not base64"))?;
        let root = root.try_into().map_err(|_| wrong("its root is not 32 bytes long"))?;
        if lines.any(str::is_empty) {
            return Err(wrong("it has an empty line"));
        }
        Ok(Self { origin: origin.to_owned(), size, root })
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n{}\n{}\n", self.origin, self.size, STANDARD.encode(self.root))
    }
}

/// Ed25519 in a verifier key (signed-note v1.0).
const ALGORITHM: u8 = 1;

/// Ed25519 of a witness (tlog-cosignature v1).
pub(super) const COSIGNATURE: u8 = 4;

const MAX_NOTE_BYTES: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use crate::crypto::Secret;

    use super::*;

    fn key(name: &str, seed: u8) -> NoteKey {
        NoteKey::new(name, Signer::from_seed(&Secret::new([seed; 32]))).unwrap()
    }

    #[test]
    fn gos_example_note_opens() {
        // From the documentation of golang.org/x/mod/sumdb/note.
        let vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
        let note = "If you think cryptography is the answer to your problem,\n\
            then you don't know what your problem is.\n\n\
            \u{2014} PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
        let key = VerifierKey::parse(vkey).unwrap();
        assert_eq!(key.to_string(), vkey);
        let text = key.open(note).unwrap();
        assert!(text.ends_with("what your problem is.\n"));
    }

    #[test]
    fn a_note_opens_only_as_it_was_signed() {
        let signer = key("log.example/a", 1);
        let note = signer.sign("hello\n");
        let verifier = VerifierKey::parse(&signer.verifier().to_string()).unwrap();
        assert_eq!(verifier.open(&note), Ok("hello\n"));
        let other = key("log.example/a", 2);
        assert!(matches!(other.verifier().open(&note), Err(NoteError::Unsigned { .. })));
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            if let Ok(text) = String::from_utf8(bytes) {
                assert!(verifier.open(&text).is_err(), "byte {at}");
            }
        }
        let cosigned = note.clone() + note.lines().last().unwrap().replace("/a ", "/b ").as_str();
        assert!(verifier.open(&cosigned).is_err(), "the last line has no end");
        assert_eq!(verifier.open(&(cosigned + "\n")), Ok("hello\n"));
    }

    #[test]
    fn checkpoints_have_one_form() {
        let point = Checkpoint { origin: "log.example".into(), size: 7, root: [9; 32] };
        assert_eq!(Checkpoint::parse(&point.to_string()), Ok(point));
        let root = STANDARD.encode([9; 32]);
        for (text, fine) in [
            (format!("o\n0\n{root}\n"), true),
            (format!("o\n0\n{root}\nextension\n"), true),
            (format!("o\n0\n{root}\n\n"), false),
            (format!("o\n0\n{root}"), false),
            (format!("o\n07\n{root}\n"), false),
            (format!("o\n+7\n{root}\n"), false),
            (format!("o\n-7\n{root}\n"), false),
            (format!("o\n18446744073709551616\n{root}\n"), false),
            (format!("\n7\n{root}\n"), false),
            ("o\n7\nAAAA\n".to_owned(), false),
            ("o\n7\n".to_owned(), false),
            (String::new(), false),
        ] {
            assert_eq!(Checkpoint::parse(&text).is_ok(), fine, "{text:?}");
        }
    }

    #[test]
    fn names_that_would_break_a_key_are_refused() {
        for name in ["", "a b", "a+b", "a\nb", "a\u{a0}b"] {
            assert!(VerifierKey::new(name, [0; 32]).is_err(), "{name:?}");
        }
    }
}
