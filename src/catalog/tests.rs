//! Tests of data sets, routes and the router.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::types::Action;
use crate::types::CategoryId;
use crate::types::Faults;
use crate::types::FieldPath;
use crate::types::Flags;
use crate::types::Level;
use crate::types::SourceFile;
use crate::types::doc;

fn read(text: &str) -> (Vec<Arc<DataSet>>, Faults) {
    let mut faults = Faults::new();
    let file = Arc::new(SourceFile { name: "a.yaml".into(), text: text.into() });
    let tree = doc::yaml(file, &mut faults);
    let sets =
        tree.map(|tree| read_data(&tree, &Categories::default(), &mut faults)).unwrap_or_default();
    (sets, faults)
}

fn messages(faults: Faults) -> String {
    faults.into_sorted().iter().fold(String::new(), |mut out, fault| {
        writeln!(out, "{fault}").unwrap();
        out
    })
}

pub(super) fn good(text: &str) -> Vec<Arc<DataSet>> {
    let (sets, faults) = read(text);
    assert!(!faults.has_errors(), "{}", messages(faults));
    sets
}

pub(super) fn faults_of(text: &str) -> String {
    messages(read(text).1)
}

/// A data set with these fields and nothing else.
fn fields(lines: &str) -> String {
    let lines: String = lines.lines().map(|line| format!("    {}\n", line.trim_start())).collect();
    format!("shop.customers:\n  subject: none\n  fields:\n{lines}")
}

const CUSTOMERS: &str = r#"
shop.customers:
  title: { en: Customers, zh-CN: 客户 }
  subject: { field: id, domain: person }
  region: country
  mode: enforce
  routes:
    - { on: "GET /customers/{id}", records: "$", purpose: order_support }
    - { on: "GET /customers", records: "$.page.items[*]", query: [limit, offset], find_by: { email: email, city: address.city }, around: [total, page.count, page.link.next] }
    - { on: "GET /customers/latest", records: "$" }
    - { on: "DELETE /customers/{id}" }
  fields:
    id: { category: user.unique_id }
    nickname: { category: user.account.username, level: general }
    email: { category: user.contact.email, at_rest: plain }
    address: { category: user.contact.address, level: critical, children: { street: {}, city: { category: user.contact.address.city }, geo: { children: { lat: { level: critical }, lon: {} } } } }
    country: { category: user.contact.address.country, level: general }
    "cards[*].pan": { category: user.financial.credit_card }
    items: { category: user.behavior.purchase_history, whole: true }
    notes: { category: user.content.private, text: true }
"#;

#[test]
fn a_data_set_is_read_into_leaves() {
    let sets = good(CUSTOMERS);
    let set = &sets[0];
    let leaves: Vec<String> = set
        .fields
        .iter()
        .map(|f| {
            let flags: Vec<&str> = f.flags.words().collect();
            let mark = if f.whole { " whole" } else { "" };
            let text = if f.text { " text" } else { "" };
            format!("{} {} {} [{}]{mark}{text}", f.path, f.category, f.level, flags.join(" "))
        })
        .collect();
    insta::assert_snapshot!(leaves.join("\n"), @r#"
    id user.unique_id sensitive [personal]
    nickname user.account.username general [personal]
    email user.contact.email sensitive [personal]
    address.street user.contact.address critical [personal]
    address.city user.contact.address.city critical [personal]
    address.geo.lat user.contact.address critical [personal]
    address.geo.lon user.contact.address critical [personal]
    country user.contact.address.country general [personal]
    cards[*].pan user.financial.credit_card critical [personal special]
    items user.behavior.purchase_history sensitive [personal] whole
    notes user.content.private critical [personal] text
    "#);
    assert_eq!((set.id.as_str(), set.store.as_str()), ("shop.customers", "shop"));
    assert_eq!(set.title.as_ref().unwrap().text("zh-CN"), "客户");
    assert_eq!(set.title.as_ref().unwrap().text("de"), "Customers");
    assert_eq!(set.region.and_then(|ix| set.get(ix)).unwrap().path.as_str(), "country");
    assert!(set.is_subject(FieldIx(0)) && set.subjects[0].domain.as_str() == "person");
    let address: Vec<u16> =
        set.within(&FieldPath::parse("address").unwrap()).map(|ix| ix.0).collect();
    assert_eq!(address, [3, 4, 5, 6]);
    let list = &set.routes[1];
    let selector = list.records.as_ref().unwrap();
    assert_eq!((selector.steps.join("/"), selector.records), ("page/items".into(), Records::Each));
    assert_eq!(selector.around.join(" "), "total page.count page.link.next");
    assert!(list.knows_parameter("limit") && list.finds_by("limit").is_none());
    assert_eq!(list.finds_by("city"), set.find(&FieldPath::parse("address.city").unwrap()));
    assert!(!list.knows_parameter("sort"));
    assert_eq!(set.routes[0].purpose.as_ref().unwrap().as_str(), "order_support");
}

#[test]
fn lowering_a_level_is_a_warning_and_keeps_the_flags() {
    let (sets, faults) = read(&fields("a: { category: user.health_and_medical, level: general }"));
    assert!(!faults.has_errors());
    assert_eq!(sets[0].fields[0].level, Level::General);
    assert!(sets[0].fields[0].flags.meets(Flags::SPECIAL));
    insta::assert_snapshot!(messages(faults), @r#"
    a.yaml:4:52: warning: `a` is lowered from critical to general; its legal flags stay: personal, special
    "#);
}

#[test]
fn wrong_fields_are_reported_together() {
    insta::assert_snapshot!(faults_of(&fields(
        "a: { category: user.contact.emial, levle: critical }
         b: { level: high }
         c: { category: user.name, whole: true, children: { d: {} } }
         e: { category: user.name, children: {} }
         'f..g': { category: user.name }
         h: { category: user.name, at_rest: encrypt, index: h_index, seal_as: x }
         i: { category: user.name, at_rest: sealed }
         j: user.name"
    )), @r#"
    a.yaml:4:20: unknown category `user.contact.emial`
     4 |     a: { category: user.contact.emial, levle: critical }
       |                    ^^^^^^^^^^^^^^^^^^
      help: did you mean `user.contact.email`?
    a.yaml:4:40: a field has no `levle`
     4 |     a: { category: user.contact.emial, levle: critical }
       |                                        ^^^^^
      help: did you mean `level`?
    a.yaml:5:8: a field needs `category`
     5 |     b: { level: high }
       |        ^^^^^^^^^^^^^^^
    a.yaml:5:17: unknown level `high`
     5 |     b: { level: high }
       |                 ^^^^
      help: known here: `general`, `sensitive`, `critical`
    a.yaml:6:5: `c` has children and is whole
     6 |     c: { category: user.name, whole: true, children: { d: {} } }
       |     ^
      help: leave out one of them
    a.yaml:7:41: `e` has no children
     7 |     e: { category: user.name, children: {} }
       |                                         ^^
      help: list them, or write `whole: true`
    a.yaml:8:5: field path `f..g` has the character '.'; use names joined by `.`, with `[*]` for the items of an array
     8 |     'f..g': { category: user.name }
       |     ^^^^^^
    a.yaml:9:5: `h` cannot be sealed: no person's key seals data about nobody
     9 |     h: { category: user.name, at_rest: encrypt, index: h_index, seal_as: x }
       |     ^
      help: write `at_rest: plain`, or leave it out
    a.yaml:10:40: unknown protection `sealed`
     10 |     i: { category: user.name, at_rest: sealed }
        |                                        ^^^^^^
      help: known here: `plain`, `encrypt`
    a.yaml:11:8: a field is a map, not text
     11 |     j: user.name
        |        ^^^^^^^^^
    "#);
}

#[test]
fn overlapping_fields_are_refused() {
    insta::assert_snapshot!(faults_of(&fields(
        "address: { category: user.contact.address, whole: true }
         address.city: { category: user.contact.address.city }
         b: { category: user.name, children: { c: {} } }
         b.c: { category: user.name }
         'tags[*]': { category: user.content }
         tags: { category: user.content }
         'cards[*].pan': { category: user.payment }
         cards.owner: { category: user.name }
         addressee: { category: user.name }"
    )), @r#"
    a.yaml:5:5: `address.city` stands in `address`, which line 4 lists
     5 |     address.city: { category: user.contact.address.city }
       |     ^^^^^^^^^^^^
      help: list the container with `children`, or only its parts
    a.yaml:7:5: `b.c` is listed twice, first in line 6
     7 |     b.c: { category: user.name }
       |     ^^^
      help: remove one of them
    a.yaml:8:5: `tags[*]` stands in `tags`, which line 9 lists
     8 |     'tags[*]': { category: user.content }
       |     ^^^^^^^^^
      help: list the container with `children`, or only its parts
    a.yaml:9:5: `tags` is written both as `tags[*]` and as `tags`
     9 |     tags: { category: user.content }
       |     ^^^^
      help: write it one way in the whole data set
    a.yaml:11:5: `cards` is written both as `cards[*]` and as `cards`
     11 |     cards.owner: { category: user.name }
        |     ^^^^^^^^^^^
      help: write it one way in the whole data set
    "#);
}

#[test]
fn wrong_data_sets_are_reported_together() {
    insta::assert_snapshot!(faults_of(
        "customers: { subject: none, fields: { a: { category: user } } }
shop.a: { region: nowhere, fields: { a: { category: user }, 'b[*]': { category: user } }, on_erase: { do: delete }, retention: {}, rights: {}, writes: [a] }
shop.b: { subject: { via: order_id, to: shop.orders }, fields: { a: { category: user } }, mode: { observe_until: 2027-01-31 } }
shop.c: { subject: { field: 'b[*]', domain: person }, region: 'b[*]', fields: { 'b[*]': { category: user } }, mode: observe }
shop.d: { subject: [ { field: a, domain: person }, { field: a, domain: person, fields: [b, e] } ], fields: { a: { category: user }, b: { category: user } } }
shop.e: { subject: person, fields: {} }
"
    ), @r#"
    a.yaml:1:1: `customers` does not name a store and a data set in it
     1 | customers: { subject: none, fields: { a: { category: user } } }
       | ^^^^^^^^^
      help: write it as `store.set`, such as `shop.customers`
    a.yaml:2:9: a data set needs `subject`
     2 | shop.a: { region: nowhere, fields: { a: { category: user }, 'b[*]': { category: user } }, on_erase: { do: delete }, retention: {}, rights: {}, writes: [a] }
       |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    a.yaml:2:19: `shop.a` has no field `nowhere`
     2 | shop.a: { region: nowhere, fields: { a: { category: user }, 'b[*]': { category: user } }, on_erase: { do: delete }, retention: {}, rights: {}, writes: [a] }
       |                   ^^^^^^^
    a.yaml:2:91: `on_erase` is not in this version
     2 | shop.a: { region: nowhere, fields: { a: { category: user }, 'b[*]': { category: user } }, on_erase: { do: delete }, retention: {}, rights: {}, writes: [a] }
       |                                                                                           ^^^^^^^^
      help: leave it out; nothing here acts on it yet
    a.yaml:2:117: `retention` is not in this version
     2 | shop.a: { region: nowhere, fields: { a: { category: user }, 'b[*]': { category: user } }, on_erase: { do: delete }, retention: {}, rights: {}, writes: [a] }
       |                                                                                                                     ^^^^^^^^^
      help: leave it out; nothing here acts on it yet
    a.yaml:2:132: `rights` is not in this version
     2 | shop.a: { region: nowhere, fields: { a: { category: user }, 'b[*]': { category: user } }, on_erase: { do: delete }, retention: {}, rights: {}, writes: [a] }
       |                                                                                                                                    ^^^^^^
      help: leave it out; nothing here acts on it yet
    a.yaml:2:144: a data set has no `writes`
     2 | shop.a: { region: nowhere, fields: { a: { category: user }, 'b[*]': { category: user } }, on_erase: { do: delete }, retention: {}, rights: {}, writes: [a] }
       |                                                                                                                                                ^^^^^^
      help: known here: `title`, `fields`, `subject`, `region`, `routes`, `mode`, `rights`, `on_erase`, `retention`
    a.yaml:3:22: `via` is not in this version
     3 | shop.b: { subject: { via: order_id, to: shop.orders }, fields: { a: { category: user } }, mode: { observe_until: 2027-01-31 } }
       |                      ^^^
      help: leave it out; nothing here acts on it yet
    a.yaml:4:29: `b[*]` may have several values in one record
     4 | shop.c: { subject: { field: 'b[*]', domain: person }, region: 'b[*]', fields: { 'b[*]': { category: user } }, mode: observe }
       |                             ^^^^^^
      help: name a field with one plain value
    a.yaml:4:63: `b[*]` may have several values in one record
     4 | shop.c: { subject: { field: 'b[*]', domain: person }, region: 'b[*]', fields: { 'b[*]': { category: user } }, mode: observe }
       |                                                               ^^^^^^
      help: name a field with one plain value
    a.yaml:4:117: unknown mode `observe`
     4 | shop.c: { subject: { field: 'b[*]', domain: person }, region: 'b[*]', fields: { 'b[*]': { category: user } }, mode: observe }
       |                                                                                                                     ^^^^^^^
      help: known here: `enforce`
    a.yaml:5:22: a subject needs `fields`
     5 | shop.d: { subject: [ { field: a, domain: person }, { field: a, domain: person, fields: [b, e] } ], fields: { a: { category: user }, b: { category: user } } }
       |                      ^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    a.yaml:5:52: this subject stands here twice
     5 | shop.d: { subject: [ { field: a, domain: person }, { field: a, domain: person, fields: [b, e] } ], fields: { a: { category: user }, b: { category: user } } }
       |                                                    ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    a.yaml:5:92: `shop.d` has no field `e`
     5 | shop.d: { subject: [ { field: a, domain: person }, { field: a, domain: person, fields: [b, e] } ], fields: { a: { category: user }, b: { category: user } } }
       |                                                                                            ^
    a.yaml:6:20: expected whom a record is about, found text
     6 | shop.e: { subject: person, fields: {} }
       |                    ^^^^^^
      help: write `{ field: id, domain: person }`, `none`, or a list of such maps
    a.yaml:6:36: no field is listed, so no data could ever be shown
     6 | shop.e: { subject: person, fields: {} }
       |                                    ^^
    "#);
}

#[test]
fn several_subjects_own_their_fields() {
    let sets = good(
        "shop.messages:
  subject: [ { field: from, domain: person, fields: [body] }, { field: to, domain: person, fields: [address] } ]
  fields: { from: { category: user.unique_id }, to: { category: user.unique_id }, body: { category: user.content.private }, address: { category: user.contact.address, children: { city: {}, street: {} } } }",
    );
    let owns: Vec<Vec<u16>> = sets[0]
        .subjects
        .iter()
        .map(|s| s.owns.as_ref().unwrap().iter().map(|ix| ix.0).collect())
        .collect();
    assert_eq!(owns, [vec![0, 2], vec![1, 3, 4]]);
}

/// A data set `shop.c` with a field `id` and these routes.
fn routes(lines: &[&str]) -> String {
    let lines: String = lines.iter().map(|line| format!("    - {{ {line} }}\n")).collect();
    format!(
        "shop.c:\n  subject: none\n  fields: {{ id: {{ category: user }}, 'tags[*]': {{ category: user }} }}\n  routes:\n{lines}"
    )
}

#[test]
fn what_cannot_stand_around_the_records_is_reported() {
    insta::assert_snapshot!(faults_of(&routes(&[
        "on: GET /a, records: '$.d.i[*]', around: [n, d, d.i, d.i.x, m.t, m, 'a..b', 'l[*].x']",
    ])), @r#"
    a.yaml:5:54: `d` holds the records themselves
     5 |     - { on: GET /a, records: '$.d.i[*]', around: [n, d, d.i, d.i.x, m.t, m, 'a..b', 'l[*].x'] }
       |                                                      ^
      help: leave it out of `around`
    a.yaml:5:57: `d.i` holds the records themselves
     5 |     - { on: GET /a, records: '$.d.i[*]', around: [n, d, d.i, d.i.x, m.t, m, 'a..b', 'l[*].x'] }
       |                                                         ^^^
      help: leave it out of `around`
    a.yaml:5:62: `d.i.x` stands inside the records
     5 |     - { on: GET /a, records: '$.d.i[*]', around: [n, d, d.i, d.i.x, m.t, m, 'a..b', 'l[*].x'] }
       |                                                              ^^^^^
      help: list it under `fields`, and leave it out of `around`
    a.yaml:5:74: `m` and `m.t` cannot both be plain values
     5 |     - { on: GET /a, records: '$.d.i[*]', around: [n, d, d.i, d.i.x, m.t, m, 'a..b', 'l[*].x'] }
       |                                                                          ^
      help: name the plain values alone, not what holds them
    a.yaml:5:77: `a..b` does not say where a plain value stands
     5 |     - { on: GET /a, records: '$.d.i[*]', around: [n, d, d.i, d.i.x, m.t, m, 'a..b', 'l[*].x'] }
       |                                                                             ^^^^^^
      help: write member names joined by `.`, such as `meta.total`
    a.yaml:5:85: `l[*].x` does not say where a plain value stands
     5 |     - { on: GET /a, records: '$.d.i[*]', around: [n, d, d.i, d.i.x, m.t, m, 'a..b', 'l[*].x'] }
       |                                                                                     ^^^^^^^^
      help: write member names joined by `.`, such as `meta.total`
    "#);
}

#[test]
#[expect(clippy::too_many_lines, reason = "the messages are the test")]
fn wrong_routes_are_reported_together() {
    insta::assert_snapshot!(faults_of(&routes(&[
        "on: '/c/{id}', records: $",
        "on: get /c, records: $",
        "on: GET c, records: $",
        "on: GET /c/, records: $",
        "on: GET /c//d, records: $",
        "on: GET /c/../d, records: $",
        "on: GET /c/%41, records: $",
        "on: 'GET /c?x=1', records: $",
        "on: 'GET /c/{id}.json', records: $",
        "on: 'GET /c/{key}', records: $",
        "on: 'GET /c/{tags[*]}', records: $",
        "on: GET /c",
        "on: GET /d, records: '$..x'",
        "on: GET /e, records: opaque",
        "on: GET /f, records: '$[*]', around: [total]",
        "on: GET /g, records: '$.a[*]', around: [a], query: [id, q, q], find_by: { id: id, x: idd }",
    ])), @r#"
    a.yaml:5:13: `/c/{id}` is no method and path
     5 |     - { on: '/c/{id}', records: $ }
       |             ^^^^^^^^^
      help: write it as "GET /customers/{id}"
    a.yaml:6:13: `get` is no method that is routed
     6 |     - { on: get /c, records: $ }
       |             ^^^^^^
      help: known here: DELETE, GET, PATCH, POST, PUT
    a.yaml:7:13: path `c` does not start with `/`
     7 |     - { on: GET c, records: $ }
       |             ^^^^^
      help: write it as "GET /customers/{id}"
    a.yaml:8:13: path `/c/` has an empty segment or ends in `/`
     8 |     - { on: GET /c/, records: $ }
       |             ^^^^^^^
      help: write it as "GET /customers/{id}"
    a.yaml:9:13: path `/c//d` has an empty segment or ends in `/`
     9 |     - { on: GET /c//d, records: $ }
       |             ^^^^^^^^^
      help: write it as "GET /customers/{id}"
    a.yaml:10:13: path `/c/../d` has a dot segment
     10 |     - { on: GET /c/../d, records: $ }
        |             ^^^^^^^^^^^
      help: write it as "GET /customers/{id}"
    a.yaml:11:13: path `/c/%41` has the character '%'
     11 |     - { on: GET /c/%41, records: $ }
        |             ^^^^^^^^^^
      help: write it as "GET /customers/{id}"
    a.yaml:12:13: path `/c?x=1` has the character '?'
     12 |     - { on: 'GET /c?x=1', records: $ }
        |             ^^^^^^^^^^^^
      help: write it as "GET /customers/{id}"
    a.yaml:13:13: path `/c/{id}.json` has a variable that is not a whole segment
     13 |     - { on: 'GET /c/{id}.json', records: $ }
        |             ^^^^^^^^^^^^^^^^^^
      help: write it as "GET /customers/{id}"
    a.yaml:14:13: `shop.c` has no field `key`
     14 |     - { on: 'GET /c/{key}', records: $ }
        |             ^^^^^^^^^^^^^^
    a.yaml:15:13: `tags[*]` may have several values in one record
     15 |     - { on: 'GET /c/{tags[*]}', records: $ }
        |             ^^^^^^^^^^^^^^^^^^
      help: name a field with one plain value
    a.yaml:16:7: a GET route needs `records`
     16 |     - { on: GET /c }
        |       ^^^^^^^^^^^^^^
      help: write `records: "$"` for one record, `records: "$[*]"` for an array
    a.yaml:17:30: `$..x` does not say where the records stand
     17 |     - { on: GET /d, records: '$..x' }
        |                              ^^^^^^
      help: write it as `$`, `$[*]`, `$.data` or `$.data.items[*]`
    a.yaml:18:7: a route of files needs `field`
     18 |     - { on: GET /e, records: opaque }
        |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      help: write `field: photo`, a field of the data set: it says what the file is
    a.yaml:19:47: nothing stands around these records
     19 |     - { on: GET /f, records: '$[*]', around: [total] }
        |                                               ^^^^^
      help: leave `around` out
    a.yaml:20:49: `a` holds the records themselves
     20 |     - { on: GET /g, records: '$.a[*]', around: [a], query: [id, q, q], find_by: { id: id, x: idd } }
        |                                                 ^
      help: leave it out of `around`
    a.yaml:20:61: `id` stands under `query` and under `find_by`
     20 |     - { on: GET /g, records: '$.a[*]', around: [a], query: [id, q, q], find_by: { id: id, x: idd } }
        |                                                             ^^
      help: leave it under `find_by`, since it selects records
    a.yaml:20:68: `q` stands here twice
     20 |     - { on: GET /g, records: '$.a[*]', around: [a], query: [id, q, q], find_by: { id: id, x: idd } }
        |                                                                    ^
    a.yaml:20:94: `shop.c` has no field `idd`
     20 |     - { on: GET /g, records: '$.a[*]', around: [a], query: [id, q, q], find_by: { id: id, x: idd } }
        |                                                                                              ^^^
      help: did you mean `id`?
    "#);
}

#[test]
fn routes_that_write_say_what_they_need() {
    let sets = good(&routes(&[
        "on: 'GET /c/{id}', records: $, query: [v]",
        "on: 'PUT /c/{id}', records: $, unsafe_writes: accepted, query: [v]",
        "on: 'PATCH /c/{id}', records: $.data",
        "on: 'DELETE /c/{id}'",
        "on: POST /c, records: $, created_id: $.id",
        "on: POST /cs, records: '$.a.b[*]', created_id: '$.a.b[*].id'",
        "on: POST /d, records: $, purpose: p",
    ]));
    let told: Vec<_> = sets[0]
        .routes
        .iter()
        .map(|route| (route.method.action(), route.unsafe_writes, route.created_id))
        .collect();
    let id = Some(FieldIx(0));
    assert_eq!(
        told,
        [
            (Action::Read, false, None),
            (Action::Update, true, None),
            (Action::Update, false, None),
            (Action::Delete, false, None),
            (Action::Create, false, id),
            (Action::Create, false, id),
            (Action::Create, false, None),
        ]
    );
}

#[test]
fn natural_guesses_are_told_the_right_word() {
    insta::assert_snapshot!(faults_of(&routes(&[
        "on: 'GET /a/{id}', records: $",
        "on: 'DELETE /a/{id}', unsafe_writes: true",
        "on: PUT a, records: $",
        "on: GET /b, records: '$.d[*]', around: [$.total]",
    ])), @r#"
    a.yaml:6:46: `unsafe_writes` is neither true nor false
     6 |     - { on: 'DELETE /a/{id}', unsafe_writes: true }
       |                                              ^^^^
      help: write `accepted`, or leave it out
    a.yaml:7:13: path `a` does not start with `/`
     7 |     - { on: PUT a, records: $ }
       |             ^^^^^
      help: write it as "PUT /customers/{id}"
    a.yaml:8:49: `$.total` does not say where a plain value stands
     8 |     - { on: GET /b, records: '$.d[*]', around: [$.total] }
       |                                                 ^^^^^^^
      help: leave out `$.`: paths here begin at the root by themselves
    "#);
}

#[test]
fn faults_of_routes_that_write_are_told() {
    insta::assert_snapshot!(faults_of(&routes(&[
        "on: 'PUT /a/{id}', records: $",
        "on: GET /b, records: '$[*]'",
        "on: DELETE /b, query: [all]",
        "on: 'GET /c/{id}', records: $",
        "on: 'PATCH /c/{id}', records: '$[*]'",
        "on: 'PUT /c/{id}', find_by: { id: id }, created_id: $.id",
        "on: 'DELETE /c/{id}', records: $, unsafe_writes: yes",
    ])), @r#"
    a.yaml:5:13: `PUT /a/{id}` has no GET route beside it
     5 |     - { on: 'PUT /a/{id}', records: $ }
       |             ^^^^^^^^^^^^^
      help: add `on: "GET /a/{id}"` with `records` to the same data set: a record is read before it is changed or removed
    a.yaml:7:13: `GET /b` reads several records, so it is not known which one `DELETE /b` writes
     7 |     - { on: DELETE /b, query: [all] }
       |             ^^^^^^^^^
      help: route the path of one record
    a.yaml:7:13: `GET /b` does not list the query parameter `all`
     7 |     - { on: DELETE /b, query: [all] }
       |             ^^^^^^^^^
      help: list it there as well: the record is read with the same parameters
    a.yaml:9:13: a PATCH route writes one record
     9 |     - { on: 'PATCH /c/{id}', records: '$[*]' }
       |             ^^^^^^^^^^^^^^^
      help: write `records: "$"`
    a.yaml:10:13: a PUT route needs `records`
     10 |     - { on: 'PUT /c/{id}', find_by: { id: id }, created_id: $.id }
        |             ^^^^^^^^^^^^^
      help: write `records: "$"`
    a.yaml:10:13: a PUT route selects no records by parameters
     10 |     - { on: 'PUT /c/{id}', find_by: { id: id }, created_id: $.id }
        |             ^^^^^^^^^^^^^
      help: name the record in the path, and leave `find_by` out
    a.yaml:10:61: a PUT route creates nothing, so it has no `created_id`
     10 |     - { on: 'PUT /c/{id}', find_by: { id: id }, created_id: $.id }
        |                                                             ^^^^
      help: leave it out
    a.yaml:11:13: a DELETE route has no `records`: nothing is sent and nothing is answered
     11 |     - { on: 'DELETE /c/{id}', records: $, unsafe_writes: yes }
        |             ^^^^^^^^^^^^^^^^
      help: leave them out
    a.yaml:11:58: unknown answer to unsafe writes `yes`
     11 |     - { on: 'DELETE /c/{id}', records: $, unsafe_writes: yes }
        |                                                          ^^^
      help: known here: `accepted`
    "#);
}

#[test]
fn faults_of_routes_that_create_are_told() {
    insta::assert_snapshot!(faults_of(&routes(&[
        "on: POST /c",
        "on: POST /d, records: '$.x[*]', created_id: $.id, around: [n]",
        "on: POST /e, records: $, created_id: '$.tags[*]', unsafe_writes: accepted",
        "on: POST /f, records: $, created_id: $.idd",
    ])), @r#"
    a.yaml:5:13: a POST route needs `records`
     5 |     - { on: POST /c }
       |             ^^^^^^^
      help: write `records: "$"` for one record, `records: "$[*]"` for an array of new ones
    a.yaml:6:13: nothing is passed on around the records of a POST route
     6 |     - { on: POST /d, records: '$.x[*]', created_id: $.id, around: [n] }
       |             ^^^^^^^
      help: leave `around` out
    a.yaml:6:53: `$.id` names no field of the records, which stand at `$.x[*]`
     6 |     - { on: POST /d, records: '$.x[*]', created_id: $.id, around: [n] }
       |                                                     ^^^^
      help: write it as `$.x[*].FIELD`
    a.yaml:7:13: `unsafe_writes` has no meaning on a POST route
     7 |     - { on: POST /e, records: $, created_id: '$.tags[*]', unsafe_writes: accepted }
       |             ^^^^^^^
      help: write it on PUT, PATCH and DELETE routes
    a.yaml:7:46: `tags[*]` may have several values in one record
     7 |     - { on: POST /e, records: $, created_id: '$.tags[*]', unsafe_writes: accepted }
       |                                              ^^^^^^^^^^^
      help: name a field with one plain value
    a.yaml:8:46: `shop.c` has no field `idd`
     8 |     - { on: POST /f, records: $, created_id: $.idd }
       |                                              ^^^^^
      help: did you mean `id`?
    "#);
}

#[test]
fn routes_that_match_the_same_calls_are_refused() {
    let (sets, mut faults) = read(&routes(&[
        "on: 'GET /c/{id}', records: $",
        "on: 'GET /c/latest', records: $",
        "on: 'PATCH /c/{id}', records: $",
        "on: 'GET /c/{id}', records: '$[*]'",
    ]));
    Router::build(&sets, &mut faults);
    insta::assert_snapshot!(messages(faults), @r#"
    a.yaml:8:13: `GET /c/{id}` matches the same calls as `/c/{id}` of `shop.c`
     8 |     - { on: 'GET /c/{id}', records: '$[*]' }
       |             ^^^^^^^^^^^^^
      help: the other stands at a.yaml:5:13
    "#);
}

fn shop() -> Router {
    let sets = good(&format!(
        "{CUSTOMERS}\n{}",
        routes(&[
            "on: GET /, records: $",
            "on: 'GET /c/{id}/x', records: $",
            "on: 'GET /c/a/y', records: $",
            "on: 'GET /客户', records: $",
        ])
    ));
    let mut faults = Faults::new();
    let router = Router::build(&sets, &mut faults);
    assert!(!faults.has_errors());
    router
}

fn found(router: &Router, method: Method, path: &str) -> String {
    match router.find(method, path) {
        Found::Nothing => "nothing".into(),
        Found::OtherMethods => "other methods".into(),
        Found::Route(m) => {
            let vars: Vec<&str> = m.vars.iter().map(|(_, value)| &**value).collect();
            format!("{} {} {vars:?}", m.set.id, m.route.template)
        }
    }
}

#[test]
fn paths_find_their_routes() {
    let router = shop();
    for (method, path, expected) in [
        (Method::Get, "/customers/c-1", "shop.customers /customers/{id} [\"c-1\"]"),
        (Method::Get, "/customers/%E5%AE%A2", "shop.customers /customers/{id} [\"客\"]"),
        (Method::Get, "/customers/a%20b", "shop.customers /customers/{id} [\"a b\"]"),
        (Method::Get, "/customers/100%25", "shop.customers /customers/{id} [\"100%\"]"),
        (Method::Get, "/customers/latest", "shop.customers /customers/latest []"),
        (Method::Get, "/customers/l%61test", "shop.customers /customers/latest []"),
        (Method::Delete, "/customers/c-1", "shop.customers /customers/{id} [\"c-1\"]"),
        (Method::Delete, "/customers/latest", "other methods"),
        (Method::Put, "/customers", "other methods"),
        (Method::Get, "/customers/", "nothing"),
        (Method::Get, "/customers//", "nothing"),
        (Method::Get, "//customers", "nothing"),
        (Method::Get, "/Customers", "nothing"),
        (Method::Get, "/customers/a/b", "nothing"),
        (Method::Get, "/customers/a%2fb", "nothing"),
        (Method::Get, "/customers/a%5cb", "nothing"),
        (Method::Get, "/customers/a%00", "nothing"),
        (Method::Get, "/customers/%c2%85", "nothing"),
        (Method::Get, "/customers/%ff", "nothing"),
        (Method::Get, "/customers/%2", "nothing"),
        (Method::Get, "/customers/%zz", "nothing"),
        (Method::Get, "/customers/%2e%2e", "nothing"),
        (Method::Get, "/customers/%252f", "nothing"),
        (Method::Get, "/c/a/x", "shop.c /c/{id}/x [\"a\"]"),
        (Method::Get, "/c/a/y", "shop.c /c/a/y []"),
        (Method::Get, "/c/b/y", "nothing"),
        (Method::Get, "/%E5%AE%A2%E6%88%B7", "shop.c /客户 []"),
        (Method::Get, "/", "shop.c / []"),
        (Method::Get, "", "nothing"),
    ] {
        assert_eq!(found(&router, method, path), expected, "{method} {path}");
    }
}

#[test]
fn a_match_does_not_print_its_values() {
    let found = shop().find(Method::Get, "/customers/c-1");
    assert_eq!(format!("{found:?}"), "Route(Matched(GET /customers/{id}))");
}

#[test]
fn every_category_has_a_level_and_a_parent_and_personal_means_user() {
    let all: Vec<category::Category> = category::all().collect();
    assert_eq!(all.len(), 85);
    let count = |level| all.iter().filter(|c| c.level == level).count();
    assert_eq!([Level::General, Level::Sensitive, Level::Critical].map(count), [8, 43, 34]);
    let keys: BTreeSet<&str> = all.iter().map(|c| c.key).collect();
    assert_eq!(keys.len(), 85);
    for c in &all {
        let personal = c.key == "user" || c.key.starts_with("user.");
        assert_eq!(c.flags.meets(Flags::PERSONAL), personal, "{}", c.key);
        if let Some((parent, _)) = c.key.rsplit_once('.') {
            assert!(keys.contains(parent), "{}", c.key);
        }
    }
    let of = |key: &str| category::find(&CategoryId::parse(key).unwrap()).unwrap();
    assert!(of("user.childrens").flags.meets(Flags::CHILD));
    assert_eq!(of("user.location.imprecise").level, Level::General);
    for key in ["user.health_and_medical.genetic", "user.biometric.voice", "user.criminal_history"]
    {
        assert!(of(key).flags.meets(Flags::SPECIAL) && of(key).level == Level::Critical, "{key}");
    }
}

#[test]
fn the_data_of_the_customer_care_example_is_read() {
    let (sets, faults) = read(CUSTOMERS);
    assert_eq!(sets.len(), 1);
    assert_eq!(faults.iter().count(), 2, "two lowered levels");
}

proptest! {
    #[test]
    fn a_variable_is_what_the_path_says_or_nothing(value in "[ -~é客]{1,12}") {
        let encoded: String = value.bytes().map(|b| format!("%{b:02X}")).collect();
        let router = shop();
        match router.find(Method::Get, &format!("/customers/{encoded}")) {
            Found::Route(m) if &*m.route.template == "/customers/{id}" => {
                prop_assert_eq!(&m.vars[0].1, &value);
                prop_assert!(!value.contains(['/', '\\']) && value != "." && value != "..");
            }
            Found::Route(_) => prop_assert_eq!(value, "latest"),
            Found::Nothing => prop_assert!(value.contains(['/', '\\', '%']) || value == "." || value == ".."),
            Found::OtherMethods => prop_assert!(false),
        }
    }

    #[test]
    fn no_path_breaks_the_router(path in "[/a-c%0-9.{}é]{0,40}") {
        let shown = found(&shop(), Method::Get, &path);
        prop_assert!(!shown.is_empty());
    }

    #[test]
    fn no_data_breaks_the_reader(path in "[a-c.\\[\\]*]{1,12}", on in "[GETPOS /{}a-c.?%]{0,16}", records in "[$.a\\[\\]*]{0,8}") {
        let (sets, faults) = read(&format!(
            "shop.a:\n  subject: {{ field: '{path}', domain: p }}\n  fields: {{ '{path}': {{ category: user }}, a: {{ category: user, children: {{ '{path}': {{}} }} }} }}\n  routes: [ {{ on: '{on}', records: '{records}' }} ]"
        ));
        for fault in faults.iter() {
            let place = fault.place.as_ref().unwrap();
            prop_assert!(place.file.text.get(place.span.clone()).is_some());
        }
        for set in sets {
            for route in &set.routes {
                prop_assert!(route.variables().all(|ix| set.get(ix).is_some()));
            }
        }
    }
}

#[test]
fn wrong_routes_of_files_are_reported_together() {
    insta::assert_snapshot!(faults_of(&routes(&[
        "on: 'GET /c/{id}', records: $",
        "on: 'GET /c', records: '$[*]'",
        "on: 'GET /c/{id}/a', records: opaque, field: ida",
        "on: 'GET /c/{id}/b', records: opaque, field: id, of: 'GET /d/{id}'",
        "on: 'GET /c/{id}/c', records: opaque, field: id, of: 'GET /c'",
        "on: 'GET /e', records: opaque, field: id, of: 'GET /c/{id}'",
        "on: 'GET /c/{id}/d', records: opaque, field: id, find_by: { a: id }, around: [total]",
        "on: 'GET /f', records: opaque, field: id",
        "on: 'GET /c/{id}/e', records: opaque, field: 'tags[*]'",
        "on: 'PATCH /c/{id}/e', records: opaque, field: id",
        "on: 'DELETE /c/{id}/f'",
        "on: 'GET /c/{id}/f', records: opaque, field: id, of: 'GET /c/{id}'",
        "on: 'PUT /c/{id}/f', records: opaque, field: id",
        "on: 'PUT /c/{id}', records: opaque, field: id",
        "on: 'POST /c/{id}/g', records: opaque, field: id, created_id: $.id",
    ])), @r#"
    a.yaml:7:54: `shop.c` has no field `ida`
     7 |     - { on: 'GET /c/{id}/a', records: opaque, field: ida }
       |                                                      ^^^
      help: did you mean `id`?
    a.yaml:8:62: the data set has no route `GET /d/{id}`
     8 |     - { on: 'GET /c/{id}/b', records: opaque, field: id, of: 'GET /d/{id}' }
       |                                                              ^^^^^^^^^^^^^
      help: did you mean `GET /c/{id}`?
    a.yaml:9:62: `GET /c` does not read one record
     9 |     - { on: 'GET /c/{id}/c', records: opaque, field: id, of: 'GET /c' }
       |                                                              ^^^^^^^^
      help: name a GET route with one record, such as `records: "$"`
    a.yaml:10:55: the path of the file does not say every variable of `GET /c/{id}`
     10 |     - { on: 'GET /e', records: opaque, field: id, of: 'GET /c/{id}' }
        |                                                       ^^^^^^^^^^^^^
      help: use the same variables in both paths
    a.yaml:11:67: `find_by` says nothing about a file
     11 |     - { on: 'GET /c/{id}/d', records: opaque, field: id, find_by: { a: id }, around: [total] }
        |                                                                   ^^^^^^^^^
      help: leave it out
    a.yaml:11:86: `around` says nothing about a file
     11 |     - { on: 'GET /c/{id}/d', records: opaque, field: id, find_by: { a: id }, around: [total] }
        |                                                                                      ^^^^^^^
      help: leave it out
    a.yaml:13:54: a file is one value, and this field may be several
     13 |     - { on: 'GET /c/{id}/e', records: opaque, field: 'tags[*]' }
        |                                                      ^^^^^^^^^
      help: name a field that a record has once
    a.yaml:14:7: a file is one value, so no part of it can be changed
     14 |     - { on: 'PATCH /c/{id}/e', records: opaque, field: id }
        |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      help: write a PUT route, which replaces the file
    a.yaml:14:13: `GET /c/{id}/e` reads another file than `PATCH /c/{id}/e` writes
     14 |     - { on: 'PATCH /c/{id}/e', records: opaque, field: id }
        |             ^^^^^^^^^^^^^^^^^
      help: write the same `records: opaque`, `field` and `of` on both, or on neither
    a.yaml:15:13: `GET /c/{id}/f` reads a file, and `DELETE /c/{id}/f` a record
     15 |     - { on: 'DELETE /c/{id}/f' }
        |             ^^^^^^^^^^^^^^^^^^
      help: write the same `records: opaque`, `field` and `of` on both, or on neither
    a.yaml:17:13: `GET /c/{id}/f` reads another file than `PUT /c/{id}/f` writes
     17 |     - { on: 'PUT /c/{id}/f', records: opaque, field: id }
        |             ^^^^^^^^^^^^^^^
      help: write the same `records: opaque`, `field` and `of` on both, or on neither
    a.yaml:18:13: `GET /c/{id}` reads records, and `PUT /c/{id}` writes a file
     18 |     - { on: 'PUT /c/{id}', records: opaque, field: id }
        |             ^^^^^^^^^^^^^
      help: write the same `records: opaque`, `field` and `of` on both, or on neither
    a.yaml:19:71: `created_id` says nothing about a file
     19 |     - { on: 'POST /c/{id}/g', records: opaque, field: id, created_id: $.id }
        |                                                                       ^^^^
      help: leave it out
    "#);
}

#[test]
fn wrong_places_of_several_sets_are_reported_together() {
    insta::assert_snapshot!(faults_of(&routes(&[
        "on: GET /a, records: { '$.a[*]': shop.c, '$.a.b': shop.d, '$.e': shop.c, '$.f': shop.d }",
        "on: GET /b, records: { '$.a[*]': shop.d }",
        "on: GET /d, records: { '$': shop.c, '$.a': shop.c }",
        "on: GET /e, records: { '$.a': shop.c, '$.b': other.c }, around: [a, b, t]",
        "on: GET /f, records: { 'a': shop.c, '$.b': shop.c }",
    ])), @r#"
    a.yaml:5:50: these records and those of `shop.c` stand inside one another
     5 |     - { on: GET /a, records: { '$.a[*]': shop.c, '$.a.b': shop.d, '$.e': shop.c, '$.f': shop.d } }
       |                                                  ^^^^^^^
      help: records of several data sets stand side by side in one object tree
    a.yaml:6:30: no records of `shop.c` are in this answer
     6 |     - { on: GET /b, records: { '$.a[*]': shop.d } }
       |                              ^^^^^^^^^^^^^^^^^^^^
      help: write the route under one of the data sets it reads
    a.yaml:7:32: records at the root leave no room for others beside them
     7 |     - { on: GET /d, records: { '$': shop.c, '$.a': shop.c } }
       |                                ^^^
      help: name members, such as `$.customers[*]`
    a.yaml:8:54: `other.c` is not of the store `shop`, which answers
     8 |     - { on: GET /e, records: { '$.a': shop.c, '$.b': other.c }, around: [a, b, t] }
       |                                                      ^^^^^^^
      help: name a data set of the same store
    a.yaml:8:74: `a` holds the records themselves
     8 |     - { on: GET /e, records: { '$.a': shop.c, '$.b': other.c }, around: [a, b, t] }
       |                                                                          ^
      help: leave it out of `around`
    a.yaml:9:32: `a` does not say where the records stand
     9 |     - { on: GET /f, records: { 'a': shop.c, '$.b': shop.c } }
       |                                ^^^
      help: write it as `$`, `$[*]`, `$.data` or `$.data.items[*]`
    "#);
}

#[test]
fn data_sets_beside_others_exist_and_are_only_read() {
    let sets = good(&routes(&[
        "on: GET /a, records: { '$.a[*]': shop.c, '$.b': shop.cc }",
        "on: POST /a, records: { '$.a': shop.c, '$.b': shop.c }",
    ]));
    let mut faults = Faults::new();
    check_sets(&sets, &mut faults);
    let said: Vec<String> = faults
        .into_sorted()
        .iter()
        .map(|fault| format!("{}; {}", fault.what, fault.help.as_deref().unwrap_or_default()))
        .collect();
    assert_eq!(
        said,
        [
            "no data set is called `shop.cc`; did you mean `shop.c`?",
            "a POST route writes records of one data set; write `records` as one place"
        ]
    );
}
