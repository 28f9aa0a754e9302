//! Known answers, asked at every start: a miscompiled or emulated primitive must not protect
//! anybody's data.

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::Aead;
use aes_gcm::aead::KeyInit;
use aes_gcm::aead::Payload;
use hkdf::Hkdf;
use sha2::Sha256;

use super::ff1::Ff1;
use super::mac::derive;
use super::mac::hmac_sha256;
use super::mac::length_prefixed;
use super::mac::sha256;
use super::seal::SealKey;
use super::secret::Secret;
use super::sign::Signer;

/// A primitive gave a wrong answer. The process must not go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("self-test of {primitive} failed: this build or this machine computes it wrongly")]
pub struct SelfTestError {
    /// Which one.
    pub primitive: &'static str,
}

/// Asks every primitive for a published answer. Takes well under a millisecond.
pub fn self_test() -> Result<(), SelfTestError> {
    let checks: [(&'static str, bool); 7] = [
        ("SHA-256", sha256_answers()),
        ("HMAC-SHA-256", hmac_answers()),
        ("HKDF-SHA-256", hkdf_answers()),
        ("AES-256-GCM", gcm_answers()),
        ("the seal", seal_answers()),
        ("Ed25519", ed25519_answers()),
        ("FF1", ff1_answers()),
    ];
    match checks.into_iter().find(|(_, right)| !right) {
        Some((primitive, _)) => Err(SelfTestError { primitive }),
        None => Ok(()),
    }
}

/// FIPS 180-2 appendix B.1.
fn sha256_answers() -> bool {
    is(&sha256(b"abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
}

/// RFC 4231 test case 2.
fn hmac_answers() -> bool {
    let code = hmac_sha256(b"Jefe", b"what do ya want for nothing?");
    is(&code, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843")
}

/// RFC 5869 test case 1, and our one-block expansion beside the general one.
fn hkdf_answers() -> bool {
    let salt: Vec<u8> = (0..=0x0c).collect();
    let info: Vec<u8> = (0xf0..=0xf9).collect();
    let mut okm = [0; 42];
    let expanded = Hkdf::<Sha256>::new(Some(&salt), &[0x0b; 22]).expand(&info, &mut okm);
    let published = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf\
                     34007208d5b887185865";
    let mut general = [0; 32];
    let ours = derive(&Secret::new([7; 32]), &[b"a", b"bc"]);
    let theirs = Hkdf::<Sha256>::from_prk(&[7; 32])
        .is_ok_and(|hkdf| hkdf.expand(&length_prefixed(&[b"a", b"bc"]), &mut general).is_ok());
    expanded.is_ok() && is(&okm, published) && theirs && general == *ours.expose()
}

/// "The Galois/Counter Mode of Operation" (McGrew, Viega), test case 16.
fn gcm_answers() -> bool {
    let (Some(key), Some(nonce), Some(plain), Some(aad)) = (
        bytes("feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308"),
        bytes("cafebabefacedbaddecaf888"),
        bytes(
            "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a721c3c0c95956809532fcf\
             0e2449a6b525b16aedf5aa0de657ba637b39",
        ),
        bytes("feedfacedeadbeeffeedfacedeadbeefabaddad2"),
    ) else {
        return false;
    };
    let (Ok(cipher), Ok(nonce)) =
        (Aes256Gcm::new_from_slice(&key), <&[u8; 12]>::try_from(nonce.as_slice()))
    else {
        return false;
    };
    let sealed = cipher.encrypt(nonce.into(), Payload { msg: &plain, aad: &aad });
    sealed.is_ok_and(|sealed| {
        is(
            &sealed,
            "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b0\
             8b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
        )
    })
}

/// A changed byte and a changed context must both be refused.
fn seal_answers() -> bool {
    let key = SealKey::new(&Secret::new([1; 32]));
    let Ok(sealed) = key.seal(b"value", b"here", &[2; 16]) else {
        return false;
    };
    let mut damaged = sealed.clone();
    if let Some(last) = damaged.last_mut() {
        *last ^= 1;
    }
    key.open(&sealed, b"here").is_ok_and(|plain| plain.as_slice() == b"value")
        && key.open(&damaged, b"here").is_err()
        && key.open(&sealed, b"there").is_err()
}

/// RFC 8032 §7.1 test 2.
fn ed25519_answers() -> bool {
    let seed = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let Some(seed) = seed.and_then(|seed| Secret::from_slice(&seed)) else {
        return false;
    };
    let signer = Signer::from_seed(&seed);
    let signature = signer.sign(&[0x72]);
    is(
        &signature,
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
         085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ) && signer.verifier().verify(&[0x72], &signature).is_ok()
        && signer.verifier().verify(&[0x73], &signature).is_err()
}

/// NIST's samples 7 and 8 for FF1 with AES-256.
fn ff1_answers() -> bool {
    let key = bytes("2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f7f036d6f04fc6a94");
    let Some(ff1) = key.and_then(|key| Secret::from_slice(&key)).and_then(|key| Ff1::new(&key))
    else {
        return false;
    };
    let gives = |tweak: &[u8], answer: [u8; 10]| {
        let mut digits = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        ff1.permute(tweak, &mut digits).is_ok() && digits == answer
    };
    gives(b"", [6, 6, 5, 7, 6, 6, 7, 0, 0, 9])
        && gives(b"9876543210", [1, 0, 0, 1, 6, 2, 3, 4, 6, 3])
}

fn is(found: &[u8], hex: &str) -> bool {
    bytes(hex).is_some_and(|wanted| wanted == found)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    Some(digits?.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, d| byte << 4 | d)).collect())
}
