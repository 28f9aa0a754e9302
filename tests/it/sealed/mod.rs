//! Records whose values the store keeps sealed.

mod writes;
