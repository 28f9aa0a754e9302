//! Calls and records in words.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::sync::Arc;

use super::NOW;
use super::compile;
use crate::policy::Call;
use crate::policy::CardFacts;
use crate::policy::Clearance;
use crate::policy::ClearanceKind;
use crate::policy::Decision;
use crate::policy::Identity;
use crate::policy::PolicySet;
use crate::policy::RecordFacts;
use crate::policy::RecordSubject;
use crate::policy::Scratch;
use crate::policy::Verdict;
use crate::policy::decide;
use crate::policy::verdict;
use crate::types::Action;
use crate::types::Consent;
use crate::types::DomainId;
use crate::types::FieldPath;
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

/// Words and data that the policies below share.
pub(super) const WORDS: &str = r#"
privet: policy/v1
purposes:
  support: { basis: contract }
  fraud: { basis: legal_obligation }
  stats: { basis: { default: legitimate_interest, CN: consent }, consent: stats, opt_out: stats }
  news: { basis: consent, consent: news }
  double: { basis: contract, consent: news }
  task: { basis: public_task }
  mailing: { basis: contract, use: marketing.communications }
roles:
  agent: { claim: roles, has: agent }
  boss: { claim: roles, has: boss }
  vip: { claim: groups, has: vip }
  me: { is_subject: true }
  ward: { is_subject: true, or_representative: [guardian] }
  kin: { is_subject: true, or_representative: [next_of_kin, agent] }
data:
  shop.people:
    subject: { field: id, domain: person }
    region: country
    routes:
      - { on: "GET /people/{id}", records: "$", purpose: support }
      - { on: "GET /people", records: "$[*]", find_by: { team: team, mail: mail } }
    fields:
      id: { category: user.unique_id }
      mail: { category: user.contact.email }
      born: { category: user.demographic.date_of_birth }
      address: { category: user.contact.address, children: { street: {}, city: {} } }
      health: { category: user.health_and_medical }
      team: { category: system.operations }
      country: { category: user.contact.address.country, level: general }
  shop.letters:
    subject: [ { field: from, domain: person, fields: [from, sender] }, { field: to, domain: person, fields: [to, receiver] } ]
    routes:
      - { on: "GET /letters", records: "$[*]", find_by: { to: to } }
    fields:
      from: { category: user.unique_id }
      sender: { category: user.name }
      to: { category: user.unique_id }
      receiver: { category: user.name }
      sent: { category: system.operations }
  shop.machines:
    subject: none
    routes: [ { on: "GET /machines", records: "$[*]" } ]
    fields: { name: { category: system.operations } }
"#;

/// A call and a record, in words: `agent vip for stats in CN mfa=10 ticket team=x as ana
/// purposes=a,b at=/people/{id} find=mail | ana in CN restricted said=news out=stats team=x`.
pub(super) struct Scene<'a> {
    pub(super) policy: &'a Arc<PolicySet>,
    pub(super) data: &'a str,
}

pub(super) fn check(policy: &str, lines: &[(&str, &str, &str)]) {
    let policy = compile(&format!("{WORDS}{policy}"));
    let scene = Scene { policy: &policy, data: "shop.people" };
    for (call, record, expected) in lines {
        assert_eq!(scene.play(call, record), *expected, "{call} | {record}");
    }
}

impl Scene<'_> {
    pub(super) fn play(&self, call: &str, record: &str) -> String {
        let (caller, call_behalf) = match call.split_once(" over ") {
            Some((caller, behalf)) => (caller, Some(behalf)),
            None => (call, None),
        };
        let behalf = call_behalf.map(identity);
        let set = self.policy.sets().iter().find(|set| set.id.as_str() == self.data).unwrap();
        let word = |key: &str| caller.split(' ').find_map(|word| word.strip_prefix(key));
        let route = word("at=").map_or(&set.routes[0], |template| {
            set.routes.iter().find(|route| route.template == template).unwrap()
        });
        let mut selects: Vec<_> = match word("at=") {
            Some(_) => route.variables().collect(),
            None => Vec::new(),
        };
        selects
            .extend(word("find=").map(|path| set.find(&FieldPath::parse(path).unwrap()).unwrap()));
        let words: Vec<&str> = caller.split(' ').collect();
        let purpose = words.iter().position(|word| *word == "for").map(|at| words[at + 1]);
        let call = Call {
            identity: &identity(caller),
            on_behalf_of: behalf.as_ref(),
            standing: [standing(caller), call_behalf.map(standing).unwrap_or_default()],
            purpose,
            set,
            route,
            action: if words.contains(&"export") { Action::Export } else { Action::Read },
            selects_by: &selects,
            gpc: words.contains(&"gpc"),
            now: NOW,
        };
        let permit = match decide(&call, self.policy) {
            Decision::Permit(permit) => permit,
            Decision::Refuse(refusal) => {
                let rule = refusal.rule.map(|rule| format!(" {rule}")).unwrap_or_default();
                let missing = refusal.missing.join(" ");
                let missing = if missing.is_empty() { missing } else { format!(" [{missing}]") };
                return format!("deny: {}{rule}{missing}", refusal.reason.as_str());
            }
        };
        if record.is_empty() {
            let ids: Vec<&str> = permit.grants().iter().map(|id| id.as_str()).collect();
            return format!("permit: {} for {}", ids.join(" "), permit.purpose());
        }
        with_facts(record, set.subjects.len(), permit.fact_fields().len(), |facts| {
            let mut scratch = Scratch::new();
            match verdict(&permit, facts, &mut scratch) {
                Verdict::LeaveOut { because } => format!("out: {}", because.as_str()),
                Verdict::Release { views, in_clear } => {
                    let shown = set.indexed().zip(views).filter(|(_, view)| view.reveals());
                    let mut shown: Vec<String> =
                        shown.map(|((_, field), view)| format!("{}={view}", field.path)).collect();
                    if in_clear {
                        shown.push("(clear)".into());
                    }
                    shown.join(" ")
                }
            }
        })
    }
}

/// `as ana` may be named by others, and is dead with the word `dead`.
fn standing(words: &str) -> OwnCard {
    let words: Vec<&str> = words.split(' ').collect();
    let id = words.iter().position(|word| *word == "as").map(|at| words[at + 1]);
    OwnCard { who: id.map(reference), is_dead: words.contains(&"dead") }
}

fn reference(id: &str) -> Reference {
    Reference([id.as_bytes()[0]; 16])
}

pub(super) fn identity(words: &str) -> Identity {
    let mut identity = Identity {
        owner: "someone".into(),
        claims: BTreeMap::new(),
        purposes: None,
        names_purposes: true,
        cleared: Arc::default(),
        region: None,
        recipient: None,
        mfa_at: None,
        ticket: false,
        subject: None,
        expires: NOW.plus_ms(1000),
    };
    let words: Vec<&str> = words.split(' ').collect();
    for (at, word) in words.iter().enumerate() {
        let mut claim = |name: &str, value: &str| {
            identity.claims.entry(name.into()).or_default().push(value.into());
        };
        let kind = match word.split_once('=') {
            Some(("approved", _)) => Some(ClearanceKind::Approval),
            Some(("glass", _)) => Some(ClearanceKind::BreakGlass),
            _ => None,
        };
        if let (Some(kind), Some((_, grant))) = (kind, word.split_once('=')) {
            let more = identity.cleared.iter().cloned().chain([clearance(kind, grant)]);
            identity.cleared = more.collect();
        }
        match (*word, word.split_once('=')) {
            ("agent" | "boss", _) => claim("roles", word),
            ("vip", _) => claim("groups", word),
            ("in", _) => identity.region = Region::parse(words[at + 1]),
            ("as", _) => {
                let domain = DomainId::parse("person").unwrap();
                identity.subject = Some((domain, SubjectId::parse(words[at + 1]).unwrap()));
            }
            ("staff", _) => {
                let domain = DomainId::parse("employee").unwrap();
                identity.subject = Some((domain, SubjectId::parse(words[at + 1]).unwrap()));
            }
            ("ticket", _) => identity.ticket = true,
            ("to", _) => identity.recipient = RecipientId::parse(words[at + 1]).ok(),
            ("expired", _) => identity.expires = NOW,
            (_, Some(("team", team))) => claim("team", team),
            (_, Some(("purposes", list))) => {
                identity.purposes = Some(list.split(',').map(Box::from).collect());
            }
            (_, Some(("within", list))) => {
                identity.purposes = Some(list.split(',').map(Box::from).collect());
                identity.names_purposes = false;
            }
            (_, Some(("mfa", minutes))) => {
                let ms: i64 = minutes.parse::<i64>().unwrap() * 60_000;
                let now = i64::try_from(NOW.unix_ms()).unwrap();
                identity.mfa_at = Some(Timestamp::from_unix_ms(u64::try_from(now - ms).unwrap()));
            }
            _ => {}
        }
    }
    identity
}

/// `GRANT`, or `GRANT:ROLE:PURPOSE:FROM:UNTIL` in minutes from now; by `boss` since now for an hour
/// where nothing else is said.
fn clearance(kind: ClearanceKind, words: &str) -> Clearance {
    let words: Vec<&str> = words.split(':').collect();
    let word = |at: usize| words.get(at).copied().filter(|word| !word.is_empty());
    let minutes = |at: usize, usual: i64| {
        let from_now = word(at).map_or(usual, |word| word.parse().unwrap());
        let ms = NOW.unix_ms().checked_add_signed(from_now * 60_000).unwrap();
        Timestamp::from_unix_ms(ms)
    };
    Clearance {
        id: format!("id-{}", words[0]).into(),
        kind,
        grant: RuleId::parse(words[0]).unwrap(),
        purpose: word(2).map(|purpose| PurposeId::parse(purpose).unwrap()),
        role: RoleId::parse(word(1).unwrap_or("boss")).unwrap(),
        from: minutes(3, 0),
        until: minutes(4, 60),
    }
}

/// Several people are separated by `+`; what stands before the first `in`, `said=`, … is the id.
fn with_facts<T>(
    record: &str,
    people: usize,
    fact_fields: usize,
    then: impl FnOnce(&RecordFacts<'_>) -> T,
) -> T {
    let parts: Vec<&str> = record.split(" + ").collect();
    let cards: Vec<_> = parts
        .iter()
        .map(|part| {
            let mut consents = BTreeMap::new();
            let mut opt_outs = BTreeSet::new();
            let mut status = Statuses::ACTIVE;
            for word in part.split(' ') {
                if let Some(name) = word.strip_prefix("said=") {
                    consents.insert(Box::from(name), Consent::given(None));
                }
                if let Some(name) = word.strip_prefix("lapsed=") {
                    consents.insert(Box::from(name), Consent::given(Some(NOW)));
                }
                if let Some(name) = word.strip_prefix("refused=") {
                    consents.insert(Box::from(name), Consent::Refused);
                }
                if let Some(name) = word.strip_prefix("out=") {
                    opt_outs.insert(Box::from(name));
                }
                status = SubjectStatus::parse(word).map_or(status, |it| status.with(it));
            }
            // `guardian=bob` until later, `lapsed-guardian=bob` until now.
            let named = part.split(' ').filter_map(|word| {
                let (kind, id) = word.split_once('=')?;
                let late = kind.strip_prefix("lapsed-");
                let until = if late.is_some() { NOW } else { NOW.plus_ms(1) };
                let kind = RepresentativeKind::parse(late.unwrap_or(kind))?;
                Some(Representative { who: reference(id), kind, until, proof: "".into() })
            });
            (consents, opt_outs, status, named.collect::<Vec<_>>())
        })
        .collect();
    let subjects: Vec<RecordSubject<'_>> = parts
        .iter()
        .zip(&cards)
        .take(people)
        .map(|(part, (consents, opt_outs, status, named))| RecordSubject {
            id: part.split(' ').next().filter(|id| *id != "?"),
            card: (!part.contains("unknown")).then_some(CardFacts {
                status: *status,
                consents,
                opt_outs,
                representatives: named,
            }),
        })
        .collect();
    let words: Vec<&str> = record.split(' ').collect();
    let region = words.iter().position(|word| *word == "in").map(|at| words[at + 1]);
    let team = words.iter().find_map(|word| word.strip_prefix("team="));
    let values = vec![team.map(Cow::Borrowed); fact_fields];
    let region = region.and_then(Region::parse);
    then(&RecordFacts { subjects: &subjects, region, values: &values, now: NOW })
}
