//! Many records in one call: NDJSON in, NDJSON out, each line for itself.
//!
//! Nothing is held but the lines that are being recorded. A line has a name, its own or one that
//! follows from its bytes, so that a file that was cut off is sent again from its beginning.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::response::IntoResponse;
use axum::response::Response;
use bytes::Bytes;
use http::HeaderMap;
use http::header;
use serde_json::Value;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::api::Operator;
use crate::api::OperatorRole;
use crate::api::answer::Refused;
use crate::api::routes::Admin;
use crate::audit::Entry;
use crate::audit::Kind;
use crate::crypto::sha256;

use super::lines::LONGEST;
use super::lines::Line;
use super::lines::Lines;
use super::lines::Pieces;
use super::write::Wish;

/// Records every line that can be recorded, and answers a line for each, in their order.
pub(super) async fn import(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Officer)?;
    admin.record(&operator, Kind::Consent, "consent_import", Entry::new(Kind::Consent)).await?;
    let (results, answer) = Pieces::new();
    // It ends with the body, or when nobody takes its answers.
    drop(tokio::spawn(run(admin, operator, Lines::new(body), results)));
    let head =
        [(header::CONTENT_TYPE, "application/x-ndjson"), (header::CACHE_CONTROL, "no-store")];
    Ok((head, Body::new(answer)).into_response())
}

async fn run(
    admin: Arc<Admin>,
    operator: Operator,
    mut lines: Lines,
    results: mpsc::Sender<Bytes>,
) {
    let mut number = 0;
    loop {
        let mut group = Group::default();
        while group.len() < AT_ONCE {
            let Some(line) = lines.next().await else { break };
            number += 1;
            group.add(number, line, &admin);
        }
        if group.len() == 0 {
            return;
        }
        let text = group.record(&admin, &operator).await;
        if results.send(text.into()).await.is_err() {
            return;
        }
    }
}

/// A line that is to be recorded: its number, what it says, its idempotency key.
type Waiting = (u64, Wish, String);

/// Lines that are recorded at the same time, so that they share what it takes to make them
/// durable.
#[derive(Default)]
struct Group {
    /// What is known of each line already, by its number.
    results: BTreeMap<u64, Value>,
    /// By person, in their order: what was said later must not be recorded first.
    people: BTreeMap<(String, String), Vec<Waiting>>,
}

impl Group {
    fn len(&self) -> usize {
        self.results.len() + self.people.values().map(Vec::len).sum::<usize>()
    }

    fn add(&mut self, number: u64, line: Line, admin: &Admin) {
        let refused = match line {
            Line::Whole(text) => match admin.wish(&text) {
                Ok(wish) => {
                    let key = wish.consent.idempotency_key.clone().unwrap_or_else(|| name(&text));
                    let domain = wish.subject.domain.as_str().to_owned();
                    let person = (domain, wish.subject.id.expose().to_owned());
                    self.people.entry(person).or_default().push((number, wish, key));
                    return;
                }
                Err(refused) => refusal(number, refused.detail()),
            },
            Line::TooLong => refusal(number, &format!("is longer than {LONGEST} bytes")),
            Line::Cut => refusal(number, "the body broke off here"),
        };
        self.results.insert(number, refused);
    }

    /// Records them; what came of each is a line of the answer.
    async fn record(mut self, admin: &Arc<Admin>, operator: &Operator) -> String {
        let mut work = JoinSet::new();
        for lines in self.people.into_values() {
            let (admin, operator) = (Arc::clone(admin), operator.clone());
            work.spawn(async move {
                let mut done = Vec::with_capacity(lines.len());
                for (number, wish, key) in lines {
                    done.push((
                        number,
                        Box::pin(one(&admin, &operator, (number, wish, key))).await,
                    ));
                }
                done
            });
        }
        while let Some(done) = work.join_next().await {
            self.results.extend(done.into_iter().flatten());
        }
        self.results.values().map(|result| format!("{result}\n")).collect()
    }
}

async fn one(admin: &Admin, operator: &Operator, line: Waiting) -> Value {
    let (number, wish, key) = line;
    match admin.record_consent(operator, wish, key).await {
        Ok(done) => json!({
            "line": number,
            "result": if done.repeated { "known" } else { "recorded" },
            "record_id": done.record_id,
            "version_hash": done.version_hash,
        }),
        Err(refused) => refusal(number, refused.detail()),
    }
}

fn refusal(number: u64, detail: &str) -> Value {
    json!({ "line": number, "result": "refused", "detail": detail })
}

/// The name of a line that has none of its own.
fn name(line: &[u8]) -> String {
    let hash: String = sha256(line.trim_ascii()).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("line:{hash}")
}

/// How many lines are recorded at the same time.
const AT_ONCE: usize = 64;
