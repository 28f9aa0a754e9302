//! What the log needs to know before it opens.

use std::path::PathBuf;

/// When an entry counts as recorded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Durability {
    /// When it was written; the disk is synced every [`AuditConfig::sync_every_ms`]. A power cut
    /// may lose that much.
    Batched,
    /// When it is on disk.
    #[default]
    Strict,
}

impl Durability {
    /// Reads the word used in configuration.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "batched" => Some(Self::Batched),
            "strict" => Some(Self::Strict),
            _ => None,
        }
    }
}

/// Where the log is and how it behaves.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AuditConfig {
    /// The folder of the log; made when it does not exist.
    pub dir: PathBuf,
    /// The name of the log, in every checkpoint and in its key; for ever the same. Without
    /// spaces and without `+`, such as `privet.example/shop/node-1`.
    pub origin: String,
    /// The name of this node, in every entry.
    pub node: String,
    /// When an entry counts as recorded.
    pub durability: Durability,
    /// How often the disk is synced when [`Durability::Batched`], in milliseconds.
    pub sync_every_ms: u64,
    /// The longest an entry waits for a signed checkpoint, in milliseconds.
    pub checkpoint_every_ms: u64,
    /// As many new entries are given a signed checkpoint before that time is up.
    pub checkpoint_entries: u64,
    /// How often a log that could not be written tries again, in milliseconds.
    pub retry_every_ms: u64,
    /// Free space in bytes that must remain on the disk; below it the log counts as full.
    pub min_free_bytes: u64,
    /// Entries that may wait for the disk before new ones are refused.
    pub max_waiting: usize,
    /// Entries after which a new journal segment is begun.
    pub segment_entries: u64,
}

impl AuditConfig {
    /// The defaults for a log of the given name in the given folder.
    pub fn new(dir: impl Into<PathBuf>, origin: impl Into<String>) -> Self {
        let origin = origin.into();
        Self {
            dir: dir.into(),
            node: origin.clone(),
            origin,
            durability: Durability::Strict,
            sync_every_ms: 200,
            checkpoint_every_ms: 1000,
            checkpoint_entries: 256,
            retry_every_ms: 500,
            min_free_bytes: 64 << 20,
            max_waiting: 65_536,
            segment_entries: 16_384,
        }
    }
}
