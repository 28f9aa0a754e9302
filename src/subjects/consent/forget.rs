//! What an erasure leaves of the ledger: the proof, which names nobody.

use super::rows;
use super::rows::Head;
use super::rows::Named;
use super::rows::Owner;
use crate::keys::RecordKey;
use crate::state::Expect;
use crate::state::Item;
use crate::state::StateStore;
use crate::state::Tx;
use crate::subjects::Cards;
use crate::subjects::SubjectsError;

impl Cards {
    /// Moves the records of a person who was erased to where they stand under what records call
    /// them: from then on nothing leads from the person to them. Harmless when it is done again,
    /// and completes what was cut off.
    pub(in crate::subjects) async fn part_consents(
        &self,
        record: &RecordKey,
    ) -> Result<(), SubjectsError> {
        let found = self.0.state.get(&rows::ref_key(record)).await;
        let Some(found) = found.map_err(SubjectsError::State)? else { return Ok(()) };
        let person = Named::decode(&found.value).ok_or(SubjectsError::Damaged)?.person;
        let (old, new) = (Owner::Person(*record), Owner::Past(person));
        loop {
            let page = self.0.state.scan(&old.prefix(), None, PART).await;
            let page = page.map_err(SubjectsError::State)?;
            if page.items.is_empty() {
                break;
            }
            let mut tx = Tx::new();
            self.move_rows(&mut tx, &page.items, (&old, &new)).await?;
            self.0.state.commit(tx).await.map_err(SubjectsError::State)?;
        }
        // The last that leads from the person to their records.
        let mut tx = Tx::new();
        tx.delete(&rows::ref_key(record), Expect::Any);
        self.0.state.commit(tx).await.map_err(SubjectsError::State)?;
        Ok(())
    }

    async fn move_rows(
        &self,
        tx: &mut Tx,
        items: &[Item],
        (old, new): (&Owner, &Owner),
    ) -> Result<(), SubjectsError> {
        let (prefix, mut last) = (old.prefix(), None);
        for item in items {
            let rest = item.key.strip_prefix(prefix.as_slice()).ok_or(SubjectsError::Damaged)?;
            tx.delete(&item.key, Expect::Any);
            let to = [new.prefix().as_slice(), rest].concat();
            tx.put(&to, item.value.value.clone(), Expect::Any);
            let (id, _) = rows::place(&prefix, &item.key).ok_or(SubjectsError::Damaged)?;
            // Rows of one record stand together.
            if last != Some(id)
                && let Some(head) = self.head(id).await?
            {
                let head = Head { owner: *new, ..head };
                tx.put(&rows::index_key(id), head.encode(), Expect::Any);
            }
            last = Some(id);
        }
        Ok(())
    }

    /// Everybody who has records, each once.
    pub(in crate::subjects) async fn people_with_consents(
        &self,
    ) -> Result<Vec<RecordKey>, SubjectsError> {
        let (mut people, mut after) = (Vec::new(), None::<Vec<u8>>);
        loop {
            let page = self.0.state.scan(rows::REFS, after.as_deref(), PART).await;
            let page = page.map_err(SubjectsError::State)?;
            for item in &page.items {
                let record = item.key.strip_prefix(rows::REFS).and_then(|key| key.try_into().ok());
                people.push(RecordKey(record.ok_or(SubjectsError::Damaged)?));
            }
            after = page.items.last().map(|item| item.key.clone());
            if !page.more {
                return Ok(people);
            }
        }
    }
}

/// So many rows, with an index each, fit in one transaction.
const PART: usize = 128;
