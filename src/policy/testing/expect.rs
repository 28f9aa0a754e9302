//! What an example expects.

use serde_json::Value;

use crate::types::Faults;
use crate::types::doc::MapReader;

use super::json::json;

/// What is expected of a call; what is `None` is not looked at.
#[derive(Clone, Debug, Default)]
pub(super) struct Expect {
    pub(super) decision: Option<Word>,
    /// Exactly this is shown.
    pub(super) record: Option<Value>,
    /// This is shown among other things.
    pub(super) record_includes: Option<Value>,
    /// These paths are not there.
    pub(super) gone: Option<Vec<String>>,
    /// Exactly these rules made the record look as it does.
    pub(super) by: Option<Vec<String>>,
    /// Exactly these facts would help.
    pub(super) missing: Option<Vec<String>>,
    /// This rule or reason stood against it.
    pub(super) because: Option<String>,
    /// These paths have the same value in every record.
    pub(super) same: Option<Vec<String>>,
    /// These texts are nowhere in what is shown.
    pub(super) never_contains: Option<Vec<String>>,
    /// Exactly these fields may be set; a container stands for all that is below it.
    pub(super) writes: Option<Vec<String>>,
}

/// What was decided.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Word {
    Allow,
    Deny,
    LeaveOut,
}

impl Word {
    const ALL: [Self; 3] = [Self::Allow, Self::Deny, Self::LeaveOut];

    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
            Self::LeaveOut => "leave_out",
        }
    }
}

impl Expect {
    /// Reads the keys of an expectation but `record`, which means another thing in `each`; the map
    /// may hold others.
    pub(super) fn read(map: &mut MapReader<'_>, faults: &mut Faults) -> Self {
        let words = Word::ALL.map(Word::as_str);
        let parse = |text: &str| Word::ALL.into_iter().find(|word| word.as_str() == text);
        let decision =
            map.optional("decision").and_then(|node| node.word("decision", parse, &words, faults));
        let record_includes = map.optional("record_includes").map(json);
        let because = map.optional("because").and_then(|node| node.text(faults)).map(String::from);
        let mut texts = |key| {
            let texts = map.optional(key)?.texts(faults);
            Some(texts.into_iter().map(|(_, text)| String::from(text)).collect())
        };
        Self {
            decision,
            record: None,
            record_includes,
            gone: texts("gone"),
            by: texts("by"),
            missing: texts("missing"),
            because,
            same: texts("same"),
            never_contains: texts("never_contains"),
            writes: texts("writes"),
        }
    }

    /// Whether nothing is expected.
    pub(super) fn is_empty(&self) -> bool {
        let Self { decision, record, record_includes, gone, by, .. } = self;
        let Self { missing, because, same, never_contains, writes, .. } = self;
        decision.is_none()
            && record.is_none()
            && record_includes.is_none()
            && because.is_none()
            && [gone, by, missing, same, never_contains, writes].into_iter().all(Option::is_none)
    }

    /// This, and what `base` expects where this expects nothing.
    pub(super) fn or(self, base: &Self) -> Self {
        let base = base.clone();
        Self {
            decision: self.decision.or(base.decision),
            record: self.record.or(base.record),
            record_includes: self.record_includes.or(base.record_includes),
            gone: self.gone.or(base.gone),
            by: self.by.or(base.by),
            missing: self.missing.or(base.missing),
            because: self.because.or(base.because),
            same: self.same.or(base.same),
            never_contains: self.never_contains.or(base.never_contains),
            writes: self.writes.or(base.writes),
        }
    }
}
