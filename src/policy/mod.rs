//! Who may see what, for which purpose, in which form: policies, decisions and verdicts.
//!
//! [`PolicySet::compile`] turns policy files into tables; [`decide()`] judges a caller and gives a
//! [`Permit`]; [`verdict()`] judges each record under it, [`write_verdict()`] each that is written.

mod call;
mod clearance;
mod compile;
mod decide;
mod export;
mod facts;
mod fuzz;
mod identity;
mod maintenance;
mod observe;
mod permit;
mod refuse;
mod register;
mod report;
pub mod schema;
mod set;
mod source;
mod testing;
#[cfg(test)]
mod tests;
mod transfer;
mod verdict;
mod view;
mod vocabulary;
mod write_verdict;

pub use self::call::{Call, Decision, Refusal, RefusalReason};
pub use self::clearance::{Clearable, Clearance, ClearanceKind, Clearing};
pub use self::decide::decide;
pub use self::export::Exported;
pub use self::facts::{
    Because, CardFacts, RecordFacts, RecordSubject, Scratch, Verdict, WriteVerdict,
};
pub use self::fuzz::read_for_fuzzing;
pub use self::identity::Identity;
pub use self::maintenance::{Maintenance, NotAgreed};
pub use self::observe::{Observation, Pass, observe};
pub use self::permit::{BulkAction, BulkLimit, LegalBasis, Permit};
pub use self::register::{AgreementEntry, MechanismEntry, RecipientEntry};
pub use self::report::{
    Change, Diff, DiffLine, Explanation, Filter, Given, Language, Matrix, Question, Told, diff,
    explain,
};
pub use self::set::{PolicyFile, PolicySet};
pub use self::testing::{Render, TestCase, TestReport, TestedFile, run_tests};
pub use self::transfer::{
    ExportClass, ExportClasses, MechanismKind, RecipientKind, Threshold, counted_home, thresholds,
};
pub use self::verdict::verdict;
pub use self::view::{DatePart, Digits, Generalize, Mask, Pseudonym, View};
pub use self::vocabulary::{ClaimUse, GpcNames};
pub use self::write_verdict::write_verdict;
