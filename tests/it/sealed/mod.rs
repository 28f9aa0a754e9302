//! Records whose values the store keeps sealed.

mod attacks;
mod creates;
mod reads;
mod writes;
