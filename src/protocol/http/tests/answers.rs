//! Problems, ids, addresses, links and forms.

use core::net::IpAddr;

use super::headers;
use super::host;
use crate::protocol::http::*;
use crate::types::Timestamp;

#[test]
fn a_problem_is_written_as_rfc_9457_says() {
    let problem = Problem::new(ProblemKind::Denied, Language::En)
        .with_detail("the purpose `marketing` is not granted")
        .with_rule(Some("b1946ac9".into()), Some("support-contact".into()))
        .with_decision("0199-1")
        .with_missing(vec!["ticket"]);
    assert_eq!(problem.status(), 403);
    assert_eq!(
        String::from_utf8(problem.to_json()).unwrap(),
        "{\"type\":\"urn:privet:problem:denied\",\"title\":\"Policy does not allow this\",\
         \"status\":403,\"detail\":\"the purpose `marketing` is not granted\",\
         \"policy\":\"b1946ac9\",\"rule\":\"support-contact\",\"decision_id\":\"0199-1\",\
         \"missing\":[\"ticket\"]}"
    );
    let short = Problem::new(ProblemKind::NotFound, Language::ZhCn).to_json();
    assert_eq!(
        String::from_utf8(short).unwrap(),
        "{\"type\":\"urn:privet:problem:not-found\",\"title\":\"未找到\",\"status\":404}"
    );
}

#[test]
fn the_language_is_the_first_one_known() {
    for (value, language) in [
        ("zh-CN,zh;q=0.9,en;q=0.8", Language::ZhCn),
        ("fr, zh-Hans", Language::ZhCn),
        ("en-GB, zh", Language::En),
        ("fr", Language::En),
    ] {
        assert_eq!(Language::of(&headers(&[("accept-language", value)])), language, "{value}");
    }
}

#[test]
fn trace_contexts_are_read_strictly_and_continued() {
    let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let parent = TraceParent::parse(text).unwrap();
    assert_eq!(parent.to_string(), text);
    let child = parent.child([1, 2, 3, 4, 5, 6, 7, 8]);
    assert_eq!(child.to_string(), "00-4bf92f3577b34da6a3ce929d0e0e4736-0102030405060708-01");
    assert!(!TraceParent::root([0; 16], [0; 8]).to_string().contains("0000000000000000"));
    for bad in [
        "",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e473é-00f067aa0ba902b7-01",
    ] {
        assert_eq!(TraceParent::parse(bad), None, "{bad}");
    }
    assert_eq!(TraceParent::of(&headers(&[("traceparent", text), ("traceparent", text)])), None);
}

#[test]
fn request_ids_are_uuids_that_sort_by_time() {
    let id = |ms| RequestId::new(Timestamp::from_unix_ms(ms), &[0xFF; 10]);
    assert_eq!(id(0).as_str(), "00000000-0000-7fff-bfff-ffffffffffff");
    assert!(id(1000).as_str() < id(1001).as_str());
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_client_is_the_last_hop_that_is_not_trusted() {
    let trusted: Vec<Network> =
        ["10.0.0.0/8", "::1", "fd00::/8"].iter().map(|t| t.parse().unwrap()).collect();
    let xff = |value| vec![("x-forwarded-for", value)];
    for (peer, lines, client) in [
        ("10.0.0.1", xff("203.0.113.7"), "203.0.113.7"),
        ("10.0.0.1", xff("198.51.100.1, 203.0.113.7, 10.0.0.2"), "203.0.113.7"),
        ("203.0.113.9", xff("198.51.100.1"), "203.0.113.9"),
        ("10.0.0.1", xff("198.51.100.1, unknown"), "10.0.0.1"),
        ("10.0.0.1", xff("203.0.113.7:4711"), "203.0.113.7"),
        ("::ffff:10.0.0.1", xff("203.0.113.7"), "203.0.113.7"),
        ("fd00::1", vec![("forwarded", "for=\"[2001:db8::1]:99\";proto=https")], "2001:db8::1"),
        ("10.0.0.1", vec![("forwarded", "proto=https")], "10.0.0.1"),
        ("10.0.0.1", vec![("forwarded", "for=203.0.113.7;for=198.51.100.1")], "10.0.0.1"),
        (
            "10.0.0.1",
            vec![("x-forwarded-for", "198.51.100.1"), ("forwarded", "for=203.0.113.7")],
            "10.0.0.1",
        ),
        ("10.0.0.1", vec![], "10.0.0.1"),
    ] {
        assert_eq!(client_address(ip(peer), &trusted, &headers(&lines)), ip(client), "{lines:?}");
    }
}

#[test]
fn networks_are_read_strictly() {
    for bad in ["", "10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0/-1", "example.com"] {
        assert!(bad.parse::<Network>().is_err(), "{bad}");
    }
    let all: Network = "0.0.0.0/0".parse().unwrap();
    assert!(all.contains(ip("203.0.113.7")));
    assert!(!all.contains(ip("2001:db8::1")));
    assert!("::/0".parse::<Network>().unwrap().contains(ip("2001:db8::1")));
}

#[test]
fn locations_lead_to_routes_or_nowhere() {
    let own = [host("127.0.0.1:7001")];
    let route =
        |t: &Target| t.path().starts_with("/customers").then(|| format!("/shop{}", t.path()));
    for (value, location) in [
        ("/customers/2", Some("/shop/customers/2")),
        ("http://127.0.0.1:7001/customers/2", Some("/shop/customers/2")),
        ("http://other.example/customers/2", None),
        ("//other.example/customers/2", None),
        ("/admin/secrets", None),
        ("/customers/../admin", None),
        ("customers/2", None),
        ("javascript:alert(1)", None),
    ] {
        assert_eq!(reroute_location(value, &own, route).as_deref(), location, "{value}");
    }
}

#[test]
fn links_keep_their_target_and_relation_only() {
    let route = |t: &Target| {
        t.path().starts_with("/customers").then(|| format!("/shop{}", t.path_and_query()))
    };
    let value = "</customers?offset=10,20>; rel=\"next\"; title=\"secret\", </admin>; rel=last, \
                 </customers>; rel=\"secret\", </customers?offset=0>; REL=first";
    assert_eq!(
        reroute_link(value, &[], route).as_deref(),
        Some(
            "</shop/customers?offset=10%2C20>; rel=\"next\", </shop/customers?offset=0>; rel=\"first\""
        )
    );
    assert_eq!(reroute_link("nonsense", &[], route), None);
}

#[test]
fn a_form_has_one_meaning_or_none() {
    let read = |text: &str| {
        let members = parse_form(text.as_bytes())?;
        Ok(members.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>())
    };
    assert_eq!(
        read("a=1&address.city=S%C3%A3o+Paulo&b="),
        Ok(vec!["a=1".to_owned(), "address.city=S\u{e3}o Paulo".to_owned(), "b=".to_owned(),])
    );
    assert_eq!(
        read("a=%26%3d%2B%25&b=x%0D%0Ay"),
        Ok(vec!["a=&=+%".to_owned(), "b=x\r\ny".to_owned()])
    );
    for (text, error) in [
        ("", FormError::Member),
        ("a", FormError::Member),
        ("=1", FormError::Member),
        ("a=1&", FormError::Member),
        ("&a=1", FormError::Member),
        ("a=1&&b=2", FormError::Member),
        ("a=1&a=2", FormError::Repeated),
        ("a=1&%61=2", FormError::Repeated),
        ("a=%", FormError::Escape),
        ("a=%4", FormError::Escape),
        ("a=%zz", FormError::Escape),
        ("a=%ff", FormError::NotUtf8),
        ("a=%C0%80", FormError::NotUtf8),
        ("a=%00", FormError::Control),
        ("a=%1b", FormError::Control),
        ("a=1;b=2", FormError::Unencoded),
        ("a=x y", FormError::Unencoded),
        ("a=\u{e9}", FormError::Unencoded),
        ("a=1#b", FormError::Unencoded),
    ] {
        assert_eq!(read(text), Err(error), "{text}");
    }
    assert_eq!(parse_form(b"a=\xff"), Err(FormError::Unencoded));
    let many: Vec<String> = (0..5000).map(|n| format!("a{n}=1")).collect();
    assert_eq!(parse_form(many.join("&").as_bytes()), Err(FormError::TooMany));
}

proptest::proptest! {
    #[test]
    fn a_form_is_written_as_others_read_it(members in proptest::collection::btree_map("[^\\p{Cc}]{1,5}", "[^\\p{Cc}]{0,9}|a\r\nb\t", 1..6)) {
        let written = write_form(members.iter().map(|(name, value)| (&**name, &**value)));
        let read = parse_form(written.as_bytes()).unwrap();
        let theirs: Vec<(String, String)> =
            form_urlencoded::parse(written.as_bytes()).into_owned().collect();
        proptest::prop_assert_eq!(&read, &theirs);
        proptest::prop_assert_eq!(read, members.into_iter().collect::<Vec<_>>());
    }
}
