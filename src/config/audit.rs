//! `[audit]`: where the log is, and who gets copies of its entries.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use crate::audit::Confirm;
use crate::audit::Durability;
use crate::audit::ExportConfig;
use crate::audit::Format;
use crate::audit::Receiver;
use crate::net::ClientIdentity;
use crate::types::Faults;
use crate::types::doc::MapReader;
use crate::types::doc::Node;

use super::auth;
use super::keys;
use super::paths::Paths;
use super::witness;
use super::witness::WitnessSection;

/// What the section says.
pub(super) struct Audit {
    pub(super) dir: PathBuf,
    pub(super) durability: Durability,
    pub(super) exports: Vec<ExportConfig>,
    pub(super) unlink_after: Duration,
    pub(super) witnesses: Vec<WitnessSection>,
}

pub(super) fn read(node: &Node, paths: &Paths, faults: &mut Faults) -> Option<Audit> {
    let mut map = MapReader::new(node, "`[audit]`", faults)?;
    let dir = map.required("dir", faults).and_then(|n| paths.read(n, faults));
    let durability = map.optional("durability").map_or(Some(Durability::Strict), |n| {
        n.word("durability", Durability::parse, &["strict", "batched"], faults)
    });
    let unlink_after = match map.optional("unlink_after") {
        Some(node) if node.as_text() == Some("0") => Some(Duration::ZERO),
        Some(node) => keys::span(node, MOST_DAYS, faults),
        None => Some(Duration::ZERO),
    };
    let exports = map.optional("export");
    let witnesses = map.optional("witness");
    map.finish(faults);
    let dir = dir?;
    let exports = exports.map_or_else(Vec::new, |n| exports_of(n, &dir, paths, faults));
    let witnesses = witnesses.map_or_else(Vec::new, |n| witness::all(n, paths, faults));
    Some(Audit { dir, durability: durability?, exports, unlink_after: unlink_after?, witnesses })
}

/// Every `[[audit.export]]`. Names differ.
fn exports_of(node: &Node, log: &Path, paths: &Paths, faults: &mut Faults) -> Vec<ExportConfig> {
    let mut found: Vec<ExportConfig> = Vec::new();
    for item in node.list(faults).unwrap_or_default() {
        let Some(export) = one(item, log, paths, faults) else { continue };
        if found.iter().any(|other| other.name == export.name) {
            let what = format!("a second export with the name `{}`", export.name);
            faults.error(&item.place.first_line(), what, "an export's place is kept by its name");
        }
        found.push(export);
    }
    found
}

fn one(node: &Node, log: &Path, paths: &Paths, faults: &mut Faults) -> Option<ExportConfig> {
    let mut map = MapReader::new(node, "an `[[audit.export]]`", faults)?;
    let name = map.required("name", faults).and_then(|n| name(n, faults));
    let formats = ["jsonl", "csv", "ocsf"];
    let format_node = map.optional("format");
    let format = format_node
        .map_or(Some(Format::Jsonl), |n| n.word("format", Format::parse, &formats, faults));
    let to = map.required("to", faults)?;
    let receiver = match to.as_text() {
        Some("file") => folder(&mut map, log, paths, faults),
        Some("webhook") => webhook(&mut map, paths, faults),
        Some("syslog") => syslog(&mut map, paths, faults),
        // Settings of a receiver that is not known are not faults of their own.
        _ => return to.word("receiver", |_| None, &["file", "webhook", "syslog"], faults),
    };
    map.finish(faults);
    let (name, format, to) = (name?, format?, receiver?);
    if let (Format::Csv, Some(node), false) =
        (format, format_node, matches!(to, Receiver::File { .. }))
    {
        let help = "write jsonl or ocsf; lines of values are for files";
        faults.error(&node.place, "csv goes into files alone", help);
        return None;
    }
    Some(ExportConfig { name, format, to })
}

fn name(node: &Node, faults: &mut Faults) -> Option<String> {
    let text = node.text(faults)?;
    if ExportConfig::is_name(text) {
        return Some(text.to_owned());
    }
    node.mismatch("a short name", "use at most 32 of a-z, 0-9 and `-`", faults)
}

fn folder(
    map: &mut MapReader<'_>,
    log: &Path,
    paths: &Paths,
    faults: &mut Faults,
) -> Option<Receiver> {
    let dir = map.required("dir", faults).and_then(|n| Some((n, paths.read(n, faults)?)));
    let rotate = map.optional("rotate_mib").map_or(Some(64), |n| n.whole(1..=65_536, faults));
    let (node, dir) = dir?;
    if dir.starts_with(log) || log.starts_with(&dir) {
        let help = "copies have a folder of their own, beside the log's";
        faults.error(&node.place, "the export's folder and the log's are one in the other", help);
        return None;
    }
    Some(Receiver::File { dir, rotate_bytes: rotate? << 20 })
}

fn webhook(map: &mut MapReader<'_>, paths: &Paths, faults: &mut Faults) -> Option<Receiver> {
    let url = map.required("url", faults).and_then(|n| url(n, faults));
    let secret = map.required("secret_file", faults).and_then(|n| paths.read(n, faults));
    let ca = optional_path(map, "ca", paths, faults).ok()?;
    Some(Receiver::Webhook { url: url?, secret_file: secret?, ca })
}

fn url(node: &Node, faults: &mut Faults) -> Option<Uri> {
    let why = "in the clear only a receiver on this machine will do";
    auth::safe_url(node, "the receiver knows us by `secret_file`", why, faults)
}

fn syslog(map: &mut MapReader<'_>, paths: &Paths, faults: &mut Faults) -> Option<Receiver> {
    let address = map.required("address", faults).and_then(|n| address(n, faults));
    let ca = optional_path(map, "ca", paths, faults).ok();
    let cert = map.optional("client_cert");
    let key = map.optional("client_key_file");
    let confirm = map.optional("confirm").map_or(Some(Confirm::Tls), |n| {
        n.word("confirmation", Confirm::parse, &["tls", "tcp"], faults)
    });
    let identity = match (cert, key) {
        (None, None) => None,
        (Some(cert), Some(key)) => {
            let (cert, key_file) = (paths.read(cert, faults), paths.read(key, faults));
            Some(ClientIdentity { cert: cert?, key_file: key_file? })
        }
        _ => {
            let what = "`client_cert` and `client_key_file` need each other";
            faults.error(&map.place().first_line(), what, "write both, or neither");
            return None;
        }
    };
    let (host, port) = address?;
    Some(Receiver::Syslog { host, port, ca: ca?, identity, confirm: confirm? })
}

/// A path that may be left out; an error, which is told, when it is there and is none.
fn optional_path(
    map: &mut MapReader<'_>,
    key: &'static str,
    paths: &Paths,
    faults: &mut Faults,
) -> Result<Option<PathBuf>, ()> {
    map.optional(key).map(|node| paths.read(node, faults).ok_or(())).transpose()
}

/// `host:port`; 6514 is the port of syslog over TLS (RFC 5425).
fn address(node: &Node, faults: &mut Faults) -> Option<(String, u16)> {
    let text = node.text(faults)?;
    let url = format!("syslog://{text}").parse::<Uri>().ok();
    let authority = url.as_ref().and_then(Uri::authority);
    let found = authority.filter(|known| known.as_str() == text && !text.contains('@'));
    let host = found.map(|known| known.host().trim_matches(['[', ']'])).filter(|h| !h.is_empty());
    let Some(host) = host else {
        return node.mismatch("a host and port", "such as \"logs.example:6514\"", faults);
    };
    let port = found.and_then(http::uri::Authority::port_u16).unwrap_or(6514);
    Some((host.to_owned(), port))
}

/// The longest that log keys of erased people are kept, in days: ten years.
const MOST_DAYS: u64 = 3_650;
