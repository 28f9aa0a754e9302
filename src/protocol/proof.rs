//! Proofs about a log as text that fits in a mail: that an entry is in it (C2SP tlog-proof), and
//! that a later state continues an earlier one (what C2SP tlog-witness sends as `add-checkpoint`).
//!
//! Reading is strict: a proof has one form. Nothing here says whether a proof holds.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::crypto::merkle::Hash;

/// The longest text of a proof that is read: an entry of 65,535 bytes in base64, its hashes, and
/// a checkpoint with many signatures.
pub const MAX_PROOF_BYTES: usize = 256 << 10;

/// The most hashes a proof can need: a tree has fewer than 2^64 entries (tlog-witness says 63).
pub const MAX_HASHES: usize = 63;

/// Why a text is no proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a proof: {what}")]
pub struct NoProof {
    /// What is wrong with it.
    pub what: &'static str,
}

/// That an entry is in a log. Self-contained: it carries the entry, as the `extra` of tlog-proof.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InclusionProof {
    /// Which entry, counted from 0.
    pub index: u64,
    /// The entry itself.
    pub entry: Vec<u8>,
    /// From the entry's sibling up to a child of the root (RFC 6962, 2.1.1).
    pub hashes: Vec<Hash>,
    /// The checkpoint of the tree, a signed note.
    pub checkpoint: String,
}

/// That a checkpoint continues the first `old` entries.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ConsistencyProof {
    /// Entries of the earlier state.
    pub old: u64,
    /// As RFC 6962, 2.1.2 orders them.
    pub hashes: Vec<Hash>,
    /// The later checkpoint, a signed note.
    pub checkpoint: String,
}

impl InclusionProof {
    /// Reads the text of a proof.
    pub fn parse(text: &str) -> Result<Self, NoProof> {
        let mut lines = Lines::new(text)?;
        if lines.next()? != HEAD {
            return Err(NoProof { what: "its first line is not `c2sp.org/tlog-proof@v1`" });
        }
        let entry = lines.next()?.strip_prefix("extra ");
        let entry = entry.ok_or(NoProof { what: "it does not carry the entry (`extra …`)" })?;
        let entry = STANDARD.decode(entry).ok().filter(|entry| entry.len() <= MAX_ENTRY_BYTES);
        let entry = entry.ok_or(NoProof { what: "its entry is not base64, or too long" })?;
        let index = number(lines.next()?, "index ")?;
        let (hashes, checkpoint) = lines.hashes_and_checkpoint()?;
        Ok(Self { index, entry, hashes, checkpoint })
    }
}

impl ConsistencyProof {
    /// Reads the text of a proof.
    pub fn parse(text: &str) -> Result<Self, NoProof> {
        let mut lines = Lines::new(text)?;
        let old = number(lines.next()?, "old ")?;
        let (hashes, checkpoint) = lines.hashes_and_checkpoint()?;
        Ok(Self { old, hashes, checkpoint })
    }
}

/// Either of them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Proof {
    /// That an entry is in a log.
    Inclusion(InclusionProof),
    /// That a checkpoint continues an earlier state.
    Consistency(ConsistencyProof),
}

impl Proof {
    /// Reads a proof of either kind, by its first word.
    pub fn parse(text: &str) -> Result<Self, NoProof> {
        if text.starts_with("old ") {
            return ConsistencyProof::parse(text).map(Self::Consistency);
        }
        InclusionProof::parse(text).map(Self::Inclusion)
    }
}

impl fmt::Display for InclusionProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}\nextra {}\nindex {}", STANDARD.encode(&self.entry), self.index)?;
        rest(f, &self.hashes, &self.checkpoint)
    }
}

impl fmt::Display for ConsistencyProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "old {}", self.old)?;
        rest(f, &self.hashes, &self.checkpoint)
    }
}

fn rest(f: &mut fmt::Formatter<'_>, hashes: &[Hash], checkpoint: &str) -> fmt::Result {
    for hash in hashes {
        writeln!(f, "{}", STANDARD.encode(hash))?;
    }
    write!(f, "\n{checkpoint}")
}

/// A decimal number in its one form, behind a word.
fn number(line: &str, word: &str) -> Result<u64, NoProof> {
    let digits = line.strip_prefix(word).ok_or(NoProof { what: "a line has another form" })?;
    let number = digits.parse::<u64>().ok().filter(|number| number.to_string() == digits);
    number.ok_or(NoProof { what: "a number is not written plainly" })
}

/// The lines of a text, each with its end.
struct Lines<'a> {
    rest: &'a str,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Result<Self, NoProof> {
        if text.len() > MAX_PROOF_BYTES {
            return Err(NoProof { what: "it is longer than 256 KiB" });
        }
        Ok(Self { rest: text })
    }

    fn next(&mut self) -> Result<&'a str, NoProof> {
        let (line, rest) =
            self.rest.split_once('\n').ok_or(NoProof { what: "it ends too early" })?;
        self.rest = rest;
        Ok(line)
    }

    fn hashes_and_checkpoint(mut self) -> Result<(Vec<Hash>, String), NoProof> {
        let mut hashes = Vec::new();
        loop {
            let line = self.next()?;
            if line.is_empty() {
                return Ok((hashes, self.rest.to_owned()));
            }
            if hashes.len() == MAX_HASHES {
                return Err(NoProof { what: "it has more than 63 hashes" });
            }
            let hash = STANDARD.decode(line).ok().and_then(|bytes| Hash::try_from(bytes).ok());
            hashes.push(hash.ok_or(NoProof { what: "a hash is not 32 bytes in base64" })?);
        }
    }
}

const HEAD: &str = "c2sp.org/tlog-proof@v1";

/// The longest entry of a log (C2SP tlog-tiles).
const MAX_ENTRY_BYTES: usize = 65_535;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NOTE: &str = "log.example\n9\nAAAA\n\n\u{2014} log.example AAAA\n";

    fn hash() -> String {
        STANDARD.encode([7; 32])
    }

    #[test]
    fn a_proof_is_written_as_the_specification_says() {
        let proof = InclusionProof {
            index: 3,
            entry: b"{}".to_vec(),
            hashes: vec![[7; 32]],
            checkpoint: NOTE.to_owned(),
        };
        let text = format!("c2sp.org/tlog-proof@v1\nextra e30=\nindex 3\n{}\n\n{NOTE}", hash());
        assert_eq!(proof.to_string(), text);
        assert_eq!(Proof::parse(&text), Ok(Proof::Inclusion(proof)));
        let proof = ConsistencyProof { old: 0, hashes: Vec::new(), checkpoint: NOTE.to_owned() };
        assert_eq!(proof.to_string(), format!("old 0\n\n{NOTE}"));
        assert_eq!(Proof::parse(&proof.to_string()), Ok(Proof::Consistency(proof)));
    }

    #[test]
    fn what_has_another_form_is_refused() {
        let hash = hash();
        let many = format!("{hash}\n").repeat(MAX_HASHES);
        assert!(Proof::parse(&format!("old 1\n{many}\n{NOTE}")).is_ok());
        let long = format!("old 1\n\n{}", "a".repeat(MAX_PROOF_BYTES));
        let too_long_entry = STANDARD.encode(vec![0; MAX_ENTRY_BYTES + 1]);
        for text in [
            String::new(),
            "old 1".to_owned(),
            "old 1\n".to_owned(),
            format!("old 01\n\n{NOTE}"),
            format!("old +1\n\n{NOTE}"),
            format!("old -1\n\n{NOTE}"),
            format!("old  1\n\n{NOTE}"),
            format!("old 1 \n\n{NOTE}"),
            format!("old 1\r\n\r\n{NOTE}"),
            format!("old 18446744073709551616\n\n{NOTE}"),
            format!("old 1\n{many}{hash}\n\n{NOTE}"),
            format!("old 1\nAAAA\n\n{NOTE}"),
            format!("old 1\n{}\n\n{NOTE}", hash.trim_end_matches('=')),
            format!("old 1\n {hash}\n\n{NOTE}"),
            long,
            format!("c2sp.org/tlog-proof@v2\nextra e30=\nindex 3\n{hash}\n\n{NOTE}"),
            format!("c2sp.org/tlog-proof@v1\nindex 3\n{hash}\n\n{NOTE}"),
            format!("c2sp.org/tlog-proof@v1\nextra e3\nindex 3\n{hash}\n\n{NOTE}"),
            format!("c2sp.org/tlog-proof@v1\nextra e30=\nindex 03\n{hash}\n\n{NOTE}"),
            format!("c2sp.org/tlog-proof@v1\nextra e30=\nextra e30=\nindex 3\n{hash}\n\n{NOTE}"),
            format!("c2sp.org/tlog-proof@v1\nextra {too_long_entry}\nindex 3\n\n{NOTE}"),
            format!(" c2sp.org/tlog-proof@v1\nextra e30=\nindex 3\n{hash}\n\n{NOTE}"),
        ] {
            let cut: String = text.chars().take(80).collect();
            assert!(Proof::parse(&text).is_err(), "{cut:?}");
        }
    }

    proptest! {
        #[test]
        fn a_proof_reads_back(index: u64, entry: Vec<u8>, hashes in proptest::collection::vec(any::<[u8; 32]>(), 0..64)) {
            let checkpoint = NOTE.to_owned();
            let old = ConsistencyProof { old: index, hashes: hashes.clone(), checkpoint: checkpoint.clone() };
            prop_assert_eq!(ConsistencyProof::parse(&old.to_string()), Ok(old));
            let proof = InclusionProof { index, entry, hashes, checkpoint };
            prop_assert_eq!(InclusionProof::parse(&proof.to_string()), Ok(proof));
        }
    }
}
