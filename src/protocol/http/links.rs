//! `Location` and `Link` of a store's answer: rewritten to a routed path, or dropped.

use super::Authority;
use super::Target;

/// The link relations passed on: pages and the thing itself.
const RELATIONS: &[&str] = &["first", "last", "next", "prev", "previous", "self"];
/// The most links of one header.
const MAX_LINKS: usize = 8;

/// A store's `Location` as the client may see it.
///
/// `own` are the authorities of the store; a URL elsewhere is dropped. `route` says where a
/// target of the store lies on the gateway, and only for one that is routed and whose values
/// the caller may be shown.
pub fn reroute_location(
    value: &str,
    own: &[Authority],
    route: impl Fn(&Target) -> Option<String>,
) -> Option<String> {
    let target = if value.starts_with('/') {
        Target::parse_origin(value).ok()?
    } else {
        own.iter().find_map(|authority| Target::parse(value, authority).ok())?
    };
    route(&target)
}

/// A store's `Link` as the client may see it: routed targets with a well-known `rel`, all other
/// parameters gone. `None` when nothing is left.
pub fn reroute_link(
    value: &str,
    own: &[Authority],
    route: impl Fn(&Target) -> Option<String>,
) -> Option<String> {
    let mut links = Vec::new();
    for link in split_links(value).into_iter().take(MAX_LINKS) {
        let Some((uri, relation)) = parse_link(link) else { continue };
        if let Some(path) = reroute_location(uri, own, &route) {
            links.push(format!("<{path}>; rel=\"{relation}\""));
        }
    }
    (!links.is_empty()).then(|| links.join(", "))
}

/// Splits at the commas outside `<…>`.
fn split_links(value: &str) -> Vec<&str> {
    let mut inside = false;
    value
        .split(|c: char| {
            match c {
                '<' => inside = true,
                '>' => inside = false,
                _ => {}
            }
            c == ',' && !inside
        })
        .collect()
}

fn parse_link(link: &str) -> Option<(&str, &'static str)> {
    let (uri, parameters) = link.trim().strip_prefix('<')?.split_once('>')?;
    let mut relations = parameters.split(';').filter_map(|p| {
        let (name, value) = p.trim().split_once('=')?;
        name.eq_ignore_ascii_case("rel").then(|| value.trim_matches('"'))
    });
    let stated = relations.next()?;
    let known = RELATIONS.iter().find(|known| known.eq_ignore_ascii_case(stated))?;
    relations.next().is_none().then_some((uri, *known))
}
