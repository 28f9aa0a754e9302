//! The words of policy tests, map by map.

use super::shapes::FLAG;
use super::shapes::LEVEL;
use super::shapes::REGIONS;
use super::shapes::REPRESENTATIVE;
use super::shapes::STATUSES;
use super::shapes::Shape;
use super::shapes::TEXTS;
use super::shapes::Type;
use super::shapes::facts;

const VIEW_WORD: Type =
    Type::Words(|| vec!["show", "generalize", "mask", "pseudonymize", "ciphertext", "drop"]);

/// What an invariant speaks of, with what else stands there.
macro_rules! selection {
    ($($more:expr),* $(,)?) => {
        facts![
            ("roles", TEXTS),
            ("not_roles", TEXTS),
            ("purposes", TEXTS),
            ("purposes_except", TEXTS),
            ("data", TEXTS),
            ("fields", TEXTS),
            ("fields_except", TEXTS),
            ("categories", TEXTS),
            ("levels", Type::Some(&LEVEL)),
            ("flags", Type::Some(&FLAG)),
            ("view", Type::Some(&VIEW_WORD)),
            $($more),*
        ]
    };
}

/// Every kind of map in tests.
pub(in crate::policy) const SHAPES: &[Shape] = &[
    Shape {
        what: "a policy test",
        keys: &[
            ("privet", Type::Words(|| vec!["policy-test/v1"])),
            ("policy", Type::Text),
            ("now", Type::Moment),
            ("records", Type::Names(&Type::Map("a record"))),
            ("callers", Type::Names(&Type::Map("a caller"))),
            ("tests", Type::List(&Type::Map("a test"))),
            ("invariants", Type::List(&Type::Map("an invariant"))),
        ],
        required: &["privet", "now"],
        rest: None,
    },
    Shape {
        what: "a record",
        keys: &[
            ("data", Type::Text),
            ("value", Type::Any),
            ("status", STATUSES),
            ("consents", TEXTS),
            ("opt_outs", TEXTS),
            ("representatives", Type::Map("representatives")),
            ("consent_form", Type::Some(&Type::Words(|| vec!["separate", "by_guardian"]))),
        ],
        required: &["data", "value"],
        rest: None,
    },
    Shape { what: "representatives", keys: &[], required: &[], rest: Some(REPRESENTATIVE) },
    Shape {
        what: "a caller",
        keys: &[
            ("claims", Type::Names(&TEXTS)),
            ("roles", TEXTS),
            ("region", Type::Region),
            ("recipient", Type::Text),
            ("approved", TEXTS),
            ("broke_glass", TEXTS),
            ("mfa", Type::Text),
            ("ticket", Type::Any),
            ("domain", Type::Text),
            ("subject", Type::Text),
            ("purposes", TEXTS),
        ],
        required: &[],
        rest: None,
    },
    Shape {
        what: "a test",
        keys: &[
            ("name", Type::Text),
            ("call", Type::Map("`call`")),
            ("expect", Type::Map("`expect`")),
            ("each", Type::List(&Type::Map("an item of `each`"))),
        ],
        required: &["name", "call"],
        rest: None,
    },
    Shape {
        what: "`call`",
        keys: &[
            ("as", Type::Text),
            ("on_behalf_of", Type::Text),
            ("for", Type::Text),
            ("read", TEXTS),
            ("create", TEXTS),
            ("update", TEXTS),
            ("delete", TEXTS),
            ("export", TEXTS),
            ("route", Type::Text),
            ("find_by", TEXTS),
            ("gpc", Type::Bool),
        ],
        required: &["as"],
        rest: None,
    },
    Shape { what: "`expect`", keys: EXPECT, required: &[], rest: None },
    Shape { what: "an item of `each`", keys: EXPECT, required: &["record"], rest: None },
    Shape {
        what: "an invariant",
        keys: &[
            ("name", Type::Text),
            ("with_others", Type::Bool),
            ("never", Type::Map("`never`")),
            ("always", Type::Map("`always`")),
        ],
        required: &["name"],
        rest: None,
    },
    Shape { what: "`never`", keys: selection![], required: &[], rest: None },
    Shape {
        what: "`always`",
        keys: selection![(
            "needs",
            Type::Some(&Type::Words(|| vec![
                "approval",
                "break_glass",
                "consent",
                "is_subject",
                "mfa_within",
                "ticket"
            ]))
        )],
        required: &["needs"],
        rest: None,
    },
];

/// What is expected of a call.
const EXPECT: &[(&str, Type)] = &[
    ("decision", Type::Words(|| vec!["allow", "deny", "leave_out"])),
    ("record", Type::Any),
    ("record_includes", Type::Any),
    ("because", Type::Text),
    ("gone", TEXTS),
    ("by", TEXTS),
    ("missing", TEXTS),
    ("same", TEXTS),
    ("never_contains", TEXTS),
    ("writes", TEXTS),
];
