//! The log from outside: what it promises, and what it does when the disk does not keep up.

mod cosigned;
mod entries;
mod faults;
mod indexing;
mod kill;
mod paging;
mod proofs;
mod pruning;
mod proving;
mod recovery;
mod searching;
mod tampering;

use std::path::Path;
use std::sync::Arc;

use crate::clock::SystemClock;
use crate::crypto::Secret;
use crate::crypto::Signer;
use crate::crypto::note::NoteKey;
use crate::types::SubjectToken;

use super::disk::Hook;
use super::*;

fn signer(seed: u8) -> Signer {
    Signer::from_seed(&Secret::new([seed; 32]))
}

fn key() -> NoteKey {
    NoteKey::new("log.example/node-1", signer(7)).unwrap()
}

fn config(dir: &Path) -> AuditConfig {
    let mut config = AuditConfig::new(dir, "log.example/node-1");
    config.min_free_bytes = 0;
    config.retry_every_ms = 10;
    config.sync_every_ms = 5;
    config
}

fn open(config: AuditConfig) -> Result<Log, AuditError> {
    Log::open(config, key(), Arc::new(SystemClock))
}

fn open_with(config: AuditConfig, hook: Hook) -> Result<Log, AuditError> {
    Log::open_with(config, key(), Arc::new(SystemClock), Some(hook))
}

/// An entry that says which it is.
fn numbered(n: u64) -> Entry {
    let mut entry = Entry::new(Kind::Release);
    entry.request_id = Some(format!("request-{n}").into());
    entry.records = Some(1);
    let mut token = [0; 16];
    token[..8].copy_from_slice(&n.to_be_bytes());
    entry.subjects = vec![SubjectToken(token)];
    entry
}

fn number(entry: &Entry) -> u64 {
    entry.request_id.as_ref().unwrap().strip_prefix("request-").unwrap().parse().unwrap()
}

/// Everything in the log, by index.
fn everything(dir: &Path) -> Vec<Entry> {
    let mut entries = Vec::new();
    for found in search(dir, &Filter::default(), 0).unwrap() {
        let (index, entry) = found.unwrap();
        assert_eq!(index, entries.len() as u64);
        entries.push(entry);
    }
    entries
}

/// Fills a log with `count` numbered entries and closes it.
async fn filled(config: AuditConfig, count: u64) {
    let log = open(config).unwrap();
    for n in 0..count.saturating_sub(1) {
        log.note(numbered(n));
        if n % 10_000 == 9_999 {
            log.flush().await.unwrap();
        }
    }
    if count > 0 {
        assert_eq!(log.release(numbered(count - 1)).await.unwrap().index(), count - 1);
    }
    log.close().await.unwrap();
}
