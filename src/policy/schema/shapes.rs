//! The words of policies, map by map.

use crate::policy::LegalBasis;
use crate::policy::transfer::MechanismKind;
use crate::policy::transfer::RecipientKind;
use crate::types::Action;
use crate::types::Flags;
use crate::types::Level;
use crate::types::RepresentativeKind;
use crate::types::SubjectStatus;

/// One kind of map, as its reader names it.
#[derive(Debug)]
pub(in crate::policy) struct Shape {
    /// What its reader calls it.
    pub(in crate::policy) what: &'static str,
    /// Its keys.
    pub(in crate::policy) keys: &'static [(&'static str, Type)],
    /// Those that must be there.
    pub(in crate::policy) required: &'static [&'static str],
    /// What other keys hold; `None`: there are no others.
    pub(in crate::policy) rest: Option<Type>,
}

/// What a value is.
#[derive(Debug)]
pub(in crate::policy) enum Type {
    /// Anything.
    Any,
    /// `true` or `false`.
    Bool,
    /// Not in this version.
    Later,
    /// A list.
    List(&'static Self),
    /// Text, or text by language.
    Localized,
    /// A map of this kind.
    Map(&'static str),
    /// A day or a moment.
    Moment,
    /// A map with keys of its own.
    Names(&'static Self),
    /// One of these.
    OneOf(&'static [Self]),
    /// A country.
    Region,
    /// One, or a list.
    Some(&'static Self),
    /// Text.
    Text,
    /// `true` alone.
    True,
    /// A number without a fraction.
    Whole,
    /// One of these words.
    Words(fn() -> Vec<&'static str>),
}

pub(super) const TEXTS: Type = Type::Some(&Type::Text);
/// A country, or a group of them.
pub(super) const REGIONS: Type = TEXTS;
pub(super) const STATUSES: Type = Type::Some(&STATUS);
const STATUS: Type = Type::Words(|| SubjectStatus::ALL.map(SubjectStatus::as_str).to_vec());
pub(super) const ACTION: Type = Type::Words(|| Action::ALL.map(Action::as_str).to_vec());
pub(super) const LEVEL: Type = Type::Words(|| Level::ALL.map(Level::as_str).to_vec());
pub(super) const FLAG: Type = Type::Words(|| Flags::NAMED.map(|(_, word)| word).to_vec());
const BASIS: Type = Type::Words(|| LegalBasis::ALL.map(LegalBasis::as_str).to_vec());
pub(super) const REPRESENTATIVE: Type =
    Type::Words(|| RepresentativeKind::ALL.map(RepresentativeKind::as_str).to_vec());
const RECIPIENT: Type = Type::Words(|| RecipientKind::ALL.map(RecipientKind::as_str).to_vec());
const MECHANISM: Type = Type::Words(|| MechanismKind::ALL.map(MechanismKind::as_str).to_vec());
const VIEW: Type = Type::OneOf(&[Type::Text, Type::Map("a view")]);
/// The facts that `if` and `unless` share, with what else stands there.
macro_rules! facts {
    ($($more:expr),* $(,)?) => {
        &[
            ("subject_status", STATUSES),
            ("opted_out", Type::True),
            ("record_region", REGIONS),
            ("caller_region", REGIONS),
            ("caller_region_not", REGIONS),
            $($more),*
        ]
    };
}
pub(super) use facts;

/// Every kind of map in policies.
pub(in crate::policy) const SHAPES: &[Shape] = &[
    Shape {
        what: "a policy",
        keys: &[
            ("privet", Type::Words(|| vec!["policy/v1"])),
            ("name", Type::Text),
            ("title", Type::Localized),
            ("owner", Type::Text),
            ("review_by", Type::Moment),
            ("region_groups", Type::Names(&TEXTS)),
            ("recipients", Type::Names(&Type::Map("a recipient"))),
            ("purposes", Type::Names(&Type::Map("a purpose"))),
            ("roles", Type::Names(&Type::Map("a role"))),
            ("views", Type::Names(&Type::Map("a view"))),
            ("categories", Type::Names(&Type::Map("a category"))),
            ("data", Type::Names(&Type::Map("a data set"))),
            ("grants", Type::List(&Type::Map("a grant"))),
            ("limits", Type::List(&Type::Map("a limit"))),
        ],
        required: &["privet"],
        rest: None,
    },
    Shape {
        what: "a purpose",
        keys: &[
            ("title", Type::Localized),
            ("use", Type::Text),
            ("consent", Type::Text),
            ("opt_out", Type::Text),
            ("gpc", Type::Bool),
            ("separate", Type::OneOf(&[Type::Bool, TEXTS])),
            ("basis", Type::OneOf(&[BASIS, Type::Map("a legal basis")])),
        ],
        required: &["basis"],
        rest: None,
    },
    Shape {
        what: "a recipient",
        keys: &[
            ("title", Type::Localized),
            ("kind", RECIPIENT),
            ("parent", Type::Text),
            ("country", Type::Text),
            ("agreement", Type::Map("an agreement")),
            ("mechanisms", Type::List(&Type::Map("a mechanism"))),
        ],
        required: &["kind", "country", "agreement"],
        rest: None,
    },
    Shape {
        what: "an agreement",
        keys: &[("ref", Type::Text), ("until", Type::Moment)],
        required: &["ref"],
        rest: None,
    },
    Shape {
        what: "a mechanism",
        keys: &[
            ("kind", MECHANISM),
            ("for", TEXTS),
            ("until", Type::Moment),
            ("case", Type::Text),
            ("ref", Type::Text),
        ],
        required: &["kind", "for"],
        rest: None,
    },
    Shape {
        what: "a legal basis",
        keys: &[("default", BASIS)],
        required: &["default"],
        rest: Some(BASIS),
    },
    Shape {
        what: "a role",
        keys: &[
            ("claim", Type::Text),
            ("has", Type::Text),
            ("is_subject", Type::True),
            ("or_representative", Type::Some(&REPRESENTATIVE)),
        ],
        required: &[],
        rest: None,
    },
    Shape {
        what: "a view",
        keys: &[
            ("mask", Type::Map("a mask")),
            ("generalize", Type::Map("`generalize`")),
            ("pseudonymize", Type::Map("`pseudonymize`")),
            ("redact", Type::Later),
        ],
        required: &[],
        rest: None,
    },
    Shape {
        what: "a mask",
        keys: &[
            ("keep_first", Type::Whole),
            ("keep_last", Type::Whole),
            ("keep_domain", Type::Bool),
        ],
        required: &[],
        rest: None,
    },
    Shape {
        what: "`generalize`",
        keys: &[
            ("date", Type::Words(|| vec!["year", "month"])),
            ("number", Type::Whole),
            ("address", Type::Text),
        ],
        required: &[],
        rest: None,
    },
    Shape {
        what: "`pseudonymize`",
        keys: &[
            ("scope", Type::Words(|| vec!["purpose"])),
            ("shape", Type::Words(|| vec!["token", "email", "digits", "card", "date"])),
            ("reversible", Type::Bool),
            ("digits", Type::Whole),
            ("min_digits", Type::Whole),
            ("keep_first", Type::Whole),
            ("keep_last", Type::Whole),
            ("luhn", Type::Bool),
            ("days", Type::Whole),
        ],
        required: &["scope"],
        rest: None,
    },
    Shape {
        what: "a category",
        keys: &[("title", Type::Localized), ("level", LEVEL), ("flags", Type::Some(&FLAG))],
        required: &[],
        rest: None,
    },
    Shape {
        what: "a data set",
        keys: &[
            ("title", Type::Localized),
            ("fields", Type::Names(&Type::Map("a field"))),
            (
                "subject",
                Type::OneOf(&[Type::Words(|| vec!["none"]), Type::Some(&Type::Map("a subject"))]),
            ),
            ("region", Type::Text),
            ("routes", Type::List(&Type::Map("a route"))),
            ("mode", Type::OneOf(&[Type::Words(|| vec!["enforce"]), Type::Map("a mode")])),
            ("rights", Type::Later),
            ("on_erase", Type::Later),
            ("retention", Type::Later),
        ],
        required: &["fields", "subject"],
        rest: None,
    },
    Shape {
        what: "a subject",
        keys: &[
            ("field", Type::Text),
            ("domain", Type::Text),
            ("fields", TEXTS),
            ("via", Type::Later),
        ],
        required: &["field", "domain"],
        rest: None,
    },
    Shape { what: "a mode", keys: &[("observe_until", Type::Moment)], required: &[], rest: None },
    Shape {
        what: "a field",
        keys: &[
            ("category", Type::Text),
            ("level", LEVEL),
            ("text", Type::Bool),
            ("whole", Type::Bool),
            ("children", Type::Names(&Type::Map("a field"))),
            ("at_rest", Type::Words(|| vec!["plain", "encrypt"])),
            ("index", Type::OneOf(&[Type::Text, Type::Map("an index")])),
            ("seal_as", Type::Text),
            ("encryption", Type::Words(|| vec!["strict", "migrating"])),
            ("max_length", Type::Whole),
            ("on_erase", Type::Later),
        ],
        required: &[],
        rest: None,
    },
    Shape {
        what: "an index",
        keys: &[("field", Type::Text), ("as", Type::Text), ("bits", Type::Whole)],
        required: &["field"],
        rest: None,
    },
    Shape {
        what: "a route",
        keys: &[
            ("on", Type::Text),
            ("records", Type::OneOf(&[Type::Text, Type::Names(&Type::Text)])),
            ("around", TEXTS),
            ("query", TEXTS),
            ("find_by", Type::Names(&Type::Text)),
            ("purpose", Type::Text),
            ("created_id", Type::Text),
            ("unsafe_writes", Type::Words(|| vec!["accepted"])),
            ("field", Type::Text),
            ("of", Type::Text),
        ],
        required: &["on"],
        rest: None,
    },
    Shape {
        what: "a grant",
        keys: &[
            ("id", Type::Text),
            ("why", Type::Localized),
            ("roles", TEXTS),
            ("purposes", TEXTS),
            ("data", TEXTS),
            ("can", Type::Some(&ACTION)),
            ("fields", Type::Names(&VIEW)),
            ("categories", Type::Names(&VIEW)),
            ("levels", Type::Map("`levels`")),
            ("rows", Type::Names(&Type::Text)),
            ("find_by", TEXTS),
            ("writes", TEXTS),
            ("needs", Type::Map("`needs`")),
            ("valid", Type::Map("`valid`")),
            ("overrides", TEXTS),
        ],
        required: &["id", "roles", "purposes", "data", "can"],
        rest: None,
    },
    Shape {
        what: "`levels`",
        keys: &[("general", VIEW), ("sensitive", VIEW), ("critical", VIEW)],
        required: &[],
        rest: None,
    },
    Shape {
        what: "`needs`",
        keys: &[
            ("mfa_within", Type::Text),
            ("ticket", Type::True),
            ("approval", Type::Map("`approval`")),
            ("break_glass", Type::Map("`break_glass`")),
            ("open_request", Type::Later),
        ],
        required: &[],
        rest: None,
    },
    Shape {
        what: "`approval`",
        keys: &[("by", Type::Text), ("for", Type::Text)],
        required: &["by", "for"],
        rest: None,
    },
    Shape {
        what: "`break_glass`",
        keys: &[("for", Type::Text), ("review_by", Type::Text), ("review_within", Type::Text)],
        required: &["for", "review_by", "review_within"],
        rest: None,
    },
    Shape {
        what: "`valid`",
        keys: &[("from", Type::Moment), ("until", Type::Moment)],
        required: &[],
        rest: None,
    },
    Shape {
        what: "a limit",
        keys: &[
            ("id", Type::Text),
            ("roles", TEXTS),
            ("purposes", TEXTS),
            ("if", Type::Map("`if`")),
            ("unless", Type::Map("`unless`")),
            ("then", VIEW),
            ("say", Type::Localized),
        ],
        required: &["id", "if", "then"],
        rest: None,
    },
    Shape {
        what: "`if`",
        keys: facts![
            ("recipient", TEXTS),
            ("recipient_not", TEXTS),
            ("recipient_kind", Type::Some(&RECIPIENT)),
            ("flags", Type::Some(&FLAG)),
            ("levels", Type::Some(&LEVEL)),
            ("subjects_shown_over", Type::Whole),
            ("within", Type::Text),
        ],
        required: &[],
        rest: None,
    },
    Shape {
        what: "`unless`",
        keys: facts![
            ("recipient", TEXTS),
            ("recipient_not", TEXTS),
            ("recipient_kind", Type::Some(&RECIPIENT)),
            ("roles", TEXTS),
            ("purposes", TEXTS),
            ("transfer", Type::True),
        ],
        required: &[],
        rest: None,
    },
];
