//! Times and spans as people type them.

use crate::audit;
use crate::types::Timestamp;

use super::exit::{Exit, Failure};

/// Reads `2026-11-21T09:00:00Z` or `2026-11-21`.
pub(super) fn moment(text: &str) -> Result<Timestamp, Failure> {
    let wrong = || {
        Failure::new(Exit::Usage, format_args!("`{text}` is no time; write 2026-11-21T09:00:00Z"))
    };
    audit::moment(text).ok_or_else(wrong)
}

/// Reads `90s`, `30m`, `1h` or `2d`, in seconds.
pub(super) fn span(text: &str) -> Result<u64, Failure> {
    let wrong = || {
        Failure::new(
            Exit::Usage,
            format_args!("`{text}` is no length of time; write 30m, 1h or 2d"),
        )
    };
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3600,
        Some('d') => 86_400,
        _ => return Err(wrong()),
    };
    let number = text.get(..text.len() - 1).and_then(|digits| digits.parse::<u64>().ok());
    number.and_then(|n| n.checked_mul(unit)).filter(|s| *s > 0).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_spans() {
        assert_eq!(moment("1970-01-02").unwrap().unix_s(), 86_400);
        assert_eq!(moment("1970-01-01T00:00:01Z").unwrap().unix_s(), 1);
        assert!(moment("yesterday").is_err());
        assert_eq!(span("30m").unwrap(), 1800);
        assert_eq!(span("2d").unwrap(), 172_800);
        for wrong in ["", "m", "0h", "1w", "1é", "99999999999999999999d"] {
            assert!(span(wrong).is_err(), "{wrong}");
        }
    }
}
