//! The sealed root key file: a text header that says how, and the key sealed by a passphrase.

use argon2::Algorithm;
use argon2::Argon2;
use argon2::Params;
use argon2::Version;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use zeroize::Zeroizing;

use super::mac::length_prefixed;
use super::seal::SEAL_OVERHEAD;
use super::seal::SealKey;
use super::secret::Secret;

/// What Argon2id costs. Stored in the file, because it may be raised later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KdfCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub passes: u32,
    /// Lanes.
    pub lanes: u32,
}

impl KdfCost {
    /// For new files: a fifth of a second of one core.
    pub const DEFAULT: Self = Self { memory_kib: 65_536, passes: 3, lanes: 4 };
    /// The least that is accepted (OWASP's minimum for Argon2id).
    pub const FLOOR: Self = Self { memory_kib: 19_456, passes: 2, lanes: 1 };
    /// The most: a file that asks for more would take the machine down at start.
    pub const CEILING: Self = Self { memory_kib: 1_048_576, passes: 16, lanes: 16 };

    pub(super) fn check(self) -> Result<Self, RootFileError> {
        let within = |value, floor, ceiling| (floor..=ceiling).contains(&value);
        let (floor, ceiling) = (Self::FLOOR, Self::CEILING);
        let all = within(self.memory_kib, floor.memory_kib, ceiling.memory_kib)
            && within(self.passes, floor.passes, ceiling.passes)
            && within(self.lanes, floor.lanes, ceiling.lanes);
        if all { Ok(self) } else { Err(RootFileError::Cost { cost: self }) }
    }
}

/// A root key file cannot be made or opened.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum RootFileError {
    /// Argon2id parameters below the floor or above the ceiling.
    #[error(
        "argon2id with m={} KiB t={} p={} is outside m={}..={} t={}..={} p={}..={}",
        cost.memory_kib, cost.passes, cost.lanes,
        KdfCost::FLOOR.memory_kib, KdfCost::CEILING.memory_kib,
        KdfCost::FLOOR.passes, KdfCost::CEILING.passes,
        KdfCost::FLOOR.lanes, KdfCost::CEILING.lanes,
    )]
    Cost {
        /// What the file asks for.
        cost: KdfCost,
    },
    /// The text is not a root key file of this version.
    #[error("this is not a root key file (version 1): line {line} is not as expected")]
    Format {
        /// Counted from 1.
        line: usize,
    },
    /// The key derivation failed, for want of memory.
    #[error("the passphrase could not be stretched")]
    Kdf,
    /// The passphrase is wrong or the file was changed; nothing tells which.
    #[error("the passphrase does not open this root key, or the file was changed")]
    Unsealable,
}

/// Seals `root` with `passphrase`. `random` is fresh randomness: a salt and a hedge.
pub fn seal_root(
    root: &Secret,
    passphrase: &[u8],
    cost: KdfCost,
    random: &[u8; 32],
) -> Result<String, RootFileError> {
    let (salt, hedge) = random.split_first_chunk::<16>().ok_or(RootFileError::Kdf)?;
    let hedge = hedge.first_chunk::<16>().ok_or(RootFileError::Kdf)?;
    let header = header(cost.check()?, salt);
    let sealed = stretch(passphrase, salt, cost)?
        .seal(root.expose(), &length_prefixed(&[header.as_bytes()]), hedge)
        .map_err(|_| RootFileError::Unsealable)?;
    Ok(format!("{header}sealed {}\n", URL_SAFE_NO_PAD.encode(sealed)))
}

/// Opens what [`seal_root`] made. The whole header is under the seal.
pub fn open_root(text: &str, passphrase: &[u8]) -> Result<Secret, RootFileError> {
    let (cost, salt, sealed) = read_root(text)?;
    let header = header(cost, &salt);
    let plain = stretch(passphrase, &salt, cost)?
        .open(&sealed, &length_prefixed(&[header.as_bytes()]))
        .map_err(|_| RootFileError::Unsealable)?;
    Secret::from_slice(&plain).ok_or(RootFileError::Unsealable)
}

/// The cost, the salt and the sealed key of a root key file, which has one spelling.
pub(super) fn read_root(text: &str) -> Result<RootFile, RootFileError> {
    let mut lines = text.lines();
    let mut line = |number, prefix: &str| {
        let rest = lines.next().and_then(|line| line.strip_prefix(prefix));
        rest.ok_or(RootFileError::Format { line: number })
    };
    line(1, TITLE)?;
    let cost = read_cost(line(2, "kdf argon2id ")?).ok_or(RootFileError::Format { line: 2 })?;
    let cost = cost.check()?;
    let salt: [u8; 16] = read_base64(line(3, "salt ")?, 3)?;
    let sealed: [u8; 32 + SEAL_OVERHEAD] = read_base64(line(4, "sealed ")?, 4)?;
    let header = header(cost, &salt);
    // Whatever the file says in another spelling, after the last line, or with other line ends.
    if text.strip_prefix(&header).is_none_or(|rest| rest.lines().count() != 1) {
        return Err(RootFileError::Format { line: 5 });
    }
    Ok((cost, salt, sealed))
}

/// What stands in a root key file.
type RootFile = (KdfCost, [u8; 16], [u8; 32 + SEAL_OVERHEAD]);

fn header(cost: KdfCost, salt: &[u8; 16]) -> String {
    let KdfCost { memory_kib, passes, lanes } = cost;
    let salt = URL_SAFE_NO_PAD.encode(salt);
    format!("{TITLE}\nkdf argon2id m={memory_kib} t={passes} p={lanes}\nsalt {salt}\n")
}

fn read_cost(text: &str) -> Option<KdfCost> {
    let mut words = text.split(' ');
    let mut number = |name: &str| words.next()?.strip_prefix(name)?.parse().ok();
    let cost = KdfCost { memory_kib: number("m=")?, passes: number("t=")?, lanes: number("p=")? };
    words.next().is_none().then_some(cost)
}

fn read_base64<const N: usize>(text: &str, line: usize) -> Result<[u8; N], RootFileError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| RootFileError::Format { line })?;
    bytes.as_slice().try_into().map_err(|_| RootFileError::Format { line })
}

fn stretch(passphrase: &[u8], salt: &[u8], cost: KdfCost) -> Result<SealKey, RootFileError> {
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32))
        .map_err(|_| RootFileError::Cost { cost })?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase, salt, key.as_mut_slice())
        .map_err(|_| RootFileError::Kdf)?;
    Ok(SealKey::new(&Secret::new(*key)))
}

const TITLE: &str = "privet-root-key/v1";
