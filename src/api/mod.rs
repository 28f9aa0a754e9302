//! Admin listener: operators, health, readiness, metrics, subject cards, jobs, reload.

mod accesses;
mod accord;
mod answer;
mod approvals;
mod audit;
mod cards;
mod checks;
mod claims;
mod consents;
mod host;
mod inbox;
mod jobs;
mod key_status;
mod mfa;
mod observations;
mod operators;
mod policy;
mod prune;
mod reidentify;
mod rotation;
mod routes;
mod stores;
mod transfers;
mod totp;

pub use self::checks::Check;
pub use self::consents::RECEIPT_TYPE;
pub use self::jobs::job_entry;
pub use self::key_status::keys_page;
pub use self::mfa::Mfa;
pub use self::operators::{Operator, OperatorRole, Operators, OperatorsError};
pub use self::prune::{AUDIT_PRUNE, PruneAudit};
pub use self::rotation::{ROTATE_EPOCH, ROTATE_ROOT, ROTATE_SUBJECT};
pub use self::rotation::{RotateEpoch, RotateRoot, RotateSubject};
pub use self::routes::{Admin, Gateway, Reloaded, router};
pub use self::totp::{SECRET_LEN, otpauth};
