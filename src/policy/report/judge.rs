//! What a row comes to in one world.

use crate::policy::View;
use crate::policy::compile::ConsentRule;
use crate::types::Consent;
use crate::types::Region;
use crate::types::SubjectStatus;

use super::Cut;
use super::Effect;
use super::Fact;
use super::Form;
use super::Kind;
use super::Row;
use super::Way;
use super::World;

impl Row {
    /// What the row comes to in a world, with the counts that go on while the field is shown.
    pub(in crate::policy) fn judge(&self, world: &World) -> Form {
        match self.key.kind {
            Kind::Shown => Form::View(self.shown(world)),
            Kind::Done | Kind::Set => Form::May(self.may(world)),
            Kind::Selects => Form::May(self.selects(world)),
        }
    }

    /// The counts that go on while the field is shown in clear.
    pub(super) fn counts(&self, world: &World) -> Vec<(u32, u32, bool)> {
        if !self.is_personal || self.key.kind != Kind::Shown || self.shown(world) != View::Show {
            return Vec::new();
        }
        let cuts = self.cuts.iter().filter(|cut| cut.falls(world, self.has_region));
        let counts = cuts.filter_map(|cut| match cut.effect {
            Effect::Count { over, within_s, deny } => Some((over, within_s, deny)),
            _ => None,
        });
        counts.collect()
    }

    fn shown(&self, world: &World) -> View {
        if !self.is_open(world) {
            return View::Drop;
        }
        let mut view = View::Drop;
        for way in self.ways.iter().filter(|way| way.counts(world)) {
            if way.view.class() <= view.class() {
                view = way.view;
            }
        }
        for cut in self.cuts.iter().filter(|cut| cut.falls(world, self.has_region)) {
            if let Effect::Floor(floor) = cut.effect {
                view = view.narrower(floor);
            }
        }
        view
    }

    fn may(&self, world: &World) -> bool {
        let dropped = |cut: &Cut| {
            cut.effect == Effect::Floor(View::Drop) && cut.falls(world, self.has_region)
        };
        self.is_open(world)
            && self.ways.iter().any(|way| way.lets && way.counts(world))
            && !self.cuts.iter().any(dropped)
    }

    /// Whether the record is there for this caller at all.
    fn is_open(&self, world: &World) -> bool {
        let region = world.record_region.filter(|_| self.has_region);
        let refuses = |cut: &Cut| {
            matches!(cut.effect, Effect::Deny | Effect::LeaveOut)
                && cut.falls(world, self.has_region)
        };
        let lacks_consent = self
            .consent
            .as_ref()
            .is_some_and(|rule| rule.needed(region) && !has_consent(rule, region, world));
        let is_held = self.stops_when_held && world.status.contains(SubjectStatus::Held);
        let is_stopped = lacks_consent || is_held || self.cuts.iter().any(refuses);
        !is_stopped
    }

    /// Whether a caller may select records by the field: as `decide` says it, before any record is
    /// known.
    fn selects(&self, world: &World) -> bool {
        let may_fall = |cut: &&Cut| cut.may_fall(world);
        let mut falling = self.cuts.iter().filter(may_fall);
        let hidden = falling.any(|cut| matches!(cut.effect, Effect::Floor(_)));
        let refuses = |cut: &Cut| cut.effect == Effect::Deny && cut.surely_falls(world);
        if self.cuts.iter().any(refuses) {
            return false;
        }
        let opens = |way: &Way| way.view.is_raw() && !hidden || way.lets;
        let reach: Vec<&Way> = self.ways.iter().filter(|way| way.may_count(world)).collect();
        let mut always = reach.iter().filter(|way| way.covers_all(world)).peekable();
        if always.peek().is_some() {
            return always.any(|way| opens(way));
        }
        let own = |way: &Way| self.is_own_id && !way.by_claim(world);
        !reach.is_empty() && reach.iter().all(|way| own(way) || opens(way))
    }
}

/// Whether the person agreed in the form that is wanted.
pub(super) fn has_consent(rule: &ConsentRule, region: Option<Region>, world: &World) -> bool {
    world.consents.get(&rule.name).is_some_and(|form| {
        Consent::Given { until: None, form: *form }.has_form(rule.form(region, world.status))
    })
}

impl Way {
    /// Whether it counts for the caller and the record of a world.
    pub(in crate::policy) fn counts(&self, world: &World) -> bool {
        self.roles.as_ref().is_none_or(|roles| roles.held_in(world))
            && self.facts.iter().all(|fact| fact.holds(world) == Some(true))
    }

    /// Whether it may count for some record.
    fn may_count(&self, world: &World) -> bool {
        let holds = |fact: &Fact| match fact {
            // Who may be the subject of some record is said by the world.
            Fact::Stands(in_one_of) => in_one_of.meets(world.stands),
            fact => fact.is_of_record() || fact.holds(world) == Some(true),
        };
        self.roles.as_ref().is_none_or(|roles| roles.may_be_held_in(world))
            && self.facts.iter().all(holds)
    }

    /// Whether the caller has it by a claim, and not as the subject of a record.
    fn by_claim(&self, world: &World) -> bool {
        self.roles.as_ref().is_none_or(|roles| roles.claimed_in(world))
            && !self.facts.iter().any(|fact| matches!(fact, Fact::Stands(_)))
    }

    /// Whether it counts for every record.
    fn covers_all(&self, world: &World) -> bool {
        self.by_claim(world) && !self.facts.iter().any(Fact::is_of_record)
    }
}

impl Cut {
    /// Whether it falls: what is unknown holds for it and does not lift it.
    pub(in crate::policy) fn falls(&self, world: &World, has_region: bool) -> bool {
        let holds = |fact: &Fact| match fact {
            Fact::RecordRegion(_) if !has_region => None,
            fact => fact.holds(world),
        };
        let lifted = self
            .unless
            .as_ref()
            .is_some_and(|unless| unless.iter().all(|fact| holds(fact) == Some(true)));
        self.when.iter().all(|fact| holds(fact) != Some(false)) && !lifted
    }

    /// Whether it may fall on some record of the caller.
    fn may_fall(&self, world: &World) -> bool {
        let lifts = |fact: &Fact| match fact {
            Fact::Role(roles) => roles.claimed_in(world),
            fact => !fact.is_of_record() && fact.holds(world) == Some(true),
        };
        let lifted = self.unless.as_ref().is_some_and(|unless| unless.iter().all(lifts));
        let of_caller = |fact: &&Fact| !fact.is_of_record();
        let may_hold = |fact: &Fact| match fact {
            Fact::Role(roles) => roles.may_be_held_in(world),
            fact => fact.holds(world) != Some(false),
        };
        self.when.iter().filter(of_caller).all(may_hold) && !lifted
    }

    /// Whether it falls on every record of the caller.
    fn surely_falls(&self, world: &World) -> bool {
        let of_caller = |fact: &Fact| match fact {
            Fact::Role(roles) => roles.claimed_in(world),
            fact => !fact.is_of_record(),
        };
        self.when.iter().all(of_caller)
            && self.may_fall(world)
            && self.unless.as_ref().is_none_or(|unless| {
                let never = |fact: &Fact| match fact {
                    Fact::Role(roles) => !roles.may_be_held_in(world),
                    fact => !fact.is_of_record() && fact.holds(world) != Some(true),
                };
                unless.iter().any(never)
            })
    }
}
