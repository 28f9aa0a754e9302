//! What can be said of one (data set, purpose, action).

use crate::catalog::DataSet;
use crate::catalog::Field;
use crate::catalog::FieldIx;
use crate::policy::LegalBasis;
use crate::policy::View;
use crate::policy::source::Grant;
use crate::policy::source::Holds;
use crate::policy::source::Model;
use crate::policy::source::Needs;
use crate::policy::source::Purpose;
use crate::policy::source::Separate;
use crate::policy::source::Valid;
use crate::types::Action;
use crate::types::Capacities;
use crate::types::ConsentForm;
use crate::types::Faults;
use crate::types::Region;
use crate::types::RuleId;
use crate::types::Statuses;
use crate::types::SubjectStatus;

use super::CellLimit;
use super::Effect;
use super::Plan;
use super::SetFacts;
use super::expand::Expanded;
use super::limit;

/// Which cell.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) set: usize,
    pub(super) purpose: usize,
    pub(super) action: Action,
}

/// What can be said of one (data set, purpose, action).
#[derive(Debug)]
pub(in crate::policy) struct Cell {
    /// At most 64; where views cannot be compared, a later one wins.
    pub(in crate::policy) grants: Vec<CellGrant>,
    /// At most 64.
    pub(in crate::policy) limits: Vec<CellLimit>,
    /// One for each combination of grants, when they are few.
    plans: Vec<Plan>,
}

/// A grant in a cell.
#[derive(Debug)]
pub(in crate::policy) struct CellGrant {
    pub(in crate::policy) id: RuleId,
    pub(in crate::policy) roles: HeldRoles,
    pub(in crate::policy) views: Box<[View]>,
    pub(in crate::policy) find_by: Vec<FieldIx>,
    /// By field: whether it may be set.
    pub(in crate::policy) writes: Box<[bool]>,
    pub(in crate::policy) rows: Vec<(FieldIx, Box<str>)>,
    pub(in crate::policy) needs: Needs,
    pub(in crate::policy) valid: Valid,
}

impl Cell {
    /// Fills the table of combinations.
    pub(super) fn with_plans(mut self, facts: &SetFacts) -> Self {
        let combinations = 1_u64.unbounded_shl(u32::try_from(self.grants.len()).unwrap_or(64));
        let fields = facts.personal.len().max(1);
        if usize::try_from(combinations).is_ok_and(|n| n > 0 && n <= TABLED_VIEWS / fields) {
            self.plans = (0..combinations)
                .map(|mask| {
                    let mut views = Vec::new();
                    self.show(mask, 0, facts.personal.len(), &mut views);
                    Plan::new(views.into(), facts)
                })
                .collect();
        }
        self
    }

    /// The plan of these grants, when combinations are tabled.
    pub(in crate::policy) fn plan(&self, mask: u64) -> Option<&Plan> {
        self.plans.get(usize::try_from(mask).ok()?)
    }

    /// Puts into `views` what these grants show together (per field the most revealing), cut by
    /// these limits.
    pub(in crate::policy) fn show(
        &self,
        mask: u64,
        cuts: u64,
        fields: usize,
        views: &mut Vec<View>,
    ) {
        views.clear();
        views.resize(fields, View::Drop);
        for grant in self.chosen(mask) {
            for (view, given) in views.iter_mut().zip(&*grant.views) {
                // Equal classes: the same view, or one that a later grant overrides.
                if given.class() <= view.class() {
                    *view = *given;
                }
            }
        }
        for (bit, limit) in self.limits.iter().enumerate() {
            if let (Effect::Cut(floors), true) = (&limit.effect, cuts & (1 << bit) != 0) {
                for (view, floor) in views.iter_mut().zip(floors) {
                    *view = view.narrower(*floor);
                }
            }
        }
    }

    /// Puts into `writable` the fields that these grants may set together, but for those that these
    /// limits drop.
    pub(in crate::policy) fn set(
        &self,
        mask: u64,
        cuts: u64,
        fields: usize,
        writable: &mut Vec<bool>,
    ) {
        writable.clear();
        writable.resize(fields, false);
        for grant in self.chosen(mask) {
            for (may, given) in writable.iter_mut().zip(&*grant.writes) {
                *may |= given;
            }
        }
        for (bit, limit) in self.limits.iter().enumerate() {
            if let (Effect::Cut(floors), true) = (&limit.effect, cuts & (1 << bit) != 0) {
                for (may, floor) in writable.iter_mut().zip(floors) {
                    *may &= *floor != View::Drop;
                }
            }
        }
    }

    /// The grants whose bits are set.
    pub(in crate::policy) fn chosen(&self, mask: u64) -> impl Iterator<Item = &CellGrant> {
        let chosen = self.grants.iter().enumerate();
        chosen.filter(move |(bit, _)| mask & (1 << bit) != 0).map(|(_, grant)| grant)
    }
}

/// Builds a cell; `None` when no grant is in it.
pub(super) fn build(
    model: &Model,
    order: &[usize],
    expanded: &Expanded,
    key: Key,
    faults: &mut Faults,
) -> Option<Cell> {
    let mut grants = Vec::new();
    for at in order {
        let Some(grant) = model.grants.get(*at) else { continue };
        if !grant.sets.contains(&key.set)
            || !grant.purposes.contains(&key.purpose)
            || !grant.actions.contains(&key.action)
        {
            continue;
        }
        let Some(views) = expanded.views(*at, key.set) else { continue };
        grants.push(cell_grant(model, grant, key, views));
    }
    let first = grants.first().map(|grant| &grant.id)?;
    let limits = limit::of_cell(model, key.set, key.purpose);
    if grants.len() > MAX_RULES || limits.len() > MAX_RULES {
        let what = format!("more than {MAX_RULES} grants or limits meet `{first}`");
        let place = model.grants.iter().find(|grant| grant.id == *first);
        if let Some(grant) = place {
            faults.error(&grant.place, what, "join some of them");
        }
        return None;
    }
    Some(Cell { grants, limits, plans: Vec::new() })
}

fn cell_grant(model: &Model, grant: &Grant, key: Key, views: &[View]) -> CellGrant {
    let data = model.sets.get(key.set);
    let find = |path| data.and_then(|set| set.find(path));
    CellGrant {
        id: grant.id.clone(),
        roles: HeldRoles::new(&grant.roles, model),
        views: views.into(),
        find_by: grant.find_by.iter().filter_map(|(path, _)| find(path)).collect(),
        writes: data.map(|set| writes(grant, set, key.action)).unwrap_or_default(),
        rows: grant
            .rows
            .iter()
            // A missing field would open the grant; `FieldIx::MAX` never has a value.
            .map(|row| (find(&row.field).unwrap_or(FieldIx(u16::MAX)), row.claim.clone()))
            .collect(),
        needs: grant.needs.clone(),
        valid: grant.valid,
    }
}

/// What a grant may set. Whom a record is about is said when it is made, and never changes.
fn writes(grant: &Grant, set: &DataSet, action: Action) -> Box<[bool]> {
    let sets = |(ix, field): (FieldIx, &Field)| {
        grant.writes.iter().any(|(path, _)| field.path.is_within(path))
            && (action == Action::Create || action == Action::Update && !set.is_subject(ix))
    };
    set.indexed().map(sets).collect()
}

/// Roles as a rule names them: those that claims give, as bits, and in which capacities to a
/// person they are held.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::policy) struct HeldRoles {
    pub(in crate::policy) claimed: u128,
    /// Being the subject, or acting for that person.
    pub(in crate::policy) subject: Capacities,
}

/// Whether a caller holds one of some roles.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::policy) enum Held {
    /// For no record.
    No,
    /// For the records about people to whom the caller stands in one of these capacities.
    AsSubject(Capacities),
    /// For every record.
    Yes,
}

impl HeldRoles {
    pub(in crate::policy) fn new(roles: &[usize], model: &Model) -> Self {
        let mut held = Self { claimed: 0, subject: Capacities::NONE };
        for at in roles {
            match model.roles.get(*at).map(|role| &role.holds) {
                Some(Holds::Claim { .. }) => held.claimed |= role_bit(*at),
                Some(Holds::Subject { or }) => {
                    held.subject = held.subject.or(Capacities::SELF).or(*or);
                }
                None => {}
            }
        }
        held
    }

    /// Whether a caller with these claimed roles holds one; `may_be`: in which capacities the
    /// caller may stand to anybody.
    pub(in crate::policy) fn held(self, claimed: u128, may_be: Capacities) -> Held {
        if self.claimed & claimed != 0 {
            return Held::Yes;
        }
        let both = self.subject.and(may_be);
        if both.is_none() { Held::No } else { Held::AsSubject(both) }
    }
}

/// The bit of a role; 0 beyond the last there is room for, which `check` refuses.
pub(in crate::policy) fn role_bit(at: usize) -> u128 {
    u32::try_from(at).ok().and_then(|at| 1_u128.checked_shl(at)).unwrap_or(0)
}

/// When a purpose needs consent, and to what.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::policy) struct ConsentRule {
    /// The question.
    pub(in crate::policy) name: Box<str>,
    /// Whether records of regions that have no basis of their own need it.
    pub(in crate::policy) default: bool,
    /// Whether records of an unknown region need it: when any basis does.
    unknown: bool,
    pub(in crate::policy) regions: Vec<(Region, bool)>,
    /// Where it must have been asked for alone.
    pub(in crate::policy) separate: Separate,
}

impl ConsentRule {
    pub(super) fn new(purpose: &Purpose) -> Self {
        let asks = |basis: LegalBasis| basis == LegalBasis::Consent;
        let basis = &purpose.basis;
        let regions: Vec<(Region, bool)> =
            basis.regions.iter().flatten().map(|(region, own)| (*region, asks(*own))).collect();
        // One basis for all beside a consent question: the purpose asks for consent as well.
        let also = basis.regions.is_none() && purpose.consent.is_some();
        let default = asks(basis.default) || also;
        let unknown = default || regions.iter().any(|(_, asks)| *asks);
        let name = purpose.consent.clone().unwrap_or_default();
        let separate = purpose.separate.clone();
        Self { name, default, unknown, regions, separate }
    }

    /// Whether there is a record that needs consent.
    pub(in crate::policy) fn may_be_needed(&self) -> bool {
        // Those of unknown region do when any do.
        self.unknown
    }

    /// The form that consent must have for the record of such a person. The consent of a minor is
    /// their guardian's (GDPR article 8, PIPL article 31).
    pub(in crate::policy) fn form(&self, region: Option<Region>, status: Statuses) -> ConsentForm {
        let by_guardian = status.contains(SubjectStatus::Minor);
        ConsentForm { separate: self.separate.is_needed(region), by_guardian }
    }

    /// Whether a record of this region needs consent.
    pub(in crate::policy) fn needed(&self, region: Option<Region>) -> bool {
        let Some(region) = region else { return self.unknown };
        let own = self.regions.iter().find(|(known, _)| *known == region);
        own.map_or(self.default, |(_, asks)| *asks)
    }
}

/// Whether an objection takes away a purpose's ground.
#[derive(Debug)]
pub(in crate::policy) struct ObjectionRule {
    /// Of records of regions that have no basis of their own.
    pub(in crate::policy) default: bool,
    /// Of records of an unknown region: when it does of any.
    unknown: bool,
    /// Of records of these regions.
    pub(in crate::policy) regions: Vec<(Region, bool)>,
}

impl ObjectionRule {
    /// GDPR article 21 (1) speaks of points (e) and (f) of article 6 (1): tasks in the public
    /// interest and legitimate interests; (2) and (3) of direct marketing, whatever it rests on.
    pub(super) fn new(purpose: &Purpose) -> Self {
        let data_use = purpose.data_use.and_then(|it| it.key.strip_prefix("marketing"));
        let is_marketing = data_use.is_some_and(|it| it.is_empty() || it.starts_with('.'));
        let yields = |basis: LegalBasis| {
            is_marketing || matches!(basis, LegalBasis::LegitimateInterest | LegalBasis::PublicTask)
        };
        let own = purpose.basis.regions.iter().flatten();
        let regions: Vec<(Region, bool)> =
            own.map(|(region, basis)| (*region, yields(*basis))).collect();
        let default = yields(purpose.basis.default);
        let unknown = default || regions.iter().any(|(_, yields)| *yields);
        Self { default, unknown, regions }
    }

    /// Whether there is a record that an objection closes.
    pub(in crate::policy) fn may_close(&self) -> bool {
        self.unknown
    }

    /// Whether an objection closes a record of this region.
    pub(in crate::policy) fn closes(&self, region: Option<Region>) -> bool {
        let Some(region) = region else { return self.unknown };
        let own = self.regions.iter().find(|(known, _)| *known == region);
        own.map_or(self.default, |(_, yields)| *yields)
    }
}

/// Grants and limits are bits of a `u64`.
const MAX_RULES: usize = 64;

/// A cell keeps the plans of every combination of its grants while they hold no more views than
/// this: 64 combinations of 256 fields.
const TABLED_VIEWS: usize = 16_384;
