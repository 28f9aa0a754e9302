//! The privacy signal over real sockets: what it ends for a call, what it leaves behind for its
//! person, and what is said of it.

use bytes::Bytes;
use http_body_util::Empty;
use hyper_util::rt::TokioExecutor;
use hyper_util::rt::TokioIo;
use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::authn::Wanted;
use privet::subjects::Card;
use privet::subjects::consent::ConsentState;
use privet::types::Consent;
use privet::types::SubjectStatus;
use tokio::net::TcpStream;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::exchange;
use crate::harness::get;
use crate::harness::json;
use crate::harness::person;
use crate::harness::wanted;

const POLICY: &str = r#"
privet: policy/v1
name: signal
purposes:
  care: { basis: contract, use: essential.service }
  share: { basis: consent, consent: sharing, opt_out: sharing, use: third_party_sharing }
  ads: { basis: contract, opt_out: ads, use: marketing.advertising.third_party.targeted }
  news: { basis: consent, consent: news, use: marketing.communications.email }
roles:
  support: { claim: roles, has: support }
  customer: { is_subject: true }
data:
  shop.customers:
    subject: { field: id, domain: person }
    routes:
      - { on: "GET /customers/{id}", records: "$" }
      - { on: "DELETE /customers/{id}" }
    fields:
      id: { category: user.unique_id }
grants:
  - { id: staff, roles: [support], purposes: [care, share, ads, news], data: [shop.customers], can: [read], fields: { id: show } }
  - { id: own, roles: [customer], purposes: [care, share], data: [shop.customers], can: [read, delete], fields: { id: show } }
limits:
  - { id: out, if: { opted_out: true }, then: leave_out }
"#;

const ONE: &str = "/shop/customers/c-1";

async fn started() -> (FakeStore, Gateway) {
    let store = FakeStore::always(json(200, r#"{"id":"c-1"}"#)).await;
    let gateway = Gateway::start(Setup::new(POLICY, &store));
    (store, gateway)
}

async fn entries(gateway: &Gateway, kind: Kind) -> Vec<Entry> {
    placed(gateway, kind).await.into_iter().map(|(_, entry)| entry).collect()
}

/// Entries and where they stand in the log.
async fn placed(gateway: &Gateway, kind: Kind) -> Vec<(u64, Entry)> {
    gateway.log.flush().await.unwrap();
    let filter = Filter { kind: Some(kind), ..Filter::default() };
    let found = privet::audit::search(&gateway.audit_dir(), &filter, 0).unwrap();
    found.map(Result::unwrap).collect()
}

async fn card(gateway: &Gateway, id: &str) -> Option<Card> {
    gateway.cards.find(&person(), id).await.unwrap().map(|card| Card::clone(&card))
}

fn of_person(gateway: &Gateway, id: &str) -> String {
    gateway.mint(&Wanted { subject_id: Some(id.to_owned()), ..wanted("a-customer") })
}

fn care(more: &str) -> String {
    format!("Privet-Purpose: care\r\n{more}")
}

#[tokio::test]
async fn the_signal_refuses_what_sells_or_shares_and_nothing_else() {
    let (store, gateway) = started().await;
    let staff = gateway.token(&["support"], &["care", "share", "ads", "news"]);
    gateway.cards.set_consent(&person(), "c-1", "sharing", Consent::given(None)).await.unwrap();
    gateway.cards.set_consent(&person(), "c-1", "news", Consent::given(None)).await.unwrap();
    for (purpose, forms, status) in [
        (
            "share",
            &[
                "Sec-GPC: 1\r\n",
                "sec-gpc:1\r\n",
                "SEC-GPC:  1 \r\n",
                "Sec-GPC: 0\r\nSec-GPC: 1\r\n",
                "Sec-GPC: 1,1\r\n",
            ][..],
            403,
        ),
        ("ads", &["Sec-GPC: 1\r\n"], 403),
        (
            "share",
            &[
                "",
                "Sec-GPC: 01\r\n",
                "Sec-GPC: true\r\n",
                "Sec-GPC: \"1\"\r\n",
                "Sec-GPC: 0\r\n",
                "Sec-GPC: 1;q=1\r\n",
            ],
            200,
        ),
        ("care", &["Sec-GPC: 1\r\n"], 200),
        ("news", &["Sec-GPC: 1\r\n"], 200),
    ] {
        for form in forms {
            let before = store.asked().len();
            let more = format!("Privet-Purpose: {purpose}\r\n{form}");
            let reply = get(gateway.address, ONE, &staff, &more).await;
            assert_eq!(reply.status, status, "{purpose} {form:?}: {}", reply.text());
            let asked = store.asked();
            if status == 403 {
                assert_eq!(asked.len(), before, "the store was asked: {form:?}");
                let detail = reply.json()["detail"].as_str().unwrap().to_owned();
                assert!(detail.contains("Sec-GPC: 1"), "{detail}");
            } else {
                // Passed on as it was meant: exactly `1`, or not at all.
                let expected = (form == &"Sec-GPC: 1\r\n").then_some("1");
                assert_eq!(asked.last().unwrap().header("sec-gpc"), expected, "{form:?}");
            }
        }
    }
    let refusals = entries(&gateway, Kind::Refusal).await;
    assert_eq!(refusals.len(), 6);
    assert!(refusals.iter().all(|entry| entry.reason.as_deref() == Some("gpc")));
    // The caller was staff: nothing is kept of anybody.
    assert!(entries(&gateway, Kind::Consent).await.is_empty());
    assert!(card(&gateway, "c-1").await.unwrap().opt_outs.is_empty());
}

#[tokio::test]
async fn the_signal_of_a_person_is_kept_once_and_wins() {
    let (_store, gateway) = started().await;
    gateway.cards.set_consent(&person(), "c-1", "sharing", Consent::given(None)).await.unwrap();
    gateway.cards.set_consent(&person(), "c-1", "news", Consent::given(None)).await.unwrap();
    let token = of_person(&gateway, "c-1");
    assert_eq!(get(gateway.address, ONE, &token, &care("Sec-GPC: 01\r\n")).await.status, 200);
    assert!(entries(&gateway, Kind::Consent).await.is_empty());
    let staff = gateway.token(&["support"], &["share"]);
    assert_eq!(get(gateway.address, ONE, &staff, "").await.status, 200);
    let calls = (0..4).map(|_| {
        let (address, token) = (gateway.address, token.clone());
        tokio::spawn(async move { get(address, ONE, &token, &care("Sec-GPC: 1\r\n")).await.status })
    });
    for call in calls.collect::<Vec<_>>() {
        assert_eq!(call.await.unwrap(), 200);
    }
    let kept = card(&gateway, "c-1").await.unwrap();
    assert_eq!(kept.opt_outs.iter().map(|name| &**name).collect::<Vec<_>>(), ["ads", "sharing"]);
    assert_eq!(kept.consents["sharing"], Consent::Refused);
    // Not what the signal does not speak of, and no erasure.
    assert_eq!(kept.consents["news"], Consent::given(None));
    assert!(kept.status.contains(SubjectStatus::Active));
    let entries = placed(&gateway, Kind::Consent).await;
    let [(index, entry)] = entries.as_slice() else { panic!("{entries:?}") };
    assert_eq!((entry.reason.as_deref(), &*entry.subjects), (Some("gpc"), &[kept.token][..]));
    let fact = |name: &str| entry.facts.get(name).map(|value| &**value);
    assert_eq!(fact("method"), Some("gpc"));
    assert_eq!(fact("opt_outs"), Some("ads sharing"));
    assert_eq!((fact("refused"), fact("conflict")), (Some("sharing"), Some("sharing")));
    // The ledger says the same as the card, and how it came: once, by the call in the log.
    let records = gateway.cards.consents_of(&person(), "c-1").await.unwrap();
    let sharing = records.iter().filter(|r| r.consent.process[0].purpose_key == "sharing");
    let told: Vec<_> = sharing.flat_map(|r| r.events.iter().map(move |e| (r, e))).collect();
    let states: Vec<_> = told.iter().map(|(_, e)| e.event.state).collect();
    assert_eq!(states, [ConsentState::Given, ConsentState::Withdrawn]);
    let (record, last) = told[1];
    assert_eq!(last.event.method.as_deref(), Some("gpc"));
    assert_eq!(last.event.evidence.as_ref().and_then(|evidence| evidence.gpc), Some(true));
    assert_eq!(last.event.entity_id.as_str(), "subject");
    assert_eq!(Some(record.created_by.clone()), entry.actor.map(|actor| actor.to_string()));
    assert_eq!(record.audit_seq, Some(*index));
    // It holds for everybody who asks for them from now on, with or without the signal.
    assert_eq!(get(gateway.address, ONE, &staff, "").await.status, 404);
    // Silence takes nothing back.
    assert_eq!(get(gateway.address, ONE, &token, &care("Sec-GPC: 0\r\n")).await.status, 200);
    assert_eq!(card(&gateway, "c-1").await.unwrap().opt_outs.len(), 2);
}

#[tokio::test]
async fn it_counts_for_the_call_that_brings_it_even_for_a_person_nobody_knows() {
    let (_store, gateway) = started().await;
    let token = of_person(&gateway, "c-9");
    let reply = get(
        gateway.address,
        "/shop/customers/c-9",
        &token,
        "Privet-Purpose: share\r\nSec-GPC: 1\r\n",
    )
    .await;
    assert_eq!(reply.status, 403);
    assert_eq!(card(&gateway, "c-9").await.unwrap().opt_outs.len(), 2);
    // A write brings it too.
    let token = of_person(&gateway, "c-8");
    let request = format!(
        "DELETE /shop/customers/c-8 HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\nPrivet-Purpose: share\r\nSec-GPC: 1\r\n\r\n"
    );
    let reply = Reply::parse(exchange(gateway.address, request.as_bytes()).await, false);
    assert_eq!(reply.status, 403, "{}", reply.text());
    assert_eq!(card(&gateway, "c-8").await.unwrap().opt_outs.len(), 2);
}

#[tokio::test]
async fn nobody_elses_choices_change_by_a_header() {
    let (_store, gateway) = started().await;
    let app = gateway.token(&["support"], &["care"]);
    let customer = of_person(&gateway, "c-1");
    // An application that acts for somebody: the person did not call.
    let more = format!("Privet-On-Behalf-Of: {customer}\r\nSec-GPC: 1\r\n");
    assert_eq!(get(gateway.address, ONE, &app, &more).await.status, 200);
    // Somebody without a believed token.
    assert_eq!(get(gateway.address, ONE, "made.up.token", "Sec-GPC: 1\r\n").await.status, 401);
    assert!(entries(&gateway, Kind::Consent).await.is_empty());
    let kept = card(&gateway, "c-1").await;
    assert!(kept.is_none_or(|card| card.opt_outs.is_empty()));
    // Of a person who asks for another one, only their own.
    let more = care("Sec-GPC: 1\r\n");
    drop(get(gateway.address, "/shop/customers/c-2", &customer, &more).await);
    assert_eq!(card(&gateway, "c-1").await.unwrap().opt_outs.len(), 2);
    let other = card(&gateway, "c-2").await;
    assert!(other.is_none_or(|card| card.opt_outs.is_empty()));
}

#[tokio::test]
async fn the_signal_counts_over_http_2() {
    let (_store, gateway) = started().await;
    let stream = TcpStream::connect(gateway.address).await.unwrap();
    let builder = hyper::client::conn::http2::Builder::new(TokioExecutor::new());
    let (mut client, connection) = builder.handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let token = gateway.token(&["support"], &["ads"]);
    for (lines, status) in [(&["1"][..], 403), (&["0", "1"], 403), (&["01"], 200), (&[], 200)] {
        let mut request = http::Request::get(format!("http://gateway.test{ONE}"))
            .header("authorization", format!("Bearer {token}"));
        for line in lines {
            request = request.header("sec-gpc", *line);
        }
        let reply =
            client.send_request(request.body(Empty::<Bytes>::new()).unwrap()).await.unwrap();
        assert_eq!(reply.status(), status, "{lines:?}");
    }
}

#[tokio::test]
async fn who_asks_is_told_that_the_signal_is_heeded() {
    let (store, gateway) = started().await;
    let ask = |method: &'static str| {
        let address = gateway.address;
        async move {
            let request = format!(
                "{method} /.well-known/gpc.json HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            );
            Reply::parse(exchange(address, request.as_bytes()).await, method == "HEAD")
        }
    };
    let reply = ask("GET").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, Some("application/json")));
    assert_eq!(reply.json()["gpc"], true);
    let day = reply.json()["lastUpdate"].as_str().unwrap().to_owned();
    assert!(day.len() == 10 && day.starts_with("20"), "{day}");
    assert_eq!(ask("HEAD").await.status, 200);
    assert_eq!(ask("POST").await.status, 401);
    // A policy without such a purpose promises nothing.
    gateway.reload(
        &POLICY
            .replace("use: third_party_sharing", "gpc: false")
            .replace("use: marketing.advertising.third_party.targeted", "gpc: false"),
    );
    assert_eq!(ask("GET").await.status, 401);
    assert!(store.asked().is_empty());
}
