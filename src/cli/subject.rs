//! `privet subject`: what stands in a person's card, and the end of their key.

use std::io::Read;

use serde_json::Value;
use serde_json::json;

use super::accesses;
use super::admin;
use super::args::{AdminArgs, Answer, RepresentativeCommand, SubjectCommand, WhoArgs};
use super::exit::{Exit, Failure, data};
use super::time;

/// Runs one of the subject commands and shows the card, or what came of the erasure.
pub(super) fn run(command: SubjectCommand) -> Result<(), Failure> {
    match command {
        SubjectCommand::Show { who, admin } => send(&who, &admin, "show", &json!({})),
        SubjectCommand::Status { who, status, admin } => {
            send(&who, &admin, "status", &json!({ "status": status }))
        }
        SubjectCommand::Consent { who, consent, answer, until, admin } => {
            let until = until.as_deref().map(time::moment).transpose()?;
            let given = matches!(answer, Answer::Given);
            let until = until.map(crate::types::Timestamp::unix_ms);
            send(
                &who,
                &admin,
                "consent",
                &json!({ "consent": consent, "given": given, "until": until }),
            )
        }
        SubjectCommand::OptOut { who, name, undo, admin } => {
            send(&who, &admin, "opt-out", &json!({ "name": name, "out": !undo }))
        }
        SubjectCommand::Representative(command) => represent(&command),
        SubjectCommand::Report(wish) => accesses::run(&wish),
        SubjectCommand::EraseKey { who, admin } => send(&who, &admin, "erase-key", &json!({})),
    }
}

fn send(who: &WhoArgs, at: &AdminArgs, path: &str, wish: &Value) -> Result<(), Failure> {
    let card = admin::post(at, &format!("/api/v1/subjects/{path}"), &body(who, wish)?)?;
    data(&format!("{card:#}\n"))
}

fn represent(command: &RepresentativeCommand) -> Result<(), Failure> {
    let (path, wish, admin) = match command {
        RepresentativeCommand::Add { who, of, of_domain, kind, until, proof, admin } => {
            let until = time::moment(until)?.unix_ms();
            let mut wish = between(who, of, of_domain.as_deref())?;
            if let Some(wish) = wish.as_object_mut() {
                wish.insert("kind".into(), kind.replace('-', "_").into());
                wish.insert("until".into(), until.into());
                wish.insert("proof".into(), proof.clone().into());
            }
            ("add", wish, admin)
        }
        RepresentativeCommand::Remove { who, of, of_domain, admin } => {
            ("remove", between(who, of, of_domain.as_deref())?, admin)
        }
    };
    let card = admin::post(admin, &format!("/api/v1/subjects/representatives/{path}"), &wish)?;
    data(&format!("{card:#}\n"))
}

/// Who acts for whom.
fn between(who: &WhoArgs, of: &str, of_domain: Option<&str>) -> Result<Value, Failure> {
    let domain = of_domain.or(who.domain.as_deref());
    let by = id(&who.id)?;
    Ok(json!({ "domain": domain, "id": of, "by_domain": who.domain, "by": by }))
}

/// An id, read from standard input when it is `-`.
pub(super) fn id(text: &str) -> Result<String, Failure> {
    if text == "-" { from_stdin() } else { Ok(text.to_owned()) }
}

/// A wish about a person: ids travel in bodies.
pub(super) fn body(who: &WhoArgs, wish: &Value) -> Result<Value, Failure> {
    let mut body = wish.clone();
    let id = id(&who.id)?;
    if let Some(object) = body.as_object_mut() {
        if let Some(domain) = &who.domain {
            object.insert("domain".into(), domain.clone().into());
        }
        object.insert("id".into(), id.into());
    }
    Ok(body)
}

fn from_stdin() -> Result<String, Failure> {
    let mut text = String::new();
    std::io::stdin()
        .take(4096)
        .read_to_string(&mut text)
        .map_err(|e| Failure::new(Exit::Failed, format_args!("cannot read standard input: {e}")))?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}
