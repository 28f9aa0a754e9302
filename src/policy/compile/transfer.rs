//! Recipients, ready to be asked about a record.

use crate::policy::source::Mechanism;
use crate::policy::source::Model;
use crate::policy::source::Recipient;
use crate::policy::transfer::MechanismKind;
use crate::policy::transfer::RecipientKind;
use crate::policy::transfer::groups;
use crate::types::RecipientId;
use crate::types::Region;
use crate::types::RegionSet;
use crate::types::Timestamp;

/// A recipient, ready to be asked about a record.
#[derive(Debug)]
pub(in crate::policy) struct Transfers {
    pub(in crate::policy) id: RecipientId,
    pub(in crate::policy) kind: RecipientKind,
    pub(in crate::policy) country: Region,
    /// The first end of the agreements that bind it: its own, and those of whom it works for.
    bound_until: Timestamp,
    /// Where data comes from that needs no mechanism.
    free: RegionSet,
    mechanisms: Box<[Held]>,
}

/// A mechanism, with the end of what it rests on.
#[derive(Debug)]
struct Held {
    kind: MechanismKind,
    /// Whether it is one of the exemptions that no number of people ends.
    is_exempt: bool,
    regions: RegionSet,
    until: Timestamp,
}

impl Transfers {
    /// Every recipient of a policy, in its order.
    pub(super) fn all(model: &Model) -> Vec<Self> {
        model.recipients.iter().map(|recipient| Self::new(recipient, model)).collect()
    }

    fn new(recipient: &Recipient, model: &Model) -> Self {
        let chain: Vec<&Recipient> = chain(recipient, model).collect();
        let ends = chain.iter().map(|it| it.agreement.until.unwrap_or(NEVER));
        // A sub-processor in the country of whom it works for rests on the mechanisms of that one.
        let near = chain.iter().take_while(|it| it.country == recipient.country);
        let held = |mechanism: &Mechanism| Held {
            kind: mechanism.kind,
            is_exempt: mechanism.kind == MechanismKind::CnExempt
                && mechanism.case != Some(BELOW_THRESHOLD),
            regions: mechanism.regions.iter().copied().collect(),
            until: mechanism.until.unwrap_or(NEVER),
        };
        let country = recipient.country;
        let free =
            groups().iter().filter(|group| group.is_free && group.regions.contains(&country));
        let free = free.flat_map(|group| group.regions.iter().copied());
        Self {
            id: recipient.id.clone(),
            kind: recipient.kind,
            country,
            bound_until: ends.min().unwrap_or_default(),
            free: free.chain([country]).collect(),
            mechanisms: near.flat_map(|it| &it.mechanisms).map(held).collect(),
        }
    }

    /// Whether data of records of a region may be passed to the recipient now. Closed: an unknown
    /// region may not.
    pub(in crate::policy) fn holds(&self, region: Option<Region>, now: Timestamp) -> bool {
        let Some(region) = region else { return false };
        now < self.bound_until
            && (self.free.contains(region)
                || self.mechanisms.iter().any(|held| held.covers(region, now)))
    }

    /// For reports: until when what binds it holds, and whose data may be passed to it until when.
    pub(in crate::policy) fn passages(&self) -> (Timestamp, Vec<(Vec<Region>, Timestamp)>) {
        let each = |regions: RegionSet| {
            let letters = || (b'A'..=b'Z').map(char::from);
            let codes = letters().flat_map(|a| letters().map(move |b| format!("{a}{b}")));
            let codes = codes.filter_map(|code| Region::parse(&code));
            codes.filter(|region| regions.contains(*region)).collect::<Vec<Region>>()
        };
        let held = self.mechanisms.iter().map(|held| (each(held.regions), held.until));
        (self.bound_until, std::iter::once((each(self.free), NEVER)).chain(held).collect())
    }

    /// Whether a mechanism of one of these kinds, or an exemption that no number ends, holds now for
    /// records of a region.
    pub(in crate::policy) fn rests_on(
        &self,
        kinds: &[MechanismKind],
        region: Region,
        now: Timestamp,
    ) -> bool {
        let of_kind = |held: &&Held| held.is_exempt || kinds.contains(&held.kind);
        now < self.bound_until
            && self.mechanisms.iter().filter(of_kind).any(|held| held.covers(region, now))
    }
}

impl Held {
    fn covers(&self, region: Region, now: Timestamp) -> bool {
        now < self.until && self.regions.contains(region)
    }
}

/// A recipient, whom it works for, and so on: no further than there are recipients.
pub(in crate::policy) fn chain<'a>(
    recipient: &'a Recipient,
    model: &'a Model,
) -> impl Iterator<Item = &'a Recipient> {
    let parent = |it: &&'a Recipient| {
        let (id, _) = it.parent.as_ref()?;
        model.recipients.iter().find(|known| known.id == *id)
    };
    std::iter::successors(Some(recipient), parent).take(model.recipients.len())
}

/// The case of an exemption that ends with a number of people.
const BELOW_THRESHOLD: &str = "below_threshold";
const NEVER: Timestamp = Timestamp::from_unix_ms(u64::MAX);
