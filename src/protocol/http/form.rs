//! Form bodies, `application/x-www-form-urlencoded`, with one meaning for every reader.

use std::borrow::Cow;

use super::TargetError;
use super::encoding;
use crate::types::ClientError;
use crate::types::ErrorKind;

/// More members are a mistake or an attack.
const MAX_MEMBERS: usize = 4096;

/// Reads the members of a form in their order.
///
/// # Errors
/// When two readers could read it differently, or it holds what no text does.
pub fn parse_form(body: &[u8]) -> Result<Vec<(String, String)>, FormError> {
    let text = std::str::from_utf8(body).map_err(|_| FormError::Unencoded)?;
    let mut members: Vec<(String, String)> = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    for pair in text.split('&') {
        let (name, value) = pair.split_once('=').ok_or(FormError::Member)?;
        let (name, value) = (decode(name)?, decode(value)?);
        if name.is_empty() {
            return Err(FormError::Member);
        }
        if members.len() == MAX_MEMBERS {
            return Err(FormError::TooMany);
        }
        if !names.insert(name.clone()) {
            return Err(FormError::Repeated);
        }
        members.push((name, value));
    }
    Ok(members)
}

/// Writes a form. Everything but unreserved characters is encoded, so that there is one way.
pub fn write_form<'a>(members: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut out = String::new();
    for (name, value) in members {
        if !out.is_empty() {
            out.push('&');
        }
        encoding::push_component(name, &mut out);
        out.push('=');
        encoding::push_component(value, &mut out);
    }
    out
}

/// Text may have several lines; other control characters are none of it.
fn decode(raw: &str) -> Result<String, FormError> {
    let text = encoding::decode_form(raw).map_err(|error| match error {
        TargetError::BadEscape => FormError::Escape,
        TargetError::NotUtf8 => FormError::NotUtf8,
        _ => FormError::Unencoded,
    })?;
    let is_text = |c: char| !c.is_control() || matches!(c, '\t' | '\n' | '\r');
    if text.chars().all(is_text) { Ok(text) } else { Err(FormError::Control) }
}

/// Why a form is refused. Never quotes it.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FormError {
    /// A control character other than a tab or a line break.
    #[error("the form holds a control character")]
    Control,
    /// `%` without two hexadecimal digits.
    #[error("the form holds a `%` that is not followed by two hexadecimal digits")]
    Escape,
    /// Not `name=value`, or without a name.
    #[error("the form holds a member that is not `name=value`")]
    Member,
    /// Bytes that are not UTF-8 (overlong forms and surrogates among them).
    #[error("the form is not UTF-8")]
    NotUtf8,
    /// One name twice: readers differ in which value they believe.
    #[error("the form has a name twice")]
    Repeated,
    /// More members than are looked at.
    #[error("the form has too many members")]
    TooMany,
    /// A character that must be percent-encoded.
    #[error("the form holds a character that must be percent-encoded")]
    Unencoded,
}

impl ClientError for FormError {
    fn kind(&self) -> ErrorKind {
        ErrorKind::BadRequest
    }

    fn client_message(&self) -> Cow<'static, str> {
        self.to_string().into()
    }
}
