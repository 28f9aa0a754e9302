//! How an export stands, for operators.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;

use crate::audit::shared::held;

/// How an export stands. Cloning shares it.
#[derive(Clone, Debug)]
pub struct ExportStatus {
    name: Arc<str>,
    now: Arc<Mutex<Now>>,
}

#[derive(Debug, Default)]
struct Now {
    behind: u64,
    trouble: Option<String>,
}

impl ExportStatus {
    pub(super) fn new(name: &str) -> Self {
        Self { name: name.into(), now: Arc::default() }
    }

    /// Whether the receiver took what was last sent, or nothing was sent yet.
    pub fn is_well(&self) -> bool {
        held(&self.now).trouble.is_none()
    }

    pub(super) fn set_behind(&self, entries: u64) {
        held(&self.now).behind = entries;
    }

    /// Notes what is wrong; `true` when nothing was before.
    pub(super) fn fail(&self, why: String) -> bool {
        held(&self.now).trouble.replace(why).is_none()
    }

    /// Notes that all is well; `true` when it was not before.
    pub(super) fn recover(&self) -> bool {
        held(&self.now).trouble.take().is_some()
    }
}

impl fmt::Display for ExportStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let now = held(&self.now);
        write!(f, "{} {} entries behind", self.name, now.behind)?;
        match &now.trouble {
            Some(why) => write!(f, ": {why}"),
            None => Ok(()),
        }
    }
}
