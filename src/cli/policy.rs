//! `privet policy`: tests, the matrix, and questions about policies.

use std::path::Path;
use std::sync::Arc;

use crate::app;
use crate::app::LoadError;
use crate::audit;
use crate::clock::Clock;
use crate::clock::SystemClock;
use crate::policy::Filter;
use crate::policy::Given;
use crate::policy::Language;
use crate::policy::Matrix;
use crate::policy::PolicySet;
use crate::policy::Question;
use crate::policy::explain;
use crate::policy::schema;
use crate::types::Action;
use crate::types::FieldPath;
use crate::types::PurposeId;
use crate::types::RecipientId;
use crate::types::Region;
use crate::types::RepresentativeKind;
use crate::types::RoleId;
use crate::types::Statuses;
use crate::types::doc::closest;

use super::args::{
    ExplainArgs, MatrixArgs, MatrixOutput, PoliciesArgs, PolicyCommand, SchemaOf, Shape,
    TestOutput, Tongue,
};
use super::check;
use super::diff;
use super::exit::{Exit, Failure, data, tell};
use super::observe;

/// Runs one of them.
pub(super) fn run(command: &PolicyCommand) -> Result<(), Failure> {
    match command {
        PolicyCommand::Diff(wish) => diff::run(wish),
        PolicyCommand::Explain(wish) => answer(wish),
        PolicyCommand::Matrix(wish) => matrix(wish),
        PolicyCommand::Observe(wish) => observe::run(wish),
        PolicyCommand::Schema { of: SchemaOf::Policy } => print_json(&schema::policy()),
        PolicyCommand::Schema { of: SchemaOf::Test } => print_json(&schema::test()),
        PolicyCommand::Test { config, output } => test(&config.config, *output),
    }
}

/// Runs the tests beside the policies; exit code 4 when one fails or there is none.
fn test(config: &Path, output: TestOutput) -> Result<(), Failure> {
    let loaded = check::load(config)?;
    let report = loaded.test_report().map_err(|faults| {
        for fault in &faults {
            tell(&format!("{fault}\n"));
        }
        Failure::new(Exit::Config, "the tests cannot be read")
    })?;
    data(&match output {
        TestOutput::Junit => report.junit(),
        TestOutput::Tree => report.tree(),
    })?;
    if report.is_empty() {
        let folder = loaded.config.policies.display();
        let what = format!("no tests were found in {folder}; they stand in *.test.yaml");
        return Err(Failure::new(Exit::Tests, what));
    }
    if report.failed() == 0 { Ok(()) } else { Err(Failure::new(Exit::Tests, "")) }
}

/// The policies of a folder or a file, or of the configuration.
fn policies(at: &PoliciesArgs) -> Result<Arc<PolicySet>, Failure> {
    match &at.policies {
        Some(path) => read(path),
        None => Ok(check::load(&at.config.config)?.policy),
    }
}

/// The policies of a folder or a file; what is wrong is told as `check` tells it.
pub(super) fn read(path: &Path) -> Result<Arc<PolicySet>, Failure> {
    app::read_policies(path).map_err(|error| match error {
        LoadError::Faults(faults) => check::refused(&faults),
        error @ LoadError::Read(_) => Failure::caused(Exit::Config, &error),
    })
}

fn matrix(wish: &MatrixArgs) -> Result<(), Failure> {
    let policy = policies(&wish.policies)?;
    let roles: Vec<&str> = policy.roles().map(RoleId::as_str).collect();
    let purposes: Vec<&str> = policy.purposes().map(PurposeId::as_str).collect();
    let sets: Vec<&str> = policy.sets().iter().map(|set| set.id.as_str()).collect();
    for (what, asked, known) in [
        ("role", &wish.role, &roles),
        ("purpose", &wish.purpose, &purposes),
        ("data set", &wish.data, &sets),
    ] {
        for word in asked {
            known_word(what, word, known)?;
        }
    }
    let filter = Filter {
        roles: wish.role.clone(),
        purposes: wish.purpose.clone(),
        data: wish.data.clone(),
    };
    let language = match wish.language {
        Tongue::En => Language::English,
        Tongue::ZhCn => Language::Chinese,
    };
    let matrix = Matrix::of(&policy, &filter, language);
    match wish.output {
        MatrixOutput::Csv => {
            let mut text = audit::csv_line(&Matrix::COLUMNS);
            for row in matrix.rows() {
                text.extend(audit::csv_line(&row.each_ref().map(String::as_str)));
            }
            data(&String::from_utf8_lossy(&text))
        }
        MatrixOutput::Html => data(&matrix.html(SystemClock.now())),
        MatrixOutput::Json => print_json(&matrix.json()),
        MatrixOutput::Table => data(&matrix.table()),
    }
}

fn answer(wish: &ExplainArgs) -> Result<(), Failure> {
    let policy = policies(&wish.policies)?;
    let question = question(wish, &policy)?;
    let found = explain(&policy, &question);
    match wish.output {
        Shape::Json => print_json(&found.json()),
        Shape::Table => data(&found.text()),
    }
}

fn question(wish: &ExplainArgs, policy: &PolicySet) -> Result<Question, Failure> {
    let roles: Vec<&str> = policy.roles().map(RoleId::as_str).collect();
    let purposes: Vec<&str> = policy.purposes().map(PurposeId::as_str).collect();
    known_word("role", &wish.role, &roles)?;
    known_word("purpose", &wish.purpose, &purposes)?;
    let whole = policy.sets().iter().flat_map(|set| {
        set.fields.iter().map(move |field| (set, field, format!("{}.{}", set.id, field.path)))
    });
    let whole: Vec<_> = whole.collect();
    let names: Vec<&str> = whole.iter().map(|(_, _, name)| name.as_str()).collect();
    known_word("field", &wish.field, &names)?;
    let found = whole.iter().find(|(_, _, name)| *name == wish.field);
    let (set, field, _) = found.ok_or_else(|| Failure::new(Exit::Usage, "unknown field"))?;
    let actions = Action::ALL.map(Action::as_str);
    known_word("action", &wish.action, &actions)?;
    let usage = |what: &dyn std::fmt::Display| Failure::new(Exit::Usage, what);
    let region = |text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => Region::parse(text).map(Some).ok_or_else(|| {
            usage(&format_args!("`{text}` is no country; write two letters, such as CN"))
        }),
    };
    let status = Statuses::parse(&wish.status).ok_or_else(|| {
        usage(&format_args!("`{}` is no status; write restricted or minor,held", wish.status))
    })?;
    if let Some(word) = &wish.acts_as {
        known_word(
            "kind of representative",
            word,
            &RepresentativeKind::ALL.map(RepresentativeKind::as_str),
        )?;
    }
    let acts_as = wish.acts_as.as_deref().and_then(RepresentativeKind::parse);
    let recipient = wish.recipient.as_deref().map(RecipientId::parse);
    Ok(Question {
        role: RoleId::parse(&wish.role).map_err(|e| usage(&e))?,
        purpose: PurposeId::parse(&wish.purpose).map_err(|e| usage(&e))?,
        data: set.id.clone(),
        field: FieldPath::clone(&field.path),
        action: Action::parse(&wish.action).unwrap_or(Action::Read),
        given: Given {
            region: region(&wish.region)?,
            record_region: region(&wish.record_region)?,
            mfa: wish.mfa,
            ticket: wish.ticket,
            cleared: wish.cleared,
            gpc: wish.gpc,
            recipient: recipient.transpose().map_err(|e| usage(&e))?,
            is_subject: wish.is_subject,
            acts_as,
            rows: wish.rows,
            consent: wish.consent,
            opted_out: wish.opted_out,
            status,
            now: SystemClock.now(),
        },
    })
}

/// Refuses a word that nobody knows, with the one that may have been meant.
fn known_word(what: &str, word: &str, known: &[&str]) -> Result<(), Failure> {
    if known.contains(&word) {
        return Ok(());
    }
    let near = closest(word, known.iter().copied());
    let help = near.map_or_else(
        || {
            let few: Vec<&str> = known.iter().copied().take(MOST_LISTED).collect();
            format!("known here: {}", few.join(", "))
        },
        |near| format!("did you mean `{near}`?"),
    );
    Err(Failure::new(Exit::Usage, format_args!("unknown {what} `{word}`; {help}")))
}

pub(super) fn print_json(value: &serde_json::Value) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value);
    data(&format!("{}\n", text.map_err(|e| Failure::new(Exit::Failed, e))?))
}

/// More known words than this help nobody.
const MOST_LISTED: usize = 40;
