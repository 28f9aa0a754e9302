//! What must hold of sealed values and key files of any bytes, in a form that a fuzzer can drive.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::envelope::Envelope;
use super::envelope::FieldKey;
use super::envelope::ValueKind;
use super::envelope::envelope_len;
use super::index::NormalForm;
use super::root::read_root;
use super::seal::SealKey;
use super::secret::Secret;
use super::subject::SubjectKey;
use super::subject::SubjectKeyRecord;
use super::subject::WrapContext;

/// Reads `data` as an envelope, and seals it as a value.
///
/// # Panics
///
/// When an envelope has two spellings, opens without having been made here, or does not give back
/// what was sealed: a fuzzer reports that as a finding.
pub fn sealed(data: &[u8]) {
    let key = SubjectKey::new([7; 32]);
    let field = FieldKey::sealing(&key, key.kid(), "shop", "customer.email");
    if let Ok(text) = std::str::from_utf8(data) {
        let envelope = Envelope::parse(text);
        assert!(Envelope::is_claimed(text) || envelope.is_err(), "read without its mark");
        if let Ok(envelope) = envelope {
            assert!(spelled_once(text), "an envelope has one spelling");
            assert!(field.open(&envelope).is_err(), "opens what was not sealed here");
            // The same bytes, as if they named a key that the reader holds.
            let named = FieldKey::opening(&key, envelope.kid(), "shop", "customer.email");
            assert!(named.open(&envelope).is_err(), "opens what was not sealed here");
        }
        for form in NormalForm::ALL {
            assert!(form.of(text).len() <= 40 * text.len() + 1, "a form grows without bound");
        }
    }
    for kind in ValueKind::ALL {
        let mut out = Vec::new();
        assert!(field.seal(kind, data, &[3; 16], &mut out).is_ok(), "does not seal");
        assert!(out.len() == envelope_len(data.len()), "another length than told");
        let text = String::from_utf8(out).unwrap_or_default();
        let opened = Envelope::parse(&text).and_then(|envelope| field.open(&envelope));
        let same = opened.is_ok_and(|(found, plain)| found == kind && plain.as_slice() == data);
        assert!(same && spelled_once(&text), "does not open as it was");
    }
}

/// Reads `data` as the row of a person's wrapped keys and as a root key file.
///
/// # Panics
///
/// When a row has two spellings or unwraps under a key that did not wrap it, or a root key file is
/// read outside the bounds of its cost: a fuzzer reports that as a finding.
pub fn keyfile(data: &[u8]) {
    if let Ok(row) = SubjectKeyRecord::decode(data) {
        assert!(row.encode() == data, "a row has one spelling");
        let with = SealKey::new(&Secret::new([9; 32]));
        let context =
            WrapContext { tenant: "shop", domain: "person", record: &[5; 32], epoch: row.epoch };
        for generation in &row.generations {
            assert!(generation.unwrap(&with, &context).is_err(), "unwraps what was not wrapped");
        }
    }
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok((cost, ..)) = read_root(text)
    {
        assert!(cost.check() == Ok(cost), "a cost outside its bounds");
    }
}

fn spelled_once(text: &str) -> bool {
    let bytes = text.strip_prefix("pvt1_").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok());
    bytes.is_some_and(|bytes| format!("pvt1_{}", URL_SAFE_NO_PAD.encode(bytes)) == text)
}
