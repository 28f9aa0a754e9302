//! Second factors of operators, from setting one up to a restart.

use std::fs;
use std::path::Path;

use privet::clock::{Clock, SystemClock};

use crate::command_line::post;
use crate::harness::{Site, Store, privet};

/// The code of the step after this one: it counts already, and for a minute at least.
fn next_code(uri: &str) -> String {
    let secret = uri.split("secret=").nth(1).unwrap().split('&').next().unwrap();
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let totp = totp_rs::Builder::new().with_secret(secret).with_step_duration(30).build().unwrap();
    totp.generate(SystemClock.now().unix_s() + 30).to_string()
}

fn verify(dir: &Path, token: &str, code: &str) -> (Option<i32>, String) {
    let arguments = ["operator", "verify", "--totp", code, "--token-file", token];
    let out = privet(dir, &arguments);
    let said = [out.stdout, out.stderr].concat();
    (out.status.code(), String::from_utf8(said).unwrap())
}

#[test]
fn a_second_factor_is_set_up_beside_a_running_gateway_and_works_once() {
    let site = Site::new(Store::start(|_| None).address());
    let gateway = site.serve();
    site.reach(&gateway);
    let out = privet(&site.dir(), &["operator", "add", "ada", "--role", "officer", "--totp"]);
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    let printed = String::from_utf8(out.stdout).unwrap();
    // All of it may be kept as the token file: the token is its first line.
    fs::write(site.dir().join("ada.token"), &printed).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(site.dir().join("ada.token"), mode).unwrap();
    let uri = printed.lines().nth(1).unwrap();
    assert!(uri.starts_with("otpauth://totp/Privet:ada?secret="), "{uri}");

    // The file of operators holds the secret in no form that can be read.
    let secret = uri.split("secret=").nth(1).unwrap().split('&').next().unwrap();
    let raw = totp_rs::Secret::try_from_base32(secret).unwrap();
    let operators = fs::read(site.dir().join("operators")).unwrap();
    let text = String::from_utf8_lossy(&operators).into_owned();
    assert!(text.contains("ada officer ") && text.contains(" totp1_"), "{text}");
    assert!(!text.contains(secret));
    assert!(!operators.windows(raw.as_bytes().len()).any(|window| window == raw.as_bytes()));

    let operator = fs::read_to_string(site.dir().join("operator.token")).unwrap();
    assert_eq!(post(gateway.admin, "/api/v1/reload", operator.trim()), 200);
    let code = next_code(uri);
    let (status, said) = verify(&site.dir(), "ada.token", &code);
    assert_eq!((status, said.contains("`ada` works")), (Some(0), true), "{said}");
    let (status, said) = verify(&site.dir(), "ada.token", &code);
    assert_eq!((status, said.contains("used already")), (Some(1), true), "{said}");
    // Spaces make no other code of it.
    let (three, rest) = code.split_at(3);
    let spaced = format!("{three} {rest}");
    assert_eq!(verify(&site.dir(), "ada.token", &spaced).0, Some(1));
    // Nor does somebody else's token, or a restart.
    let (status, said) = verify(&site.dir(), "operator.token", &code);
    assert_eq!((status, said.contains("no second factor")), (Some(1), true), "{said}");
    gateway.kill9();
    let _gateway = site.serve();
    let (status, said) = verify(&site.dir(), "ada.token", &code);
    assert_eq!((status, said.contains("used already")), (Some(1), true), "{said}");
}
