//! Who may act for a person who cannot act, or who is dead.

use std::fmt;

use super::Statuses;
use super::SubjectStatus;
use super::Timestamp;

/// As what somebody acts for a person.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum RepresentativeKind {
    /// Has parental responsibility, or is a guardian: counts while the person is a minor (GDPR
    /// article 8, PIPL article 31).
    Guardian,
    /// A near relative of the dead: counts once the person is deceased (PIPL article 49).
    NextOfKin,
    /// Was given the power to act by the person: counts while the person lives.
    Agent,
}

impl RepresentativeKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Guardian, Self::NextOfKin, Self::Agent];

    /// The word used in policies, cards and the log.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Guardian => "guardian",
            Self::NextOfKin => "next_of_kin",
            Self::Agent => "agent",
        }
    }

    /// Reads the word.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// Whether somebody of this kind may act for a person of whom this is known.
    pub const fn counts_for(self, person: Statuses) -> bool {
        let is_dead = person.contains(SubjectStatus::Deceased);
        match self {
            Self::Guardian => person.contains(SubjectStatus::Minor) && !is_dead,
            Self::NextOfKin => is_dead,
            Self::Agent => !is_dead,
        }
    }
}

impl fmt::Display for RepresentativeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the cards of others call a person who may act for them: made with a key of that person's
/// own, so that it means nobody once they are erased.
#[derive(Clone, Copy, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Reference(pub [u8; 16]);

/// Shows nothing.
impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Reference(..)")
    }
}

/// Somebody who may act for a person.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Representative {
    /// Who.
    pub who: Reference,
    /// As what.
    pub kind: RepresentativeKind,
    /// Before, and not at.
    pub until: Timestamp,
    /// What proves it: the number of a file, such as that of a birth certificate.
    pub proof: Box<str>,
}

impl Representative {
    /// Whether `who` may act for a person of whom `person` is known, because of this.
    pub fn is_in_force(&self, who: Reference, person: Statuses, now: Timestamp) -> bool {
        self.who == who && now < self.until && self.kind.counts_for(person)
    }
}

/// In which capacities somebody stands to a person: as that person, or for them.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Capacities(u8);

impl Capacities {
    /// None.
    pub const NONE: Self = Self(0);
    /// As the person.
    pub const SELF: Self = Self(1);
    /// As whoever may act for the person.
    pub const REPRESENTATIVE: Self = Self(0b1110);

    /// One more.
    #[must_use]
    pub const fn with(self, kind: RepresentativeKind) -> Self {
        Self(self.0 | Self::of(kind).0)
    }

    /// These and those.
    #[must_use]
    pub const fn or(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Those that are among both.
    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 & others.0)
    }

    /// Whether there are none.
    pub const fn is_none(self) -> bool {
        self.0 == 0
    }

    /// Whether one is among both.
    pub const fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }

    /// Whether each of these is among the others.
    pub const fn is_within(self, others: Self) -> bool {
        self.0 & others.0 == self.0
    }

    /// Those in which somebody counts for a person of whom this is known: nobody is a person who
    /// is dead, whatever credential is shown.
    #[must_use]
    pub fn counting_for(self, person: Statuses) -> Self {
        let own = self.and(Self::SELF);
        let own = if person.contains(SubjectStatus::Deceased) { Self::NONE } else { own };
        self.kinds().filter(|kind| kind.counts_for(person)).fold(own, Self::with)
    }

    /// Each of them alone.
    pub fn each(self) -> impl Iterator<Item = Self> {
        let own = self.meets(Self::SELF).then_some(Self::SELF);
        own.into_iter().chain(self.kinds().map(Self::of))
    }

    /// Those of representatives, as words.
    pub fn kinds(self) -> impl Iterator<Item = RepresentativeKind> {
        RepresentativeKind::ALL.into_iter().filter(move |kind| self.meets(Self::of(*kind)))
    }

    const fn of(kind: RepresentativeKind) -> Self {
        match kind {
            RepresentativeKind::Guardian => Self(0b10),
            RepresentativeKind::NextOfKin => Self(0b100),
            RepresentativeKind::Agent => Self(0b1000),
        }
    }
}

/// What is known, at the time of a call, of the person that a caller is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct OwnCard {
    /// What cards of others call them, when one may name them.
    pub who: Option<Reference>,
    /// Whether they are dead: then whoever uses their credential is not they.
    pub is_dead: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_counts_for_those_it_is_meant_for() {
        for (person, counts) in [
            ("active", "agent"),
            ("minor", "guardian agent"),
            ("restricted,minor", "guardian agent"),
            ("deceased", "next_of_kin"),
            ("minor,deceased", "next_of_kin"),
        ] {
            let status = Statuses::parse(person).unwrap();
            let kinds = RepresentativeKind::ALL.into_iter().filter(|kind| kind.counts_for(status));
            let kinds: Vec<_> = kinds.map(RepresentativeKind::as_str).collect();
            assert_eq!(kinds.join(" "), counts, "{person}");
        }
    }

    #[test]
    fn who_when_and_for_whom_must_all_be_right() {
        let (who, other) = (Reference([1; 16]), Reference([2; 16]));
        let (until, minor) = (Timestamp::from_unix_s(10), SubjectStatus::Minor.into());
        let guardian =
            Representative { who, kind: RepresentativeKind::Guardian, until, proof: "".into() };
        let before = Timestamp::from_unix_ms(9_999);
        assert!(guardian.is_in_force(who, minor, before));
        assert!(!guardian.is_in_force(other, minor, before));
        assert!(!guardian.is_in_force(who, minor, until));
        assert!(!guardian.is_in_force(who, Statuses::ACTIVE, before));
    }

    #[test]
    fn capacities_are_told_apart() {
        let kinds = RepresentativeKind::ALL;
        let all = kinds.into_iter().fold(Capacities::NONE, Capacities::with);
        assert_eq!(all, Capacities::REPRESENTATIVE);
        assert!(!all.meets(Capacities::SELF));
        assert_eq!(all.or(Capacities::SELF).kinds().collect::<Vec<_>>(), kinds);
        assert!(Capacities::SELF.and(all).is_none());
        assert!(Capacities::SELF.is_within(all.or(Capacities::SELF)));
        assert!(!all.or(Capacities::SELF).is_within(all));
        assert_eq!(all.or(Capacities::SELF).each().count(), 4);
        assert_eq!(all.or(Capacities::SELF).each().fold(Capacities::SELF, Capacities::or).0, 15);
    }

    #[test]
    fn the_dead_are_not_their_credentials() {
        let all = Capacities::SELF.or(Capacities::REPRESENTATIVE);
        for (person, counting) in [
            ("active", Capacities::SELF.with(RepresentativeKind::Agent)),
            ("deceased", Capacities::NONE.with(RepresentativeKind::NextOfKin)),
        ] {
            assert_eq!(all.counting_for(Statuses::parse(person).unwrap()), counting, "{person}");
        }
    }
}
