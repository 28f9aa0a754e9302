//! Selecting by sealed fields: the store is asked for the blind index of a value, and what it
//! answers is held against the value itself.

use std::sync::Arc;

use zeroize::Zeroizing;

use crate::catalog::DataSet;
use crate::catalog::FieldIx;
use crate::catalog::Route;
use crate::catalog::SealMode;
use crate::crypto::NormalForm;
use crate::keys::KeyRing;
use crate::protocol::http::Target;
use crate::transform::Batch;
use crate::transform::Misses;
use crate::transform::Raw;
use crate::transform::Seals;
use crate::transform::Unopened;

use super::error::CallError;

/// A value of a sealed field that a call selects by.
#[derive(Clone)]
pub(crate) struct Sought {
    field: FieldIx,
    mode: SealMode,
    form: NormalForm,
    /// The value in that form.
    normal: Arc<Zeroizing<String>>,
    /// The parameter as the caller wrote it.
    given: (Box<str>, Arc<Zeroizing<String>>),
    /// The parameter as the store reads it.
    sent: (Box<str>, Box<str>),
}

/// What of `target` selects by sealed fields of `set`.
///
/// # Errors
/// When a value comes to nothing in the form in which the field is compared, when one field is
/// sought twice, or when the keys cannot be used.
pub(crate) fn sought(
    ring: &KeyRing,
    (set, route): (&DataSet, &Route),
    target: &Target,
) -> Result<Vec<Sought>, CallError> {
    let mut all: Vec<Sought> = Vec::new();
    for (name, value) in target.query() {
        let Some(field) = route.finds_by(name) else { continue };
        let Some(sealing) = set.sealing(field) else { continue };
        // `check` refuses to select by a sealed field that has no index.
        let index = sealing.index.as_ref().ok_or(CallError::Route)?;
        let normal = index.form.of(value);
        if normal.is_empty() || all.iter().any(|other| *other.sent.0 == *index.member) {
            return Err(CallError::Filter);
        }
        let mut text = Vec::new();
        ring.blind_index(&sealing.name, index, value, &mut text).map_err(|_| CallError::Locked)?;
        let text = String::from_utf8(text).map_err(|_| CallError::Filter)?;
        let value = Arc::new(Zeroizing::new(value.clone()));
        all.push(Sought {
            field,
            mode: sealing.mode,
            form: index.form,
            normal: Arc::new(normal),
            given: (name.as_str().into(), value),
            sent: (index.member.clone(), text.into()),
        });
    }
    Ok(all)
}

/// The target as the store is asked for it: no value of a sealed field is told to a store.
pub(crate) fn target(target: &Target, sought: &[Sought]) -> Target {
    if sought.is_empty() {
        return target.clone();
    }
    let sent = |(name, value): &(String, String)| {
        let found = sought.iter().find(|sought| *sought.given.0 == **name);
        match found {
            Some(Sought { sent: (name, value), .. }) => {
                (String::from(&**name), String::from(&**value))
            }
            None => (name.clone(), value.clone()),
        }
    };
    target.with_query(target.query().iter().map(sent).collect())
}

/// A target as the store writes it, in the words of the caller.
pub(crate) fn told(target: &Target, sought: &[Sought]) -> Target {
    if sought.is_empty() {
        return target.clone();
    }
    let given = |(name, value): &(String, String)| {
        let is_sent = |sought: &&Sought| (&*sought.sent.0, &*sought.sent.1) == (name, value);
        match sought.iter().find(is_sent) {
            Some(Sought { given: (name, value), .. }) => {
                (String::from(&**name), String::from(value.as_str()))
            }
            None => (name.clone(), value.clone()),
        }
    };
    target.with_query(target.query().iter().map(given).collect())
}

/// Whether a record is one of those that were sought. Indexes are cut short, so those of two values
/// may be the same, and what a store says of a record is no proof.
pub(crate) fn is_sought(
    sought: &[Sought],
    (batch, record): (&Batch, usize),
    seals: &dyn Seals,
    misses: &mut Misses,
) -> bool {
    let mut opened = Zeroizing::new(Vec::new());
    sought.iter().all(|sought| {
        opened.clear();
        let stored = batch.raw(record, sought.field);
        let result = match &stored {
            Raw::Text(text) => seals.open(sought.field, text, &mut opened),
            Raw::Number(_) => Err(Unopened::Plaintext),
            _ => return false,
        };
        let plain = match (result, &stored) {
            (Ok(_), _) => std::str::from_utf8(&opened).ok(),
            (Err(why), stored) => {
                misses.add(sought.field, why);
                let is_shown = why == Unopened::Plaintext && sought.mode == SealMode::Migrating;
                match stored {
                    Raw::Text(text) if is_shown => Some(text.as_ref()),
                    Raw::Number(text) if is_shown => Some(*text),
                    _ => None,
                }
            }
        };
        plain.is_some_and(|plain| *sought.form.of(plain) == **sought.normal)
    })
}
