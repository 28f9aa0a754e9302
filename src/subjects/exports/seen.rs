//! Who was counted already, as far as memory goes.

use std::collections::HashMap;
use std::sync::PoisonError;
use std::sync::RwLock;

use crate::policy::ExportClasses;
use crate::policy::Exported;
use crate::types::SubjectToken;

/// Who was counted already. It may forget anybody, and never makes anybody up.
#[derive(Debug)]
pub(super) struct Seen {
    shards: Box<[RwLock<Shard>]>,
    per_shard: usize,
}

#[derive(Debug, Default)]
struct Shard {
    year: i16,
    people: HashMap<SubjectToken, ExportClasses>,
}

impl Seen {
    /// Room for about so many people.
    pub(super) fn new(people: usize) -> Self {
        let shards = (0..SHARDS).map(|_| RwLock::default()).collect();
        Self { shards, per_shard: people.div_ceil(SHARDS) }
    }

    pub(super) fn has(&self, year: i16, who: &Exported) -> bool {
        let shard = self.shard(who.token).read().unwrap_or_else(PoisonError::into_inner);
        let known = shard.people.get(&who.token);
        shard.year == year && known.is_some_and(|known| who.classes.without(*known).is_empty())
    }

    pub(super) fn add(&self, year: i16, people: &[Exported]) {
        for person in people {
            let shard = self.shard(person.token);
            let mut shard = shard.write().unwrap_or_else(PoisonError::into_inner);
            // Full or of another year: what is forgotten is found in the state.
            if shard.year != year || shard.people.len() >= self.per_shard {
                *shard = Shard { year, people: HashMap::new() };
            }
            let known = shard.people.entry(person.token).or_default();
            *known = known.with(person.classes);
        }
    }

    fn shard(&self, token: SubjectToken) -> &RwLock<Shard> {
        // A token is an HMAC: any byte of it spreads evenly.
        let [first, ..] = token.0;
        #[expect(clippy::indexing_slicing, reason = "there are 64 shards")]
        &self.shards[usize::from(first) % SHARDS]
    }
}

const SHARDS: usize = 64;
