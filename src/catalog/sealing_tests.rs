//! What the words of protection at rest come to, and what is refused.

use super::tests::faults_of;
use super::tests::good;
use super::*;
use crate::crypto::NormalForm;
use crate::types::FieldPath;

/// The faults that are errors, with their help.
fn errors_of(text: &str) -> String {
    let told = faults_of(text);
    let is_warning = |fault: &&str| fault.contains(": warning: ");
    told.split("a.yaml:").filter(|fault| !is_warning(fault)).collect()
}

fn set(fields: &str) -> String {
    set_of("{ field: id, domain: person }", fields)
}

fn set_of(subject: &str, fields: &str) -> String {
    format!(
        "shop.customers:
  subject: {subject}
  region: country
  routes:
    - {{ on: 'GET /customers/{{nick}}', records: $ }}
    - {{ on: GET /customers, records: '$[*]', find_by: {{ mail: email }} }}
    - {{ on: POST /customers, records: $, created_id: $.number }}
    - {{ on: 'GET /customers/{{nick}}/photo', records: opaque, field: photo }}
  fields:
    id: {{ category: user.unique_id }}
    {fields}
"
    )
}

/// All the fields that routes name, with `email` as it is wanted.
fn with(email: &str) -> String {
    set(&format!(
        "email: {email}
    nick: {{ category: user.account.username }}
    number: {{ category: system.operations }}
    country: {{ category: user.contact.address.country }}
    photo: {{ category: user.contact }}"
    ))
}

fn sealing(text: &str, path: &str) -> Sealing {
    let sets = good(text);
    let ix = sets[0].find(&FieldPath::parse(path).unwrap()).unwrap();
    sets[0].sealing(ix).unwrap().as_ref().clone()
}

#[test]
fn a_sealed_field_has_a_name_and_is_strict_unless_told_otherwise() {
    let plain = sealing(
        &with("{ category: user.contact.email, at_rest: encrypt, index: mail_ix }"),
        "email",
    );
    let index = BlindIndex { member: "mail_ix".into(), form: NormalForm::Email, bytes: 16 };
    let wanted = Sealing {
        name: "shop.customers.email".into(),
        index: Some(index),
        mode: SealMode::Strict,
        max_length: None,
    };
    assert_eq!(plain, wanted);

    let told = sealing(
        &with(
            "{ category: user.contact.email, at_rest: encrypt, seal_as: customer.email, \
             encryption: migrating, max_length: 255, index: { field: ix, as: exact, bits: 64 } }",
        ),
        "email",
    );
    let index = BlindIndex { member: "ix".into(), form: NormalForm::Exact, bytes: 8 };
    let wanted = Sealing {
        name: "customer.email".into(),
        index: Some(index),
        mode: SealMode::Migrating,
        max_length: Some(255),
    };
    assert_eq!(told, wanted);
}

#[test]
fn children_are_sealed_as_their_container_is() {
    let text = with("{ category: user.contact.email }").replace(
        "email: {",
        "home: { category: user.contact.address, at_rest: encrypt, children: { street: {}, city: { at_rest: plain }, rooms: { category: user.contact } } }\n    email: {",
    );
    let sets = good(&text);
    let sealed: Vec<&str> = sets[0]
        .fields
        .iter()
        .filter(|field| field.at_rest.is_some())
        .map(|field| field.path.as_str())
        .collect();
    assert_eq!(sealed, ["home.street", "home.rooms"]);
}

#[test]
fn children_are_sealed_in_the_way_and_length_their_container_says() {
    let home = |words: &str, street: &str| {
        let child = format!("children: {{ street: {{ {street} }} }}");
        let home =
            format!("home: {{ category: user.contact.address{words}, {child} }}\n    email: {{");
        with("{ category: user.contact.email }").replace("email: {", &home)
    };
    let sealed = ", at_rest: encrypt, encryption: migrating, max_length: 100";
    for (street, mode, max_length) in [
        ("", SealMode::Migrating, Some(100)),
        ("encryption: strict", SealMode::Strict, Some(100)),
        ("max_length: 200", SealMode::Migrating, Some(200)),
    ] {
        let found = sealing(&home(sealed, street), "home.street");
        assert_eq!((found.mode, found.max_length), (mode, max_length), "{street}");
    }
    // A child that is plain says nothing of it and hears nothing of it.
    let sets = good(&home(sealed, "at_rest: plain"));
    assert!(sets[0].fields.iter().all(|field| field.at_rest.is_none()));
    for words in [", encryption: migrating", ", at_rest: plain, max_length: 100"] {
        let errors = errors_of(&home(words, "at_rest: encrypt"));
        assert!(errors.contains("has no meaning on a field that is not sealed"), "{errors}");
    }
}

#[test]
fn the_form_of_an_index_follows_the_category() {
    let forms = [
        ("user.contact.email", NormalForm::Email),
        ("user.contact.phone_number", NormalForm::Phone),
        ("user.government_id", NormalForm::Id),
        ("user.financial.credit_card", NormalForm::Id),
        ("user.name", NormalForm::Text),
    ];
    for (category, form) in forms {
        let field = format!("{{ category: {category}, at_rest: encrypt, index: ix }}");
        assert_eq!(sealing(&with(&field), "email").index.unwrap().form, form, "{category}");
    }
}

#[test]
fn what_must_be_readable_before_anything_is_opened_cannot_be_sealed() {
    let seal = |field: &str| {
        let plain = format!("{field}: {{ category: ");
        let text = with("{ category: user.contact.email }");
        let at = text.find(&plain).unwrap();
        let end = at + text.get(at..).unwrap().find(" }").unwrap();
        let (before, after) = text.split_at(end);
        errors_of(&format!("{before}, at_rest: encrypt{after}"))
    };
    let cases = [
        ("id", "it says whose key opens the others"),
        ("country", "it says which country's law holds"),
        ("nick", "a route's path is made of it"),
        ("number", "the store gives it"),
        ("photo", "it is a file, and files are passed as they are"),
        ("email", "`mail` selects by `email`, which is sealed"),
    ];
    for (field, why) in cases {
        let told = seal(field);
        assert!(told.contains(why), "{field}: {told}");
    }
}

#[test]
fn words_that_do_not_fit_are_told() {
    let sealed = "category: user.contact.email, at_rest: encrypt";
    let index = "index: ix";
    let cases = [
        (format!("{{ {sealed}, index: nick }}"), "the index of `email` stands where `nick` is"),
        (format!("{{ {sealed}, index: a.b }}"), "`a.b` is no name of a member of the record"),
        (format!("{{ {sealed}, index: {{ field: ix, bits: 12 }} }}"), "from 16 to 256"),
        (format!("{{ {sealed}, index: {{ field: ix, bits: 20 }} }}"), "20 bits are no whole bytes"),
        (format!("{{ {sealed}, index: {{ field: ix, as: mail }} }}"), "did you mean `email`?"),
        (format!("{{ {sealed}, {index}, seal_as: 'a b' }}"), "`a b` cannot be a name to seal as"),
        (format!("{{ {sealed}, {index}, seal_as: shop.customers.name2 }}"), ""),
        (format!("{{ {sealed}, {index}, encryption: lax }}"), "unknown way of sealing `lax`"),
        (format!("{{ {sealed}, {index}, max_length: 66 }}"), "from 67 to"),
        (format!("{{ {sealed}, {index}, max_length: 67 }}"), ""),
        (
            format!("{{ category: user.contact.email, {index} }}"),
            "`index` has no meaning on a field",
        ),
        (
            "{ category: user.contact.email, at_rest: plain, seal_as: x }".to_owned(),
            "`seal_as` has no meaning",
        ),
        (
            "{ category: user.contact.email, encryption: strict }".to_owned(),
            "`encryption` has no meaning",
        ),
    ];
    for (field, why) in cases {
        let told = errors_of(&with(&field));
        assert!(
            if why.is_empty() { told.is_empty() } else { told.contains(why) },
            "{field}: {told}"
        );
    }
}

#[test]
fn a_value_has_one_owner_one_name_and_one_index() {
    let two = "[{ field: id, domain: person, fields: [a] }, { field: other, domain: person, fields: [b] }]";
    let lines = |more: &str| {
        format!(
            "other: {{ category: user.unique_id }}
    a: {{ category: user.name, at_rest: encrypt{more} }}
    b: {{ category: user.name, at_rest: encrypt{more} }}
    email: {{ category: user.contact.email }}
    nick: {{ category: user.account.username }}
    number: {{ category: system.operations }}
    country: {{ category: user.contact.address.country }}
    photo: {{ category: user.contact }}"
        )
    };
    assert_eq!(errors_of(&set_of(two, &lines(""))), "");
    let cases = [
        (set_of(two, &lines(", seal_as: x")), "sealed under the same name as `a`"),
        (set_of(two, &lines(", index: x")), "have one index"),
        (
            set_of(two, &lines("").replace("b: { category: user.name", "c: { category: user.name")),
            "it is about several people",
        ),
        (set_of("none", &lines("")), "no person's key seals data about nobody"),
        (
            set(&lines("")
                .replace("a: {", "'a[*]': {")
                .replace("encrypt }", "encrypt, index: ix }")),
            "may have several values in one record",
        ),
    ];
    for (text, why) in cases {
        let told = errors_of(&text);
        assert!(told.contains(why), "{why}: {told}");
    }
}

#[test]
fn nobody_selects_by_an_index_itself_or_where_nobody_looks_at_the_records() {
    let sealed = with("{ category: user.contact.email, at_rest: encrypt, index: ix }");
    let list = "find_by: { mail: email }";
    let cases = [
        (list, "query: [ix], find_by: { mail: email }", "`ix` is an index"),
        (list, "find_by: { mail: email, ix: nick }", "is the index of another"),
        (list, "find_by: { ix: email }", ""),
        (
            "created_id: $.number",
            "created_id: $.number, find_by: { mail: email }",
            "the route returns no records",
        ),
        ("field: photo", "field: photo, find_by: { mail: email }", "the route returns no records"),
    ];
    for (from, to, why) in cases {
        assert!(sealed.contains(from), "{from}");
        let told = errors_of(&sealed.replace(from, to));
        assert!(if why.is_empty() { told.is_empty() } else { told.contains(why) }, "{to}: {told}");
    }
}

#[test]
fn a_route_that_cannot_say_whose_key_seals_a_new_record_is_warned_of() {
    let what = "`POST /customers` has no `created_id`";
    let sealed = with("{ category: user.contact.email, at_rest: encrypt, index: ix }");
    let without = |text: &str| text.replace(", created_id: $.number", "");
    assert!(faults_of(&without(&sealed)).contains(what));
    assert!(!faults_of(&sealed).contains(what));
    assert!(!faults_of(&without(&with("{ category: user.contact.email }"))).contains(what));
}
