//! Why one role sees one field as it does.

use serde_json::Value;
use serde_json::json;

use crate::catalog::category::is_within;
use crate::policy::PolicySet;
use crate::policy::source::Gives;
use crate::policy::source::Grant;
use crate::types::Action;
use crate::types::Capacities;
use crate::types::ConsentForm;
use crate::types::DataSetId;
use crate::types::FieldPath;
use crate::types::Place;
use crate::types::PurposeId;
use crate::types::RecipientId;
use crate::types::Region;
use crate::types::RepresentativeKind;
use crate::types::RoleId;
use crate::types::Statuses;
use crate::types::Timestamp;

use super::Axes;
use super::Cut;
use super::Effect;
use super::Fact;
use super::Kind;
use super::Language;
use super::Row;
use super::World;
use super::judge::has_consent;
use super::rows;

/// What is asked: why somebody who holds one role alone sees a field as they do.
#[derive(Clone, Debug)]
pub struct Question {
    /// The role.
    pub role: RoleId,
    /// The purpose.
    pub purpose: PurposeId,
    /// The data set.
    pub data: DataSetId,
    /// The field.
    pub field: FieldPath,
    /// What is done.
    pub action: Action,
    /// What is taken as given.
    pub given: Given,
}

/// What is taken as given of the caller and the record. What is not given is not there, and what
/// is unknown closes.
#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact that is there or is not")]
pub struct Given {
    /// Where the caller is.
    pub region: Option<Region>,
    /// Whose law holds for the record.
    pub record_region: Option<Region>,
    /// Whether there is a fresh second factor.
    pub mfa: bool,
    /// Whether there is a signed ticket.
    pub ticket: bool,
    /// Whether what the grants ask to be approved is, or glass was broken for it.
    pub cleared: bool,
    /// Whether the caller sent `Sec-GPC: 1`.
    pub gpc: bool,
    /// Whom data is passed to.
    pub recipient: Option<RecipientId>,
    /// Whether the record is about the caller.
    pub is_subject: bool,
    /// As what the caller may act for the person the record is about.
    pub acts_as: Option<RepresentativeKind>,
    /// Whether its fields equal the claims that `rows` ask for.
    pub rows: bool,
    /// Whether the person agreed to what the purpose asks.
    pub consent: bool,
    /// Whether the person opted out.
    pub opted_out: bool,
    /// What stands against the use of the person's data.
    pub status: Statuses,
    /// When.
    pub now: Timestamp,
}

/// The answer.
#[derive(Debug)]
pub struct Explanation {
    /// The form in which the field is shown, or whether it may be set.
    pub answer: String,
    /// One sentence a rule.
    pub told: Vec<Told>,
}

/// What one rule has to say.
#[derive(Debug)]
pub struct Told {
    /// `grant`, `limit` or `consent`.
    pub kind: &'static str,
    /// The rule's id, or the consent's name.
    pub id: String,
    /// Whether it has an effect here.
    pub counts: bool,
    /// What it does, or why it does not.
    pub sentence: String,
    /// Where it is written.
    pub place: Option<Place>,
}

impl Told {
    /// `file:line`; empty where there is no place.
    pub fn line(&self) -> String {
        let place = self.place.as_ref();
        place.map_or_else(String::new, |at| format!("{}:{}", at.file.name, at.line_column().0))
    }
}

impl Explanation {
    /// The answer in sentences.
    pub fn text(&self) -> String {
        let mut text = format!("{}\n", self.answer);
        for counts in [true, false] {
            for told in self.told.iter().filter(|told| told.counts == counts) {
                let sign = if counts { "+" } else { "-" };
                let line = told.line();
                let at = if line.is_empty() { line } else { format!("  ({line})") };
                text.push_str(&format!("  {sign} {}{at}\n", told.sentence));
            }
        }
        text
    }

    /// The answer for programs.
    pub fn json(&self) -> Value {
        let told = self.told.iter().map(|told| {
            json!({
                "kind": told.kind,
                "id": told.id,
                "counts": told.counts,
                "sentence": told.sentence,
                "at": told.line(),
            })
        });
        json!({ "answer": self.answer, "rules": told.collect::<Vec<_>>() })
    }
}

/// Explains what a policy says to a question.
pub fn explain(policy: &PolicySet, question: &Question) -> Explanation {
    let all = rows(policy);
    let row = all.iter().find(|row| {
        let key = &row.key;
        key.purpose == question.purpose
            && key.data == question.data
            && key.action == question.action
            && matches!(key.kind, Kind::Shown | Kind::Set | Kind::Done)
            && key.field.as_ref().is_none_or(|field| *field == question.field)
            // Of writes the field counts, and where there is none the record.
            && (key.field.is_some() || question.action == Action::Delete)
    });
    let asker = Asker { policy, question, row, world: world(policy, question, row) };
    let mut told: Vec<Told> = asker.grants();
    told.extend(asker.limits());
    told.extend(asker.consent());
    Explanation { answer: asker.answer(), told }
}

/// The world that is given: one in which all that is not said is not there.
fn world(policy: &PolicySet, question: &Question, row: Option<&Row>) -> World {
    let given = &question.given;
    let of = policy.model().roles.iter().find(|role| role.id == question.role);
    let is_subject = of.is_some_and(|role| !role.holds.gives().is_none());
    let acts = given.acts_as.map_or(Capacities::NONE, |kind| Capacities::NONE.with(kind));
    let is_own = given.is_subject || is_subject && acts.is_none();
    let own = if is_own { Capacities::SELF } else { Capacities::NONE };
    let mut world = World {
        stands: acts.or(own),
        mfa_age_s: given.mfa.then_some(0),
        ticket: given.ticket,
        now: given.now,
        status: given.status,
        record_region: given.record_region,
        caller_region: given.region,
        gpc: given.gpc,
        recipient: given.recipient.clone(),
        ..World::default()
    };
    if !is_subject {
        world.roles.insert(question.role.clone());
    }
    let mut axes = Axes::default();
    row.into_iter().for_each(|row| axes.add(row));
    if given.rows {
        world.rows.clone_from(&axes.rows);
    }
    if given.cleared {
        world.cleared_age_s = axes.cleared.keys().map(|key| (key.clone(), 0)).collect();
    }
    if given.consent {
        let form = ConsentForm { separate: true, by_guardian: true };
        world.consents = axes.consents.iter().map(|name| (name.clone(), form)).collect();
    }
    if given.opted_out {
        world.opted_out.clone_from(&axes.opted_out);
    }
    world
}

const WORDS: Language = Language::English;

struct Asker<'a> {
    policy: &'a PolicySet,
    question: &'a Question,
    row: Option<&'a Row>,
    world: World,
}

impl Asker<'_> {
    fn answer(&self) -> String {
        let Question { role, purpose, data, field, action, .. } = self.question;
        let gets = self.row.map_or_else(
            || "nothing: no grant covers this".to_owned(),
            |row| WORDS.form(row.key.kind, row.judge(&self.world)),
        );
        format!("{role} for {purpose}: {action} {data}.{field} → {gets}")
    }

    fn grants(&self) -> Vec<Told> {
        let grants = self.policy.model().grants.iter();
        let set = self.policy.sets().iter().position(|set| set.id == self.question.data);
        let of_data = grants.filter(|grant| set.is_some_and(|at| grant.sets.contains(&at)));
        of_data.map(|grant| self.grant(grant)).collect()
    }

    fn grant(&self, grant: &Grant) -> Told {
        let (counts, what) = match self.misses(grant) {
            Some(why) => (false, format!("does not apply: {why}")),
            None => self.gives(grant),
        };
        Told {
            kind: "grant",
            id: grant.id.to_string(),
            counts,
            sentence: format!("grant `{}` {what}", grant.id),
            place: Some(self.line(grant)),
        }
    }

    /// Why a grant says nothing here.
    fn misses(&self, grant: &Grant) -> Option<String> {
        let model = self.policy.model();
        let named = |list: &[usize], name: &dyn Fn(usize) -> Option<String>| {
            let words: Vec<String> = list.iter().filter_map(|at| name(*at)).collect();
            words.join(", ")
        };
        let purpose = |at: usize| model.purposes.get(at).map(|it| format!("`{}`", it.id));
        let role = |at: usize| model.roles.get(at).map(|it| format!("`{}`", it.id));
        let asked = model.purposes.iter().position(|it| it.id == self.question.purpose);
        if !asked.is_some_and(|at| grant.purposes.contains(&at)) {
            return Some(format!("it is for purpose {}", named(&grant.purposes, &purpose)));
        }
        if !grant.actions.contains(&self.question.action) {
            let can: Vec<&str> = grant.actions.iter().map(|action| action.as_str()).collect();
            return Some(format!("it lets callers {} and no more", can.join(", ")));
        }
        let way = self.row.and_then(|row| row.ways.iter().find(|way| way.grant == grant.id))?;
        if !way.roles.as_ref().is_none_or(|roles| roles.held_in(&self.world)) {
            if way.roles.as_ref().is_some_and(|roles| roles.may_be_held_in(&self.world)) {
                return Some(WORDS.lapsed(self.world.stands).to_owned());
            }
            return Some(format!("it is for role {}", named(&grant.roles, &role)));
        }
        let lacking: Vec<Fact> = way
            .facts
            .iter()
            .filter(|fact| fact.holds(&self.world) != Some(true))
            .cloned()
            .collect();
        (!lacking.is_empty()).then(|| format!("it needs {}", WORDS.all(&lacking)))
    }

    /// What a grant that applies gives, and whether that counts.
    fn gives(&self, grant: &Grant) -> (bool, String) {
        let Some(row) = self.row else { return (false, "does not apply".into()) };
        let Some(way) = row.ways.iter().find(|way| way.grant == grant.id) else {
            return (false, "does not apply".into());
        };
        if row.key.kind != Kind::Shown {
            let lets = if way.lets { "lets it be done" } else { "does not list the field" };
            return (way.lets, lets.into());
        }
        if !way.view.reveals() {
            return (false, "applies, and does not show the field".into());
        }
        let mut ways = row.ways.iter().filter(|other| other.counts(&self.world));
        let best = ways.clone().map(|other| other.view.class()).min();
        let wins = Some(way.view.class()) == best
            && ways.rfind(|it| Some(it.view.class()) == best).is_some_and(|it| it.view == way.view);
        let more = if wins { "" } else { ", and another grant shows more or overrides it" };
        (wins, format!("shows it as {}{more}", WORDS.view(way.view)))
    }

    /// Where a grant speaks of the field, else where it begins.
    fn line(&self, grant: &Grant) -> Place {
        let field = &self.question.field;
        let set = self.policy.sets().iter().find(|set| set.id == self.question.data);
        let of = set.and_then(|set| set.get(set.find(field)?));
        let line = match &grant.gives {
            Gives::Fields(lines) => lines
                .iter()
                .filter(|line| field.is_within(&line.what))
                .max_by_key(|line| line.what.as_str().len())
                .map(|line| &line.place),
            Gives::Categories(lines) => lines
                .iter()
                .filter(|line| of.is_some_and(|field| is_within(&field.category, &line.what)))
                .max_by_key(|line| line.what.as_str().len())
                .map(|line| &line.place),
            Gives::Levels(lines) => lines
                .iter()
                .find(|line| of.is_some_and(|field| field.level == line.what))
                .map(|line| &line.place),
        };
        line.unwrap_or(&grant.place).clone()
    }

    fn limits(&self) -> Vec<Told> {
        let cuts = self.row.map_or(&[][..], |row| &row.cuts);
        let limits = self.policy.model().limits.iter().map(|limit| {
            let cut = cuts.iter().find(|cut| cut.limit == limit.id);
            let (counts, what) = match cut {
                None => (false, "does not speak of this purpose and field".to_owned()),
                Some(cut) => self.cut(cut),
            };
            Told {
                kind: "limit",
                id: limit.id.to_string(),
                counts,
                sentence: format!("limit `{}` {what}", limit.id),
                place: Some(limit.place.clone()),
            }
        });
        let is_written =
            |cut: &&Cut| self.policy.model().limits.iter().any(|limit| limit.id == cut.limit);
        // What holds of every policy, without anybody writing it.
        let unwritten = cuts.iter().filter(|cut| !is_written(cut)).map(|cut| {
            let (counts, what) = self.cut(cut);
            let sentence = format!("the rule `{}`, which needs no limit, {what}", cut.limit);
            Told { kind: "limit", id: cut.limit.to_string(), counts, sentence, place: None }
        });
        limits.chain(unwritten).collect()
    }

    fn cut(&self, cut: &Cut) -> (bool, String) {
        let has_region = self.row.is_some_and(|row| row.has_region);
        let known = |fact: &Fact| match fact {
            Fact::RecordRegion(_) if !has_region => None,
            fact => fact.holds(&self.world),
        };
        let failing: Vec<Fact> =
            cut.when.iter().filter(|fact| known(fact) == Some(false)).cloned().collect();
        if !failing.is_empty() {
            return (false, format!("does not fall: it asks for {}", WORDS.all(&failing)));
        }
        if let Some(unless) = cut.unless.as_ref().filter(|_| !cut.falls(&self.world, has_region)) {
            return (false, format!("is lifted: {}", WORDS.all(unless)));
        }
        let unknown: Vec<Fact> =
            cut.when.iter().filter(|fact| known(fact).is_none()).cloned().collect();
        let because = match unknown.is_empty() {
            true => String::new(),
            false => format!("; nobody knows whether {}, which closes", WORDS.all(&unknown)),
        };
        let counts = !matches!(cut.effect, Effect::Count { .. });
        let falls = if counts { "falls" } else { "counts" };
        (true, format!("{falls}: {}{because}", WORDS.cut(cut)))
    }

    fn consent(&self) -> Option<Told> {
        let row = self.row?;
        let rule = row.consent.as_ref()?;
        let region = self.world.record_region.filter(|_| row.has_region);
        let (counts, what) = match (rule.needed(region), has_consent(rule, region, &self.world)) {
            (false, _) => (false, "is not needed for a record of that country"),
            (true, true) => (false, "is needed, and given"),
            (true, false) => (true, "is needed and not given, so the record is left out"),
        };
        Some(Told {
            kind: "consent",
            id: rule.name.to_string(),
            counts,
            sentence: format!("consent `{}` {what}", rule.name),
            place: self
                .policy
                .model()
                .purposes
                .iter()
                .find(|purpose| purpose.id == self.question.purpose)
                .map(|purpose| purpose.place.clone()),
        })
    }
}
