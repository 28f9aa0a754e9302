//! Tests of privet.toml.

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::authn::Allowed;
use crate::authn::CertificateMatch;
use crate::authn::JwksSource;
use crate::net::ClientIdentity;
use crate::upstream::Bearer;

/// The smallest file that works.
pub(super) const GOOD: &str = r#"privet = "config/v1"
policies = "policies"
tenant = "shop-example"
[gateway]
listen = ["127.0.0.1:7410"]
[admin]
listen = ["127.0.0.1:7480"]
[state]
url = "sled:data/state"
[audit]
dir = "data/audit"
[keys.root]
provider = "file"
path = "data/root.key"
passphrase_file = "secrets/passphrase"
[[issuer]]
name = "https://id.example"
audience = "privet"
jwks = "certs/jwks.json"
algorithms = ["ES256", "EdDSA"]
claims = { roles = "realm_access.roles", mfa = "acr:gold" }
[[store]]
name = "shop"
kind = "http"
urls = ["http://127.0.0.1:7001"]
"#;

pub(super) fn read(text: &str) -> (Option<Config>, Faults) {
    let mut faults = Faults::new();
    let file = Arc::new(SourceFile { name: "etc/privet.toml".into(), text: text.into() });
    let config = Config::read(&file, &mut faults);
    (config, faults)
}

pub(super) fn faults_of(text: &str) -> String {
    let (config, faults) = read(text);
    assert_eq!(config.is_none(), faults.has_errors());
    faults.into_sorted().iter().fold(String::new(), |mut out, fault| {
        writeln!(out, "{fault}").unwrap();
        out
    })
}

/// The working file with `from` replaced, and what is said of it.
fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    faults_of(&GOOD.replacen(from, to, 1))
}

/// The working file with lines after it, and what is said of it.
fn with(more: &str) -> String {
    faults_of(&format!("{GOOD}{more}"))
}

#[test]
fn a_small_file_has_safe_defaults_and_paths_beside_it() {
    assert_eq!(faults_of(GOOD), "");
    let config = read(GOOD).0.unwrap();
    assert_eq!(config.policies, Path::new("etc/policies"));
    assert_eq!(config.state, StateConfig::Sled { path: "etc/data/state".into() });
    assert_eq!(config.keys.dir, Path::new("etc/data/keys"));
    assert_eq!(config.audit.durability, Durability::Strict);
    assert!(config.gateway.tls.is_none());
    assert_eq!(config.stores[0].place, StorePlace::Prefix("/shop".into()));
    let issuer = &config.authn.issuers[0];
    assert_eq!(issuer.jwks, JwksSource::File("etc/certs/jwks.json".into()));
    assert_eq!(issuer.may_assert.roles, Allowed::Only([].into()));
    assert!(!issuer.may_assert.ticket);
}

#[test]
fn every_setting_is_read() {
    let text = GOOD
        .replace("policies = \"policies\"", "policies = \"/srv/policies\"\norganisation = { name = \"Shop\", contact = \"a@b.example\" }")
        .replace(
            "listen = [\"127.0.0.1:7410\"]",
            r#"listen = ["0.0.0.0:443", "[::]:443"]
trusted_proxies = []
tls = { cert = "c.pem", key_file = "c.key", client_ca = "ca.pem" }
[gateway.limits]
header_bytes = 16384
record_bytes = 65536
buffer_bytes = 1_048_576
idle_s = 5
head_s = 4
connections = 5000
connections_per_peer = 50
client_write_s = 6
per_principal = { concurrent = 7, per_second = 8 }"#,
        )
        .replace("dir = \"data/audit\"", "dir = \"data/audit\"\ndurability = \"batched\"")
        .replace(
            "mfa = \"acr:gold\" }",
            "mfa = \"acr:gold\" }\nmay_assert = { roles = [\"support\"], purposes = \"*\", ticket = true }\nleeway_s = 0",
        );
    let more = r#"prefix = "/"
auth = { bearer_file = "shop.token" }
timeouts = { connect_ms = 500, first_byte_s = 10, idle_s = 30 }
health = { path = "/health", every_s = 9 }
[[certificate]]
sha256 = "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF"
owner = "billing"
roles = ["support"]
purposes = ["operations"]
region = "de"
"#;
    let text = format!("{text}{more}");
    assert_eq!(faults_of(&text), "");
    let config = read(&text).0.unwrap();
    assert_eq!(config.policies, Path::new("/srv/policies"));
    assert_eq!(config.gateway.listen.len(), 2);
    assert_eq!(config.gateway.tls.as_ref().unwrap().key_file, Path::new("etc/c.key"));
    assert_eq!(config.gateway.limits.client_write, Duration::from_secs(6));
    assert_eq!(config.gateway.limits.per_principal.per_second, 8);
    assert_eq!(config.gateway.limits.head, Duration::from_secs(4));
    assert_eq!(config.gateway.limits.connections, Some(5000));
    assert_eq!(config.gateway.limits.connections_per_peer, Some(50));
    assert_eq!(config.audit.durability, Durability::Batched);
    assert_eq!(config.authn.issuers[0].may_assert.purposes, Allowed::Any);
    assert_eq!(config.authn.issuers[0].leeway_s, 0);
    assert!(
        matches!(config.authn.certificates[0].matches, CertificateMatch::Sha256(b) if b[1] == 0x11 && b[31] == 0xff)
    );
    let store = &config.stores[0];
    assert_eq!(store.place, StorePlace::Prefix("/".into()));
    assert_eq!(store.upstream.bearer, Some(Bearer::File("etc/shop.token".into())));
    assert_eq!(store.upstream.timeouts.connect, Duration::from_millis(500));
    assert_eq!(store.upstream.health.as_ref().unwrap().every, Duration::from_secs(9));
}

#[test]
fn a_store_is_shown_a_certificate_a_token_or_both() {
    let secure = GOOD.replace("http://127.0.0.1:7001", "https://shop.internal");
    let more = r#"auth.client_cert = "shop.pem"
auth.client_key_file = "shop.key"
auth.oauth = { token_url = "https://id.internal/token", client_id = "privet", client_secret_file = "shop.secret", scope = "read", ca = "id.pem" }
"#;
    let text = format!("{secure}{more}");
    assert_eq!(faults_of(&text), "");
    let store = read(&text).0.unwrap().stores.remove(0).upstream;
    let (cert, key_file) = ("etc/shop.pem".into(), "etc/shop.key".into());
    assert_eq!(store.identity, Some(ClientIdentity { cert, key_file }));
    let Some(Bearer::OAuth(oauth)) = store.bearer else { panic!("{:?}", store.bearer) };
    assert_eq!(oauth.token_url, "https://id.internal/token");
    assert_eq!((oauth.client_id.as_str(), oauth.scope.as_deref()), ("privet", Some("read")));
    assert_eq!(oauth.client_secret_file, Path::new("etc/shop.secret"));
    assert_eq!(oauth.ca.as_deref(), Some(Path::new("etc/id.pem")));
    let local = text.replace("https://id.internal/token", "http://127.0.0.1:9/token");
    assert_eq!(faults_of(&local), "");
}

#[test]
fn what_a_store_cannot_be_shown_is_refused() {
    insta::assert_snapshot!(with("auth = { client_cert = \"a\" }\n"), @r#"
    etc/privet.toml:26:8: `client_cert` and `client_key_file` need each other
     26 | auth = { client_cert = "a" }
        |        ^^^^^^^^^^^^^^^^^^^^^
      help: write both, or neither
    "#);
    insta::assert_snapshot!(with("auth = { client_cert = \"a\", client_key_file = \"b\" }\n"), @r#"
    etc/privet.toml:26:8: `client_cert` is shown over TLS alone, and the store has an `http` address
     26 | auth = { client_cert = "a", client_key_file = "b" }
        |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      help: write its `urls` with https
    "#);
    insta::assert_snapshot!(with("auth = {}\n"), @r"
    etc/privet.toml:26:8: `auth` shows the store nothing
     26 | auth = {}
        |        ^^
      help: write `bearer_file`, `oauth`, or `client_cert` and `client_key_file`
    ");
    insta::assert_snapshot!(with("auth = { bearer_file = \"a\", oauth = { token_url = \"https://a\" } }\n"), @r#"
    etc/privet.toml:26:24: `bearer_file` beside `oauth`
     26 | auth = { bearer_file = "a", oauth = { token_url = "https://a" } }
        |                        ^^^
      help: a store is shown one token; write one of them
    "#);
    insta::assert_snapshot!(with("auth = { oauth = { token_url = \"http://a/\", client_id = \"p\", client_secret = \"x\" } }\n"), @r#"
    etc/privet.toml:26:18: `oauth` needs `client_secret_file`
    etc/privet.toml:26:32: `http://a/` is not an https URL
      help: the secret is sent there
    etc/privet.toml:26:62: `oauth` has no `client_secret`
      help: did you mean `client_secret_file`?
    "#);
    insta::assert_snapshot!(with("auth = { oauth = { token_url = \"https://u:planted@a/\", client_id = \"p\", client_secret_file = \"x\" } }\n"), @r"
    etc/privet.toml:26:32: the URL holds credentials; use `client_secret_file`
    ");
    let open = GOOD.replace("http://127.0.0.1:7001", "http://shop.internal");
    insta::assert_snapshot!(faults_of(&format!("{open}auth = {{ bearer_file = \"a\" }}\n")), @r#"
    etc/privet.toml:25:9: warning: records travel to this store in the clear
     25 | urls = ["http://shop.internal"]
        |         ^^^^^^^^^^^^^^^^^^^^^^
      help: use https, or a store on this machine
    etc/privet.toml:26:8: warning: the store's token travels in the clear
     26 | auth = { bearer_file = "a" }
        |        ^^^^^^^^^^^^^^^^^^^^^
      help: write its `urls` with https
    "#);
}

#[test]
fn an_empty_file_names_everything_that_is_missing() {
    insta::assert_snapshot!(faults_of("# nothing\n"), @r#"
    etc/privet.toml:1:1: the configuration needs `privet`
     1 | # nothing
       | ^
    etc/privet.toml:1:1: the configuration needs `policies`
     1 | # nothing
       | ^
    etc/privet.toml:1:1: the configuration needs `tenant`
     1 | # nothing
       | ^
    etc/privet.toml:1:1: the configuration needs `gateway`
     1 | # nothing
       | ^
    etc/privet.toml:1:1: the configuration needs `admin`
     1 | # nothing
       | ^
    etc/privet.toml:1:1: the configuration needs `state`
     1 | # nothing
       | ^
    etc/privet.toml:1:1: the configuration needs `keys`
     1 | # nothing
       | ^
    etc/privet.toml:1:1: the configuration needs `audit`
     1 | # nothing
       | ^
    etc/privet.toml:1:1: no [[issuer]] and no [[certificate]]: nobody could show who they are
     1 | # nothing
       | ^
      help: `privet init DIR` writes a development issuer
    etc/privet.toml:1:1: the configuration needs `store`
     1 | # nothing
       | ^
    "#);
}

#[test]
fn what_a_running_gateway_cannot_take_up_is_named() {
    let parts = |from: &str, to: &str| {
        let next = read(&GOOD.replacen(from, to, 1)).0.unwrap();
        read(GOOD).0.unwrap().needs_restart(&next)
    };
    for (from, to, wanted) in [
        ("shop-example", "other", "tenant"),
        ("127.0.0.1:7410", "127.0.0.1:7411", "[gateway] listen"),
        ("[admin]", "tls = { cert = \"c\", key_file = \"k\" }\n[admin]", "[gateway] tls"),
        ("[admin]", "limits = { idle_s = 7 }\n[admin]", "[gateway.limits]"),
        ("127.0.0.1:7480", "127.0.0.1:7481", "[admin] listen"),
        ("data/state", "data/cards", "[state]"),
        ("data/audit", "data/log", "[audit]"),
        ("data/root.key", "data/other.key", "[keys]"),
        ("[keys.root]", "[keys]\nshred_within = \"1h\"\n[keys.root]", "[keys]"),
        ("[keys.root]", "[keys]\ncached = \"2h\"\n[keys.root]", "[keys]"),
        ("127.0.0.1:7001", "127.0.0.1:7002", "[[store]]"),
    ] {
        assert_eq!(parts(from, to), [wanted]);
    }
    assert!(parts("\"ES256\", ", "").is_empty(), "issuers are taken up");
    assert!(parts("\"policies\"", "\"rules\"").is_empty(), "so are policies");
}

#[test]
fn misspelt_and_doubled_keys_are_refused_everywhere() {
    insta::assert_snapshot!(changed("policies = \"policies\"", "policy = \"policies\"\npolicies = \"policies\""), @r#"
    etc/privet.toml:2:1: the configuration has no `policy`
     2 | policy = "policies"
       | ^^^^^^
    "#);
    insta::assert_snapshot!(changed("[audit]\n", "[audit]\ndurabilty = \"strict\"\n"), @r#"
    etc/privet.toml:11:1: `[audit]` has no `durabilty`
     11 | durabilty = "strict"
        | ^^^^^^^^^
      help: did you mean `durability`?
    "#);
    insta::assert_snapshot!(with("timeouts = { conect_ms = 1 }\nhealth = { path = \"/h\", evry_s = 1 }\nauth = { bearer = \"secret\" }\n"), @r#"
    etc/privet.toml:26:14: `timeouts` has no `conect_ms`
     26 | timeouts = { conect_ms = 1 }
        |              ^^^^^^^^^
      help: did you mean `connect_ms`?
    etc/privet.toml:27:25: `health` has no `evry_s`
     27 | health = { path = "/h", evry_s = 1 }
        |                         ^^^^^^
      help: did you mean `every_s`?
    etc/privet.toml:28:8: `auth` shows the store nothing
      help: write `bearer_file`, `oauth`, or `client_cert` and `client_key_file`
    etc/privet.toml:28:10: `auth` has no `bearer`
      help: did you mean `bearer_file`?
    "#);
    insta::assert_snapshot!(with("name = \"shop\"\n"), @r#"
    etc/privet.toml:26:1: `name` stands in this table twice
     26 | name = "shop"
        | ^^^^
      help: remove one of them
    "#);
}

#[test]
fn plain_http_off_this_machine_is_refused_with_the_fix() {
    insta::assert_snapshot!(changed("127.0.0.1:7410", "0.0.0.0:7410"), @r#"
    etc/privet.toml:5:11: plain HTTP on `0.0.0.0:7410`, which is not this machine alone
     5 | listen = ["0.0.0.0:7410"]
       |           ^^^^^^^^^^^^^^
      help: add tls = { cert = "…", key_file = "…" }, or listen on 127.0.0.1
    "#);
    insta::assert_snapshot!(changed("127.0.0.1:7480", "10.0.0.1:7480"), @r#"
    etc/privet.toml:7:11: plain HTTP on `10.0.0.1:7480`, which is not this machine alone
     7 | listen = ["10.0.0.1:7480"]
       |           ^^^^^^^^^^^^^^^
      help: the admin listener speaks plain HTTP; listen on 127.0.0.1 and tunnel to it
    "#);
    insta::assert_snapshot!(changed("http://127.0.0.1:7001", "http://shop.internal"), @r#"
    etc/privet.toml:25:9: warning: records travel to this store in the clear
     25 | urls = ["http://shop.internal"]
        |         ^^^^^^^^^^^^^^^^^^^^^^
      help: use https, or a store on this machine
    "#);
}

#[test]
fn listeners_that_cannot_work_are_refused() {
    insta::assert_snapshot!(changed("127.0.0.1:7480", "127.0.0.1:7410"), @r#"
    etc/privet.toml:7:11: the gateway listens on `127.0.0.1:7410` already
     7 | listen = ["127.0.0.1:7410"]
       |           ^^^^^^^^^^^^^^^^
      help: give the admin listener an address of its own
    "#);
    insta::assert_snapshot!(changed("[\"127.0.0.1:7410\"]", "[\"localhost:7410\"]"), @r#"
    etc/privet.toml:5:11: `localhost:7410` is not an address and port
     5 | listen = ["localhost:7410"]
       |           ^^^^^^^^^^^^^^^^
      help: write it as "127.0.0.1:7410"
    "#);
    insta::assert_snapshot!(changed("[\"127.0.0.1:7410\"]", "[]"), @r#"
    etc/privet.toml:5:10: no address to listen on
     5 | listen = []
       |          ^^
      help: write listen = ["127.0.0.1:7410"]
    "#);
    insta::assert_snapshot!(
        changed("[admin]", "limits = { header_bytes = 1, record_bytes = 8_000_000, buffer_bytes = 2_000_000, idle_s = 0 }\n[admin]"),
        @r#"
    etc/privet.toml:6:10: a record may have 8000000 bytes, all buffers together 2000000
     6 | limits = { header_bytes = 1, record_bytes = 8_000_000, buffer_bytes = 2_000_000, idle_s = 0 }
       |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      help: raise `buffer_bytes`
    etc/privet.toml:6:27: expected a whole number from 8192 to 1048576, found `1`
     6 | limits = { header_bytes = 1, record_bytes = 8_000_000, buffer_bytes = 2_000_000, idle_s = 0 }
       |                           ^
    etc/privet.toml:6:91: expected a whole number from 1 to 86400, found `0`
     6 | limits = { header_bytes = 1, record_bytes = 8_000_000, buffer_bytes = 2_000_000, idle_s = 0 }
       |                                                                                           ^
    "#
    );
    insta::assert_snapshot!(with("[postgres]\nlisten = [\"127.0.0.1:7432\"]\n[portal]\nlisen = [\"x\"]\n"), @r#"
    etc/privet.toml:26:2: warning: `[postgres]` is read, but nothing listens there in this version
     26 | [postgres]
        |  ^^^^^^^^
    etc/privet.toml:28:1: `[portal]` needs `listen`
     28 | [portal]
        | ^^^^^^^^
    etc/privet.toml:28:2: warning: `[portal]` is read, but nothing listens there in this version
     28 | [portal]
        |  ^^^^^^
    etc/privet.toml:29:1: `[portal]` has no `lisen`
     29 | lisen = ["x"]
        | ^^^^^
      help: did you mean `listen`?
    "#);
}

#[test]
fn what_later_versions_bring_is_refused() {
    insta::assert_snapshot!(changed("sled:data/state", "postgres://db/privet"), @r#"
    etc/privet.toml:9:7: `postgres` is not in this version
     9 | url = "postgres://db/privet"
       |       ^^^^^^^^^^^^^^^^^^^^^^
      help: leave it out; nothing here acts on it yet
    "#);
    insta::assert_snapshot!(changed("kind = \"http\"", "kind = \"postgres\""), @r#"
    etc/privet.toml:24:8: `postgres` is not in this version
     24 | kind = "postgres"
        |        ^^^^^^^^^^
      help: leave it out; nothing here acts on it yet
    "#);
    insta::assert_snapshot!(changed("provider = \"file\"", "provider = \"fil\""), @r#"
    etc/privet.toml:13:12: unknown provider `fil`
     13 | provider = "fil"
        |            ^^^^^
      help: did you mean `file`?
    "#);
    insta::assert_snapshot!(changed("sled:data/state", "memory:"), @r#"
    etc/privet.toml:9:7: `memory:` is not the URL of a state store
     9 | url = "memory:"
       |       ^^^^^^^^^
      help: write "sled:data/state"
    "#);
}

#[test]
fn an_erasure_is_beyond_recall_within_a_month_at_most() {
    let with = |time: &str| {
        GOOD.replace("[keys.root]", &format!("[keys]\nshred_within = {time}\n[keys.root]"))
    };
    let day = 24 * 3_600;
    assert_eq!(read(GOOD).0.unwrap().shred_within.as_secs(), day);
    for (time, seconds) in [
        ("1m", 60),
        ("90m", 5_400),
        ("24h", day),
        ("1d", day),
        ("720h", 30 * day),
        ("30d", 30 * day),
    ] {
        let read = read(&with(&format!("\"{time}\""))).0.unwrap();
        assert_eq!(read.shred_within.as_secs(), seconds, "{time}");
    }
    for time in [
        "\"59s\"",
        "\"0m\"",
        "\"31d\"",
        "\"721h\"",
        "\"24\"",
        "\"h\"",
        "\"\"",
        "\"+1h\"",
        "\"1.5h\"",
        "\"1 h\"",
        "\"1H\"",
        "\"1ü\"",
        "\"99999999999999999999h\"",
        "\"9999999999999999999d\"",
        "24",
        "true",
    ] {
        assert!(read(&with(time)).0.is_none(), "{time}");
    }
    insta::assert_snapshot!(faults_of(&with("\"31d\"")), @r#"
    etc/privet.toml:13:16: `31d` is not a time from 1m to 30d
     13 | shred_within = "31d"
        |                ^^^^^
      help: write a number and `m`, `h` or `d`, such as "24h"
    "#);
}

#[test]
fn the_high_water_mark_is_kept_where_no_backup_of_the_data_puts_it_back() {
    let with = |path: &str| {
        let lines = format!("[keys]\nhigh_water = \"{path}\"\n[keys.root]");
        GOOD.replace("[keys.root]", &lines)
    };
    assert_eq!(read(GOOD).0.unwrap().keys.high_water, None);
    for path in ["../elsewhere/mark", "/mnt/other/mark", "mark"] {
        let keys = read(&with(path)).0.unwrap().keys;
        assert_eq!(keys.high_water.unwrap(), std::path::Path::new("etc").join(path), "{path}");
    }
    for path in ["data/mark", "data/keys/mark", "data/state/../mark", "../x/../", "/"] {
        let refused = faults_of(&with(path));
        assert!(
            refused.contains("is not outside") || refused.contains("is not a file"),
            "{refused}"
        );
    }
    let restart = read(GOOD).0.unwrap().needs_restart(&read(&with("mark")).0.unwrap());
    assert_eq!(restart, ["[keys]"]);
}

#[test]
fn an_issuer_is_believed_only_within_bounds() {
    insta::assert_snapshot!(changed("certs/jwks.json", "http://id.example/jwks"), @r#"
    etc/privet.toml:19:8: `http://id.example/jwks` is not an https URL or a file
     19 | jwks = "http://id.example/jwks"
        |        ^^^^^^^^^^^^^^^^^^^^^^^^
      help: keys fetched in the clear could be anybody's; use https or a file
    "#);
    insta::assert_snapshot!(changed("[\"ES256\", \"EdDSA\"]", "[\"HS256\", \"none\", \"es256\"]"), @r#"
    etc/privet.toml:20:15: unknown algorithm `HS256`
     20 | algorithms = ["HS256", "none", "es256"]
        |               ^^^^^^^
      help: did you mean `ES256`?
    etc/privet.toml:20:24: unknown algorithm `none`
     20 | algorithms = ["HS256", "none", "es256"]
        |                        ^^^^^^
      help: known here: `EdDSA`, `ES256`, `RS256`
    etc/privet.toml:20:32: unknown algorithm `es256`
     20 | algorithms = ["HS256", "none", "es256"]
        |                                ^^^^^^^
      help: did you mean `ES256`?
    "#);
    insta::assert_snapshot!(changed("mfa = \"acr:gold\" }", "mfa = \"acr..gold\" }\nleeway_s = 600\nmay_assert = { roles = [\"*\"], ticket = \"yes\", rolls = [] }"), @r#"
    etc/privet.toml:22:12: expected a whole number from 0 to 60, found `600`
     22 | leeway_s = 600
        |            ^^^
    etc/privet.toml:23:24: `"*"` stands in a list, where it means a word of that name
     23 | may_assert = { roles = ["*"], ticket = "yes", rolls = [] }
        |                        ^^^^^
      help: write it without the list for any word
    etc/privet.toml:23:40: expected `true` or `false`, found text
     23 | may_assert = { roles = ["*"], ticket = "yes", rolls = [] }
        |                                        ^^^^^
    etc/privet.toml:23:47: `may_assert` has no `rolls`
     23 | may_assert = { roles = ["*"], ticket = "yes", rolls = [] }
        |                                               ^^^^^
      help: did you mean `roles`?
    "#);
    insta::assert_snapshot!(changed("https://id.example", "a|b"), @r#"
    etc/privet.toml:16:1: issuer or certificate `a|b`: its name must be what tokens say under `iss`, without `|`
     16 | [[issuer]]
        | ^^^^^^^^^^
    "#);
    let (_, again) = GOOD.split_once("[[issuer]]").unwrap();
    let (again, _) = again.split_once("[[store]]").unwrap();
    insta::assert_snapshot!(with(&format!("[[issuer]]{again}")), @r#"
    etc/privet.toml:26:1: a second issuer `https://id.example`
     26 | [[issuer]]
        | ^^^^^^^^^^
    "#);
}

#[test]
fn certificates_are_told_apart() {
    insta::assert_snapshot!(with("[[certificate]]\ndns = \"a.example\"\nowner = \"a\"\n"), @r#"
    etc/privet.toml:26:1: no caller is ever asked for a certificate
     26 | [[certificate]]
        | ^^^^^^^^^^^^^^^
      help: add `client_ca` to `tls` of [gateway]
    "#);
    let tls = GOOD.replace(
        "[admin]",
        "tls = { cert = \"c\", key_file = \"k\", client_ca = \"ca\" }\n[admin]",
    );
    let sha = "+f".repeat(32);
    insta::assert_snapshot!(faults_of(&format!(
        "{tls}[[certificate]]\ndns = \"a.example\"\nowner = \"a\"\n[[certificate]]\ndns = \"A.example\"\nowner = \"a\"\n\
        [[certificate]]\nsha256 = \"{sha}\"\nowner = \"b\"\n[[certificate]]\ndns = \"*.example\"\nuri = \"x\"\nowner = \"c\"\n\
        [[certificate]]\ndns = \"*.example\"\nowner = \"d\"\nregion = \"Germany\"\n"
    )), @r#"
    etc/privet.toml:30:1: a second entry for this certificate
     30 | [[certificate]]
        | ^^^^^^^^^^^^^^^
    etc/privet.toml:30:1: a second certificate with the owner `a`
     30 | [[certificate]]
        | ^^^^^^^^^^^^^^^
      help: give each an owner of its own
    etc/privet.toml:34:10: `+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f` is not a SHA-256 fingerprint
     34 | sha256 = "+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f+f"
        |          ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      help: `openssl x509 -noout -fingerprint -sha256 -in FILE` prints it
    etc/privet.toml:36:1: not one way to recognise the certificate
     36 | [[certificate]]
        | ^^^^^^^^^^^^^^^
      help: a certificate is recognised by one of sha256, dns and uri
    etc/privet.toml:43:10: `Germany` is not a country
     43 | region = "Germany"
        |          ^^^^^^^^^
      help: two letters, such as DE
    "#);
}

#[test]
fn stores_are_told_apart() {
    insta::assert_snapshot!(with("[[store]]\nname = \"shop\"\nkind = \"http\"\nurls = [\"http://127.0.0.1:7002\"]\n[[store]]\nname = \"other\"\nkind = \"http\"\nurls = []\nprefix = \"/\"\n"), @r#"
    etc/privet.toml:26:1: a second store with the name `shop`
     26 | [[store]]
        | ^^^^^^^^^
    etc/privet.toml:26:1: a second store with the prefix `/shop`
     26 | [[store]]
        | ^^^^^^^^^
    etc/privet.toml:33:8: no address of the store
     33 | urls = []
        |        ^^
      help: write urls = ["http://127.0.0.1:7001"]
    "#);
    insta::assert_snapshot!(with("host = \"shop.internal:80\"\n"), @r#"
    etc/privet.toml:26:8: `shop.internal:80` is not a host name without a port
     26 | host = "shop.internal:80"
        |        ^^^^^^^^^^^^^^^^^^
      help: such as "shop.internal"
    "#);
    insta::assert_snapshot!(with("host = \"shop.internal\"\nprefix = \"/a\"\n"), @r#"
    etc/privet.toml:26:8: `host` beside `prefix`
     26 | host = "shop.internal"
        |        ^^^^^^^^^^^^^^^
      help: a store is found by one of them
    "#);
    insta::assert_snapshot!(with("prefix = \"/a/../b\"\n"), @r#"
    etc/privet.toml:26:10: `/a/../b` is not a path prefix
     26 | prefix = "/a/../b"
        |          ^^^^^^^^^
      help: such as "/shop", without a `/` at its end
    "#);
    insta::assert_snapshot!(with("health = { path = \"/h\\r\\nX: y\" }\n"), @r#"
    etc/privet.toml:26:19: `/h��X: y` is not a path
     26 | health = { path = "/h\r\nX: y" }
        |                   ^^^^^^^^^^^^
      help: such as "/health"
    "#);
    insta::assert_snapshot!(changed("name = \"shop\"", "name = \"shop.eu\""), @r#"
    etc/privet.toml:23:8: the store's name `shop.eu` has a dot
     23 | name = "shop.eu"
        |        ^^^^^^^^^
      help: data sets are named `store.set`; use `-` or `_`
    "#);
}

#[test]
fn a_password_in_a_url_is_not_repeated() {
    let said = changed("http://127.0.0.1:7001", "https://gateway:hunter2@shop.internal");
    assert!(!said.contains("hunter2"), "{said}");
    insta::assert_snapshot!(said, @r#"etc/privet.toml:25:9: the URL holds credentials; use `auth = { bearer_file = … }`"#);
}

/// A line of the working file, changed.
fn broken() -> impl Strategy<Value = String> {
    let lines = GOOD.lines().count();
    (0..lines, "[ -~é\t]{0,30}", 0_u8..4).prop_map(|(at, noise, how)| {
        let mut lines: Vec<String> = GOOD.lines().map(str::to_owned).collect();
        match how {
            0 => lines[at] = noise,
            1 => lines[at].push_str(&noise),
            2 => drop(lines.remove(at)),
            _ => lines.insert(at, noise),
        }
        lines.join("\n")
    })
}

/// A value of the working file, replaced by one of another kind.
fn retyped() -> impl Strategy<Value = String> {
    let values =
        ["1", "-1", "true", "[]", "{}", "\"\"", "[[1]]", "{ a = [{}] }", "\"\\u0000\"", "1e400"];
    let keys: Vec<usize> =
        GOOD.lines().enumerate().filter(|(_, l)| l.contains(" = ")).map(|(i, _)| i).collect();
    (prop::sample::select(keys), prop::sample::select(values.to_vec())).prop_map(|(at, value)| {
        let mut lines: Vec<String> = GOOD.lines().map(str::to_owned).collect();
        let key = lines[at].split(" = ").next().unwrap_or_default().to_owned();
        lines[at] = format!("{key} = {value}");
        lines.join("\n")
    })
}

proptest! {
    #[test]
    fn no_text_breaks_the_reader(text in any::<String>()) {
        prop_assert!(places_hold(&text));
    }

    #[test]
    fn no_broken_line_breaks_the_reader(text in broken()) {
        prop_assert!(places_hold(&text), "{}", text);
    }

    #[test]
    fn no_value_of_another_kind_is_taken(text in retyped()) {
        prop_assert!(places_hold(&text), "{}", text);
        // Claims may well be empty: a token then says only who it is.
        prop_assert!(read(&text).0.is_none() || text.contains("claims = {}"), "{}", text);
    }
}

#[test]
#[cfg(not(feature = "otel"))]
fn traces_need_a_program_that_exports_them() {
    let told = with("[telemetry]\notlp = \"http://127.0.0.1:4318\"\n");
    assert!(told.contains("built without the export of traces"), "{told}");
    assert!(told.contains("--features otel"), "{told}");
}

#[test]
fn traces_go_nowhere_in_the_clear_and_nowhere_else() {
    for (line, fault) in [
        ("otlp = \"http://otel.example:4318\"", "in the clear only a collector on this machine"),
        ("otlp = \"127.0.0.1:4318\"", "is not an https URL"),
        ("otlp = \"https://otel.example/?a=b\"", "is not a base address"),
        ("otlp = \"https://me:pw-planted@otel.example\"", "the URL holds credentials"),
        ("sample = 0.5", "`otlp`"),
        ("otlp = \"http://localhost:4318\"\nsample = 2", "a number from 0 to 1"),
        ("otlp = \"http://localhost:4318\"\nsample = \"0.1\"", "a number from 0 to 1"),
        ("otlp = \"http://localhost:4318\"\nheaders = {}", "`headers`"),
    ] {
        let told = with(&format!("[telemetry]\n{line}\n"));
        assert!(told.contains(fault), "{line}: {told}");
        assert!(!told.contains("pw-planted"), "{told}");
    }
}

/// The working file with the root key in a transit engine.
fn with_transit(lines: &str) -> String {
    let file =
        "provider = \"file\"\npath = \"data/root.key\"\npassphrase_file = \"secrets/passphrase\"";
    assert!(GOOD.contains(file));
    GOOD.replacen(file, &format!("provider = \"openbao\"\n{lines}"), 1)
}

#[test]
fn the_root_key_may_be_in_a_transit_engine() {
    let text = with_transit(
        r#"url = "https://bao.internal:8200"
key = "shop"
token_file = "secrets/bao.token""#,
    );
    assert_eq!(faults_of(&text), "");
    let keys = read(&text).0.unwrap().keys;
    assert_eq!(keys.cached, Duration::from_secs(3_600));
    let RootProvider::OpenBao(bao) = keys.root else { panic!() };
    assert_eq!((bao.mount.as_str(), bao.key.as_str()), ("transit", "shop"));
    assert_eq!(bao.token_file, Path::new("etc/secrets/bao.token"));
    assert_eq!((bao.ca, bao.namespace), (None, None));

    let text = with_transit(
        r#"url = "http://127.0.0.1:8200"
mount = "teams/transit"
key = "shop.1"
token_file = "t"
ca = "ca.pem"
namespace = "eu/privacy""#,
    );
    let text = text.replace("[keys.root]", "[keys]\ncached = \"90m\"\n[keys.root]");
    assert_eq!(faults_of(&text), "");
    let keys = read(&text).0.unwrap().keys;
    assert_eq!(keys.cached, Duration::from_secs(5_400));
    let RootProvider::OpenBao(bao) = keys.root else { panic!() };
    assert_eq!(
        (bao.mount.as_str(), bao.namespace.as_deref()),
        ("teams/transit", Some("eu/privacy"))
    );
    assert_eq!(bao.ca.as_deref(), Some(Path::new("etc/ca.pem")));
}

#[test]
fn wrong_settings_of_a_transit_engine_are_refused_with_the_fix() {
    insta::assert_snapshot!(faults_of(&with_transit("")), @r#"
    etc/privet.toml:12:1: `[keys.root]` needs `url`
     12 | [keys.root]
        | ^^^^^^^^^^^
    etc/privet.toml:12:1: `[keys.root]` needs `key`
     12 | [keys.root]
        | ^^^^^^^^^^^
    etc/privet.toml:12:1: `[keys.root]` needs `token_file`
     12 | [keys.root]
        | ^^^^^^^^^^^
    "#);
    insta::assert_snapshot!(faults_of(&with_transit(r#"url = "http://bao.internal:8200"
mount = "/transit/"
key = "shop-epoch-3"
token_file = 7"#)), @r#"
    etc/privet.toml:14:7: `http://bao.internal:8200` is not an https URL
     14 | url = "http://bao.internal:8200"
        |       ^^^^^^^^^^^^^^^^^^^^^^^^^^
      help: keys travel there; in the clear only to this machine
    etc/privet.toml:15:9: `/transit/` is not a path of names
     15 | mount = "/transit/"
        |         ^^^^^^^^^^^
      help: write it without a `/` at either end, such as "transit"
    etc/privet.toml:16:7: `shop-epoch-3` is not a key of an installation
     16 | key = "shop-epoch-3"
        |       ^^^^^^^^^^^^^^
      help: such keys are the gateway's own; name the one before `-epoch-`
    etc/privet.toml:17:14: expected text, found a number
     17 | token_file = 7
        |              ^
      help: put it in quotes
    "#);
    insta::assert_snapshot!(faults_of(&with_transit(r#"url = "https://bao.internal/v1/transit"
mount = "a/../sys"
key = "a/b"
token = "s.secret"
token_file = "t"
namespace = "../root""#)), @r#"
    etc/privet.toml:14:7: `https://bao.internal/v1/transit` is not the address of a server alone
     14 | url = "https://bao.internal/v1/transit"
        |       ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
      help: `/v1`, `mount` and `key` come after it
    etc/privet.toml:15:9: `a/../sys` is not a path of names
     15 | mount = "a/../sys"
        |         ^^^^^^^^^^
      help: write it without a `/` at either end, such as "transit"
    etc/privet.toml:16:7: `a/b` is not a name of a key
     16 | key = "a/b"
        |       ^^^^^
      help: use at most 100 of a-z, A-Z, 0-9, `-`, `_` and `.`
    etc/privet.toml:17:1: `[keys.root]` has no `token`
      help: did you mean `token_file`?
    etc/privet.toml:19:13: `../root` is not a path of names
     19 | namespace = "../root"
        |             ^^^^^^^^^
      help: write it without a `/` at either end, such as "transit"
    "#);
    let password = with_transit(
        "url = \"https://root:s.secret@bao.internal\"\nkey = \"k\"\ntoken_file = \"t\"",
    );
    let said = faults_of(&password);
    assert!(said.contains("token_file") && !said.contains("s.secret"), "{said}");
}

#[test]
fn the_root_key_may_be_on_a_token() {
    let with_token = |lines: &str| with_transit(lines).replace("\"openbao\"", "\"pkcs11\"");
    let text = with_token(
        r#"module = "/usr/lib/softhsm/libsofthsm2.so"
token_label = "Privet 1"
key_label = "shop"
pin_file = "secrets/pin""#,
    );
    assert_eq!(faults_of(&text), "");
    let RootProvider::Pkcs11(token) = read(&text).0.unwrap().keys.root else { panic!() };
    assert_eq!((token.token_label.as_str(), token.key_label.as_str()), ("Privet 1", "shop"));
    assert_eq!(token.module, Path::new("/usr/lib/softhsm/libsofthsm2.so"));
    assert_eq!(token.pin_file, Path::new("etc/secrets/pin"));
    insta::assert_snapshot!(faults_of(&with_token(r#"module = "m.so"
token_label = "Privet "
key_label = "shop-root-21"
pin = "1234""#)), @r#"
    etc/privet.toml:12:1: `[keys.root]` needs `pin_file`
     12 | [keys.root]
        | ^^^^^^^^^^^
    etc/privet.toml:15:15: `Privet ` is not a label of a token
      help: it has 1 to 32 bytes; `pkcs11-tool -L` shows it
    etc/privet.toml:16:13: `shop-root-21` is not a key of an installation
     16 | key_label = "shop-root-21"
        |             ^^^^^^^^^^^^^^
      help: such keys are the gateway's own; name the one before `-root-`
    etc/privet.toml:17:1: `[keys.root]` has no `pin`
      help: did you mean `pin_file`?
    "#);
}

#[test]
fn how_long_keys_are_used_unasked_has_bounds() {
    let cached = |text: &str| {
        let text =
            GOOD.replacen("[keys.root]", &format!("[keys]\ncached = {text}\n[keys.root]"), 1);
        (read(&text).0.map(|config| config.keys.cached.as_secs()), faults_of(&text))
    };
    for (text, seconds) in [("\"1m\"", 60), ("\"1h\"", 3_600), ("\"7d\"", 604_800)] {
        assert_eq!(cached(text).0, Some(seconds), "{text}");
    }
    for text in ["\"59s\"", "\"8d\"", "\"0h\"", "\"-1h\"", "\"1é\"", "\"\"", "3600"] {
        assert_eq!(cached(text).0, None, "{text}");
    }
    insta::assert_snapshot!(cached("\"8d\"").1, @r#"
    etc/privet.toml:13:10: `8d` is not a time from 1m to 7d
     13 | cached = "8d"
        |          ^^^^
      help: write a number and `m`, `h` or `d`, such as "24h"
    "#);
}
