//! Every combination of the facts that rows ask for.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::policy::ClearanceKind;
use crate::policy::source::Separate;
use crate::types::Capacities;
use crate::types::ConsentForm;
use crate::types::FieldPath;
use crate::types::RecipientId;
use crate::types::Region;
use crate::types::RepresentativeKind;
use crate::types::RoleId;
use crate::types::RuleId;
use crate::types::Statuses;
use crate::types::SubjectStatus;
use crate::types::Timestamp;

use super::Fact;
use super::Roles;
use super::Row;

/// One caller, one record, one person in it, one moment.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct World {
    /// The roles that the caller's claims give.
    pub(in crate::policy) roles: BTreeSet<RoleId>,
    /// As what the caller stands to the person: by a credential, and by what the person's card
    /// says; whether that counts depends on the person.
    pub(in crate::policy) stands: Capacities,
    /// How old the second factor is; `None`: there is none.
    pub(in crate::policy) mfa_age_s: Option<u64>,
    pub(in crate::policy) ticket: bool,
    /// The fields that equal a claim, with the claim.
    pub(in crate::policy) rows: BTreeSet<(FieldPath, Box<str>)>,
    pub(in crate::policy) now: Timestamp,
    pub(in crate::policy) status: Statuses,
    pub(in crate::policy) opted_out: BTreeSet<Box<str>>,
    /// The consents that are given, with their form.
    pub(in crate::policy) consents: BTreeMap<Box<str>, ConsentForm>,
    /// `None`: unknown.
    pub(in crate::policy) record_region: Option<Region>,
    /// `None`: unknown.
    pub(in crate::policy) caller_region: Option<Region>,
    /// How long ago something was approved, or glass broken: by kind, grant and role.
    pub(in crate::policy) cleared_age_s: BTreeMap<ClearedBy, u64>,
    /// Whether the caller sent `Sec-GPC: 1`.
    pub(in crate::policy) gpc: bool,
    /// Whom data is passed to; `None`: nobody, or somebody unknown.
    pub(in crate::policy) recipient: Option<RecipientId>,
}

impl World {
    /// As what the caller counts for the person.
    pub(in crate::policy) fn capacities(&self) -> Capacities {
        self.stands.counting_for(self.status)
    }
}

/// A kind of clearance, of a grant, by a role.
pub(in crate::policy) type ClearedBy = (ClearanceKind, RuleId, RoleId);

/// The values of each fact that make a difference.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Axes {
    mfa: BTreeSet<u64>,
    ticket: bool,
    pub(super) rows: BTreeSet<(FieldPath, Box<str>)>,
    times: BTreeSet<Timestamp>,
    statuses: BTreeSet<SubjectStatus>,
    pub(super) opted_out: BTreeSet<Box<str>>,
    pub(super) consents: BTreeSet<Box<str>>,
    /// Countries that are named together.
    record_regions: BTreeSet<Vec<Region>>,
    caller_regions: BTreeSet<Vec<Region>>,
    pub(super) cleared: BTreeMap<ClearedBy, BTreeSet<u64>>,
    gpc: bool,
    recipients: BTreeSet<RecipientId>,
    /// Roles that claims give.
    pub(super) roles: BTreeSet<RoleId>,
    /// The ways of standing to the person that make a difference.
    pub(super) subject: Capacities,
}

impl Axes {
    /// Adds what a row asks for.
    pub(super) fn add(&mut self, row: &Row) {
        for way in &row.ways {
            if let Some(roles) = &way.roles {
                self.add_roles(roles);
            }
            way.facts.iter().for_each(|fact| self.add_fact(fact));
        }
        for cut in &row.cuts {
            cut.when.iter().for_each(|fact| self.add_fact(fact));
            cut.unless.iter().flatten().for_each(|fact| self.add_fact(fact));
        }
        if let Some(consent) = &row.consent {
            self.consents.insert(consent.name.clone());
            if let Separate::In(regions) = &consent.separate {
                self.record_regions.insert(regions.clone());
            }
            for asks in [false, true] {
                let named = consent.regions.iter().filter(|(_, own)| *own == asks);
                self.record_regions.insert(named.map(|(region, _)| *region).collect());
            }
        }
        if row.stops_when_held {
            self.statuses.insert(SubjectStatus::Held);
        }
    }

    fn add_roles(&mut self, roles: &Roles) {
        self.roles.extend(roles.claimed.iter().cloned());
        self.add_standing(roles.subject);
    }

    /// Some ways of standing to a person, which count for some people and not for others.
    fn add_standing(&mut self, ways: Capacities) {
        self.subject = self.subject.or(ways);
        if !ways.is_none() {
            self.statuses.insert(SubjectStatus::Deceased);
        }
        if ways.kinds().any(|kind| kind == RepresentativeKind::Guardian) {
            self.statuses.insert(SubjectStatus::Minor);
        }
    }

    fn add_fact(&mut self, fact: &Fact) {
        match fact {
            Fact::Role(roles) => self.add_roles(roles),
            Fact::Stands(in_one_of) => self.add_standing(*in_one_of),
            Fact::Mfa(within_s) => {
                self.mfa.insert(*within_s);
            }
            Fact::Ticket => self.ticket = true,
            Fact::Row { field, claim } => {
                self.rows.insert((field.clone(), claim.clone()));
            }
            Fact::From(at) | Fact::Until(at) => self.until(*at),
            // Nothing of people who are erased is shown, whatever is asked; `active` is no other.
            Fact::Status(statuses) => {
                self.statuses.extend(statuses.iter().filter(|status| {
                    !matches!(status, SubjectStatus::Active | SubjectStatus::Erased)
                }))
            }
            Fact::OptedOut(name) => {
                self.opted_out.insert(name.clone());
            }
            Fact::RecordRegion(regions) => {
                self.record_regions.insert(regions.clone());
            }
            Fact::Cleared(cleared) => {
                let key = (cleared.kind, cleared.grant.clone(), cleared.role.clone());
                self.cleared.entry(key).or_default().insert(cleared.for_s.saturating_sub(1));
            }
            Fact::Gpc => self.gpc = true,
            Fact::Recipient { known, .. } => self.recipients.extend(known.iter().cloned()),
            Fact::Transfer(passages) => {
                for passage in &**passages {
                    self.recipients.insert(passage.to.clone());
                    self.until(passage.bound_until);
                    for (regions, until) in &passage.from {
                        self.record_regions.insert(regions.clone());
                        self.until(*until);
                    }
                }
            }
            Fact::CallerRegion(regions) | Fact::CallerRegionNot(regions) => {
                self.caller_regions.insert(regions.clone());
            }
        }
    }

    /// A moment at which something begins or ends; never is none.
    fn until(&mut self, at: Timestamp) {
        if at.unix_ms() != u64::MAX {
            self.times.insert(at);
            self.times.insert(Timestamp::from_unix_ms(at.unix_ms().saturating_sub(1)));
        }
    }

    /// How many worlds there are for callers of one set of roles.
    pub(super) fn count(&self) -> usize {
        let either = |n: usize| 1_usize.checked_shl(u32::try_from(n).unwrap_or(64)).unwrap_or(0);
        let regions = |of: &BTreeSet<Vec<Region>>| places(of).len();
        let cleared = self.cleared.values().map(|ages| ages.len() + 1);
        [
            self.mfa.len() + 1,
            either(usize::from(self.ticket)),
            either(self.rows.len()),
            self.times.len().max(1),
            either(self.statuses.len()),
            either(self.opted_out.len()),
            3_usize.saturating_pow(u32::try_from(self.consents.len()).unwrap_or(u32::MAX)),
            regions(&self.record_regions),
            regions(&self.caller_regions),
            either(usize::from(self.gpc)),
            self.recipients.len() + 1,
        ]
        .into_iter()
        .chain(cleared)
        .try_fold(1_usize, |product, n| product.checked_mul(n).filter(|product| *product > 0))
        .unwrap_or(usize::MAX)
    }

    /// Every world for callers who hold these roles, and stand to the person in one or more of
    /// these ways.
    pub(super) fn worlds(&self, roles: &BTreeSet<RoleId>, ways: Capacities) -> Vec<World> {
        let alone = |stands| World { roles: roles.clone(), stands, ..World::default() };
        let mut worlds: Vec<World> =
            standings(ways.and(self.subject)).into_iter().map(alone).collect();
        let ages = self.mfa.iter().copied().map(Some).chain([None]);
        split(&mut worlds, ages, |world, age| world.mfa_age_s = age);
        if self.ticket {
            split(&mut worlds, [false, true], |world, has| world.ticket = has);
        }
        for row in &self.rows {
            split(&mut worlds, [false, true], |world, equal| {
                if equal {
                    world.rows.insert(row.clone());
                }
            });
        }
        if !self.times.is_empty() {
            split(&mut worlds, self.times.iter().copied(), |world, now| world.now = now);
        }
        for status in &self.statuses {
            split(&mut worlds, [false, true], |world, has| {
                if has {
                    world.status = world.status.with(*status);
                }
            });
        }
        for name in &self.opted_out {
            split(&mut worlds, [false, true], |world, out| {
                if out {
                    world.opted_out.insert(name.clone());
                }
            });
        }
        for name in &self.consents {
            // Without a guardian a minor's is as none, and everybody else's as with one.
            let alone = |separate| ConsentForm { separate, by_guardian: true };
            let forms = [None, Some(alone(false)), Some(alone(true))];
            split(&mut worlds, forms, |world, form| {
                world.consents.extend(form.map(|form| (name.clone(), form)));
            });
        }
        for (key, ages) in &self.cleared {
            let ages = ages.iter().copied().map(Some).chain([None]);
            split(&mut worlds, ages, |world, age| {
                world.cleared_age_s.extend(age.map(|age| (key.clone(), age)));
            });
        }
        if self.gpc {
            split(&mut worlds, [false, true], |world, sent| world.gpc = sent);
        }
        let recipients = self.recipients.iter().cloned().map(Some).chain([None]);
        split(&mut worlds, recipients, |world, to| world.recipient = to);
        split(&mut worlds, places(&self.record_regions), |world, at| world.record_region = at);
        split(&mut worlds, places(&self.caller_regions), |world, at| world.caller_region = at);
        worlds
    }
}

/// One or more of some ways of standing to a person, in every combination; none of none.
pub(super) fn standings(ways: Capacities) -> Vec<Capacities> {
    let mut all = vec![Capacities::NONE];
    for one in ways.each() {
        all.extend(all.clone().into_iter().map(|others| others.or(one)));
    }
    all.retain(|some| !some.is_none() || ways.is_none());
    all
}

/// One country of each kind: of those that are named in the same places one is like another. Then
/// one that is not named, and an unknown one; unknown alone where none is named.
fn places(named: &BTreeSet<Vec<Region>>) -> Vec<Option<Region>> {
    let all: BTreeSet<Region> = named.iter().flatten().copied().collect();
    if all.is_empty() {
        return vec![None];
    }
    let mut kinds: BTreeMap<Vec<bool>, Region> = BTreeMap::new();
    for region in &all {
        let kind = named.iter().map(|list| list.contains(region)).collect();
        kinds.entry(kind).or_insert(*region);
    }
    // Letters that ISO 3166-1 leaves to its users.
    let mut other = ["ZZ", "XZ", "QZ"].into_iter().filter_map(Region::parse);
    let other = other.find(|region| !all.contains(region));
    kinds.into_values().chain(other).map(Some).chain([None]).collect()
}

/// Each world once for each value.
fn split<T: Clone>(
    worlds: &mut Vec<World>,
    values: impl IntoIterator<Item = T>,
    set: impl Fn(&mut World, T),
) {
    let before = std::mem::take(worlds);
    for value in values {
        worlds.extend(before.iter().map(|world| {
            let mut world = world.clone();
            set(&mut world, value.clone());
            world
        }));
    }
}
