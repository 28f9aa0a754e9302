//! Transfers: whom data is passed to, under which laws, between which countries.

mod regime;
mod threshold;
mod words;

pub(super) use self::regime::{Regime, group, groups, regime_of, regimes};
pub use self::threshold::{ExportClass, ExportClasses, Threshold, counted_home, thresholds};
pub use self::words::{MechanismKind, RecipientKind};
