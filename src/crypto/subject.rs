//! A subject's key, the id that commits to it, and the record it is kept in.

use super::mac::Mac;
use super::mac::derive;
use super::mac::first_16;
use super::mac::hmac_sha256;
use super::mac::length_prefixed;
use super::mac::same;
use super::seal::SEAL_OVERHEAD;
use super::seal::SealKey;
use super::secret::Secret;

/// The id of a subject key: the first 16 bytes of HMAC-SHA-256(key, "privet kid v1"). Whoever
/// knows the key can check the id, so one id never names two keys.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Kid(pub [u8; 16]);

/// The key of one person in one domain. Everything that must end with the person hangs on it.
#[expect(missing_debug_implementations, reason = "it is a key")]
pub struct SubjectKey(Secret);

impl SubjectKey {
    /// Takes 32 fresh random bytes.
    pub const fn new(random: [u8; 32]) -> Self {
        Self(Secret::new(random))
    }

    /// The id of this key.
    pub fn kid(&self) -> Kid {
        Kid(first_16(&hmac_sha256(self.0.expose(), b"privet kid v1")))
    }

    /// The key itself, to derive others from.
    pub(super) const fn secret(&self) -> &Secret {
        &self.0
    }

    /// The key under which the person is named in the audit log.
    pub fn log_key(&self) -> Mac {
        Mac::new(&derive(&self.0, &[b"privet/log-key/v1"]))
    }
}

/// What may be done with a key. It only moves forward.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum KeyState {
    /// Seals and opens.
    Active,
    /// Opens only: a newer one seals.
    DecryptOnly,
    /// Does nothing until it is enabled again.
    Disabled,
}

impl KeyState {
    /// The byte used in records.
    pub const fn code(self) -> u8 {
        match self {
            Self::Active => 1,
            Self::DecryptOnly => 2,
            Self::Disabled => 3,
        }
    }

    /// Reads the byte used in records.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            1 => Some(Self::Active),
            2 => Some(Self::DecryptOnly),
            3 => Some(Self::Disabled),
            _ => None,
        }
    }
}

/// Where a wrapped key belongs. It is part of what the seal covers, so a record copied to another
/// person, domain, tenant or epoch does not open.
#[derive(Clone, Copy, Debug)]
pub struct WrapContext<'a> {
    /// The installation.
    pub tenant: &'a str,
    /// The domain of the subject.
    pub domain: &'a str,
    /// The key of the record, which stands for the subject.
    pub record: &'a [u8; 32],
    /// The epoch of the key that wraps.
    pub epoch: u32,
}

/// One generation of a subject key, wrapped.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct KeyGeneration {
    /// Counts up from 1 with each rotation of this subject's key.
    pub number: u32,
    /// What may be done with it.
    pub state: KeyState,
    /// The id that commits to it.
    pub kid: Kid,
    /// The key, sealed by the epoch key.
    pub wrapped: [u8; WRAPPED_LEN],
}

impl KeyGeneration {
    /// Wraps `key` as generation `number`.
    pub fn wrap(
        key: &SubjectKey,
        number: u32,
        with: &SealKey,
        context: &WrapContext<'_>,
        random: &[u8; 16],
    ) -> Result<Self, RecordFault> {
        let (state, kid) = (KeyState::Active, key.kid());
        let aad = Self::aad(number, state, &kid, context);
        let sealed =
            with.seal(key.0.expose(), &aad, random).map_err(|_| RecordFault::Unsealable)?;
        let wrapped = sealed.as_slice().try_into().map_err(|_| RecordFault::Length)?;
        Ok(Self { number, state, kid, wrapped })
    }

    /// Unwraps the key, and computes its id again: a key that is not the one the id names is
    /// refused.
    pub fn unwrap(
        &self,
        with: &SealKey,
        context: &WrapContext<'_>,
    ) -> Result<SubjectKey, RecordFault> {
        let aad = Self::aad(self.number, self.state, &self.kid, context);
        let plain = with.open(&self.wrapped, &aad).map_err(|_| RecordFault::Unsealable)?;
        let key = SubjectKey(Secret::from_slice(&plain).ok_or(RecordFault::Length)?);
        if same(&key.kid().0, &self.kid.0) { Ok(key) } else { Err(RecordFault::Kid) }
    }

    fn aad(number: u32, state: KeyState, kid: &Kid, at: &WrapContext<'_>) -> Vec<u8> {
        length_prefixed(&[
            b"privet/subject-key/v1",
            at.tenant.as_bytes(),
            at.domain.as_bytes(),
            at.record,
            &at.epoch.to_be_bytes(),
            &number.to_be_bytes(),
            &[state.code()],
            &kid.0,
        ])
    }
}

/// A subject-key record is not one.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RecordFault {
    /// The unwrapped key is not the one its id names.
    #[error("the key does not match its id")]
    Kid,
    /// Too short, too long, or a length inside does not fit.
    #[error("the key record has the wrong length")]
    Length,
    /// A state byte nobody knows.
    #[error("the key record has an unknown state")]
    State,
    /// The wrapping key or the place is wrong, or the bytes are damaged.
    #[error("the key does not unwrap in this place")]
    Unsealable,
    /// A version or suite this release does not read.
    #[error(
        "the key record has version {version} and suite {suite}, which this release does not read"
    )]
    Version {
        /// The version byte.
        version: u8,
        /// The suite byte.
        suite: u8,
    },
}

/// All generations of one subject's key, oldest first. The person's name in the audit log comes
/// from the first, so it survives rotation.
///
/// Layout: version (1) ‖ suite (1) ‖ epoch (4) ‖ count (1) ‖ count × (number (4) ‖ state (1) ‖
/// kid (16) ‖ wrapped (60)); integers are big-endian.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SubjectKeyRecord {
    /// The epoch of the key that wraps.
    pub epoch: u32,
    /// The generations; never empty.
    pub generations: Vec<KeyGeneration>,
}

impl SubjectKeyRecord {
    /// The record as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let count = u8::try_from(self.generations.len()).unwrap_or(u8::MAX);
        let mut bytes = vec![VERSION, SUITE];
        bytes.extend_from_slice(&self.epoch.to_be_bytes());
        bytes.push(count);
        for generation in self.generations.iter().take(usize::from(count)) {
            bytes.extend_from_slice(&generation.number.to_be_bytes());
            bytes.push(generation.state.code());
            bytes.extend_from_slice(&generation.kid.0);
            bytes.extend_from_slice(&generation.wrapped);
        }
        bytes
    }

    /// Reads a record; every byte must have a meaning.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordFault> {
        let ([version, suite, epoch @ .., count], mut rest) =
            bytes.split_first_chunk::<7>().ok_or(RecordFault::Length)?;
        if (*version, *suite) != (VERSION, SUITE) {
            return Err(RecordFault::Version { version: *version, suite: *suite });
        }
        let mut generations = Vec::new();
        while let Some((number, after)) = rest.split_first_chunk::<4>() {
            let ([state], after) = after.split_first_chunk::<1>().ok_or(RecordFault::Length)?;
            let (kid, after) = after.split_first_chunk::<16>().ok_or(RecordFault::Length)?;
            let (wrapped, after) =
                after.split_first_chunk::<WRAPPED_LEN>().ok_or(RecordFault::Length)?;
            generations.push(KeyGeneration {
                number: u32::from_be_bytes(*number),
                state: KeyState::from_code(*state).ok_or(RecordFault::State)?,
                kid: Kid(*kid),
                wrapped: *wrapped,
            });
            rest = after;
        }
        if !rest.is_empty() || generations.is_empty() || generations.len() != usize::from(*count) {
            return Err(RecordFault::Length);
        }
        Ok(Self { epoch: u32::from_be_bytes(*epoch), generations })
    }
}

const VERSION: u8 = 1;
/// AES-256-GCM with a hedged nonce, as [`SealKey`].
const SUITE: u8 = 1;
const WRAPPED_LEN: usize = 32 + SEAL_OVERHEAD;

#[cfg(test)]
impl SubjectKey {
    /// The bytes themselves, to look for them where they must not be.
    pub(crate) fn expose(&self) -> &[u8; 32] {
        self.0.expose()
    }
}
