//! Transfers: whom data is passed to, under which laws, between which countries.

mod regime;
mod words;

pub(super) use self::regime::{group, groups, regime_of};
pub use self::words::{MechanismKind, RecipientKind};
