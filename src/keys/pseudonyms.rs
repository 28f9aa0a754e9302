//! Pseudonyms: the same value looks the same within one purpose, and different in the next.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::crypto::Mac;
use crate::crypto::Secret;
use crate::crypto::derive;
use crate::transform::Plain;
use crate::transform::Pseudonyms;
use crate::types::PurposeId;

/// Makes the pseudonyms of one purpose: `ps1_` and 22 letters of base64url, which are the first
/// 16 bytes of HMAC-SHA-256 over the length-prefixed kind and value.
#[expect(missing_debug_implementations, reason = "it holds a key")]
pub struct PurposePseudonyms(Mac);

impl PurposePseudonyms {
    pub(super) fn new(root: &Secret, tenant: &str, number: u32, purpose: &PurposeId) -> Self {
        let number = number.to_be_bytes();
        let info: [&[u8]; 4] =
            [b"privet/ps/v1", tenant.as_bytes(), &number, purpose.as_str().as_bytes()];
        Self(Mac::new(&derive(root, &info)))
    }
}

impl Pseudonyms for PurposePseudonyms {
    /// The kind keeps apart values that mean different things: the number 7 as a person and the
    /// number 7 as an order.
    fn write(&self, plain: &Plain<'_>, out: &mut Vec<u8>) -> bool {
        let token = self.0.short(&[plain.kind.as_bytes(), plain.value.as_bytes()]);
        let mut text = [0; 22];
        out.extend_from_slice(b"ps1_");
        let encoded = URL_SAFE_NO_PAD.encode_slice(token, &mut text);
        encoded.is_ok_and(|len| {
            out.extend(text.iter().take(len));
            true
        })
    }
}
