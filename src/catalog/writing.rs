//! What routes that write say beside the others, and what they must not say.

use std::sync::Arc;

use crate::types::Faults;
use crate::types::FieldPath;
use crate::types::doc::Node;
use crate::types::doc::Value;

use super::DataSet;
use super::FieldIx;
use super::Method;
use super::Records;
use super::Route;
use super::read::leaf_at;
use super::read::single_at;

/// Reads `unsafe_writes: accepted`: somebody has thought about it.
pub(super) fn accepted(node: &Node, faults: &mut Faults) -> bool {
    let parse = |word: &str| (word == "accepted").then_some(());
    if matches!(node.value, Value::Bool(_)) {
        let what = "`unsafe_writes` is neither true nor false";
        faults.error(&node.place, what, "write `accepted`, or leave it out");
        return false;
    }
    node.word("answer to unsafe writes", parse, &["accepted"], faults).is_some()
}

/// Reads `created_id: "$.id"`: the leaf below the route's records that holds the id which the
/// store gave.
pub(super) fn created_id(
    node: &Node,
    route: &Route,
    set: &DataSet,
    faults: &mut Faults,
) -> Option<FieldIx> {
    if route.method != Method::Post {
        let what = format!("a {} route creates nothing, so it has no `created_id`", route.method);
        faults.error(&node.place, what, "leave it out");
        return None;
    }
    let text = node.text(faults)?;
    let records = route.records.as_ref()?;
    let steps: String = records.steps.iter().map(|step| format!(".{step}")).collect();
    let each = if records.records == Records::Each { "[*]" } else { "" };
    let above = format!("${steps}{each}.");
    let path = text.strip_prefix(&above).map(FieldPath::parse);
    let Some(Ok(path)) = path else {
        let what = format!(
            "`{text}` names no field of the records, which stand at `{}`",
            above.trim_end_matches('.')
        );
        faults.error(&node.place, what, format!("write it as `{above}FIELD`"));
        return None;
    };
    let found = leaf_at(&path, &node.place, set, faults)?;
    single_at(found, &node.place, set, faults)
}

/// Reports what a route of this method cannot have, or lacks. `records` is what was written, be it
/// right or wrong.
pub(super) fn fits(route: &Route, records: Option<&Node>, faults: &mut Faults) {
    let (method, place) = (route.method, &route.place);
    if !matches!(method, Method::Get | Method::Delete) && records.is_none() {
        let help = match method {
            Method::Post => {
                "write `records: \"$\"` for one record, `records: \"$[*]\"` for an array of new ones"
            }
            _ => "write `records: \"$\"`",
        };
        faults.error(place, format!("a {method} route needs `records`"), help);
    }
    let Some(selector) = &route.records else { return unsafe_fits(route, faults) };
    match method {
        Method::Delete => {
            let what = "a DELETE route has no `records`: nothing is sent and nothing is answered";
            faults.error(place, what, "leave them out");
        }
        Method::Patch | Method::Put if selector.records == Records::Each => {
            let what = format!("a {method} route writes one record");
            faults.error(place, what, "write `records: \"$\"`");
        }
        _ => {}
    }
    if matches!(method, Method::Patch | Method::Post | Method::Put) && !selector.around.is_empty() {
        let what = format!("nothing is passed on around the records of a {method} route");
        faults.error(place, what, "leave `around` out");
    }
    unsafe_fits(route, faults);
}

/// A creation overwrites nothing, and a read neither; and what selects by a value may select more
/// than one record.
fn unsafe_fits(route: &Route, faults: &mut Faults) {
    let (method, place) = (route.method, &route.place);
    if route.unsafe_writes && matches!(method, Method::Get | Method::Post) {
        let what = format!("`unsafe_writes` has no meaning on a {method} route");
        faults.error(place, what, "write it on PUT, PATCH and DELETE routes");
    }
    if method != Method::Get && !route.find_by.is_empty() {
        let what = format!("a {method} route selects no records by parameters");
        faults.error(place, what, "name the record in the path, and leave `find_by` out");
    }
}

/// Reports a route that takes for a record what is read as a file, or for another field of it.
fn same_file(route: &Route, read: &Route, faults: &mut Faults) {
    if route.opaque == read.opaque {
        return;
    }
    let (method, template) = (route.method, &route.template);
    let what = match (&route.opaque, &read.opaque) {
        (None, _) => format!("`GET {template}` reads a file, and `{method} {template}` a record"),
        (Some(_), None) => {
            format!("`GET {template}` reads records, and `{method} {template}` writes a file")
        }
        (Some(_), Some(_)) => {
            format!("`GET {template}` reads another file than `{method} {template}` writes")
        }
    };
    let help = "write the same `records: opaque`, `field` and `of` on both, or on neither";
    faults.error(&route.place, what, help);
}

/// Reports routes that change or remove what no route reads: the record is read before it is
/// written.
pub(super) fn check(routes: &[Arc<Route>], faults: &mut Faults) {
    let changing = |route: &&Arc<Route>| !matches!(route.method, Method::Get | Method::Post);
    for route in routes.iter().filter(changing) {
        let (method, template) = (route.method, &route.template);
        let same = |other: &&Arc<Route>| other.method == Method::Get && other.template == *template;
        let Some(read) = routes.iter().find(same) else {
            let what = format!("`{method} {template}` has no GET route beside it");
            let help = format!(
                "add `on: \"GET {template}\"` with `records` to the same data set: a record is read \
                 before it is changed or removed"
            );
            faults.error(&route.place, what, help);
            continue;
        };
        same_file(route, read, faults);
        let single = |selector: &super::Selector| selector.records == Records::One;
        if read.records.as_ref().is_some_and(|selector| !single(selector)) {
            let what = format!(
                "`GET {template}` reads several records, so it is not known which one `{method} {template}` writes"
            );
            faults.error(&route.place, what, "route the path of one record");
        }
        for name in route.query.iter().filter(|name| !read.query.contains(name)) {
            let what = format!("`GET {template}` does not list the query parameter `{name}`");
            let help = "list it there as well: the record is read with the same parameters";
            faults.error(&route.place, what, help);
        }
    }
}
