//! The second factor of an operator, for calls whose harm could not be undone.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use http::HeaderMap;
use serde::Deserialize;
use serde::Serialize;
use serde_json::json;

use crate::audit::Entry;
use crate::audit::Kind;
use crate::clock::Clock;
use crate::protocol::http::ProblemKind;
use crate::state::Engine;
use crate::state::Expect;
use crate::state::StateError;
use crate::state::StateStore;
use crate::state::Tx;
use crate::types::Timestamp;
use crate::types::told;

use super::Operator;
use super::OperatorRole;
use super::answer::Refused;
use super::answer::json;
use super::routes::Admin;
use super::totp::Codes;

/// Remembers which codes were used and how often wrong ones came, also over restarts.
#[derive(Clone, Debug)]
pub struct Mfa {
    state: Engine,
    clock: Arc<dyn Clock>,
}

/// What is kept of an operator.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
struct Row {
    /// The newest step whose code was used; it and all before it never count again.
    used: u64,
    /// When the last wrong codes came, in milliseconds since the epoch, the oldest first.
    wrong: Vec<u64>,
}

/// What a code comes to.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Verdict {
    /// It is right, and used up now.
    Fits,
    /// It was right once.
    Used,
    /// It is wrong.
    Wrong,
    /// It is wrong, and no code counts for a while.
    Last,
    /// It was not looked at, because too many wrong ones came.
    Locked,
}

impl Mfa {
    /// What `state` remembers, by `clock`.
    pub fn new(state: Engine, clock: Arc<dyn Clock>) -> Self {
        Self { state, clock }
    }

    /// The time by which codes and requests expire.
    pub(super) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Looks at a code. What comes of it is on disk before it is told: a right code works once,
    /// a wrong one counts, whatever happens to the process or to other calls at the same time.
    async fn check(&self, name: &str, codes: &Codes, code: &str) -> Result<Verdict, StateError> {
        let key = [PREFIX, name.as_bytes()].concat();
        for _ in 0..MOST_ATTEMPTS {
            let found = self.state.get(&key).await?;
            let (row, expect) = match found {
                None => (Row::default(), Expect::Absent),
                Some(found) => {
                    let what = "second factor of an operator";
                    let row = serde_json::from_slice(&found.value);
                    let row = row.map_err(|_| StateError::Corrupt { what })?;
                    (row, Expect::Version(found.version))
                }
            };
            let (verdict, after) = row.judge(codes, code, self.clock.now());
            let Some(after) = after else { return Ok(verdict) };
            let what = "second factor of an operator";
            let value = serde_json::to_vec(&after).map_err(|_| StateError::Corrupt { what })?;
            let mut tx = Tx::new();
            tx.put(&key, value, expect);
            match self.state.commit(tx).await {
                Ok(_) => return Ok(verdict),
                // Another call with a code of the same operator was first.
                Err(StateError::Conflict { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Verdict::Locked)
    }
}

impl Row {
    /// What a code comes to now, and what is to be remembered of it.
    fn judge(&self, codes: &Codes, code: &str, now: Timestamp) -> (Verdict, Option<Self>) {
        // A wrong code from a time that is yet to come counts: the clock was set back.
        let recent = |at: &u64| now.ms_since(Timestamp::from_unix_ms(*at)) < WINDOW_MS;
        let mut wrong: Vec<u64> = self.wrong.iter().copied().filter(recent).collect();
        if wrong.len() >= MOST_WRONG {
            return (Verdict::Locked, None);
        }
        match codes.step(code, now.unix_s()) {
            Some(step) if step > self.used => (Verdict::Fits, Some(Self { used: step, wrong })),
            Some(_) => (Verdict::Used, None),
            None => {
                wrong.push(now.unix_ms());
                let is_last = wrong.len() >= MOST_WRONG;
                let verdict = if is_last { Verdict::Last } else { Verdict::Wrong };
                (verdict, Some(Self { used: self.used, wrong }))
            }
        }
    }
}

impl Admin {
    /// The operator whose token the call carries, when their role is enough and the call carries
    /// a code of their second factor that was never used. For calls that show or destroy what
    /// the operator's token alone should not.
    pub(super) async fn operator_with_mfa(
        &self,
        headers: &HeaderMap,
        least: OperatorRole,
    ) -> Result<Operator, Refused> {
        let mut operator = self.operator(headers, least)?;
        let Some(sealed) = &operator.totp else { return Err(mfa_required(NOT_SET_UP)) };
        let code = code(headers)?;
        let secret = self.keys.operator_secrets().open(&operator.name, sealed);
        let codes = secret.ok().and_then(|secret| Codes::new(&secret));
        let Some(codes) = codes else {
            tracing::error!("the second factor of an operator does not open with this key");
            return Err(mfa_required(DOES_NOT_OPEN));
        };
        let verdict = self.mfa.check(&operator.name, &codes, code).await.map_err(|error| {
            tracing::error!(error = told(&error), "second factors cannot be looked at");
            Refused::new(ProblemKind::Unavailable, "second factors cannot be looked at now")
        })?;
        let (kind, reason, detail) = match verdict {
            Verdict::Fits => {
                operator.second_factor = true;
                return Ok(operator);
            }
            Verdict::Used => (Kind::Admin, "mfa_used", USED),
            Verdict::Wrong => (Kind::Admin, "mfa_wrong", WRONG),
            Verdict::Last => (Kind::Alert, "mfa_locked", LOCKED),
            Verdict::Locked => return Err(mfa_required(LOCKED)),
        };
        self.record(&operator, kind, reason, Entry::new(kind)).await?;
        Err(mfa_required(detail))
    }
}

/// Uses up a code, so that whoever set up a second factor sees that it works.
pub(super) async fn verify(
    State(admin): State<Arc<Admin>>,
    headers: HeaderMap,
) -> Result<Response, Refused> {
    let operator = admin.operator_with_mfa(&headers, OperatorRole::Auditor).await?;
    admin.record(&operator, Kind::Admin, "mfa_verified", Entry::new(Kind::Admin)).await?;
    Ok(json(&json!({ "operator": &*operator.name, "second_factor": true })))
}

/// The code a call carries. Two are as bad as none: it would be open which one counts.
fn code(headers: &HeaderMap) -> Result<&str, Refused> {
    let mut sent = headers.get_all(HEADER).iter();
    let (Some(code), None) = (sent.next(), sent.next()) else {
        return Err(mfa_required(NOT_SENT));
    };
    let code = code.to_str().unwrap_or_default();
    let six = code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit());
    if six { Ok(code) } else { Err(mfa_required(NOT_SENT)) }
}

fn mfa_required(detail: &'static str) -> Refused {
    Refused::new(ProblemKind::MfaRequired, detail)
}

/// The header with the code.
const HEADER: &str = "privet-totp";
/// Where it stands which codes were used.
const PREFIX: &[u8] = b"operator-mfa/";
/// After so many wrong codes …
const MOST_WRONG: usize = 5;
/// … within this time none counts until the first of them is older.
const WINDOW_MS: u64 = 5 * 60_000;
/// How often a row that others change is read anew.
const MOST_ATTEMPTS: usize = 16;

const NOT_SENT: &str =
    "send the six digits of your authenticator app in one `Privet-Totp` header (`--totp 123456`)";
const NOT_SET_UP: &str = "you have no second factor; whoever runs the gateway adds you with `privet operator add --totp`";
const DOES_NOT_OPEN: &str =
    "your second factor was not made with the keys of this gateway; have yourself added anew";
const USED: &str = "this code was used already; wait for the next one";
const WRONG: &str = "the code is wrong or out of date; is the clock of your device right?";
const LOCKED: &str = "five wrong codes came within five minutes; wait as long, then send a new one";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::ManualClock;

    const NOW_S: u64 = 1_800_000_000;

    struct Place {
        clock: Arc<ManualClock>,
        state: Engine,
        mfa: Mfa,
        codes: Codes,
    }

    impl Place {
        fn new() -> Self {
            let clock = Arc::new(ManualClock::at(Timestamp::from_unix_s(NOW_S)));
            let state = Engine::memory();
            let mfa = Mfa::new(state.clone(), clock.clone());
            Self { clock, state, mfa, codes: Codes::new(&[7; 20]).unwrap() }
        }

        /// The code of the step that is `steps` away from now.
        fn code(&self, steps: i64) -> String {
            self.codes.at(self.clock.now().unix_s().checked_add_signed(steps * 30).unwrap())
        }

        fn wrong(&self) -> String {
            let near = [-1, 0, 1].map(|steps| self.code(steps));
            (0..9).map(|n| format!("00000{n}")).find(|code| !near.contains(code)).unwrap()
        }

        async fn try_as(&self, name: &str, code: &str) -> Verdict {
            self.mfa.check(name, &self.codes, code).await.unwrap()
        }
    }

    #[tokio::test]
    async fn a_code_works_once_in_its_window_and_after_a_restart() {
        let mut place = Place::new();
        let code = place.code(0);
        assert_eq!(place.try_as("ada", &code).await, Verdict::Fits);
        assert_eq!(place.try_as("ada", &code).await, Verdict::Used);
        // A new process on the same state.
        place.mfa = Mfa::new(place.state.clone(), place.clock.clone());
        assert_eq!(place.try_as("ada", &code).await, Verdict::Used);
        // Of the step before, which is still in the window: it is older than the one used.
        assert_eq!(place.try_as("ada", &place.code(-1)).await, Verdict::Used);
        place.clock.advance_ms(30_000);
        assert_eq!(place.try_as("ada", &code).await, Verdict::Used);
        assert_eq!(place.try_as("ada", &place.code(0)).await, Verdict::Fits);
        // What one operator used says nothing about another.
        assert_eq!(place.try_as("ben", &place.code(0)).await, Verdict::Fits);
    }

    #[tokio::test]
    async fn a_clock_that_goes_back_makes_no_code_good_again() {
        let place = Place::new();
        let code = place.code(0);
        assert_eq!(place.try_as("ada", &code).await, Verdict::Fits);
        let back = Arc::new(ManualClock::at(Timestamp::from_unix_s(NOW_S - 86_400)));
        let mfa = Mfa::new(place.state.clone(), back);
        let old = place.codes.at(NOW_S - 86_400);
        assert_eq!(mfa.check("ada", &place.codes, &old).await.unwrap(), Verdict::Used);
    }

    #[tokio::test]
    async fn five_wrong_codes_in_five_minutes_close_the_door() {
        let place = Place::new();
        for expected in [Verdict::Wrong, Verdict::Wrong, Verdict::Wrong, Verdict::Wrong] {
            assert_eq!(place.try_as("ada", &place.wrong()).await, expected);
            place.clock.advance_ms(10_000);
        }
        // A right one in between does not start the count anew.
        assert_eq!(place.try_as("ada", &place.code(0)).await, Verdict::Fits);
        place.clock.advance_ms(30_000);
        assert_eq!(place.try_as("ada", &place.wrong()).await, Verdict::Last);
        assert_eq!(place.try_as("ada", &place.code(0)).await, Verdict::Locked);
        // Nor does a restart.
        let mfa = Mfa::new(place.state.clone(), place.clock.clone());
        let verdict = mfa.check("ada", &place.codes, &place.code(0)).await.unwrap();
        assert_eq!(verdict, Verdict::Locked);
        assert_eq!(place.try_as("ben", &place.code(0)).await, Verdict::Fits);
        place.clock.advance_ms(WINDOW_MS - 70_000);
        assert_eq!(place.try_as("ada", &place.code(0)).await, Verdict::Fits);
    }

    #[tokio::test]
    async fn codes_that_come_at_once_are_counted_one_by_one() {
        let place = Place::new();
        let right = place.code(0);
        let tries: Vec<_> = (0..12)
            .map(|n| {
                let (mfa, right) = (place.mfa.clone(), right.clone());
                let wrong = place.wrong();
                tokio::spawn(async move {
                    let codes = Codes::new(&[7; 20]).unwrap();
                    let code = if n < 4 { right } else { wrong };
                    mfa.check("ada", &codes, &code).await.unwrap()
                })
            })
            .collect();
        let mut verdicts = Vec::new();
        for task in tries {
            verdicts.push(task.await.unwrap());
        }
        let count = |verdict| verdicts.iter().filter(|found| **found == verdict).count();
        assert_eq!(count(Verdict::Fits), 1, "{verdicts:?}");
        assert!(count(Verdict::Wrong) + count(Verdict::Last) <= MOST_WRONG, "{verdicts:?}");
    }

    #[tokio::test]
    async fn a_damaged_row_lets_nobody_in() {
        let place = Place::new();
        let mut tx = Tx::new();
        tx.put(b"operator-mfa/ada", b"{\"used\":1}".to_vec(), Expect::Any);
        place.state.commit(tx).await.unwrap();
        let verdict = place.mfa.check("ada", &place.codes, &place.code(0)).await;
        assert!(verdict.is_err(), "{verdict:?}");
    }

    #[test]
    fn a_call_carries_one_code_of_six_digits() {
        let of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(HEADER, value.parse().unwrap());
            }
            code(&headers).ok().map(str::to_owned)
        };
        assert_eq!(of(&["123456"]).as_deref(), Some("123456"));
        for odd in [&[][..], &["123456", "123456"], &["123 456"], &["1234567"], &[""], &["12345a"]]
        {
            assert_eq!(of(odd), None, "{odd:?}");
        }
    }
}
