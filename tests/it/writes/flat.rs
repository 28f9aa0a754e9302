//! Bodies that are CSV or a form.

use super::*;
use crate::harness::Step;
use crate::harness::Table;
use crate::harness::Versions;
use crate::harness::json;

const FORM: &str = "Content-Type: application/x-www-form-urlencoded\r\n";
const CSV: &str = "Content-Type: text/csv; header=present\r\n";

/// A store that takes anything.
async fn agreeable() -> FakeStore {
    FakeStore::start(|_| vec![Step::Bytes(json(201, ""))]).await
}

#[tokio::test]
async fn a_form_creates_a_record_and_reaches_the_store_as_a_form() {
    let store = agreeable().await;
    let gateway = gateway(&store);
    let token = token(&gateway, "clerk");
    let at = ("POST", "/shop/customers");
    let form = "country=GB&name=Eve+%26+Co&email=eve%40mail.example";
    let reply = call_at(&gateway, at, &token, FORM, form).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    assert_eq!(writes(&store), ["POST country=GB&name=Eve%20%26%20Co&email=eve%40mail.example"]);
    let asked = store.asked();
    let media = asked.last().unwrap().header("content-type");
    assert_eq!(media, Some("application/x-www-form-urlencoded"));
    for (form, status, words) in [
        ("country=GB&country=CN", 400, "twice"),
        ("country=GB&name=%zz", 400, "hexadecimal"),
        ("country=GB&admin=true", 422, "does not list"),
        ("country=GB&team=y", 403, "`team`"),
        ("country=CN&name=Eve", 403, "this record"),
        ("country=GB&email=e***%40mail.example", 422, "`email`"),
    ] {
        let reply = call_at(&gateway, at, &token, FORM, form).await;
        assert_eq!(reply.status, status, "{form}: {}", reply.text());
        assert!(reply.text().contains(words), "{form}: {}", reply.text());
    }
    assert_eq!(writes(&store).len(), 1);
}

#[tokio::test]
async fn a_form_changes_what_it_names_and_keeps_what_was_shown() {
    let (_, store) = Table::start(Versions::Strong, &[("c-1", ANA)]).await;
    let gateway = gateway(&store);
    let token = token(&gateway, "clerk");
    // What was shown comes back, masked as it was.
    let form = "id=c-1&name=Ana+Ruiz&email=a***%40mail.example&city=Leeds&country=GB&team=x";
    let reply = call(&gateway, "PATCH", &token, FORM, form).await;
    assert_ne!(reply.status, 415, "{}", reply.text());
    assert_eq!(writes(&store), ["PATCH city=Leeds"]);
    // All of the record cannot be said in a form, so nothing of it is lost by one.
    let reply = call(&gateway, "PUT", &token, FORM, "name=Bo&country=GB").await;
    assert_eq!(reply.status, 422, "{}", reply.text());
    assert!(reply.text().contains("send JSON"), "{}", reply.text());
    assert_eq!(writes(&store).len(), 1);
}

#[tokio::test]
async fn csv_creates_all_its_rows_or_none() {
    let store = agreeable().await;
    let gateway = gateway(&store);
    let token = token(&gateway, "clerk");
    let at = ("POST", "/shop/batch");
    let rows = "country,name,email\nGB,\"Eve, \"\"E\"\"\",\nGB,=1+1,bo@mail.example\n";
    let reply = call_at(&gateway, at, &token, CSV, rows).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let stored = "POST country,name,email\r\nGB,\"Eve, \"\"E\"\"\",\r\nGB,=1+1,bo@mail.example\r\n";
    assert_eq!(writes(&store), [stored]);
    let asked = store.asked();
    let media = asked.last().unwrap().header("content-type");
    assert_eq!(media, Some("text/csv; charset=utf-8; header=present"));
    let intent = entries(&gateway).await.into_iter().find(|entry| entry.kind == Kind::Intent);
    assert_eq!(intent.unwrap().records, Some(2));
    let many = format!("country\n{}", "GB\n".repeat(257));
    for (rows, status) in [
        ("country,name\nGB,Eve\nCN,Bo\n", 403),
        ("country,team\nGB,y\n", 403),
        ("country,admin\nGB,1\n", 422),
        ("country,name\nGB\n", 400),
        ("country,country\nGB,GB\n", 400),
        ("country,name\nGB,\"Eve", 400),
        ("country\n", 400),
        (&many, 413),
    ] {
        let reply = call_at(&gateway, at, &token, CSV, rows).await;
        assert_eq!(reply.status, status, "{rows}: {}", reply.text());
    }
    let headless = "Content-Type: text/csv; header=absent\r\n";
    assert_eq!(call_at(&gateway, at, &token, headless, "GB,Eve\n").await.status, 415);
    assert_eq!(call_at(&gateway, ("POST", "/shop/customers"), &token, CSV, rows).await.status, 415);
    assert_eq!(writes(&store).len(), 1);
}
