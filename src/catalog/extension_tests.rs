//! Categories: the built-in ones as the source lists them, and those that a policy adds.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;

use super::*;
use crate::types::CategoryId;
use crate::types::Faults;
use crate::types::Level;
use crate::types::SourceFile;
use crate::types::doc;

/// The levels of all fideslang keys, as the project's reference on rights and categories lists them
/// (fideslang 3.1, `DEFAULT_TAXONOMY`).
const LEVELS: [(Level, &str); 3] = [
    (
        Level::General,
        "system system.operations user.content.public user.demographic.age_range \
     user.demographic.language user.device.cookie user.location.imprecise user.telemetry",
    ),
    (
        Level::Sensitive,
        "user user.account user.account.settings user.account.username user.behavior \
     user.behavior.browsing_history user.behavior.media_consumption \
     user.behavior.purchase_history user.behavior.search_history user.contact \
     user.contact.address user.contact.address.city user.contact.address.country \
     user.contact.address.postal_code user.contact.address.state user.contact.address.street \
     user.contact.email user.contact.fax_number user.contact.organization \
     user.contact.phone_number user.contact.url user.content user.content.self_image \
     user.demographic user.demographic.date_of_birth user.demographic.gender \
     user.demographic.marital_status user.demographic.profile user.device \
     user.device.cookie_id user.device.device_id user.device.ip_address user.job_title \
     user.name user.name.first user.name.last user.privacy_preferences user.sensor \
     user.social user.unique_id user.unique_id.pseudonymous user.user_sensor user.workplace",
    ),
    (
        Level::Critical,
        "system.authentication user.authorization user.authorization.biometric \
     user.authorization.credentials user.authorization.password user.biometric \
     user.biometric.fingerprint user.biometric.health user.biometric.retinal \
     user.biometric.voice user.childrens user.content.private user.criminal_history \
     user.demographic.political_opinion user.demographic.race_ethnicity \
     user.demographic.religious_belief user.demographic.sexual_orientation user.financial \
     user.financial.bank_account user.financial.credit_card user.government_id \
     user.government_id.birth_certificate user.government_id.drivers_license_number \
     user.government_id.immigration user.government_id.national_identification_number \
     user.government_id.passport_number user.government_id.vehicle_registration \
     user.health_and_medical user.health_and_medical.genetic \
     user.health_and_medical.insurance_beneficiary_id user.health_and_medical.record_id \
     user.location user.location.precise user.payment",
    ),
];

#[test]
fn the_built_in_categories_are_exactly_those_of_the_source_with_their_levels() {
    let listed = LEVELS
        .iter()
        .flat_map(|(level, keys)| keys.split_whitespace().map(|key| (key.to_owned(), *level)));
    let listed: BTreeMap<String, Level> = listed.collect();
    let built_in: BTreeMap<String, Level> =
        category::all().map(|category| (category.key.to_owned(), category.level)).collect();
    assert_eq!(built_in, listed);
    assert_eq!((category::all().count(), listed.len()), (85, 85));
}

fn read(text: &str) -> (Categories, String) {
    let mut faults = Faults::new();
    let file = Arc::new(SourceFile { name: "a.yaml".into(), text: text.into() });
    let tree = doc::yaml(file, &mut faults).unwrap();
    let categories = Categories::read(&[&tree], &mut faults);
    let told = faults.into_sorted().iter().fold(String::new(), |mut out, fault| {
        writeln!(out, "{fault}").unwrap();
        out
    });
    (categories, told)
}

/// A category in words: its level and flags.
fn class(categories: &Categories, key: &str) -> String {
    let found = categories.find(&CategoryId::parse(key).unwrap());
    found.map_or_else(
        || "unknown".to_owned(),
        |(level, flags)| {
            let flags: Vec<&str> = flags.words().collect();
            format!("{level} {}", flags.join(" ")).trim_end().to_owned()
        },
    )
}

#[test]
fn a_category_of_a_policy_takes_after_what_it_stands_below() {
    let (own, told) = read(
        "user.contact.messenger: { level: sensitive, flags: [personal] }
user.contact.messenger.secret: { level: critical, flags: [personal, special], title: { en: Secret chat, zh-CN: 私密聊天 } }
user.contact.messenger.secret.room: {}
user.childrens.school: { level: critical, flags: [personal, special, child] }
user.location.imprecise.wifi: {}
system.operations.team: { level: sensitive }
",
    );
    assert_eq!(told, "");
    for (key, expected) in [
        ("user.contact.messenger", "sensitive personal"),
        ("user.contact.messenger.secret", "critical personal special"),
        ("user.contact.messenger.secret.room", "critical personal special"),
        ("user.childrens.school", "critical personal special child"),
        // The closest category above counts: the one above that is critical.
        ("user.location.imprecise.wifi", "general personal"),
        ("system.operations.team", "sensitive"),
        ("user.contact.email", "sensitive personal"),
        ("user.contact.other", "unknown"),
    ] {
        assert_eq!(class(&own, key), expected, "{key}");
    }
    assert_eq!(own.keys().count(), 85 + 6);
}

#[test]
fn what_a_category_cannot_be_is_told_where_it_stands() {
    let (own, told) = read(
        "user.contact: { level: critical }
user.financial.wallet: { level: general }
user.health_and_medical.ward: { flags: [personal] }
usr.contact.messenger: { level: sensitive }
userland: {}
User.contact.x: {}
user.contact.messenger: { level: secret, flag: personal }
",
    );
    insta::assert_snapshot!(told, @r#"
    a.yaml:1:1: `user.contact` is built in, and cannot be changed
     1 | user.contact: { level: critical }
       | ^^^^^^^^^^^^
      help: raise the level of the fields, or add a category below it
    a.yaml:2:33: general is less than `user.financial` has, which is critical
     2 | user.financial.wallet: { level: general }
       |                                 ^^^^^^^
      help: write critical or more, or leave it out
    a.yaml:3:40: `user.health_and_medical` is special, and what stands below it is as well
     3 | user.health_and_medical.ward: { flags: [personal] }
       |                                        ^^^^^^^^^^
      help: add special, or leave `flags` out
    a.yaml:4:1: `usr.contact.messenger` stands below no category that is known
     4 | usr.contact.messenger: { level: sensitive }
       | ^^^^^^^^^^^^^^^^^^^^^
      help: did you mean to add it below `user.contact`?
    a.yaml:5:1: `userland` stands below no category that is known
     5 | userland: {}
       | ^^^^^^^^
      help: add it below a built-in one, such as `user.contact`
    a.yaml:6:1: `User.contact.x` is no category
     6 | User.contact.x: {}
       | ^^^^^^^^^^^^^^
      help: write small letters, digits and `_`, joined by `.`
    a.yaml:7:34: unknown level `secret`
     7 | user.contact.messenger: { level: secret, flag: personal }
       |                                  ^^^^^^
      help: known here: `general`, `sensitive`, `critical`
    a.yaml:7:42: a category has no `flag`
     7 | user.contact.messenger: { level: secret, flag: personal }
       |                                          ^^^^
      help: did you mean `flags`?
    "#);
    let wallet = class(&own, "user.financial.wallet");
    assert_eq!(wallet, "critical personal special", "never below its parent");
    assert_eq!(class(&own, "user.health_and_medical.ward"), "critical personal special");
    assert_eq!(class(&own, "userland"), "unknown");
}

#[test]
fn fields_may_have_a_category_of_the_policy_and_their_level_is_checked_against_it() {
    let (own, told) = read("user.contact.messenger: { level: critical }");
    assert_eq!(told, "");
    let mut faults = Faults::new();
    let text = "shop.a: { subject: none, fields: { a: { category: user.contact.messenger }, b: { category: user.contact.mesenger } } }";
    let file = Arc::new(SourceFile { name: "a.yaml".into(), text: text.into() });
    let tree = doc::yaml(file, &mut faults).unwrap();
    let sets = read_data(&tree, &own, &mut faults);
    let field = sets[0].get(FieldIx(0)).unwrap();
    assert_eq!((field.category.as_str(), field.level), ("user.contact.messenger", Level::Critical));
    let told = faults.into_sorted().iter().fold(String::new(), |told, it| format!("{told}{it}"));
    assert!(told.contains("unknown category `user.contact.mesenger`"), "{told}");
    assert!(told.contains("did you mean `user.contact.messenger`?"), "{told}");
}
