use std::sync::Arc;

use serde_json::Value;
use serde_json::json;

use super::*;
use crate::catalog::Categories;
use crate::catalog::read_data;
use crate::types::Faults;
use crate::types::SourceFile;
use crate::types::doc;

fn shop() -> Value {
    json!({
        "openapi": "3.1.0",
        "paths": {
            "/customers": {
                "parameters": [{ "$ref": "#/components/parameters/limit" }],
                "get": {
                    "parameters": [{ "name": "email", "in": "query" }, { "name": "q", "in": "query" }],
                    "responses": { "200": { "content": { "application/json": {
                        "schema": { "type": "array", "items": { "$ref": "#/components/schemas/Customer" } },
                    } } } },
                },
                "post": { "responses": { "201": { "$ref": "#/components/responses/Customer" } } },
            },
            "/customers/{customerId}": {
                "get": { "responses": { "200": { "$ref": "#/components/responses/Customer" } } },
                "delete": { "responses": { "204": {} } },
            },
            "/customers/{customerId}/orders": {
                "get": { "responses": { "200": { "content": { "application/json": { "schema": {
                    "properties": {
                        "total": { "type": "integer" },
                        "items": { "type": "array", "items": { "$ref": "#/components/schemas/Order" } },
                    },
                } } } } } },
            },
            "/health": { "get": { "responses": { "200": { "content": { "text/plain": {} } } } } },
        },
        "components": {
            "parameters": { "limit": { "name": "limit", "in": "query" } },
            "responses": { "Customer": { "content": { "application/json; charset=utf-8": {
                "schema": { "$ref": "#/components/schemas/Customer" },
            } } } },
            "schemas": {
                "Customer": {
                    "allOf": [
                        { "$ref": "#/components/schemas/Base" },
                        { "properties": {
                            "email": { "type": "string", "format": "email" },
                            "address": { "properties": { "street": { "type": "string" }, "city": {} } },
                            "cards": { "type": "array", "items": { "properties": { "pan": { "type": "string" } } } },
                            "frob": { "type": ["string", "null"] },
                            "referred_by": { "$ref": "#/components/schemas/Customer" },
                            "shortcut": { "$ref": "https://elsewhere.example/schema.json" },
                        } },
                    ],
                },
                "Base": { "properties": { "id": { "type": "string" }, "createdAt": { "format": "date-time" } } },
                "Order": { "properties": {
                    "id": { "type": "string" },
                    "customer_id": { "type": "string" },
                    "status": { "type": "string" },
                } },
            },
        },
    })
}

/// What a policy's reader finds wrong with a draft.
fn faults(text: &str) -> Vec<String> {
    let mut faults = Faults::new();
    let file = Arc::new(SourceFile { name: "draft.yaml".into(), text: text.into() });
    let tree = doc::yaml(file, &mut faults).unwrap();
    read_data(tree.at(&["data"]), &Categories::default(), &mut faults);
    faults.into_sorted().iter().filter(|it| it.is_error()).map(ToString::to_string).collect()
}

#[test]
fn a_description_becomes_data_sets_that_a_policy_can_hold() {
    let draft = from_openapi(&shop());
    let text = draft.yaml("shop");
    let expected = "\
# A draft: names and guesses, no policy yet. Look at every line, above all at those that say `check`.
# A field that stands in a comment, or nowhere, is dropped. Nobody sees anything without a grant.
# left out: GET /health: no answer of records in JSON is described
privet: policy/v1

data:
  shop.customers:
    subject: { field: id, domain: person }   # check: is this whom a record is about?
    routes:
      - { on: \"GET /customers\", records: \"$[*]\", query: [limit], find_by: { email: email } }   # refused until listed: q
      # - { on: \"POST /customers\", records: \"$\", created_id: \"$.id\" }   # writes: when a grant needs them
      - { on: \"GET /customers/{id}\", records: \"$\" }
      # - { on: \"DELETE /customers/{id}\" }   # writes: when a grant needs them
    fields:
      address.city: { category: user.contact.address.city }   # 80 %, by its name, a city; sensitive
      address.street: { category: user.contact.address.street }   # 85 %, by its name, a street; sensitive
      \"cards[*].pan\": { category: user.financial.credit_card }   # 90 %, by its name, a payment card; critical
      createdAt: { category: system.operations }   # 65 %, name and values say how the system runs; general
      email: { category: user.contact.email }   # 99 %, name and values say an e-mail address; sensitive
      # frob: { category: … }   # not classified, so it is dropped (text)
      id: { category: user.unique_id }   # check: 55 %, by its name, an id; sensitive
      # referred_by: { category: …, whole: true }   # not classified, so it is dropped (an object or list)
      # shortcut: { category: … }   # not classified, so it is dropped (only ever empty)
  shop.orders:
    subject: { field: customer_id, domain: person }   # check: is this whom a record is about?
    routes:
      - { on: \"GET /customers/{customer_id}/orders\", records: \"$.items[*]\" }
    fields:
      customer_id: { category: user.unique_id }   # 80 %, by its name, whom a record is about; sensitive
      id: { category: user.unique_id }   # check: 55 %, by its name, an id; sensitive
      status: { category: system.operations }   # 60 %, by its name, how the system runs; general
";
    assert_eq!(text, expected, "{text}");
    assert_eq!(faults(&text), Vec::<String>::new());
    assert_eq!(draft.counts(), (2, 12, 3));
}

#[test]
fn samples_say_more_than_names_and_leave_nothing_behind() {
    let answer = json!({ "page": 1, "people": [
        { "nr": 7, "contact": "ada@mail.example", "extra": { "c-1": 1, "d@e.example": 2 },
          "tags": ["vip"], "pay": "4111 1111 1111 1111", "either": { "a": 1 }, "both": { "x": "1" } },
        { "nr": 8, "contact": "ben@mail.example", "extra": null, "tags": [],
          "pay": "5500 0000 0000 0004", "either": null, "both": [{ "x": "2" }] },
    ] });
    let mut draft = Draft::default();
    assert_eq!(draft.sample("people", "/people?limit=2", &answer, 50), 2);
    let text = draft.yaml("crm");
    for line in [
        "contact: { category: user.contact.email }   # 95 %, its values look like e-mail addresses; sensitive",
        "pay: { category: user.financial.credit_card }   # 90 %, its values look like card numbers; critical",
        "# extra: { category: …, whole: true }   # not classified, so it is dropped (an object or list)",
        "# \"tags[*]\": { category: … }   # not classified, so it is dropped (text)",
        "- { on: \"GET /people\", records: \"$.people[*]\" }",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    for value in ["ada", "ben", "4111", "5500", "vip", "c-1", "d@e"] {
        assert!(!text.contains(value) && !format!("{draft:?}").contains(value), "{value}\n{text}");
    }
    assert!(faults(&text).iter().all(|fault| fault.contains("subject")), "{text}");
}

#[test]
fn the_more_protective_of_two_guesses_counts() {
    let mut draft = Draft::default();
    draft.sample("logs", "/logs", &json!([{ "status": "11010519491231002X" }]), 9);
    let text = draft.yaml("shop");
    assert!(
        text.contains("status: { category: user.government_id.national_identification_number }   # check: 50 %"),
        "{text}"
    );
}

#[test]
fn values_are_told_apart() {
    for (value, what) in [
        ("ada@mail.example", "e-mail addresses"),
        ("ada@mail", ""),
        ("@mail.example", ""),
        ("4111111111111111", "card numbers"),
        ("4111111111111112", ""),
        ("0000000000000000", ""),
        ("GB82 WEST 1234 5698 7654 32", "bank accounts (IBAN)"),
        ("GB82 WEST 1234 5698 7654 33", ""),
        ("11010519491231002X", "Chinese identity numbers"),
        ("110105194912310021", ""),
        ("192.0.2.7", "IP addresses"),
        ("2001:db8::1", "IP addresses"),
        ("+44 20 7946 0018", "telephone numbers"),
        ("(020) 7946-0018", "telephone numbers"),
        ("2026-11-22", ""),
        ("79460018", ""),
        ("2026-11-22T09:00:00Z", "moments"),
        ("0193a1b2-7c4d-7e8f-9a0b-1c2d3e4f5061", "unique ids"),
        ("https://www.example/a", "web addresses"),
        ("hello", ""),
        ("", ""),
    ] {
        let mut looks = Looks::default();
        looks.count(value);
        assert_eq!(looks.guess().map_or("", |guess| guess.what), what, "{value}");
    }
}

#[test]
fn odd_names_cannot_break_out_of_the_file() {
    let odd = "a\": x }\n grants: [";
    let answer =
        json!([{ odd: "x", "yes": "ada@mail.example", "e mail": "a@b.example", "a.b": 1, "#": 1 }]);
    let mut draft = Draft::default();
    draft.sample("users", "/users", &answer, 9);
    let text = draft.yaml("shop");
    assert!(
        text.contains("\"yes\": { category") && text.contains("\"e mail\": { category"),
        "{text}"
    );
    assert!(!text.contains("grants"), "{text}");
    assert!(faults(&text).iter().all(|fault| fault.contains("subject")), "{text}");
}

#[test]
fn whatever_a_description_holds_a_draft_can_be_read() {
    for document in [
        json!(null),
        json!({ "paths": [] }),
        json!({ "paths": { "/": { "get": {} }, "/{id}": { "get": {} } } }),
        json!({ "paths": { "/a": { "$ref": "#/paths/~1a" } } }),
        json!({ "paths": { "/a": { "get": { "responses": { "200": { "schema": {
            "items": { "$ref": "#/definitions/A" } } } } } } },
            "definitions": { "A": { "properties": { "id": {}, "next": { "$ref": "#/definitions/A" },
                "all": { "items": { "$ref": "#/definitions/A" } } }, "allOf": [{ "$ref": "#/definitions/A" }] } } }),
    ] {
        let text = from_openapi(&document).yaml("shop");
        assert!(faults(&text).iter().all(|it| !it.contains("YAML")), "{document}\n{text}");
    }
}

#[test]
fn a_dataset_file_of_fides_becomes_data_sets() {
    let text = "\
dataset:
  - fides_key: shop_db
    collections:
      - name: Customer
        fields:
          - name: id
            data_categories: [user.unique_id]
            fides_meta: { primary_key: true, data_type: integer }
          - name: email
            data_categories: [user.contact.email, user.contact]
            fides_meta: { identity: email, data_type: string }
          - name: shoe_size
            data_categories: [user.custom.shoe]
          - name: odd
            data_categories: [employee.badge]
          - name: address
            fides_meta: { data_type: 'object[]' }
            fields:
              - { name: city, data_categories: [user.contact.address.city] }
          - { name: free_text }
      - name: visit
        after: [shop_db.Customer]
        fields: [{ name: customer_id, data_categories: [user.unique_id], fides_meta: { references: [{ dataset: shop_db, field: Customer.id, direction: from }] } }]
";
    let mut faults = Faults::new();
    let file = Arc::new(SourceFile { name: "d.yml".into(), text: text.into() });
    let tree = doc::yaml(file, &mut faults).unwrap();
    let draft = from_fides(&tree, &mut faults);
    assert!(!faults.has_errors(), "{faults:?}");
    let text = draft.yaml("shop");
    for line in [
        "# left out: `shoe_size`: `user.custom.shoe` is taken for `user`",
        "# left out: `odd`: `employee.badge` is no known category",
        "# left out: visit: `after` was not taken over",
        "subject: { field: id, domain: person }",
        "id: { category: user.unique_id }   # 100 %, said by the file; sensitive",
        "email: { category: user.contact.email }   # 100 %, said by the file; sensitive",
        "\"address[*].city\": { category: user.contact.address.city }   # 100 %",
        "# free_text: { category: … }   # not classified",
        "subject: { field: customer_id, domain: person }",
        "# routes:   # say how the store is asked: the file names none",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(self::faults(&text), Vec::<String>::new());
}

#[test]
fn a_file_that_is_no_dataset_is_refused_with_its_place() {
    for (text, what) in [
        ("data: {}\n", "this file has no `dataset`"),
        ("dataset: [{ fides_key: a }]\n", "this dataset has no `collections`"),
        ("dataset: [{ collections: [{ fields: [] }] }]\n", "this collection has no `name`"),
        (
            "dataset: [{ collections: [{ name: a, fields: [{ x: 1 }] }] }]\n",
            "this field has no `name`",
        ),
    ] {
        let mut faults = Faults::new();
        let file = Arc::new(SourceFile { name: "d.yml".into(), text: text.into() });
        let tree = doc::yaml(file, &mut faults).unwrap();
        from_fides(&tree, &mut faults);
        let told: Vec<String> = faults.into_sorted().iter().map(ToString::to_string).collect();
        assert!(told.iter().any(|it| it.contains(what) && it.contains("d.yml:1:")), "{told:?}");
    }
}
