//! A small shop of made-up people, and the table that shows each view.

mod call;
mod people;
mod script;
mod store;
mod table;
mod withdrawal;

pub use self::call::CallError;
pub use self::script::{Demo, DemoError, Options, Shown};
pub use self::store::{Shop, bind};
pub use self::withdrawal::Withdrawal;
