//! Bodies that are flat, as JSON and back.

use super::*;
use crate::protocol::http::parse_form;
use bytes::Bytes;
use proptest::prelude::*;

fn shape_of_people() -> Arc<Shape> {
    shape(&[
        ("id", false),
        ("name", false),
        ("address.city", false),
        ("address.street", false),
        ("points", false),
        ("cards[*].pan", false),
        ("whole", true),
    ])
}

fn csv_of(text: &str) -> Result<Flat, TransformError> {
    Flat::csv(Bytes::copy_from_slice(text.as_bytes()), &shape_of_people(), Limits::default(), 3)
}

fn form_of(text: &str) -> Flat {
    Flat::form(parse_form(text.as_bytes()).unwrap(), &shape_of_people())
}

fn said(flat: &Flat, stored: Option<&Batch>) -> String {
    String::from_utf8(flat.to_json(stored)).unwrap()
}

fn lines(json: &str) -> impl Iterator<Item = &[u8]> {
    json.lines().map(str::as_bytes)
}

#[test]
fn rows_become_records_and_rows_again() {
    let text = "\u{feff}address.street,id,name,address.city\n\"1 \"\"High\"\" St\",c-1,,London\n,\"c,2\",\"\",=1+1";
    let flat = csv_of(text).unwrap();
    let json = said(&flat, None);
    assert_eq!(
        json,
        "{\"address\":{\"street\":\"1 \\\"High\\\" St\",\"city\":\"London\"},\"id\":\"c-1\"}\n\
         {\"id\":\"c,2\",\"name\":\"\",\"address\":{\"city\":\"=1+1\"}}\n"
    );
    // A store is no spreadsheet: it gets the cells as they were sent.
    assert_eq!(
        String::from_utf8(flat.write(lines(&json)).unwrap()).unwrap(),
        "address.street,id,name,address.city\r\n\"1 \"\"High\"\" St\",c-1,,London\r\n,\"c,2\",\"\",=1+1\r\n"
    );
    assert!(csv_of("id,id\n1,2\n").is_err() && csv_of("id\n1,2\n").is_err());
    assert_eq!(csv_of("id\n1\n2\n3\n4\n5\n").unwrap().len(), 4, "one more than may be");
    assert!(csv_of("id\n").unwrap().is_empty());
}

#[test]
fn what_is_no_listed_plain_value_is_said_to_be_there() {
    for name in ["x", "cards[*].pan", "cards", "whole", "whole.part", "address", "ID"] {
        let json = said(&csv_of(&format!("id,{name}\n1,2\n")).unwrap(), None);
        assert_eq!(json, "{\"id\":\"1\",\"\":true}\n", "{name}");
        let name = name.replace('[', "%5B").replace(']', "%5D");
        assert_eq!(said(&form_of(&format!("id=1&{name}=2")), None), json, "{name}");
    }
}

#[test]
fn a_form_keeps_the_types_of_what_is_stored() {
    let shape = shape_of_people();
    let selector = selector(&[], Records::One);
    let stored = |text: &'static str| {
        let mut reader =
            Reader::new(Format::Json, &selector, Arc::clone(&shape), Limits::default());
        let mut batch = Batch::new(1, 1000);
        reader.push(Bytes::from_static(text.as_bytes()));
        reader.end_of_input();
        reader.read(&mut batch).unwrap();
        batch
    };
    let batch = stored(r#"{"id":7,"name":null,"points":57,"address":{"city":true,"street":"1"}}"#);
    let same = form_of("id=7&name=&points=60&address.city=false&address.street=1");
    assert_eq!(
        said(&same, Some(&batch)),
        "{\"id\":7,\"name\":null,\"points\":60,\"address\":{\"city\":false,\"street\":\"1\"}}\n"
    );
    let other = form_of("id=07&name=a&points=***&address.city=yes&address.street=");
    assert_eq!(
        said(&other, Some(&batch)),
        "{\"id\":\"07\",\"name\":\"a\",\"points\":\"***\",\"address\":{\"city\":\"yes\",\"street\":\"\"}}\n"
    );
}

#[test]
fn a_form_is_written_flat_or_not_at_all() {
    let flat = form_of("id=1");
    let write = |json: &str| flat.write([json.as_bytes()]).map(|it| String::from_utf8(it).unwrap());
    assert_eq!(
        write(r#"{"address":{"city":"S\u00e3o &","no":12e400},"id":true}"#).as_deref(),
        Some("address.city=S%C3%A3o%20%26&address.no=12e400&id=true")
    );
    for json in
        [r#"{"a":[1]}"#, r#"{"a":null}"#, r#"{"a":{"b":null}}"#, r#"{"a.b":1}"#, r#"{"":1}"#, "[]"]
    {
        assert_eq!(write(json), None, "{json}");
    }
    let rows = csv_of("id,name\n1,2\n").unwrap();
    assert_eq!(rows.write([br#"{"id":"1","secret":"2"}"#.as_slice()]), None);
    assert_eq!(rows.write([br#"{"name":null,"id":5}"#.as_slice()]).unwrap(), b"id,name\r\n5,\r\n");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn the_store_is_told_what_the_client_said(rows in prop::collection::vec(
        prop::collection::vec("[^\\p{Cc}\u{feff}]{0,6}|a\r\nb|\"\"|=1", 3), 0..3,
    )) {
        let mut writer = ::csv::Writer::from_writer(Vec::new());
        writer.write_record(["name", "address.city", "id"]).unwrap();
        rows.iter().for_each(|row| writer.write_record(row).unwrap());
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let flat = csv_of(&text).unwrap();
        let json = said(&flat, None);
        let again = flat.write(lines(&json)).unwrap();
        let read: Vec<Vec<String>> = ::csv::Reader::from_reader(&*again)
            .records()
            .map(|row| row.unwrap().iter().map(str::to_owned).collect())
            .collect();
        prop_assert_eq!(read, rows);
    }

    #[test]
    fn the_fuzz_harness_finds_nothing_in_flat_bodies(
        text in "((id|name|some\\.part|x)[=,\n&]){0,4}[a-c,=&%+\"\r\n]{0,30}",
    ) {
        fuzz::flat(text.as_bytes());
    }
}
