//! The decision about writing one record.

use crate::types::Action;

use super::Because;
use super::Permit;
use super::RecordFacts;
use super::Scratch;
use super::WriteVerdict;
use super::verdict::Bench;
use super::verdict::Covered;
use super::verdict::Trace;

/// Judges the writing of one record: whether it may be made, changed or removed, and which of its
/// fields may be set. Closed: an unknown fact lets nothing be written. What a grant shows does not
/// matter here: who may write only still may.
///
/// A change of a record about several people is judged once for each, and a field may be set when
/// everybody it is about allows it. A record is made or removed as one, so then everybody must. A
/// call with two credentials is judged once for each of them, and both must allow it.
pub fn write_verdict<'s>(
    permit: &'s Permit,
    facts: &RecordFacts<'_>,
    scratch: &'s mut Scratch,
) -> WriteVerdict<'s> {
    let out = |because| WriteVerdict::LeaveOut { because };
    let bench = Bench::of(permit).filter(|_| !permit.action.shows());
    let Some(bench) = bench else { return out(Because::NoGrant) };
    scratch.trace = [Trace::default(); 2];
    let Scratch { writable, settable, trace, .. } = scratch;
    let fields = bench.set.about.len();
    writable.clear();
    writable.resize(fields, true);
    let people = permit.set.subjects.len();
    let sides = [Some(&permit.side), permit.other.as_ref()];
    for (side, trace) in sides.into_iter().flatten().zip(trace) {
        let (mut covered, mut first_out) = (false, None);
        for person in 0..people.max(1) {
            let about = (people > 0).then_some(person);
            let bit = if people > 1 { 1_u64 << person.min(63) } else { u64::MAX };
            match bench.cover(side, about, facts) {
                Ok(Covered { grants, cuts, acted }) => {
                    covered = true;
                    trace.add(grants, cuts, acted);
                    bench.cell.set(grants, cuts, fields, settable);
                }
                Err(because) => {
                    if permit.action != Action::Update || bench.was_found_by(bit) {
                        return out(because);
                    }
                    first_out.get_or_insert(because);
                    settable.clear();
                }
            }
            for (at, (may, owners)) in writable.iter_mut().zip(&*bench.set.about).enumerate() {
                let given = settable.get(at).copied().unwrap_or(false);
                *may &= owners & bit == 0 || given;
            }
        }
        if !covered {
            return out(first_out.unwrap_or(Because::NoGrant));
        }
    }
    WriteVerdict::Allow { writable }
}
