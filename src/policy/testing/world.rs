//! Every combination of what can be known of a caller and a record.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::crypto::sha256;
use crate::policy::ClearanceKind;
use crate::policy::Identity;
use crate::policy::compile::Cell;
use crate::policy::source::Holds;
use crate::policy::source::Model;
use crate::types::Capacities;
use crate::types::DomainId;
use crate::types::OwnCard;
use crate::types::Reference;
use crate::types::Region;
use crate::types::RepresentativeKind;
use crate::types::Statuses;
use crate::types::SubjectId;
use crate::types::SubjectStatus;
use crate::types::Timestamp;

use super::regions;

/// One caller and one record.
#[derive(Clone, Debug)]
pub(super) struct World {
    pub(super) caller: CallerFacts,
    pub(super) record: OneRecord,
}

/// What is known of a caller.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact that is there or is not")]
pub(super) struct CallerFacts {
    pub(super) mfa: bool,
    pub(super) ticket: bool,
    /// Whether everything that needs it was approved.
    pub(super) approval: bool,
    /// Whether they broke glass wherever they may.
    pub(super) break_glass: bool,
    pub(super) region: Option<Region>,
    /// The recipient it passes data to.
    pub(super) recipient: Option<usize>,
    /// The subject of the record that the caller is.
    pub(super) subject: Option<usize>,
    pub(super) now: Timestamp,
}

/// What is known of a record.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is one fact that is there or is not")]
pub(super) struct OneRecord {
    pub(super) region: Option<Region>,
    pub(super) status: Statuses,
    pub(super) consent: bool,
    pub(super) opted_out: bool,
    /// As what the caller may act for the person it is about.
    pub(super) represented: Option<RepresentativeKind>,
    /// Whether its fields equal the caller's claims.
    pub(super) rows: bool,
}

/// The values each fact can take where they make a difference.
#[derive(Debug)]
pub(super) struct Axes {
    mfa: Vec<bool>,
    ticket: Vec<bool>,
    /// Approvals, and broken glass.
    cleared: Vec<(bool, bool)>,
    caller_regions: Vec<Option<Region>>,
    recipients: Vec<Option<usize>>,
    record_regions: Vec<Option<Region>>,
    statuses: Vec<Statuses>,
    consent: Vec<bool>,
    opted_out: Vec<bool>,
    represented: Vec<Option<RepresentativeKind>>,
    rows: Vec<bool>,
    times: Vec<Timestamp>,
}

impl Axes {
    /// The axes of one cell. A fact that nothing asks for takes the value that opens least. `lists`
    /// are countries that make a difference besides those that the policy names.
    pub(super) fn new(
        model: &Model,
        cell: &Cell,
        (set, purpose): (usize, usize),
        now: Timestamp,
        mut lists: Vec<Vec<Region>>,
    ) -> Self {
        let either = |asked: bool| if asked { vec![false, true] } else { vec![false] };
        let grants = || cell.grants.iter();
        let data = model.sets.get(set);
        let about = data.is_some_and(|set| !set.subjects.is_empty());
        let mut times = BTreeSet::from([now]);
        for grant in grants() {
            times.extend(grant.valid.from);
            times.extend(grant.valid.until.map(before));
        }
        let asks = asks_for_recipients(model);
        for recipient in model.recipients.iter().filter(|_| asks) {
            let ends = recipient.mechanisms.iter().map(|mechanism| mechanism.until);
            times.extend(ends.chain([recipient.agreement.until]).flatten().map(before));
        }
        let mut named = BTreeSet::new();
        let mut represented = vec![None];
        for kind in may_represent(model).kinds() {
            represented.push(Some(kind));
            match kind {
                RepresentativeKind::Guardian => drop(named.insert(SubjectStatus::Minor)),
                RepresentativeKind::NextOfKin => drop(named.insert(SubjectStatus::Deceased)),
                RepresentativeKind::Agent => {}
            }
        }
        for limit in &model.limits {
            let unless = limit.unless.as_ref();
            named.extend(&limit.when.status);
            named.extend(unless.iter().flat_map(|unless| &unless.status));
        }
        let of = model.purposes.get(purpose);
        lists.extend(regions::lists(model, of));
        let regions = regions::representatives(&lists);
        let recipients = (0..model.recipients.len()).filter(|_| asks).map(Some).chain([None]);
        let has_region = data.is_some_and(|set| set.region.is_some());
        let clears = |kind| {
            let mut needs = grants().filter_map(|grant| grant.needs.clearing.as_ref());
            either(needs.any(|clearing| clearing.kind == kind))
        };
        let glass = clears(ClearanceKind::BreakGlass);
        let approved = clears(ClearanceKind::Approval);
        Self {
            cleared: pairs(&approved, &glass).collect(),
            mfa: either(grants().any(|grant| grant.needs.mfa_within_s.is_some())),
            ticket: either(grants().any(|grant| grant.needs.ticket)),
            record_regions: if has_region { regions.clone() } else { vec![None] },
            caller_regions: regions,
            recipients: recipients.collect(),
            statuses: if about { together(&named) } else { vec![Statuses::ACTIVE] },
            consent: either(about && of.is_some_and(|purpose| purpose.consent.is_some())),
            opted_out: either(about && of.is_some_and(|purpose| purpose.opt_out.is_some())),
            represented: if about { represented } else { vec![None] },
            rows: either(grants().any(|grant| !grant.rows.is_empty())),
            times: times.into_iter().collect(),
        }
    }

    /// Every caller.
    pub(super) fn callers(&self, subjects: &[Option<usize>]) -> Vec<CallerFacts> {
        let mut callers = Vec::new();
        for (mfa, ticket) in pairs(&self.mfa, &self.ticket) {
            for (approval, break_glass) in self.cleared.iter().copied() {
                for (region, recipient) in pairs(&self.caller_regions, &self.recipients) {
                    for (now, subject) in pairs(&self.times, subjects) {
                        callers.push(CallerFacts {
                            mfa,
                            ticket,
                            approval,
                            break_glass,
                            region,
                            recipient,
                            subject,
                            now,
                        });
                    }
                }
            }
        }
        callers
    }

    /// Every record.
    pub(super) fn records(&self) -> Vec<OneRecord> {
        let mut records = Vec::new();
        for region in self.record_regions.iter().copied() {
            for status in self.statuses.iter().copied() {
                for consent in self.consent.iter().copied() {
                    for opted_out in self.opted_out.iter().copied() {
                        for represented in self.represented.iter().copied() {
                            records.extend(self.rows.iter().copied().map(|rows| OneRecord {
                                region,
                                status,
                                consent,
                                opted_out,
                                represented,
                                rows,
                            }));
                        }
                    }
                }
            }
        }
        records
    }
}

/// Everything that people can be of what is named: each with each of the others, and `erased`
/// alone.
fn together(named: &BTreeSet<SubjectStatus>) -> Vec<Statuses> {
    let mut all = BTreeSet::from([Statuses::ACTIVE]);
    for status in named {
        let with: Vec<_> = all.iter().map(|others| others.with(*status)).collect();
        all.extend(with);
    }
    all.into_iter().collect()
}

/// Whether a limit asks whom data is passed to.
fn asks_for_recipients(model: &Model) -> bool {
    model.limits.iter().any(|limit| {
        let unless = limit.unless.as_ref();
        !limit.when.whom.is_empty()
            || unless.is_some_and(|unless| unless.transfer || !unless.whom.is_empty())
    })
}

/// The last moment before another.
fn before(until: Timestamp) -> Timestamp {
    Timestamp::from_unix_ms(until.unix_ms().saturating_sub(1))
}

/// Each of the one with each of the other.
fn pairs<'a, A: Copy, B: Copy>(one: &'a [A], other: &'a [B]) -> impl Iterator<Item = (A, B)> + 'a {
    one.iter().flat_map(move |a| other.iter().map(move |b| (*a, *b)))
}

/// The id of the subject at a position, in every record of every world.
pub(super) fn subject_id(at: usize) -> String {
    format!("subject-{at}")
}

/// As what roles of a policy let somebody act for the person a record is about.
pub(super) fn may_represent(model: &Model) -> Capacities {
    model.roles.iter().fold(Capacities::NONE, |all, role| match role.holds {
        Holds::Subject { or } => all.or(or),
        Holds::Claim { .. } => all,
    })
}

/// What stands for a person in cards: in tests nobody needs to be unable to guess it.
pub(super) fn reference(domain: &DomainId, id: &SubjectId) -> Reference {
    let hash = sha256(&[domain.as_str(), "\0", id.expose()].concat().into_bytes());
    let mut reference = [0; 16];
    reference.iter_mut().zip(hash).for_each(|(to, from)| *to = from);
    Reference(reference)
}

/// What is known of the person a caller is: that others may have named them.
pub(super) fn standing(identity: &Identity) -> OwnCard {
    let who = identity.subject.as_ref().map(|(domain, id)| reference(domain, id));
    OwnCard { who, is_dead: false }
}

/// What cards call the caller of an invariant.
pub(super) const CALLER: Reference = Reference([7; 16]);

/// What a row's field holds when it matches: every claim that `rows` ask for has this value.
pub(super) const ROW: &str = "row";

/// A caller as an identity: with these roles, and the claims that the cell's `rows` ask for.
pub(super) fn identity(
    caller: &CallerFacts,
    roles: &[usize],
    model: &Model,
    cell: &Cell,
    domain: Option<&DomainId>,
) -> Identity {
    let mut claims: BTreeMap<Box<str>, Vec<Box<str>>> = BTreeMap::new();
    for role in roles.iter().filter_map(|at| model.roles.get(*at)) {
        if let Holds::Claim { claim, has } = &role.holds {
            claims.entry(claim.clone()).or_default().push(has.clone());
        }
    }
    for (_, claim) in cell.grants.iter().flat_map(|grant| &grant.rows) {
        claims.entry(claim.clone()).or_default().push(ROW.into());
    }
    let subject = caller.subject.and_then(|at| SubjectId::parse(&subject_id(at)).ok());
    let cleared = cell.grants.iter().filter_map(|grant| {
        let clearing = grant.needs.clearing.as_ref()?;
        let is_cleared = match clearing.kind {
            ClearanceKind::Approval => caller.approval,
            ClearanceKind::BreakGlass => caller.break_glass,
        };
        is_cleared.then(|| clearing.given(&grant.id, caller.now))
    });
    Identity {
        owner: "caller of an invariant".into(),
        claims,
        purposes: None,
        names_purposes: false,
        cleared: cleared.collect(),
        region: caller.region,
        recipient: caller.recipient.and_then(|at| Some(model.recipients.get(at)?.id.clone())),
        mfa_at: caller.mfa.then_some(caller.now),
        ticket: caller.ticket,
        subject: domain.cloned().zip(subject),
        expires: Timestamp::from_unix_ms(u64::MAX),
    }
}
