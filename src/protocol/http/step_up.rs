//! The challenge to show a second factor again: OAuth 2.0 step-up (RFC 9470).

use std::fmt::Write as _;

use http::HeaderValue;

/// What a refused caller must show to be let in.
#[derive(Clone, Copy, Debug)]
pub struct StepUp<'a> {
    /// Who asks.
    pub realm: &'a str,
    /// Why, in words for the client's developer.
    pub description: &'a str,
    /// How long ago the second factor may have been shown, in seconds.
    pub max_age_s: u64,
    /// What its issuer calls such an authentication, where it names it.
    pub acr: Option<&'a str>,
}

impl StepUp<'_> {
    /// The `WWW-Authenticate` header (RFC 9470 § 3). What cannot stand in a quoted string of the
    /// challenge (RFC 6750 § 3) is left out of it.
    pub fn challenge(&self) -> HeaderValue {
        let mut text =
            format!("Bearer realm=\"{}\", error=\"insufficient_user_authentication\"", self.realm);
        for (name, value) in
            [("error_description", Some(self.description)), ("acr_values", self.acr)]
        {
            if let Some(value) = value.filter(|value| is_plain(value)) {
                // Writing to a String does not fail.
                write!(text, ", {name}=\"{value}\"").unwrap_or_default();
            }
        }
        write!(text, ", max_age=\"{}\"", self.max_age_s).unwrap_or_default();
        let plain = HeaderValue::from_static("Bearer error=\"insufficient_user_authentication\"");
        HeaderValue::try_from(text).unwrap_or(plain)
    }
}

fn is_plain(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| matches!(c, ' '..='~') && !matches!(c, '"' | '\\'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_says_what_is_missing_and_nothing_that_breaks_it() {
        let words = "grant `checks` needs a second factor";
        let challenge = |description, acr| {
            let step_up = StepUp { realm: "privet", description, max_age_s: 900, acr };
            step_up.challenge().to_str().unwrap().to_owned()
        };
        assert_eq!(
            challenge(words, Some("gold")),
            "Bearer realm=\"privet\", error=\"insufficient_user_authentication\", \
             error_description=\"grant `checks` needs a second factor\", acr_values=\"gold\", \
             max_age=\"900\""
        );
        for odd in ["", "a \"quote\"", "a \\ b", "two\r\nlines", "中文"] {
            assert_eq!(
                challenge(odd, Some(odd)),
                "Bearer realm=\"privet\", error=\"insufficient_user_authentication\", max_age=\"900\"",
                "{odd:?}"
            );
        }
    }
}
