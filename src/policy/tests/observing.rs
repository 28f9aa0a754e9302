//! Data sets in which the policy is only observed.

use super::NOW;
use super::compile;
use super::faults_of;
use super::scene::WORDS;
use super::scene::identity;
use crate::policy::Call;
use crate::policy::Decision;
use crate::policy::Pass;
use crate::policy::PolicySet;
use crate::policy::decide;
use crate::policy::observe;
use crate::types::Action;
use crate::types::Timestamp;
use std::sync::Arc;

const DAY_MS: u64 = 86_400_000;

/// The words of the other tests, with `mode` in `shop.people`.
fn policy(mode: &str) -> String {
    let place = "    region: country\n";
    let words = WORDS.replacen(place, &format!("{place}    mode: {mode}\n"), 1);
    let grant = "grants:
  - { id: agents, roles: [agent], purposes: [support], data: [shop.people], can: [read], fields: { id: show } }
";
    format!("{words}{grant}")
}

fn call<'a>(
    policy: &'a PolicySet,
    identity: &'a crate::policy::Identity,
    now: Timestamp,
) -> Call<'a> {
    let set = policy.sets().iter().find(|set| set.id.as_str() == "shop.people").unwrap();
    Call {
        identity,
        on_behalf_of: None,
        standing: Default::default(),
        purpose: Some("support"),
        set,
        route: &set.routes[0],
        action: Action::Read,
        selects_by: &[],
        gpc: false,
        now,
    }
}

/// What `words` get at `now`: what is decided, and `observed` before it where it does not count.
fn outcome(policy: &Arc<PolicySet>, words: &str, now: Timestamp) -> String {
    let mut identity = identity(words);
    if !words.contains("expired") {
        identity.expires = now.plus_ms(1000);
    }
    let call = call(policy, &identity, now);
    let words = |decision: &Decision| match decision {
        Decision::Permit(_) => "permit".to_owned(),
        Decision::Refuse(refusal) => refusal.reason.as_str().to_owned(),
    };
    match observe(&call, policy) {
        Some((observation, decision)) => {
            assert_eq!(observation.set().id.as_str(), "shop.people");
            assert_eq!(Pass::action(&observation), Action::Read);
            format!("observed {}", words(&decision))
        }
        None => words(&decide(&call, policy)),
    }
}

#[test]
fn only_until_its_day_and_only_where_it_is_written_a_policy_is_only_observed() {
    let observed = compile(&policy("{ observe_until: 2026-12-01 }"));
    let enforced = compile(&policy("enforce"));
    let until = Timestamp::from_unix_s(1_796_083_200);
    let never = Timestamp::from_unix_s(0);
    for (who, at, watched, held) in [
        ("agent", NOW, "observed permit", "permit"),
        ("boss", NOW, "observed no_grant", "no_grant"),
        ("agent purposes=stats", NOW, "observed purpose_not_in_token", "purpose_not_in_token"),
        // Who calls is never only observed.
        ("agent expired", NOW, "expired", "expired"),
        ("agent", Timestamp::from_unix_ms(until.unix_ms() - 1), "observed permit", "permit"),
        ("boss", Timestamp::from_unix_ms(until.unix_ms() - 1), "observed no_grant", "no_grant"),
        ("boss", until, "no_grant", "no_grant"),
        ("boss", until.plus_ms(DAY_MS), "no_grant", "no_grant"),
        // A clock that stands still at its beginning, or was set back by years, is no clock.
        ("boss", never, "no_grant", "no_grant"),
        ("boss", Timestamp::from_unix_ms(until.unix_ms() - 367 * DAY_MS), "no_grant", "no_grant"),
    ] {
        assert_eq!(outcome(&observed, who, at), watched, "{who} at {at}");
        assert_eq!(outcome(&enforced, who, at), held, "{who} at {at}");
    }
}

#[test]
fn a_data_set_of_another_policy_is_not_observed_under_this_one() {
    let observed = compile(&policy("{ observe_until: 2026-12-01 }"));
    let other = compile(&policy("{ observe_until: 2026-12-01 }"));
    let identity = identity("boss");
    assert!(observe(&call(&observed, &identity, NOW), &observed).is_some());
    assert!(observe(&call(&observed, &identity, NOW), &other).is_none());
}

#[test]
fn check_tells_what_is_only_observed_and_what_cannot_be() {
    let warned = faults_of(&policy("{ observe_until: 2026-12-01 }"));
    assert!(
        warned.contains(
            "warning: `shop.people` is only observed for 10 more days, until 2026-12-01: callers \
             get what the store answers, whatever the policy says"
        ),
        "{warned}"
    );
    for (mode, expected) in [
        ("{ observe_until: 2026-11-22 }", "is only observed for 1 more day, until 2026-11-22"),
        (
            "{ observe_until: 2026-11-21 }",
            "the policy is in force in `shop.people` since 2026-11-21",
        ),
        ("{ observe_until: 2027-11-21 }", "is only observed for 365 more days"),
        ("{ observe_until: 2027-11-23 }", "would be only observed for more than a year"),
        ("{ observe_until: soon }", "`soon` is no date"),
        ("{ until: 2026-12-01 }", "a mode needs `observe_until`"),
        ("observe", "unknown mode `observe`"),
    ] {
        let told = faults_of(&policy(mode));
        assert!(told.contains(expected), "{mode}: {told}");
    }
    let sealed = policy("{ observe_until: 2026-12-01 }").replace(
        "mail: { category: user.contact.email }",
        "mail: { category: user.contact.email, at_rest: encrypt }",
    );
    let told = faults_of(&sealed);
    assert!(
        told.contains("`shop.people` cannot be only observed while `mail` is sealed"),
        "{told}"
    );
}

#[test]
fn the_warning_is_there_on_each_check_and_never_where_the_policy_is_in_force() {
    assert_eq!(faults_of(&policy("enforce")).matches("observed").count(), 0);
}
