//! Vocabulary every module shares: identifiers, levels, faults, documents with places.

pub mod doc;
mod error;
mod fault;
mod id;
mod level;
mod region;
mod status;
mod representative;
mod time;

pub use self::error::{ClientError, ErrorKind, told};
pub use self::fault::{Fault, Faults, Place, Severity, SourceFile};
pub use self::id::{
    CategoryId, DataSetId, DomainId, FieldPath, IdError, PurposeId, RecipientId, RoleId, RuleId,
    StoreId, SubjectId, SubjectToken, ViewName,
};
pub use self::level::{Flags, Level};
pub use self::region::{Region, RegionSet};
pub use self::representative::{
    Capacities, OwnCard, Reference, Representative, RepresentativeKind,
};
pub use self::status::{Action, Consent, ConsentForm, Statuses, SubjectStatus};
pub use self::time::Timestamp;
