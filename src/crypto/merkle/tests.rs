use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

/// RFC 6962, 2.1, word for word.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => Sha256::digest([]).into(),
        [leaf] => *leaf,
        _ => {
            let mut k = 1;
            while k * 2 < leaves.len() {
                k *= 2;
            }
            node(&naive_root(&leaves[..k]), &naive_root(&leaves[k..]))
        }
    }
}

struct Leaves(Vec<Hash>);

impl Nodes for Leaves {
    type Error = Infallible;
    fn read(&self, level: u32, index: u64) -> Result<Hash, Infallible> {
        let at = |n: u64| usize::try_from(n << level).unwrap();
        Ok(naive_root(&self.0[at(index)..at(index + 1)]))
    }
}

fn leaves(count: usize) -> Leaves {
    Leaves((0..count).map(|n| leaf(&n.to_be_bytes())).collect())
}

/// The entries of the test vectors of certificate-transparency's reference implementation.
const INPUTS: [&[u8]; 8] = [
    b"",
    b"\x00",
    b"\x10",
    b"\x20\x21",
    b"\x30\x31",
    b"\x40\x41\x42\x43",
    b"\x50\x51\x52\x53\x54\x55\x56\x57",
    b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
];

fn hex(hash: &Hash) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn hexes(proof: Option<Vec<Hash>>) -> Vec<String> {
    proof.unwrap().iter().map(hex).collect()
}

#[test]
fn hashes_are_those_of_rfc_6962() {
    let roots = [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let hashes: Vec<Hash> = INPUTS.iter().map(|input| leaf(input)).collect();
    for (count, expected) in (1..).zip(roots) {
        assert_eq!(hex(&fold(&hashes[..count])), expected);
    }
    assert_eq!(hex(&fold(&[])), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

#[test]
fn proofs_are_those_of_the_reference_implementation() {
    let all = Leaves(INPUTS.iter().map(|input| leaf(input)).collect());
    let (first, second) = (
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
    );
    let (b, c, d) = (
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    );
    let (e, four) = (
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    );
    let sixth = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a";
    let three = "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125";
    let inclusions: [(u64, u64, &[&str]); 5] = [
        (0, 1, &[]),
        (0, 8, &[b, second, c]),
        (5, 8, &[d, e, four]),
        (2, 3, &[three]),
        (1, 5, &[first, second, d]),
    ];
    for (index, size, expected) in inclusions {
        assert_eq!(hexes(inclusion(&all, index, size).unwrap()), expected, "{index} of {size}");
    }
    let consistencies: [(u64, u64, &[&str]); 4] =
        [(1, 1, &[]), (1, 8, &[b, second, c]), (6, 8, &[sixth, e, four]), (2, 5, &[second, d])];
    for (old, new, expected) in consistencies {
        assert_eq!(hexes(consistency(&all, old, new).unwrap()), expected, "{old} to {new}");
    }
}

#[test]
fn a_growing_tree_has_the_root_of_a_naive_one() {
    let all = leaves(70_000);
    let mut frontier = Frontier::new();
    let mut full = Vec::new();
    for (size, hash) in (1_usize..).zip(&all.0) {
        frontier.push(*hash, &mut full);
        if size < 600 || size % 9_973 == 0 || size > 69_999 || size % 65_536 < 2 {
            assert_eq!(frontier.root(), naive_root(&all.0[..size]), "size {size}");
        }
    }
    let counts = [0_u8, 1].map(|level| full.iter().filter(|tile| tile.level == level).count());
    assert_eq!(counts, [70_000 / 256, 1]);
    for tile in full.iter().filter(|tile| tile.level == 0) {
        let low = usize::try_from(tile.index).unwrap() * TILE_WIDTH;
        assert_eq!(tile.hashes, all.0[low..low + TILE_WIDTH]);
    }
    let edge: Vec<_> = frontier.partial().map(|(l, n, hashes)| (l, n, hashes.len())).collect();
    assert_eq!(edge, [(0, 273, 70_000 % 256), (1, 1, 17), (2, 0, 1)]);
    let levels = frontier.levels.clone();
    assert_eq!(Frontier::resume(70_000, levels.clone()), Some(frontier));
    assert_eq!(Frontier::resume(70_001, levels), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn proofs_hold_and_only_for_what_they_prove(size in 1_u64..300, index in 0_u64..300, flip in 0_usize..2000) {
        let all = leaves(300);
        let root_of = |n: u64| naive_root(&all.0[..usize::try_from(n).unwrap()]);
        let index = index % size;
        prop_assert_eq!(root(&all, size), Ok(root_of(size)));

        let mut proof = inclusion(&all, index, size).unwrap().unwrap();
        let hash = all.0[usize::try_from(index).unwrap()];
        prop_assert!(verify_inclusion(&hash, index, size, &proof, &root_of(size)));
        prop_assert!(!verify_inclusion(&hash, index, size, &proof, &root_of(size + 1)) || size == 300);
        if size > 1 {
            prop_assert!(!verify_inclusion(&hash, (index + 1) % size, size, &proof, &root_of(size)));
            let at = flip % proof.len();
            proof[at][flip % 32] ^= 1;
            prop_assert!(!verify_inclusion(&hash, index, size, &proof, &root_of(size)));
            proof.pop();
            prop_assert!(!verify_inclusion(&hash, index, size, &proof, &root_of(size)));
        }
    }

    #[test]
    fn consistency_holds_and_only_for_what_it_proves(old in 0_u64..300, new in 0_u64..300, flip in 0_usize..2000) {
        let all = leaves(300);
        let root_of = |n: u64| naive_root(&all.0[..usize::try_from(n).unwrap()]);
        let proof = consistency(&all, old, new).unwrap();
        prop_assert_eq!(proof.is_none(), old > new);
        let Some(mut proof) = proof else { return Ok(()) };
        let (old_root, new_root) = (root_of(old), root_of(new));
        prop_assert!(verify_consistency((old, &old_root), (new, &new_root), &proof));
        if !proof.is_empty() {
            let mut other = new_root;
            other[0] ^= 1;
            prop_assert!(!verify_consistency((old, &old_root), (new, &other), &proof));
            prop_assert!(!verify_consistency((old, &other), (new, &new_root), &proof));
            let at = flip % proof.len();
            proof[at][flip % 32] ^= 1;
            prop_assert!(!verify_consistency((old, &old_root), (new, &new_root), &proof));
        }
    }

    #[test]
    fn junk_proves_nothing(index: u64, size: u64, old: u64, proof: Vec<[u8; 32]>) {
        let root = fold(&[]);
        prop_assert!(!verify_inclusion(&[7; 32], index, size, &proof, &root));
        let same = old == size || old == 0;
        prop_assert!(same || !verify_consistency((old, &[7; 32]), (size, &root), &proof));
    }
}
