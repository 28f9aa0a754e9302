//! Members that no policy lists: each is told once a place, wherever the answer is cut.

use super::*;
use bytes::Bytes;
use std::collections::BTreeMap;

type Told = BTreeMap<(String, JsonKind), u32>;

fn read(format: Format, text: &[u8], cut: usize, known: &Arc<KnownMembers>) -> (Told, Unlisted) {
    let shape =
        shape(&[("id", false), ("tags", true), ("cards[*].pan", false), ("to.city", false)]);
    let mut reader = Reader::new(format, &selector(&[], Records::Each), shape, Limits::default());
    reader.watch(Unlisted::new(Arc::clone(known)));
    let mut batch = Batch::new(256, 1 << 14);
    let (first, second) = text.split_at(cut);
    let mut pieces = [first, second].into_iter();
    loop {
        let progress = reader.read(&mut batch).unwrap();
        batch.clear();
        match (progress, pieces.next()) {
            (Progress::End, _) => break,
            (_, Some(piece)) => reader.push(Bytes::copy_from_slice(piece)),
            (_, None) => reader.end_of_input(),
        }
    }
    let none = Unlisted::new(Arc::default());
    let seen = reader
        .unlisted()
        .map_or(none, |seen| std::mem::replace(seen, Unlisted::new(Arc::default())));
    let told = seen.fresh().map(|new| ((new.path.to_string(), new.kind), new.count)).collect();
    (told, seen)
}

#[test]
fn members_are_told_by_place_kind_and_number_wherever_the_answer_is_cut() {
    let text = br#"[{"id":1,"x":true,"cards":[{"pan":1,"cvc":2},{"cvc":"3"},{"cvc":4}]},
        {"to":{"city":"a","floor":[1],"2026-11-21":{}},"tags":{"in":{"side":1}},"x":false},
        {"h\u0061t":null,"hat ":1,"ana@mail.example":2,"cards":7}]"#;
    let wanted: Told = [
        ("x", JsonKind::Boolean, 2),
        ("cards[*].cvc", JsonKind::Number, 2),
        ("cards[*].cvc", JsonKind::Text, 1),
        ("to.floor", JsonKind::Array, 1),
        ("to.*", JsonKind::Object, 1),
        ("hat", JsonKind::Null, 1),
        ("*", JsonKind::Number, 2),
    ]
    .into_iter()
    .map(|(path, kind, count)| ((path.to_owned(), kind), count))
    .collect();
    for cut in 0..=text.len() {
        let (told, seen) = read(Format::Json, text, cut, &Arc::default());
        assert_eq!(told, wanted, "cut at {cut}");
        // Known, they are counted and not told again.
        let mut known = KnownMembers::default();
        for (number, new) in (0..).zip(seen.fresh()) {
            known.insert(new.key, number);
        }
        let (told, again) = read(Format::Json, text, cut, &Arc::new(known));
        assert_eq!(told, Told::new(), "cut at {cut}");
        let counts: Vec<u32> = again.known().map(|(_, count)| count).collect();
        assert_eq!(counts, seen.fresh().map(|new| new.count).collect::<Vec<_>>(), "cut at {cut}");
    }
}

#[test]
fn a_column_counts_once_an_answer_and_what_is_listed_never() {
    let text = b"id,hat,4000000000000002,to.city\n1,2,3,4\n5,6,7,8\n";
    let (told, _) = read(Format::Csv, text, 9, &Arc::default());
    let told: Vec<_> = told.into_iter().map(|((path, kind), count)| (path, kind, count)).collect();
    let wanted = ["*", "hat"].map(|path| (path.to_owned(), JsonKind::Text, 1));
    assert_eq!(told, wanted);
}

#[test]
fn one_record_costs_a_bounded_number_of_places() {
    let cards = vec!["{\"cvc\":1}"; 5_000].join(",");
    let text = format!("[{{\"cards\":[{cards}]}}]");
    let (told, _) = read(Format::Json, text.as_bytes(), 0, &Arc::default());
    assert_eq!(told.into_values().collect::<Vec<_>>(), [1_024]);
    let names: Vec<String> = (b'a'..=b'z')
        .flat_map(|one| {
            (b'a'..=b'z').map(move |two| format!("\"{}{}\":1", one as char, two as char))
        })
        .collect();
    let text = format!("[{{{}}}]", names.join(","));
    let (told, _) = read(Format::Json, text.as_bytes(), 0, &Arc::default());
    assert_eq!(told.len(), 32);
}
