//! What the stores hold: data sets, their fields, categories and routes.
//!
//! [`read_data`] reads the `data:` part of a policy file; [`Router`] finds the route of a path.

pub mod category;
pub mod data_use;
pub mod draft;
mod extension;
#[cfg(test)]
mod extension_tests;
mod fields;
pub mod guess;
mod model;
mod opaque;
mod read;
mod router;
mod routes;
mod sealing;
#[cfg(test)]
mod sealing_tests;
mod sets;
#[cfg(test)]
mod tests;
mod writing;

pub use self::extension::Categories;
pub use self::model::{
    Beside, BlindIndex, DataSet, Field, FieldIx, Method, Observe, Opaque, Owner, Records, Route,
    SealMode, Sealing, Segment, Selector, SubjectField,
};
pub use self::read::read_data;
pub use self::router::{Found, Matched, Router};
pub use self::sets::check_sets;
