//! What came of policy tests, as a tree and as JUnit XML.

/// What came of all test files.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct TestReport {
    /// By file, in the order given.
    pub files: Vec<TestedFile>,
}

/// What came of one test file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TestedFile {
    /// Its name.
    pub name: String,
    /// Its examples, then its invariants.
    pub cases: Vec<TestCase>,
}

/// What came of one example or invariant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TestCase {
    /// Its name.
    pub name: String,
    /// Where it stands, as `file:line:column`.
    pub place: String,
    /// What was otherwise than expected; empty when it passed.
    pub failures: Vec<String>,
    /// How many combinations were looked at; 1 for an example.
    pub combinations: u64,
}

impl TestCase {
    /// Whether everything was as expected.
    pub fn passed(&self) -> bool {
        self.failures.is_empty()
    }
}

impl TestReport {
    /// How many cases passed.
    pub fn passed(&self) -> usize {
        self.cases().filter(|case| case.passed()).count()
    }

    /// How many cases failed.
    pub fn failed(&self) -> usize {
        self.cases().filter(|case| !case.passed()).count()
    }

    /// Whether there was nothing to run: no file, or files without an example or an invariant.
    pub fn is_empty(&self) -> bool {
        self.cases().next().is_none()
    }

    /// The report for people: a tree, failures with their reasons, a count.
    pub fn tree(&self) -> String {
        let mut out = String::new();
        for file in &self.files {
            line(&mut out, &file.name);
            for case in &file.cases {
                let word = if case.passed() { "ok  " } else { "FAIL" };
                let many = match case.combinations {
                    1 => String::new(),
                    many => format!(" ({many} combinations)"),
                };
                line(&mut out, &format!("  {word} {}{many}", case.name));
                if !case.passed() {
                    line(&mut out, &format!("         at {}", case.place));
                }
                for failure in &case.failures {
                    line(&mut out, &format!("         {failure}"));
                }
            }
        }
        line(
            &mut out,
            &match self.is_empty() {
                true => "no tests were found".into(),
                false => format!("{} passed, {} failed", self.passed(), self.failed()),
            },
        );
        out
    }

    /// The report for machines, as JUnit XML.
    pub fn junit(&self) -> String {
        let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
        let (all, failed) = (self.cases().count(), self.failed());
        line(&mut out, &format!("<testsuites tests=\"{all}\" failures=\"{failed}\">"));
        for file in &self.files {
            let failed = file.cases.iter().filter(|case| !case.passed()).count();
            let (name, all) = (escape(&file.name), file.cases.len());
            let head = format!("name=\"{name}\" tests=\"{all}\" failures=\"{failed}\"");
            line(&mut out, &format!("  <testsuite {head}>"));
            for case in &file.cases {
                let head = format!("classname=\"{name}\" name=\"{}\"", escape(&case.name));
                if case.passed() {
                    line(&mut out, &format!("    <testcase {head}/>"));
                    continue;
                }
                line(&mut out, &format!("    <testcase {head}>"));
                let first = case.failures.first().map(|text| escape(text)).unwrap_or_default();
                let rest = escape(&format!("{}\n{}", case.place, case.failures.join("\n")));
                line(&mut out, &format!("      <failure message=\"{first}\">{rest}</failure>"));
                line(&mut out, "    </testcase>");
            }
            line(&mut out, "  </testsuite>");
        }
        line(&mut out, "</testsuites>");
        out
    }

    fn cases(&self) -> impl Iterator<Item = &TestCase> {
        self.files.iter().flat_map(|file| &file.cases)
    }
}

fn line(out: &mut String, text: &str) {
    out.push_str(text);
    out.push('\n');
}

/// Text for an XML attribute or element. What XML 1.0 cannot hold becomes U+FFFD.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\n' | '\t' => {
                out.push_str(if c == '\n' { "&#10;" } else { "&#9;" });
            }
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_a_tree_and_xml() {
        let case = |name: &str, failures: &[&str], combinations| TestCase {
            name: name.into(),
            place: "a.test.yaml:3:5".into(),
            failures: failures.iter().map(|text| (*text).into()).collect(),
            combinations,
        };
        let cases = vec![case("good", &[], 1), case("<all>", &["a & \"b\""], 12)];
        let report = TestReport { files: vec![TestedFile { name: "a.test.yaml".into(), cases }] };
        assert_eq!(
            report.tree(),
            "a.test.yaml\n  ok   good\n  FAIL <all> (12 combinations)\n         at a.test.yaml:3:5\n         a & \"b\"\n1 passed, 1 failed\n"
        );
        assert_eq!(
            report.junit(),
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites tests=\"2\" failures=\"1\">\n  <testsuite name=\"a.test.yaml\" tests=\"2\" failures=\"1\">\n    <testcase classname=\"a.test.yaml\" name=\"good\"/>\n    <testcase classname=\"a.test.yaml\" name=\"&lt;all&gt;\">\n      <failure message=\"a &amp; &quot;b&quot;\">a.test.yaml:3:5&#10;a &amp; &quot;b&quot;</failure>\n    </testcase>\n  </testsuite>\n</testsuites>\n"
        );
    }
}
