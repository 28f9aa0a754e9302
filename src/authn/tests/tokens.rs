//! Tokens that are refused, whoever signed them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use serde_json::json;

use crate::authn::Authenticator;
use crate::authn::reads_as_key_set;
use crate::authn::reads_as_token;
use crate::authn::token::Token;
use crate::types::ClientError;
use crate::types::ErrorKind;

use super::NOW_S;
use super::Signer;
use super::World;
use super::claims;

#[tokio::test]
async fn every_algorithm_that_is_listed_verifies() {
    for signer in [Signer::es256(), Signer::eddsa(), Signer::rs256()] {
        let world = World::new(&[signer.jwk("one")], |_| {});
        let token = signer.token("one", &claims(json!({})));
        assert_eq!(world.verdict(&token).await, "believed", "{}", signer.alg());
    }
}

#[tokio::test]
async fn an_algorithm_that_is_not_listed_is_refused() {
    let signer = Signer::rs256();
    let other = Signer::es256();
    let world = World::new(&[signer.jwk("one"), other.jwk("two")], |issuer| {
        issuer.algorithms = vec![crate::authn::Algorithm::Es256];
    });
    let token = signer.token("one", &claims(json!({})));
    assert_eq!(world.verdict(&token).await, "unknown_key");
}

#[tokio::test]
async fn headers_that_change_what_a_signature_means_are_refused() {
    let signer = Signer::es256();
    let world = World::new(&[signer.jwk("one")], |_| {});
    let body = claims(json!({})).to_string();
    let jwk = signer.jwk("one");
    for (header, expected) in [
        (r#"{"alg":"ES256","kid":"one"}"#.to_owned(), "believed"),
        (r#"{"alg":"ES256","kid":"one","typ":"at+jwt"}"#.to_owned(), "believed"),
        (r#"{"alg":"ES256","kid":"one","typ":"jwt"}"#.to_owned(), "believed"),
        (r#"{"alg":"ES256","kid":"one","typ":"logout+jwt"}"#.to_owned(), "malformed"),
        (r#"{"alg":"ES256","kid":"one","typ":7}"#.to_owned(), "malformed"),
        (r#"{"alg":"none","kid":"one"}"#.to_owned(), "malformed"),
        (r#"{"alg":"None","kid":"one"}"#.to_owned(), "malformed"),
        (r#"{"alg":"es256","kid":"one"}"#.to_owned(), "malformed"),
        (r#"{"alg":"ES256K","kid":"one"}"#.to_owned(), "malformed"),
        (r#"{"alg":"ES384","kid":"one"}"#.to_owned(), "malformed"),
        (r#"{"alg":"PS256","kid":"one"}"#.to_owned(), "malformed"),
        (r#"{"alg":"HS256","kid":"one"}"#.to_owned(), "malformed"),
        (r#"{"alg":["ES256"],"kid":"one"}"#.to_owned(), "malformed"),
        (r#"{"kid":"one"}"#.to_owned(), "malformed"),
        (r#"{"alg":"RS256","kid":"one"}"#.to_owned(), "unknown_key"),
        (r#"{"alg":"EdDSA","kid":"one"}"#.to_owned(), "unknown_key"),
        (r#"{"alg":"ES256","kid":"one","crit":["exp"]}"#.to_owned(), "malformed"),
        (r#"{"alg":"ES256","kid":"one","crit":[]}"#.to_owned(), "malformed"),
        (r#"{"alg":"ES256","kid":"one","b64":false}"#.to_owned(), "malformed"),
        (r#"{"alg":"ES256","kid":"one","zip":"DEF"}"#.to_owned(), "malformed"),
        (r#"{"alg":"ES256","kid":"one","cty":"JWT"}"#.to_owned(), "malformed"),
        (r#"{"alg":"ES256","kid":"one","jku":"https://evil.example/k"}"#.to_owned(), "malformed"),
        (r#"{"alg":"ES256","kid":"one","x5u":"https://evil.example/c"}"#.to_owned(), "malformed"),
        (r#"{"alg":"ES256","kid":"one","x5c":["AA=="]}"#.to_owned(), "malformed"),
        (format!(r#"{{"alg":"ES256","kid":"one","jwk":{jwk}}}"#), "malformed"),
        (r#"{"alg":"none","alg":"ES256","kid":"one"}"#.to_owned(), "malformed"),
        (r#"{"alg":"ES256","alg":"ES256","kid":"one"}"#.to_owned(), "malformed"),
        (r#"{"alg":"ES256","\u0061lg":"none","kid":"one"}"#.to_owned(), "malformed"),
        (r#"{"alg":"ES256","kid":"one"} "#.to_owned(), "believed"),
        (r#"{"alg":"ES256","kid":"one"}x"#.to_owned(), "malformed"),
        ("\u{feff}{\"alg\":\"ES256\",\"kid\":\"one\"}".to_owned(), "malformed"),
        (r#"["ES256"]"#.to_owned(), "malformed"),
    ] {
        assert_eq!(world.verdict(&signer.raw(&header, &body)).await, expected, "{header}");
    }
}

#[tokio::test]
async fn the_key_a_token_names_is_only_a_name() {
    let signer = Signer::es256();
    let world = World::new(&[signer.jwk("one")], |_| {});
    let body = claims(json!({})).to_string();
    for kid in [
        r#""ONE""#,
        r#""""#,
        "null",
        "1",
        r#"["one"]"#,
        r#""one\u0000""#,
        r#""one ""#,
        r#""../../../../dev/null""#,
        r#""/etc/passwd""#,
        r#""https://evil.example/keys""#,
        r#""one' OR '1'='1""#,
        r#""0""#,
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":{kid}}}"#);
        let verdict = world.verdict(&signer.raw(&header, &body)).await;
        assert!(matches!(verdict, "malformed" | "unknown_key"), "{kid}: {verdict}");
    }
    let long = format!(r#"{{"alg":"ES256","kid":"{}"}}"#, "k".repeat(257));
    assert_eq!(world.verdict(&signer.raw(&long, &body)).await, "malformed");
}

#[tokio::test]
async fn a_token_without_a_key_name_needs_exactly_one_fitting_key() {
    let (signer, second, other) = (Signer::es256(), Signer::es256(), Signer::eddsa());
    let token = signer.raw(r#"{"alg":"ES256"}"#, &claims(json!({})).to_string());
    let one_fits = World::new(&[signer.jwk("one"), other.jwk("two")], |_| {});
    assert_eq!(one_fits.verdict(&token).await, "believed");
    let two_fit = World::new(&[signer.jwk("one"), second.jwk("two")], |_| {});
    assert_eq!(two_fit.verdict(&token).await, "unknown_key");
    let none_fits = World::new(&[other.jwk("two")], |_| {});
    assert_eq!(none_fits.verdict(&token).await, "unknown_key");
}

#[tokio::test]
async fn a_public_key_is_never_a_shared_secret() {
    let signer = Signer::rs256();
    let world = World::new(&[signer.jwk("one")], |_| {});
    let Signer::Rs256(pair) = &signer else { unreachable!() };
    let public = aws_lc_rs::signature::KeyPair::public_key(pair).as_ref().to_vec();
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"HS256","kid":"one"}"#),
        URL_SAFE_NO_PAD.encode(claims(json!({})).to_string()),
    );
    let jwk = signer.jwk("one").to_string();
    for secret in [public.as_slice(), jwk.as_bytes(), b""] {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        let tag = aws_lc_rs::hmac::sign(&key, message.as_bytes());
        let token = format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag));
        assert_eq!(world.verdict(&token).await, "malformed");
    }
}

#[tokio::test]
async fn a_changed_token_is_refused() {
    let signer = Signer::es256();
    let world = World::new(&[signer.jwk("one")], |_| {});
    let token = signer.token("one", &claims(json!({})));
    let parts: Vec<&str> = token.split('.').collect();
    let richer = URL_SAFE_NO_PAD.encode(claims(json!({ "roles": ["admin"] })).to_string());
    for changed in [
        format!("{}.{richer}.{}", parts[0], parts[2]),
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}", parts[0], parts[1]),
        format!("{token}."),
        format!("{token}.{}", parts[2]),
        format!("{token}="),
        format!("{token}\n"),
        format!(" {token}"),
        format!("{}.{}.{}", parts[0], parts[1], "A".repeat(86)),
        format!("{}.{}.{}", parts[0], parts[1], "A".repeat(4)),
        format!("{}..{}", parts[0], parts[2]),
        format!("..{}", parts[2]),
        String::new(),
        "..".to_owned(),
        token.replace('.', ".\u{0}"),
        "a.".repeat(9000),
    ] {
        let verdict = world.verdict(&changed).await;
        assert!(matches!(verdict, "malformed" | "wrong_signature"), "{changed}: {verdict}");
    }
    // The last character of a P-256 signature carries four spare bits.
    let last = token.as_bytes()[token.len() - 1];
    let spare = (b'A'..=b'z').filter(u8::is_ascii_alphanumeric).filter(|c| *c != last);
    for other in spare {
        let mut changed = token.clone();
        changed.pop();
        changed.push(char::from(other));
        assert_ne!(world.verdict(&changed).await, "believed", "two texts for one token");
    }
}

#[tokio::test]
async fn claims_that_stand_twice_or_are_no_object_are_refused() {
    let signer = Signer::eddsa();
    let world = World::new(&[signer.jwk("one")], |_| {});
    let header = r#"{"alg":"EdDSA","kid":"one"}"#;
    let times = format!(r#""aud":"privet","sub":"a","exp":{}"#, NOW_S + 60);
    let iss = r#""iss":"https://id.example""#;
    for (body, expected) in [
        (format!("{{{iss},{times}}}"), "believed"),
        (format!(r#"{{{iss},{times},"roles":["a"],"roles":["admin"]}}"#), "malformed"),
        (format!(r#"{{{iss},{times},"x":{{"r":1,"r":2}}}}"#), "malformed"),
        (format!(r#"{{{iss},{times},"x":[{{"r":1,"\u0072":2}}]}}"#), "malformed"),
        (format!(r#"{{{iss},{times},"x":"\ud800"}}"#), "malformed"),
        (format!("{{{iss},{times}}}{{}}"), "malformed"),
        (format!("[{{{iss},{times}}}]"), "malformed"),
        (format!("{{{times}}}"), "unknown_issuer"),
        (format!(r#"{{"iss":["https://id.example"],{times}}}"#), "unknown_issuer"),
        (format!(r#"{{"iss":"https://id.example/",{times}}}"#), "unknown_issuer"),
        (format!(r#"{{{iss},{times},"x":{}1{}}}"#, "[".repeat(200), "]".repeat(200)), "malformed"),
    ] {
        assert_eq!(world.verdict(&signer.raw(header, &body)).await, expected, "{body}");
    }
}

#[test]
fn only_one_bearer_token_is_read() {
    for (header, expected) in [
        ("Bearer abc", Some("abc")),
        ("bearer  abc", Some("abc")),
        ("Bearer", None),
        ("Bearer ", None),
        ("Bearer a b", None),
        ("Bearer a\tb", None),
        ("Basic abc", None),
        ("abc", None),
        ("Bearer é", None),
    ] {
        let read = Authenticator::bearer(header.as_bytes()).ok();
        assert_eq!(read, expected, "{header}");
    }
    assert!(Authenticator::bearer(b"Bearer \xff").is_err());
}

#[tokio::test]
async fn no_error_repeats_the_token() {
    let signer = Signer::es256();
    let world = World::new(&[signer.jwk("one")], |_| {});
    let planted = "planted-7f3a";
    for token in [
        planted.to_owned(),
        signer.raw(&format!(r#"{{"alg":"{planted}"}}"#), "{}"),
        signer.raw(
            &format!(r#"{{"alg":"ES256","kid":"{planted}"}}"#),
            &claims(json!({})).to_string(),
        ),
        signer.token("one", &claims(json!({ "iss": planted }))),
        signer.token("one", &claims(json!({ "aud": planted }))),
        signer.token("one", &claims(json!({ "sub": planted, "exp": NOW_S - 100, "iat": null }))),
        signer.token(planted, &claims(json!({ "sub": planted }))),
        format!("Bearer {planted} {planted}"),
    ] {
        let error = world.ask(&token).await.unwrap_err();
        let texts = format!("{error} {error:?} {} {}", error.client_message(), error.reason());
        assert!(!texts.contains(planted), "{texts}");
        assert_eq!(error.kind(), ErrorKind::Unauthenticated);
    }
}

proptest! {
    #[test]
    fn reading_any_text_neither_panics_nor_believes_two_texts(text in ".{0,200}") {
        reads_as_token(text.as_bytes());
        reads_as_key_set(text.as_bytes());
    }

    #[test]
    fn reading_anything_in_the_shape_of_a_token_holds_its_property(
        header in prop_oneof![Just(r#"{"alg":"ES256"}"#.to_owned()), ".{0,60}"],
        body in prop_oneof![Just("{}".to_owned()), ".{0,60}"],
        signature in proptest::collection::vec(any::<u8>(), 1..80),
    ) {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let text = [encode(header.as_bytes()), encode(body.as_bytes()), encode(&signature)].join(".");
        let reads = reads_as_token(text.as_bytes());
        prop_assert_eq!(reads, Token::read(&text).is_ok());
        if header == r#"{"alg":"ES256"}"# && body == "{}" {
            prop_assert!(reads);
        }
    }
}
