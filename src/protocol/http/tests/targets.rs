//! Targets: what passes, what is one spelling of another, and what is refused.

use proptest::prelude::*;

use super::host;
use crate::protocol::http::*;

#[test]
fn well_formed_targets_pass_unchanged() {
    for raw in [
        "/",
        "/customers",
        "/customers/1",
        "/customers/6f9619ff-8b86-d011-b42d-00c04fc964ff",
        "/a.b/c-d_e~f",
        "/files/v1.2..3",
        "/customers/zo%C3%AB",
        "/customers/%E5%BC%A0%E4%BC%9F",
        "/customers/a@b.example",
        "/customers/a%40b.example",
        "/ratio/100%25",
        "/x/a:b,c=d!e$f'g(h)*i+j&k",
        "/customers?limit=10&offset=20",
        "/customers?email=a%40b.example",
        "/customers?name=%E5%BC%A0%20%E4%BC%9F",
    ] {
        let target = Target::parse_origin(raw).unwrap_or_else(|e| panic!("{raw}: {e}"));
        assert_eq!(target.path_and_query(), raw);
    }
}

#[test]
fn spellings_of_one_target_become_one() {
    for (raw, normal) in [
        ("/%61dmin/secrets", "/admin/secrets"),
        ("/customers/%7euser", "/customers/~user"),
        ("/customers/zo%c3%ab", "/customers/zo%C3%AB"),
        ("/customers?", "/customers"),
        ("/customers?a=x+y", "/customers?a=x%20y"),
        ("/customers?a=x%2By", "/customers?a=x%2By"),
        ("/customers?a=@/?", "/customers?a=%40%2F%3F"),
        ("/customers?flag", "/customers?flag="),
        ("/customers?filter[name]=1", "/customers?filter%5Bname%5D=1"),
    ] {
        assert_eq!(Target::parse_origin(raw).unwrap().path_and_query(), normal, "{raw}");
    }
}

#[test]
fn attacks_on_the_path_are_refused() {
    use TargetError as E;
    for (raw, error) in [
        ("/customers/../admin/secrets", E::DotSegment),
        ("/customers/./1", E::DotSegment),
        ("/customers/1/%2e%2e/%2e%2e/admin/secrets", E::DotSegment),
        ("/customers/.%2E/admin", E::DotSegment),
        ("/customers/...", E::DotSegment),
        ("/customers/..%20/admin", E::DotSegment),
        ("/customers/..;/admin/secrets", E::Parameters),
        ("/customers;role=dpo/1", E::Parameters),
        ("/customers/1%3bx", E::Parameters),
        ("//admin/secrets", E::EmptySegment),
        ("/customers//1", E::EmptySegment),
        ("/customers/", E::EmptySegment),
        ("/customers%2F1", E::EncodedSlash),
        ("/customers/%2e%2e%2fadmin", E::EncodedSlash),
        ("/customers\\..\\admin", E::Backslash),
        ("/customers/%5c..%5cadmin", E::Backslash),
        ("/customers/1%00.json", E::ControlCharacter),
        ("/customers/1%0d%0aHost:%20x", E::ControlCharacter),
        ("/customers/%C2%85", E::ControlCharacter),
        ("/admin/\tsecrets", E::ControlCharacter),
        ("/customers/%252e%252e/admin", E::DoubleEncoding),
        ("/customers/%252fadmin", E::DoubleEncoding),
        ("/customers/%25%32%65", E::DoubleEncoding),
        ("/customers/%c0%ae%c0%ae/admin", E::NotUtf8),
        ("/customers/%c0%af", E::NotUtf8),
        ("/customers/%ed%a0%80", E::NotUtf8),
        ("/customers/%ff", E::NotUtf8),
        ("/customers/%EF%BC%8E%EF%BC%8E/admin", E::LookAlike),
        ("/customers/a%EF%BC%8Fb", E::LookAlike),
        ("/customers/%E2%80%A5", E::LookAlike),
        ("/customers/1#fragment", E::Fragment),
        ("/customers/1?a=1#fragment", E::Fragment),
        ("/customers/zoë", E::RawNonAscii),
        ("/customers/%", E::BadEscape),
        ("/customers/%4", E::BadEscape),
        ("/customers/%zz", E::BadEscape),
        ("/customers/%u002e", E::BadEscape),
        ("/customers/a b", E::BadCharacter),
        ("/customers/<script>", E::BadCharacter),
        ("/customers/{id}", E::BadCharacter),
        ("", E::Form),
        ("*", E::Form),
        ("customers", E::Form),
        ("\\admin\\secrets", E::Form),
        ("?a=1", E::Form),
    ] {
        assert_eq!(Target::parse_origin(raw), Err(error), "{raw}");
    }
    let long = format!("/{}", "a".repeat(9000));
    assert_eq!(Target::parse_origin(&long), Err(E::TooLong));
    assert_eq!(Target::parse_origin(&"/a".repeat(65)), Err(E::TooManyParts));
}

#[test]
fn ambiguous_queries_are_refused() {
    use TargetError as E;
    for (raw, error) in [
        ("/c?id=1&id=2", E::DuplicateParameter),
        ("/c?id=1&%69d=2", E::DuplicateParameter),
        ("/c?a=1;b=2", E::Parameters),
        ("/c?a=1&&b=2", E::EmptyParameter),
        ("/c?&a=1", E::EmptyParameter),
        ("/c?a=1&", E::EmptyParameter),
        ("/c?=1", E::EmptyParameter),
        ("/c?a=%00", E::ControlCharacter),
        ("/c?a=%0d%0a", E::ControlCharacter),
        ("/c?a=%ff", E::NotUtf8),
        ("/c?a=é", E::RawNonAscii),
        ("/c?a=%2", E::BadEscape),
        ("/c?a=\"x\"", E::BadCharacter),
    ] {
        assert_eq!(Target::parse_origin(raw), Err(error), "{raw}");
    }
    let many: Vec<String> = (0..65).map(|i| format!("p{i}=1")).collect();
    let raw = format!("/c?{}", many.join("&"));
    assert_eq!(Target::parse_origin(&raw), Err(E::TooManyParts));
}

#[test]
fn absolute_form_is_read_only_for_the_host_itself() {
    let own = host("shop.example:7410");
    let same = Target::parse("HTTP://Shop.Example:7410/customers?a=1", &own).unwrap();
    assert_eq!(same.path_and_query(), "/customers?a=1");
    for raw in [
        "http://127.0.0.1/customers",
        "http://shop.example/customers",
        "http://user@shop.example:7410/customers",
        "http://shop.example:7410@evil.example/customers",
    ] {
        assert_eq!(Target::parse(raw, &own), Err(TargetError::OtherAuthority), "{raw}");
    }
    for raw in ["*", "shop.example:7410", "ftp://shop.example:7410/x", "http://shop.example:7410"] {
        assert_eq!(Target::parse(raw, &own), Err(TargetError::Form), "{raw}");
    }
}

#[test]
fn a_prefix_ends_at_a_segment() {
    let target = Target::parse_origin("/shop/customers/1?a=1").unwrap();
    assert_eq!(target.below("/shop").unwrap().path_and_query(), "/customers/1?a=1");
    assert_eq!(target.below("/").unwrap(), target);
    assert_eq!(target.below("/sho"), None);
    assert_eq!(target.below("/other"), None);
    assert_eq!(Target::parse_origin("/shop").unwrap().below("/shop").unwrap().path(), "/");
}

#[test]
fn a_target_shows_nothing_of_itself_in_logs() {
    let target = Target::parse_origin("/customers/a%40b.example?email=c").unwrap();
    assert_eq!(format!("{target:?}"), "Target(..)");
}

/// Decodes everything that looks like an escape, as a careless server does.
fn careless(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let pair = text.get(at + 1..at + 3).filter(|_| bytes[at] == b'%');
        match pair.and_then(|p| u8::from_str_radix(p, 16).ok()) {
            Some(byte) => {
                out.push(byte);
                at += 3;
            }
            None => {
                out.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn raw_target() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => "[a-z0-9]{1,3}",
        2 => Just("/".to_owned()),
        1 => "%[0-9a-fA-F]{2}",
        1 => prop::sample::select(vec![
            ".", "..", "%2e", "%2F", "%5c", "%25", "%252e", ";", "\\", "?", "&", "=", "+", "#",
            "%00", "%c0%ae", "%EF%BC%8F", "%E5%BC%A0", "@", "%40", " ", "é", "*", "http://a",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|p| format!("/{}", p.concat()))
}

proptest! {
    #[test]
    fn what_is_accepted_is_normal_and_plain(raw in raw_target()) {
        prop_assert!(fuzz_target(&raw), "{raw}");
    }

    #[test]
    fn any_text_is_accepted_or_refused_without_a_fault(raw in "\\PC{0,40}") {
        prop_assert!(fuzz_target(&raw), "{raw}");
    }

    #[test]
    fn nothing_accepted_turns_into_structure_when_decoded_again(raw in raw_target()) {
        if let Ok(target) = Target::parse_origin(&raw) {
            let once = careless(target.path());
            for text in [once.clone(), careless(&once)] {
                let segments: Vec<&str> = text.split('/').skip(1).collect();
                prop_assert!(!text.contains(['\\', '\0', ';', '\r', '\n']), "{raw}: {text}");
                let dotted = segments.iter().any(|s| *s == "." || *s == "..");
                prop_assert!(!dotted, "{raw}: {text}");
                prop_assert_eq!(segments.len(), target.path().split('/').skip(1).count());
            }
        }
    }

    #[test]
    fn plain_names_survive(names in prop::collection::vec("[a-zA-Z0-9 @:,张伟ë-]{0,6}[a-z]", 1..5)) {
        let mut raw = String::new();
        for name in &names {
            raw.push('/');
            for byte in name.bytes() {
                raw.push_str(&format!("%{byte:02x}"));
            }
        }
        let target = Target::parse_origin(&raw).unwrap();
        prop_assert_eq!(target.segments().collect::<Vec<_>>(), names);
    }

    #[test]
    fn query_values_survive(values in prop::collection::vec("[^\\p{Cc}]{0,8}", 0..5)) {
        let query: Vec<(String, String)> =
            values.into_iter().enumerate().map(|(i, v)| (format!("p{i}"), v)).collect();
        let target = Target::parse_origin("/c").unwrap().with_query(query.clone());
        let again = Target::parse_origin(&target.path_and_query()).unwrap();
        prop_assert_eq!(again.query(), &query[..]);
    }
}
