//! Known answers, asked at every start: a miscompiled or emulated primitive must not protect
//! anybody's data.

use aes_gcm::aead::Aead;
use aes_gcm::aead::KeyInit;
use aes_gcm::aead::Payload;
use hkdf::Hkdf;
use sha2::Sha256;

use super::envelope::Envelope;
use super::envelope::FieldKey;
use super::envelope::ValueKind;
use super::ff1::Ff1;
use super::index::NormalForm;
use super::index::blind_index;
use super::mac::Mac;
use super::mac::derive;
use super::mac::hmac_sha256;
use super::mac::length_prefixed;
use super::mac::sha256;
use super::seal::Gcm;
use super::seal::SealKey;
use super::secret::Secret;
use super::sign::Signer;
use super::subject::KeyGeneration;
use super::subject::KeyState;
use super::subject::SubjectKey;
use super::subject::WrapContext;

/// A primitive gave a wrong answer. The process must not go on.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("self-test of {primitive} failed: this build or this machine computes it wrongly")]
pub struct SelfTestError {
    /// Which one.
    pub primitive: &'static str,
}

/// Asks every primitive, and every format built on them, for its known answer. Takes well under a
/// millisecond.
pub fn self_test() -> Result<(), SelfTestError> {
    #[cfg(test)]
    if let Some(primitive) = WRONG.get() {
        return Err(SelfTestError { primitive });
    }
    ask(&CHECKS)
}

fn ask(checks: &[Check]) -> Result<(), SelfTestError> {
    match checks.iter().find(|check| !(check.gives)(check.answer)) {
        Some(Check { primitive, .. }) => Err(SelfTestError { primitive }),
        None => Ok(()),
    }
}

/// What one primitive must answer.
#[derive(Clone, Copy)]
struct Check {
    primitive: &'static str,
    gives: fn(&str) -> bool,
    answer: &'static str,
}

const CHECKS: [Check; 11] = [
    // FIPS 180-2 appendix B.1.
    Check {
        primitive: "SHA-256",
        gives: sha256_gives,
        answer: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
    },
    // RFC 4231 test case 2.
    Check {
        primitive: "HMAC-SHA-256",
        gives: hmac_gives,
        answer: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    },
    // RFC 5869 test case 1.
    Check {
        primitive: "HKDF-SHA-256",
        gives: hkdf_gives,
        answer: "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865",
    },
    // "The Galois/Counter Mode of Operation" (McGrew, Viega), test case 16.
    Check {
        primitive: "AES-256-GCM",
        gives: gcm_gives,
        answer: "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa8cb08e48590dbb3da7b0\
                 8b1056828838c5f61e6393ba7a0abcc9f66276fc6ece0f4e1768cddf8853bb2d551b",
    },
    // RFC 8032 §7.1 test 2.
    Check {
        primitive: "Ed25519",
        gives: ed25519_gives,
        answer: "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da\
                 085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    },
    // NIST's samples 7 and 8 for FF1 with AES-256.
    Check { primitive: "FF1", gives: ff1_gives, answer: "66576670091001623463" },
    // The others: tests/vectors/protection.json.
    Check { primitive: "key ids", gives: kid_gives, answer: "4e38ae95ba7ed33b46251e652551e0b4" },
    Check {
        primitive: "envelopes",
        gives: envelope_gives,
        answer: "pvt1_AQFOOK6Vun7TO0YlHmUlUeC0lxbgh77BzL4oH7PXdOefgiA01lB1GSiiWf7G9xuHK4I8sLHymjDkSLffXZo",
    },
    Check { primitive: "blind indexes", gives: index_gives, answer: "bi1_mgaFu4tXhSb9gQJLbrUn2Q" },
    Check {
        primitive: "wrapped keys",
        gives: wrapped_gives,
        answer: "ca5b9f3b82897a56f5ea7ae0abec7887b029fa948699069a41d3008ae753e62641e4cd532c3ae153423c170af7c46802d121a5bdd891a896898cb950",
    },
    // No answer but its own: what was sealed opens, here and unchanged alone.
    Check { primitive: "the seal", gives: seal_gives, answer: "value" },
];

fn sha256_gives(answer: &str) -> bool {
    is(&sha256(b"abc"), answer)
}

fn hmac_gives(answer: &str) -> bool {
    is(&hmac_sha256(b"Jefe", b"what do ya want for nothing?"), answer)
}

/// The published answer, and our one-block expansion beside the general one.
fn hkdf_gives(answer: &str) -> bool {
    let salt: Vec<u8> = (0..=0x0c).collect();
    let info: Vec<u8> = (0xf0..=0xf9).collect();
    let mut okm = [0; 42];
    let expanded = Hkdf::<Sha256>::new(Some(&salt), &[0x0b; 22]).expand(&info, &mut okm);
    let mut general = [0; 32];
    let ours = derive(&Secret::new([7; 32]), &[b"a", b"bc"]);
    let theirs = Hkdf::<Sha256>::from_prk(&[7; 32])
        .is_ok_and(|hkdf| hkdf.expand(&length_prefixed(&[b"a", b"bc"]), &mut general).is_ok());
    expanded.is_ok() && is(&okm, answer) && theirs && general == *ours.expose()
}

fn gcm_gives(answer: &str) -> bool {
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
        (Gcm::new_from_slice(&key), <&[u8; 12]>::try_from(nonce.as_slice()))
    else {
        return false;
    };
    let sealed = cipher.encrypt(nonce.into(), Payload { msg: &plain, aad: &aad });
    sealed.is_ok_and(|sealed| is(&sealed, answer))
}

/// A changed byte and a changed context must both be refused.
fn seal_gives(answer: &str) -> bool {
    let key = SealKey::new(&Secret::new([1; 32]));
    let Ok(sealed) = key.seal(b"value", b"here", &[2; 16]) else {
        return false;
    };
    let mut damaged = sealed.clone();
    if let Some(last) = damaged.last_mut() {
        *last ^= 1;
    }
    key.open(&sealed, b"here").is_ok_and(|plain| plain.as_slice() == answer.as_bytes())
        && key.open(&damaged, b"here").is_err()
        && key.open(&sealed, b"there").is_err()
}

fn ed25519_gives(answer: &str) -> bool {
    let seed = bytes("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    let Some(seed) = seed.and_then(|seed| Secret::from_slice(&seed)) else {
        return false;
    };
    let signer = Signer::from_seed(&seed);
    let signature = signer.sign(&[0x72]);
    is(&signature, answer)
        && signer.verifier().verify(&[0x72], &signature).is_ok()
        && signer.verifier().verify(&[0x73], &signature).is_err()
}

fn ff1_gives(answer: &str) -> bool {
    let key = bytes("2b7e151628aed2a6abf7158809cf4f3cef4359d8d580aa4f7f036d6f04fc6a94");
    let Some(ff1) = key.and_then(|key| Secret::from_slice(&key)).and_then(|key| Ff1::new(&key))
    else {
        return false;
    };
    let mut found = String::new();
    for tweak in [&b""[..], b"9876543210"] {
        let mut digits = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
        if ff1.permute(tweak, &mut digits).is_err() {
            return false;
        }
        found.extend(digits.iter().map(|digit| char::from(b'0' + *digit)));
    }
    found == answer
}

/// The key whose bytes count up from `first`.
fn counting(first: u8) -> [u8; 32] {
    std::array::from_fn(|n| first.wrapping_add(u8::try_from(n).unwrap_or(0)))
}

fn kid_gives(answer: &str) -> bool {
    is(&SubjectKey::new(counting(1)).kid().0, answer)
}

/// Sealed as known, and opened here alone.
fn envelope_gives(answer: &str) -> bool {
    let key = SubjectKey::new(counting(1));
    let random = std::array::from_fn(|n| 0xa1 + u8::try_from(n).unwrap_or(0));
    let mut sealed = Vec::new();
    let field = FieldKey::sealing(&key, key.kid(), "shop", "customer.email");
    let there = FieldKey::opening(&key, key.kid(), "shop", "customer.phone");
    let made = field.seal(ValueKind::Text, b"ana@mail.example", &random, &mut sealed);
    let Ok(envelope) = Envelope::parse(answer) else {
        return false;
    };
    let opened = field.open(&envelope).is_ok_and(|(kind, plain)| {
        kind == ValueKind::Text && plain.as_slice() == b"ana@mail.example"
    });
    made.is_ok() && sealed == answer.as_bytes() && opened && there.open(&envelope).is_err()
}

fn index_gives(answer: &str) -> bool {
    let (key, mut text) = (Mac::new(&Secret::new(counting(0x40))), Vec::new());
    let place = ("shop", "customer.text");
    blind_index(&key, place, (NormalForm::Text, 16), "Ana  Mar\u{ed}a", &mut text);
    text == answer.as_bytes()
}

/// Wrapped as known, and unwrapped here alone.
fn wrapped_gives(answer: &str) -> bool {
    let with =
        SealKey::new(&derive(&Secret::new(counting(0x60)), &[b"privet/domain/v1", b"person"]));
    let (record, key) = (counting(0xc0), SubjectKey::new(counting(0)));
    let here = WrapContext { tenant: "shop", domain: "person", record: &record, epoch: 1 };
    let there = WrapContext { epoch: 2, ..here };
    let random = std::array::from_fn(|n| u8::try_from(n).unwrap_or(0));
    KeyGeneration::wrap(&key, (1, KeyState::Active), &with, &here, &random).is_ok_and(|made| {
        is(&made.wrapped, answer)
            && made.unwrap(&with, &here).is_ok_and(|key| key.kid() == made.kid)
            && made.unwrap(&with, &there).is_err()
    })
}

fn is(found: &[u8], hex: &str) -> bool {
    bytes(hex).is_some_and(|wanted| wanted == found)
}

fn bytes(hex: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> =
        hex.chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    Some(digits?.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, d| byte << 4 | d)).collect())
}

#[cfg(test)]
thread_local! {
    static WRONG: std::cell::Cell<Option<&'static str>> = const { std::cell::Cell::new(None) };
}

/// Runs `then` on a machine that computes `primitive` wrongly.
#[cfg(test)]
pub(crate) fn broken<T>(primitive: &'static str, then: impl FnOnce() -> T) -> T {
    WRONG.set(Some(primitive));
    let outcome = then();
    WRONG.set(None);
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_answer_is_noticed_and_names_what_is_wrong() {
        assert_eq!(ask(&CHECKS), Ok(()));
        for (at, check) in CHECKS.iter().enumerate() {
            let places = [check.answer.len() / 2, check.answer.len() - 1];
            for place in places {
                let mut answer = check.answer.to_owned();
                let other = if answer.as_bytes()[place] == b'0' { "1" } else { "0" };
                answer.replace_range(place..=place, other);
                let mut checks = CHECKS;
                checks[at].answer = answer.leak();
                assert_eq!(ask(&checks), Err(SelfTestError { primitive: check.primitive }));
            }
        }
    }
}
