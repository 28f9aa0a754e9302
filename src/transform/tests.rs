//! Helpers of the tests below, and the one test that reads files.

mod around;
mod attacks;
mod edit;
mod editing;
mod json;
mod flat;
mod oracle;
mod reading;
mod rows;
mod sealed;
mod sealed_edit;
mod sets;
mod unlisted;
mod views;
mod writing;

use super::*;
use crate::catalog::FieldIx;
use crate::catalog::Records;
use crate::catalog::Selector;
use crate::policy::View;
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Tokens that tests can read: kind and value.
#[derive(Debug)]
struct Legible;

impl Pseudonyms for Legible {
    fn write(&self, of: &Plain<'_>, out: &mut Vec<u8>) -> bool {
        let plain = |byte: u8| if byte.is_ascii_alphanumeric() { byte } else { b'-' };
        out.extend_from_slice(b"ps1_");
        out.extend(of.kind.bytes().map(plain));
        out.push(b'_');
        out.extend(of.value.bytes().map(plain));
        true
    }
}

/// Views of records in which nothing is sealed.
fn in_clear(views: &[View]) -> Showing<'_> {
    Showing { views, pseudonyms: &Legible, seals: &NoSeals }
}

fn shape(fields: &[(&str, bool)]) -> Arc<Shape> {
    Arc::new(Shape::new(&fuzz::data_set(fields).unwrap()))
}

/// A shape of plain fields, and the view of each.
fn listed(fields: &[(&str, View)]) -> (Arc<Shape>, Vec<View>) {
    let plain: Vec<_> = fields.iter().map(|(path, _)| (*path, false)).collect();
    (shape(&plain), fields.iter().map(|(_, view)| *view).collect())
}

fn selector(steps: &[&str], records: Records) -> Selector {
    Selector { steps: steps.iter().map(|step| (*step).into()).collect(), records, around: vec![] }
}

/// One record with `fields`, rewritten.
fn rewrite(fields: &[(&str, View)], json: &str) -> Result<String, TransformError> {
    let (shape, views) = listed(fields);
    let out = rewrite_one(&shape, json.as_bytes(), in_clear(&views))?;
    Ok(String::from_utf8(out).unwrap())
}

/// The files of the JSON test suite (nst/JSONTestSuite), when they lie beside the project.
#[test]
fn the_json_test_suite_agrees() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus/json");
    let Ok(files) = fs::read_dir(&folder) else {
        println!("skipped: no JSON test suite beside the project");
        return;
    };
    let mut seen = 0;
    for file in files {
        let path = file.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let text = fs::read(&path).unwrap();
        let outcome = validate(&text);
        // As a member, wherever the text can stand there, the record parser must agree.
        let record = [br#"{"all":"#, text.as_slice(), b"}"].concat();
        let rewritten = rewrite_one(&shape(&[("all", true)]), &record, in_clear(&[View::Show]));
        let repeats_a_name = name.starts_with("y_object_duplicated_key");
        match name.get(..2) {
            Some("y_") if repeats_a_name => {
                assert_eq!(outcome, Err(Malformed::DuplicateName), "{name}");
            }
            Some("y_") => assert_eq!((outcome, rewritten.is_ok()), (Ok(()), true), "{name}"),
            Some("n_") => {
                assert!(outcome.is_err(), "{name} is no JSON");
                assert!(
                    rewritten.is_err() || validate(&record).is_ok(),
                    "{name} is no JSON, but the record parser took it"
                );
            }
            _ => continue,
        }
        seen += 1;
    }
    assert!(seen > 0 || !folder.exists(), "no file of the suite was read");
}
