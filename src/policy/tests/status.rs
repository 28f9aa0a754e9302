//! What a status takes away, and who may act for whom.

use super::compile;
use super::scene::Scene;
use super::scene::WORDS;
use super::scene::check;

const ALL: &str = "grants:\n  - { id: g, roles: [agent], purposes: [support, fraud, stats, task, mailing], data: [shop.people], can: [read], fields: { mail: show } }\n";

/// GDPR article 21: what an objection takes away needs no limit, and no limit brings it back.
#[test]
fn an_objection_closes_what_rests_on_an_interest_or_is_marketing() {
    check(
        ALL,
        &[
            ("agent for support", "ana objected", "mail=show (clear)"),
            ("agent for fraud", "ana objected", "mail=show (clear)"),
            ("agent for task", "ana objected", "out: objected"),
            ("agent for mailing", "ana objected", "out: objected"),
            ("agent for mailing", "ana", "mail=show (clear)"),
            ("agent for stats", "ana in GB objected", "out: objected"),
            ("agent for stats", "ana in GB objected minor", "out: objected"),
            // There it rests on consent, which is taken back, and not objected to.
            ("agent for stats", "ana in CN objected said=stats", "mail=show (clear)"),
            ("agent for stats", "ana objected said=stats", "out: objected"),
        ],
    );
}

const ACTS: &str = "grants:
  - { id: own, roles: [me], purposes: [support], data: [shop.people], can: [read], fields: { health: show } }
  - { id: ward, roles: [ward], purposes: [support], data: [shop.people], can: [read], fields: { mail: show } }
  - { id: kin, roles: [kin], purposes: [fraud], data: [shop.people], can: [read], fields: { born: show } }
limits:
  - { id: cut, if: { subject_status: restricted }, unless: { roles: [ward] }, then: leave_out }
";

#[test]
fn a_representative_in_force_sees_what_the_policy_gives_them() {
    check(
        ACTS,
        &[
            ("as ana for support", "kim minor guardian=ana", "mail=show (clear)"),
            ("as ana for support", "kim minor restricted guardian=ana", "mail=show (clear)"),
            ("as ana for support", "kim guardian=ana", "out: no_grant"),
            ("as ana for support", "kim minor deceased guardian=ana", "out: no_grant"),
            ("as ana for support", "kim minor lapsed-guardian=ana", "out: no_grant"),
            ("as ana for support", "kim minor guardian=bob", "out: no_grant"),
            ("as ana for support", "kim minor agent=ana", "out: no_grant"),
            ("as ana for support", "kim minor erased guardian=ana", "out: erased"),
            ("as ana dead for support", "kim minor guardian=ana", "deny: no_grant [role]"),
            ("as ana for fraud", "kim deceased next_of_kin=ana", "born=show (clear)"),
            ("as ana for fraud", "kim next_of_kin=ana", "out: no_grant"),
            ("as ana for fraud", "kim agent=ana", "born=show (clear)"),
            ("as ana for fraud", "kim deceased agent=ana", "out: no_grant"),
            // They may ask by id, and learn nothing of others.
            ("as ana for support at=/people/{id}", "kim minor guardian=ana", "mail=show (clear)"),
            ("as ana for support at=/people/{id}", "kim minor", "out: no_grant"),
            // But not by what the grant does not show.
            ("as ana for support at=/people find=team", "", "deny: find_by own [find_by]"),
            ("staff ana for support", "ana", "deny: no_grant [role]"),
        ],
    );
}

#[test]
fn the_dead_are_nobody_whatever_credential_is_shown() {
    check(
        ACTS,
        &[
            ("as ana for support", "ana", "mail=show health=show (clear)"),
            ("as ana for support", "ana minor", "mail=show health=show (clear)"),
            ("as ana for support", "ana deceased", "out: no_grant"),
            ("as ana dead for support", "ana", "deny: no_grant [role]"),
        ],
    );
}

#[test]
fn of_several_people_one_is_represented_and_the_others_stay_hidden() {
    let policy = compile(&format!(
        "{WORDS}grants:\n  - {{ id: ward, roles: [ward], purposes: [support], data: [shop.letters], can: [read], fields: {{ sender: show, receiver: show }} }}\n"
    ));
    let scene = Scene { policy: &policy, data: "shop.letters" };
    for (call, record, expected) in [
        ("as ana for support", "kim minor guardian=ana + bob", "sender=show (clear)"),
        ("as ana for support", "kim minor guardian=ana + ana", "sender=show receiver=show (clear)"),
        ("as ana for support find=to", "kim minor guardian=ana + bob", "out: no_grant"),
    ] {
        assert_eq!(scene.play(call, record), expected, "{call} | {record}");
    }
}
