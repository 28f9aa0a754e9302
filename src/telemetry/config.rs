//! Where traces go.

use std::path::PathBuf;

use http::Uri;

/// `[telemetry]`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TelemetryConfig {
    /// The collector, as its base address: `/v1/traces` comes after it.
    pub otlp: Uri,
    /// Whom to believe under TLS; the system's authorities without.
    pub ca: Option<PathBuf>,
    /// How many of the traces that begin here.
    pub sample: Sample,
}

/// A share of traces. A trace that began elsewhere is taken or left as it says itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Sample(u64);

impl Sample {
    /// Every trace.
    pub const ALL: Self = Self(u64::MAX);

    /// Reads a decimal number from 0 to 1.
    pub fn parse(text: &str) -> Option<Self> {
        let share: f64 = text.parse().ok()?;
        if !(0.0..=1.0).contains(&share) {
            return None;
        }
        // Whole billionths: exact enough for a share, and no rounding of large floats.
        let parts = format!("{:.0}", share * f64::from(BILLION)).parse::<u128>().ok()?;
        let bound = parts * u128::from(u64::MAX) / u128::from(BILLION);
        u64::try_from(bound).ok().map(Self)
    }

    /// Whether a trace is taken. The last half of an id decides, so that every part of a system
    /// that decides this way decides the same.
    pub fn takes(self, trace: [u8; 16]) -> bool {
        let [.., a, b, c, d, e, f, g, h] = trace;
        self == Self::ALL || u64::from_be_bytes([a, b, c, d, e, f, g, h]) < self.0
    }
}

const BILLION: u32 = 1_000_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_between_none_and_all_of_the_traces() {
        let taken = |text: &str| {
            let sample = Sample::parse(text).unwrap();
            let step = |count: u64| u128::from(count.wrapping_mul(0x9E37_79B9_7F4A_7C15));
            (0..10_000).filter(|&count| sample.takes(step(count).to_be_bytes())).count()
        };
        assert_eq!((taken("0"), taken("1"), taken("1.0")), (0, 10_000, 10_000));
        assert!((990..=1010).contains(&taken("0.1")), "{}", taken("0.1"));
        for wrong in ["-0.1", "1.01", "nan", "inf", "often", ""] {
            assert_eq!(Sample::parse(wrong), None, "{wrong}");
        }
    }
}
