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
    pub fn log_key(&self) -> LogKey {
        LogKey(derive(&self.0, &[b"privet/log-key/v1"]))
    }
}

/// Names one person in the audit log. It comes from the first generation of their key, and is
/// kept by itself once there are more: nobody gets from it to a key that opens anything.
#[expect(missing_debug_implementations, reason = "it is a key")]
pub struct LogKey(Secret);

impl LogKey {
    /// The HMAC that makes the name.
    pub fn mac(&self) -> Mac {
        Mac::new(&self.0)
    }

    /// Wraps the key for the record of its person.
    pub fn wrap(
        &self,
        with: &SealKey,
        at: &WrapContext<'_>,
        random: &[u8; 16],
    ) -> Result<[u8; WRAPPED_LEN], RecordFault> {
        wrap(&self.0, with, &Self::aad(at), random)
    }

    /// Unwraps what [`Self::wrap`] made in the same place.
    pub fn unwrap(
        wrapped: &[u8; WRAPPED_LEN],
        with: &SealKey,
        at: &WrapContext<'_>,
    ) -> Result<Self, RecordFault> {
        unwrap(wrapped, with, &Self::aad(at)).map(Self)
    }

    fn aad(at: &WrapContext<'_>) -> Vec<u8> {
        length_prefixed(&[
            b"privet/log-key-wrap/v1",
            at.tenant.as_bytes(),
            at.domain.as_bytes(),
            at.record,
            &at.epoch.to_be_bytes(),
        ])
    }
}

fn wrap(
    key: &Secret,
    with: &SealKey,
    aad: &[u8],
    random: &[u8; 16],
) -> Result<[u8; WRAPPED_LEN], RecordFault> {
    let sealed = with.seal(key.expose(), aad, random).map_err(|_| RecordFault::Unsealable)?;
    sealed.as_slice().try_into().map_err(|_| RecordFault::Length)
}

fn unwrap(wrapped: &[u8], with: &SealKey, aad: &[u8]) -> Result<Secret, RecordFault> {
    let plain = with.open(wrapped, aad).map_err(|_| RecordFault::Unsealable)?;
    Secret::from_slice(&plain).ok_or(RecordFault::Length)
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
        (number, state): (u32, KeyState),
        with: &SealKey,
        context: &WrapContext<'_>,
        random: &[u8; 16],
    ) -> Result<Self, RecordFault> {
        let kid = key.kid();
        let aad = Self::aad(number, state, &kid, context);
        Ok(Self { number, state, kid, wrapped: wrap(&key.0, with, &aad, random)? })
    }

    /// Unwraps the key, and computes its id again: a key that is not the one the id names is
    /// refused.
    pub fn unwrap(
        &self,
        with: &SealKey,
        context: &WrapContext<'_>,
    ) -> Result<SubjectKey, RecordFault> {
        let aad = Self::aad(self.number, self.state, &self.kid, context);
        let key = SubjectKey(unwrap(&self.wrapped, with, &aad)?);
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
    /// Generations that do not count up.
    #[error("the generations of the key record are not in order")]
    Order,
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
/// from the first, so it survives rotation: as long as there has been but one generation it is
/// derived from that, and afterwards it has a wrapped key of its own.
///
/// Layout: version (1) ‖ suite (1) ‖ epoch (4) ‖ length of the domain (1) ‖ domain ‖ whether there
/// is a log key (1) ‖ the wrapped log key (60), if any ‖ count (1) ‖ count × (number (4) ‖
/// state (1) ‖ kid (16) ‖ wrapped (60)); integers are big-endian. Version 1 has neither domain nor
/// log key.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SubjectKeyRecord {
    /// The epoch of the key that wraps.
    pub epoch: u32,
    /// The domain of the subject, so that its key can be wrapped anew without knowing the subject;
    /// nothing in records of version 1.
    pub domain: Option<String>,
    /// The wrapped [`LogKey`]; nothing while the first generation is the only one there was.
    pub log: Option<[u8; WRAPPED_LEN]>,
    /// The generations; never empty.
    pub generations: Vec<KeyGeneration>,
}

impl SubjectKeyRecord {
    /// The record as bytes.
    pub fn encode(&self) -> Vec<u8> {
        let count = u8::try_from(self.generations.len()).unwrap_or(u8::MAX);
        let version = if self.domain.is_some() { VERSION_2 } else { VERSION };
        let mut bytes = vec![version, SUITE];
        bytes.extend_from_slice(&self.epoch.to_be_bytes());
        if let Some(domain) = &self.domain {
            bytes.push(u8::try_from(domain.len()).unwrap_or(u8::MAX));
            bytes.extend(domain.bytes().take(usize::from(u8::MAX)));
            bytes.push(u8::from(self.log.is_some()));
            bytes.extend(self.log.iter().flatten());
        }
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
        let ([version, suite, epoch @ ..], rest) =
            bytes.split_first_chunk::<6>().ok_or(RecordFault::Length)?;
        let (domain, log, rest) = match (*version, *suite) {
            (VERSION, SUITE) => (None, None, rest),
            (VERSION_2, SUITE) => {
                let (domain, log, rest) = Self::split_head(rest).ok_or(RecordFault::Length)?;
                (Some(domain), log, rest)
            }
            (version, suite) => return Err(RecordFault::Version { version, suite }),
        };
        let ([count], mut rest) = rest.split_first_chunk::<1>().ok_or(RecordFault::Length)?;
        let mut generations: Vec<KeyGeneration> = Vec::new();
        while let Some((number, after)) = rest.split_first_chunk::<4>() {
            let ([state], after) = after.split_first_chunk::<1>().ok_or(RecordFault::Length)?;
            let (kid, after) = after.split_first_chunk::<16>().ok_or(RecordFault::Length)?;
            let (wrapped, after) =
                after.split_first_chunk::<WRAPPED_LEN>().ok_or(RecordFault::Length)?;
            let number = u32::from_be_bytes(*number);
            if generations.last().is_some_and(|before| before.number >= number) {
                return Err(RecordFault::Order);
            }
            generations.push(KeyGeneration {
                number,
                state: KeyState::from_code(*state).ok_or(RecordFault::State)?,
                kid: Kid(*kid),
                wrapped: *wrapped,
            });
            rest = after;
        }
        if !rest.is_empty() || generations.is_empty() || generations.len() != usize::from(*count) {
            return Err(RecordFault::Length);
        }
        // Without a log key of its own the name comes from generation 1, which must be there.
        let named = log.is_some() || generations.first().is_some_and(|first| first.number == 1);
        if !named {
            return Err(RecordFault::Order);
        }
        Ok(Self { epoch: u32::from_be_bytes(*epoch), domain, log, generations })
    }

    /// Domain and log key of version 2, and what follows them.
    fn split_head(bytes: &[u8]) -> Option<Head<'_>> {
        let ([len], rest) = bytes.split_first_chunk::<1>()?;
        let (domain, rest) = rest.split_at_checked(usize::from(*len))?;
        let domain = std::str::from_utf8(domain).ok()?.to_owned();
        let ([has_log], rest) = rest.split_first_chunk::<1>()?;
        match has_log {
            0 => Some((domain, None, rest)),
            1 => {
                let (log, rest) = rest.split_first_chunk::<WRAPPED_LEN>()?;
                Some((domain, Some(*log), rest))
            }
            _ => None,
        }
    }
}

/// Domain, wrapped log key, and the rest of a record.
type Head<'a> = (String, Option<[u8; WRAPPED_LEN]>, &'a [u8]);

/// A key that was made for a record whose person has no id yet. Its place is its own id: until a
/// person is known it belongs to nobody, and it can be given to one person alone.
///
/// Layout: version (1) ‖ suite (1) ‖ epoch (4) ‖ made at, in ms (8) ‖ wrapped (60) ‖ the name of
/// the data set (the rest); integers are big-endian.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PendingKey {
    /// The epoch of the key that wraps.
    pub epoch: u32,
    /// When it was made, in milliseconds since 1970.
    pub made_ms: u64,
    /// The key, sealed by the epoch key.
    pub wrapped: [u8; WRAPPED_LEN],
    /// The data set its record was made in.
    pub set: String,
}

impl PendingKey {
    /// Wraps `key` for `set`.
    pub fn wrap(
        key: &SubjectKey,
        (epoch, made_ms, set): (u32, u64, &str),
        (with, tenant): (&SealKey, &str),
        random: &[u8; 16],
    ) -> Result<Self, RecordFault> {
        let mut pending = Self { epoch, made_ms, wrapped: [0; WRAPPED_LEN], set: set.to_owned() };
        pending.wrapped = wrap(&key.0, with, &pending.aad(&key.kid(), tenant), random)?;
        Ok(pending)
    }

    /// Unwraps the key, and computes its id again: it must be `kid`, under which it stands.
    pub fn unwrap(
        &self,
        kid: &Kid,
        (with, tenant): (&SealKey, &str),
    ) -> Result<SubjectKey, RecordFault> {
        let key = SubjectKey(unwrap(&self.wrapped, with, &self.aad(kid, tenant))?);
        if same(&key.kid().0, &kid.0) { Ok(key) } else { Err(RecordFault::Kid) }
    }

    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION, SUITE];
        bytes.extend_from_slice(&self.epoch.to_be_bytes());
        bytes.extend_from_slice(&self.made_ms.to_be_bytes());
        bytes.extend_from_slice(&self.wrapped);
        bytes.extend_from_slice(self.set.as_bytes());
        bytes
    }

    /// Reads what [`Self::encode`] made.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordFault> {
        let ([version, suite, epoch @ ..], rest) =
            bytes.split_first_chunk::<6>().ok_or(RecordFault::Length)?;
        if (*version, *suite) != (VERSION, SUITE) {
            return Err(RecordFault::Version { version: *version, suite: *suite });
        }
        let (made_ms, rest) = rest.split_first_chunk::<8>().ok_or(RecordFault::Length)?;
        let (wrapped, set) = rest.split_first_chunk::<WRAPPED_LEN>().ok_or(RecordFault::Length)?;
        let set = std::str::from_utf8(set).map_err(|_| RecordFault::Length)?;
        Ok(Self {
            epoch: u32::from_be_bytes(*epoch),
            made_ms: u64::from_be_bytes(*made_ms),
            wrapped: *wrapped,
            set: set.to_owned(),
        })
    }

    fn aad(&self, kid: &Kid, tenant: &str) -> Vec<u8> {
        length_prefixed(&[
            b"privet/pending-key/v1",
            tenant.as_bytes(),
            &kid.0,
            &self.epoch.to_be_bytes(),
            &self.made_ms.to_be_bytes(),
            self.set.as_bytes(),
        ])
    }
}

const VERSION: u8 = 1;
/// The version of a record that says its domain and may have a log key.
const VERSION_2: u8 = 2;
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
