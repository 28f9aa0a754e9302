//! Cards in memory: sharded, bounded, and never older than an acknowledged change.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::hash::RandomState;
use std::mem;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::RwLock;
use std::sync::RwLockReadGuard;
use std::sync::RwLockWriteGuard;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;

use super::card::Card;
use crate::keys::RecordKey;
use crate::keys::SubjectKeys;
use crate::types::DomainId;

/// The cards at hand. A look-up takes the read lock of one of many shards and no other.
pub(super) struct Cache {
    shards: Box<[RwLock<Shard>]>,
    hasher: RandomState,
    half: usize,
    /// Counts the changes made to cards.
    changes: AtomicU64,
}

/// Taken before a card is read from the state; tells whether the card may be kept afterwards.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ticket(u64);

#[derive(Default)]
struct Shard {
    /// Cards used lately. When it is full it becomes `old`, and what was `old` is forgotten.
    new: Half,
    old: Half,
    /// Counts the changes made to cards of this shard.
    changes: u64,
}

type Half = HashMap<DomainId, HashMap<Box<str>, Arc<Card>>>;

impl Cache {
    /// Keeps about `cards` cards.
    pub(super) fn new(cards: usize) -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        let half = (cards / SHARDS / 2).max(1);
        Self { shards, hasher: RandomState::new(), half, changes: AtomicU64::new(0) }
    }

    /// The card, when it is at hand.
    pub(super) fn get(&self, domain: &DomainId, id: &str) -> Option<Arc<Card>> {
        let shard = self.read(id);
        if let Some(card) = look(&shard.new, domain, id) {
            return Some(card);
        }
        look(&shard.old, domain, id)?;
        drop(shard);
        let mut shard = self.write(id);
        // It may have been changed or forgotten since the other lock was given back.
        let card = take(&mut shard.old, domain, id).or_else(|| look(&shard.new, domain, id));
        if let Some(card) = &card {
            shard.keep(domain, id, Arc::clone(card), self.half);
        }
        card
    }

    /// A ticket for reading the card of `id`.
    pub(super) fn ticket(&self, id: &str) -> Ticket {
        Ticket(self.read(id).changes)
    }

    /// Keeps a card that was read after `ticket` was taken, unless a card of the shard was
    /// changed since: then what was read may be what stood before the change.
    pub(super) fn loaded(&self, domain: &DomainId, id: &str, card: &Arc<Card>, ticket: Ticket) {
        let mut shard = self.write(id);
        if shard.changes == ticket.0 {
            shard.keep(domain, id, Arc::clone(card), self.half);
        }
    }

    /// Forgets a card. Called after its change is durable, or may be, and before anybody is told.
    pub(super) fn changed(&self, domain: &DomainId, id: &str) {
        let mut shard = self.write(id);
        shard.changes += 1;
        self.changes.fetch_add(1, Ordering::SeqCst);
        take(&mut shard.new, domain, id);
        take(&mut shard.old, domain, id);
    }

    /// Forgets the card of the person whose records stand under `record`, where the id is not known.
    /// As [`Self::changed`]; looks through all cards, so it is for what is rare.
    pub(super) fn changed_record(&self, record: &RecordKey) {
        self.each_shard(|shard| {
            for half in [&mut shard.new, &mut shard.old] {
                for cards in half.values_mut() {
                    cards.retain(|_, card| card.record != *record);
                }
            }
        });
    }

    /// Lets go of the keys of all cards, and of what is being read just now.
    pub(super) fn forget_keys(&self) {
        let locked = Arc::new(SubjectKeys::locked());
        self.each_shard(|shard| {
            for half in [&mut shard.new, &mut shard.old] {
                for card in half.values_mut().flat_map(HashMap::values_mut) {
                    let keys = card.keys.as_ref().map(|_| Arc::clone(&locked));
                    *card = Arc::new(Card { keys, ..Card::clone(card) });
                }
            }
        });
    }

    /// Forgets the cards with this hold, and what is being read just now. As
    /// [`changed`](Self::changed), where it is not known whose they are.
    pub(super) fn forget_holders(&self, hold: &str) {
        self.each_shard(|shard| {
            for half in [&mut shard.new, &mut shard.old] {
                for cards in half.values_mut() {
                    cards.retain(|_, card| card.holds.iter().all(|it| *it.id != *hold));
                }
            }
        });
    }

    /// Forgets all cards, and what is being read just now.
    pub(super) fn forget_all(&self) {
        self.each_shard(|shard| {
            shard.new.clear();
            shard.old.clear();
        });
    }

    fn each_shard(&self, change: impl Fn(&mut Shard)) {
        // Whoever holds cards looks again before they count.
        self.changes.fetch_add(1, Ordering::SeqCst);
        for shard in &self.shards {
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            shard.changes += 1;
            change(&mut shard);
        }
    }

    /// How many changes were made: cards got before are those of now while this stays the same.
    pub(super) fn changes(&self) -> u64 {
        self.changes.load(Ordering::SeqCst)
    }

    fn read(&self, id: &str) -> RwLockReadGuard<'_, Shard> {
        self.shard(id).read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, id: &str) -> RwLockWriteGuard<'_, Shard> {
        self.shard(id).write().unwrap_or_else(PoisonError::into_inner)
    }

    #[expect(clippy::indexing_slicing, reason = "the remainder is below the number of shards")]
    #[expect(clippy::cast_possible_truncation, reason = "any bits of a hash will do")]
    fn shard(&self, id: &str) -> &RwLock<Shard> {
        &self.shards[self.hasher.hash_one(id) as usize % self.shards.len()]
    }

    /// How many cards are at hand.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        let cards = |half: &Half| half.values().map(HashMap::len).sum::<usize>();
        let shards = self.shards.iter().map(|shard| shard.read().unwrap());
        shards.map(|shard| cards(&shard.new) + cards(&shard.old)).sum()
    }
}

impl Shard {
    fn keep(&mut self, domain: &DomainId, id: &str, card: Arc<Card>, half: usize) {
        if self.new.values().map(HashMap::len).sum::<usize>() >= half {
            self.old = mem::take(&mut self.new);
        }
        match self.new.get_mut(domain) {
            Some(cards) => drop(cards.insert(id.into(), card)),
            None => drop(self.new.insert(domain.clone(), HashMap::from([(id.into(), card)]))),
        }
    }
}

fn look(half: &Half, domain: &DomainId, id: &str) -> Option<Arc<Card>> {
    half.get(domain)?.get(id).cloned()
}

fn take(half: &mut Half, domain: &DomainId, id: &str) -> Option<Arc<Card>> {
    half.get_mut(domain)?.remove(id)
}

const SHARDS: usize = 64;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::collections::BTreeSet;

    use super::*;
    use crate::types::Statuses;
    use crate::types::SubjectToken;

    fn card(version: u64) -> Arc<Card> {
        Arc::new(Card {
            record: RecordKey([7; 32]),
            token: SubjectToken([0; 16]),
            keys: None,
            status: Statuses::ACTIVE,
            consents: BTreeMap::new(),
            opt_outs: BTreeSet::new(),
            holds: Vec::new(),
            representatives: Vec::new(),
            acts_until: None,
            reference: None,
            version,
            logged_version: 0,
        })
    }

    #[test]
    fn a_card_read_before_a_change_is_not_kept_after_it() {
        let (cache, domain) = (Cache::new(1_000), DomainId::parse("person").unwrap());
        let ticket = cache.ticket("a");
        cache.changed(&domain, "a");
        cache.loaded(&domain, "a", &card(1), ticket);
        assert_eq!(cache.get(&domain, "a"), None);
        let ticket = cache.ticket("a");
        cache.loaded(&domain, "a", &card(2), ticket);
        assert_eq!(cache.get(&domain, "a").map(|card| card.version), Some(2));
    }

    #[test]
    fn what_was_found_before_keys_locked_or_opened_does_not_count_after() {
        let (cache, domain) = (Cache::new(1_000), DomainId::parse("person").unwrap());
        for (change, is_kept) in
            [(Cache::forget_keys as fn(&Cache), true), (Cache::forget_all, false)]
        {
            cache.loaded(&domain, "a", &card(1), cache.ticket("a"));
            let (ticket, changes) = (cache.ticket("b"), cache.changes());
            change(&cache);
            assert_ne!(cache.changes(), changes, "whoever holds cards looks again");
            cache.loaded(&domain, "b", &card(1), ticket);
            assert_eq!(
                cache.get(&domain, "b"),
                None,
                "read before, so it may hold keys or lack them"
            );
            assert_eq!(cache.get(&domain, "a").is_some(), is_kept);
        }
    }

    #[test]
    fn cards_in_use_outlast_those_that_are_not() {
        let (cache, domain) = (Cache::new(SHARDS * 2 * 8), DomainId::parse("person").unwrap());
        cache.loaded(&domain, "used", &card(1), cache.ticket("used"));
        for n in 0..10_000 {
            assert!(cache.get(&domain, "used").is_some(), "after {n}");
            let id = n.to_string();
            cache.loaded(&domain, &id, &card(1), cache.ticket(&id));
        }
        assert_eq!(cache.get(&domain, "0"), None);
    }
}
