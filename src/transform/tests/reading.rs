//! Records found in answers of every form, limits, and the values a verdict asks for.

use super::*;
use bytes::Bytes;

fn rewrite_all(format: Format, selector: &Selector, text: &str) -> Result<String, TransformError> {
    let (shape, views) = listed(&[("id", View::Show)]);
    let case = fuzz::Case { format, selector, shape: &shape, views: &views, widest: &views };
    let whole = case.rewrite(std::iter::once(text.as_bytes()));
    for size in 1..=text.len() {
        assert_eq!(case.rewrite(text.as_bytes().chunks(size)), whole, "pieces of {size}: {text}");
    }
    whole.map(|out| String::from_utf8(out).unwrap())
}

fn json(steps: &[&str], records: Records, text: &str) -> Result<String, TransformError> {
    rewrite_all(Format::Json, &selector(steps, records), text)
}

#[test]
fn records_are_found_where_the_selector_says() {
    let (one, each) = (Records::One, Records::Each);
    assert_eq!(json(&[], one, r#" {"x":[],"id":1} "#).unwrap(), r#"{"id":1}"#);
    assert_eq!(
        json(&["data"], one, r#"{"a":1,"data":{"id":1},"b":[{}]}"#).unwrap(),
        r#"{"data":{"id":1}}"#
    );
    assert_eq!(
        json(&[], each, r#"[{"id":1},{"x":2},{"id":3}]"#).unwrap(),
        r#"[{"id":1},{},{"id":3}]"#
    );
    assert_eq!(
        json(&["a", "b"], each, r#"{"b":[{"id":0}],"a":{"b":[ {"id":1} , {"id":2} ],"c":3}}"#)
            .unwrap(),
        r#"{"a":{"b":[{"id":1},{"id":2}]}}"#
    );
    assert_eq!(json(&["items"], each, r#"{"\u0069tems":[]}"#).unwrap(), r#"{"items":[]}"#);
    assert_eq!(json(&["a\"b"], each, r#"{"a\"b":[]}"#).unwrap(), r#"{"a\"b":[]}"#);
}

#[test]
fn an_answer_of_another_form_is_refused() {
    let (one, each) = (Records::One, Records::Each);
    for (steps, records, text) in [
        (&[][..], one, "null"),
        (&[], one, "[{}]"),
        (&[], one, "1"),
        (&["data"], one, r#"{"data":null}"#),
        (&["data"], one, r#"{"data":[{}]}"#),
        (&[], each, "{}"),
        (&["items"], each, r#"{"items":{}}"#),
        (&["items"], each, r#"{"items":null}"#),
        (&["items"], each, "[]"),
        (&["a", "b"], each, r#"{"a":[]}"#),
    ] {
        let found = json(steps, records, text);
        assert!(matches!(found, Err(TransformError::Shape { .. })), "{text}: {found:?}");
    }
    for text in ["{}", r#"{"error":"no"}"#, r#"{"x":{"items":[]}}"#, r#"{"Items":[]}"#] {
        assert_eq!(json(&["items"], each, text), Err(TransformError::NoRecords), "{text}");
    }
    assert_eq!(json(&["a", "b"], each, r#"{"a":{},"b":[]}"#), Err(TransformError::NoRecords));
}

#[test]
fn members_around_the_records_are_checked_as_strictly() {
    let check = |text: &str, what: Malformed| match json(&["items"], Records::Each, text) {
        Err(TransformError::Malformed { what: found, .. }) => assert_eq!(found, what, "{text}"),
        other => panic!("{text}: {other:?}"),
    };
    check(r#"{"items":[],"items":[]}"#, Malformed::DuplicateName);
    check(r#"{"a":1,"\u0061":2,"items":[]}"#, Malformed::DuplicateName);
    check(r#"{"a":{"b":1,"b":2},"items":[]}"#, Malformed::DuplicateName);
    check(r#"{"a":01,"items":[]}"#, Malformed::Number);
    check(r#"{"a":"\ud800","items":[]}"#, Malformed::LoneSurrogate);
    check(r#"{"a":tru,"items":[]}"#, Malformed::Literal);
    check(r#"{"\u0":1,"items":[]}"#, Malformed::Escape);
    check(r#"{"items":[],}"#, Malformed::Structure);
    check(r#"{"items":[{}],"a" 1}"#, Malformed::Structure);
    check(r#"{"items":[{} {}]}"#, Malformed::Structure);
    check(r#"{"items":[{},]} "#, Malformed::Structure);
    check(r#"{"items":[]}x"#, Malformed::Trailing);
    check("\u{feff}{\"items\":[]}", Malformed::Bom);
    let deep = ["{\"a\":", &"[".repeat(128), &"]".repeat(128), ",\"items\":[]}"].concat();
    check(&deep, Malformed::TooDeep);
}

#[test]
fn listed_scalars_around_the_records_are_passed_on_after_them() {
    let mut selector = selector(&["data", "items"], Records::Each);
    selector.around = vec!["total".into(), "next".into(), "data".into(), "absent".into()];
    let text = r#"{"next":"\u00e9","x":1,"total":1e400,"data":{"total":2,"items":[{"id":1}]}}"#;
    assert_eq!(
        rewrite_all(Format::Json, &selector, text).unwrap(),
        r#"{"data":{"items":[{"id":1}]},"total":1e400,"next":"\u00e9"}"#
    );
    let text = r#"{"next":{"id":1},"total":[1],"data":{"items":[]}}"#;
    assert_eq!(rewrite_all(Format::Json, &selector, text).unwrap(), r#"{"data":{"items":[]}}"#);
}

#[test]
fn lines_are_records() {
    let each = selector(&[], Records::Each);
    let lines = |text: &str| rewrite_all(Format::Ndjson, &each, text);
    assert_eq!(lines("").unwrap(), "");
    assert_eq!(lines("\n \r\n").unwrap(), "");
    assert_eq!(
        lines("{\"id\":1}\n{\"x\":2}\r\n\n {\"id\":3} ").unwrap(),
        "{\"id\":1}\n{}\n{\"id\":3}\n"
    );
    assert_eq!(lines("{\"id\":1}\n{\"id\":"), Err(TransformError::Truncated { record: 1 }));
    for text in [
        "{\"id\":\n1}",
        "{} {}\n",
        "{},\n{}",
        "[{}]\n",
        "{}\n1\n",
        "\u{feff}{}",
        "{}\u{b}",
        "{}\nx",
    ] {
        assert!(lines(text).is_err(), "{text}");
    }
    let inside = selector(&["data"], Records::One);
    assert_eq!(rewrite_all(Format::Ndjson, &inside, "{}"), Err(TransformError::Unselectable));
}

#[test]
fn a_cut_off_answer_is_an_error_wherever_it_ends() {
    let text = r#"{"a":[1],"items":[{"id":1,"x":"\u00e9"},{"id":2}],"b":null}"#;
    for end in 0..text.len() {
        let start = text.get(..end).unwrap();
        let cut = json(&["items"], Records::Each, start);
        assert!(matches!(cut, Err(TransformError::Truncated { .. })), "{start}: {cut:?}");
    }
    assert!(json(&["items"], Records::Each, text).is_ok());
}

#[test]
fn an_error_says_where_it_is() {
    let found = json(&[], Records::Each, r#"[{"id":1},{"id":01}]"#);
    assert_eq!(
        found,
        Err(TransformError::Malformed { record: 1, byte: 17, what: Malformed::Number })
    );
    assert_eq!(
        found.unwrap_err().to_string(),
        "record 1, byte 17 of the answer: a number that JSON does not have"
    );
}

/// Pushes `text` in pieces, and returns the outcome and the most bytes the reader held.
fn held(
    text: impl Iterator<Item = Vec<u8>>,
    limits: Limits,
) -> (Result<u64, TransformError>, usize) {
    let (shape, _) = listed(&[("id", View::Show)]);
    let mut reader = Reader::new(Format::Json, &selector(&[], Records::Each), shape, limits);
    let mut batch = Batch::new(256, 1 << 14);
    let mut most = 0;
    let mut text = text.fuse();
    loop {
        let progress = match reader.read(&mut batch) {
            Ok(progress) => progress,
            Err(error) => return (Err(error), most),
        };
        most = most.max(reader.held() + batch.bytes());
        batch.clear();
        match (progress, text.next()) {
            (Progress::End, _) => return (Ok(reader.records()), most),
            (_, Some(piece)) => reader.push(Bytes::from(piece)),
            (_, None) => reader.end_of_input(),
        }
    }
}

#[test]
fn memory_is_bounded_by_the_largest_record_not_by_the_answer() {
    let limits = Limits { record_bytes: 1 << 12, ..Limits::default() };
    let piece = format!("{{\"id\":\"{}\"}},", "x".repeat(1000)).into_bytes();
    let pieces = std::iter::once(b"[".to_vec())
        .chain(std::iter::repeat_n(piece, 20_000))
        .chain(std::iter::once(b"{}]".to_vec()));
    let (found, most) = held(pieces, limits);
    assert_eq!(found, Ok(20_001));
    assert!(most < 1 << 16, "{most} bytes were held of 20 MB");
}

#[test]
fn a_record_over_the_limit_is_refused_before_it_is_complete() {
    let limits = Limits { record_bytes: 1 << 12, ..Limits::default() };
    let too_long = TransformError::TooLong { record: 0, limit: 1 << 12 };
    for opening in ["[{\"id\":\"", "[{\"id\":[", "[{\"x\":"] {
        let endless = std::iter::once(opening.as_bytes().to_vec()).chain(std::iter::repeat(
            if opening.ends_with('[') { b"1,".to_vec() } else { b"7777777".to_vec() },
        ));
        let (found, most) = held(endless, limits);
        assert_eq!(found, Err(too_long), "{opening}");
        assert!(most < 1 << 13, "{most}");
    }
    let exact = |len: usize| {
        let record = format!("{{\"id\":\"{}\"}}", "x".repeat(len - 9));
        held(std::iter::once(format!("[{record}]").into_bytes()), limits).0
    };
    assert_eq!(exact(1 << 12), Ok(1));
    assert_eq!(exact((1 << 12) + 1), Err(too_long));
}

#[test]
fn names_around_the_records_are_bounded_too() {
    let (shape, _) = listed(&[("id", View::Show)]);
    let limits = Limits { record_bytes: 1 << 12, ..Limits::default() };
    let mut reader = Reader::new(Format::Json, &selector(&["items"], Records::Each), shape, limits);
    let mut batch = Batch::new(1, 1);
    reader.push(Bytes::from_static(b"{"));
    let failed = (0..10_000).find_map(|n| {
        reader.push(Bytes::from(format!("\"n{n}\":0,")));
        reader.read(&mut batch).err()
    });
    assert_eq!(failed, Some(TransformError::TooLong { record: 0, limit: 1 << 12 }));
    assert_eq!(reader.read(&mut batch).err(), failed, "an error stays");
}

#[test]
fn batches_are_full_by_records_and_by_bytes() {
    let (shape, _) = listed(&[("id", View::Show)]);
    let text = Bytes::from(format!("[{}{{}}]", "{\"id\":123},".repeat(9)));
    let sizes = |mut batch: Batch| {
        let selector = selector(&[], Records::Each);
        let mut reader =
            Reader::new(Format::Json, &selector, Arc::clone(&shape), Limits::default());
        reader.push(text.clone());
        reader.end_of_input();
        let mut sizes = Vec::new();
        loop {
            let progress = reader.read(&mut batch).unwrap();
            sizes.push(batch.len());
            batch.clear();
            if progress == Progress::End {
                return sizes;
            }
        }
    };
    assert_eq!(sizes(Batch::new(4, 1 << 20)), [4, 4, 2]);
    assert_eq!(sizes(Batch::new(5, 1 << 20)), [5, 5, 0]);
    assert_eq!(sizes(Batch::new(100, 25)), [3, 3, 3, 1]);
}

#[test]
fn a_verdict_gets_values_unescaped_and_only_single_ones() {
    let fields = [("id", false), ("a.b", false), ("l[*].v", false), ("w", true), ("t[*]", false)];
    let shape = shape(&fields);
    let mut batch = Batch::new(9, 1 << 20);
    let selector = selector(&[], Records::Each);
    let mut reader = Reader::new(Format::Json, &selector, Arc::clone(&shape), Limits::default());
    reader.push(Bytes::from_static(
        br#"[{"id":"c\u0031","a":{"b":1.50},"l":[{"v":1}],"w":[1],"t":["x"]},
             {"id":"c2","a":{"b":true},"l":[],"w":"x","t":[]},
             {"id":["c3"],"a":{"b":{}},"l":[{}],"w":{"x":1},"t":"x"},
             {"id":null,"a":[{"b":1}],"x":{"id":1}}]"#,
    ));
    reader.end_of_input();
    assert_eq!(reader.read(&mut batch), Ok(Progress::End));
    let row = |record: usize| -> Vec<Raw<'_>> {
        (0..5).map(|field| batch.raw(record, FieldIx(field))).collect()
    };
    let text = |text: &'static str| Raw::Text(text.into());
    assert!(row(0) == [text("c1"), Raw::Number("1.50"), Raw::Other, Raw::Other, Raw::Other]);
    assert!(row(1) == [text("c2"), Raw::Bool(true), Raw::Missing, text("x"), Raw::Missing]);
    assert!(row(2) == [Raw::Other, Raw::Other, Raw::Missing, Raw::Other, Raw::Missing]);
    assert!(row(3) == [Raw::Null, Raw::Missing, Raw::Missing, Raw::Missing, Raw::Missing]);
    assert!(row(4).iter().all(|raw| *raw == Raw::Missing));
    assert!(batch.raw(0, FieldIx(99)) == Raw::Missing);
    let printed = format!("{batch:?} {reader:?} {:?}", row(0));
    assert!(!printed.contains("c1") && !printed.contains("1.50"), "{printed}");
}
