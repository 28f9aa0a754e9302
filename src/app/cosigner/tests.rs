//! What a witness signs, what it does not, and what it remembers.

use std::fs;
use std::path::Path;

use crate::clock::SystemEntropy;
use crate::crypto::Secret;
use crate::crypto::Signer;
use crate::crypto::merkle;
use crate::crypto::merkle::Hash;
use crate::crypto::merkle::Nodes;
use crate::crypto::merkle::fold;
use crate::crypto::merkle::leaf;
use crate::crypto::note::Checkpoint;
use crate::crypto::note::NoteKey;
use crate::protocol::proof::ConsistencyProof;

use super::book::Answer;
use super::book::Book;
use super::folder::Folder;
use super::*;

/// A log of entries that are numbers behind a seed: another seed is another history.
struct Tree(u8, &'static str);

impl Nodes for Tree {
    type Error = std::convert::Infallible;

    fn read(&self, level: u32, index: u64) -> Result<Hash, Self::Error> {
        let leaves: Vec<Hash> = (index << level..(index + 1) << level)
            .map(|n| leaf(&[&[self.0], n.to_be_bytes().as_slice()].concat()))
            .collect();
        Ok(fold(&leaves))
    }
}

impl Tree {
    fn key(&self) -> NoteKey {
        NoteKey::new(self.1, Signer::from_seed(&Secret::new([9; 32]))).unwrap()
    }

    fn checkpoint(&self, size: u64) -> Checkpoint {
        Checkpoint { origin: self.1.into(), size, root: merkle::root(self, size).unwrap() }
    }

    fn request(&self, old: u64, new: u64) -> ConsistencyProof {
        let hashes = merkle::consistency(self, old, new).unwrap().unwrap_or_default();
        let checkpoint = self.key().sign(&self.checkpoint(new).to_string());
        ConsistencyProof { old, hashes, checkpoint }
    }
}

const LOG: &str = "log.example/node-1";

fn made(dir: &Path) {
    init(dir, "witness.example/w1", &SystemEntropy).unwrap();
    fs::write(dir.join("logs"), format!("# ours\n\n{}\n", Tree(1, LOG).key().verifier())).unwrap();
}

fn open(dir: &Path) -> Result<Book, CosignerError> {
    Book::open(Folder::open(dir)?)
}

/// The answer in a word.
fn said(book: &Book, request: &ConsistencyProof) -> String {
    match book.add(&request.to_string(), 1000) {
        Answer::Cosigned(_) => "signed".to_owned(),
        Answer::Conflict(size) => format!("conflict {size}"),
        other => format!("{other:?}"),
    }
}

#[test]
fn what_continues_the_last_one_is_signed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path());
    let book = open(dir.path()).unwrap();
    let (ours, fork, foreign) = (Tree(1, LOG), Tree(2, LOG), Tree(1, "log.example/node-2"));
    let other_key = NoteKey::new(LOG, Signer::from_seed(&Secret::new([8; 32]))).unwrap();
    let forged = ConsistencyProof {
        checkpoint: other_key.sign(&ours.checkpoint(9).to_string()),
        ..ours.request(5, 9)
    };
    let bent = |mut request: ConsistencyProof| {
        request.hashes[0][3] ^= 1;
        request
    };
    for (what, request, expected) in [
        ("nothing is known yet", ours.request(3, 5), "conflict 0"),
        (
            "hashes for nothing",
            ConsistencyProof { hashes: vec![[0; 32]], ..ours.request(0, 5) },
            "NotConsistent",
        ),
        ("the first", ours.request(0, 5), "signed"),
        ("the same again", ours.request(5, 5), "signed"),
        ("from the beginning again", ours.request(0, 9), "conflict 5"),
        ("from somewhere else", ours.request(4, 9), "conflict 5"),
        ("another tree of one size", fork.request(5, 5), "conflict 5"),
        ("another history", fork.request(5, 9), "NotConsistent"),
        ("a wrong hash", bent(ours.request(5, 9)), "NotConsistent"),
        (
            "no hashes",
            ConsistencyProof { hashes: Vec::new(), ..ours.request(5, 9) },
            "NotConsistent",
        ),
        ("an older one", ours.request(3, 4), "conflict 5"),
        ("old beyond new", ConsistencyProof { old: 6, ..ours.request(5, 5) }, "Malformed"),
        ("another log", foreign.request(5, 9), "UnknownLog"),
        ("another key", forged, "Unsigned"),
        ("what follows", ours.request(5, 9), "signed"),
        ("and no step back", ours.request(5, 9), "conflict 9"),
    ] {
        assert_eq!(said(&book, &request), expected, "{what}");
    }
    for body in ["", "old 9\n", "old 9\n\n", "old 9\n\nlog.example/node-1\n9\n", "\u{2014}"] {
        let answer = book.add(body, 1000);
        assert!(
            matches!(answer, Answer::Malformed | Answer::Unsigned | Answer::UnknownLog),
            "{body:?}"
        );
    }
}

#[test]
fn a_signature_is_one_for_the_submitted_text_at_that_time() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path());
    let book = open(dir.path()).unwrap();
    let key = fs::read_to_string(dir.path().join("witness.pub")).unwrap();
    let key = crate::crypto::cosignature::WitnessKey::parse(&key).unwrap();
    let ours = Tree(1, LOG);
    // A line behind the third belongs to the text that is signed.
    let text = format!("{}extension\n", ours.checkpoint(5));
    let request = ConsistencyProof { checkpoint: ours.key().sign(&text), ..ours.request(0, 5) };
    let Answer::Cosigned(line) = book.add(&request.to_string(), 1_700_000_000) else { panic!() };
    assert_eq!(key.open(&(request.checkpoint + &line)), Ok(1_700_000_000));
    assert!(key.open(&(ours.request(0, 5).checkpoint + &line)).is_err());
}

#[test]
fn what_was_signed_is_remembered_over_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path());
    let ours = Tree(1, LOG);
    let book = open(dir.path()).unwrap();
    assert_eq!(said(&book, &ours.request(0, 700)), "signed");
    assert!(matches!(open(dir.path()), Err(CosignerError::Busy(_))));
    drop(book);
    let book = open(dir.path()).unwrap();
    assert_eq!(said(&book, &Tree(2, LOG).request(0, 700)), "conflict 700");
    assert_eq!(said(&book, &ours.request(700, 701)), "signed");
    drop(book);

    // What it remembers and cannot read is not the same as nothing.
    let file = fs::read_dir(dir.path().join("seen")).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read_to_string(&file).unwrap();
    for text in ["", "log.example/node-1\n", &whole.replace("node-1", "node-2")] {
        fs::write(&file, text).unwrap();
        assert!(matches!(open(dir.path()), Err(CosignerError::Forgotten { .. })), "{text}");
    }
    fs::write(&file, whole).unwrap();
    fs::rename(dir.path().join("seen"), dir.path().join("gone")).unwrap();
    assert!(matches!(open(dir.path()), Err(CosignerError::NoWitness(_))));
}

#[test]
fn what_cannot_be_written_down_is_not_signed() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path());
    let ours = Tree(1, LOG);
    let book = open(dir.path()).unwrap();
    assert_eq!(said(&book, &ours.request(0, 5)), "signed");
    let (seen, gone) = (dir.path().join("seen"), dir.path().join("gone"));
    fs::rename(&seen, &gone).unwrap();
    assert_eq!(said(&book, &ours.request(5, 9)), "Failed");
    fs::rename(&gone, &seen).unwrap();
    assert_eq!(said(&book, &ours.request(5, 9)), "signed");
}

#[test]
fn two_requests_at_once_never_take_it_back() {
    let dir = tempfile::tempdir().unwrap();
    made(dir.path());
    let book = open(dir.path()).unwrap();
    let ours = Tree(1, LOG);
    assert_eq!(said(&book, &ours.request(0, 1)), "signed");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut old = 1;
                while old < 60 {
                    match book.add(&ours.request(old, old + 3).to_string(), 1000) {
                        Answer::Cosigned(_) => old += 3,
                        Answer::Conflict(size) => {
                            assert!(size > old, "{size} after {old}");
                            old = size;
                        }
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    drop(book);
    let book = open(dir.path()).unwrap();
    let Answer::Conflict(size) = book.add(&ours.request(0, 90).to_string(), 0) else { panic!() };
    assert!(size >= 60);
}

#[test]
fn a_folder_that_is_not_ready_says_what_it_lacks() {
    let dir = tempfile::tempdir().unwrap();
    assert!(matches!(open(dir.path()), Err(CosignerError::NoWitness(_))));
    assert!(init(dir.path(), "two words", &SystemEntropy).is_err());
    init(dir.path(), "witness.example/w1", &SystemEntropy).unwrap();
    let again = init(dir.path(), "witness.example/w1", &SystemEntropy);
    assert!(matches!(again, Err(CosignerError::Taken(_))));
    assert!(matches!(open(dir.path()), Err(CosignerError::NoLogs(_))));
    fs::write(dir.path().join("logs"), "\nnonsense\n").unwrap();
    assert!(matches!(open(dir.path()), Err(CosignerError::Key { line: 2, .. })));
}
