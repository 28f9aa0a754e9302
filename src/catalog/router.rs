//! From a path to its route.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::types::Faults;

use super::DataSet;
use super::FieldIx;
use super::Method;
use super::Route;
use super::Segment;

/// The routes of one store.
///
/// The path is matched first, then the method: a path that a literal template names is never
/// taken for the value of a variable, whatever the method.
#[derive(Clone, Debug, Default)]
pub struct Router {
    root: Branch,
}

/// What a method and a path lead to.
#[derive(Clone, Debug)]
pub enum Found {
    /// No route has this path.
    Nothing,
    /// A route has this path, but not with this method.
    OtherMethods,
    /// This route.
    Route(Matched),
}

/// A route with the values of its variables.
#[derive(Clone)]
pub struct Matched {
    /// The data set it leads to.
    pub set: Arc<DataSet>,
    /// The route.
    pub route: Arc<Route>,
    /// The value of each variable in path order, percent-decoded. Personal data: never logged.
    pub vars: Vec<(FieldIx, String)>,
}

impl fmt::Debug for Matched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Matched({} {})", self.route.method, self.route.template)
    }
}

impl Router {
    /// The router of the data sets of one store. Templates that match the same paths with the same
    /// method are faults.
    pub fn build(sets: &[Arc<DataSet>], faults: &mut Faults) -> Self {
        let mut root = Branch::default();
        for set in sets {
            for route in &set.routes {
                let end = root.grow(&route.segments);
                match end.routes.iter().find(|(_, known)| known.method == route.method) {
                    Some((owner, known)) => {
                        let what = format!(
                            "`{} {}` matches the same calls as `{}` of `{}`",
                            route.method, route.template, known.template, owner.id
                        );
                        let help = format!("the other stands at {}", known.place);
                        faults.error(&route.place, what, help);
                    }
                    None => end.routes.push((Arc::clone(set), Arc::clone(route))),
                }
            }
        }
        Self { root }
    }

    /// The route of `path`, which is normalised, starts with `/` and lacks the store's prefix.
    /// A path with a segment that does not decode to plain text leads nowhere.
    pub fn find(&self, method: Method, path: &str) -> Found {
        let Some(segments) = decode_path(path) else { return Found::Nothing };
        let mut values = Vec::new();
        let Some(end) = self.root.descend(&segments, &mut values) else { return Found::Nothing };
        let Some((set, route)) = end.routes.iter().find(|(_, route)| route.method == method) else {
            return Found::OtherMethods;
        };
        let values = values.into_iter().map(str::to_owned);
        let vars = route.variables().zip(values).collect();
        Found::Route(Matched { set: Arc::clone(set), route: Arc::clone(route), vars })
    }
}

/// Where templates with the same beginning part. As deep as the longest template, which is short.
#[derive(Clone, Debug, Default)]
struct Branch {
    literals: BTreeMap<Box<str>, Self>,
    variable: Option<Box<Self>>,
    routes: Vec<(Arc<DataSet>, Arc<Route>)>,
}

impl Branch {
    /// The branch at the end of `segments`, made when it is missing.
    fn grow(&mut self, segments: &[Segment]) -> &mut Self {
        let mut at = self;
        for segment in segments {
            at = match segment {
                Segment::Literal(text) => at.literals.entry(text.clone()).or_default(),
                Segment::Variable(_) => at.variable.get_or_insert_default(),
            };
        }
        at
    }

    /// The branch with routes that `segments` lead to; a literal is tried before a variable.
    fn descend<'s>(&self, segments: &'s [String], values: &mut Vec<&'s str>) -> Option<&Self> {
        let Some((segment, rest)) = segments.split_first() else {
            return (!self.routes.is_empty()).then_some(self);
        };
        let literal = self.literals.get(segment.as_str());
        if let Some(found) = literal.and_then(|next| next.descend(rest, values)) {
            return Some(found);
        }
        let next = self.variable.as_ref()?;
        values.push(segment);
        let found = next.descend(rest, values);
        if found.is_none() {
            values.pop();
        }
        found
    }
}

fn decode_path(path: &str) -> Option<Vec<String>> {
    let rest = path.strip_prefix('/')?;
    if rest.is_empty() {
        return Some(Vec::new());
    }
    let segments: Option<Vec<String>> =
        rest.split('/').take(MAX_SEGMENTS + 1).map(decode_segment).collect();
    segments.filter(|segments| segments.len() <= MAX_SEGMENTS)
}

/// One segment as text; `None` when a store could read it as anything but one plain segment.
fn decode_segment(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hex(rest.next()?)? << 4 | hex(rest.next()?)?,
            _ => byte,
        });
    }
    let text = String::from_utf8(bytes).ok()?;
    let odd = |c: char| matches!(c, '/' | '\\') || c.is_control();
    let plain = !text.contains(odd) && !matches!(&*text, "" | "." | "..") && !escaped_twice(&text);
    plain.then_some(text)
}

/// Whether the text would change if somebody decoded it once more.
fn escaped_twice(text: &str) -> bool {
    let mut pieces = text.split('%');
    pieces.next();
    pieces.any(|piece| {
        let mut digits = piece.bytes();
        digits.next().and_then(hex).is_some() && digits.next().and_then(hex).is_some()
    })
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Templates are shorter.
const MAX_SEGMENTS: usize = 64;
