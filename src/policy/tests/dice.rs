//! Random policies, callers and records out of a string of bytes, so that a shorter string or
//! smaller bytes make a simpler case.

use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Write;

use super::NOW;
use crate::policy::Clearance;
use crate::policy::ClearanceKind;
use crate::policy::Identity;
use crate::types::Consent;
use crate::types::ConsentForm;
use crate::types::DomainId;
use crate::types::OwnCard;
use crate::types::PurposeId;
use crate::types::RecipientId;
use crate::types::Reference;
use crate::types::Region;
use crate::types::Representative;
use crate::types::RepresentativeKind;
use crate::types::RoleId;
use crate::types::RuleId;
use crate::types::Statuses;
use crate::types::SubjectId;
use crate::types::SubjectStatus;
use crate::types::Timestamp;

/// Choices out of bytes; when they run out, always the first.
pub(super) struct Dice<'a>(pub(super) std::slice::Iter<'a, u8>);

impl Dice<'_> {
    pub(super) fn below(&mut self, sides: usize) -> usize {
        usize::from(self.0.next().copied().unwrap_or(0)) % sides
    }

    fn one<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        &of[self.below(of.len())]
    }

    /// Yes once in `sides` throws.
    fn once_in(&mut self, sides: usize) -> bool {
        self.below(sides) == sides - 1
    }

    /// Some of a list, at least one.
    fn some(&mut self, of: &[&'static str]) -> Vec<&'static str> {
        let first = self.below(of.len());
        let mut chosen = vec![of[first]];
        for word in of {
            if self.once_in(3) && !chosen.contains(word) {
                chosen.push(word);
            }
        }
        chosen
    }
}

/// The words and data of random policies.
const WORDS: &str = r#"privet: policy/v1
purposes:
  p: { basis: contract, opt_out: p }
  q: { basis: { default: legitimate_interest, CN: consent, GB: contract }, consent: q, separate: [CN], opt_out: q }
  r: { basis: consent, consent: r, separate: true }
roles: { a: { claim: roles, has: a }, b: { claim: roles, has: b }, c: { claim: groups, has: c }, me: { is_subject: true }, ward: { is_subject: true, or_representative: [guardian] }, kin: { is_subject: true, or_representative: [next_of_kin, agent] } }
views: { tail: { mask: { keep_last: 2 } }, head: { mask: { keep_first: 1 } }, token: { pseudonymize: { scope: purpose } }, mail: { pseudonymize: { scope: purpose, shape: email } }, card: { pseudonymize: { scope: purpose, shape: card, keep_last: 4 } }, days: { pseudonymize: { scope: purpose, shape: date } }, year: { generalize: { date: year } }, month: { generalize: { date: month } } }
recipients:
  home: { kind: controller, country: DE, agreement: { ref: a } }
  mailer: { kind: processor, country: US, agreement: { ref: a, until: 2026-11-22 }, mechanisms: [ { kind: scc, for: [EEA, GB], until: 2027-01-01 }, { kind: cn_standard_contract, for: [CN], until: 2026-11-21 } ] }
  sub: { kind: sub_processor, parent: mailer, country: US, agreement: { ref: a } }
  lapsed: { kind: processor, country: US, agreement: { ref: a, until: 2026-11-21 }, mechanisms: [ { kind: scc, for: [EEA] } ] }
  branch: { kind: sub_processor, parent: lapsed, country: CN, agreement: { ref: a } }
data:
  s.people:
    subject: { field: id, domain: person }
    region: country
    fields: { id: { category: user.unique_id }, name: { category: user.name }, team: { category: system.operations }, secret: { category: user.health_and_medical }, country: { category: user.contact.address.country, level: general }, address: { category: user.contact.address, children: { street: {}, city: { category: user.contact.address.city } } } }
  s.letters:
    subject: [ { field: from, domain: person, fields: [from, sender] }, { field: to, domain: person, fields: [to, receiver] } ]
    fields: { from: { category: user.unique_id }, sender: { category: user.name }, to: { category: user.unique_id }, receiver: { category: user.name }, team: { category: system.operations }, sent: { category: system.operations } }
  s.machines:
    subject: none
    fields: { name: { category: system.operations }, team: { category: system.operations } }
"#;

pub(super) const SETS: [&str; 3] = ["s.people", "s.letters", "s.machines"];
pub(super) const PURPOSES: [&str; 3] = ["p", "q", "r"];
/// `me` twice: what depends on the record goes wrong more easily.
const ROLES: [&str; 7] = ["a", "me", "b", "c", "me", "ward", "kin"];
const VIEWS: [&str; 10] = [
    "show",
    "drop",
    "tail",
    "head",
    "token",
    "mail",
    "card",
    "year",
    "ciphertext",
    "{ generalize: { date: month } }",
];
const FLOORS: [&str; 6] = ["drop", "tail", "token", "card", "days", "year"];
const CATEGORIES: [&str; 5] =
    ["user", "user.contact", "user.contact.address.city", "user.health_and_medical", "system"];
const REGIONS: [&str; 4] = ["CN", "GB", "DE", "EEA"];
const RECIPIENTS: [&str; 5] = ["home", "mailer", "sub", "lapsed", "branch"];
const STATUSES: [&str; 4] = ["restricted", "held", "minor", "active"];

/// A policy as written: its words, then grants, then limits.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) grants: Vec<String>,
    pub(super) limits: Vec<String>,
}

impl Policy {
    pub(super) fn roll(dice: &mut Dice<'_>) -> Self {
        let grants = (0..1 + dice.below(5)).map(|at| grant(dice, at)).collect();
        let limits = (0..dice.below(5)).map(|at| limit(dice, at)).collect();
        Self { grants, limits }
    }

    /// The text, without the grant and the limit that are named.
    pub(super) fn text(&self, grant: Option<usize>, limit: Option<usize>) -> String {
        let part = |name: &str, lines: &[String], without: Option<usize>| {
            let kept = lines.iter().enumerate().filter(|(at, _)| Some(*at) != without);
            let kept: Vec<&str> = kept.map(|(_, line)| line.as_str()).collect();
            match kept.is_empty() {
                true => String::new(),
                false => format!("{name}:\n{}", kept.concat()),
            }
        };
        let mut text = WORDS.to_owned();
        text.push_str(&part("grants", &self.grants, grant));
        text.push_str(&part("limits", &self.limits, limit));
        if let Some(gone) = grant {
            // The others may not override what is not there.
            text = text.replace(&format!("g{gone}, "), "").replace(&format!("g{gone}]"), "]");
        }
        text
    }
}

fn grant(dice: &mut Dice<'_>, at: usize) -> String {
    let sets = dice.some(&SETS);
    let mut text = format!(
        "  - {{ id: g{at}, roles: [{}], purposes: [{}], data: [{}]",
        dice.some(&ROLES).join(", "),
        dice.some(&PURPOSES).join(", "),
        sets.join(", ")
    );
    text.push_str(&may(dice, &sets));
    match dice.below(3) {
        0 => {
            let levels = dice.some(&["general", "sensitive", "critical"]);
            let levels: Vec<String> =
                levels.iter().map(|level| format!("{level}: {}", dice.one(&VIEWS))).collect();
            write!(text, ", levels: {{ {} }}", levels.join(", ")).unwrap();
        }
        1 => {
            let lines = dice.some(&CATEGORIES);
            let lines: Vec<String> =
                lines.iter().map(|category| format!("{category}: {}", dice.one(&VIEWS))).collect();
            write!(text, ", categories: {{ {} }}", lines.join(", ")).unwrap();
        }
        _ => {
            let mut fields = vec!["team"];
            if sets.contains(&"s.people") {
                fields.extend(["id", "name", "secret", "address.city", "country"]);
            }
            if sets.contains(&"s.letters") {
                fields.extend(["from", "sender", "to", "receiver", "sent"]);
            }
            let mut lines: Vec<String> = dice
                .some(&fields)
                .iter()
                .map(|field| format!("{field}: {}", dice.one(&VIEWS)))
                .collect();
            if sets.contains(&"s.people") {
                let view = dice.one(&["show", "drop", "{ generalize: { address: city } }", "tail"]);
                lines.push(format!("address: {view}"));
            }
            write!(text, ", fields: {{ {} }}", lines.join(", ")).unwrap();
        }
    }
    if dice.once_in(3) {
        text.push_str(", rows: { team: caller.team }");
    }
    if dice.once_in(4) {
        text.push_str(", needs: { mfa_within: 15 minutes }");
    } else if dice.once_in(4) {
        text.push_str(", needs: { ticket: true }");
    } else if dice.once_in(3) {
        let needs = [
            "approval: { by: a, for: 1 hour }",
            "break_glass: { for: 30 minutes, review_by: a, review_within: 3 days }",
        ];
        write!(text, ", needs: {{ {} }}", dice.one(&needs)).unwrap();
    }
    if dice.once_in(5) {
        let valid = ["{ from: 2026-11-22 }", "{ until: 2026-11-22 }", "{ until: 2026-11-21 }"];
        write!(text, ", valid: {}", dice.one(&valid)).unwrap();
    }
    let earlier: Vec<String> = (0..at).map(|at| format!("g{at}")).collect();
    writeln!(text, ", overrides: [{}] }}", earlier.join(", ")).unwrap();
    text
}

/// What a grant may do, and what it may set. Mostly read: what else there is must not get in its
/// way.
fn may(dice: &mut Dice<'_>, sets: &[&'static str]) -> String {
    if !dice.once_in(2) {
        return ", can: [read]".into();
    }
    let can = dice.some(&["read", "create", "update", "delete"]);
    let mut text = format!(", can: [{}]", can.join(", "));
    if can.contains(&"create") || can.contains(&"update") {
        let mut fields = Vec::new();
        for (set, own) in [
            (
                "s.people",
                vec!["id", "name", "address", "address.city", "secret", "country", "team"],
            ),
            ("s.letters", vec!["from", "sender", "to", "receiver", "sent", "team"]),
            ("s.machines", vec!["name", "team"]),
        ] {
            if sets.contains(&set) {
                fields.extend(own);
            }
        }
        let mut fields = dice.some(&fields);
        fields.sort_unstable();
        fields.dedup();
        write!(text, ", writes: [{}]", fields.join(", ")).unwrap();
    }
    text
}

fn limit(dice: &mut Dice<'_>, at: usize) -> String {
    let mut text = format!("  - {{ id: l{at}");
    if dice.once_in(3) {
        write!(text, ", roles: [{}]", dice.some(&ROLES).join(", ")).unwrap();
    }
    if dice.once_in(4) {
        write!(text, ", purposes: [{}]", dice.some(&PURPOSES).join(", ")).unwrap();
    }
    let mut condition = facts(dice, 5);
    if dice.once_in(3) {
        condition.push("flags: [personal]".into());
    }
    if dice.once_in(4) {
        let levels = dice.some(&["general", "sensitive", "critical"]);
        condition.push(format!("levels: [{}]", levels.join(", ")));
    }
    write!(text, ", if: {{ {} }}", condition.join(", ")).unwrap();
    if dice.once_in(2) {
        let mut unless = facts(dice, 6);
        if dice.once_in(3) {
            unless.push("transfer: true".into());
        }
        if dice.once_in(2) {
            unless.push(format!("roles: [{}]", dice.some(&ROLES).join(", ")));
        }
        if unless.is_empty() {
            unless.push(format!("purposes: [{}]", dice.some(&PURPOSES).join(", ")));
        }
        write!(text, ", unless: {{ {} }}", unless.join(", ")).unwrap();
    }
    let then = match dice.below(4) {
        0 => "leave_out",
        1 => "deny",
        _ => dice.one(&FLOORS),
    };
    writeln!(text, ", then: {then} }}").unwrap();
    text
}

fn facts(dice: &mut Dice<'_>, rare: usize) -> Vec<String> {
    let mut facts = Vec::new();
    if dice.once_in(rare) {
        facts.push(format!("subject_status: [{}]", dice.some(&STATUSES).join(", ")));
    }
    if dice.once_in(rare) {
        facts.push("opted_out: true".into());
    }
    for key in ["record_region", "caller_region", "caller_region_not"] {
        if dice.once_in(rare) {
            facts.push(format!("{key}: [{}]", dice.some(&REGIONS).join(", ")));
        }
    }
    for key in ["recipient", "recipient_not"] {
        if dice.once_in(3 * rare) {
            facts.push(format!("{key}: [{}]", dice.some(&RECIPIENTS).join(", ")));
        }
    }
    if dice.once_in(3 * rare) {
        let kinds = ["controller", "processor", "sub_processor"];
        facts.push(format!("recipient_kind: [{}]", dice.some(&kinds).join(", ")));
    }
    facts
}

pub(super) fn caller(dice: &mut Dice<'_>) -> Identity {
    let mut claims: BTreeMap<Box<str>, Vec<Box<str>>> = BTreeMap::new();
    for (claim, role) in [("roles", "a"), ("roles", "b"), ("groups", "c")] {
        if !dice.once_in(2) {
            claims.entry(claim.into()).or_default().push(role.into());
        }
    }
    for team in ["x", "y"] {
        if dice.once_in(2) {
            claims.entry("team".into()).or_default().push(team.into());
        }
    }
    let cleared = (0..dice.below(6)).map(|_| clearance(dice)).collect();
    let subject = ["ana", "bob", ""][dice.below(3)];
    let domain = DomainId::parse(["person", "employee"][usize::from(dice.once_in(6))]).unwrap();
    Identity {
        owner: "someone".into(),
        claims,
        purposes: None,
        names_purposes: false,
        cleared,
        region: region(dice),
        recipient: recipient(dice),
        mfa_at: [None, Some(NOW), Some(Timestamp::from_unix_s(0))][dice.below(3)],
        ticket: dice.once_in(2),
        subject: SubjectId::parse(subject).ok().map(|id| (domain, id)),
        expires: NOW.plus_ms(1),
    }
}

/// Mostly one that counts, or nearly.
fn clearance(dice: &mut Dice<'_>) -> Clearance {
    let minute = 60_000;
    let from = [0, 29, 30, 59, 60].map(|ago| NOW.unix_ms() - ago * minute)[dice.below(5)];
    let from = if dice.once_in(8) { from + 60 * minute } else { from };
    let until = [NOW.plus_ms(1), NOW, NOW.plus_ms(90 * minute)][dice.below(3)];
    Clearance {
        id: "a".into(),
        kind: [ClearanceKind::Approval, ClearanceKind::BreakGlass][dice.below(2)],
        grant: RuleId::parse(&format!("g{}", dice.below(5))).unwrap(),
        purpose: [None, None, Some("p")][dice.below(3)].map(|it| PurposeId::parse(it).unwrap()),
        role: RoleId::parse(["a", "b"][usize::from(dice.once_in(6))]).unwrap(),
        from: Timestamp::from_unix_ms(from),
        until,
    }
}

/// What cards call a person of the domain `person`.
pub(super) fn reference(id: &str) -> Reference {
    Reference([id.as_bytes()[0]; 16])
}

/// What is known of the person a caller is: of one who brings a ticket and no region, death.
pub(super) fn standing(caller: &Identity) -> OwnCard {
    let named = caller.subject.as_ref().filter(|(domain, _)| domain.as_str() == "person");
    let who = named.map(|(_, id)| reference(id.expose()));
    OwnCard { who, is_dead: caller.ticket && caller.region.is_none() }
}

/// A record in the simplest terms.
#[derive(Clone, Debug)]
pub(super) struct Record {
    pub(super) people: Vec<Person>,
    pub(super) region: Option<Region>,
    pub(super) team: Option<&'static str>,
}

/// A person in the simplest terms.
#[derive(Clone, Debug)]
pub(super) struct Person {
    pub(super) id: Option<&'static str>,
    /// `None`: nothing is known.
    pub(super) card: Option<Card>,
}

#[derive(Clone, Debug)]
pub(super) struct Card {
    pub(super) status: Statuses,
    pub(super) consents: BTreeMap<Box<str>, Consent>,
    pub(super) opt_outs: BTreeSet<Box<str>>,
    pub(super) representatives: Vec<Representative>,
}

pub(super) fn record(dice: &mut Dice<'_>) -> Record {
    let people = (0..2).map(|_| person(dice)).collect();
    let team = [Some("x"), Some("y"), None][dice.below(3)];
    Record { people, region: region(dice), team }
}

fn person(dice: &mut Dice<'_>) -> Person {
    let id = [Some("ana"), Some("bob"), Some("ana"), Some("bob"), None][dice.below(5)];
    let mut consents = BTreeMap::new();
    for name in ["q", "r"] {
        match dice.below(4) {
            0 | 1 => {
                let until = [None, Some(NOW.plus_ms(1)), Some(NOW)][dice.below(3)];
                // Mostly alone, so that much is allowed where it must be.
                let form = ConsentForm { separate: !dice.once_in(3), by_guardian: dice.once_in(2) };
                consents.insert(name.into(), Consent::Given { until, form });
            }
            2 => {
                consents.insert(name.into(), Consent::Refused);
            }
            _ => {}
        }
    }
    let opt_outs = ["p", "q"].into_iter().filter(|_| dice.once_in(4)).map(Box::from).collect();
    let statuses = [
        SubjectStatus::Active,
        SubjectStatus::Active,
        SubjectStatus::Restricted,
        SubjectStatus::Held,
        SubjectStatus::Minor,
        SubjectStatus::Objected,
        SubjectStatus::Deceased,
        SubjectStatus::Erased,
    ];
    let mut status = Statuses::from(*dice.one(&statuses));
    if dice.once_in(3) {
        status = status.with(*dice.one(&statuses));
    }
    let mut representatives = Vec::new();
    for who in ["ana", "bob"] {
        if dice.once_in(2) {
            let kind = *dice.one(&RepresentativeKind::ALL);
            let until = if dice.once_in(4) { NOW } else { NOW.plus_ms(1) };
            let who = reference(who);
            representatives.push(Representative { who, kind, until, proof: "".into() });
        }
    }
    let card = (!dice.once_in(8)).then_some(Card { status, consents, opt_outs, representatives });
    Person { id, card }
}

/// Nobody, somebody of the policy, or somebody it does not know.
fn recipient(dice: &mut Dice<'_>) -> Option<RecipientId> {
    let known = ["", "home", "mailer", "sub", "lapsed", "branch", "stranger"];
    RecipientId::parse(known[dice.below(7)]).ok()
}

fn region(dice: &mut Dice<'_>) -> Option<Region> {
    Region::parse(["GB", "CN", "DE", ""][dice.below(4)])
}
