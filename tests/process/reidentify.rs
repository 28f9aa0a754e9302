//! Two operators turn a reversible token back into its value from the command line.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use privet::clock::{Clock, SystemClock};
use serde_json::Value;

use crate::harness::{Site, Store, get, privet};
use crate::planted::files;

const ID: &str = "c-zq8planted";

/// An officer with a second factor, whose token stands in `NAME.token`.
pub(crate) struct Officer {
    name: &'static str,
    uri: String,
}

impl Officer {
    pub(crate) fn add(site: &Site, name: &'static str) -> Self {
        let out = privet(&site.dir(), &["operator", "add", name, "--role", "officer", "--totp"]);
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
        let printed = String::from_utf8(out.stdout).unwrap();
        let token = site.dir().join(format!("{name}.token"));
        fs::write(&token, &printed).unwrap();
        fs::set_permissions(&token, fs::Permissions::from_mode(0o600)).unwrap();
        Self { name, uri: printed.lines().nth(1).unwrap().to_owned() }
    }

    /// The code so many steps from now. The present one and those beside it count.
    pub(crate) fn code(&self, steps: u64) -> String {
        let secret = self.uri.split("secret=").nth(1).unwrap().split('&').next().unwrap();
        let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
        let codes = totp_rs::Builder::new().with_secret(secret).with_step_duration(30);
        codes.build().unwrap().generate(SystemClock.now().unix_s() + steps * 30).to_string()
    }

    /// Runs `privet reidentify …`; its exit code and all it said.
    fn run(&self, site: &Site, words: &[&str], code: &str) -> (Option<i32>, String, String) {
        self.command(site, &[&["reidentify"], words].concat(), code)
    }

    /// Runs any command with a code; its exit code and all it said.
    pub(crate) fn command(
        &self,
        site: &Site,
        words: &[&str],
        code: &str,
    ) -> (Option<i32>, String, String) {
        let token = format!("{}.token", self.name);
        let more = ["--token-file", &token, "--totp", code];
        let out = privet(&site.dir(), &[words, &more].concat());
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (out.status.code(), text(out.stdout), text(out.stderr))
    }
}

#[test]
fn two_officers_turn_a_token_back_from_the_command_line() {
    let record = format!(r#"{{"id":"{ID}","country":"GB","birthday":"1988-10-09"}}"#);
    let store = Store::start(move |_| Some(format!("[{record}]")));
    let site = Site::new(store.address());
    site.edit("policies/customer-care.yaml", |text| {
        let kept = "{ pseudonymize: { scope: purpose, reversible: true } }";
        let kept = text.replacen("{ pseudonymize: { scope: purpose } }", kept, 1);
        assert_ne!(kept, text);
        kept
    });
    let (ada, ben) = (Officer::add(&site, "ada"), Officer::add(&site, "ben"));
    let gateway = site.serve();
    site.reach(&gateway);
    let caller = site.token(&["--role", "analyst", "--purpose", "analytics", "--region", "GB"]);
    let shown = get(gateway.gateway, "/shop/customers", &caller, "analytics");
    let token = shown.json()[0]["id"].as_str().unwrap().to_owned();
    assert!(token.starts_with("ps1_"), "{token}");
    fs::write(site.dir().join("tokens.txt"), format!("{token}\n")).unwrap();

    let wish =
        ["request", "tokens.txt", "--purpose", "analytics", "--case", "C-117", "--why", "fraud"];
    let code = ada.code(0);
    let (status, made, said) = ada.run(&site, &wish, &code);
    assert_eq!(status, Some(0), "{said}");
    let made: Value = serde_json::from_str(&made).unwrap();
    let id = made["id"].as_str().unwrap();
    // A code that was used once agrees to nothing and shows nothing.
    for step in ["approve", "show"] {
        let (status, _, said) = ada.run(&site, &[step, id], &code);
        assert_eq!((status, said.contains("used already")), (Some(1), true), "{said}");
    }
    let (status, _, said) = ben.run(&site, &["approve", id], &ben.code(0));
    assert_eq!(status, Some(0), "{said}");
    let bare = privet(&site.dir(), &["reidentify", "show", id, "--token-file", "ada.token"]);
    assert_eq!(bare.status.code(), Some(1));
    let said = String::from_utf8_lossy(&bare.stderr).into_owned();
    assert!(said.contains("six digits") && !said.contains(ID), "{said}");

    // The request outlives the process.
    gateway.kill9();
    let gateway = site.serve();
    site.edit("privet.toml", |text| {
        let (before, rest) = text.split_once("[admin]\nlisten = [\"").unwrap();
        let (_, rest) = rest.split_once('"').unwrap();
        format!("{before}[admin]\nlisten = [\"{}\"{rest}", gateway.admin)
    });
    let (status, shown, said) = ada.run(&site, &["show", id], &ada.code(1));
    assert_eq!(status, Some(0), "{said}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["values"][0]["token"], &shown["values"][0]["value"]),
        (&token.into(), &ID.into())
    );
    let (status, _, said) = ben.run(&site, &["show", id], &ben.code(1));
    assert_eq!((status, said.contains("whoever made the request")), (Some(1), true), "{said}");

    // Neither the value nor the token stands in the log, or the value anywhere else.
    drop(gateway);
    for file in files(&site.dir().join("data")) {
        let text = String::from_utf8_lossy(&fs::read(&file).unwrap()).into_owned();
        assert!(!text.contains(ID), "{}", file.display());
    }
}
