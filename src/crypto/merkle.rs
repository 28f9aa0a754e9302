//! RFC 6962 hash trees: leaves, nodes, roots, and the proofs that one entry is in a tree and that
//! one tree continues another. Proofs read from any [`Nodes`]; checking one needs only hashes.

use sha2::Digest;
use sha2::Sha256;

/// A SHA-256 hash in a tree.
pub type Hash = [u8; 32];

/// A tile covers this many levels of the tree (C2SP tlog-tiles).
pub const TILE_HEIGHT: u32 = 8;

/// Hashes in a full tile.
pub const TILE_WIDTH: usize = 1 << TILE_HEIGHT;

/// The hash of an entry.
pub fn leaf(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// The hash of two subtrees.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root over hashes that stand for subtrees of one size, of which the last may be smaller;
/// of no hashes, the root of the empty tree.
pub fn fold(hashes: &[Hash]) -> Hash {
    match hashes {
        [] => Sha256::new().finalize().into(),
        [only] => *only,
        _ => {
            let len = u64::try_from(hashes.len()).unwrap_or(u64::MAX);
            let (left, right) = hashes.split_at(usize::try_from(split(len)).unwrap_or(1));
            node(&fold(left), &fold(right))
        }
    }
}

/// Where complete subtrees of a tree are read from.
pub trait Nodes {
    /// Why a subtree's hash could not be read.
    type Error;

    /// The hash of the complete subtree over the entries `index << level .. (index + 1) << level`.
    fn read(&self, level: u32, index: u64) -> Result<Hash, Self::Error>;
}

/// The root of the first `size` entries.
pub fn root<N: Nodes>(nodes: &N, size: u64) -> Result<Hash, N::Error> {
    if size == 0 { Ok(fold(&[])) } else { range(nodes, 0, size) }
}

/// The hashes that prove entry `index` to be in the tree of the first `size` entries; `None` when
/// it is not.
pub fn inclusion<N: Nodes>(
    nodes: &N,
    index: u64,
    size: u64,
) -> Result<Option<Vec<Hash>>, N::Error> {
    if index >= size {
        return Ok(None);
    }
    let (mut low, mut high) = (0, size);
    let mut proof = Vec::new();
    while high - low > 1 {
        let middle = low + split(high - low);
        if index < middle {
            proof.push(range(nodes, middle, high)?);
            high = middle;
        } else {
            proof.push(range(nodes, low, middle)?);
            low = middle;
        }
    }
    proof.reverse();
    Ok(Some(proof))
}

/// The hashes that prove the tree of `new` entries to continue the tree of `old` entries; `None`
/// when `old` is larger.
pub fn consistency<N: Nodes>(nodes: &N, old: u64, new: u64) -> Result<Option<Vec<Hash>>, N::Error> {
    if old > new {
        return Ok(None);
    }
    let mut proof = Vec::new();
    if old == 0 || old == new {
        return Ok(Some(proof));
    }
    let (mut low, mut high) = (0, new);
    while high != old {
        let middle = low + split(high - low);
        if old <= middle {
            proof.push(range(nodes, middle, high)?);
            high = middle;
        } else {
            proof.push(range(nodes, low, middle)?);
            low = middle;
        }
    }
    // The verifier knows the old root itself, so it is left out when it is a whole subtree.
    if low != 0 {
        proof.push(range(nodes, low, high)?);
    }
    proof.reverse();
    Ok(Some(proof))
}

/// Whether `proof` shows the entry with hash `leaf` at `index` of the tree with `size` and `root`
/// (RFC 9162, 2.1.3.2).
pub fn verify_inclusion(leaf: &Hash, index: u64, size: u64, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut at, mut last) = (index, size - 1);
    let mut hash = *leaf;
    for step in proof {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            hash = node(step, &hash);
            climb(&mut at, &mut last);
        } else {
            hash = node(&hash, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `new` (size and root) continues the tree of `old`
/// (RFC 9162, 2.1.4.2).
pub fn verify_consistency(old: (u64, &Hash), new: (u64, &Hash), proof: &[Hash]) -> bool {
    let ((old_size, old_root), (new_size, new_root)) = (old, new);
    if old_size == new_size {
        return proof.is_empty() && old_root == new_root;
    }
    if old_size == 0 {
        return proof.is_empty() && *old_root == fold(&[]);
    }
    if old_size > new_size {
        return false;
    }
    let whole = old_size.is_power_of_two().then_some(old_root);
    let mut steps = whole.into_iter().chain(proof);
    let Some(first) = steps.next() else { return false };
    let (mut at, mut last) = (old_size - 1, new_size - 1);
    while at & 1 == 1 {
        at >>= 1;
        last >>= 1;
    }
    let (mut old_hash, mut new_hash) = (*first, *first);
    for step in steps {
        if last == 0 {
            return false;
        }
        if at & 1 == 1 || at == last {
            old_hash = node(step, &old_hash);
            new_hash = node(step, &new_hash);
            climb(&mut at, &mut last);
        } else {
            new_hash = node(&new_hash, step);
        }
        at >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && new_hash == *new_root
}

/// A tile that has just become full.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FullTile {
    /// Its level: its hashes are subtrees of `256^level` entries.
    pub level: u8,
    /// Its place in the level.
    pub index: u64,
    /// Its 256 hashes.
    pub hashes: Vec<Hash>,
}

/// The right edge of a growing tree: all that is needed to add entries, to name the root, and to
/// write tiles.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Frontier {
    /// The hashes of each level's unfinished tile.
    levels: Vec<Vec<Hash>>,
    size: u64,
}

impl Frontier {
    /// The empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// The tree of `size` entries whose unfinished tiles, lowest first, hold `levels`; `None` when
    /// their widths do not fit the size.
    pub fn resume(size: u64, mut levels: Vec<Vec<Hash>>) -> Option<Self> {
        while levels.last().is_some_and(Vec::is_empty) {
            levels.pop();
        }
        let fits = widths(size).eq(levels.iter().map(Vec::len));
        fits.then_some(Self { levels, size })
    }

    /// Entries in the tree.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Adds an entry by its hash; tiles that became full are appended to `full`, lowest first.
    pub fn push(&mut self, leaf: Hash, full: &mut Vec<FullTile>) {
        self.size += 1;
        let mut hash = leaf;
        for level in 0_u8..8 {
            let at = usize::from(level);
            if self.levels.len() == at {
                self.levels.push(Vec::with_capacity(TILE_WIDTH));
            }
            let Some(hashes) = self.levels.get_mut(at) else { return };
            hashes.push(hash);
            if hashes.len() < TILE_WIDTH {
                return;
            }
            hash = fold(hashes);
            let hashes = std::mem::replace(hashes, Vec::with_capacity(TILE_WIDTH));
            let index = (self.size >> (TILE_HEIGHT * (u32::from(level) + 1))) - 1;
            full.push(FullTile { level, index, hashes });
        }
    }

    /// The root of the tree.
    pub fn root(&self) -> Hash {
        let mut tail: Option<Hash> = None;
        for hashes in &self.levels {
            let mut all = hashes.clone();
            all.extend(tail);
            if !all.is_empty() {
                tail = Some(fold(&all));
            }
        }
        tail.unwrap_or_else(|| fold(&[]))
    }

    /// The unfinished tiles that hold anything: level, place in the level, hashes.
    pub fn partial(&self) -> impl Iterator<Item = (u8, u64, &[Hash])> {
        (0_u8..).zip(&self.levels).filter(|(_, hashes)| !hashes.is_empty()).map(
            |(level, hashes)| {
                (level, self.size >> (TILE_HEIGHT * (u32::from(level) + 1)), hashes.as_slice())
            },
        )
    }
}

/// The widths of the unfinished tiles of a tree, lowest level first, up to the last that is not 0.
fn widths(size: u64) -> impl Iterator<Item = usize> {
    let levels = (u64::BITS - size.leading_zeros()).div_ceil(TILE_HEIGHT);
    let mask = (1 << TILE_HEIGHT) - 1;
    (0..levels).map(move |level| usize::try_from(size >> (TILE_HEIGHT * level) & mask).unwrap_or(0))
}

/// The root over the entries `low .. high`, which must be a range a tree of RFC 6962 splits into.
fn range<N: Nodes>(nodes: &N, low: u64, high: u64) -> Result<Hash, N::Error> {
    let len = high - low;
    if len.is_power_of_two() && low.is_multiple_of(len) {
        let level = len.trailing_zeros();
        return nodes.read(level, low >> level);
    }
    let middle = low + split(len);
    Ok(node(&range(nodes, low, middle)?, &range(nodes, middle, high)?))
}

/// The largest power of two below `len`, which is at least 2.
fn split(len: u64) -> u64 {
    1 << (u64::BITS - 1 - (len.max(2) - 1).leading_zeros())
}

/// Passes the levels on which a node has no sibling.
fn climb(at: &mut u64, last: &mut u64) {
    while *at & 1 == 0 && *at != 0 {
        *at >>= 1;
        *last >>= 1;
    }
}

#[cfg(test)]
mod tests;
