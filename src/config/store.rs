//! `[[store]]`: the systems behind the gateway.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::net::is_this_machine;
use crate::proxy::Place;
use crate::types::Faults;
use crate::types::StoreId;
use crate::types::doc;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::upstream::HealthCheck;
use crate::upstream::StoreUrl;
use crate::upstream::Timeouts;
use crate::upstream::UpstreamConfig;
use crate::upstream::UrlError;

use super::StoreSection;
use super::auth;
use super::paths::Paths;

/// Every store. Names and places differ.
pub(super) fn all(node: &Node, paths: &Paths, faults: &mut Faults) -> Vec<StoreSection> {
    let mut found = Vec::new();
    let mut places: BTreeMap<String, &Node> = BTreeMap::new();
    let items = node.list(faults).unwrap_or_default();
    if items.is_empty() {
        faults.error(&node.place, "no [[store]]: there is nothing to stand in front of", "");
    }
    for item in items {
        let Some(store) = one(item, paths, faults) else { continue };
        let name = format!("the name `{}`", store.upstream.store);
        let place = match &store.place {
            Place::Host(host) => format!("the host `{host}`"),
            Place::Prefix(prefix) => format!("the prefix `{prefix}`"),
        };
        for taken in [name, place] {
            if places.insert(taken.clone(), item).is_some() {
                faults.error(&item.place, format!("a second store with {taken}"), "");
            }
        }
        if matches!(&store.place, Place::Prefix(prefix) if &**prefix == "/") && items.len() > 1 {
            let help = "give each store a prefix of its own";
            faults.error(&item.place, "the prefix `/` is for an only store", help);
        }
        found.push(store);
    }
    found
}

fn one(node: &Node, paths: &Paths, faults: &mut Faults) -> Option<StoreSection> {
    let mut map = MapReader::new(node, "a `[[store]]`", faults)?;
    let name = map.required("name", faults).and_then(|n| name(n, faults));
    if let Some(kind) = map.required("kind", faults) {
        if kind.as_text() == Some("postgres") {
            doc::not_in_this_version(&kind.place, "postgres", faults);
            return None;
        }
        kind.word("kind", |t| (t == "http").then_some(()), &["http", "postgres"], faults);
    }
    let urls = map.required("urls", faults).map(|n| urls(n, faults));
    let (host, prefix) = (map.optional("host"), map.optional("prefix"));
    let auth = map.optional("auth").map(|n| (n, auth::read(n, paths, faults)));
    let timeouts =
        map.optional("timeouts").map_or_else(|| Some(Timeouts::default()), |n| timeouts(n, faults));
    let health = map.optional("health").map(|n| health(n, faults));
    let ca = map.optional("ca").map(|n| paths.read(n, faults));
    map.finish(faults);

    let name = name?;
    let place = place(&name, host, prefix, faults)?;
    let mut upstream = UpstreamConfig::new(name, urls?);
    if upstream.urls.is_empty() {
        return None;
    }
    upstream.timeouts = timeouts?;
    if let Some((node, auth)) = auth {
        auth::fits(node, &upstream.urls, auth.as_ref(), faults);
        (upstream.identity, upstream.bearer) = auth.map(|auth| (auth.identity, auth.bearer))?;
    }
    if let Some(health) = health {
        upstream.health = Some(health?);
    }
    if let Some(ca) = ca {
        upstream.ca = Some(ca?);
    }
    Some(StoreSection { place, upstream })
}

/// A data set is named `store.set`, so a store with a dot in its name could never be meant.
fn name(node: &Node, faults: &mut Faults) -> Option<StoreId> {
    let name = node.id(StoreId::parse, faults)?;
    if name.as_str().contains('.') {
        let what = format!("the store's name `{name}` has a dot");
        faults.error(&node.place, what, "data sets are named `store.set`; use `-` or `_`");
        return None;
    }
    Some(name)
}

fn urls(node: &Node, faults: &mut Faults) -> Vec<StoreUrl> {
    let texts = node.texts(faults);
    if texts.is_empty() && node.one_or_list().is_empty() {
        faults.error(
            &node.place,
            "no address of the store",
            "write urls = [\"http://127.0.0.1:7001\"]",
        );
    }
    let mut found = Vec::new();
    for (item, text) in texts {
        match StoreUrl::parse(text) {
            Ok(url) => {
                if !url.is_tls() && !is_this_machine(url.authority().host()) {
                    let what = "records travel to this store in the clear";
                    faults.warning(&item.place, what, "use https, or a store on this machine");
                }
                found.push(url);
            }
            // Shown without its line, which holds the password.
            Err(error @ UrlError::Credentials) => {
                faults.error_nowhere(format!("{}: {error}", item.place), "");
            }
            Err(error) => {
                faults.error(&item.place, error.to_string(), "write it as \"http://host:port\"")
            }
        }
    }
    found
}

fn place(
    name: &StoreId,
    host: Option<&Node>,
    prefix: Option<&Node>,
    faults: &mut Faults,
) -> Option<Place> {
    match (host, prefix) {
        (Some(host), Some(_)) => {
            super::conflict(
                &host.place,
                "`host` beside `prefix`",
                "a store is found by one of them",
                faults,
            );
            None
        }
        (Some(node), None) => {
            let text = node.text(faults)?;
            let fits = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b));
            if fits {
                return Some(Place::Host(text.to_ascii_lowercase().into()));
            }
            node.mismatch("a host name without a port", "such as \"shop.internal\"", faults)
        }
        (None, Some(node)) => {
            let text = node.text(faults)?;
            let words = || text.split('/').skip(1);
            let word = |w: &str| {
                !w.is_empty() && w.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
            };
            if text == "/" || (text.starts_with('/') && words().all(word)) {
                return Some(Place::Prefix(text.into()));
            }
            node.mismatch("a path prefix", "such as \"/shop\", without a `/` at its end", faults)
        }
        (None, None) => Some(Place::Prefix(format!("/{name}").into())),
    }
}

fn timeouts(node: &Node, faults: &mut Faults) -> Option<Timeouts> {
    let mut map = MapReader::new(node, "`timeouts`", faults)?;
    let default = Timeouts::default();
    let connect = match map.optional("connect_ms") {
        Some(n) => n.whole(1..=600_000, faults).map(Duration::from_millis),
        None => Some(default.connect),
    };
    let mut seconds = |key, default| match map.optional(key) {
        Some(n) => n.whole(1..=86_400, faults).map(Duration::from_secs),
        None => Some(default),
    };
    let first_byte = seconds("first_byte_s", default.first_byte);
    let idle = seconds("idle_s", default.idle);
    map.finish(faults);
    Some(Timeouts { connect: connect?, first_byte: first_byte?, idle: idle? })
}

fn health(node: &Node, faults: &mut Faults) -> Option<HealthCheck> {
    let mut map = MapReader::new(node, "`health`", faults)?;
    let path = map.required("path", faults);
    let every = map.optional("every_s").map_or(Some(5), |n| n.whole(1..=3600, faults));
    map.finish(faults);
    let path = path?;
    let text = path.text(faults)?;
    let odd = |b: u8| !b.is_ascii_graphic() || b"?#\\".contains(&b);
    if !text.starts_with('/') || text.bytes().any(odd) {
        return path.mismatch("a path", "such as \"/health\"", faults);
    }
    Some(HealthCheck { path: text.to_owned(), every: Duration::from_secs(every?) })
}
