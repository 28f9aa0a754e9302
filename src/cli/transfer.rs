//! `privet transfer`: whom data is passed to, and how many people's.

use serde_json::Value;

use super::admin::Caller;
use super::args::{Shape, TransferCommand};
use super::exit::{Failure, data};

/// Runs one of the commands.
pub(super) fn run(command: &TransferCommand) -> Result<(), Failure> {
    let TransferCommand::Show { output, admin } = command;
    let page = Caller::new(admin)?.get("/api/v1/transfers")?;
    match output {
        Shape::Json => data(&format!("{page:#}\n")),
        Shape::Table => data(&table(&page)),
    }
}

fn table(page: &Value) -> String {
    let mut table = String::from("YEAR   PEOPLE   SENSITIVE\n");
    for year in list(page, "counted") {
        let row = [text(year, "year"), text(year, "other"), text(year, "sensitive")];
        table.push_str(&format!("{:<6} {:<8} {}\n", row[0], row[1], row[2]));
    }
    table.push_str("\nLAW       DATA       FROM      REACHED  NEEDS ONE OF\n");
    for threshold in list(page, "thresholds") {
        let needs: Vec<&str> =
            list(threshold, "mechanisms").iter().filter_map(Value::as_str).collect();
        table.push_str(&format!(
            "{:<9} {:<10} {:<9} {:<8} {}\n",
            text(threshold, "law"),
            text(threshold, "class"),
            text(threshold, "people"),
            format!("{} %", text(threshold, "percent")),
            needs.join(", ")
        ));
    }
    table.push_str("\nRECIPIENT            KIND              IN  RESTS ON\n");
    for recipient in list(page, "recipients") {
        let agreement = recipient.get("agreement").unwrap_or(&Value::Null);
        let mut lines = vec![format!("agreement {}", held(agreement, &text(agreement, "ref")))];
        for mechanism in list(recipient, "mechanisms") {
            let of: Vec<&str> = list(mechanism, "for").iter().filter_map(Value::as_str).collect();
            let of = if of.len() > 6 { format!("{} countries", of.len()) } else { of.join(" ") };
            let case = match text(mechanism, "case") {
                case if case.is_empty() => case,
                case => format!(" ({case})"),
            };
            let name = format!("{}{case} for {of}", text(mechanism, "kind"));
            lines.push(held(mechanism, &name));
        }
        let head = [text(recipient, "id"), text(recipient, "kind"), text(recipient, "country")];
        for (at, line) in lines.iter().enumerate() {
            let [id, kind, country] = if at == 0 { head.clone() } else { Default::default() };
            table.push_str(&format!("{id:<20} {kind:<17} {country:<3} {line}\n"));
        }
    }
    table
}

/// What something rests on, until when, and whether it still holds.
fn held(of: &Value, name: &str) -> String {
    let until = match text(of, "until") {
        until if until.is_empty() => "without end".to_owned(),
        until => format!("until {}", until.get(..10).unwrap_or(&until)),
    };
    let holds = of.get("holds").and_then(Value::as_bool).unwrap_or_default();
    let ended = if holds { "" } else { ", does not hold" };
    format!("{name}, {until}{ended}")
}

fn list<'a>(page: &'a Value, key: &str) -> &'a [Value] {
    page.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn text(page: &Value, key: &str) -> String {
    match page.get(key) {
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => String::new(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_table_says_what_runs_out_and_what_does_not_hold() {
        let page = json!({
            "counted": [{ "year": 2026, "other": 81_000, "sensitive": 12 }],
            "thresholds": [{ "law": "cn_pipl", "class": "other", "people": 100_000,
                "mechanisms": ["cn_standard_contract"], "counted": 81_000, "percent": 81 }],
            "recipients": [{ "id": "mailer-us", "kind": "processor", "country": "US",
                "agreement": { "ref": "DPA-7", "until": null, "holds": true },
                "mechanisms": [{ "kind": "scc", "case": null, "for": ["GB"],
                    "until": "2026-01-01T00:00:00.000Z", "holds": false }] }],
        });
        let expected = "\
YEAR   PEOPLE   SENSITIVE
2026   81000    12

LAW       DATA       FROM      REACHED  NEEDS ONE OF
cn_pipl   other      100000    81 %     cn_standard_contract

RECIPIENT            KIND              IN  RESTS ON
mailer-us            processor         US  agreement DPA-7, without end
                                           scc for GB, until 2026-01-01, does not hold
";
        assert_eq!(table(&page), expected);
    }
}
