//! Records whose values the store keeps sealed.

mod alerts;
mod attacks;
mod creates;
mod erased;
mod reads;
mod site;
mod writes;
