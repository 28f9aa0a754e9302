//! HTTP as Privet accepts it: narrower than the standard, and the same on both sides.
//!
//! Everything here is a pure function of bytes. What is ambiguous, repeated where one is meant,
//! or unknown is refused with a typed reason, so that the gateway and the store can never read
//! one message in two ways.

mod address;
mod coding;
mod encoding;
mod file;
mod form;
mod head;
mod headers;
mod host;
mod links;
mod media;
mod problem;
mod sent;
mod step_up;
mod target;
mod trace;
#[cfg(test)]
mod tests;

pub use self::address::{AddressError, Network, client_address};
pub use self::coding::{Coding, CodingError, Decoder, Expansion, content_coding};
pub use self::encoding::decode_segment;
pub use self::file::file_headers;
pub use self::file::upload_type;
pub use self::form::{FormError, parse_form, write_form};
pub use self::head::{BodyFraming, HeadError, RequestHead, check_request};
pub use self::headers::{Accept, StoreHeaders, answer_headers, privacy_control};
pub use self::host::Authority;
pub use self::links::{reroute_link, reroute_location};
pub use self::media::{MediaError, MediaType, content_type};
pub use self::problem::{Language, Problem, ProblemKind};
pub use self::sent::{SentType, is_plain, sent_type};
pub use self::step_up::StepUp;
pub use self::target::{Target, TargetError, fuzz_target};
pub use self::trace::{RequestId, TraceParent};
