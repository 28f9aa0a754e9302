//! `privet approval`: asking for what a grant needs, agreeing to it, breaking glass, reviewing it.

use serde_json::Value;
use serde_json::json;

use super::admin;
use super::admin::Caller;
use super::args::{ApprovalCommand, CallerArgs, FindingWord, Shape, WishArgs};
use super::exit::{Exit, Failure, data, tell};
use super::reidentify::checked;

/// Runs one of the commands.
pub(super) fn run(command: &ApprovalCommand) -> Result<(), Failure> {
    match command {
        ApprovalCommand::Request { wish, by } => {
            let made = admin::post(&by.into(), PATH, &body(wish))?;
            let role = text(&made, "role");
            let id = text(&made, "id");
            tell(&format!(
                "note: somebody else with the role `{role}` approves it: privet approval approve {id}"
            ));
            data(&format!("{made:#}\n"))
        }
        ApprovalCommand::BreakGlass { wish, by } => {
            let made = admin::post(&by.into(), &format!("{PATH}/break-glass"), &body(wish))?;
            let due = made.pointer("/review/due").and_then(Value::as_str).unwrap_or_default();
            let (role, until) = (text(&made, "role"), text(&made, "until"));
            tell(&format!(
                "warning: an alert was raised; the grant counts until {until}, and somebody else with \
                 the role `{role}` reviews it before {due}"
            ));
            data(&format!("{made:#}\n"))
        }
        ApprovalCommand::List { output, by } => list(*output, by),
        ApprovalCommand::Show { id, by } => {
            let page = Caller::new(&by.into())?.get(&format!("{PATH}/{}", checked(id)?))?;
            data(&format!("{page:#}\n"))
        }
        ApprovalCommand::Approve { id, by } => change(id, "approve", by, &Value::Null),
        ApprovalCommand::Refuse { id, by } => change(id, "refuse", by, &Value::Null),
        ApprovalCommand::Revoke { id, by } => change(id, "revoke", by, &Value::Null),
        ApprovalCommand::Review { id, finding, note, by } => {
            let finding = match finding {
                FindingWord::Justified => "justified",
                FindingWord::Unjustified => "unjustified",
            };
            change(id, "review", by, &json!({ "finding": finding, "note": note }))
        }
    }
}

fn body(wish: &WishArgs) -> Value {
    let WishArgs { grant, purpose, case, why } = wish;
    json!({ "grant": grant, "purpose": purpose, "case": case, "why": why })
}

fn change(id: &str, what: &str, by: &CallerArgs, body: &Value) -> Result<(), Failure> {
    let path = format!("{PATH}/{}/{what}", checked(id)?);
    data(&format!("{:#}\n", admin::post(&by.into(), &path, body)?))
}

fn list(output: Shape, by: &CallerArgs) -> Result<(), Failure> {
    let page = Caller::new(&by.into())?.get(PATH)?;
    let rows = page.get("rows").and_then(Value::as_array);
    let rows = rows.ok_or_else(|| Failure::new(Exit::Failed, "the gateway gave no list"))?;
    if matches!(output, Shape::Json) {
        return data(&format!("{:#}\n", Value::Array(rows.clone())));
    }
    let mut page = format!(
        "{:<32}  {:<11}  {:<8}  {:<20}  {:<12}  {:<24}  {:<8}  {}\n",
        "ID", "KIND", "STATE", "GRANT", "BY ROLE", "UNTIL", "REVIEW", "ASKED BY"
    );
    for row in rows {
        let review = row.pointer("/review/state").and_then(Value::as_str).unwrap_or_default();
        page.push_str(&format!(
            "{:<32}  {:<11}  {:<8}  {:<20}  {:<12}  {:<24}  {review:<8}  {}\n",
            text(row, "id"),
            text(row, "kind"),
            text(row, "state"),
            text(row, "grant"),
            text(row, "role"),
            text(row, "until"),
            text(row, "requested_by"),
        ));
    }
    data(&page)
}

fn text<'a>(row: &'a Value, name: &str) -> &'a str {
    row.get(name).and_then(Value::as_str).unwrap_or_default()
}

const PATH: &str = "/api/v1/approvals";
