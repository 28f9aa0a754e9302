//! The list of attacks on values at rest that others fell for, and which test tries each one here.
//!
//! The list is that of a survey of encrypting proxies, key managers and their advisories, by its
//! numbers. A number without a test says why there is nothing to try.

use std::fs;
use std::path::Path;

enum Answer {
    /// Functions that try it.
    Tried(&'static [&'static str]),
    /// Why it cannot happen here, or that it can and where that is stated.
    Not(&'static str),
}

use Answer::Not;
use Answer::Tried;

/// Most of those on single values, over HTTP.
const HTTP: &str = "no_01_to_16_what_is_moved_or_changed_is_left_out_and_nothing_else";

const ATTACKS: [(u8, &str, Answer); 40] = [
    (
        1,
        "values of two people swapped",
        Tried(&["no_01_another_persons_value_does_not_open", HTTP]),
    ),
    (
        2,
        "values of two fields swapped",
        Tried(&["no_02_a_value_of_another_field_does_not_open", HTTP]),
    ),
    (
        3,
        "values of two records of one person swapped",
        Tried(&["no_03_the_same_field_of_another_record_of_the_person_is_a_stated_limit"]),
    ),
    (
        4,
        "values of two stores or tenants swapped",
        Tried(&["no_04_a_value_of_another_store_or_tenant_does_not_open"]),
    ),
    (5, "the tag cut", Tried(&["no_05_no_part_of_the_tag_can_be_left_out", HTTP])),
    (
        6,
        "pieces dropped, added, reordered",
        Tried(&["no_06_nothing_can_be_put_into_a_value_or_taken_out", HTTP]),
    ),
    (
        7,
        "every bit flipped, one error for all",
        Tried(&["no_07_every_flipped_bit_is_noticed_and_told_alike", HTTP]),
    ),
    (8, "another version", Tried(&["no_08_other_versions_are_refused", HTTP])),
    (9, "relabelled as another suite", Tried(&["no_09_other_suites_are_refused", HTTP])),
    (10, "a suite that the field does not allow", Not("there is one suite")),
    (
        11,
        "the id of a key that the attacker owns",
        Tried(&[
            "no_11_a_key_of_the_attackers_own_opens_nothing_of_others",
            "no_11_a_value_under_somebody_elses_key_is_told_apart_before_any_cipher",
        ]),
    ),
    (
        12,
        "unknown, destroyed and disabled keys",
        Tried(&["no_12_unknown_and_disabled_keys_open_nothing_and_say_which"]),
    ),
    (
        13,
        "values from before a rotation",
        Tried(&["no_13_an_older_key_opens_while_it_is_kept_and_never_seals"]),
    ),
    (
        14,
        "one ciphertext that opens under two keys",
        Tried(&["no_14_a_value_that_is_made_for_two_keys_names_only_one"]),
    ),
    (
        15,
        "the commitment to the key cut or zeroed",
        Tried(&["no_15_the_commitment_to_the_key_cannot_be_left_out", HTTP]),
    ),
    (16, "other spellings of base64", Tried(&["no_16_an_envelope_has_one_spelling", HTTP])),
    (
        17,
        "an envelope sent as a value",
        Tried(&[
            "an_envelope_comes_back_where_it_was_shown_and_nowhere_else",
            "nobody_sends_an_envelope_where_values_are_sealed",
        ]),
    ),
    (
        18,
        "an envelope planted in a field that is not sealed",
        Tried(&["no_18_and_19_what_looks_sealed_where_nothing_is_stays_a_text"]),
    ),
    (
        19,
        "an envelope inside a text",
        Tried(&["no_18_and_19_what_looks_sealed_where_nothing_is_stays_a_text"]),
    ),
    (
        20,
        "a random source that is stuck",
        Tried(&["no_20_a_stuck_random_source_repeats_no_nonce_for_other_values"]),
    ),
    (
        21,
        "a forked process or a copied machine",
        Tried(&["no_20_a_stuck_random_source_repeats_no_nonce_for_other_values"]),
    ),
    (
        22,
        "contexts that are the same when joined",
        Tried(&["no_22_no_two_places_share_a_key_or_a_context"]),
    ),
    (
        23,
        "a row of keys moved to another person, number or epoch",
        Tried(&["no_23_a_key_row_moved_to_another_place_does_not_unwrap"]),
    ),
    (
        24,
        "an older copy of the keys or the state brought back",
        Tried(&["what_is_older_than_the_other_remembers_is_refused_until_somebody_accepts_it"]),
    ),
    (
        25,
        "an erasure while a node is cut off",
        Not("there is one node; an erasure drops what it holds before it is answered"),
    ),
    (
        26,
        "a cache that mixes up keys of one id",
        Tried(&["no_26_what_is_cached_for_a_key_id_is_asked_for_its_place_again"]),
    ),
    (
        27,
        "whoever holds the root key is away",
        Tried(&[
            "nothing_an_unwell_engine_says_opens_a_ring_or_shows_a_secret",
            "while_the_keys_are_locked_nothing_is_changed_or_made",
        ]),
    ),
    (
        28,
        "tokens that claim to be signed",
        Tried(&[
            "an_algorithm_that_is_not_listed_is_refused",
            "headers_that_change_what_a_signature_means_are_refused",
            "a_public_key_is_never_a_shared_secret",
            "the_key_a_token_names_is_only_a_name",
            "claims_that_stand_twice_or_are_no_object_are_refused",
            "times_and_audience_are_checked",
        ]),
    ),
    (
        29,
        "a code of a second factor used again",
        Tried(&[
            "a_code_works_once_in_its_window_and_after_a_restart",
            "only_six_digits_of_a_step_near_by_count",
        ]),
    ),
    (
        30,
        "a key file that asks for too much or too little work",
        Tried(&["a_root_file_that_is_too_cheap_or_too_dear_is_refused_before_any_work"]),
    ),
    (
        31,
        "look-alikes and spellings under an index",
        Tried(&[
            "values_meet_in_their_index_as_their_form_says",
            "no_31_an_index_depends_on_key_tenant_name_and_form",
        ]),
    ),
    (
        32,
        "pseudonyms of two purposes joined",
        Tried(&[
            "pseudonyms_join_within_a_purpose_and_kind_alone",
            "pseudonyms_are_what_another_program_makes_of_the_same_value",
        ]),
    ),
    (33, "digits of a domain that is too small", Tried(&["what_is_no_such_number_is_not_shown"])),
    (
        34,
        "shaped pseudonyms that are no such number",
        Tried(&[
            "a_card_becomes_another_card_with_its_separators",
            "an_address_becomes_one_that_no_mail_reaches",
            "people_are_moved_by_every_number_of_days_but_none",
        ]),
    ),
    (
        35,
        "one person in both roles of an approval, or one that is old or for something else",
        Tried(&[
            "two_people_open_tokens_once",
            "an_expired_or_unknown_request_is_not_approved",
            "nobody_approves_their_own_job_by_whatever_token",
            "an_approval_is_for_one_version_of_one_job",
            "an_approval_comes_within_a_day_or_not_at_all",
        ]),
    ),
    (
        36,
        "keys in core files, memory of others, files and logs",
        Tried(&[
            "no_36_no_core_is_written_and_no_other_process_may_look_into_this_one",
            "no_36_no_key_is_in_any_file_log_line_or_metric",
            "nothing_planted_is_found_in_any_file_log_line_or_metric",
            "a_stolen_copy_without_the_passphrase_tells_nothing_that_is_encrypted",
        ]),
    ),
    (
        37,
        "two checks that take different times",
        Not("there is one check, the tag, and the cipher compares it in constant time"),
    ),
    (38, "huge envelopes", Tried(&["no_38_a_huge_envelope_is_read_or_refused_without_a_panic"])),
    (
        39,
        "a machine that computes wrongly",
        Tried(&[
            "a_wrong_answer_is_noticed_and_names_what_is_wrong",
            "no_39_no_key_is_made_or_opened_where_cryptography_does_not_work",
        ]),
    ),
    (
        40,
        "comparing or sorting by ciphertext",
        Tried(&["what_must_be_readable_before_anything_is_opened_cannot_be_sealed"]),
    ),
];

#[test]
fn every_attack_of_the_list_is_tried_or_answered() {
    let mut sources = String::new();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for folder in ["src", "tests"] {
        read(&root.join(folder), &mut sources);
    }
    for (place, (number, name, answer)) in ATTACKS.iter().enumerate() {
        assert_eq!(usize::from(*number), place + 1, "{name}");
        match answer {
            Not(why) => assert!(why.len() > 10, "{number} {name}"),
            Tried(tests) => {
                assert!(!tests.is_empty(), "{number} {name}");
                for test in *tests {
                    let is_there = sources.contains(&format!("fn {test}("));
                    assert!(is_there, "{number} {name}: there is no test {test}");
                }
            }
        }
    }
}

fn read(folder: &Path, sources: &mut String) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() && !path.ends_with("node_modules") {
            read(&path, sources);
        } else if path.extension().is_some_and(|end| end == "rs") {
            sources.push_str(&fs::read_to_string(&path).unwrap());
        }
    }
}
