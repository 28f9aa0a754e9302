//! Search of the audit log, a page at a time. What was asked is recorded before a page leaves.

use std::sync::Arc;

use axum::extract::RawQuery;
use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde_json::Value;
use serde_json::json;

use crate::audit;
use crate::audit::Entry;
use crate::audit::Filter;
use crate::audit::Kind;
use crate::audit::Log;
use crate::audit::Order;
use crate::audit::Page;
use crate::audit::SearchError;
use crate::audit::Wish;
use crate::protocol::http::ProblemKind;
use crate::types::told;

use super::OperatorRole;
use super::answer::Refused;
use super::answer::json;
use super::routes::Admin;

/// What a query asks for.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) filter: Filter,
    pub(super) order: Order,
    pub(super) cursor: Option<String>,
    pub(super) limit: usize,
    pub(super) scan: bool,
}

/// Lists entries, the newest first.
pub(super) async fn search(
    State(admin): State<Arc<Admin>>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = admin.operator(&headers, OperatorRole::Auditor)?;
    let asked = Asked::read(query.as_deref().unwrap_or_default())?;
    let filter = asked.filter.clone();
    let page = look(&admin.log, asked).await?;
    admin.record(&operator, Kind::Admin, "audit_searched", searched(&filter, &page)).await?;
    let rows: Result<Vec<Value>, _> = page.rows.iter().map(with_index).collect();
    let rows = rows.map_err(|_| Refused::new(ProblemKind::Internal, "an entry has no JSON"))?;
    Ok(json(&json!({
        "rows": rows,
        "next": page.next,
        "size": page.size,
        "minimum": page.minimum,
        "unpublished": page.unpublished,
        "unindexed": page.unindexed,
        "damaged": page.damaged,
    })))
}

/// Reads a page, away from the threads that answer.
pub(super) async fn look(log: &Log, asked: Asked) -> Result<Page, Refused> {
    let known = log.published().map_or(0, |published| published.size);
    let page = log.read(move |dir| {
        let Asked { filter, order, cursor, limit, scan } = &asked;
        let cursor = cursor.as_deref();
        let wish = Wish { filter, order: *order, cursor, limit: *limit, scan: *scan };
        audit::page(dir, &wish)
    });
    match page.await {
        // Whoever can write to the folder, but has no key, must not make entries look gone.
        Some(Ok(page)) if page.size < known || page.minimum > log.minimum() => {
            tracing::error!("the checkpoint or the minimum in the audit log's folder is forged");
            Err(Refused::new(ProblemKind::Unavailable, "the audit log cannot be read now"))
        }
        Some(Ok(page)) => Ok(page),
        Some(Err(SearchError::Cursor(error))) => {
            Err(Refused::new(ProblemKind::BadRequest, error.to_string()))
        }
        Some(Err(error)) => {
            tracing::error!(error = told(&error), "the audit log cannot be searched");
            Err(Refused::new(ProblemKind::Unavailable, "the audit log cannot be read now"))
        }
        None => Err(Refused::new(ProblemKind::Internal, "the search did not finish")),
    }
}

impl Asked {
    /// For everything that matches, the newest first.
    pub(super) fn newest(filter: Filter, cursor: Option<String>, limit: usize) -> Self {
        Self { filter, order: Order::NewestFirst, cursor, limit, scan: false }
    }

    fn read(query: &str) -> Result<Self, Refused> {
        let wrong = |detail: String| Refused::new(ProblemKind::BadRequest, detail);
        let mut asked = Self::newest(Filter::default(), None, USUAL_ROWS);
        let mut seen = std::collections::BTreeSet::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if !seen.insert(name.to_string()) {
                return Err(wrong("each parameter may be there once".to_owned()));
            }
            match (&*name, &*value) {
                ("cursor", text) => asked.cursor = Some(text.to_owned()),
                ("order", "newest") => asked.order = Order::NewestFirst,
                ("order", "oldest") => asked.order = Order::OldestFirst,
                ("order", _) => return Err(wrong("`order` is newest or oldest".to_owned())),
                ("scan", "true") => asked.scan = true,
                ("scan", _) => return Err(wrong("`scan` is true, or left out".to_owned())),
                ("limit", number) => {
                    let number = number.parse().ok();
                    let most = audit::MOST_ROWS;
                    asked.limit = number
                        .filter(|number| (1..=most).contains(number))
                        .ok_or_else(|| wrong(format!("`limit` is a number from 1 to {most}")))?;
                }
                (name, value) => {
                    asked.filter.set(name, value).map_err(|error| wrong(error.to_string()))?;
                }
            }
        }
        Ok(asked)
    }
}

/// What was searched. Its words are written down when entries were found by them: those are in the
/// log already. Anything else that somebody may type is not.
fn searched(filter: &Filter, page: &Page) -> Entry {
    let mut entry = Entry::new(Kind::Admin);
    let has_rows = !page.rows.is_empty();
    let asked: Vec<String> = filter
        .asked()
        .into_iter()
        .map(|(name, value)| {
            let is_told = has_rows && name != "subject";
            if is_told { format!("{name}={value}") } else { name.to_owned() }
        })
        .collect();
    entry.facts.insert("filter".into(), asked.join(" ").into());
    entry.facts.insert("rows".into(), page.rows.len().to_string().into());
    if has_rows {
        entry.subjects.extend(filter.subject);
    }
    entry
}

fn with_index((index, entry): &(u64, Entry)) -> Result<Value, serde_json::Error> {
    let mut value = serde_json::to_value(entry)?;
    if let Some(object) = value.as_object_mut() {
        object.shift_insert(0, "index".into(), (*index).into());
    }
    Ok(value)
}

/// Entries of a page where nothing else is said.
const USUAL_ROWS: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::AuditConfig;
    use crate::clock::SystemClock;
    use crate::crypto::Secret;
    use crate::crypto::Signer;
    use crate::crypto::note::NoteKey;

    #[tokio::test]
    async fn a_page_is_refused_when_somebody_put_a_smaller_log_into_the_folder() {
        const ORIGIN: &str = "log.example/a";
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("audit");
        let mut config = AuditConfig::new(&dir, ORIGIN);
        config.min_free_bytes = 0;
        let key = NoteKey::new(ORIGIN, Signer::from_seed(&Secret::new([7; 32]))).unwrap();
        let log = Log::open(config, key, Arc::new(SystemClock)).unwrap();
        for _ in 0..300 {
            log.note(Entry::new(Kind::Release));
        }
        log.flush().await.unwrap();
        let whole = log.checkpoint().unwrap().to_string();
        let all = || Asked::newest(Filter::default(), None, 1000);
        assert_eq!(look(&log, all()).await.unwrap().rows.len(), 300);

        let minimum = format!("privet.minimum/v1\n{ORIGIN}\n256\n299\n\n\u{2014} x AAAA\n");
        let smaller = whole.replace("\n300\n", "\n299\n");
        for (name, forged) in [("minimum", &minimum), ("checkpoint", &smaller)] {
            std::fs::write(dir.join(name), forged).unwrap();
            assert!(look(&log, all()).await.is_err(), "{name}");
            std::fs::remove_file(dir.join("minimum")).unwrap_or_default();
            std::fs::write(dir.join("checkpoint"), &whole).unwrap();
        }
        assert_eq!(look(&log, all()).await.unwrap().rows.len(), 300);
        log.close().await.unwrap();
    }
}
