//! What a field's name says it is: a guess for drafts, never a decision.
//!
//! Names are cut into words (`shippingAddressLine1` → `shipping address line 1`); English words,
//! their usual abbreviations, Chinese and pinyin are known. A guess comes with how sure it is, and
//! a person confirms it before a policy counts on it.

/// What a field may be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Guess {
    /// The key of the category.
    pub category: &'static str,
    /// How sure, in percent.
    pub confidence: u8,
    /// What it is, in words.
    pub what: &'static str,
}

/// What the last name of `path` says the field is; `None`: nothing known.
pub fn by_name(path: &str) -> Option<Guess> {
    let last = path.rsplit('.').next().unwrap_or(path).trim_end_matches("[*]");
    let words = words(last);
    let fits = |phrases: &str| phrases.split('|').any(|phrase| says(&words, phrase));
    rows().find(|(_, phrases)| fits(phrases)).map(|(guess, _)| guess)
}

/// Whether the words of `phrase` stand in `words` one after the other; `^` and `$` at its ends
/// stand for the ends of the name. Chinese is looked for anywhere: it has no spaces.
fn says(words: &[String], phrase: &str) -> bool {
    if !phrase.is_ascii() {
        return words.iter().any(|word| word.contains(phrase));
    }
    let (at_start, phrase) = cut(phrase, |p| p.strip_prefix('^'));
    let (at_end, phrase) = cut(phrase, |p| p.strip_suffix('$'));
    let wanted: Vec<&str> = phrase.split(' ').collect();
    let last = words.len().saturating_sub(wanted.len());
    words.windows(wanted.len()).enumerate().any(|(at, found)| {
        (!at_start || at == 0) && (!at_end || at == last) && found.iter().eq(&wanted)
    })
}

fn cut<'p>(phrase: &'p str, strip: impl Fn(&'p str) -> Option<&'p str>) -> (bool, &'p str) {
    strip(phrase).map_or((false, phrase), |rest| (true, rest))
}

/// The words of a name, in small letters: cut at signs, digits, and where a capital follows.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut before: Option<char> = None;
    let mut letters = name.chars().peekable();
    while let Some(c) = letters.next() {
        let lower_next = letters.peek().is_some_and(|next| next.is_lowercase());
        let starts = match before {
            Some(before) if c.is_uppercase() => {
                before.is_lowercase() || before.is_uppercase() && lower_next
            }
            Some(before) => before.is_alphanumeric() && before.is_numeric() != c.is_numeric(),
            None => false,
        };
        if starts || !c.is_alphanumeric() {
            words.push(String::new());
        }
        if c.is_alphanumeric()
            && let Some(word) = words.last_mut()
        {
            word.extend(c.to_lowercase());
        }
        before = Some(c);
    }
    words.retain(|word| !word.is_empty());
    words
}

/// The rows of the table: category, how sure in percent, what it is, and the phrases that say so.
/// The first row that fits counts, so what must not be overlooked stands first.
fn rows() -> impl Iterator<Item = (Guess, &'static str)> {
    include_str!("names.tsv").lines().filter_map(|line| {
        let mut parts = line.split('\t');
        let (category, confidence) = (parts.next()?, parts.next()?.parse().ok()?);
        Some((Guess { category, confidence, what: parts.next()? }, parts.next()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::category;
    use crate::types::CategoryId;

    #[test]
    fn names_are_guessed_however_they_are_written() {
        for (name, category) in [
            ("email", "user.contact.email"),
            ("E-Mail", "user.contact.email"),
            ("primaryEmailAddress", "user.contact.email"),
            ("customers[*].contact.mobile_phone", "user.contact.phone_number"),
            ("shippingAddressLine1", "user.contact.address.street"),
            ("address", "user.contact.address"),
            ("IPAddress", "user.device.ip_address"),
            ("ip", "user.device.ip_address"),
            ("dateOfBirth", "user.demographic.date_of_birth"),
            ("dob", "user.demographic.date_of_birth"),
            ("SSN", "user.government_id.national_identification_number"),
            ("身份证号", "user.government_id.national_identification_number"),
            ("shenfenzheng", "user.government_id.national_identification_number"),
            ("手机号码", "user.contact.phone_number"),
            ("password_hash", "user.authorization.password"),
            ("cards[*].pan", "user.financial.credit_card"),
            ("firstName", "user.name.first"),
            ("userName", "user.account.username"),
            ("name", "user.name"),
            ("customer_id", "user.unique_id"),
            ("createdAt", "system.operations"),
            ("health_note", "user.health_and_medical"),
            ("tags[*]", ""),
            ("expandable", ""),
            ("shipment", ""),
            ("", ""),
        ] {
            let guessed = by_name(name).map_or("", |guess| guess.category);
            assert_eq!(guessed, category, "{name}");
        }
    }

    #[test]
    fn every_guess_is_a_category() {
        let lines = include_str!("names.tsv").lines().count();
        assert_eq!(rows().count(), lines, "every line is read");
        for (guess, phrases) in rows() {
            let id = CategoryId::parse(guess.category).unwrap();
            assert!(category::find(&id).is_some(), "{id}");
            assert!((1..=99).contains(&guess.confidence) && !phrases.is_empty());
        }
    }
}
