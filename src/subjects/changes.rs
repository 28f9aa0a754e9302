//! Changing cards: status, opt-outs, holds, representatives.

use super::card::Facts;
use super::cards::ATTEMPTS;
use super::cards::Cards;
use super::cards::storage_key;
use super::error::SubjectsError;
use super::hold::Hold;
use super::holds::index_key;
use crate::keys::Subject;
use crate::state::Expect;
use crate::state::Rev;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::DomainId;
use crate::types::PurposeId;
use crate::types::Reference;
use crate::types::Representative;
use crate::types::Statuses;
use crate::types::SubjectId;
use crate::types::SubjectStatus;
use crate::types::Timestamp;

impl Cards {
    /// Sets what stands against the use of a person's data, all of it at once but for holds, which
    /// stay. [`Statuses::ERASED`] is final.
    /// Returns the card's new version; from then on every look-up shows the change.
    pub async fn set_status(
        &self,
        domain: &DomainId,
        id: &str,
        status: impl Into<Statuses>,
    ) -> Result<u64, SubjectsError> {
        let status = status.into();
        if status.contains(SubjectStatus::Held) {
            return Err(SubjectsError::Invalid { what: "the status `held`, which holds give," });
        }
        self.change(domain, id, Change::Status(status)).await
    }

    /// Opts a person out of `name`, or in again. Returns the card's new version; from then on
    /// every look-up shows the change.
    pub async fn set_opt_out(
        &self,
        domain: &DomainId,
        id: &str,
        name: &str,
        out: bool,
    ) -> Result<u64, SubjectsError> {
        self.change(domain, id, Change::OptOut(checked(name)?, out)).await
    }

    pub(super) async fn change(
        &self,
        domain: &DomainId,
        id: &str,
        change: Change,
    ) -> Result<u64, SubjectsError> {
        SubjectId::parse(id).map_err(|_| SubjectsError::Invalid { what: "the subject id" })?;
        let (cards, domain, id) = (self.clone(), domain.clone(), Box::<str>::from(id));
        // On a task of its own: if the caller goes away in the middle, the change may still be
        // made, and then the card in memory must still be forgotten.
        let task = tokio::spawn(async move { cards.change_now(&domain, &id, &change).await });
        task.await.map_err(|_| SubjectsError::Interrupted)?
    }

    async fn change_now(
        &self,
        domain: &DomainId,
        id: &str,
        change: &Change,
    ) -> Result<u64, SubjectsError> {
        let subject = self.0.keys.subject(domain, id);
        for _ in 0..ATTEMPTS {
            let (before, version) = self.card_of(&subject).await?;
            let now = self.0.keys.now();
            let Some(facts) = change.apply(&before, now)? else {
                return Ok(version);
            };
            let mut tx = Tx::new();
            let current = Expect::Version(Rev(version));
            tx.put(&storage_key(&subject.record), facts.encode()?, current);
            if let Change::Hold(hold) = change {
                tx.put(&index_key(&hold.id), subject.record.0.to_vec(), Expect::Any);
                let ended = before.holds.iter().filter(|hold| !hold.is_open(now));
                ended.for_each(|hold| tx.delete(&index_key(&hold.id), Expect::Any));
            }
            let writing = self.0.changes.read().await;
            let done = self.0.state.commit(tx).await;
            drop(writing);
            // After a failure too: it may have been made all the same.
            self.0.cache.changed(domain, id);
            match done {
                Ok(rev) => {
                    self.0.metrics.changed.inc();
                    if matches!(change, Change::Status(Statuses::ERASED)) {
                        self.forget_tokens(&subject.record).await?;
                        self.part_consents(&subject.record).await?;
                    }
                    return Ok(rev.0);
                }
                Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(SubjectsError::State(error)),
            }
        }
        Err(SubjectsError::Contended)
    }

    /// What a card says and its version; makes one for somebody who has none. What stands against
    /// the use of data is changed while the keys are locked too, for whoever has a card.
    pub(super) async fn card_of(
        &self,
        subject: &Subject<'_>,
    ) -> Result<(Facts, u64), SubjectsError> {
        let locked = match self.load_or_create(&[*subject]).await {
            Ok(mut found) => {
                let card = found.pop().flatten().ok_or(SubjectsError::Orphaned)?;
                if self.0.keys.is_erased(subject) {
                    return Ok((Facts { status: card.status, ..Facts::default() }, card.version));
                }
                return self.stored(&subject.record).await?.ok_or(SubjectsError::Contended);
            }
            Err(error) if error.is_locked() => error,
            Err(error) => return Err(error),
        };
        self.stored(&subject.record).await?.ok_or(locked)
    }
}

pub(super) enum Change {
    ActsUntil(Timestamp),
    Hold(Hold),
    Name(Representative),
    OptOut(Box<str>, bool),
    Status(Statuses),
    Unname(Reference),
}

impl Change {
    /// What a card says after the change; nothing when it says so already.
    fn apply(&self, before: &Facts, now: Timestamp) -> Result<Option<Facts>, SubjectsError> {
        let mut after = before.clone();
        match self {
            Self::OptOut(name, true) => drop(after.opt_outs.insert(name.clone())),
            Self::OptOut(name, false) => drop(after.opt_outs.remove(name)),
            Self::Status(status) => after.status = *status,
            Self::ActsUntil(until) => after.acts_until = after.acts_until.max(Some(*until)),
            Self::Hold(hold) => {
                // Those that have run out make room.
                after.holds.retain(|hold| hold.is_open(now));
                after.holds.push(hold.clone());
            }
            Self::Name(named) => {
                let other = |it: &Representative| (it.who, it.kind) != (named.who, named.kind);
                after.representatives.retain(|it| now < it.until && other(it));
                after.representatives.push(named.clone());
            }
            Self::Unname(who) => after.representatives.retain(|it| it.who != *who),
        }
        if after == *before {
            Ok(None)
        } else if before.status == Statuses::ERASED {
            Err(SubjectsError::Erased)
        } else {
            Ok(Some(after))
        }
    }
}

/// The name of a consent or an opt-out, in the letters policies use.
fn checked(name: &str) -> Result<Box<str>, SubjectsError> {
    match PurposeId::parse(name) {
        Ok(_) if name.len() <= MAX_NAME_BYTES => Ok(name.into()),
        _ => Err(SubjectsError::Invalid { what: "the name of the consent or opt-out" }),
    }
}

const MAX_NAME_BYTES: usize = 64;
