//! Policies shown whole: matrix, difference, explanation.
//!
//! A [`Row`] says everything about one field for one purpose and action: the ways in which grants
//! open it and the limits that close it. Rows come from the compiled tables, so they mean what
//! decisions mean; a property test measures them against the evaluator that was written apart.

mod diff;
mod explain;
mod fact;
mod html;
mod judge;
mod lint;
mod matrix;
mod row;
mod rows;
mod table;
mod words;
mod world;

pub use self::diff::{Change, Diff, DiffLine, diff};
pub use self::explain::{Explanation, Given, Question, Told, explain};
pub use self::matrix::{Filter, Matrix};
pub use self::words::Language;

pub(super) use self::fact::{Fact, Roles};
pub(super) use self::lint::lint;
pub(super) use self::row::{Cut, Effect, Form, Kind, Row, RowKey, Way};
pub(super) use self::rows::rows;
pub(super) use self::world::{Axes, World};
