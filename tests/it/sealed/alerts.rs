//! Sealed values that were copied or changed are told to whoever watches, in whatever kind of
//! answer they come and whether or not anything of it is shown.

use privet::audit::Kind;
use privet::crypto::ValueKind;
use privet::types::SubjectStatus;

use crate::harness::json;
use crate::harness::person;

use super::site::Site;

/// A site, an answer's own record, and records beside it: `own` is sealed for its person where
/// `own_fits`, and of the two others one holds the address of somebody else where not `more_fits`.
async fn bundle((own_fits, more_fits): (bool, bool)) -> (Site, String) {
    let site = Site::start("strict").await;
    let text = |plain| (ValueKind::Text, plain);
    let ana = site.seal("c-1", "email", text("ana@mail.example")).await;
    let bo = site.seal("c-2", "email", text("bo@mail.example")).await;
    let own = if own_fits { &ana } else { &bo };
    let more = if more_fits { &bo } else { &ana };
    let body = format!(
        r#"{{"more":[{{"id":"c-3"}},{{"id":"c-2","email":"{more}"}}],"own":{{"id":"c-1","email":"{own}"}}}}"#
    );
    site.answer("/bundles/people", json(200, &body));
    (site, body)
}

#[tokio::test]
async fn each_data_set_of_an_answer_has_its_own_alert() {
    for (own_fits, more_fits) in [(true, true), (true, false), (false, true), (false, false)] {
        let (site, _) = bundle((own_fits, more_fits)).await;
        let expected = usize::from(!own_fits) + usize::from(!more_fits);
        for call in 1..=2 {
            let reply = site.read("desk", "/bundles/people", "").await;
            assert_eq!(reply.status, 200);
            assert_eq!(reply.json()["own"].get("email").is_some(), own_fits);
            assert_eq!(reply.json()["more"][1].get("email").is_some(), more_fits);
            let alerts = site.entries(Kind::Alert).await;
            assert_eq!(alerts.len(), expected * call, "{own_fits} {more_fits}");
            for alert in &alerts {
                assert_eq!(alert.reason.as_deref(), Some("unopened"));
                assert_eq!(alert.facts.get("foreign").map(|count| &**count), Some("1"));
                assert_eq!(alert.subjects.len(), 1, "only whose value does not open");
            }
        }
    }
}

#[tokio::test]
async fn an_alert_is_raised_when_the_record_of_the_route_is_not_shown() {
    // What hides the route's own record: the person, and that there is none.
    let (site, body) = bundle((true, false)).await;
    site.gateway.cards.set_status(&person(), "c-1", SubjectStatus::Restricted).await.unwrap();
    let hidden = site.read("desk", "/bundles/people", "").await;
    assert_eq!(hidden.status, 404, "{}", hidden.text());
    assert_eq!(site.entries(Kind::Alert).await.len(), 1);
    assert!(site.entries(Kind::Release).await.is_empty());
    let (start, _) = body.split_once(r#","own":"#).unwrap();
    site.answer("/bundles/people", json(200, &format!(r#"{start},"own":null}}"#)));
    let missing = site.read("desk", "/bundles/people", "").await;
    assert_eq!((missing.status, missing.body), (404, hidden.body));
    assert_eq!(site.entries(Kind::Alert).await.len(), 2);
    assert!(site.entries(Kind::Release).await.is_empty());
}

#[tokio::test]
async fn an_alert_is_raised_for_a_head_and_for_a_version_that_is_known() {
    let (site, _) = bundle((false, true)).await;
    let token = site.gateway.token(&["desk"], &["care"]);
    let request = format!(
        "HEAD /shop/bundles/people HTTP/1.1\r\nHost: gateway.test\r\nAuthorization: Bearer {token}\r\n\
         Connection: close\r\n\r\n"
    );
    let raw = crate::harness::exchange(site.gateway.address, request.as_bytes()).await;
    assert!(raw.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&raw));
    assert_eq!(site.entries(Kind::Alert).await.len(), 1);
}

#[tokio::test]
async fn the_record_of_the_route_is_shown_though_all_that_stand_before_it_are_hidden() {
    let (site, _) = bundle((true, true)).await;
    for id in ["c-2", "c-3"] {
        site.gateway.cards.set_status(&person(), id, SubjectStatus::Restricted).await.unwrap();
    }
    let reply = site.read("desk", "/bundles/people", "").await;
    assert_eq!(
        (reply.status, reply.text().as_str()),
        (200, r#"{"more":[],"own":{"id":"c-1","email":"ana@mail.example"}}"#)
    );
}
