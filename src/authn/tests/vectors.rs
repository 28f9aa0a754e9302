//! The published vectors of Project Wycheproof for JSON web signatures, when they are at hand. The
//! same classes of attack stand in `tokens`, which runs anywhere.

use std::path::Path;

use serde_json::Value;
use serde_json::json;

use crate::authn::Algorithm;
use crate::authn::key_set::KeySet;
use crate::authn::token::Signed;

#[test]
fn published_signatures_are_judged_as_published() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = root.join("../shared/vectors/json_web_signature_test.json");
    let Ok(text) = std::fs::read(&path) else {
        println!("skipped: `{}` is not here", path.display());
        return;
    };
    let vectors: Value = serde_json::from_slice(&text).unwrap();
    let (mut invalid, mut valid, mut unsupported) = (0, 0, 0);
    for group in vectors["testGroups"].as_array().unwrap() {
        let keys = json!({ "keys": group.get("public").into_iter().collect::<Vec<_>>() });
        // A group without a public key is about shared secrets.
        let set = KeySet::parse(keys.to_string().as_bytes(), &Algorithm::ALL).unwrap_or_default();
        for test in group["tests"].as_array().unwrap() {
            let id = &test["tcId"];
            let believed = test["jws"].as_str().is_some_and(|jws| is_believed(jws, &set));
            if test["result"] == "valid" {
                let usable = set.len() == 1 && !is_refused_on_purpose(test);
                assert_eq!(believed, usable, "test {id}: {}", test["comment"]);
                valid += usize::from(usable);
                unsupported += usize::from(!usable);
            } else {
                assert!(!believed, "test {id}: {}", test["comment"]);
                invalid += 1;
            }
        }
    }
    println!("{invalid} invalid refused, {valid} valid believed, {unsupported} not supported");
    assert_eq!(invalid + valid + unsupported, 401);
    assert!(valid >= 7, "only {valid} believed: the rest would prove nothing");
}

fn is_believed(jws: &str, set: &KeySet) -> bool {
    let Ok(signed) = Signed::read(jws) else { return false };
    signed.key(set).is_ok_and(|key| signed.is_by(key))
}

/// Valid by the standard, refused here: an algorithm other than the key's own.
fn is_refused_on_purpose(test: &Value) -> bool {
    let jws = test["jws"].as_str().unwrap_or_default();
    Signed::read(jws).is_err()
}
