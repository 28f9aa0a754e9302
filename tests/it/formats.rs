//! Answers of every format over real sockets.

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::get;
use crate::harness::json;

const POLICY: &str = r#"
privet: policy/v1
name: test
purposes:
  care: { basis: contract }
  stats: { basis: legitimate_interest }
roles:
  support: { claim: roles, has: support }
  analyst: { claim: roles, has: analyst }
views:
  email-hint: { mask: { keep_first: 1, keep_domain: true } }
  stable-id: { pseudonymize: { scope: purpose } }
  year: { generalize: { date: year } }
  tens: { generalize: { number: 10 } }
data:
  shop.customers:
    subject: { field: id, domain: person }
    region: country
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "GET /customers", records: "$[*]", query: [limit, offset], find_by: { email: email } }
      - { on: "GET /pages", records: "$.data.items[*]", query: [limit, offset], around: [total, data.count, paging.next, paging.own] }
    fields:
      id: { category: user.unique_id }
      name: { category: user.name }
      email: { category: user.contact.email }
      phone: { category: user.contact.phone_number }
      birthday: { category: user.demographic.date_of_birth }
      points: { category: user.behavior }
      note: { category: user.content.private }
      address: { category: user.contact.address, children: { street: {}, city: {} } }
      "cards[*].pan": { category: user.financial.credit_card }
      country: { category: user.contact.address.country, level: general }
grants:
  - id: support-contact
    roles: [support]
    purposes: [care]
    data: [shop.customers]
    can: [read]
    find_by: [email]
    fields: { id: show, name: show, email: email-hint, phone: show, points: show, note: show, address.city: show, "cards[*].pan": show, country: show }
  - id: cohorts
    roles: [analyst]
    purposes: [stats]
    data: [shop.customers]
    can: [read]
    fields: { id: stable-id, birthday: year, points: tens, country: show }
limits:
  - { id: restricted, purposes: [stats], if: { subject_status: restricted }, then: leave_out }
"#;

fn gateway(store: &FakeStore) -> Gateway {
    Gateway::start(Setup::new(POLICY, store))
}

async fn support(gateway: &Gateway, target: &str) -> Reply {
    get(gateway.address, target, &gateway.token(&["support"], &["care"]), "").await
}

#[tokio::test]
async fn an_envelope_keeps_listed_values_and_links_that_lead_to_the_gateway() {
    let store = FakeStore::start(|asked| {
        let host = asked.header("host").unwrap();
        let body = format!(
            r#"{{"paging":{{"own":"/customers/c-9","next":"http://{host}/pages?limit=2&offset=40","x":"c-8"}},
               "data":{{"items":[{{"id":"c-1","secret":"s"}}],"count":2,"last_id":"c-7"}},"total":9000}}"#
        );
        vec![crate::harness::Step::Bytes(json(200, &body))]
    })
    .await;
    let gateway = gateway(&store);
    let reply = support(&gateway, "/shop/pages?limit=2").await;
    assert_eq!(
        reply.text(),
        r#"{"data":{"items":[{"id":"c-1"}],"count":2},"total":9000,"paging":{"next":"/shop/pages?limit=2&offset=40","own":null}}"#
    );
}

#[tokio::test]
async fn a_link_that_selects_by_what_the_caller_did_not_say_is_not_passed_on() {
    for link in ["/customers?email=a@b.example", "/secrets?limit=1", "/pages?sort=1", "//x.test/"] {
        let body = format!(r#"{{"data":{{"items":[]}},"paging":{{"next":"{link}"}}}}"#);
        let store = FakeStore::always(json(200, &body)).await;
        let gateway = gateway(&store);
        let reply = support(&gateway, "/shop/pages").await;
        assert_eq!(reply.text(), r#"{"data":{"items":[]},"paging":{"next":null}}"#, "{link}");
    }
    let body = r#"{"data":{"items":[]},"paging":{"next":"?offset=2"}}"#;
    let store = FakeStore::always(json(200, body)).await;
    let reply = support(&gateway(&store), "/shop/pages").await;
    assert_eq!(reply.json()["paging"]["next"], "/shop/pages?offset=2");
}

#[tokio::test]
async fn a_list_that_may_be_short_says_so_whatever_its_records_are() {
    for body in ["[]", r#"[{"id":"c-1"}]"#] {
        let store = FakeStore::always(json(200, body)).await;
        let gateway = gateway(&store);
        let page = |reply: &Reply| reply.header("privet-page").map(str::to_owned);
        assert_eq!(page(&support(&gateway, "/shop/customers").await), None);
        let token = gateway.token(&["analyst"], &["stats"]);
        let reply = get(gateway.address, "/shop/customers", &token, "").await;
        assert_eq!(page(&reply).as_deref(), Some("may-be-short"), "{}", reply.text());
    }
    let store = FakeStore::always(json(200, r#"{"id":"c-1"}"#)).await;
    let gateway = gateway(&store);
    let reply = support(&gateway, "/shop/customers/c-1").await;
    assert_eq!((reply.status, reply.header("privet-page")), (200, None));
}

/// A complete answer of CSV.
fn csv(more: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/csv; charset=utf-8\r\n{more}Content-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

/// The rows of an answer, as somebody else's reader reads them.
fn rows(reply: &Reply) -> Vec<Vec<String>> {
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.header("content-type"), Some("text/csv; charset=utf-8; header=present"));
    let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(&*reply.body);
    reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect()).collect()
}

const SHEET: &str = "\u{feff}secret,id,name,email,phone,birthday,points,note,address.street,address.city,cards[*].pan,country\n\
    cAnArY,c-1,\"Ruiz, Ana\",ana@mail.example,+447700900199,1988-10-09,57,\"=HYPERLINK(\"\"x\"\")\",1 High Street,London,cAnArY,GB\n\
    cAnArY,c-2,Bo,,,,-12.5,-12.5,cAnArY,\"Two\nlines\",cAnArY,GB\n";

#[tokio::test]
async fn csv_is_shown_cell_by_cell_as_the_plan_says() {
    let store = FakeStore::always(csv("", SHEET.as_bytes())).await;
    let gateway = gateway(&store);
    let reply = support(&gateway, "/shop/customers").await;
    assert_eq!(
        reply.text(),
        "id,name,email,phone,points,note,address.city,country\r\n\
         c-1,\"Ruiz, Ana\",a***@mail.example,+447700900199,57,\"'=HYPERLINK(\"\"x\"\")\",London,GB\r\n\
         c-2,Bo,,,-12.5,-12.5,\"Two\nlines\",GB\r\n"
    );
    assert_eq!(rows(&reply).len(), 3);
    let token = gateway.token(&["analyst"], &["stats"]);
    let reply = get(gateway.address, "/shop/customers", &token, "Accept: text/csv\r\n").await;
    let table = rows(&reply);
    assert_eq!(table[0], ["id", "birthday", "points", "country"]);
    assert!(table[1][0].starts_with("ps1_") && table[1][1..] == ["1988", "50", "GB"], "{table:?}");
    assert!(table[2][1..] == ["", "-20", "GB"], "{table:?}");
    assert!(!reply.raw_text().contains("cAnArY"));
    let asked = store.asked();
    assert_eq!(asked.last().unwrap().header("accept"), Some("text/csv"));
}

#[tokio::test]
async fn csv_leaves_out_whom_it_may_not_show_and_the_log_names_the_others() {
    let body = "id,country\nc-1,GB\nc-2,GB\n,GB\nc-3,GB\n";
    let store = FakeStore::always(csv("", body.as_bytes())).await;
    let gateway = gateway(&store);
    let restricted = privet::types::SubjectStatus::Restricted;
    gateway.cards.set_status(&crate::harness::person(), "c-2", restricted).await.unwrap();
    let token = gateway.token(&["analyst"], &["stats"]);
    let reply = get(gateway.address, "/shop/customers", &token, "").await;
    assert_eq!(rows(&reply).len(), 3);
    gateway.log.flush().await.unwrap();
    let filter = privet::audit::Filter::default();
    let entries = privet::audit::search(&gateway.audit_dir(), &filter, 0).unwrap();
    let release =
        entries.map(|it| it.unwrap().1).find(|it| it.kind == privet::audit::Kind::Release);
    let release = release.unwrap();
    assert_eq!((release.records, release.left_out, release.subjects.len()), (Some(2), Some(2), 2));
}

#[tokio::test]
async fn csv_arrives_compressed_and_over_http_2() {
    let coded = crate::harness::gzip(SHEET.as_bytes());
    let store = FakeStore::always(csv("Content-Encoding: gzip\r\n", &coded)).await;
    let gateway = gateway(&store);
    let plain = support(&gateway, "/shop/customers").await;
    assert_eq!(rows(&plain)[1][1], "Ruiz, Ana");
    let stream = tokio::net::TcpStream::connect(gateway.address).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http2::handshake(
        hyper_util::rt::TokioExecutor::new(),
        hyper_util::rt::TokioIo::new(stream),
    )
    .await
    .unwrap();
    tokio::spawn(connection);
    let token = gateway.token(&["support"], &["care"]);
    let request = http::Request::get("http://gateway.test/shop/customers")
        .header("authorization", format!("Bearer {token}"))
        .body(http_body_util::Empty::<bytes::Bytes>::new())
        .unwrap();
    let answer = sender.send_request(request).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8; header=present");
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
    assert_eq!(body, plain.body);
}

#[tokio::test]
async fn cut_csv_never_looks_whole() {
    // A header row and many batches, then nothing where more was promised.
    let mut body = b"id,name\n".to_vec();
    for n in 0..5000 {
        body.extend_from_slice(format!("c-{n},Person {n}\n").as_bytes());
    }
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\nContent-Length: {}\r\n\r\n",
        body.len() + 10
    );
    let cut = [head.as_bytes(), &body].concat();
    let steps = vec![crate::harness::Step::Bytes(cut), crate::harness::Step::Close];
    let store = FakeStore::start(move |_| steps.clone()).await;
    let reply = support(&gateway(&store), "/shop/customers").await;
    assert!(reply.status != 200 || !reply.is_whole, "{}", reply.head);
    // Neither length nor chunks: where it ends is anybody's guess.
    let endless = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv\r\n\r\nid,name\nc-1,Ana\n".to_vec();
    let steps = vec![crate::harness::Step::Bytes(endless), crate::harness::Step::Close];
    let store = FakeStore::start(move |_| steps.clone()).await;
    assert_eq!(support(&gateway(&store), "/shop/customers").await.status, 502);
}

#[tokio::test]
async fn hostile_csv_is_refused_in_little_room() {
    let columns = format!("c{}\n", ",c".repeat(1_000_000));
    let cell = ["id,name\nc-1,\"", &"x".repeat(100_000_000), "\"\n"].concat();
    let cases: [(&str, &[u8]); 7] = [
        ("", columns.as_bytes()),
        ("", cell.as_bytes()),
        ("", b"id,name\nc-1,Ana,cAnArY\n"),
        ("", b"id,id\ncAnArY,c-1\n"),
        ("", b"id,name\nc-1,\"Ana\"cAnArY\n"),
        ("", b"id,name\nc-1,\"cAnArY"),
        ("", b""),
    ];
    for (more, body) in cases {
        let store = FakeStore::always(csv(more, body)).await;
        let gateway = gateway(&store);
        let reply = support(&gateway, "/shop/customers").await;
        assert_eq!(reply.status, 502, "{}", reply.text());
        assert!(!reply.raw_text().contains("cAnArY"));
    }
    let headless = b"HTTP/1.1 200 OK\r\nContent-Type: text/csv; header=absent\r\nContent-Length: 8\r\n\r\nc-1,Ana\n";
    let store = FakeStore::always(headless.to_vec()).await;
    assert_eq!(support(&gateway(&store), "/shop/customers").await.status, 502);
}

#[tokio::test]
async fn what_the_client_does_not_accept_is_not_answered() {
    let store = FakeStore::always(csv("", b"id\nc-1\n")).await;
    let gateway = gateway(&store);
    let token = gateway.token(&["support"], &["care"]);
    for (target, accept, status) in [
        ("/shop/customers", "text/csv", 200),
        ("/shop/customers", "*/*", 200),
        ("/shop/customers", "application/json", 406),
        ("/shop/customers/c-1", "text/csv", 406),
        // One record is no row among others.
        ("/shop/customers/c-1", "*/*", 502),
        ("/shop/pages", "*/*", 502),
    ] {
        let reply = get(gateway.address, target, &token, &format!("Accept: {accept}\r\n")).await;
        assert_eq!(reply.status, status, "{target} {accept}");
    }
    let store = FakeStore::always(json(200, "[]")).await;
    let gateway = Gateway::start(Setup::new(POLICY, &store));
    let token = gateway.token(&["support"], &["care"]);
    let reply = get(gateway.address, "/shop/customers", &token, "Accept: text/csv\r\n").await;
    assert_eq!(reply.status, 406);
    assert!(reply.text().contains("CSV"), "{}", reply.text());
    let form = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 4\r\n\r\nid=1";
    let store = FakeStore::always(form.to_vec()).await;
    assert_eq!(support(&self::gateway(&store), "/shop/customers/1").await.status, 502);
}
