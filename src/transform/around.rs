//! The members around the records of an answer: which were seen, and which are passed on.

use super::error::Malformed;
use super::escape;
use crate::catalog::Selector;
use serde_json::value::RawValue;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt;

/// The members beside the records that a route lists under `around:`.
///
/// Only scalars pass: a total is an oracle, so each is the policy author's decision. A text that
/// reads as a link passes only once [`Around::reroute`] has said where it leads on the gateway.
/// Complete once the reader has reached the end.
pub struct Around {
    /// The listed members by level: the objects on the way to the records, from 0.
    listed: Vec<Vec<Listed>>,
    levels: Vec<Level>,
    scratch: Vec<u8>,
    /// Bytes of names remembered.
    bytes: usize,
}

/// A listed member: a value, or an object with listed members inside.
struct Listed {
    name: Box<str>,
    inside: Vec<Self>,
    value: Option<Value>,
}

/// What is passed on of a scalar.
enum Value {
    /// A text that reads as a link, and the same on the gateway once it is known.
    Link { text: Box<str>, routed: Option<Box<str>> },
    /// As the store wrote it.
    Plain(Box<[u8]>),
}

/// One object around the records.
#[derive(Default)]
struct Level {
    names: BTreeSet<Box<[u8]>>,
    has_step: bool,
}

/// A member's name, unescaped.
pub(super) struct Name<'a> {
    pub(super) text: &'a [u8],
    /// Its place among the members of its level that are passed on.
    pub(super) kept: Option<usize>,
}

impl fmt::Debug for Around {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Around").field("levels", &self.listed.len()).finish_non_exhaustive()
    }
}

impl Around {
    pub(super) fn new(selector: &Selector) -> Self {
        let mut listed: Vec<Vec<Listed>> = Vec::new();
        for path in &selector.around {
            let names: Vec<&str> = path.split('.').collect();
            let steps = selector.steps.iter().zip(&names);
            let level = steps.take_while(|(step, name)| ***step == ***name).count();
            // Without steps the root is the record or the array itself: nothing stands around it.
            if level >= selector.steps.len() {
                continue;
            }
            while listed.len() <= level {
                listed.push(Vec::new());
            }
            if let (Some(members), Some(names)) = (listed.get_mut(level), names.get(level..)) {
                Listed::add(members, names);
            }
        }
        Self { listed, levels: Vec::new(), scratch: Vec::new(), bytes: 0 }
    }

    /// Remembers a name as written at `level`. The error is the broken rule, or nothing when all
    /// names together are over `limit` bytes.
    pub(super) fn name(
        &mut self,
        level: usize,
        raw: &[u8],
        limit: usize,
    ) -> Result<Name<'_>, Option<Malformed>> {
        self.scratch.clear();
        escape::unescape(raw, &mut self.scratch);
        self.bytes += self.scratch.len() + PER_NAME;
        if self.bytes > limit {
            return Err(None);
        }
        while self.levels.len() <= level {
            self.levels.push(Level::default());
        }
        let name: &[u8] = &self.scratch;
        let is_new =
            self.levels.get_mut(level).is_some_and(|level| level.names.insert(name.into()));
        if !is_new {
            return Err(Some(Malformed::DuplicateName));
        }
        let listed = self.listed.get(level).map_or(&[][..], |listed| listed);
        let kept = listed.iter().position(|listed| listed.name.as_bytes() == name);
        Ok(Name { text: name, kept })
    }

    /// Notes that the object at `level` has the member that leads to the records.
    pub(super) fn found(&mut self, level: usize) {
        if let Some(level) = self.levels.get_mut(level) {
            level.has_step = true;
        }
    }

    /// Ends the object at `level`; false when it lacked the member that leads to the records.
    pub(super) fn close(&self, level: usize) -> bool {
        self.levels.get(level).is_some_and(|level| level.has_step)
    }

    /// Keeps what is listed of a checked value; false when that may not be all of it.
    pub(super) fn keep(&mut self, (level, place): (usize, usize), value: &[u8]) -> bool {
        let listed = self.listed.get_mut(level).and_then(|listed| listed.get_mut(place));
        listed.is_some_and(|listed| listed.keep(value))
    }

    /// Asks `route` where each link leads on the gateway. One that it does not know is passed on
    /// as `null`, and so is every link before this was called.
    pub fn reroute(&mut self, route: impl Fn(&str) -> Option<String>) {
        for listed in self.listed.iter_mut().flatten() {
            listed.reroute(&route);
        }
    }

    /// Appends every kept member of the object at `level`, with a comma before it.
    pub(super) fn write(&self, level: usize, out: &mut Vec<u8>) {
        let listed = self.listed.get(level).map_or(&[][..], |listed| listed);
        for listed in listed.iter().filter(|listed| listed.is_there()) {
            out.push(b',');
            listed.write(out);
        }
    }
}

impl Listed {
    /// Adds the member at the path `names` to `members`.
    fn add(members: &mut Vec<Self>, names: &[&str]) {
        let Some((first, rest)) = names.split_first() else { return };
        let known = members.iter().position(|member| *member.name == **first);
        let at = known.unwrap_or_else(|| {
            members.push(Self { name: (*first).into(), inside: Vec::new(), value: None });
            members.len() - 1
        });
        if let Some(member) = members.get_mut(at) {
            Self::add(&mut member.inside, rest);
        }
    }

    /// Keeps what is listed of a checked value; false when that may not be all of it.
    fn keep(&mut self, value: &[u8]) -> bool {
        match (value.first(), self.inside.is_empty()) {
            (Some(b'{'), false) => {
                let members: Option<BTreeMap<String, &RawValue>> =
                    serde_json::from_slice(value).ok();
                for listed in &mut self.inside {
                    let value = members.as_ref().and_then(|members| members.get(&*listed.name));
                    if let Some(value) = value {
                        listed.keep(value.get().as_bytes());
                    }
                }
                false
            }
            (None | Some(b'{' | b'['), _) | (_, false) => false,
            (Some(_), true) => {
                self.value = Some(Value::new(value));
                true
            }
        }
    }

    fn reroute(&mut self, route: &impl Fn(&str) -> Option<String>) {
        if let Some(Value::Link { text, routed }) = &mut self.value {
            *routed = route(text).map(Into::into);
        }
        self.inside.iter_mut().for_each(|listed| listed.reroute(route));
    }

    /// Whether anything of it is passed on.
    fn is_there(&self) -> bool {
        self.value.is_some() || self.inside.iter().any(Self::is_there)
    }

    /// Appends name and value.
    fn write(&self, out: &mut Vec<u8>) {
        escape::string(&self.name, out);
        out.push(b':');
        match &self.value {
            Some(Value::Plain(value)) => out.extend_from_slice(value),
            Some(Value::Link { routed: Some(routed), .. }) => escape::string(routed, out),
            Some(Value::Link { routed: None, .. }) => out.extend_from_slice(b"null"),
            None => {
                let mut before = b'{';
                for listed in self.inside.iter().filter(|listed| listed.is_there()) {
                    out.push(before);
                    listed.write(out);
                    before = b',';
                }
                out.push(b'}');
            }
        }
    }
}

impl Value {
    fn new(value: &[u8]) -> Self {
        let inner = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
        let mut plain = Vec::new();
        escape::unescape(inner.unwrap_or_default(), &mut plain);
        match String::from_utf8(plain) {
            Ok(text) if reads_as_link(&text) => Self::Link { text: text.into(), routed: None },
            _ => Self::Plain(value.into()),
        }
    }
}

/// Appends a checked scalar that is passed on, a link as `route` says.
pub(super) fn write_scalar(
    value: &[u8],
    route: impl Fn(&str) -> Option<String>,
    out: &mut Vec<u8>,
) {
    match Value::new(value) {
        Value::Plain(value) => out.extend_from_slice(&value),
        Value::Link { text, .. } => match route(&text) {
            Some(routed) => escape::string(&routed, out),
            None => out.extend_from_slice(b"null"),
        },
    }
}

/// Whether a client would take the text for a way to somewhere: a URL, a path or a query.
fn reads_as_link(text: &str) -> bool {
    // Browsers look through control characters before a link.
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c.is_control());
    let scheme = text.split_once(':').map_or("", |(scheme, _)| scheme);
    text.starts_with(['/', '?', '\\'])
        || text.contains("://")
        || SCHEMES.iter().any(|known| known.eq_ignore_ascii_case(scheme))
        || text.starts_with("./")
        || text.starts_with("../")
}

/// Schemes that lead somewhere, or run something, without `//` behind them.
const SCHEMES: &[&str] = &["http", "https", "ws", "wss", "ftp", "file", "data", "javascript"];

/// What a remembered name costs beside its bytes, so that many short ones are bounded too.
const PER_NAME: usize = 32;
