//! From a path to its route.

use std::sync::Arc;

use crate::types::Faults;

use super::DataSet;
use super::FieldIx;
use super::Method;
use super::Route;

/// The routes of one store.
#[derive(Clone, Debug, Default)]
pub struct Router {}

/// What a method and a path lead to.
#[derive(Clone, Debug)]
pub enum Found {
    /// No route has this path.
    Nothing,
    /// A route has this path, but not with this method.
    OtherMethods,
    /// This route.
    Route(Matched),
}

/// A route with the values of its variables.
#[derive(Clone, Debug)]
pub struct Matched {
    /// The data set it leads to.
    pub set: Arc<DataSet>,
    /// The route.
    pub route: Arc<Route>,
    /// The value of each variable in path order, percent-decoded. Personal data: never logged.
    pub vars: Vec<(FieldIx, String)>,
}

impl Router {
    /// The router of the data sets of one store. Templates that match the same paths with the same
    /// method are faults.
    pub fn build(sets: &[Arc<DataSet>], faults: &mut Faults) -> Self {
        let _ = (sets, faults);
        Self {}
    }

    /// The route of `path`, which is normalised, starts with `/` and lacks the store's prefix.
    pub fn find(&self, method: Method, path: &str) -> Found {
        let _ = (method, path);
        Found::Nothing
    }
}
