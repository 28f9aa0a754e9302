//! Holds the module order. A module may use only the modules above it in [`FLOORS`].

#![expect(clippy::unwrap_used, reason = "clippy's allow-unwrap-in-tests does not reach helpers")]

use std::fs;
use std::path::{Path, PathBuf};

/// Ground floor first. Change this list only with ARCHITECTURE.md.
const FLOORS: &[&str] = &[
    "types",
    "crypto",
    "protocol",
    "catalog",
    "policy",
    "transform",
    "clock",
    "state",
    "jobs",
    "net",
    "audit",
    "keys",
    "subjects",
    "authn",
    "upstream",
    "telemetry",
    "proxy",
    "backfill",
    "api",
    "config",
    "app",
    "demo",
    "cli",
];

/// Modules that must stay free of I/O, time and async, and the words that betray them.
const PURE: &[&str] = &["types", "crypto", "protocol", "catalog", "policy", "transform"];
const IMPURE: &[&str] = &[
    "tokio::",
    "std::fs",
    "std::net",
    "std::env",
    "SystemTime",
    "Instant",
    "async fn",
    "getrandom",
];

/// The longest a file may grow, tests aside, before it is split.
const MAX_LINES: usize = 500;

#[test]
fn modules_depend_downwards_only() {
    let mut faults = Vec::new();
    for (floor, name) in FLOORS.iter().enumerate() {
        for (path, line, text) in code(name) {
            for (other_floor, other) in FLOORS.iter().enumerate() {
                if other_floor > floor && names(&text, other) {
                    faults
                        .push(format!("{}:{line}: `{name}` may not use `{other}`", path.display()));
                }
            }
            for word in IMPURE.iter().filter(|w| PURE.contains(name) && text.contains(**w)) {
                faults.push(format!(
                    "{}:{line}: `{name}` is pure, but says `{word}`",
                    path.display()
                ));
            }
            if text.contains("use crate::{") || text.contains("super::super") {
                faults.push(format!(
                    "{}:{line}: write one `use crate::module::` a line",
                    path.display()
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_module_has_a_floor() {
    let mut found: Vec<String> = fs::read_dir("src")
        .unwrap()
        .map(|e| e.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .filter(|name| !["lib", "main"].contains(&name.as_str()))
        .collect();
    found.sort();
    let mut listed = FLOORS.to_vec();
    listed.sort_unstable();
    assert_eq!(found, listed);
}

#[test]
fn files_are_short_enough_to_read() {
    for name in FLOORS {
        for path in files(&Path::new("src").join(name)) {
            let text = fs::read_to_string(&path).unwrap();
            let lines = text.lines().take_while(|l| !l.starts_with("#[cfg(test)]")).count();
            assert!(lines <= MAX_LINES, "{} has {lines} lines; split it", path.display());
        }
    }
}

/// Work on whole data sets has a permit of its own, which no part of the traffic may name.
#[test]
fn only_work_on_data_sets_has_a_permit_for_it() {
    for name in FLOORS.iter().filter(|name| !["policy", "upstream", "backfill"].contains(name)) {
        for (path, line, text) in code(name) {
            assert!(!text.contains("Maintenance"), "{}:{line} names it", path.display());
        }
    }
}

/// Whether `text` mentions `crate::module`, and not merely a name that starts the same.
fn names(text: &str, module: &str) -> bool {
    text.split("crate::").skip(1).any(|rest| {
        rest.strip_prefix(module)
            .is_some_and(|after| !after.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
    })
}

/// The lines of a module that are neither comments nor unit tests.
fn code(module: &str) -> Vec<(PathBuf, usize, String)> {
    let mut found = Vec::new();
    for path in files(&Path::new("src").join(module)) {
        let text = fs::read_to_string(&path).unwrap();
        for (i, line) in text.lines().enumerate() {
            if line.starts_with("#[cfg(test)]") {
                break;
            }
            if !line.trim_start().starts_with("//") {
                found.push((path.clone(), i + 1, line.to_owned()));
            }
        }
    }
    found
}

fn files(folder: &Path) -> Vec<PathBuf> {
    if folder.with_extension("rs").exists() {
        return vec![folder.with_extension("rs")];
    }
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // Unit tests are exempt, whether they stand in `tests.rs`, in `tests/` or in both.
        if path.file_stem().unwrap() == "tests" {
            continue;
        }
        if path.is_dir() {
            found.extend(files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}
