//! `privet store scan|import`: drafts of data sections.

use std::path::Path;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http::HeaderValue;
use http::Method;
use http::Uri;
use http::header;
use serde_json::Value;

use crate::catalog::draft::Draft;
use crate::catalog::draft::from_fides;
use crate::catalog::draft::from_openapi;
use crate::net::ClientIdentity;
use crate::net::ClientTls;
use crate::net::Fetch;
use crate::net::Question;
use crate::net::ask;
use crate::net::read_secret;
use crate::types::Faults;
use crate::types::SourceFile;
use crate::types::StoreId;
use crate::types::doc;
use crate::types::doc::Node;
use crate::types::told;
use crate::upstream::Bearer;
use crate::upstream::StoreUrl;

use super::args::{ImportArgs, ScanArgs};
use super::check;
use super::exit::{Exit, Failure, data, tell};
use super::serve::block_on;

/// Drafts what a store seems to hold.
pub(super) fn run(wish: &ScanArgs) -> Result<(), Failure> {
    let store = name(&wish.store)?;
    if wish.openapi.is_none() && wish.list.is_empty() {
        let help = "give `--openapi FILE`, or `--list /customers --sample 50`";
        return Err(usage(format_args!("nothing says what the store has; {help}")));
    }
    if wish.sample == 0 && !wish.list.is_empty() {
        return Err(usage("`--list` is only for sampling; add `--sample 50`"));
    }
    let at_store = wish.openapi.as_deref().filter(|place| is_path_at_store(place));
    let asker = match at_store.is_some() || wish.sample > 0 {
        true => Some(Asker::new(wish)?),
        false => None,
    };
    let mut draft = match (wish.openapi.as_deref(), at_store, &asker) {
        (_, Some(path), Some(asker)) => from_openapi(&asker.document(path)?),
        (Some(file), ..) => from_openapi(&description(Path::new(file))?),
        _ => Draft::default(),
    };
    if let Some(asker) = asker.filter(|_| wish.sample > 0) {
        let listed =
            wish.list.iter().filter_map(|path| Some((Draft::name_of(path)?, path.clone())));
        let lists: Vec<(String, String)> = draft.lists().into_iter().chain(listed).collect();
        for (at, (set, path)) in lists.iter().enumerate() {
            let count = match asker.get(path) {
                Ok(answer) => draft.sample(set, path, &answer, wish.sample),
                Err(error) => {
                    tell(&format!("note: GET {path}: {error}"));
                    continue;
                }
            };
            tell(&format!("{} of {} lists: GET {path}, {count} records", at + 1, lists.len()));
        }
    }
    finish(&draft, &store)
}

/// Drafts what a dataset file of Fides says.
pub(super) fn import(wish: &ImportArgs) -> Result<(), Failure> {
    let store = name(&wish.store)?;
    let mut faults = Faults::new();
    let tree = yaml(&wish.file, &mut faults)?;
    let draft = tree.map(|tree| from_fides(&tree, &mut faults)).unwrap_or_default();
    if faults.has_errors() {
        return Err(check::refused(&faults.into_sorted()));
    }
    finish(&draft, &store)
}

fn finish(draft: &Draft, store: &StoreId) -> Result<(), Failure> {
    if draft.is_empty() {
        return Err(Failure::new(
            Exit::Failed,
            "no records were found, so there is nothing to draft",
        ));
    }
    let (sets, fields, unknown) = draft.counts();
    tell(&format!("{sets} data sets, {fields} fields, {unknown} of them not classified"));
    data(&draft.yaml(store.as_str()))
}

fn name(text: &str) -> Result<StoreId, Failure> {
    let id = StoreId::parse(text).map_err(usage)?;
    if text.contains('.') {
        return Err(usage(format_args!("the store's name `{text}` has a dot; use `-` or `_`")));
    }
    Ok(id)
}

fn usage(what: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Usage, what)
}

/// What begins with `/` and is no file here is a path at the store.
fn is_path_at_store(place: &str) -> bool {
    place.starts_with('/') && !Path::new(place).exists()
}

/// Reads a description: JSON by its first letter, else YAML.
fn description(file: &Path) -> Result<Value, Failure> {
    let text = read(file)?;
    if text.trim_start().starts_with('{') {
        let wrong = |error| Failure::new(Exit::Failed, format_args!("{}: {error}", file.display()));
        return serde_json::from_str(&text).map_err(wrong);
    }
    let mut faults = Faults::new();
    let tree = parse(file, &text, &mut faults);
    match tree {
        Some(tree) if !faults.has_errors() => Ok(plain(&tree)),
        _ => Err(check::refused(&faults.into_sorted())),
    }
}

fn yaml(file: &Path, faults: &mut Faults) -> Result<Option<Node>, Failure> {
    Ok(parse(file, &read(file)?, faults))
}

fn parse(file: &Path, text: &str, faults: &mut Faults) -> Option<Node> {
    let name = file.display().to_string();
    doc::yaml(Arc::new(SourceFile { name, text: text.into() }), faults)
}

fn read(file: &Path) -> Result<String, Failure> {
    let failed = |what: &dyn std::fmt::Display| {
        Failure::new(Exit::Failed, format_args!("cannot read {}: {what}", file.display()))
    };
    let length = std::fs::metadata(file).map_err(|error| failed(&error))?.len();
    if length > u64::try_from(LONGEST).unwrap_or(u64::MAX) {
        return Err(failed(&"it is longer than 16 MiB"));
    }
    std::fs::read_to_string(file).map_err(|error| failed(&error))
}

/// A tree without its places.
fn plain(node: &Node) -> Value {
    match &node.value {
        doc::Value::Bool(value) => (*value).into(),
        doc::Value::List(items) => items.iter().map(plain).collect(),
        doc::Value::Map(entries) => {
            entries.iter().map(|entry| (entry.key.to_string(), plain(&entry.node))).collect()
        }
        doc::Value::Number(text) | doc::Value::Text(text) => Value::from(&**text),
        doc::Value::Null => Value::Null,
    }
}

/// Where a store answers, and how it is spoken to.
struct Reach {
    url: StoreUrl,
    ca: Option<PathBuf>,
    identity: Option<ClientIdentity>,
    bearer: Option<PathBuf>,
}

/// Asks the store, with the gateway's own credentials or those of the command line.
struct Asker {
    url: StoreUrl,
    tls: Option<ClientTls>,
    headers: HeaderMap,
}

impl Asker {
    fn new(wish: &ScanArgs) -> Result<Self, Failure> {
        let caused = |error: &dyn std::error::Error| Failure::caused(Exit::Failed, error);
        let Reach { url, ca, identity, bearer } = match &wish.url {
            Some(url) => Reach {
                url: StoreUrl::parse(url).map_err(usage)?,
                ca: wish.ca.clone(),
                identity: None,
                bearer: wish.bearer_file.clone(),
            },
            None => Self::configured(wish)?,
        };
        let tls = match (url.is_tls(), &identity) {
            (false, _) => None,
            (true, None) => Some(ClientTls::new(ca.as_deref()).map_err(|e| caused(&e))?),
            (true, Some(identity)) => {
                let tls = ClientTls::with_identity(ca.as_deref(), identity);
                Some(tls.map_err(|e| caused(&e))?)
            }
        };
        let mut headers = HeaderMap::new();
        if let Some(file) = bearer {
            let token = read_secret(&file, LONGEST_TOKEN).map_err(|e| caused(&e))?;
            let text = std::str::from_utf8(&token).unwrap_or_default().trim();
            let mut value = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| {
                let what = format_args!("{} holds no token that fits a header", file.display());
                Failure::new(Exit::Failed, what)
            })?;
            value.set_sensitive(true);
            headers.insert(header::AUTHORIZATION, value);
        }
        Ok(Self { url, tls, headers })
    }

    fn configured(wish: &ScanArgs) -> Result<Reach, Failure> {
        let loaded = check::load(&wish.config.config)?;
        let stores = loaded.config.stores.iter().map(|store| &store.upstream);
        let found = stores.clone().find(|store| store.store.as_str() == wish.store);
        let Some(found) = found else {
            let known: Vec<&str> = stores.map(|store| store.store.as_str()).collect();
            let help = match doc::closest(&wish.store, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => {
                    format!("there is {}; or say where it answers with `--url`", known.join(", "))
                }
            };
            let what = format_args!("the configuration has no store `{}`; {help}", wish.store);
            return Err(usage(what));
        };
        let bearer = match &found.bearer {
            Some(Bearer::File(file)) => Some(file.clone()),
            Some(Bearer::OAuth(_)) => {
                let help = "fetch a token and give `--url` and `--bearer-file`";
                return Err(Failure::new(
                    Exit::Failed,
                    format_args!("the store's credentials come from a token service; {help}"),
                ));
            }
            None => None,
        };
        let url = found.urls.first().cloned().ok_or_else(|| usage("the store has no address"))?;
        Ok(Reach { url, ca: found.ca.clone(), identity: found.identity.clone(), bearer })
    }

    fn document(&self, path: &str) -> Result<Value, Failure> {
        let failed = |what| Failure::new(Exit::Failed, format_args!("GET {path}: {what}"));
        self.get(path).map_err(failed)
    }

    /// Asks for a path; the error is for people and says nothing of the answer.
    fn get(&self, path: &str) -> Result<Value, String> {
        // A path without its slash would become part of the host or the port: the store's
        // credentials would go to somebody else.
        let text = format!("{}{path}", self.url);
        let url: Uri = text.parse().map_err(|_| "this is no path")?;
        if !path.starts_with('/')
            || url.authority().map(http::uri::Authority::as_str)
                != Some(self.url.authority().as_str())
        {
            return Err("a path begins with `/`".into());
        }
        let fetch = Fetch { url, tls: self.tls.clone(), limit_bytes: LONGEST, timeout: PATIENCE };
        let question =
            Question { method: Method::GET, headers: self.headers.clone(), body: Bytes::new() };
        let asked = block_on(async { Ok(ask(&fetch, question).await) });
        let (status, body) = match asked {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(told(&error)),
            Err(_) => return Err("cannot start a runtime".into()),
        };
        if !status.is_success() {
            return Err(format!("the store answers {}", status.as_u16()));
        }
        serde_json::from_slice(&body).map_err(|_| "the answer is no JSON".into())
    }
}

const LONGEST: usize = 16 << 20;
const LONGEST_TOKEN: u64 = 16 << 10;
const PATIENCE: Duration = Duration::from_secs(30);
