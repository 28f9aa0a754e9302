//! Whether anybody's data must be kept whatever else is due.

use super::card::Facts;
use super::cards::Cards;
use super::erase::CARDS;
use super::error::SubjectsError;
use crate::state::StateStore;
use crate::types::SubjectStatus;

impl Cards {
    /// Whether what the log calls anybody who was erased is kept for legal claims.
    pub async fn keeps_log_keys(&self) -> Result<bool, SubjectsError> {
        self.0.keys.keeps_log_keys().await.map_err(SubjectsError::Keys)
    }

    /// Whether somebody is under a legal hold. Looks at every card; one that cannot be read is an
    /// error, for it could be theirs.
    pub async fn anybody_held(&self) -> Result<bool, SubjectsError> {
        let mut after = None::<Vec<u8>>;
        loop {
            let page = self.0.state.scan(CARDS, after.as_deref(), PAGE).await;
            let page = page.map_err(SubjectsError::State)?;
            for item in &page.items {
                if Facts::decode(&item.value.value)?.status.contains(SubjectStatus::Held) {
                    return Ok(true);
                }
            }
            after = page.items.last().map(|item| item.key.clone());
            if !page.more {
                return Ok(false);
            }
        }
    }
}

/// Cards that are looked at together.
const PAGE: usize = 500;
