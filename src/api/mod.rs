//! Admin listener: operators, health, readiness, metrics, subject cards, reload.

mod answer;
mod cards;
mod checks;
mod host;
mod operators;
mod routes;

pub use self::checks::Check;
pub use self::operators::{Operator, OperatorRole, Operators, OperatorsError};
pub use self::routes::{Admin, Gateway, Reloaded, router};
