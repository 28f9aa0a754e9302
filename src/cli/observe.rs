//! `privet policy observe`: what enforcing the policy would change, where it is only observed.

use serde_json::Value;

use crate::audit;

use super::admin::Caller;
use super::args::{ObserveArgs, ObserveOutput};
use super::exit::{Exit, Failure, data, tell};

/// Asks the running gateway, and shows it.
pub(super) fn run(wish: &ObserveArgs) -> Result<(), Failure> {
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in [("since", &wish.since), ("data", &wish.data)] {
        if let Some(value) = value {
            query.append_pair(name, value);
        }
    }
    let page =
        Caller::new(&wish.admin)?.get(&format!("/api/v1/observations?{}", query.finish()))?;
    let rows = page.get("rows").and_then(Value::as_array);
    let rows = rows.ok_or_else(|| Failure::new(Exit::Failed, "the answer cannot be read"))?;
    match wish.output {
        ObserveOutput::Json => data(&format!("{page:#}\n")),
        ObserveOutput::Csv => data(&csv(rows)),
        ObserveOutput::Table => {
            data(&table(&page, rows))?;
            tell("note: by the policy as it was at the time of each call");
            Ok(())
        }
    }
}

const COLUMNS: [&str; 12] = [
    "data_set",
    "roles",
    "purpose",
    "action",
    "route",
    "calls",
    "changed",
    "refused",
    "left_out",
    "fields",
    "unlisted",
    "unattributed",
];

/// A value in one cell: of a list or map, its parts.
fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(cell).collect::<Vec<_>>().join(" "),
        Value::Object(parts) => {
            let parts = parts.iter().map(|(name, value)| match value {
                Value::Object(_) => format!("{name}: {}", cell(value)),
                value => format!("{name}={value}"),
            });
            parts.collect::<Vec<_>>().join("; ")
        }
        other => other.to_string(),
    }
}

fn csv(rows: &[Value]) -> String {
    let mut text = audit::csv_line(&COLUMNS);
    for row in rows {
        let cells = COLUMNS.map(|name| row.get(name).map(cell).unwrap_or_default());
        text.extend(audit::csv_line(&cells.each_ref().map(String::as_str)));
    }
    String::from_utf8(text).unwrap_or_default()
}

fn table(page: &Value, rows: &[Value]) -> String {
    let number = |name: &str| page.get(name).and_then(Value::as_u64).unwrap_or(0);
    let mut text = format!(
        "Enforcing the policy would have changed {} of {} observed calls.\n",
        number("changed"),
        number("calls"),
    );
    for row in rows {
        let of = |name: &str| row.get(name).map(cell).unwrap_or_default();
        let purpose = match of("purpose") {
            purpose if purpose.is_empty() => "no known purpose".to_owned(),
            purpose => purpose,
        };
        let roles = match of("roles") {
            roles if roles.is_empty() => "no role".to_owned(),
            roles => roles,
        };
        text.push_str(&format!(
            "\n{}  {roles} for {purpose}: {} {}\n  {} calls, {} of them changed\n",
            of("data_set"),
            of("action"),
            of("route"),
            of("calls"),
            of("changed"),
        ));
        for (name, words) in [
            ("refused", "would be refused"),
            ("left_out", "records left out"),
            ("fields", "fields shown otherwise"),
            ("unlisted", "records with fields that are not listed"),
            ("unattributed", "records nobody can be named for"),
        ] {
            let value = of(name);
            if !value.is_empty() && value != "0" {
                text.push_str(&format!("  {words}: {value}\n"));
            }
        }
    }
    let advice = page.get("advice").and_then(Value::as_array).into_iter().flatten();
    let advice: Vec<&str> = advice.filter_map(Value::as_str).collect();
    if !advice.is_empty() {
        text.push_str("\nWhat to look at before it is in force:\n");
        advice.iter().for_each(|line| text.push_str(&format!("- {line}\n")));
    }
    text
}
