//! What people and programs ask a search for, as text.

use jiff::tz::TimeZone;

use crate::types::CategoryId;
use crate::types::DataSetId;
use crate::types::Level;
use crate::types::PurposeId;
use crate::types::RoleId;
use crate::types::StoreId;
use crate::types::Timestamp;
use crate::types::doc::closest;

use super::ActorToken;
use super::Filter;
use super::Kind;
use super::Shown;
use super::Verdict;
use super::parse_subject_token;

/// A word of a search that asks for nothing an entry could have.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FilterError {
    /// Nothing is searched by this name.
    #[error("a search has no `{name}`; {help}")]
    Name {
        /// The name.
        name: String,
        /// Which there are.
        help: String,
    },
    /// A value that no entry has.
    #[error("`{name}` takes {wanted}")]
    Value {
        /// What was asked for.
        name: &'static str,
        /// What it takes.
        wanted: String,
    },
}

impl Filter {
    /// Asks for `value` under one of the [`FILTER_NAMES`]; the last value of a name counts.
    ///
    /// # Errors
    /// When there is no such name, or no entry could have the value.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), FilterError> {
        match name {
            "from" => self.from = Some(read("from", TIME, moment(value))?),
            "until" => self.until = Some(read("until", TIME, moment(value))?),
            "kind" => {
                self.kind = Some(word("kind", Kind::parse(value), Kind::ALL.map(Kind::as_str))?)
            }
            "actor" => self.actor = Some(read("actor", TOKEN, ActorToken::parse(value))?),
            "role" => self.role = Some(read("role", ID, RoleId::parse(value).ok())?),
            "purpose" => self.purpose = Some(read("purpose", ID, PurposeId::parse(value).ok())?),
            "store" => self.store = Some(read("store", ID, StoreId::parse(value).ok())?),
            "data_set" => {
                let wanted = "a data set's name, such as shop.customers";
                self.data_set = Some(read("data_set", wanted, DataSetId::parse(value).ok())?);
            }
            "category" => {
                let wanted = "a category, such as user.contact.email";
                self.category = Some(read("category", wanted, CategoryId::parse(value).ok())?);
            }
            "level" => {
                let known = Level::ALL.map(Level::as_str);
                self.level = Some(word("level", Level::parse(value), known)?);
            }
            "view" => {
                let known = Shown::ALL.map(Shown::as_str);
                self.view = Some(word("view", Shown::parse(value), known)?);
            }
            "decision" => {
                let known = Verdict::ALL.map(Verdict::as_str);
                self.decision = Some(word("decision", Verdict::parse(value), known)?);
            }
            "request" => {
                let wanted = "a request id or a decision id, as the gateway gave it out";
                let id = Some(value).filter(|id| is_request_id(id)).map(str::to_owned);
                self.request_id = Some(read("request", wanted, id)?);
            }
            "clearance" => {
                let is_id = |id: &&str| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
                let id = Some(value).filter(is_id).map(str::to_owned);
                self.clearance = Some(read("clearance", CLEARANCE, id)?);
            }
            "subject" => self.subject = Some(read("subject", SUBJECT, parse_subject_token(value))?),
            other => {
                let near = closest(other, FILTER_NAMES.iter().copied());
                let near = near.map(|near| format!("did you mean `{near}`? "));
                let known = FILTER_NAMES.join(", ");
                let help = format!("{}known are {known}", near.unwrap_or_default());
                let name = other.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect();
                return Err(FilterError::Name { name, help });
            }
        }
        Ok(())
    }
}

impl Filter {
    /// What is asked for, by name, as text: the words of [`set`](Self::set), `nameless` and
    /// `observed`.
    pub fn asked(&self) -> Vec<(&'static str, String)> {
        let Self {
            from,
            until,
            kind,
            actor,
            role,
            purpose,
            store,
            data_set,
            category,
            level,
            view,
            decision,
            request_id,
            subject,
            clearance,
            nameless,
            observed,
        } = self;
        let asked = [
            ("from", from.map(|time| time.to_string())),
            ("until", until.map(|time| time.to_string())),
            ("kind", kind.map(|kind| kind.as_str().to_owned())),
            ("actor", actor.map(|actor| actor.to_string())),
            ("role", role.as_ref().map(RoleId::to_string)),
            ("purpose", purpose.as_ref().map(PurposeId::to_string)),
            ("store", store.as_ref().map(StoreId::to_string)),
            ("data_set", data_set.as_ref().map(DataSetId::to_string)),
            ("category", category.as_ref().map(CategoryId::to_string)),
            ("level", level.map(|level| level.to_string())),
            ("view", view.map(|view| view.as_str().to_owned())),
            ("decision", decision.map(|decision| decision.as_str().to_owned())),
            ("request", request_id.clone()),
            ("subject", subject.map(|subject| subject.to_string())),
            ("clearance", clearance.clone()),
            ("nameless", nameless.then(|| "true".to_owned())),
            ("observed", observed.then(|| "true".to_owned())),
        ];
        asked.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
    }
}

fn read<T>(name: &'static str, wanted: &str, found: Option<T>) -> Result<T, FilterError> {
    found.ok_or_else(|| FilterError::Value { name, wanted: wanted.to_owned() })
}

fn word<T, const N: usize>(
    name: &'static str,
    found: Option<T>,
    known: [&str; N],
) -> Result<T, FilterError> {
    found.ok_or_else(|| FilterError::Value { name, wanted: format!("one of {}", known.join(", ")) })
}

/// The gateway's ids are UUIDs. Nothing else is looked for, so that nothing else that somebody
/// types is written down about a search.
fn is_request_id(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// Reads `2026-11-21T09:00:00Z`, or `2026-11-21` as its beginning in UTC.
pub fn moment(text: &str) -> Option<Timestamp> {
    let date = || text.parse::<jiff::civil::Date>().ok()?.to_zoned(TimeZone::UTC).ok();
    let time = text.parse::<jiff::Timestamp>().ok().or_else(|| date().map(|d| d.timestamp()));
    u64::try_from(time?.as_millisecond()).ok().map(Timestamp::from_unix_ms)
}

/// What a search can ask for.
pub const FILTER_NAMES: [&str; 15] = [
    "from",
    "until",
    "kind",
    "actor",
    "role",
    "purpose",
    "store",
    "data_set",
    "category",
    "level",
    "view",
    "decision",
    "request",
    "subject",
    "clearance",
];
const CLEARANCE: &str = "the id of an approval or a broken glass: 32 hexadecimal digits";
const TIME: &str = "a time, such as 2026-11-21T09:00:00Z";
const TOKEN: &str = "a token of 32 hexadecimal digits, as the log shows it";
const SUBJECT: &str = "a person's token: 32 hexadecimal digits, as `privet subject show` prints";
const ID: &str = "a word of the policy";
const LONGEST_NAME: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_takes_what_entries_have_and_nothing_else() {
        for (name, good, bad) in [
            ("from", "2026-11-21", "yesterday"),
            ("until", "2026-11-21T09:00:00Z", "-1"),
            ("kind", "release", "released"),
            ("actor", "0123456789abcdef0123456789abcdef", "ana@mail.example"),
            ("role", "support", "a b"),
            ("purpose", "order_support", ""),
            ("store", "shop", "shop/x"),
            ("data_set", "shop.customers", "shop customers"),
            ("category", "user.contact.email", "!"),
            ("level", "critical", "secret"),
            ("view", "mask", "hidden"),
            ("decision", "refuse", "deny"),
            ("request", "0198c2a4-5f7e-7c31-9d5e-2f4b8c6a1d00", "ana-ruiz"),
            ("subject", "0123456789abcdef0123456789abcdef", "c-1002"),
        ] {
            assert!(FILTER_NAMES.contains(&name));
            let mut filter = Filter::default();
            filter.set(name, good).unwrap();
            assert_ne!(filter, Filter::default(), "{name}");
            let error = Filter::default().set(name, bad).unwrap_err();
            assert!(matches!(error, FilterError::Value { .. }), "{name}: {error}");
            assert!(!error.to_string().contains("ana"), "what was typed is not repeated");
        }
        let error = Filter::default().set("purpos", "x").unwrap_err().to_string();
        assert!(error.contains("did you mean `purpose`?"), "{error}");
    }
}
