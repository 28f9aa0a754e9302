//! A small store of records in memory, which can be written.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::Mutex;

use serde_json::Value;

use super::Asked;
use super::FakeStore;
use super::Step;

/// What a store says of the versions of its records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Versions {
    /// Nothing, and it looks at no `If-Match`.
    None,
    /// A strong `ETag`; a write over another version is 412.
    Strong,
    /// A weak `ETag`.
    Weak,
}

type Hook = dyn Fn(&Table, &Asked) -> Vec<Step> + Send + Sync;

/// Records by id, each with its version.
#[derive(Clone)]
pub(crate) struct Table {
    rows: Arc<Mutex<BTreeMap<String, (String, u32)>>>,
    versions: Versions,
    /// What comes before the answer, or instead of it when it closes.
    before: Arc<Hook>,
}

impl Table {
    /// A store with these records.
    pub(crate) async fn start(versions: Versions, rows: &[(&str, &str)]) -> (Self, FakeStore) {
        Self::with(versions, rows, |_, _| Vec::new()).await
    }

    /// A store that does something before it answers; an answer from there is the only one.
    pub(crate) async fn with(
        versions: Versions,
        rows: &[(&str, &str)],
        before: impl Fn(&Self, &Asked) -> Vec<Step> + Send + Sync + 'static,
    ) -> (Self, FakeStore) {
        let rows = rows.iter().map(|(id, text)| ((*id).to_owned(), ((*text).to_owned(), 1)));
        let rows = Arc::new(Mutex::new(rows.collect()));
        let table = Self { rows, versions, before: Arc::new(before) };
        let serving = table.clone();
        let store = FakeStore::start(move |asked| {
            let mut steps = (serving.before)(&serving, asked);
            if !steps.iter().any(|step| matches!(step, Step::Bytes(_) | Step::Close)) {
                steps.push(Step::Bytes(serving.answer(asked)));
            }
            steps
        });
        (table, store.await)
    }

    /// A record as it stands there.
    pub(crate) fn row(&self, id: &str) -> Option<String> {
        self.rows.lock().unwrap().get(id).map(|(text, _)| text.clone())
    }

    /// How many records there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.lock().unwrap().len()
    }

    /// Writes a record as somebody else would.
    pub(crate) fn touch(&self, id: &str, text: &str) {
        let mut rows = self.rows.lock().unwrap();
        let row = rows.get_mut(id).unwrap();
        *row = (text.to_owned(), row.1 + 1);
    }

    /// Removes a record as somebody else would.
    pub(crate) fn remove(&self, id: &str) {
        self.rows.lock().unwrap().remove(id);
    }

    /// The records in the order of their ids, from `_start` on and at most `_limit` of them.
    pub(crate) fn list(&self, asked: &Asked) -> String {
        let query = asked.target().split_once('?').map_or("", |(_, query)| query);
        let parameter = |name: &str| {
            let found =
                query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            found.map(|value| value.parse::<usize>().unwrap())
        };
        let rows = self.rows.lock().unwrap();
        let texts = rows.values().skip(parameter("_start").unwrap_or(0));
        let texts = texts.take(parameter("_limit").unwrap_or(usize::MAX));
        format!("[{}]", texts.map(|(text, _)| text.as_str()).collect::<Vec<_>>().join(","))
    }

    fn answer(&self, asked: &Asked) -> Vec<u8> {
        let path = asked.target().split('?').next().unwrap_or_default();
        let id = path.strip_prefix("/customers/").unwrap_or_default();
        let known = self.rows.lock().unwrap().get(id).cloned();
        match (asked.method(), known) {
            ("GET", None) if path == "/customers" => said("200 OK", "", &self.list(asked)),
            ("POST", _) => self.create(asked),
            (_, None) => said("404 Gone", "", "{\"error\":\"no row c-planted\"}"),
            ("GET", Some((text, version))) => said("200 OK", &self.tag(version), &text),
            (_, Some((_, version))) if !self.agrees(asked, version) => {
                said("412 No", "", "{\"error\":\"version planted\"}")
            }
            ("DELETE", _) => {
                self.rows.lock().unwrap().remove(id);
                b"HTTP/1.1 204 No Content\r\n\r\n".to_vec()
            }
            (method, Some((text, version))) => {
                let text = if method == "PUT" { asked.body.clone() } else { merged(&text, asked) };
                self.rows.lock().unwrap().insert(id.to_owned(), (text.clone(), version + 1));
                said("200 OK", &self.tag(version + 1), &text)
            }
        }
    }

    fn create(&self, asked: &Asked) -> Vec<u8> {
        let sent: Value = serde_json::from_str(&asked.body).unwrap();
        let mut rows = self.rows.lock().unwrap();
        let mut add = |mut row: Value| {
            let next = format!("c-{}", 100 + rows.len());
            let id = row["id"].as_str().map_or(next, str::to_owned);
            row["id"] = id.clone().into();
            rows.insert(id.clone(), (row.to_string(), 1));
            (id, row)
        };
        let (place, made) = match sent {
            Value::Array(rows) => {
                let made: Vec<Value> = rows.into_iter().map(|row| add(row).1).collect();
                (String::new(), Value::from(made))
            }
            row => {
                let (id, row) = add(row);
                (format!("Location: /customers/{id}\r\n"), row)
            }
        };
        said("201 Created", &place, &made.to_string())
    }

    fn tag(&self, version: u32) -> String {
        match self.versions {
            Versions::None => String::new(),
            Versions::Strong => format!("ETag: \"v{version}\"\r\n"),
            Versions::Weak => format!("ETag: W/\"v{version}\"\r\n"),
        }
    }

    fn agrees(&self, asked: &Asked, version: u32) -> bool {
        let wanted = asked.header("if-match");
        self.versions == Versions::None || wanted.is_none_or(|it| it == format!("\"v{version}\""))
    }
}

/// Members replaced one by one; `null` removes.
fn merged(text: &str, asked: &Asked) -> String {
    let mut row: Value = serde_json::from_str(text).unwrap();
    let sent: Value = serde_json::from_str(&asked.body).unwrap();
    for (name, value) in sent.as_object().unwrap() {
        if value.is_null() {
            row.as_object_mut().unwrap().remove(name);
        } else {
            row[name] = value.clone();
        }
    }
    row.to_string()
}

fn said(status: &str, more: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nX-Debug: internal\r\n{more}\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
