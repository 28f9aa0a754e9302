//! docs/policy.md as a reader follows it: every file is written, every command run, and what stands
//! below a command is found in what it says.

use std::fs;
use std::process::Output;

use crate::harness::{Gateway, Site, Store, privet, send};

const GUIDE: &str = include_str!("../../docs/policy.md");

fn said(out: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr))
}

/// The fenced blocks of the page: their language and their lines.
fn blocks() -> Vec<(String, Vec<String>)> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, Vec<String>)> = None;
    for line in GUIDE.lines() {
        match (line.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((language.to_owned(), Vec::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, lines))) => lines.push(line.to_owned()),
            (None, None) => {}
        }
    }
    blocks
}

/// Runs one command and gives what it said.
fn run(site: &Site, gateway: &Gateway, command: &str) -> String {
    if command == "cp -r policies before" {
        let (from, to) = (site.dir().join("policies"), site.dir().join("before"));
        fs::create_dir(&to).unwrap();
        for file in fs::read_dir(from).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
        return String::new();
    }
    if command.starts_with("curl ") {
        assert!(command.ends_with("/api/v1/reload") && command.contains("operator.token"));
        let token = fs::read_to_string(site.dir().join("operator.token")).unwrap();
        let headers = [("Authorization", format!("Bearer {}", token.trim()))];
        let answer = send(gateway.admin, ("POST", "/api/v1/reload"), &headers, "").unwrap();
        assert_eq!(answer.status, 200);
        return String::new();
    }
    let (command, file) = match command.split_once(" > ") {
        Some((command, file)) => (command, Some(file)),
        None => (command, None),
    };
    let mut words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words.remove(0), "privet", "{command}");
    let out = privet(&site.dir(), &words);
    assert_eq!(out.status.code(), Some(0), "{command}\n{}", said(&out));
    if let Some(file) = file {
        assert!(!out.stdout.is_empty(), "{command}");
        fs::write(site.dir().join(file), &out.stdout).unwrap();
    }
    said(&out)
}

#[test]
fn the_guide_to_policies_does_what_it_says() {
    let site = Site::new(Store::start(|_| None).address());
    let gateway = site.serve();
    site.reach(&gateway);
    let (mut files, mut commands) = (0, 0);
    for (language, lines) in blocks() {
        match language.as_str() {
            "yaml" => {
                let name = lines[0].strip_prefix("# ").unwrap();
                fs::write(site.dir().join(name), lines[1..].join("\n")).unwrap();
                files += 1;
            }
            "console" => {
                let mut last = String::new();
                for line in lines {
                    match line.strip_prefix("$ ") {
                        Some(command) => {
                            last = run(&site, &gateway, command);
                            commands += 1;
                        }
                        None => {
                            let wanted = line.trim();
                            assert!(last.contains(wanted), "{wanted} is not in\n{last}");
                        }
                    }
                }
            }
            other => panic!("nobody runs a block of {other}"),
        }
    }
    assert_eq!((files, commands), (2, 14));
    let page = fs::read_to_string(site.dir().join("matrix.html")).unwrap();
    assert!(page.contains("callback") && !page.contains("<script"));
    gateway.signal("-TERM");
    drop(gateway.end());
    // What was published when the command ran is not for a test to say; at the end all is.
    let out = privet(&site.dir(), &["audit", "search", "--kind", "policy", "--output", "jsonl"]);
    for wanted in [
        "callback.yaml sha256:",
        "4 wider",
        "wider callback order_support read shop.customers.phone",
    ] {
        assert!(said(&out).contains(wanted), "{wanted} is not in\n{}", said(&out));
    }
}
