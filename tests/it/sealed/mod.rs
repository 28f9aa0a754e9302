//! Records whose values the store keeps sealed.

mod attacks;
mod reads;
mod writes;
