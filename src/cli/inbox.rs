//! `privet store inbox`: fields that were seen and that no policy lists.

use std::collections::BTreeMap;

use serde_json::Value;
use serde_json::json;

use crate::catalog::draft::Key;

use super::admin::Caller;
use super::args::{InboxArgs, InboxCommand, InboxShape};
use super::exit::{Exit, Failure, data, tell};

/// Shows the inbox, or dismisses what is in it.
pub(super) fn run(wish: &InboxArgs) -> Result<(), Failure> {
    let caller = Caller::new(&wish.admin)?;
    if let Some(InboxCommand::Dismiss { path }) = &wish.command {
        let Some(set) = &wish.data else {
            return Err(Failure::new(Exit::Usage, "say whose fields: --data shop.customers"));
        };
        let body = json!({ "data": set, "path": path });
        let done = caller.post("/api/v1/stores/inbox/dismiss", &body)?;
        let count = done.get("dismissed").and_then(Value::as_u64).unwrap_or(0);
        tell(&format!("note: {count} fields are shown no more; `--all` shows them"));
        return Ok(());
    }
    let mut query = form_urlencoded::Serializer::new(String::new());
    if let Some(set) = &wish.data {
        query.append_pair("data", set);
    }
    if wish.all {
        query.append_pair("all", "true");
    }
    let page = caller.get(&format!("/api/v1/stores/inbox?{}", query.finish()))?;
    let rows = page.get("rows").and_then(Value::as_array);
    let rows = rows.ok_or_else(|| Failure::new(Exit::Failed, "the answer cannot be read"))?;
    match wish.output {
        InboxShape::Json => data(&format!("{page:#}\n")),
        InboxShape::Table => data(&table(rows)),
        InboxShape::Yaml => data(&yaml(rows)),
    }
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn kinds(row: &Value) -> Vec<&str> {
    let kinds = row.get("kinds").and_then(Value::as_array).into_iter().flatten();
    kinds.filter_map(Value::as_str).collect()
}

/// The guess: category, how sure, and what it is in words.
fn guess(row: &Value) -> Option<(&str, u64, &str)> {
    let guess = row.get("guess").filter(|guess| !guess.is_null())?;
    let sure = guess.get("confidence").and_then(Value::as_u64)?;
    Some((text(guess, "category"), sure, text(guess, "what")))
}

/// Lines for `fields:` of each data set. What nobody can guess stays as protected as it can be.
fn yaml(rows: &[Value]) -> String {
    let mut by_set: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for row in rows {
        by_set.entry(text(row, "data_set")).or_default().push(line(row));
    }
    let mut page = String::new();
    for (set, lines) in by_set {
        page.push_str(&format!(
            "# {set}: put under `fields:` what a person has confirmed; a guess is a guess\n"
        ));
        lines.iter().for_each(|line| page.push_str(line));
    }
    page
}

fn line(row: &Value) -> String {
    let (path, kinds) = (text(row, "path"), kinds(row));
    let count = row.get("count").and_then(Value::as_u64).unwrap_or(0);
    let seen = format!("{}, {count} times, last {}", kinds.join(" or "), text(row, "last"));
    if path.ends_with('*') {
        let above = path.trim_end_matches('*').trim_end_matches('.');
        let help = if above.is_empty() {
            "a policy can only list names".to_owned()
        } else {
            format!("list `{above}` with `whole: true`, or not")
        };
        return format!("# {path}  {seen}: names that look like data; {help}\n");
    }
    let whole = if kinds.iter().any(|kind| matches!(*kind, "object" | "array")) {
        ", whole: true"
    } else {
        ""
    };
    let name = Key(path);
    match guess(row) {
        Some((category, sure, what)) => {
            format!("{name}: {{ category: {category}{whole} }}  # {what}, {sure} % sure; {seen}\n")
        }
        None => {
            format!("{name}: {{ category: user, level: critical{whole} }}  # what is it? {seen}\n")
        }
    }
}

fn table(rows: &[Value]) -> String {
    let mut page = format!(
        "{:<18}  {:<28}  {:<14}  {:>9}  {:<24}  {}\n",
        "data set", "field", "holds", "seen", "last", "may be"
    );
    for row in rows {
        let guess = guess(row)
            .map_or_else(|| "?".to_owned(), |(category, sure, _)| format!("{category} ({sure} %)"));
        page.push_str(&format!(
            "{:<18}  {:<28}  {:<14}  {:>9}  {:<24}  {guess}\n",
            text(row, "data_set"),
            text(row, "path"),
            kinds(row).join(","),
            row.get("count").and_then(Value::as_u64).unwrap_or(0),
            text(row, "last"),
        ));
    }
    page
}
