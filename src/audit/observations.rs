//! What enforcing a policy would change, summed up from the entries of calls that were only
//! observed. It holds words of the policy and numbers, never a value.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Entry;
use super::Kind;
use super::Verdict;

/// More rows than this are summed up in no report: somebody's roles or purposes are countless.
const MAX_ROWS: usize = 10_000;

/// The sum of all calls that were only observed.
#[derive(Debug, Default)]
pub struct Observations {
    rows: BTreeMap<Key, Row>,
    /// Calls that found no row any more.
    beyond: u64,
}

/// Whose calls, for what, and where.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd, Serialize)]
pub struct Key {
    /// The data set.
    pub data_set: String,
    /// The roles of the caller.
    pub roles: Vec<String>,
    /// The purpose; nothing where the call named none that is known.
    pub purpose: Option<String>,
    /// What was done.
    pub action: String,
    /// The route.
    pub route: String,
}

/// What enforcing the policy would have done with the calls of one [`Key`].
#[derive(Clone, Debug, Default, Eq, PartialEq, Serialize)]
pub struct Row {
    /// How many there were.
    pub calls: u64,
    /// How many of them it would have changed.
    pub changed: u64,
    /// How many it would have refused, by the reason and what was missing.
    pub refused: BTreeMap<String, u64>,
    /// The rules that came nearest to allowing those, or refused them.
    pub rules: BTreeMap<String, u64>,
    /// How many records it would have left out, by limit or reason.
    pub left_out: BTreeMap<String, u64>,
    /// In how many records it would have shown a field otherwise: by field and view.
    pub fields: BTreeMap<String, BTreeMap<&'static str, u64>>,
    /// Records with members that the policy does not list.
    pub unlisted: u64,
    /// Records nobody could be named for: possible accesses to anybody's data.
    pub unattributed: u64,
}

impl Observations {
    /// Adds the entry of a call's end; others, and those of calls that were enforced, say nothing
    /// here.
    pub fn add(&mut self, entry: &Entry) {
        let Some(observed) = entry.observed.as_ref().filter(|_| entry.kind == Kind::Outcome) else {
            return;
        };
        let key = Key::of(entry);
        if self.rows.len() >= MAX_ROWS && !self.rows.contains_key(&key) {
            self.beyond += 1;
            return;
        }
        let row = self.rows.entry(key).or_default();
        row.calls += 1;
        row.changed += u64::from(observed.changes());
        row.unlisted += u64::from(observed.unlisted);
        row.unattributed += u64::from(observed.unattributed);
        if observed.would == Verdict::Refuse {
            let reason = observed.reason.as_deref().unwrap_or("refused");
            let why = match observed.missing.join(", ") {
                missing if missing.is_empty() => reason.to_owned(),
                missing => format!("{reason} ({missing})"),
            };
            *row.refused.entry(why).or_default() += 1;
            for rule in &entry.rules {
                *row.rules.entry(rule.to_string()).or_default() += 1;
            }
        }
        for (because, records) in &observed.left_out {
            *row.left_out.entry(because.to_string()).or_default() += u64::from(*records);
        }
        for field in &observed.fields {
            let views = row.fields.entry(field.field.to_string()).or_default();
            *views.entry(field.view.as_str()).or_default() += u64::from(field.records);
        }
    }

    /// The rows, in the order of their keys.
    pub fn rows(&self) -> impl Iterator<Item = (&Key, &Row)> {
        self.rows.iter()
    }

    /// How many calls there were, and how many enforcing the policy would have changed.
    pub fn calls(&self) -> (u64, u64) {
        let sums = self
            .rows
            .values()
            .fold((0, 0), |(calls, changed), row| (calls + row.calls, changed + row.changed));
        (sums.0 + self.beyond, sums.1)
    }

    /// What could be added to the policy so that it would change less. Whether it should is for
    /// whoever owns it to say.
    pub fn advice(&self) -> Vec<String> {
        let mut advice: Vec<String> = self.rows().flat_map(|(key, row)| key.advice(row)).collect();
        advice.sort();
        advice.dedup();
        advice
    }
}

impl Key {
    fn of(entry: &Entry) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let mut roles: Vec<String> = entry.roles.iter().map(ToString::to_string).collect();
        roles.sort();
        Self {
            data_set: text(entry.data_set.as_ref().map(|set| set.as_str())),
            roles,
            purpose: entry.purpose.as_ref().map(ToString::to_string),
            action: text(entry.action.map(crate::types::Action::as_str)),
            route: text(entry.route.as_deref()),
        }
    }

    fn advice(&self, row: &Row) -> Vec<String> {
        let Self { data_set, roles, purpose, action, .. } = self;
        let roles = if roles.is_empty() { "no role".to_owned() } else { roles.join(", ") };
        let purpose = purpose.as_deref().unwrap_or("no known purpose");
        let whom = format!("{roles} for {purpose}");
        let mut advice = Vec::new();
        for (why, calls) in &row.refused {
            advice.push(match why.split(' ').next() {
                Some("no_grant") => format!(
                    "{data_set}: {calls} calls of {whom} have no grant to {action}; if they should, \
                     add one, or the role to one that is there"
                ),
                Some("no_purpose" | "unknown_purpose") => format!(
                    "{data_set}: {calls} calls of {roles} name no purpose of the policy; let them send \
                     `Privet-Purpose`, or write `purpose:` on the route"
                ),
                _ => format!("{data_set}: {calls} calls of {whom} would be refused: {why}"),
            });
        }
        for (because, records) in &row.left_out {
            advice.push(format!(
                "{data_set}: {records} records would be left out for {whom}: {because}"
            ));
        }
        for (field, views) in &row.fields {
            for (view, records) in views {
                advice.push(format!(
                    "{data_set}: `{field}` would be {} in {records} records for {whom}; if they need \
                     it as it is, write `{field}: show` in their grant",
                    told(view)
                ));
            }
        }
        if row.unlisted > 0 {
            advice.push(format!(
                "{data_set}: records have fields that the policy does not list, which nobody would be \
                 shown: privet store inbox --data {data_set}"
            ));
        }
        advice
    }
}

/// A view, as what is done.
fn told(view: &str) -> &str {
    match view {
        "drop" => "dropped",
        "generalize" => "made coarser",
        "mask" => "masked",
        "pseudonymize" => "a pseudonym",
        other => other,
    }
}

/// A row with its key, as one line of a report.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// Whose calls.
    #[serde(flatten)]
    pub key: &'a Key,
    /// What would have come of them.
    #[serde(flatten)]
    pub row: &'a Row,
}

/// The rows as lines.
pub fn lines(observations: &Observations) -> Vec<Line<'_>> {
    observations.rows().map(|(key, row)| Line { key, row }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::Observed;
    use crate::audit::ObservedField;
    use crate::audit::Shown;
    use crate::types::DataSetId;
    use crate::types::PurposeId;
    use crate::types::RoleId;

    fn outcome(role: &str, change: impl FnOnce(&mut Observed)) -> Entry {
        let mut entry = Entry::new(Kind::Outcome);
        entry.data_set = DataSetId::parse("shop.customers").ok();
        entry.roles = vec![RoleId::parse(role).unwrap()];
        entry.purpose = PurposeId::parse("care").ok();
        entry.action = Some(crate::types::Action::Read);
        entry.route = Some("/customers".into());
        let mut observed = Observed::permit();
        change(&mut observed);
        entry.observed = Some(Box::new(observed));
        entry
    }

    #[test]
    fn calls_are_summed_up_by_who_called_for_what() {
        let mut sum = Observations::default();
        sum.add(&outcome("support", |_| {}));
        sum.add(&outcome("support", |it| {
            it.fields.push(ObservedField { field: "email".into(), records: 3, view: Shown::Mask });
            it.left_out.insert("restricted".into(), 2);
            it.unlisted = 1;
        }));
        sum.add(&outcome("intern", |it| {
            it.would = Verdict::Refuse;
            it.reason = Some("no_grant".into());
            it.missing.push("role".into());
        }));
        // Neither a release nor a call that was enforced says what would have been.
        sum.add(&Entry { kind: Kind::Release, ..outcome("support", |_| {}) });
        sum.add(&Entry { observed: None, ..outcome("support", |_| {}) });
        assert_eq!(sum.calls(), (3, 2));
        let rows: Vec<_> =
            sum.rows().map(|(key, row)| (key.roles.join(","), row.clone())).collect();
        let [(intern, refused), (support, changed)] = rows.as_slice() else { panic!("{rows:?}") };
        assert_eq!((intern.as_str(), support.as_str()), ("intern", "support"));
        assert_eq!(refused.refused["no_grant (role)"], 1);
        assert_eq!((changed.calls, changed.changed), (2, 1));
        assert_eq!((changed.fields["email"]["mask"], changed.left_out["restricted"]), (3, 2));
        insta::assert_snapshot!(sum.advice().join("\n"), @r"
        shop.customers: 1 calls of intern for care have no grant to read; if they should, add one, or the role to one that is there
        shop.customers: 2 records would be left out for support for care: restricted
        shop.customers: `email` would be masked in 3 records for support for care; if they need it as it is, write `email: show` in their grant
        shop.customers: records have fields that the policy does not list, which nobody would be shown: privet store inbox --data shop.customers
        ");
    }

    #[test]
    fn the_written_form_of_what_was_observed_can_be_read_again() {
        let entry = outcome("support", |it| {
            it.would = Verdict::Refuse;
            it.reason = Some("needs".into());
            it.missing.push("mfa_within".into());
            it.left_out.insert("consent".into(), 1);
            it.fields.push(ObservedField { field: "a.b".into(), records: 1, view: Shown::Drop });
            it.unattributed = 2;
        });
        let bytes = entry.to_bytes().unwrap();
        assert_eq!(Entry::from_bytes(&bytes).unwrap(), entry);
        let first = entry.observed.as_ref().unwrap().at_first();
        assert_eq!((first.fields.len(), first.would), (0, Verdict::Refuse));
    }
}
