//! Example calls as written.

use crate::catalog::FieldIx;
use crate::catalog::Method;
use crate::policy::PolicySet;
use crate::policy::RefusalReason;
use crate::types::Action;
use crate::types::Faults;
use crate::types::FieldPath;
use crate::types::Place;
use crate::types::PurposeId;
use crate::types::doc::MapReader;
use crate::types::doc::Node;
use crate::types::doc::closest;

use super::expect::Expect;
use super::json::json;
use super::names::Known;
use super::read::TestFile;

/// An example call, with what is expected of it.
#[derive(Debug)]
pub(super) struct Example {
    pub(super) name: String,
    pub(super) place: Place,
    /// The caller's position, and that of the one on whose behalf.
    pub(super) caller: usize,
    pub(super) on_behalf_of: Option<usize>,
    pub(super) purpose: Option<Box<str>>,
    /// The purpose of the route.
    pub(super) default_purpose: Option<PurposeId>,
    pub(super) action: Action,
    pub(super) set: usize,
    pub(super) selects_by: Vec<FieldIx>,
    /// Whether it carries a privacy signal.
    pub(super) gpc: bool,
    /// What is read together, and what is expected then.
    pub(super) reads: Vec<(Vec<usize>, Expect)>,
}

/// Reads one item of `tests:`.
pub(super) fn read(
    node: &Node,
    file: &TestFile,
    policy: &PolicySet,
    faults: &mut Faults,
) -> Option<Example> {
    let mut map = MapReader::new(node, "a test", faults)?;
    let name = map.required("name", faults).and_then(|node| node.text(faults));
    let call = map.required("call", faults);
    let expected = map.optional("expect");
    let expect = expected.and_then(|node| {
        let mut map = MapReader::new(node, "`expect`", faults)?;
        let mut expect = Expect::read(&mut map, faults);
        expect.record = map.optional("record").map(json);
        map.finish(faults);
        Some(expect)
    });
    let each = map.optional("each");
    let place = map.place().first_line();
    map.finish(faults);
    let (name, call) = (name?, call?);
    let mut map = MapReader::new(call, "`call`", faults)?;
    let caller = map.required("as", faults).and_then(|n| known(n, "caller", &file.callers, faults));
    let on_behalf_of = map.optional("on_behalf_of");
    let on_behalf_of = on_behalf_of.and_then(|n| known(n, "caller", &file.callers, faults));
    let because = expect.as_ref().and_then(|expect| expect.because.as_deref());
    let purpose = map.optional("for").and_then(|n| purpose(n, because, policy, faults));
    let mut asked =
        Action::ALL.into_iter().filter_map(|action| Some((action, map.optional(action.as_str())?)));
    let (first, second) = (asked.next(), asked.next());
    let gpc = map.optional("gpc").and_then(|node| node.bool(faults)).unwrap_or_default();
    let (route, find_by) = (map.optional("route"), map.optional("find_by"));
    map.finish(faults);
    if let Some((action, node)) = second {
        let what = format!("a call does one thing, and this one is also to {action}");
        faults.error(&node.place, what, "write two tests");
    }
    let Some((action, what)) = first else {
        let help = "add `read: RECORD`, or `create`, `update`, `delete` or `export`";
        faults.error(&call.place, "a call does something with a record", help);
        return None;
    };
    let reads = reads(what, each, &expect.unwrap_or_default(), file, faults)?;
    let first = reads.first().and_then(|(records, _)| records.first());
    let set = first.and_then(|at| file.records.get(*at)).map(|(_, record)| record.set)?;
    let same = |at: &usize| file.records.get(*at).is_some_and(|(_, record)| record.set == set);
    if !reads.iter().flat_map(|(records, _)| records).all(same) {
        faults.error(&what.place, "these records are of several data sets", "");
    }
    check_names((expected, each), set, &reads, (file, policy), faults);
    let (mut selects_by, default_purpose) = match route {
        Some(node) => self::route(node, set, policy, faults)?,
        None => (Vec::new(), None),
    };
    for (item, path) in find_by.map(|n| n.ids(FieldPath::parse, faults)).unwrap_or_default() {
        match policy.sets().get(set).and_then(|set| set.find(&path)) {
            Some(ix) => selects_by.push(ix),
            None => faults.error(&item.place, format!("unknown field `{path}`"), ""),
        }
    }
    let (name, caller) = (String::from(name), caller?);
    Some(Example {
        name,
        place,
        caller,
        on_behalf_of,
        purpose,
        default_purpose,
        action,
        set,
        selects_by,
        gpc,
        reads,
    })
}

/// Checks the names in `expect:` and `each:`.
fn check_names(
    (expect, each): (Option<&Node>, Option<&Node>),
    set: usize,
    reads: &[(Vec<usize>, Expect)],
    (file, policy): (&TestFile, &PolicySet),
    faults: &mut Faults,
) {
    let read = reads.iter().flat_map(|(records, _)| records);
    let read = read.filter_map(|at| file.records.get(*at)).map(|(_, record)| record).collect();
    let Some(set) = policy.sets().get(set) else { return };
    let known = Known::new(set, read, policy);
    if let Some(expect) = expect {
        known.check(expect, faults);
    }
    for item in each.map(Node::one_or_list).unwrap_or_default() {
        known.check_shared(item, faults);
    }
}

/// The purpose of a call; only one that expects `unknown_purpose` may name what there is not.
fn purpose(
    node: &Node,
    because: Option<&str>,
    policy: &PolicySet,
    faults: &mut Faults,
) -> Option<Box<str>> {
    if because == Some(RefusalReason::UnknownPurpose.as_str()) {
        return node.text(faults).map(Box::from);
    }
    let known: Vec<&str> = policy.purposes().map(PurposeId::as_str).collect();
    let find = |text: &str| known.contains(&text).then(|| Box::from(text));
    node.word("purpose", find, &known, faults)
}

/// The position of a named thing of the file.
fn known<T>(
    node: &Node,
    what: &str,
    named: &[(Box<str>, T)],
    faults: &mut Faults,
) -> Option<usize> {
    let words: Vec<&str> = named.iter().map(|(name, _)| &**name).collect();
    node.word(what, |text| words.iter().position(|word| *word == text), &words, faults)
}

/// What is read: one record, several together, or with `$record` each of a list.
fn reads(
    what: &Node,
    each: Option<&Node>,
    expect: &Expect,
    file: &TestFile,
    faults: &mut Faults,
) -> Option<Vec<(Vec<usize>, Expect)>> {
    let mut reads = Vec::new();
    let per_record = what.as_text() == Some("$record");
    if per_record != each.is_some() {
        let what = &each.unwrap_or(what).place.first_line();
        faults.error(what, "`each` and `read: $record` go together", "");
        return None;
    }
    let Some(each) = each else {
        let records = what.one_or_list().iter();
        let records = records.filter_map(|n| known(n, "record", &file.records, faults)).collect();
        if expect.is_empty() {
            faults.error(&what.place, "nothing is expected of this call", "add `expect:`");
        }
        return Some(vec![(records, expect.clone())]);
    };
    for item in each.list(faults)? {
        let Some(mut map) = MapReader::new(item, "an item of `each`", faults) else { continue };
        let record = map.required("record", faults);
        let record = record.and_then(|node| known(node, "record", &file.records, faults));
        let own = Expect::read(&mut map, faults).or(expect);
        map.finish(faults);
        if own.is_empty() {
            faults.error(&item.place, "nothing is expected of this record", "add `decision:`");
        }
        reads.extend(record.map(|record| (vec![record], own)));
    }
    Some(reads)
}

/// What a route selects by, and its purpose.
fn route(
    node: &Node,
    set: usize,
    policy: &PolicySet,
    faults: &mut Faults,
) -> Option<(Vec<FieldIx>, Option<PurposeId>)> {
    let text = node.text(faults)?;
    let routes = &policy.sets().get(set)?.routes;
    let written = |method: Method, template: &str| format!("{method} {template}");
    let found = routes.iter().find(|route| written(route.method, &route.template) == text);
    if let Some(route) = found {
        return Some((route.variables().collect(), route.purpose.clone()));
    }
    let known: Vec<String> = routes.iter().map(|r| written(r.method, &r.template)).collect();
    let near = closest(text, known.iter().map(String::as_str));
    let help = near.map(|near| format!("did you mean `{near}`?")).unwrap_or_default();
    faults.error(&node.place, format!("unknown route `{text}`"), help);
    None
}
