//! Records that are rows of CSV, beside the reader of the `csv` crate and the writer of JSON.

use super::*;
use crate::policy::DatePart;
use crate::policy::Generalize;
use crate::policy::Mask;
use proptest::prelude::*;
use serde_json::Value;
use serde_json::json;

const SHOW: View = View::Show;
const HINT: View = View::Mask(Mask { keep_first: 1, keep_last: 0, keep_domain: true });

fn run(
    fields: &[(&str, View)],
    widest: &[View],
    pieces: &mut dyn Iterator<Item = &[u8]>,
) -> Result<Vec<u8>, TransformError> {
    let (shape, views) = listed(fields);
    let selector = selector(&[], Records::Each);
    let case = fuzz::Case {
        format: Format::Csv,
        selector: &selector,
        shape: &shape,
        views: &views,
        widest,
    };
    case.rewrite(pieces)
}

/// The answer rewritten, which must not depend on how it was cut.
#[track_caller]
fn rewrite_csv(fields: &[(&str, View)], text: &[u8]) -> Result<String, TransformError> {
    let widest: Vec<View> = fields.iter().map(|(_, view)| *view).collect();
    let whole = run(fields, &widest, &mut std::iter::once(text));
    for size in 1..=text.len() {
        assert_eq!(run(fields, &widest, &mut text.chunks(size)), whole, "pieces of {size}");
    }
    whole.map(|out| String::from_utf8(out).unwrap())
}

#[track_caller]
fn check(fields: &[(&str, View)], text: &str, expected: &str) {
    assert_eq!(rewrite_csv(fields, text.as_bytes()).unwrap(), expected, "{text}");
}

#[test]
fn only_listed_columns_pass_in_their_order() {
    let fields = &[("id", SHOW), ("name", SHOW), ("email", HINT), ("gone", View::Drop)];
    check(
        fields,
        "secret,name,gone,id,email\r\ns,Ana,g,1,ana@mail.example\r\nt,\"Bo, \"\"B\"\"\",g,2,\n",
        "name,id,email\r\nAna,1,a***@mail.example\r\n\"Bo, \"\"B\"\"\",2,\r\n",
    );
    check(fields, "id", "id\r\n");
    check(fields, "\u{feff}id,x\n1,2", "id\r\n1\r\n");
    check(fields, "secret\r\n1\r\n", "");
    check(fields, "ID,Id,\"id\"\n1,2,\"3\"\n", "id\r\n3\r\n");
}

#[test]
fn columns_are_paths_to_plain_values() {
    let (city, pan) = (("address.city", SHOW), ("cards[*].pan", SHOW));
    check(
        &[city, pan, ("tags[*]", SHOW)],
        "address,address.city,cards[*].pan,cards.pan,cards,pan,tags,tags[*],city\n1,2,3,4,5,6,7,8,9\n",
        "address.city\r\n2\r\n",
    );
    let shape = shape(&[("whole", true), ("id", false)]);
    let selector = selector(&[], Records::Each);
    let views = [SHOW, SHOW];
    let case = fuzz::Case {
        format: Format::Csv,
        selector: &selector,
        shape: &shape,
        views: &views,
        widest: &views,
    };
    let out = case.rewrite(std::iter::once(b"whole,whole.part,id\n1,2,3\n".as_slice()));
    assert_eq!(out.unwrap(), b"id\r\n3\r\n");
}

#[test]
fn a_record_that_shows_less_has_empty_cells_and_the_header_stays() {
    let fields = &[("id", SHOW), ("a", View::Drop), ("b", HINT)];
    let out = run(fields, &[SHOW, SHOW, SHOW], &mut std::iter::once(b"id,a,b\n1,2,345".as_slice()));
    assert_eq!(out.unwrap(), b"id,a,b\r\n1,,3***\r\n");
    // One empty cell is not an empty row, which some readers skip.
    let out = run(&[("id", View::Drop)], &[SHOW], &mut std::iter::once(b"id\n1\n".as_slice()));
    assert_eq!(out.unwrap(), b"id\r\n\"\"\r\n");
}

#[test]
fn every_view_applies_to_cells() {
    let number = View::Generalize(Generalize::Number { step: 10 });
    let year = View::Generalize(Generalize::Date(DatePart::Year));
    let fields = &[("id", View::TOKEN), ("n", number), ("d", year), ("m", HINT)];
    check(
        fields,
        "id,n,d,m\nc-1,57,1988-10-09,TRUE\nc-1,-0.5,soon,\"a\"\"b\"\nc-2,1e3,,\n\"\",,\"\",\"\"\n",
        "id,n,d,m\r\nps1_xtv,50,1988,***\r\nps1_xtv,-10,,\"a***\"\r\nps1_ytv,,,\r\nps1_,,,***\r\n"
            .replace("\"a***\"", "a***")
            .as_str(),
    );
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    let fields = &[("id", SHOW), ("b", SHOW)];
    let broken = |text: &[u8], what: Malformed| match rewrite_csv(fields, text) {
        Err(TransformError::Malformed { what: found, .. }) => {
            assert_eq!(found, what, "{:?}", String::from_utf8_lossy(text));
        }
        other => panic!("{:?}: {other:?}", String::from_utf8_lossy(text)),
    };
    broken(b"", Malformed::Headless);
    broken(b"\xEF\xBB\xBF", Malformed::Headless);
    broken(b"\n1", Malformed::BlankRow);
    broken(b"id\n1\n\n2\n", Malformed::BlankRow);
    broken(b"id\r\n\r\n", Malformed::BlankRow);
    broken(b"id,b\n1,2\n\n", Malformed::BlankRow);
    broken(b"id,b\n1\n", Malformed::Cells);
    broken(b"id,b\n1,2,3\n", Malformed::Cells);
    broken(b"id,,b\n", Malformed::Column);
    broken(b"id,\"\"\n", Malformed::Column);
    broken(b"id,b,id\n1,2,3\n", Malformed::Column);
    broken(b"id,x,\"x\"\n", Malformed::Column);
    broken(b"id,b\n1,a\"b\n", Malformed::Quote);
    broken(b"id,b\n1, \"a\"\n", Malformed::Quote);
    broken(b"id,b\n1,\"a\"b\n", Malformed::Quote);
    broken(b"id,b\n1,\"a\" \n", Malformed::Quote);
    broken(b"id,b\r1,2\r", Malformed::Control);
    broken(b"id,b\n1,2\r", Malformed::Control);
    broken(b"id,b\n1,\"a\rb\"\n", Malformed::Control);
    broken(b"id,b\n1,a\0b\n", Malformed::Control);
    broken(b"id,b\n1,\"a\x1bb\"\n", Malformed::Control);
    broken(b"id,b\n1,\x7f\n", Malformed::Control);
    broken(b"id,b\n1,\xff\n", Malformed::NotUtf8);
    broken(b"id,\xc3\n1,2\n", Malformed::NotUtf8);
    broken(b"\xff\xfei\0d\0", Malformed::Control);
    broken(b"\xEF\xBB\xBF\xEF\xBB\xBFid\n", Malformed::Bom);
    broken(b"x,\xEF\xBB\xBFid\n", Malformed::Bom);
    broken(b"id\n\xEF\xBB\xBF1\n", Malformed::Bom);
    broken("a,".repeat(5000).as_bytes().get(..8300).unwrap(), Malformed::TooManyColumns);
    for cut in ["id,b\n1,\"", "id,b\n1,\"a", "id,b\n1,\"a\"\"", "id,b\n1,\"a\r"] {
        let found = rewrite_csv(fields, cut.as_bytes());
        assert_eq!(found, Err(TransformError::Truncated { record: 0 }), "{cut:?}");
    }
    for sign in [";", "\t", "|"] {
        check(fields, &format!("id{sign}b\n1{sign}2\n"), "");
    }
}

#[test]
fn a_row_is_at_most_as_long_as_a_record() {
    let fields = &[("id", SHOW)];
    let views = [SHOW];
    let of = |length: usize, end: &str| {
        let text = ["id\n", &"a".repeat(length), end].concat();
        run(fields, &views, &mut text.as_bytes().chunks(1000)).map(|out| out.len())
    };
    let limit = 1 << 16;
    for end in ["", "\n", "\r\n", "\nb\n"] {
        assert!(of(limit, end).is_ok_and(|length| length > limit), "{end:?}");
        for more in [1, 2, 3, 100_000] {
            let found = of(limit + more, end);
            assert_eq!(found, Err(TransformError::TooLong { record: 0, limit }), "{more} {end:?}");
        }
    }
}

#[test]
fn rows_stand_alone() {
    let (shape, views) = listed(&[("id", SHOW)]);
    for selector in [selector(&["items"], Records::Each), selector(&[], Records::One)] {
        let case = fuzz::Case {
            format: Format::Csv,
            selector: &selector,
            shape: &shape,
            views: &views,
            widest: &views,
        };
        let found = case.rewrite(std::iter::once(b"id\n1\n".as_slice()));
        assert_eq!(found, Err(TransformError::Unselectable));
    }
}

#[test]
fn cells_that_a_spreadsheet_would_calculate_are_guarded() {
    let cell = |text: &str| {
        let mut out = Vec::new();
        csv::safe_cell(text, &mut out);
        String::from_utf8(out).unwrap()
    };
    for same in [
        "-12.5",
        "+447700900199",
        "+44 7700 900-199",
        "+1 (555) 010-0100",
        "-1e10",
        "+1.5E-3",
        "-",
        "+***0199",
        "-***",
        "-5%",
        "a=b",
        "1=1",
        "a@b.example",
        "1+1",
        "'quoted'",
        "'",
        "--",
        "",
    ] {
        let expected = if same.is_empty() { "\"\"".to_owned() } else { same.to_owned() };
        assert_eq!(cell(same), expected);
    }
    assert_eq!(cell("-1,234.50"), "\"-1,234.50\"");
    for formula in [
        "=1+1",
        "=cmd|' /C calc'!A0",
        "@SUM(A1)",
        "+A1",
        "-A1",
        "-2+3+cmd|' /C calc'!A0",
        "+1e",
        "-e1",
        "＝1+1",
        "＋1",
        "－1",
        "＠SUM(A1)",
        "﹦1",
        " =1",
        "\t=1",
        "\tx",
        "\rx",
        "\nx",
        "\u{a0}=1",
        "\u{200b}=1",
        "\u{feff}@x",
        "'=1",
        "''+A1",
        "+1;2",
        "+1:2",
        "-\"a\"",
        "+1/2!",
    ] {
        let expected = format!("\"'{}\"", formula.replace('"', "\"\""));
        assert_eq!(cell(formula), expected, "{formula:?}");
    }
}

const FIELDS: [&str; 9] =
    ["id", "name", "email", "born", "count", "address.city", "née \"q\"", "cards[*].pan", "a,b"];

/// A source of choices made from one number.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.roll(from.len())]
    }

    fn view(&mut self) -> View {
        self.pick(&[
            SHOW,
            SHOW,
            HINT,
            View::TOKEN,
            View::Drop,
            View::Generalize(Generalize::Date(DatePart::Month)),
            View::Generalize(Generalize::Number { step: 7 }),
            View::Generalize(Generalize::Part),
        ])
    }

    /// A cell; `None`: nothing is written there.
    fn cell(&mut self) -> Option<&'static str> {
        let from = [
            None,
            Some(""),
            Some("plain"),
            Some("with,comma"),
            Some("q\"uote\"\""),
            Some("two\r\nlines\n"),
            Some("=1+1"),
            Some("-12.5"),
            Some("+44 7700 900123"),
            Some("@SUM(A1)"),
            Some("\t=1"),
            Some("'=1"),
            Some("1988-10-09"),
            Some("ana@mail.example"),
            Some("TRUE"),
            Some("＝1"),
            Some(" lead"),
            Some("trail "),
            Some("é 💚"),
            Some("57"),
            Some("-1e5"),
        ];
        self.pick(&from)
    }

    fn write(&mut self, cell: Option<&str>) -> String {
        let Some(text) = cell else { return String::new() };
        let must = text.is_empty() || text.contains([',', '"', '\r', '\n']);
        if must || self.roll(3) == 0 {
            return format!("\"{}\"", text.replace('"', "\"\""));
        }
        text.to_owned()
    }
}

/// What JSON makes of the same value, with its guard.
fn expected(view: View, cell: Option<&str>) -> String {
    let Some(cell) = cell else { return String::new() };
    let value = match (view, cell.parse::<f64>()) {
        (View::Generalize(Generalize::Number { .. }), Ok(_)) => cell.to_owned(),
        _ => match cell.to_ascii_lowercase().as_str() {
            word @ ("true" | "false") if view == HINT => word.to_owned(),
            _ => json!(cell).to_string(),
        },
    };
    let (shape, views) = listed(&[("f", view)]);
    let selector = selector(&[], Records::One);
    let case = fuzz::Case {
        format: Format::Json,
        selector: &selector,
        shape: &shape,
        views: &views,
        widest: &views,
    };
    let text = format!("{{\"f\":{value}}}");
    let out = case.rewrite(std::iter::once(text.as_bytes())).unwrap();
    let out: Value = serde_json::from_slice(&out).unwrap();
    let text = match &out["f"] {
        Value::Null => return String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let is_guarded = ["=1+1", "@SUM(A1)", "\t=1", "'=1", "＝1"].contains(&text.as_str())
        || text.starts_with(['=', '@', '\t', '＝'])
        || text.strip_prefix('\'').is_some_and(|rest| rest.starts_with('='));
    if is_guarded { format!("'{text}") } else { text }
}

fn parse(text: &[u8]) -> Vec<Vec<String>> {
    let mut reader = ::csv::ReaderBuilder::new().has_headers(false).from_reader(text);
    let rows = reader.records().map(|row| row.unwrap().iter().map(str::to_owned).collect());
    rows.collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn every_cut_of_csv_gives_what_json_would_show(seed: u64) {
        let mut dice = Dice(seed);
        let fields: Vec<(&str, View)> = FIELDS.iter().map(|path| (*path, dice.view())).collect();
        let widest: Vec<View> = fields.iter().map(|(_, view)| *view).collect();
        let mut names = vec!["x", "EMAIL", "address", "cards", "=x"];
        names.extend(FIELDS);
        let columns: Vec<&str> =
            (0..1 + dice.roll(8)).map(|_| names.remove(dice.roll(names.len()))).collect();
        let end = dice.pick(&["\n", "\r\n"]);
        let header: Vec<String> = columns.iter().map(|name| dice.write(Some(name))).collect();
        let mut lines = vec![header.join(",")];
        let mut rows = Vec::new();
        for _ in 0..dice.roll(8) {
            let mut cells: Vec<_> = columns.iter().map(|_| dice.cell()).collect();
            if let [only @ None] = cells.as_mut_slice() {
                *only = Some("");
            }
            let written: Vec<String> = cells.iter().map(|cell| dice.write(*cell)).collect();
            lines.push(written.join(","));
            rows.push(cells);
        }
        let mark = dice.pick(&["", "\u{feff}"]);
        let text = format!("{mark}{}{}", lines.join(end), dice.pick(&["", end]));

        let shown: Vec<usize> = (0..columns.len())
            .filter(|at| fields.iter().any(|(path, view)| {
                *path == columns[*at] && !path.contains("[*]") && view.reveals()
            }))
            .collect();
        let mut table = vec![shown.iter().map(|at| columns[*at].to_owned()).collect::<Vec<_>>()];
        for row in &rows {
            table.push(shown.iter().map(|at| {
                let view = fields.iter().find(|(path, _)| *path == columns[*at]).unwrap().1;
                expected(view, row[*at])
            }).collect());
        }
        if shown.is_empty() {
            table.clear();
        }
        let whole = run(&fields, &widest, &mut std::iter::once(text.as_bytes())).unwrap();
        prop_assert_eq!(parse(&whole), table, "{}", text);
        for cut in 1..text.len() {
            let (start, rest) = text.as_bytes().split_at(cut);
            let out = run(&fields, &widest, &mut [start, rest].into_iter());
            prop_assert_eq!(out, Ok(whole.clone()), "cut at {} of {}", cut, text);
        }
        let out = run(&fields, &widest, &mut text.as_bytes().chunks(1));
        prop_assert_eq!(out, Ok(whole));
    }

    #[test]
    fn the_fuzz_harness_finds_nothing_in_rows(data in prop::collection::vec(any::<u8>(), 0..80)) {
        fuzz::csv(&data);
    }

    #[test]
    fn the_fuzz_harness_finds_nothing_in_text_like_csv(
        how in 0u8..4, cut: u8, text in "[a,\"'=+@\r\n\u{feff}\t -]{0,60}",
    ) {
        let mut data = vec![how, cut];
        data.extend(text.bytes());
        fuzz::csv(&data);
    }
}
