//! What providers outside this process are given to wrap: the key, and a code that binds it to
//! its place. They are asked to bind it themselves; this holds where they do not.

use zeroize::Zeroizing;

use super::Place;
use crate::crypto;
use crate::crypto::Secret;
use crate::crypto::derive;

/// The key, then the code of its place under the key.
pub(super) fn seal(place: &Place, key: &Secret) -> Zeroizing<[u8; LEN]> {
    let mut plain = Zeroizing::new([0; LEN]);
    let (left, right) = plain.split_at_mut(KEY_LEN);
    left.copy_from_slice(key.expose());
    right.copy_from_slice(code(place, key).expose());
    plain
}

/// Takes apart what [`seal`] made, for the same place.
pub(super) fn open(place: &Place, plain: &[u8]) -> Option<Secret> {
    let (key, bound) = plain.split_first_chunk::<KEY_LEN>()?;
    let key = Secret::new(*key);
    crypto::same(code(place, &key).expose(), bound).then_some(key)
}

fn code(place: &Place, key: &Secret) -> Secret {
    derive(key, &[b"privet/slot-place/v1", &place.context])
}

const KEY_LEN: usize = 32;
/// Bytes of a key and its code.
pub(super) const LEN: usize = 2 * KEY_LEN;
