//! What policies mean, told in examples.

use super::NOW;
use super::compile;
use super::scene::Scene;
use super::scene::WORDS;
use super::scene::check;
use super::scene::identity;
use crate::policy::Call;
use crate::policy::Decision;
use crate::policy::decide;
use crate::types::Action;

const G: &str = "grants:\n  - { id: g, roles: [agent], purposes: [support, stats, news, double], data: [shop.people], can: [read], fields: { mail: show } }\n";

#[test]
fn no_grant_no_data() {
    check(
        G,
        &[
            ("agent for support", "", "permit: g for support"),
            ("agent for support", "ana", "mail=show (clear)"),
            ("boss for support", "ana", "deny: no_grant [role]"),
            ("nobody for support", "ana", "deny: no_grant [role]"),
            ("agent for fraud", "ana", "deny: no_grant [purpose]"),
            ("agent export for support", "ana", "deny: no_grant [role]"),
            ("agent expired for support", "ana", "deny: expired"),
        ],
    );
}

#[test]
fn one_purpose_named_by_call_route_or_token() {
    check(
        G,
        &[
            ("agent", "", "permit: g for support"),
            ("agent at=/people", "", "deny: no_purpose [purpose]"),
            ("agent at=/people purposes=stats", "", "permit: g for stats"),
            ("agent at=/people purposes=stats,news", "", "deny: no_purpose [purpose]"),
            ("agent for news purposes=stats,news", "", "permit: g for news"),
            ("agent for support purposes=stats,news", "", "deny: purpose_not_in_token [purpose]"),
            ("agent purposes=stats", "", "deny: purpose_not_in_token [purpose]"),
            ("agent for news within=news", "", "permit: g for news"),
            ("agent for support within=news", "", "deny: purpose_not_in_token [purpose]"),
            ("agent at=/people within=news", "", "deny: no_purpose [purpose]"),
            ("agent for suport", "", "deny: unknown_purpose [purpose]"),
            (
                "agent for support over agent purposes=news",
                "",
                "deny: purpose_not_in_token [purpose]",
            ),
        ],
    );
}

#[test]
fn consent_follows_the_basis_of_the_records_region() {
    check(
        G,
        &[
            ("agent for support", "ana", "mail=show (clear)"),
            ("agent for news", "ana", "out: consent"),
            ("agent for news", "ana said=news", "mail=show (clear)"),
            ("agent for news", "ana said=stats", "out: consent"),
            ("agent for news", "ana refused=news", "out: consent"),
            ("agent for news", "ana lapsed=news", "out: consent"),
            ("agent for double", "ana in GB", "out: consent"),
            ("agent for double", "ana said=news", "mail=show (clear)"),
            ("agent for stats", "ana in GB", "mail=show (clear)"),
            ("agent for stats", "ana in CN", "out: consent"),
            ("agent for stats", "ana in CN said=stats", "mail=show (clear)"),
            ("agent for stats", "ana", "out: consent"),
        ],
    );
}

#[test]
fn whom_nobody_knows_or_who_is_erased_is_left_out() {
    check(
        G,
        &[
            ("agent for support", "?", "out: unknown_subject"),
            ("agent for support", "ana unknown", "out: unknown_subject"),
            ("agent for support", "ana erased", "out: erased"),
            ("agent for support", "ana held", "mail=show (clear)"),
        ],
    );
}

#[test]
fn grants_add_up_and_the_most_revealing_counts() {
    check(
        "grants:
  - { id: a, roles: [agent], purposes: [support], data: [shop.people], can: [read], fields: { mail: { mask: { keep_first: 1 } }, born: { generalize: { date: year } }, address: { generalize: { address: city } } } }
  - { id: b, roles: [boss, vip], purposes: [support], data: [shop.people], can: [read], fields: { mail: show, health: ciphertext, address.street: show } }
  - { id: c, roles: [boss], purposes: [support], data: [shop.people], can: [read], overrides: a, levels: { sensitive: { pseudonymize: { scope: purpose } }, general: drop } }
",
        &[
            ("agent for support", "ana", "mail=mask 1***0 born=generalize to year address.city=generalize"),
            ("vip for support", "ana", "mail=show address.street=show (clear)"),
            ("agent vip for support", "ana", "mail=show born=generalize to year address.street=show address.city=generalize (clear)"),
            ("agent boss for support", "ana", "id=pseudonymize mail=show born=pseudonymize address.street=show address.city=generalize (clear)"),
        ],
    );
}

#[test]
fn categories_and_containers_cover_what_stands_below_and_the_closest_line_counts() {
    check(
        "grants:
  - { id: a, roles: [agent], purposes: [support], data: [shop.people], can: [read], categories: { user.contact: show, user.contact.email: { mask: { keep_last: 2 } } } }
  - { id: b, roles: [boss], purposes: [support], data: [shop.people], can: [read], fields: { address: drop, address.city: show } }
",
        &[
            ("agent for support", "ana", "mail=mask 0***2 address.street=show address.city=show country=show (clear)"),
            ("boss for support", "ana", "address.city=show (clear)"),
        ],
    );
}

#[test]
fn unmet_needs_are_named_and_the_nearest_grant_counts() {
    check(
        "grants:
  - { id: both, roles: [agent], purposes: [support], data: [shop.people], can: [read], needs: { mfa_within: 15 minutes, ticket: true }, fields: { mail: show } }
  - { id: one, roles: [boss], purposes: [support], data: [shop.people], can: [read], needs: { ticket: true }, fields: { mail: show } }
  - { id: rows, roles: [vip], purposes: [support], data: [shop.people], can: [read], rows: { team: caller.team }, fields: { mail: show } }
",
        &[
            ("agent for support", "", "deny: needs both [mfa_within ticket]"),
            ("agent for support mfa=15", "", "deny: needs both [ticket]"),
            ("agent for support mfa=16 ticket", "", "deny: needs both [mfa_within]"),
            ("agent for support mfa=-2 ticket", "", "deny: needs both [mfa_within]"),
            ("agent for support mfa=-1 ticket", "", "permit: both for support"),
            ("agent for support mfa=15 ticket", "ana", "mail=show (clear)"),
            ("agent boss for support", "", "deny: needs one [ticket]"),
            ("vip for support", "", "deny: rows rows [rows]"),
            ("vip agent for support", "", "deny: needs both [mfa_within ticket]"),
            ("vip for support team=x", "", "permit: rows for support"),
            ("vip for support team=x", "ana team=x", "mail=show (clear)"),
            ("vip for support team=x team=y", "ana team=y", "mail=show (clear)"),
            ("vip for support team=x", "ana team=y", "out: no_grant"),
            ("vip for support team=x", "ana", "out: no_grant"),
        ],
    );
}

#[test]
fn grants_hold_from_and_until() {
    let grant = |valid: &str| {
        format!(
            "grants:\n  - {{ id: g, roles: [agent], purposes: [support], data: [shop.people], can: [read], valid: {valid}, fields: {{ mail: show }} }}\n"
        )
    };
    for (valid, expected) in [
        ("{ from: 2026-11-21, until: 2026-11-22 }", "permit: g for support"),
        ("{ from: 2026-11-21T09:00:00Z }", "permit: g for support"),
        ("{ from: 2026-11-21T09:00:01Z }", "deny: no_grant g"),
        ("{ until: 2026-11-21T09:00:00Z }", "deny: no_grant g"),
        ("{ until: 2026-11-21T09:00:01Z }", "permit: g for support"),
    ] {
        check(&grant(valid), &[("agent for support", "", expected)]);
    }
}

#[test]
fn people_see_records_about_themselves_only() {
    check(
        "grants:
  - { id: own, roles: [me], purposes: [support], data: [shop.people], can: [read], fields: { id: { mask: {} }, mail: show } }
  - { id: all, roles: [agent], purposes: [support], data: [shop.people], can: [read], fields: { id: show } }
",
        &[
            ("as ana for support", "ana", "id=mask 0***0 mail=show (clear)"),
            ("as ana for support", "bob", "out: no_grant"),
            ("as ana agent for support", "bob", "id=show (clear)"),
            ("as ana agent for support", "ana", "id=show mail=show (clear)"),
            ("staff ana for support", "ana", "deny: no_grant [role]"),
            // Who may only see their own records may ask for them by id, and by nothing else.
            ("as ana for support at=/people/{id}", "ana", "id=mask 0***0 mail=show (clear)"),
            ("as ana for support find=team", "ana", "deny: find_by own [find_by]"),
        ],
    );
}

#[test]
fn records_are_found_only_by_what_is_shown_or_listed() {
    check(
        "grants:
  - { id: a, roles: [agent], purposes: [support], data: [shop.people], can: [read], find_by: [mail], fields: { team: show, id: { pseudonymize: { scope: purpose } }, mail: { mask: {} } } }
  - { id: b, roles: [boss], purposes: [support], data: [shop.people], can: [read], rows: { team: caller.team }, fields: { id: show } }
limits:
  - { id: hidden, if: { subject_status: minor }, purposes: [support], roles: [vip], then: drop }
",
        &[
            ("agent for support find=mail", "", "permit: a for support"),
            ("agent for support find=team", "", "permit: a for support"),
            ("agent for support find=country", "", "deny: find_by a [find_by]"),
            ("agent for support at=/people/{id}", "", "deny: find_by a [find_by]"),
            ("boss team=x for support at=/people/{id}", "", "permit: b for support"),
            // Some records show the id to this caller, and others only a pseudonym.
            ("agent boss team=x for support at=/people/{id}", "", "deny: find_by a [find_by]"),
            ("agent vip for support find=mail", "", "permit: a for support"),
            // Some records hide the team from this caller.
            ("agent vip for support find=team", "", "deny: find_by a [find_by]"),
            ("agent for support find=team over boss team=x", "", "deny: find_by b [find_by]"),
        ],
    );
}

#[test]
fn limits_always_win() {
    check(
        "grants:
  - { id: g, roles: [agent, boss, me], purposes: [support, stats, fraud], data: [shop.people], can: [read], levels: { general: show, sensitive: show, critical: show } }
limits:
  - { id: restricted, if: { subject_status: [restricted, objected] }, unless: { purposes: [fraud] }, then: leave_out }
  - { id: out, if: { opted_out: true }, then: leave_out }
  - { id: abroad, if: { caller_region_not: [CN], record_region: CN }, unless: { roles: [me] }, then: leave_out }
  - { id: no-health, roles: [agent], if: { levels: critical }, then: drop }
  - { id: from-us, if: { caller_region: [US] }, unless: { roles: [boss] }, then: deny }
  - { id: minors, if: { subject_status: minor, flags: [personal] }, then: { mask: { keep_first: 1 } } }
",
        &[
            ("boss for support in GB", "ana in GB", "id=show mail=show born=show address.street=show address.city=show health=show team=show country=show (clear)"),
            ("agent for support in GB", "ana in GB", "id=show mail=show born=show address.street=show address.city=show team=show country=show (clear)"),
            ("boss for support in GB", "ana in GB restricted", "out: restricted"),
            ("boss for support in GB", "ana in GB objected", "out: restricted"),
            ("boss for support in GB", "ana in GB minor restricted held", "out: restricted"),
            ("boss for support in GB", "ana in GB minor restricted erased", "out: erased"),
            ("agent for fraud in GB", "ana in GB restricted", "id=show mail=show born=show address.street=show address.city=show team=show country=show (clear)"),
            ("boss for stats in GB", "ana in GB out=stats", "out: out"),
            ("boss for stats in GB", "ana in GB out=news", "id=show mail=show born=show address.street=show address.city=show health=show team=show country=show (clear)"),
            ("boss for support in GB", "ana in CN", "out: abroad"),
            ("boss for support in GB", "ana", "out: abroad"),
            ("boss for support", "ana in CN", "out: abroad"),
            ("boss for support in CN", "ana in CN minor", "id=mask 1***0 mail=mask 1***0 born=mask 1***0 address.street=mask 1***0 address.city=mask 1***0 health=mask 1***0 team=show country=mask 1***0"),
            ("as ana for support in GB", "ana in CN", "id=show mail=show born=show address.street=show address.city=show health=show team=show country=show (clear)"),
            ("as ana for support in GB", "bob in CN", "out: no_grant"),
            ("boss as ana for support in GB", "bob in CN", "out: abroad"),
            ("boss as ana for fraud in GB", "ana in CN held", "id=show mail=show born=show address.street=show address.city=show health=show team=show country=show (clear)"),
            ("agent for support in US", "ana in GB", "deny: limit from-us"),
            ("agent for support", "ana in GB", "deny: limit from-us"),
            ("boss for support in US", "ana in US", "id=show mail=show born=show address.street=show address.city=show health=show team=show country=show (clear)"),
        ],
    );
}

#[test]
fn a_deny_that_depends_on_the_record_looks_like_no_record() {
    check(
        &format!(
            "{G}limits: [ {{ id: l, if: {{ subject_status: held }}, then: deny }}, {{ id: m, if: {{ caller_region: US }}, then: leave_out }} ]\n"
        ),
        &[
            ("agent for support in GB", "ana held", "out: l"),
            ("agent for support in GB", "ana", "mail=show (clear)"),
            ("agent for support in US", "ana", "out: m"),
        ],
    );
}

#[test]
fn a_record_of_which_nothing_is_left_does_not_leave() {
    check(
        &format!("{G}limits: [ {{ id: l, if: {{ flags: personal }}, then: drop }} ]\n"),
        &[("agent for support", "ana", "out: l")],
    );
}

#[test]
fn on_behalf_of_another_is_what_both_may_see() {
    check(
        "grants:
  - { id: a, roles: [agent], purposes: [support], data: [shop.people], can: [read], fields: { id: show, mail: { mask: { keep_first: 2 } }, born: show, team: show } }
  - { id: b, roles: [boss], purposes: [support], data: [shop.people], can: [read], overrides: a, fields: { mail: { mask: { keep_first: 1, keep_last: 1 } }, born: { generalize: { date: year } }, country: show, team: show } }
  - { id: own, roles: [me], purposes: [support], data: [shop.people], can: [read], fields: { id: show, mail: show } }
",
        &[
            ("agent for support over boss", "", "permit: a b for support"),
            ("agent for support over boss", "ana", "mail=mask 1***0 born=generalize to year team=show"),
            ("boss for support over agent", "ana", "mail=mask 1***0 born=generalize to year team=show"),
            ("agent for support over as ana", "ana", "id=show mail=mask 2***0 (clear)"),
            ("agent for support over as ana", "bob", "out: no_grant"),
            ("agent for support over nobody", "", "deny: no_grant [role]"),
            ("agent for support over boss expired", "", "deny: expired"),
        ],
    );
}

#[test]
fn each_persons_verdict_holds_for_the_fields_about_that_person() {
    let policy = "grants:
  - { id: g, roles: [agent], purposes: [support, news], data: [shop.letters], can: [read], fields: { from: show, sender: show, to: show, receiver: show, sent: show } }
  - { id: own, roles: [me], purposes: [fraud], data: [shop.letters], can: [read], levels: { general: show, sensitive: show } }
limits: [ { id: on-hold, if: { subject_status: held }, then: leave_out } ]
";
    let policy = compile(&format!("{WORDS}{policy}"));
    let scene = Scene { policy: &policy, data: "shop.letters" };
    for (call, record, expected) in [
        (
            "agent for support",
            "ana + bob",
            "from=show sender=show to=show receiver=show sent=show (clear)",
        ),
        ("agent for support", "ana held + bob", "to=show receiver=show (clear)"),
        ("agent for support", "ana + bob erased", "from=show sender=show (clear)"),
        ("agent for support", "ana + ?", "from=show sender=show (clear)"),
        ("agent for support", "ana", "from=show sender=show (clear)"),
        ("agent for support", "ana held + bob erased", "out: on-hold"),
        ("agent for news", "ana + bob said=news", "to=show receiver=show (clear)"),
        ("as bob for fraud", "ana + bob", "to=show receiver=show (clear)"),
        ("as cat for fraud", "ana + bob", "out: no_grant"),
        // Found by the receiver's id, the record would tell that id.
        (
            "agent for support find=to",
            "ana + bob",
            "from=show sender=show to=show receiver=show sent=show (clear)",
        ),
        ("agent for support find=to", "ana + bob held", "out: on-hold"),
        ("agent for support find=to", "ana held + bob", "to=show receiver=show (clear)"),
    ] {
        assert_eq!(scene.play(call, record), expected, "{call} | {record}");
    }
}

#[test]
fn the_same_id_in_another_domain_is_somebody_else() {
    let policy = "privet: policy/v1
purposes: { support: { basis: contract } }
roles: { me: { is_subject: true } }
data:
  shop.calls:
    subject: [ { field: who, domain: person, fields: [who] }, { field: by, domain: employee, fields: [by] } ]
    routes: [ { on: \"GET /calls\", records: \"$[*]\" } ]
    fields: { who: { category: user.unique_id }, by: { category: user.unique_id } }
grants:
  - { id: g, roles: [me], purposes: [support], data: [shop.calls], can: [read], fields: { who: show, by: show } }
";
    let policy = compile(policy);
    let scene = Scene { policy: &policy, data: "shop.calls" };
    assert_eq!(scene.play("as ana for support", "ana + ana"), "who=show (clear)");
    assert_eq!(scene.play("staff ana for support", "ana + ana"), "by=show (clear)");
    assert_eq!(scene.play("staff ana for support", "ana + bob"), "out: no_grant");
}

#[test]
fn records_about_nobody_need_nobody() {
    let policy = "grants:
  - { id: g, roles: [agent, me], purposes: [news], data: [shop.machines], can: [read], fields: { name: show } }
limits:
  - { id: s, if: { subject_status: held }, then: leave_out }
  - { id: o, if: { opted_out: true }, then: leave_out }
";
    let policy = compile(&format!("{WORDS}{policy}"));
    let scene = Scene { policy: &policy, data: "shop.machines" };
    assert_eq!(scene.play("agent for news", "?"), "name=show");
    assert_eq!(scene.play("as ana for news", "?"), "deny: no_grant [role]");
}

#[test]
fn counts_reach_the_permit_with_their_windows() {
    let policy = compile(&format!(
        "{WORDS}{G}limits:
  - {{ id: watch, roles: [agent], if: {{ subjects_shown_over: 200, within: 10 minutes }}, then: alert }}
  - {{ id: stop, if: {{ subjects_shown_over: 2000, within: 24 hours }}, unless: {{ roles: [boss] }}, then: deny }}
"
    ));
    let set = &policy.sets()[0];
    let bulk = |words: &str| {
        let call = Call {
            identity: &identity(words),
            on_behalf_of: None,
            standing: Default::default(),
            purpose: Some("support"),
            set,
            route: &set.routes[0],
            action: Action::Read,
            selects_by: &[],
            gpc: false,
            now: NOW,
        };
        let Decision::Permit(permit) = decide(&call, &policy) else { panic!("refused") };
        let told = permit.bulk().iter();
        let told: Vec<String> =
            told.map(|b| format!("{} {} {} {:?}", b.id, b.over, b.within_s, b.then)).collect();
        told.join(", ")
    };
    assert_eq!(bulk("agent"), "watch 200 600 Alert, stop 2000 86400 Deny");
    assert_eq!(bulk("agent boss"), "watch 200 600 Alert");
}

#[test]
fn a_permit_tells_the_most_that_is_shown() {
    let policy = compile(&format!(
        "{WORDS}grants:
  - {{ id: a, roles: [agent], purposes: [support, fraud], data: [shop.machines], can: [read], fields: {{ name: show }} }}
  - {{ id: b, roles: [boss], purposes: [support], data: [shop.people], can: [read], rows: {{ team: caller.team }}, levels: {{ general: show, sensitive: show, critical: show }} }}
limits: [ {{ id: l, purposes: [fraud], if: {{ record_region: CN }}, then: drop }} ]
"
    ));
    let most = |words: &str, data: &str, purpose| {
        let set = policy.sets().iter().find(|set| set.id.as_str() == data).unwrap();
        let call = Call {
            identity: &identity(words),
            on_behalf_of: None,
            standing: Default::default(),
            purpose: Some(purpose),
            set,
            route: &set.routes[0],
            action: Action::Read,
            selects_by: &[],
            gpc: false,
            now: NOW,
        };
        let Decision::Permit(permit) = decide(&call, &policy) else { panic!("refused") };
        let raw = permit.widest().iter().all(|view| view.is_raw());
        (raw, permit.shows_every_field(), permit.fact_fields().len())
    };
    assert_eq!(most("agent", "shop.machines", "support"), (true, true, 0));
    assert_eq!(most("agent", "shop.machines", "fraud"), (true, false, 0));
    assert_eq!(most("boss team=x", "shop.people", "support"), (true, false, 1));
}

#[test]
fn a_permit_tells_whether_records_may_be_left_out() {
    let rules = "grants:
  - { id: a, roles: [agent], purposes: [support, fraud, double], data: [shop.people, shop.machines], can: [read], levels: { general: show, sensitive: tens, critical: show } }
  - { id: b, roles: [boss], purposes: [support], data: [shop.people], can: [read], rows: { team: caller.team }, fields: { id: show } }
  - { id: c, roles: [vip], purposes: [support, fraud], data: [shop.people], can: [read], fields: { team: show } }
  - { id: d, roles: [boss], purposes: [fraud], data: [shop.people], can: [read], fields: { id: show, team: tens } }
  - { id: e, roles: [me], purposes: [fraud], data: [shop.people], can: [read], fields: { id: show } }
views: { tens: { generalize: { number: 10 } } }
limits:
";
    let cut = "  - { id: l, purposes: [support], if: { record_region: CN, flags: [personal] }, then: drop }\n";
    let out = "  - { id: m, purposes: [fraud], roles: [agent], if: { subject_status: restricted }, then: leave_out }\n";
    let limits = [
        format!("{cut}{out}"),
        format!(
            "{cut}{out}  - {{ id: n, purposes: [support], if: {{ levels: [general, sensitive, critical], caller_region_not: DE }}, then: drop }}\n"
        ),
    ];
    let [few, many] = limits.map(|limits| compile(&format!("{WORDS}{rules}{limits}")));
    let may =
        |policy: &std::sync::Arc<crate::policy::PolicySet>, words: &str, data: &str, purpose| {
            let set = policy.sets().iter().find(|set| set.id.as_str() == data).unwrap();
            let (caller, behalf) = words.split_once(" over ").unwrap_or((words, ""));
            let behalf = (!behalf.is_empty()).then(|| identity(behalf));
            let call = Call {
                identity: &identity(caller),
                on_behalf_of: behalf.as_ref(),
                standing: Default::default(),
                purpose: Some(purpose),
                set,
                route: &set.routes[0],
                action: Action::Read,
                selects_by: &[],
                gpc: false,
                now: NOW,
            };
            let Decision::Permit(permit) = decide(&call, policy) else { panic!("refused") };
            permit.may_leave_out()
        };
    // The drop leaves `team` and `country`, which are about nobody.
    assert!(!may(&few, "agent in DE", "shop.people", "support"));
    assert!(may(&few, "boss team=x", "shop.people", "support"));
    assert!(!may(&few, "agent boss team=x", "shop.people", "support"));
    assert!(may(&few, "agent", "shop.people", "fraud"));
    assert!(!may(&few, "agent", "shop.machines", "fraud"));
    assert!(may(&few, "agent", "shop.people", "double"));
    assert!(!may(&few, "agent", "shop.machines", "double"));
    assert!(!may(&few, "agent over vip", "shop.people", "support"));
    assert!(!may(&few, "boss over vip", "shop.people", "fraud"));
    assert!(may(&few, "as ana over vip", "shop.people", "fraud"));
    assert!(!may(&many, "agent in DE", "shop.people", "support"));
}

#[test]
fn a_data_set_of_another_policy_is_refused() {
    let (one, other) = (compile(&format!("{WORDS}{G}")), compile(&format!("{WORDS}{G}")));
    let set = &other.sets()[0];
    let call = Call {
        identity: &identity("agent"),
        on_behalf_of: None,
        standing: Default::default(),
        purpose: Some("support"),
        set,
        route: &set.routes[0],
        action: Action::Read,
        selects_by: &[],
        gpc: false,
        now: NOW,
    };
    let Decision::Refuse(refusal) = decide(&call, &one) else { panic!("permitted") };
    assert_eq!(refusal.reason.as_str(), "unknown_set");
    assert!(matches!(decide(&call, &other), Decision::Permit(_)));
}

#[test]
fn the_hash_names_the_text() {
    let one = compile(&format!("{WORDS}{G}"));
    assert_eq!(one.hash(), compile(&format!("{WORDS}{G}")).hash());
    assert_ne!(one.hash(), compile(&format!("{WORDS}{G}# \n")).hash());
}
