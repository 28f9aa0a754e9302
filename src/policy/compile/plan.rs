//! Views by field, with what is asked of them again and again.

use std::sync::Arc;

use crate::catalog::DataSet;
use crate::policy::View;
use crate::types::Faults;
use crate::types::Flags;

/// What plans need to know of a data set.
#[derive(Debug)]
pub(in crate::policy) struct SetFacts {
    /// The data set.
    pub(in crate::policy) set: Arc<DataSet>,
    /// By field: whether it is about a person.
    pub(in crate::policy) personal: Box<[bool]>,
    /// By field: the subjects it is about, as bits.
    pub(in crate::policy) about: Box<[u64]>,
}

impl SetFacts {
    /// Works them out.
    pub(super) fn new(set: &Arc<DataSet>, faults: &mut Faults) -> Self {
        if set.subjects.len() > MAX_SUBJECTS {
            let what = format!("`{}` has more than {MAX_SUBJECTS} subjects", set.id);
            faults.error(&set.place, what, "");
        }
        let personal = set.fields.iter().map(|field| field.flags.meets(Flags::PERSONAL)).collect();
        let about = set.indexed().map(|(ix, _)| {
            let owners = set.subjects.iter().enumerate().take(MAX_SUBJECTS);
            let owners = owners.filter(|(_, s)| s.owns.as_ref().is_none_or(|o| o.contains(&ix)));
            match owners.fold(0, |bits, (at, _)| bits | 1 << at) {
                // A field that no subject lists is about all of them.
                0 => u64::MAX,
                bits => bits,
            }
        });
        Self { set: Arc::clone(set), personal, about: about.collect() }
    }

    /// Whether a personal field is shown in clear.
    pub(in crate::policy) fn in_clear(&self, views: &[View]) -> bool {
        views.iter().zip(&*self.personal).any(|(view, personal)| *personal && *view == View::Show)
    }
}

/// One view a field.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Plan {
    /// By field.
    pub(in crate::policy) views: Box<[View]>,
    /// Whether a personal field is shown in clear.
    pub(in crate::policy) in_clear: bool,
    /// Whether anything is revealed.
    pub(in crate::policy) reveals: bool,
}

impl Plan {
    /// The plan of these views.
    pub(in crate::policy) fn new(views: Box<[View]>, facts: &SetFacts) -> Self {
        let in_clear = facts.in_clear(&views);
        let reveals = views.iter().any(|view| view.reveals());
        Self { views, in_clear, reveals }
    }
}

/// One bit a subject.
const MAX_SUBJECTS: usize = 64;
