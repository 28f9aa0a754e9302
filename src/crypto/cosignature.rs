//! C2SP tlog-cosignature v1: what a witness puts under a checkpoint once it has seen that it
//! continues the last one it knows. The signature covers the time at which it was made.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::note;
use super::note::COSIGNATURE;
use super::note::NoteError;
use super::sign::Signer;
use super::sign::Verifier;

/// A witness that signs. Its key may be used for nothing else (tlog-cosignature, "Ed25519 signed
/// message").
#[expect(missing_debug_implementations, reason = "it is a key")]
pub struct Cosigner {
    public: WitnessKey,
    key: Signer,
}

impl Cosigner {
    /// Gives a signing key the witness's name.
    pub fn new(name: &str, key: Signer) -> Result<Self, NoteError> {
        Ok(Self { public: WitnessKey::new(name, key.verifier().to_bytes())?, key })
    }

    /// The public half, to hand to those who check.
    pub fn public(&self) -> &WitnessKey {
        &self.public
    }

    /// The line to put under a checkpoint with this text, made `time_s` seconds after 1970.
    pub fn cosign(&self, text: &str, time_s: u64) -> String {
        let mut bytes = self.public.id.to_vec();
        bytes.extend(time_s.to_be_bytes());
        bytes.extend(self.key.sign(message(text, time_s).as_bytes()));
        format!("\u{2014} {} {}\n", self.public.name, STANDARD.encode(bytes))
    }
}

/// A witness's public key, written `name+hash+base64`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WitnessKey {
    name: Box<str>,
    id: [u8; 4],
    public: [u8; 32],
}

impl WitnessKey {
    /// Names a public key.
    pub fn new(name: &str, public: [u8; 32]) -> Result<Self, NoteError> {
        Ok(Self { name: name.into(), id: note::key_id(name, COSIGNATURE, &public)?, public })
    }

    /// Reads `name+hash+base64`.
    pub fn parse(text: &str) -> Result<Self, NoteError> {
        let (name, public) = note::parse_key(text, COSIGNATURE)?;
        Self::new(name, public)
    }

    /// The witness's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The four bytes before its signatures, as eight digits: good for a file's name.
    pub fn id(&self) -> String {
        format!("{:08x}", u32::from_be_bytes(self.id))
    }

    /// When this witness signed the note, in seconds after 1970; of several times, the latest.
    /// Signatures of others are passed over.
    pub fn open(&self, note: &str) -> Result<u64, NoteError> {
        let (text, signatures) = note::split(note)?;
        let mut latest = None;
        for found in &signatures {
            if *found.name == *self.name && found.id == self.id {
                latest = latest.max(Some(self.check(text, &found.bytes)?));
            }
        }
        latest.ok_or_else(|| NoteError::Unsigned { name: self.name.to_string() })
    }

    /// Those of `lines` that are this witness's signature under a checkpoint with this text; `None`
    /// when there is none that holds. Lines of others, and what is no line at all, are passed over.
    pub fn choose<'a>(&self, text: &str, lines: &'a str) -> Option<&'a str> {
        lines.lines().find(|line| {
            note::signature(line).is_ok_and(|found| {
                *found.name == *self.name
                    && found.id == self.id
                    && self.check(text, &found.bytes).is_ok()
            })
        })
    }

    fn check(&self, text: &str, bytes: &[u8]) -> Result<u64, NoteError> {
        let wrong = || NoteError::Signature { name: self.name.to_string() };
        let (time, signature) = bytes.split_first_chunk().ok_or_else(wrong)?;
        let time_s = u64::from_be_bytes(*time);
        if time_s > MAX_TIME {
            return Err(wrong());
        }
        let key = Verifier::from_bytes(&self.public).map_err(|_| wrong())?;
        let signature = signature.try_into().map_err(|_| wrong())?;
        key.verify(message(text, time_s).as_bytes(), signature).map_err(|_| wrong())?;
        Ok(time_s)
    }
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        note::write_key(f, (&self.name, self.id), COSIGNATURE, &self.public)
    }
}

/// What is signed.
fn message(text: &str, time_s: u64) -> String {
    format!("cosignature/v1\ntime {time_s}\n{text}")
}

/// The latest time a cosignature may state.
const MAX_TIME: u64 = i64::MAX as u64;

#[cfg(test)]
mod tests {
    use crate::crypto::Secret;
    use crate::crypto::note::NoteKey;
    use crate::crypto::note::VerifierKey;

    use super::*;

    fn witness(seed: u8) -> Cosigner {
        Cosigner::new("witness.example/w1", Signer::from_seed(&Secret::new([seed; 32]))).unwrap()
    }

    fn note() -> String {
        let key = Signer::from_seed(&Secret::new([1; 32]));
        NoteKey::new("log.example", key).unwrap().sign("log.example\n7\nAAAA\n")
    }

    /// The text of the note above.
    const TEXT: &str = "log.example\n7\nAAAA\n";

    #[test]
    fn a_cosignature_holds_for_its_text_time_and_witness_alone() {
        let signer = witness(2);
        let key = WitnessKey::parse(&signer.public().to_string()).unwrap();
        let line = signer.cosign(TEXT, 1_679_315_147);
        let note = note() + &line;
        assert_eq!(key.open(&note), Ok(1_679_315_147));
        assert_eq!(key.choose(TEXT, &line), line.strip_suffix('\n'));
        assert!(matches!(witness(3).public().open(&note), Err(NoteError::Unsigned { .. })));
        for at in 0..note.len() {
            let mut bytes = note.clone().into_bytes();
            bytes[at] ^= 1;
            let Ok(text) = String::from_utf8(bytes) else { continue };
            // A flipped bit of the log's own signature is none of the witness's business.
            let own = note.find("\n\n").unwrap()..note.len() - line.len();
            assert!(key.open(&text).is_err() || own.contains(&at), "byte {at}");
        }
        let later = note + &signer.cosign(TEXT, 1_679_315_148);
        assert_eq!(key.open(&later), Ok(1_679_315_148));
    }

    #[test]
    fn the_message_is_that_of_the_specification() {
        let text =
            "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n";
        assert_eq!(
            message(text, 1_679_315_147),
            "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\n\
             CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
        );
    }

    #[test]
    fn what_a_witness_answers_is_looked_through_for_its_own_line() {
        let signer = witness(2);
        let (line, other) = (signer.cosign(TEXT, 5), witness(3).cosign(TEXT, 5));
        let wrong = signer.cosign("log.example\n8\nAAAA\n", 5);
        let lines = format!("{other}nonsense\n\u{2014} x !\n{wrong}{line}");
        assert_eq!(signer.public().choose(TEXT, &lines), line.strip_suffix('\n'));
        assert_eq!(signer.public().choose(TEXT, &format!("{other}{wrong}")), None);
        assert_eq!(signer.public().choose(TEXT, ""), None);
    }

    /// The log's own signature and a witness's differ in kind, also under one name and one key.
    #[test]
    fn keys_of_logs_and_of_witnesses_are_not_taken_for_each_other() {
        let signer = witness(2);
        let as_log = VerifierKey::new("witness.example/w1", signer.public().public).unwrap();
        assert!(VerifierKey::parse(&signer.public().to_string()).is_err());
        let told = WitnessKey::parse(&as_log.to_string()).unwrap_err().to_string();
        assert!(told.contains("key of a log"), "{told}");
        let cosigned = note() + &signer.cosign(TEXT, 5);
        assert!(as_log.open(&cosigned).is_err());
        let key = Signer::from_seed(&Secret::new([2; 32]));
        let signed = NoteKey::new("witness.example/w1", key).unwrap().sign(TEXT);
        assert!(signer.public().open(&signed).is_err());
    }

    #[test]
    fn a_time_beyond_the_format_is_no_time() {
        let signer = witness(2);
        for (time, holds) in [(0, true), (MAX_TIME, true), (MAX_TIME + 1, false), (u64::MAX, false)]
        {
            let note = note() + &signer.cosign(TEXT, time);
            assert_eq!(signer.public().open(&note).is_ok(), holds, "{time}");
        }
    }
}
