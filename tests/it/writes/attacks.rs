//! Ways around the rules of writes that somebody thought of.

use super::*;
use crate::harness::Table;
use crate::harness::Versions;

/// Two grants for the same caller, each for other records and other fields.
fn two_grants() -> String {
    POLICY.replace(
        "  - id: mates-read\n",
        "  - id: mates-anywhere
    roles: [mate]
    purposes: [care]
    data: [shop.customers]
    can: [update]
    find_by: [id]
    writes: [city]
  - id: mates-read\n",
    )
}

#[tokio::test]
async fn a_grant_for_other_fields_moves_no_record_out_of_its_scope() {
    let (table, store) = Table::start(Versions::Strong, &[("c-1", ANA)]).await;
    let gateway = Gateway::start(Setup::new(&two_grants(), &store));
    let mate = token(&gateway, "mate");
    // Who may write `team` may so in team x; anywhere else only `city`.
    for sent in [r#"{"team":"y"}"#, r#"{"team":"y","name":"New","city":"Paris"}"#] {
        let reply = call(&gateway, "PATCH", &mate, "", sent).await;
        assert_eq!(reply.status, 403, "{sent}");
    }
    assert_eq!((writes(&store), table.row("c-1").unwrap()), (Vec::new(), ANA.to_owned()));
    let reply = call(&gateway, "PATCH", &mate, "", r#"{"name":"New","city":"Paris"}"#).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_write_that_changes_nothing_is_recorded_as_the_read_it_is() {
    let (_, store) = Table::start(Versions::Strong, &[("c-1", ANA)]).await;
    let gateway = gateway(&store);
    let mate = token(&gateway, "mate");
    let reply = call(&gateway, "PATCH", &mate, "", "{}").await;
    assert_eq!(reply.status, 200);
    assert!(reply.text().contains("Ana Ruiz"));
    let entries = entries(&gateway).await;
    let release = entries.iter().find(|entry| entry.kind == Kind::Release).unwrap();
    assert_eq!(release.action, Some(privet::types::Action::Read));
    assert_eq!(release.rules.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ["mates-read"]);
    assert_eq!((release.records, release.subjects.len()), (Some(1), 1));
    assert!(release.fields.iter().any(|kind| kind.category.as_str() == "user.name"));
    let outcome = entries.iter().find(|entry| entry.kind == Kind::Outcome).unwrap();
    assert_eq!(outcome.action, Some(privet::types::Action::Update));
}

#[tokio::test]
async fn a_batch_is_no_longer_than_its_share_of_the_buffers() {
    let (_, store) = Table::start(Versions::Strong, &[]).await;
    let gateway = gateway(&store);
    let clerk = token(&gateway, "clerk");
    let more = format!("Content-Type: application/json\r\nContent-Length: {}\r\n", (2 << 20) + 1);
    let reply = call_at(&gateway, ("POST", "/shop/batch"), &clerk, &more, "").await;
    assert_eq!((reply.status, store.asked().len()), (413, 0));
}
