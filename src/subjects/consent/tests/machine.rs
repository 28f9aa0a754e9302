//! The table of states, in words.

use crate::subjects::consent::machine::step;
use crate::subjects::consent::words::ConsentState;
use crate::subjects::consent::words::Entity;

/// What may follow each state, whoever says it.
const TABLE: [(&str, &str); 11] = [
    ("nothing", "Requested RequestDeferred Refused Given Invalidated Unknown"),
    ("Requested", "RequestDeferred Refused Given Expired Invalidated Unknown"),
    ("RequestDeferred", "Requested Refused Given Expired Invalidated Unknown"),
    ("Refused", "Requested Given Invalidated Unknown"),
    ("Given", "RenewedGiven Expired Withdrawn Revoked Invalidated Unknown"),
    ("RenewedGiven", "RenewedGiven Expired Withdrawn Revoked Invalidated Unknown"),
    ("Expired", "Requested RenewedGiven Refused Expired Invalidated Unknown"),
    ("Withdrawn", "Requested Given Refused Invalidated Unknown"),
    ("Revoked", "Requested Given Refused Invalidated Unknown"),
    ("Invalidated", "Requested Refused Unknown"),
    ("Unknown", "Requested RequestDeferred Refused Given Invalidated Unknown"),
];

fn anybody_may(from: Option<ConsentState>, to: ConsentState) -> bool {
    let who = [Entity::Subject, Entity::Guardian, Entity::Other("shop".into())];
    who.iter().any(|by| step(from, to, by).is_ok())
}

#[test]
fn a_state_follows_another_as_the_table_says() {
    for (from, may) in TABLE {
        let from = ConsentState::parse(from);
        for to in ConsentState::ALL {
            let expected = may.split(' ').any(|word| word == to.as_str());
            assert_eq!(anybody_may(from, to), expected, "{from:?} to {to}");
        }
    }
}

#[test]
fn only_the_person_says_yes_or_no_and_only_others_revoke() {
    use ConsentState as S;
    let other = Entity::Other("shop".into());
    for (from, to, by, may) in [
        (None, S::Given, &Entity::Subject, true),
        (None, S::Given, &Entity::Guardian, true),
        (None, S::Given, &other, false),
        (None, S::Refused, &other, false),
        (Some(S::Given), S::Withdrawn, &Entity::Guardian, true),
        (Some(S::Given), S::Withdrawn, &other, false),
        (Some(S::Given), S::Revoked, &other, true),
        (Some(S::Given), S::Revoked, &Entity::Subject, false),
        (Some(S::Given), S::Expired, &other, true),
        (Some(S::Given), S::Invalidated, &other, true),
        (None, S::Requested, &other, true),
    ] {
        assert_eq!(step(from, to, by).is_ok(), may, "{from:?} to {to} by {by:?}");
    }
}

#[test]
fn a_refusal_says_what_to_do_instead() {
    use ConsentState as S;
    for (from, to, says) in [
        (None, S::Withdrawn, "record `Refused`"),
        (Some(S::Expired), S::Withdrawn, "record `Refused`"),
        (Some(S::Given), S::Given, "`RenewedGiven`"),
        (Some(S::Given), S::Refused, "`Withdrawn`"),
        (Some(S::Invalidated), S::Given, "ask anew"),
        (Some(S::Refused), S::RenewedGiven, "record `Given`"),
    ] {
        let error = step(from, to, &Entity::Subject).unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
}
