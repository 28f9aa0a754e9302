//! How an error looks from outside: its class, and the only words a client may read.

use std::borrow::Cow;
use std::error::Error;

/// Whose fault an error is. Drives the HTTP status, the SQLSTATE and the metric label.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ErrorKind {
    /// The client sent something malformed.
    BadRequest,
    /// Policy said no.
    Denied,
    /// A bug or a broken dependency of the gateway.
    Internal,
    /// Nothing answers under that name.
    NotFound,
    /// A limit was reached; trying later may help.
    Overloaded,
    /// Nobody has shown who they are.
    Unauthenticated,
    /// Something that must work for data to leave does not (audit, keys, state).
    Unavailable,
    /// The data store failed.
    Upstream,
}

/// An error that can be answered with.
///
/// `Display` is for the operator's log. The client reads only
/// [`client_message`](Self::client_message), which has no default, so that each author decides
/// what may leave.
pub trait ClientError: Error {
    /// The class of the error.
    fn kind(&self) -> ErrorKind;
    /// What the client is told.
    fn client_message(&self) -> Cow<'static, str>;
}

/// An error with its causes in one text, the outermost first: for logs and terminals, never for
/// clients. A cause that its error says already is not said twice.
pub fn told(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the log")]
    struct Outer(#[source] std::io::Error);

    #[test]
    fn every_cause_is_told_once() {
        let cause = || std::io::Error::other("disk full");
        assert_eq!(told(&Outer(cause())), "cannot open the log: disk full");
        assert_eq!(told(&cause()), "disk full");
    }
}
