//! A store whose values are sealed, and a gateway before it.

use std::collections::BTreeMap;

use privet::audit::Entry;
use privet::audit::Filter;
use privet::audit::Kind;
use privet::catalog::BlindIndex;
use privet::clock::SystemEntropy;
use privet::crypto::NormalForm;
use privet::crypto::ValueKind;
use privet::types::DomainId;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::harness::FakeStore;
use crate::harness::Gateway;
use crate::harness::Reply;
use crate::harness::Setup;
use crate::harness::Step;
use crate::harness::get;
use crate::harness::json;
use crate::harness::person;

/// Two data sets with the same fields: those of one are sealed.
fn policy(encryption: &str) -> String {
    let set = |name: &str, at_rest: &dyn Fn(&str) -> String| {
        format!(
            r#"
  shop.{name}:
    subject: {{ field: id, domain: person }}
    routes:
      - {{ on: "GET /{name}/{{id}}", records: "$" }}
      - {{ on: "GET /{name}", records: "$[*]", query: [limit], find_by: {{ email: email }} }}
      - {{ on: "GET /pages/{name}", records: "$.items[*]", around: [next], find_by: {{ mail: email }} }}
      - {{ on: "GET /bundles/{name}", records: {{ "$.own": shop.{name}, "$.more[*]": shop.{name} }} }}
    fields:
      id: {{ category: user.unique_id }}
      email: {{ category: user.contact.email{} }}
      name: {{ category: user.name{} }}
      born: {{ category: user.demographic.date_of_birth{} }}
      points: {{ category: user.behavior{} }}
      vip: {{ category: user.behavior{} }}
      notes: {{ category: user.content.private, whole: true{} }}
      "cards[*].pan": {{ category: user.financial.credit_card{} }}
      memo: {{ category: user.content.private }}"#,
            at_rest(", index: email_index"),
            at_rest(""),
            at_rest(""),
            at_rest(""),
            at_rest(""),
            at_rest(""),
            at_rest(""),
        )
    };
    let sealed = |more: &str| format!(", at_rest: encrypt, encryption: {encryption}{more}");
    let people = set("people", &sealed);
    let plain = set("plain", &|_| String::new());
    let sets = format!("{people}{plain}");
    format!(
        r#"
privet: policy/v1
name: sealed
purposes: {{ care: {{ basis: contract }}, count: {{ basis: contract }} }}
roles:
  desk: {{ claim: roles, has: desk }}
  hint: {{ claim: roles, has: hint }}
  stats: {{ claim: roles, has: stats }}
  copy: {{ claim: roles, has: copy }}
  door: {{ claim: roles, has: door }}
views:
  hint: {{ mask: {{ keep_first: 1, keep_domain: true }} }}
  token: {{ pseudonymize: {{ scope: purpose }} }}
  year: {{ generalize: {{ date: year }} }}
  tens: {{ generalize: {{ number: 10 }} }}
data:{sets}
grants:
  - {{ id: all, roles: [desk], purposes: [care], data: [shop.people, shop.plain], can: [read], fields: {{ id: show, email: show, name: show, born: show, points: show, vip: show, notes: show, cards: show, memo: show }} }}
  - {{ id: hints, roles: [hint], purposes: [care], data: [shop.people, shop.plain], can: [read], find_by: [email], fields: {{ id: show, email: hint, name: hint, points: hint, vip: hint, cards: hint }} }}
  - {{ id: stats, roles: [stats], purposes: [count], data: [shop.people, shop.plain], can: [read], find_by: [id], fields: {{ id: token, email: token, name: token, born: year, points: tens, vip: token, cards: token }} }}
  - {{ id: copies, roles: [copy], purposes: [care], data: [shop.people], can: [read], fields: {{ id: show, email: ciphertext, notes: ciphertext, memo: ciphertext }} }}
  - {{ id: doors, roles: [door], purposes: [care], data: [shop.people, shop.plain], can: [read], fields: {{ id: show, memo: show }} }}
limits:
  - {{ id: restricted, if: {{ subject_status: restricted }}, then: leave_out }}
"#
    )
}

/// A store, and a gateway before it whose keys seal what the store holds.
pub(super) struct Site {
    pub(super) gateway: Gateway,
    pub(super) store: FakeStore,
    answers: std::sync::Arc<std::sync::Mutex<BTreeMap<String, Vec<u8>>>>,
}

impl Site {
    pub(super) async fn start(encryption: &str) -> Self {
        let answers = std::sync::Arc::<std::sync::Mutex<BTreeMap<String, Vec<u8>>>>::default();
        let script = std::sync::Arc::clone(&answers);
        let store = FakeStore::start(move |asked| {
            let answers = script.lock().unwrap();
            let path = asked.target().split('?').next().unwrap_or_default();
            let found = answers.get(asked.target()).or(answers.get(path)).cloned();
            vec![Step::Bytes(found.unwrap_or_else(|| json(404, "{}")))]
        })
        .await;
        let gateway = Gateway::start(Setup::new(&policy(encryption), &store));
        Self { gateway, store, answers }
    }

    pub(super) fn answer(&self, path: &str, answer: Vec<u8>) {
        self.answers.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// The envelope of a value of somebody's field.
    pub(super) async fn seal(
        &self,
        id: &str,
        field: &str,
        (kind, plain): (ValueKind, &str),
    ) -> String {
        self.seal_in(&person(), id, &format!("shop.people.{field}"), (kind, plain)).await
    }

    pub(super) async fn seal_in(
        &self,
        domain: &DomainId,
        id: &str,
        name: &str,
        (kind, plain): (ValueKind, &str),
    ) -> String {
        let mut cards = Vec::new();
        self.gateway.cards.cards(&[(domain, id)], &mut cards).await.unwrap();
        let keys = cards[0].as_ref().unwrap().keys.clone().unwrap();
        let mut out = Vec::new();
        keys.seal(name, (kind, plain.as_bytes()), &SystemEntropy, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    /// The blind index of an address.
    pub(super) fn index(&self, value: &str) -> String {
        let index = BlindIndex { member: "email_index".into(), form: NormalForm::Email, bytes: 16 };
        let mut out = Vec::new();
        self.gateway.keys.blind_index("shop.people.email", &index, value, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    pub(super) async fn read(&self, role: &str, target: &str, more: &str) -> Reply {
        let purpose = if role == "stats" { "count" } else { "care" };
        let token = self.gateway.token(&[role], &[purpose]);
        get(self.gateway.address, &format!("/shop{target}"), &token, more).await
    }

    /// Somebody's record, in clear and sealed.
    pub(super) async fn record(&self, id: &str, email: &str) -> (String, String) {
        let values = [
            ("email", ValueKind::Text, email.to_owned()),
            ("name", ValueKind::Text, "Ana \"Q\" Ruiz é".to_owned()),
            ("born", ValueKind::Text, "1988-10-09".to_owned()),
            ("points", ValueKind::Number, "1234".to_owned()),
            ("vip", ValueKind::Boolean, "true".to_owned()),
            ("notes", ValueKind::Json, r#"{"a":[1,"x"],"b":null}"#.to_owned()),
        ];
        let (mut plain, mut sealed) = (format!("{{\"id\":\"{id}\""), format!("{{\"id\":\"{id}\""));
        for (field, kind, value) in values {
            let text = match kind {
                ValueKind::Text => serde_json::to_string(&value).unwrap(),
                _ => value.clone(),
            };
            plain.push_str(&format!(",\"{field}\":{text}"));
            let envelope = self.seal(id, field, (kind, &value)).await;
            sealed.push_str(&format!(",\"{field}\":\"{envelope}\""));
        }
        let pan = self.seal(id, "cards[*].pan", (ValueKind::Text, "4111111111111111")).await;
        let rest = |pan: &str| {
            format!(r#","cards":[{{"pan":"{pan}","x":1}},{{"pan":null}}],"memo":"m"}}"#)
        };
        plain.push_str(&rest("4111111111111111"));
        sealed.push_str(&rest(&pan));
        sealed.insert_str(sealed.len() - 1, &format!(r#","email_index":"{}""#, self.index(email)));
        (plain, sealed)
    }

    pub(super) async fn entries(&self, kind: Kind) -> Vec<Entry> {
        self.gateway.log.flush().await.unwrap();
        let filter = Filter { kind: Some(kind), ..Filter::default() };
        let found = privet::audit::search(&self.gateway.audit_dir(), &filter, 0).unwrap();
        found.map(|found| found.unwrap().1).collect()
    }

    pub(super) fn metric(&self, line: &str) -> u64 {
        let mut registry = Registry::default();
        self.gateway.shared.metrics().clone().register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        let value = text.lines().find_map(|found| found.strip_prefix(line)?.trim().parse().ok());
        value.unwrap_or_else(|| panic!("{line} is not in:\n{text}"))
    }
}

pub(super) fn typed(media: &str, body: &str) -> Vec<u8> {
    let head = format!("HTTP/1.1 200 OK\r\nContent-Type: {media}\r\nContent-Length");
    format!("{head}: {}\r\n\r\n{body}", body.len()).into_bytes()
}
