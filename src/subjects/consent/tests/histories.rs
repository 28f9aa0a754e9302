//! For random histories, what the records allow is what a naive reading of the rules allows.

use proptest::prelude::*;

use super::shown;
use crate::subjects::consent::ConsentEvent;
use crate::subjects::consent::ConsentRecord;
use crate::subjects::consent::ConsentState;
use crate::subjects::consent::ConsentType;
use crate::subjects::consent::Digest;
use crate::subjects::consent::Entity;
use crate::subjects::consent::Moment;
use crate::subjects::consent::NewConsent;
use crate::subjects::consent::NewEvent;
use crate::subjects::consent::Notice;
use crate::subjects::consent::Notices;
use crate::subjects::consent::Process;
use crate::subjects::consent::RecordId;
use crate::subjects::consent::SCHEMA;
use crate::subjects::consent::SubjectRef;
use crate::subjects::consent::standing;
use crate::types::Timestamp;

const QUESTIONS: [&str; 2] = ["m", "n"];

fn at(n: u64) -> Timestamp {
    Timestamp::from_unix_ms(n)
}

/// (question, state, time, recorded so long after, valid for, how)
type Said = (usize, usize, u64, u64, Option<u64>, usize);

fn one_event((question, state, time, late, valid, kind): Said, version: u32) -> ConsentEvent {
    let event = NewEvent {
        purpose_key: QUESTIONS[question].to_owned(),
        state: ConsentState::ALL[state],
        kind: ConsentType::ALL.get(kind).copied(),
        time: Some(at(time)),
        valid_until: valid.map(|valid| at(time + valid)),
        entity_id: Entity::Subject,
        method: None,
        evidence: None,
    };
    ConsentEvent { event, recorded_at: at(time + late), version }
}

fn said() -> impl Strategy<Value = Said> {
    // States that allow come as often as all others together.
    let state = prop_oneof![Just(3_usize), Just(4), 0..10_usize, 0..10_usize];
    (0..2_usize, state, 0..20_u64, 0..4_u64, prop::option::of(1..12_u64), 0..6_usize)
        // Mostly expressed.
        .prop_map(|(q, s, t, l, v, k)| (q, s, t, l, v, k.saturating_sub(2).min(3) % 4))
}

/// (which questions, separate, notice version, takes the place of, in an opt-out regime, events)
type Shape = (usize, bool, usize, Option<u8>, bool, Vec<Said>);

fn one_record(n: u8, (asked, separate, notice, supersedes, opt_out, said): Shape) -> ConsentRecord {
    let process = |question: &str| Process { purpose_key: question.into(), ..Process::default() };
    let asked: &[&str] = [&QUESTIONS[..1], &QUESTIONS[1..], &QUESTIONS[..], &QUESTIONS[..]][asked];
    let consent = NewConsent {
        process: asked.iter().map(|question| process(question)).collect(),
        separate,
        notice: ["1", "2", "9"].get(notice).map(|version| shown(version)),
        supersedes: supersedes.filter(|of| *of != n).map(|of| RecordId([of; 16])),
        regime: opt_out.then(|| "ccpa".into()),
        ..NewConsent::default()
    };
    ConsentRecord {
        schema_version: SCHEMA,
        record_id: RecordId([n; 16]),
        subject_ref: SubjectRef([0; 16]),
        consent,
        events: (1..).zip(said).map(|(version, said)| one_event(said, version)).collect(),
        version: 1,
        prev_version_hash: None,
        version_hash: Digest([0; 32]),
        created_at: at(0),
        created_by: String::new(),
        audit_seq: None,
    }
}

fn histories() -> impl Strategy<Value = Vec<ConsentRecord>> {
    let shape = (
        0..4_usize,
        prop::bool::weighted(0.2),
        0..6_usize,
        prop::option::weighted(0.3, 0..3_u8),
        any::<bool>(),
        prop::collection::vec(said(), 0..6),
    );
    prop::collection::vec(shape, 0..4)
        .prop_map(|shapes| (0..).zip(shapes).map(|(n, shape)| one_record(n, shape)).collect())
}

fn notices() -> impl Strategy<Value = Vec<Notice>> {
    let version = (0..3_usize, 0..20_u64, 0..20_u64, any::<bool>());
    prop::collection::vec(version, 0..3).prop_map(|versions| {
        let notice = |(version, from, registered, asks): (usize, u64, u64, bool)| Notice {
            id: "shop-privacy".into(),
            version: ["1", "2", "3"][version].into(),
            language: "en".into(),
            sha256: Digest([1; 32]),
            url: None,
            effective_from: at(from),
            requires_renewal: asks,
            registered_at: at(registered),
            registered_by: String::new(),
        };
        versions.into_iter().map(notice).collect()
    })
}

/// One event with all that is needed to judge it alone.
#[derive(Clone, Copy)]
struct Fact<'a> {
    record: &'a ConsentRecord,
    event: &'a ConsentEvent,
    order: (Timestamp, Timestamp, RecordId, u32),
}

/// The rules once more, each on its own: there is a yes that counts, and nothing after it that
/// ends it or takes its place.
fn naive(records: &[ConsentRecord], notices: &Notices, question: &str, moment: Moment) -> bool {
    let mut facts = Vec::new();
    for record in records {
        for event in &record.events {
            let time = event.event.time.unwrap();
            let is_asked = record.consent.process.iter().any(|of| of.purpose_key == question);
            if is_asked
                && event.event.purpose_key == question
                && time <= moment.at
                && event.recorded_at <= moment.known_by
            {
                let order = (time, event.recorded_at, record.record_id, event.version);
                facts.push(Fact { record, event, order });
            }
        }
    }
    let is_no = |fact: &Fact<'_>| {
        use ConsentState as S;
        matches!(fact.event.event.state, S::Refused | S::Withdrawn | S::Revoked)
    };
    let is_said = |fact: &Fact<'_>| {
        let consent = &fact.record.consent;
        let is_spoken = match fact.event.event.kind {
            None => false,
            Some(ConsentType::Implied) => consent.regime.is_some(),
            Some(_) => true,
        };
        let is_alone = !consent.separate || consent.process.len() == 1;
        fact.event.event.state.allows() && is_spoken && is_alone
    };
    let is_yes = |fact: &Fact<'_>| {
        is_said(fact)
            && !facts.iter().any(|other| {
                other.record.consent.supersedes == Some(fact.record.record_id)
                    && other.order.0 <= fact.order.0
                    && (is_said(other) || is_no(other))
            })
    };
    let is_of_old_notice = |fact: &Fact<'_>| {
        let Some(shown) = &fact.record.consent.notice else { return false };
        let known: Vec<&Notice> =
            notices.iter().filter(|notice| notice.registered_at <= moment.known_by).collect();
        let age = |notice: &Notice| (notice.effective_from, notice.registered_at);
        let own = known.iter().filter(|n| n.version == shown.version).map(|n| age(n)).min();
        known.iter().any(|notice| {
            notice.requires_renewal
                && notice.version != shown.version
                && notice.effective_from <= moment.at
                && own.is_none_or(|own| own < age(notice))
        })
    };
    facts.iter().any(|yes| {
        let ends = |other: &Fact<'_>| {
            let is_of_record = other.record.record_id == yes.record.record_id;
            let state = other.event.event.state;
            let ends_own = matches!(
                state,
                ConsentState::Expired | ConsentState::Invalidated | ConsentState::Unknown
            );
            is_yes(other) || is_no(other) || (ends_own && is_of_record)
        };
        is_yes(yes)
            && yes.event.event.valid_until.is_none_or(|until| moment.at < until)
            && !is_of_old_notice(yes)
            && !facts.iter().any(|other| other.order > yes.order && ends(other))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn what_is_allowed_is_what_a_naive_reading_allows(
        records in histories(),
        registered in notices(),
        asked in (0..24_u64, 0..30_u64),
    ) {
        let mut notices = Notices::default();
        registered.into_iter().for_each(|notice| {
            notices.add(notice);
        });
        for question in QUESTIONS {
            for moment in [
                Moment { at: at(asked.0), known_by: at(asked.1) },
                Moment::then(at(asked.0)),
            ] {
                let found = standing(&records, &notices, question, moment);
                let expected = naive(&records, &notices, question, moment);
                prop_assert_eq!(found.allows(), expected, "{} at {:?}: {:?}", question, moment, found);
            }
        }
    }
}

/// A history in short: `record.question state time`.
fn told(text: &str) -> Vec<ConsentRecord> {
    let mut records: Vec<ConsentRecord> = Vec::new();
    for line in text.split(", ") {
        let mut words = line.split(' ');
        let n: u8 = words.next().unwrap().parse().unwrap();
        let state = ConsentState::parse(words.next().unwrap()).unwrap();
        let state = ConsentState::ALL.iter().position(|of| *of == state).unwrap();
        let time = words.next().unwrap().parse().unwrap();
        let valid = words.next().map(|until| until.parse::<u64>().unwrap() - time);
        if !records.iter().any(|record| record.record_id == RecordId([n; 16])) {
            records.push(one_record(n, (0, false, 9, None, false, Vec::new())));
        }
        let record = records.iter_mut().find(|r| r.record_id == RecordId([n; 16])).unwrap();
        let version = u32::try_from(record.events.len()).unwrap() + 1;
        record.events.push(one_event((0, state, time, 0, valid, 0), version));
    }
    records
}

#[test]
fn histories_in_words() {
    for (history, then) in [
        ("1 Given 1", "Given"),
        ("1 Requested 1", "Requested"),
        ("1 Given 1, 2 Requested 2", "Given"),
        ("1 Given 1, 2 Refused 2", "Refused"),
        ("1 Given 1, 1 Withdrawn 2", "Withdrawn"),
        ("1 Given 1, 2 Given 2, 1 Withdrawn 3", "Withdrawn"),
        ("1 Given 1, 2 Given 2, 1 Invalidated 3", "Given"),
        ("1 Given 1, 2 Given 2, 1 Expired 3", "Given"),
        ("1 Given 1, 2 Given 2, 2 Invalidated 3", "Invalidated"),
        ("1 Given 1 5", "Expired"),
        ("1 Given 1 5, 1 RenewedGiven 4", "RenewedGiven"),
        ("1 Given 1, 2 Given 2 5", "Expired"),
        ("1 Withdrawn 3, 1 Given 2", "Withdrawn"),
        ("1 Given 1, 1 Revoked 2", "Revoked"),
        ("1 Given 1, 1 Unknown 2", "Unknown"),
        ("1 Given 11", "Unknown"),
    ] {
        let found = standing(&told(history), &Notices::default(), "m", Moment::then(at(10)));
        assert_eq!(found.state.as_str(), then, "{history}");
    }
}
