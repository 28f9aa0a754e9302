//! Tests of `[[audit.export]]`.

use super::tests::GOOD;
use super::tests::faults_of;
use super::tests::read;
use super::*;
use crate::audit::Confirm;
use crate::audit::Format;
use crate::audit::Receiver;
use crate::net::ClientIdentity;

/// The smallest file that works, with these exports.
fn with(exports: &str) -> String {
    GOOD.replace("[keys.root]", &format!("{exports}\n[keys.root]"))
}

fn exports(text: &str) -> Vec<ExportConfig> {
    let (config, faults) = read(&with(text));
    config.unwrap_or_else(|| panic!("{faults:?}")).exports
}

#[test]
fn exports_are_read_with_their_defaults() {
    assert!(exports("").is_empty());
    let found = exports(
        r#"[[audit.export]]
        name = "archive"
        to = "file"
        dir = "exports"
        format = "csv"
        [[audit.export]]
        name = "siem"
        to = "webhook"
        url = "https://siem.example/in"
        secret_file = "secrets/siem"
        format = "ocsf"
        [[audit.export]]
        name = "syslog"
        to = "syslog"
        address = "logs.example"
        ca = "certs/logs.pem"
        confirm = "tcp"
        [[audit.export]]
        name = "syslog-6"
        to = "syslog"
        address = "[::1]:7000"
        client_cert = "certs/us.pem"
        client_key_file = "certs/us.key""#,
    );
    let file = Receiver::File { dir: "etc/exports".into(), rotate_bytes: 64 << 20 };
    let webhook = Receiver::Webhook {
        url: "https://siem.example/in".parse().unwrap(),
        secret_file: "etc/secrets/siem".into(),
        ca: None,
    };
    let syslog = Receiver::Syslog {
        host: "logs.example".to_owned(),
        port: 6514,
        ca: Some("etc/certs/logs.pem".into()),
        identity: None,
        confirm: Confirm::Tcp,
    };
    let identity =
        ClientIdentity { cert: "etc/certs/us.pem".into(), key_file: "etc/certs/us.key".into() };
    let shown = Receiver::Syslog {
        host: "::1".to_owned(),
        port: 7000,
        ca: None,
        identity: Some(identity),
        confirm: Confirm::Tls,
    };
    for (found, (name, format, to)) in found.into_iter().zip([
        ("archive", Format::Csv, file),
        ("siem", Format::Ocsf, webhook),
        ("syslog", Format::Jsonl, syslog),
        ("syslog-6", Format::Jsonl, shown),
    ]) {
        assert_eq!(found, ExportConfig { name: name.to_owned(), format, to });
    }
}

#[test]
fn an_export_that_could_not_be_meant_is_refused_with_what_would_help() {
    let file = "name = \"a\"\nto = \"file\"\n";
    let hook = "name = \"a\"\nto = \"webhook\"\nsecret_file = \"s\"\n";
    let syslog = "name = \"a\"\nto = \"syslog\"\n";
    for (text, what) in [
        ("to = \"file\"\ndir = \"x\"".to_owned(), "needs `name`"),
        ("name = \"A b\"\nto = \"file\"\ndir = \"x\"".to_owned(), "at most 32 of a-z"),
        ("name = \"../a\"\nto = \"file\"\ndir = \"x\"".to_owned(), "at most 32 of a-z"),
        ("name = \"a\"".to_owned(), "needs `to`"),
        ("name = \"a\"\nto = \"webhok\"".to_owned(), "did you mean `webhook`?"),
        (file.to_owned(), "needs `dir`"),
        (format!("{file}dir = \"x\"\nrotate_mb = 3"), "did you mean `rotate_mib`?"),
        (format!("{file}dir = \"x\"\nformat = \"jsonlines\""), "unknown format `jsonlines`"),
        (format!("{file}dir = \"data/audit\""), "one in the other"),
        (format!("{file}dir = \"data/audit/out\""), "one in the other"),
        (format!("{file}dir = \"data\""), "one in the other"),
        (format!("{file}dir = \"x\"\nurl = \"https://x\""), "has no `url`"),
        (format!("{hook}url = \"http://siem.example/in\""), "an https URL"),
        (format!("{hook}url = \"https://u:geheim@siem.example\""), "holds credentials"),
        (format!("{hook}url = \"https://x\"\nformat = \"csv\""), "csv goes into files alone"),
        ("name = \"a\"\nto = \"webhook\"\nurl = \"https://x\"".to_owned(), "needs `secret_file`"),
        (format!("{syslog}address = \"logs.example:6514/x\""), "a host and port"),
        (format!("{syslog}address = \"tls://logs.example\""), "a host and port"),
        (format!("{syslog}address = \"me@logs.example\""), "a host and port"),
        (format!("{syslog}address = \"x\"\nclient_cert = \"c\""), "need each other"),
        (format!("{syslog}address = \"x\"\nconfirm = \"udp\""), "unknown confirmation"),
    ] {
        let faults = faults_of(&with(&format!("[[audit.export]]\n{text}")));
        assert!(faults.contains(what), "{text}:\n{faults}");
        assert!(!faults.contains("geheim"), "{faults}");
    }
    let twice = format!("[[audit.export]]\n{file}dir = \"x\"\n").repeat(2);
    assert!(faults_of(&with(&twice)).contains("a second export with the name `a`"));
}

#[test]
fn a_change_of_exports_waits_for_a_restart() {
    let (one, two) = (
        read(GOOD).0.unwrap(),
        read(&with("[[audit.export]]\nname = \"a\"\nto = \"file\"\ndir = \"x\"")).0.unwrap(),
    );
    assert_eq!(one.needs_restart(&two), ["[audit]"]);
}

#[test]
fn log_keys_of_erased_people_are_kept_for_a_bounded_time_or_not_at_all() {
    let with = |line: &str| GOOD.replace("[audit]\n", &format!("[audit]\n{line}\n"));
    for (line, seconds) in [
        ("", 0),
        ("unlink_after = \"0\"", 0),
        ("unlink_after = \"1m\"", 60),
        ("unlink_after = \"3650d\"", 3_650 * 86_400),
    ] {
        let (config, faults) = read(&with(line));
        let config = config.unwrap_or_else(|| panic!("{line}: {faults:?}"));
        assert_eq!(config.unlink_after.as_secs(), seconds, "{line}");
    }
    for line in ["3651d", "30s", "-1d", "1y", "for ever", "00"] {
        let text = with(&format!("unlink_after = \"{line}\""));
        assert!(read(&text).0.is_none(), "{line}");
        assert!(format!("{:?}", faults_of(&text)).contains("1m to 3650d"), "{line}");
    }
    let changed = read(&with("unlink_after = \"1d\"")).0.unwrap();
    assert_eq!(read(GOOD).0.unwrap().needs_restart(&changed), ["[audit]"]);
}

#[test]
fn witnesses_are_read_and_wrong_ones_refused() {
    let key = crate::crypto::cosignature::WitnessKey::new("witness.example/w1", [7; 32]).unwrap();
    let (good, key) = (key.to_string(), key);
    let with = |lines: &str| GOOD.replace("[keys.root]", &format!("{lines}\n[keys.root]"));
    let one =
        format!(r#"witness = [{{ url = "https://w.example", key = "{good}", ca = "w.pem" }}]"#);
    let (config, faults) = read(&with(&one));
    let found = config.unwrap_or_else(|| panic!("{faults:?}")).witnesses;
    assert_eq!((found.len(), &found[0].key), (1, &key));
    assert_eq!(found[0].ca.as_deref(), Some(Path::new("etc/w.pem")));
    let log = crate::crypto::note::VerifierKey::new("log.example", [7; 32]).unwrap();
    for (lines, expected) in [
        (format!(r#"witness = [{{ url = "http://w.example", key = "{good}" }}]"#), "https URL"),
        (r#"witness = [{ url = "https://w.example" }]"#.to_owned(), "`key`"),
        (format!(r#"witness = [{{ key = "{good}" }}]"#), "`url`"),
        (format!(r#"witness = [{{ url = "https://w.example", key = "{log}" }}]"#), "key of a log"),
        (r#"witness = [{ url = "https://w.example", key = "x" }]"#.to_owned(), "name+hash+key"),
        (
            format!(
                "{}, {}]",
                one.trim_end_matches(']'),
                one.trim_start_matches("witness = [").trim_end_matches(']')
            ),
            "twice",
        ),
        ("witness = 7".to_owned(), "`[audit]`"),
    ] {
        let told = faults_of(&with(&lines));
        assert!(told.contains(expected), "{lines}: {told}");
    }
}
