//! What the policy would have changed, where it was only observed.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;
use serde::Serialize;

use super::Shown;
use super::Verdict;
use super::words;

/// What enforcing the policy would have changed of a call, in an entry about a data set in which it
/// was only observed. The entry of the release says no more than `would` and why: the rest is known
/// at the end.
///
/// INVARIANT: the fields stand in the order of their names, as in [`Entry`](super::Entry). They hold
/// words of the policy and numbers.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Observed {
    /// The fields that would have been shown otherwise, by path and view.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<ObservedField>,
    /// How many records would have been left out: by the limit's id or the word for the reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<Arc<str>, u32>,
    /// What was missing to the call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<Cow<'static, str>>,
    /// Why the call would have been refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Cow<'static, str>>,
    /// Records that nobody could be named for: possible accesses to anybody's data.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unattributed: u32,
    /// Records with members that the policy does not list.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unlisted: u32,
    /// What would have been decided about the caller.
    #[serde(with = "words::one")]
    pub would: Verdict,
}

/// A field that would have been shown otherwise than as it is.
#[derive(Clone, Debug, Deserialize, Eq, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ObservedField {
    /// Its path, as the policy writes it.
    pub field: Arc<str>,
    /// In how many records.
    pub records: u32,
    /// The form it would have been shown in.
    #[serde(with = "words::one")]
    pub view: Shown,
}

impl Observed {
    /// Nothing would have been changed of a call that would have been permitted.
    pub fn permit() -> Self {
        Self {
            fields: Vec::new(),
            left_out: BTreeMap::new(),
            missing: Vec::new(),
            reason: None,
            unattributed: 0,
            unlisted: 0,
            would: Verdict::Permit,
        }
    }

    /// Whether enforcing the policy would have changed what the caller got.
    pub fn changes(&self) -> bool {
        self.would == Verdict::Refuse
            || !self.left_out.is_empty()
            || !self.fields.is_empty()
            || self.unlisted > 0
    }

    /// The same without what is only known at the end.
    #[must_use]
    pub fn at_first(&self) -> Self {
        let Self { missing, reason, would, .. } = self.clone();
        Self { missing, reason, would, ..Self::permit() }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference to the field")]
fn is_zero(count: &u32) -> bool {
    *count == 0
}

/// More fields than this are summed up in one entry: it is of bounded length.
pub const MAX_OBSERVED_FIELDS: usize = 200;
