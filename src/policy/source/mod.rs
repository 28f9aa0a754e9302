//! Policies as written: every word resolved, nothing compiled yet.
//!
//! Reading has two passes over all files. The first collects the words (purposes, roles, views,
//! data), the second the rules that use them, so that the order of files and sections is free.

mod grants;
mod limits;
mod model;
mod needs;
mod pseudonyms;
mod read;
mod recipients;
mod regions;
mod views;
mod words;

pub(super) use self::model::{
    Agreement, Basis, Gives, Grant, Head, Holds, Limit, Mechanism, Model, Needs, Purpose,
    Recipient, Role, RowMatch, Separate, Shown, Then, Unless, Valid, ViewSpec, When, Whom,
};
pub(super) use self::read::read;
pub(super) use self::regions::RegionGroups;
pub(super) use self::words::ids;
