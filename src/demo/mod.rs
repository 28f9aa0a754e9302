//! A small shop of made-up people, and the table that shows each view.

mod people;
mod store;

pub use self::store::{Shop, bind};
