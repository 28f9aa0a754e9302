//! `[keys]`: who holds the root key, for how long its keys are used unasked, and how soon an
//! erasure is beyond recall.

use std::path::Path;
use std::path::PathBuf;
use std::time::Duration;

use http::Uri;

use crate::keys::HardwareToken;
use crate::keys::KeysConfig;
use crate::keys::OpenBao;
use crate::keys::RootProvider;
use crate::types::Faults;
use crate::types::doc::MapReader;
use crate::types::doc::Node;

use super::auth;
use super::paths::Paths;

/// What the section says. The folder of keys and the tenant come from elsewhere.
pub(super) struct Section {
    root: RootProvider,
    high_water: Option<PathBuf>,
    cached: Duration,
    /// How soon an erasure is beyond recall.
    pub(super) shred_within: Duration,
}

impl Section {
    pub(super) fn into_config(self, dir: PathBuf, tenant: String) -> KeysConfig {
        let Self { root, high_water, cached, .. } = self;
        KeysConfig { root, cached, high_water, dir, tenant }
    }
}

/// `data` is the folder of everything that a backup copies.
pub(super) fn read(
    node: &Node,
    paths: &Paths,
    data: Option<&Path>,
    faults: &mut Faults,
) -> Option<Section> {
    let mut keys = MapReader::new(node, "`[keys]`", faults)?;
    let root = keys.required("root", faults).and_then(|n| root(n, paths, faults));
    let cached = keys.optional("cached");
    let cached = cached.map_or(Some(KeysConfig::CACHED), |n| span(n, CACHED_BOUNDS, faults));
    let shred = keys.optional("shred_within");
    let shred = shred.map_or(Some(SHRED_WITHIN), |n| span(n, SHRED_BOUNDS, faults));
    let high_water = keys.optional("high_water").map(|n| high_water(n, paths, data, faults));
    keys.finish(faults);
    let high_water = match high_water {
        Some(path) => Some(path?),
        None => None,
    };
    Some(Section { root: root?, high_water, cached: cached?, shred_within: shred? })
}

/// A place that no backup of the data puts back to what it was.
fn high_water(
    node: &Node,
    paths: &Paths,
    data: Option<&Path>,
    faults: &mut Faults,
) -> Option<PathBuf> {
    let path = paths.read(node, faults)?;
    if data.is_some_and(|data| path.starts_with(data)) {
        let help = "with an older copy of that folder an older mark would come back; name a file \
                    on another disk or machine";
        return node.mismatch("outside the folder of data", help, faults);
    }
    if path.file_name().is_none() {
        return node.mismatch("a file", "write its name after the folder", faults);
    }
    Some(path)
}

/// A time between a minute and so many days.
pub(super) fn span(node: &Node, days: u64, faults: &mut Faults) -> Option<Duration> {
    let text = node.text(faults)?;
    let bounds = Duration::from_secs(60)..=Duration::from_secs(days * 86_400);
    let found = time(text).filter(|time| bounds.contains(time));
    if found.is_some() {
        return found;
    }
    let what = format!("a time from 1m to {days}d");
    node.mismatch(&what, "write a number and `m`, `h` or `d`, such as \"24h\"", faults)
}

/// A whole number of minutes, hours or days.
fn time(text: &str) -> Option<Duration> {
    let unit = match text.bytes().last()? {
        b'm' => 60,
        b'h' => 3_600,
        b'd' => 86_400,
        _ => return None,
    };
    let digits = text.get(..text.len() - 1)?;
    // `parse` would take a sign.
    let is_number = !digits.starts_with('0') && digits.bytes().all(|byte| byte.is_ascii_digit());
    let number = is_number.then(|| digits.parse::<u64>().ok()).flatten()?;
    Some(Duration::from_secs(number.checked_mul(unit)?))
}

fn root(node: &Node, paths: &Paths, faults: &mut Faults) -> Option<RootProvider> {
    let mut map = MapReader::new(node, "`[keys.root]`", faults)?;
    let provider = map.required("provider", faults)?;
    match provider.as_text() {
        Some("openbao") => openbao(map, paths, faults).map(RootProvider::OpenBao),
        Some("pkcs11") => pkcs11(map, paths, faults).map(RootProvider::Pkcs11),
        found => {
            let known = ["file", "openbao", "pkcs11"];
            provider.word("provider", |t| (t == "file").then_some(()), &known, faults);
            // Settings of a provider that is not known are not faults of their own.
            if found == Some("file") { file(map, paths, faults) } else { None }
        }
    }
}

fn file(mut map: MapReader<'_>, paths: &Paths, faults: &mut Faults) -> Option<RootProvider> {
    let path = map.required("path", faults).and_then(|n| paths.read(n, faults));
    let passphrase = map.required("passphrase_file", faults).and_then(|n| paths.read(n, faults));
    map.finish(faults);
    Some(RootProvider::File { path: path?, passphrase_file: passphrase? })
}

fn openbao(mut map: MapReader<'_>, paths: &Paths, faults: &mut Faults) -> Option<OpenBao> {
    let url = map.required("url", faults).and_then(|n| address(n, faults));
    let mount = map.optional("mount").map_or(Some("transit".to_owned()), |n| path(n, faults));
    let key = map.required("key", faults).and_then(|n| key_name(n, faults));
    let token = map.required("token_file", faults).and_then(|n| paths.read(n, faults));
    let ca = map.optional("ca").map(|n| paths.read(n, faults));
    let namespace = map.optional("namespace").map(|n| path(n, faults));
    map.finish(faults);
    let mut settings = OpenBao {
        url: url?,
        mount: mount?,
        key: key?,
        token_file: token?,
        ca: None,
        namespace: None,
    };
    if let Some(ca) = ca {
        settings.ca = Some(ca?);
    }
    if let Some(namespace) = namespace {
        settings.namespace = Some(namespace?);
    }
    Some(settings)
}

fn pkcs11(mut map: MapReader<'_>, paths: &Paths, faults: &mut Faults) -> Option<HardwareToken> {
    let module = map.required("module", faults).and_then(|n| paths.read(n, faults));
    let token = map.required("token_label", faults).and_then(|n| token_label(n, faults));
    let key = map.required("key_label", faults).and_then(|n| key_name(n, faults));
    let pin = map.required("pin_file", faults).and_then(|n| paths.read(n, faults));
    map.finish(faults);
    Some(HardwareToken { module: module?, token_label: token?, key_label: key?, pin_file: pin? })
}

fn token_label(node: &Node, faults: &mut Faults) -> Option<String> {
    let text = node.text(faults)?;
    // PKCS#11 gives labels of tokens 32 bytes and fills them with spaces.
    if !text.is_empty() && text.len() <= 32 && text.trim() == text {
        return Some(text.to_owned());
    }
    node.mismatch("a label of a token", "it has 1 to 32 bytes; `pkcs11-tool -L` shows it", faults)
}

fn address(node: &Node, faults: &mut Faults) -> Option<Uri> {
    let why = "keys travel there; in the clear only to this machine";
    let url = auth::safe_url(node, "use `token_file`", why, faults)?;
    if url.query().is_some() || url.path() != "/" {
        let help = "`/v1`, `mount` and `key` come after it";
        return node.mismatch("the address of a server alone", help, faults);
    }
    Some(url)
}

/// A path in the server: of an engine, or a namespace.
fn path(node: &Node, faults: &mut Faults) -> Option<String> {
    let text = node.text(faults)?;
    let fits = text.len() <= MAX_NAME && text.split('/').all(is_name);
    if fits {
        return Some(text.to_owned());
    }
    let help = "write it without a `/` at either end, such as \"transit\"";
    node.mismatch("a path of names", help, faults)
}

/// Keys of epochs have the name with `-epoch-N` after it; later root keys of a token, `-root-N`.
fn key_name(node: &Node, faults: &mut Faults) -> Option<String> {
    let text = node.text(faults)?;
    for word in ["-epoch-", "-root-"] {
        let is_own = text.rsplit_once(word).is_some_and(|(_, number)| {
            !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
        });
        if is_own {
            let help = format!("such keys are the gateway's own; name the one before `{word}`");
            return node.mismatch("a key of an installation", &help, faults);
        }
    }
    if text.len() <= MAX_NAME && is_name(text) {
        return Some(text.to_owned());
    }
    node.mismatch("a name of a key", "use at most 100 of a-z, A-Z, 0-9, `-`, `_` and `.`", faults)
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    // `.` and `..` are no names: they would lead to another path.
    !text.is_empty() && !text.starts_with('.') && text.bytes().all(fits)
}

const MAX_NAME: usize = 100;
/// A day: what is told to people of erasures counts in days.
const SHRED_WITHIN: Duration = Duration::from_secs(86_400);
/// In days. From what a roll takes on a large site, to the month in which GDPR Art. 12(3) wants an
/// answer.
const SHRED_BOUNDS: u64 = 30;
/// In days. Below a minute every hiccup would lock; above a week, taking the root key away means
/// nothing.
const CACHED_BOUNDS: u64 = 7;
