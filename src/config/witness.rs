//! `witness` of `[audit]`: who co-signs the log's checkpoints.

use std::path::PathBuf;

use http::Uri;

use crate::crypto::cosignature::WitnessKey;
use crate::types::Faults;
use crate::types::doc::MapReader;
use crate::types::doc::Node;

use super::auth;
use super::paths::Paths;

/// One witness.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct WitnessSection {
    /// Its base address; `/add-checkpoint` comes after it.
    pub url: Uri,
    /// Its public key: other signatures are not taken.
    pub key: WitnessKey,
    /// Authorities in PEM that vouch for its certificate; without, the system's.
    pub ca: Option<PathBuf>,
}

/// Reads all of them; wrong ones are reported and left out.
pub(super) fn all(node: &Node, paths: &Paths, faults: &mut Faults) -> Vec<WitnessSection> {
    let mut found: Vec<WitnessSection> = Vec::new();
    for item in node.one_or_list() {
        let Some(section) = one(item, paths, faults) else { continue };
        if found.iter().any(|earlier| earlier.key == section.key) {
            let what = format!("the witness `{}` stands here twice", section.key.name());
            faults.error(&item.place, what, "");
        } else {
            found.push(section);
        }
    }
    found
}

fn one(node: &Node, paths: &Paths, faults: &mut Faults) -> Option<WitnessSection> {
    let mut map = MapReader::new(node, "a `witness` of `[audit]`", faults)?;
    let help = "in the clear only a witness on this machine will do";
    let url = map.required("url", faults);
    let url = url.and_then(|n| auth::safe_url(n, "a witness asks for none", help, faults));
    let key = map.required("key", faults).and_then(|n| key(n, faults));
    let ca = map.optional("ca").map(|n| paths.read(n, faults));
    map.finish(faults);
    let ca = match ca {
        Some(ca) => Some(ca?),
        None => None,
    };
    Some(WitnessSection { url: url?, key: key?, ca })
}

fn key(node: &Node, faults: &mut Faults) -> Option<WitnessKey> {
    let text = node.text(faults)?;
    match WitnessKey::parse(text) {
        Ok(key) => Some(key),
        Err(error) => {
            let help = "write the line that `privet witness init` printed: name+hash+base64";
            faults.error(&node.place, error.to_string(), help);
            None
        }
    }
}
