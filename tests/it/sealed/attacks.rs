//! Whoever may write in the store moves sealed values about and changes them, and a reader asks for
//! them over HTTP. The numbers are those of the list in `tests/it/attacks.rs`.

use serde_json::Value;
use serde_json::json;

use super::writes::ANA;
use super::writes::ask;
use super::writes::one;
use super::writes::row;
use super::writes::with_ana;

/// The envelope with one more byte, one less, or another one, in its bytes rather than its letters.
fn with_byte(envelope: &Value, place: usize, byte: u8) -> Value {
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let text = envelope.as_str().unwrap().strip_prefix("pvt1_").unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(text).unwrap();
    let place = if place < bytes.len() { place } else { bytes.len() - 1 };
    bytes[place] = if bytes[place] == byte { !byte } else { byte };
    format!("pvt1_{}", URL_SAFE_NO_PAD.encode(bytes)).into()
}

fn cut(envelope: &Value, less: usize) -> Value {
    let text = envelope.as_str().unwrap();
    text.get(..text.len() - less).unwrap().into()
}

#[tokio::test]
async fn no_01_to_16_what_is_moved_or_changed_is_left_out_and_nothing_else() {
    let (table, _store, gateway) = with_ana().await;
    let bob = ANA.replace("c-1", "c-2").replace("ana-", "bob-");
    assert_eq!(ask(&gateway, "boss", ("POST", "/customers"), "", &bob).await.status, 201);
    let mut bob: Value = serde_json::from_str(&table.row("c-2").unwrap()).unwrap();
    let ana = row(&table);
    let email = &ana["email"];
    for (number, what, planted) in [
        (1, "another person's", bob["email"].take()),
        (2, "another field's", ana["cards"][0]["pan"].clone()),
        (2, "another field's, of another type", ana["age"].clone()),
        (2, "a container", ana["extra"].clone()),
        (5, "without a byte of its tag", cut(email, 2)),
        (5, "without its tag", cut(email, 22)),
        (6, "joined to itself", format!("{}{0}", email.as_str().unwrap()).into()),
        (7, "with another last byte", with_byte(email, 1_000, 0)),
        (7, "with another nonce", with_byte(email, 20, 0)),
        (8, "of version 0", with_byte(email, 0, 0)),
        (8, "of version 2", with_byte(email, 0, 2)),
        (9, "of suite 2", with_byte(email, 1, 2)),
        (15, "with another key's id", with_byte(email, 2, 0)),
        (16, "padded", format!("{}=", email.as_str().unwrap()).into()),
        (16, "with a blank", format!(" {}", email.as_str().unwrap()).into()),
        (17, "in clear", "eve@mail.example".into()),
        (17, "a number", 7.into()),
        (17, "a truth", true.into()),
    ] {
        let mut changed = ana.clone();
        changed["email"] = planted;
        table.touch("c-1", &changed.to_string());
        let mut expected: Value = serde_json::from_str(ANA).unwrap();
        expected.as_object_mut().unwrap().remove("email");
        let shown = one(&gateway, "boss", "GET", "").await;
        assert_eq!(shown.status, 200, "{number} {what}: {}", shown.text());
        assert_eq!(shown.json(), expected, "{number} {what}");
    }
    // A container where a value belongs may stay, with nothing in it.
    for planted in [json!(["eve@mail.example"]), json!({ "x": "eve@mail.example" })] {
        let mut changed = ana.clone();
        changed["email"] = planted;
        table.touch("c-1", &changed.to_string());
        let shown = one(&gateway, "boss", "GET", "").await.text();
        assert!(!shown.contains("eve@"), "{shown}");
    }
    table.touch("c-1", &ana.to_string());
    let shown = one(&gateway, "boss", "GET", "").await.json();
    assert_eq!(shown, serde_json::from_str::<Value>(ANA).unwrap());
}

#[tokio::test]
async fn no_18_and_19_what_looks_sealed_where_nothing_is_stays_a_text() {
    let (table, _store, gateway) = with_ana().await;
    let ana = row(&table);
    let envelope = ana["email"].as_str().unwrap();
    for planted in
        [envelope.to_owned(), format!("see {envelope}"), format!("{{\"email\":\"{envelope}\"}}")]
    {
        let mut changed = ana.clone();
        changed["note"] = planted.as_str().into();
        table.touch("c-1", &changed.to_string());
        let shown = one(&gateway, "boss", "GET", "").await.json();
        assert_eq!(shown["note"], planted.as_str());
    }
}
