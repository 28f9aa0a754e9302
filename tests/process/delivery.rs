//! What is delivered beside the program: systemd's units and the container file.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use crate::harness::{Site, Store, privet};

fn site() -> Site {
    let nobody: SocketAddr = "127.0.0.1:9".parse().unwrap();
    Site::new(nobody)
}

/// Runs systemd-analyze on the units that `privet init` writes; `None`, said in a line, when it
/// is not there.
fn analyze(site: &Site, arguments: &[&str]) -> Option<(bool, String)> {
    let units = ["privet.service", "privet.socket"].map(|unit| site.dir().join(unit));
    let units = if arguments[0] == "security" { &units[..1] } else { &units[..] };
    let out = Command::new("systemd-analyze").args(arguments).args(units).output();
    let Ok(out) = out else {
        eprintln!("skipped: systemd-analyze is not there");
        return None;
    };
    let said = [out.stdout, out.stderr].concat();
    Some((out.status.success(), String::from_utf8_lossy(&said).into_owned()))
}

#[test]
fn systemd_finds_nothing_wrong_with_the_units() {
    let Some((is_fine, said)) = analyze(&site(), &["verify", "--man=no"]) else { return };
    assert!(is_fine && said.trim().is_empty(), "{said}");
}

#[test]
fn the_service_is_exposed_as_little_as_the_documents_say() {
    let arguments = ["security", "--offline=true", "--no-pager"];
    let Some((_, said)) = analyze(&site(), &arguments) else { return };
    let level = said.split("Overall exposure level for privet.service: ").nth(1);
    let level = level.and_then(|rest| rest.split(' ').next()).unwrap();
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operation.md");
    let documents = fs::read_to_string(documents).unwrap();
    let stated = documents.split("exposure level of **").nth(1).unwrap();
    let stated: f32 = stated.split("**").next().unwrap().parse().unwrap();
    let level: f32 = level.parse().unwrap();
    // Another release of systemd may count a setting more or less.
    assert!((level - stated).abs() < 0.5 && level < 2.0, "{level} is not {stated}: {said}");
}

#[test]
fn a_gateway_is_asked_whether_it_is_ready() {
    let store = Store::start(|_| None);
    let site = Site::new(store.address());
    let gateway = site.serve();
    site.reach(&gateway);
    let live = || privet(&site.dir(), &["check", "--live"]);
    let out = live();
    assert_eq!(out.status.code(), Some(0), "{}", String::from_utf8_lossy(&out.stderr));
    assert!(String::from_utf8_lossy(&out.stdout).ends_with("ready\n"));
    drop(gateway);
    let out = live();
    assert_eq!(out.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&out.stderr).contains("is `privet serve` running"));
}

/// The instructions of the container file, continued lines joined.
fn instructions() -> Vec<(String, String)> {
    let text = include_str!("../../dist/Containerfile").replace("\\\n", " ");
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty());
    let split = |line: &str| {
        let (word, rest) = line.split_once(' ').unwrap();
        (word.to_owned(), rest.trim().to_owned())
    };
    lines.map(split).collect()
}

#[test]
fn the_image_holds_the_program_alone_and_runs_as_nobody_in_particular() {
    let all = instructions();
    let last_stage = all.iter().rposition(|(word, _)| word == "FROM").unwrap();
    let (build, image) = all.split_at(last_stage);
    assert_eq!(image[0].1, "scratch");
    let of = |word: &str| -> Vec<&str> {
        image.iter().filter(|(found, _)| found == word).map(|(_, rest)| rest.as_str()).collect()
    };
    assert!(of("RUN").is_empty() && of("ENV").is_empty() && of("ADD").is_empty());
    let copied = of("COPY");
    assert!(copied.iter().all(|copy| copy.starts_with("--from=build ")), "{copied:?}");
    assert_eq!(copied.len(), 2);
    let user: Vec<u32> = of("USER")[0].split(':').map(|id| id.parse().unwrap()).collect();
    assert!(user.iter().all(|id| *id > 0));
    assert_eq!(of("ENTRYPOINT"), ["[\"/privet\"]"]);
    assert!(of("HEALTHCHECK")[0].ends_with("CMD [\"/privet\", \"check\", \"--live\"]"));
    let toolchain = include_str!("../../rust-toolchain.toml");
    let version = toolchain.split("channel = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(build[0].1.contains(&format!("rust:{version}-")), "{}", build[0].1);
}

#[test]
fn what_the_container_file_copies_is_there_and_no_secret() {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut copied = Vec::new();
    for (word, rest) in instructions() {
        if word == "COPY" && !rest.starts_with("--from") {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let (_, from) = words.split_last().unwrap();
            copied.extend(from.iter().map(|&path| path.to_owned()));
        }
    }
    for path in &copied {
        assert!(home.join(path).exists(), "{path}");
        let secret = ["key", "passphrase", "token", "data", "certs", "."];
        assert!(!secret.contains(&path.as_str()), "{path}");
    }
    // What the build reads: every target of the manifest, and every file that the code includes.
    for path in ["Cargo.toml", "Cargo.lock", "src", "benches", "tests", "dist", "policies"] {
        assert!(copied.iter().any(|found| found == path), "{path}");
    }
}
