//! Records whose values the store keeps sealed.

mod attacks;
mod creates;
mod erased;
mod reads;
mod writes;
