//! Times of which the log says nothing although the gateway did not say that it stopped, and clocks
//! that went back.
//!
//! A running gateway makes an entry a minute (`heartbeat`), one when it starts and one when it stops
//! in good order. So silence without a stop is a gap: the machine was down, the log could not be
//! written, the clock was moved, or entries are missing from a log that somebody wrote anew.

use std::path::Path;

use crate::types::Timestamp;

use super::Filter;
use super::Kind;
use super::SearchError;
use super::search;

/// What to look for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct GapSearch {
    /// Only what reaches into the time from here on.
    pub from: Option<Timestamp>,
    /// Only what began before; a log that is silent until then has a gap that lasts until then.
    pub until: Timestamp,
    /// The longest silence that is no gap, in milliseconds.
    pub longest_ms: u64,
}

/// Something the log does not account for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Gap {
    /// An entry is earlier than one before it, by more than entries that were made at once can be.
    ClockBack {
        /// The index of the entry with the earlier time.
        index: u64,
        /// The latest time before.
        was: Timestamp,
        /// Its own time.
        is: Timestamp,
    },
    /// Nothing was recorded for longer than a heartbeat allows.
    Silence {
        /// The index of the last entry before; the next one ends it, if there is one.
        after: u64,
        /// Its time.
        from: Timestamp,
        /// The time of the next entry, or until when was looked.
        until: Timestamp,
        /// Whether the log ends there.
        is_end: bool,
    },
    /// The gateway started and had not said that it stopped: it was killed, or lost power, or what
    /// it wrote at its end is missing.
    Unannounced {
        /// The index of the last entry before the start.
        after: u64,
        /// Its time.
        from: Timestamp,
        /// The time of the start.
        until: Timestamp,
    },
}

/// What was found in how many entries.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Gaps {
    /// Entries of the log.
    pub entries: u64,
    /// What the log does not account for, in the order of the log.
    pub found: Vec<Gap>,
    /// Whether there were more than [`MAX_GAPS`], which are counted no further.
    pub is_cut: bool,
}

/// Looks through the published log in `dir`. That the entries are those that were written is what
/// `verify` shows, not this.
pub fn gaps(dir: &Path, wish: &GapSearch) -> Result<Gaps, SearchError> {
    let mut watch = Watch { wish: *wish, last: None, gaps: Gaps::default() };
    for row in search(dir, &Filter::default(), 0)? {
        let (index, entry) = row?;
        watch.see(index, entry.kind, entry.time);
    }
    watch.end();
    Ok(watch.gaps)
}

/// What is known after some entries.
struct Watch {
    wish: GapSearch,
    last: Option<Last>,
    gaps: Gaps,
}

#[derive(Clone, Copy)]
struct Last {
    index: u64,
    /// The latest time since the clock last went back.
    latest: Timestamp,
    /// The gateway said that it stopped, and has not said since that it runs.
    is_stopped: bool,
}

impl Watch {
    fn see(&mut self, index: u64, kind: Kind, time: Timestamp) {
        // A log begins before the first gateway starts on it.
        let first = Last { index, latest: time, is_stopped: index == 0 };
        let last = self.last.unwrap_or(first);
        let is_back = last.latest.ms_since(time) > SIMULTANEOUS_MS;
        if is_back {
            self.add(Gap::ClockBack { index, was: last.latest, is: time });
        }
        let (after, from, until) = (last.index, last.latest, time);
        match kind {
            _ if last.is_stopped => {}
            Kind::Start => self.add(Gap::Unannounced { after, from, until }),
            _ if until.ms_since(from) > self.wish.longest_ms => {
                self.add(Gap::Silence { after, from, until, is_end: false });
            }
            _ => {}
        }
        let is_stopped = match kind {
            Kind::Stop => true,
            Kind::Heartbeat | Kind::Start => false,
            _ => last.is_stopped,
        };
        // After a step back the clock counts anew, or all that follows would be a step back.
        let latest = if is_back { time } else { last.latest.max(time) };
        self.last = Some(Last { index, latest, is_stopped });
        self.gaps.entries = index + 1;
    }

    /// The log ends.
    fn end(&mut self) {
        let Some(last) = self.last.filter(|last| !last.is_stopped) else { return };
        let (from, until) = (last.latest, self.wish.until);
        if until.ms_since(from) > self.wish.longest_ms {
            self.add(Gap::Silence { after: last.index, from, until, is_end: true });
        }
    }

    fn add(&mut self, gap: Gap) {
        let (from, until) = gap.times();
        let is_wanted =
            from <= self.wish.until && self.wish.from.is_none_or(|wanted| until >= wanted);
        if is_wanted && self.gaps.found.len() == MAX_GAPS {
            self.gaps.is_cut = true;
        } else if is_wanted {
            self.gaps.found.push(gap);
        }
    }
}

impl Gap {
    /// From when to when it is, the earlier first.
    pub fn times(&self) -> (Timestamp, Timestamp) {
        match *self {
            Self::ClockBack { was, is, .. } => (is, was),
            Self::Silence { from, until, .. } | Self::Unannounced { from, until, .. } => {
                (from.min(until), until.max(from))
            }
        }
    }
}

/// Entries that are made at the same time by several threads may be this far out of order.
const SIMULTANEOUS_MS: u64 = 1000;

/// As many are told.
pub const MAX_GAPS: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    /// What a log of these kinds and seconds shows until second 10,000.
    fn shown(entries: &[(Kind, u64)]) -> Vec<String> {
        let until = Timestamp::from_unix_s(10_000);
        let wish = GapSearch { from: None, until, longest_ms: 180_000 };
        let mut watch = Watch { wish, last: None, gaps: Gaps::default() };
        for (index, (kind, second)) in (0..).zip(entries) {
            watch.see(index, *kind, Timestamp::from_unix_s(*second));
        }
        watch.end();
        let told = |gap: &Gap| {
            let (from, until) = gap.times();
            let what = match gap {
                Gap::ClockBack { index, .. } => format!("back at {index}"),
                Gap::Silence { after, is_end, .. } => {
                    format!("{} after {after}", if *is_end { "end" } else { "silent" })
                }
                Gap::Unannounced { after, .. } => format!("killed after {after}"),
            };
            format!("{what}: {}-{}", from.unix_s(), until.unix_s())
        };
        watch.gaps.found.iter().map(told).collect()
    }

    #[test]
    fn silence_without_a_stop_is_a_gap_and_nothing_else_is() {
        use Kind::Heartbeat as Beat;
        use Kind::Key;
        use Kind::Release;
        use Kind::Start;
        use Kind::Stop;
        for (entries, expected) in [
            (&[][..], &[][..]),
            // Started, alive, stopped; a day later again.
            (&[(Start, 0), (Beat, 60), (Beat, 120), (Stop, 130)], &[]),
            (&[(Start, 0), (Stop, 9), (Start, 9_000), (Stop, 9_010)], &[]),
            // What is written before the start belongs to it, at first and later.
            (&[(Key, 0), (Start, 5_000), (Stop, 5_001)], &[]),
            (&[(Start, 0), (Stop, 9), (Key, 9_000), (Start, 9_900), (Stop, 9_910)], &[]),
            // 180 s are no gap, 181 s are.
            (&[(Start, 0), (Beat, 180), (Stop, 360)], &[]),
            (&[(Start, 0), (Beat, 181), (Stop, 182)], &["silent after 0: 0-181"]),
            // The log just ends.
            (
                &[(Start, 9_000), (Beat, 9_500)],
                &["silent after 0: 9000-9500", "end after 1: 9500-10000"],
            ),
            (&[(Start, 9_900)], &[]),
            (&[(Start, 0), (Stop, 9), (Key, 10)], &[]),
            // Killed and started again, at once or later; an attempt to start counts too.
            (&[(Start, 0), (Release, 5), (Start, 6), (Stop, 7)], &["killed after 1: 5-6"]),
            (
                &[(Start, 0), (Release, 5), (Start, 6_000), (Stop, 6_001)],
                &["killed after 1: 5-6000"],
            ),
            // A heartbeat is a sign of life even where the start is not there.
            (&[(Start, 0), (Stop, 9), (Beat, 20), (Stop, 900)], &["silent after 2: 20-900"]),
            // Threads may be out of order; a clock that went back is told once, and counts anew.
            (&[(Start, 100), (Beat, 160), (Release, 159), (Stop, 161)], &[]),
            (
                &[(Start, 1_000), (Beat, 1_060), (Beat, 400), (Beat, 460), (Stop, 470)],
                &["back at 2: 400-1060"],
            ),
            (&[(Start, 1_000), (Stop, 1_060), (Start, 400), (Stop, 470)], &["back at 2: 400-1060"]),
            // A clock that went forward and came back is a silence and a step back.
            (
                &[(Start, 0), (Beat, 60), (Beat, 5_000), (Beat, 180), (Stop, 200)],
                &["silent after 1: 60-5000", "back at 3: 180-5000"],
            ),
        ] {
            assert_eq!(shown(entries), expected, "{entries:?}");
        }
    }

    #[test]
    fn only_what_reaches_into_the_asked_time_is_told() {
        let second = Timestamp::from_unix_s;
        for (from, until, expected) in [
            (None, 10_000, 2),
            (Some(1_000), 10_000, 2),
            (Some(1_001), 10_000, 1),
            (Some(3_001), 10_000, 0),
            (None, 1_999, 1),
            (Some(500), 600, 1),
        ] {
            let wish =
                GapSearch { from: from.map(second), until: second(until), longest_ms: 180_000 };
            let mut watch = Watch { wish, last: None, gaps: Gaps::default() };
            let entries = [(Kind::Start, 0), (Kind::Heartbeat, 1_000), (Kind::Stop, 1_001)];
            let later = [(Kind::Start, 2_000), (Kind::Heartbeat, 3_000), (Kind::Stop, 3_001)];
            for (index, (kind, time)) in (0..).zip(entries.into_iter().chain(later)) {
                watch.see(index, kind, second(time));
            }
            watch.end();
            assert_eq!(watch.gaps.found.len(), expected, "{from:?} {until}");
        }
    }
}
