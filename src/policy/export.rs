//! What of a record is passed out of its country by a call.

use crate::catalog::FieldIx;
use crate::types::Flags;
use crate::types::Region;
use crate::types::SubjectToken;
use crate::types::Timestamp;

use super::ExportClass;
use super::ExportClasses;
use super::Permit;
use super::Pseudonym;
use super::RecordFacts;
use super::Threshold;
use super::View;
use super::permit::Side;

/// What is passed on of one person.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Exported {
    /// Whom.
    pub token: SubjectToken,
    /// What.
    pub classes: ExportClasses,
}

impl Permit {
    /// Whether data of a country's people can be passed out of it by this call: when nobody says,
    /// or not with one voice, that caller and recipient are in that country.
    pub fn may_export(&self, home: Region) -> bool {
        self.set.region.is_some() && self.sides().any(|side| side.place != Some(home))
    }

    /// What a record that is shown in these views passes on of the person at a place among the data
    /// set's subjects, out of their country. What a caller is shown about themselves is not passed
    /// on to anybody.
    pub fn exported(
        &self,
        home: Region,
        person: usize,
        facts: &RecordFacts<'_>,
        views: &[View],
    ) -> ExportClasses {
        let is_out = |side: &Side| side.place != Some(home) && !side.is(person, facts);
        if facts.region != Some(home) || !self.sides().any(is_out) {
            return ExportClasses::NONE;
        }
        let Some(set) = self.policy.tables().sets.get(self.set_at) else {
            return ExportClasses::NONE;
        };
        let bit = 1_u64 << person.min(63);
        let fields = self.set.fields.iter().zip(&*set.about).zip(views);
        let told = fields.filter(|((field, about), view)| {
            field.flags.meets(Flags::PERSONAL) && **about & bit != 0 && passes_on(**view)
        });
        told.fold(ExportClasses::NONE, |classes, ((field, _), _)| {
            classes.and(if field.is_sensitive() {
                ExportClass::Sensitive
            } else {
                ExportClass::Other
            })
        })
    }

    /// Whether everybody who takes data out of its country by this call may do so for more people
    /// than a threshold says.
    pub fn may_pass(&self, threshold: &Threshold, now: Timestamp) -> bool {
        let recipients = &self.policy.tables().recipients;
        self.sides().filter(|side| side.place != Some(threshold.home)).all(|side| {
            let to = side.recipient.and_then(|at| recipients.get(at));
            to.is_some_and(|to| to.rests_on(&threshold.mechanisms, threshold.home, now))
        })
    }

    /// The views of a field alone, for what shows nothing else of a record.
    pub fn only(&self, field: FieldIx) -> Vec<View> {
        let show = |(ix, _)| if ix == field { View::Show } else { View::Drop };
        self.set.indexed().map(show).collect()
    }
}

impl Side {
    /// Whether the caller is the person at a place among a record's subjects.
    fn is(&self, person: usize, facts: &RecordFacts<'_>) -> bool {
        let Some((bits, own)) = &self.person else { return false };
        let id = facts.subjects.get(person).and_then(|subject| subject.id);
        person < 64 && bits & (1 << person) != 0 && id == Some(own.expose())
    }
}

/// Whether a view passes on something of a value: all but what stands in for it and nobody can turn
/// back, and what nobody can open.
fn passes_on(view: View) -> bool {
    match view {
        View::Show | View::Generalize(_) | View::Mask(_) => true,
        View::Pseudonymize(pseudonym) => {
            !matches!(pseudonym, Pseudonym::Token { reversible: false } | Pseudonym::Email)
        }
        View::Ciphertext | View::Drop => false,
    }
}
