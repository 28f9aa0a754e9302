//! Records whose values the store keeps sealed.

pub(crate) mod admin;
mod alerts;
mod attacks;
mod consents;
mod creates;
mod effect;
mod erased;
mod locked;
mod locked_jobs;
mod locked_site;
mod pseudonyms;
mod reads;
mod reidentified;
mod site;
mod writes;
