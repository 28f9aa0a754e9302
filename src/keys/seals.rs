//! A person's keys, unwrapped, and what they open and seal.

use std::cell::RefCell;
use std::sync::Arc;

use crate::catalog::BlindIndex;
use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::catalog::Sealing;
use crate::clock::Entropy;
use crate::crypto::Envelope;
use crate::crypto::EnvelopeFault;
use crate::crypto::FieldKey;
use crate::crypto::KeyState;
use crate::crypto::Kid;
use crate::crypto::SubjectKey;
use crate::crypto::ValueKind;
use crate::crypto::blind_index;
use crate::transform::Seals;
use crate::transform::Unopened;
use crate::transform::Unsealed;

use super::ring::KeyRing;

/// The unwrapped keys of one person, newest last. Wiped when the last holder lets go.
#[expect(missing_debug_implementations, reason = "these are keys")]
pub struct SubjectKeys {
    tenant: Arc<str>,
    generations: Vec<(Kid, KeyState, SubjectKey)>,
    is_locked: bool,
}

impl SubjectKeys {
    pub(super) fn new(tenant: Arc<str>, generations: Vec<(Kid, KeyState, SubjectKey)>) -> Self {
        Self { tenant, generations, is_locked: false }
    }

    /// In the place of keys that were let go of because the ring is locked: they are not
    /// destroyed, so nobody may take the person for erased.
    pub(crate) fn locked() -> Self {
        Self { tenant: "".into(), generations: Vec::new(), is_locked: true }
    }

    /// Whether they were let go of: what needs them can be done once the ring is open again.
    pub fn is_locked(&self) -> bool {
        self.is_locked
    }

    /// Opens an envelope that one of these keys made for `name`.
    pub fn open(
        &self,
        name: &str,
        envelope: &Envelope,
    ) -> Result<(ValueKind, zeroize::Zeroizing<Vec<u8>>), Unopened> {
        self.opening(name, envelope.kid())?.open(envelope).map_err(|_| Unopened::Forged)
    }

    /// The key that opens what the key called `kid` sealed for `name`.
    fn opening(&self, name: &str, kid: Kid) -> Result<FieldKey, Unopened> {
        if self.is_locked {
            return Err(Unopened::Unavailable);
        }
        let (kid, state, key) = self.find(kid).ok_or(Unopened::Foreign)?;
        if *state == KeyState::Disabled {
            return Err(Unopened::Destroyed);
        }
        Ok(FieldKey::opening(key, *kid, &self.tenant, name))
    }

    /// Appends the envelope of a value, sealed with the newest key.
    pub fn seal(
        &self,
        name: &str,
        (kind, plain): (ValueKind, &[u8]),
        entropy: &dyn Entropy,
        out: &mut Vec<u8>,
    ) -> Result<(), Unsealed> {
        if self.is_locked {
            return Err(Unsealed::Unavailable);
        }
        let (kid, key) = self.newest().ok_or(Unsealed::NoKey)?;
        let mut random = [0; 16];
        entropy.fill(&mut random).map_err(|_| Unsealed::Unavailable)?;
        let key = FieldKey::sealing(key, kid, &self.tenant, name);
        key.seal(kind, plain, &random, out).map_err(|_| Unsealed::NoKey)
    }

    /// The id of the key that seals, if any does.
    pub fn sealing(&self) -> Option<Kid> {
        self.newest().map(|(kid, _)| kid)
    }

    fn newest(&self) -> Option<(Kid, &SubjectKey)> {
        let mut newest_first = self.generations.iter().rev();
        let found = newest_first.find(|(_, state, _)| *state == KeyState::Active)?;
        Some((found.0, &found.2))
    }

    /// Whether one of them has this id, or may have it.
    pub fn knows(&self, kid: Kid) -> bool {
        self.is_locked || self.find(kid).is_some()
    }

    fn find(&self, kid: Kid) -> Option<&(Kid, KeyState, SubjectKey)> {
        self.generations.iter().find(|(known, _, _)| *known == kid)
    }
}

/// What opens and seals the values of one record of a data set.
#[expect(missing_debug_implementations, reason = "it holds keys")]
pub struct RecordSeals<'a> {
    ring: &'a KeyRing,
    set: &'a DataSet,
    /// By the place of the subject in the data set; nothing where a person has no key.
    keys: &'a [Option<Arc<SubjectKeys>>],
    /// The keys of fields that were opened: a record may hold many values of one.
    derived: RefCell<Vec<(FieldIx, Kid, FieldKey)>>,
}

impl<'a> RecordSeals<'a> {
    /// `keys`: of the record's people, in the order of the data set's subjects.
    pub fn new(ring: &'a KeyRing, set: &'a DataSet, keys: &'a [Option<Arc<SubjectKeys>>]) -> Self {
        Self { ring, set, keys, derived: RefCell::default() }
    }

    fn sealing(&self, field: FieldIx) -> Option<&'a Sealing> {
        self.set.sealing(field).map(Arc::as_ref)
    }

    fn owner(&self, field: FieldIx) -> Option<&'a SubjectKeys> {
        self.keys.get(self.set.owner(field)?)?.as_deref()
    }
}

impl Seals for RecordSeals<'_> {
    fn open(&self, field: FieldIx, sealed: &str, out: &mut Vec<u8>) -> Result<ValueKind, Unopened> {
        let sealing = self.sealing(field).ok_or(Unopened::Plaintext)?;
        let envelope = match Envelope::parse(sealed) {
            Ok(envelope) => envelope,
            Err(EnvelopeFault::Plain) => return Err(Unopened::Plaintext),
            Err(_) => return Err(Unopened::Malformed),
        };
        if !self.ring.is_usable() {
            return Err(Unopened::Unavailable);
        }
        let keys = self.owner(field).ok_or(Unopened::Destroyed)?;
        let kid = envelope.kid();
        let mut derived = self.derived.borrow_mut();
        let known = derived.iter().position(|(of, by, _)| (*of, *by) == (field, kid));
        let at = match known {
            Some(at) => at,
            None => {
                if derived.is_empty() {
                    // At once: a vector that grows leaves the keys behind in its old place.
                    let fields = self.set.fields.iter().filter(|field| field.at_rest.is_some());
                    derived.reserve_exact(fields.count());
                }
                derived.push((field, kid, keys.opening(&sealing.name, kid)?));
                derived.len() - 1
            }
        };
        let (_, _, key) = derived.get(at).ok_or(Unopened::Unavailable)?;
        let start = out.len();
        let kind = key.open_into(&envelope, out).map_err(|_| Unopened::Forged)?;
        // Text was valid when it was sealed, and nothing else opens.
        if std::str::from_utf8(out.get(start..).unwrap_or_default()).is_err() {
            out.truncate(start);
            return Err(Unopened::Forged);
        }
        Ok(kind)
    }

    fn seal(
        &self,
        field: FieldIx,
        kind: ValueKind,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Unsealed> {
        let sealing = self.sealing(field).ok_or(Unsealed::NoKey)?;
        if !self.ring.is_usable() {
            return Err(Unsealed::Unavailable);
        }
        let keys = self.owner(field).ok_or(Unsealed::NoKey)?;
        keys.seal(&sealing.name, (kind, plain), self.ring.entropy(), out)
    }

    fn index(&self, field: FieldIx, plain: &str, out: &mut Vec<u8>) -> Result<(), Unsealed> {
        let sealing = self.sealing(field).ok_or(Unsealed::NoKey)?;
        if let Some(index) = &sealing.index {
            self.ring.blind_index(&sealing.name, index, plain, out)?;
        }
        Ok(())
    }
}

impl KeyRing {
    /// Appends the blind index of a value, which needs nobody's key: it is the same for everybody.
    pub fn blind_index(
        &self,
        name: &str,
        index: &BlindIndex,
        plain: &str,
        out: &mut Vec<u8>,
    ) -> Result<(), Unsealed> {
        let values = self.values().map_err(|_| Unsealed::Unavailable)?;
        let BlindIndex { form, bytes, .. } = index;
        blind_index(&values.index, (self.tenant(), name), (*form, *bytes), plain, out);
        Ok(())
    }
}
