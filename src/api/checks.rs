//! Health: alive, and ready with the reasons.

use std::fmt::Write as _;

use serde::Serialize;

/// One thing that must work for protected data to leave.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Check {
    /// Its name, such as `audit`.
    pub name: &'static str,
    /// Whether it works.
    pub ok: bool,
    /// Whether somebody should look, though protected data may leave.
    pub attention: bool,
    /// What an operator should know; no data and no address of a store.
    pub detail: String,
}

impl Check {
    /// A check that passed.
    pub fn passed(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, ok: true, attention: false, detail: detail.into() }
    }

    /// A check that passed, with something that does not work as it should.
    pub fn noted(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, ok: true, attention: true, detail: detail.into() }
    }

    /// A check that did not.
    pub fn failed(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, ok: false, attention: true, detail: detail.into() }
    }
}

/// The page of `/readyz?verbose`: a line for each check, then the sum.
pub(super) fn page(checks: &[Check]) -> String {
    let mut page = String::new();
    for check in checks {
        let mark = match (check.ok, check.attention) {
            (true, false) => "+",
            (true, true) => "!",
            (false, _) => "-",
        };
        let detail = if check.detail.is_empty() { "ok" } else { &check.detail };
        // Writing to a String does not fail.
        writeln!(page, "[{mark}] {} {detail}", check.name).unwrap_or_default();
    }
    page.push_str(sum(checks));
    page
}

/// All checks in one word.
pub(super) fn sum(checks: &[Check]) -> &'static str {
    match (all_pass(checks), checks.iter().any(|check| check.attention)) {
        (true, false) => "ready\n",
        (true, true) => "degraded\n",
        (false, _) => "not ready\n",
    }
}

/// Whether protected data may leave.
pub(super) fn all_pass(checks: &[Check]) -> bool {
    checks.iter().all(|check| check.ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_names_what_is_wrong() {
        let checks = [Check::passed("policy", ""), Check::failed("audit", "disk full")];
        assert_eq!(page(&checks), "[+] policy ok\n[-] audit disk full\nnot ready\n");
        let checks = [Check::noted("store", "shop 0 of 1 addresses up")];
        assert_eq!(page(&checks), "[!] store shop 0 of 1 addresses up\ndegraded\n");
    }
}
