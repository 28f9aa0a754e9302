//! One-time codes of operators: RFC 6238 with SHA-1, 30 seconds and six digits, as every
//! authenticator app makes them.

use std::fmt::Write as _;

use totp_rs::Builder;
use totp_rs::Totp;
use zeroize::Zeroizing;

/// Makes and checks the codes of one operator.
pub(super) struct Codes(Totp);

impl Codes {
    /// The codes of a secret, which has [`SECRET_LEN`] bytes.
    pub(super) fn new(secret: &[u8]) -> Option<Self> {
        let secret: [u8; SECRET_LEN] = secret.try_into().ok()?;
        let totp = Builder::new()
            .with_secret(totp_rs::Secret::new_stack(secret))
            .with_digits(6)
            .with_skew(SKEW)
            .with_step_duration(STEP_S)
            .build();
        totp.ok().map(Self)
    }

    /// The step whose code this is, among the current one and those beside it. The comparison
    /// takes as long for a code that is nearly right.
    pub(super) fn step(&self, code: &str, unix_s: u64) -> Option<u64> {
        let six = code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit());
        if !six {
            return None;
        }
        self.0.check(code, unix_s)
    }
}

/// The address that authenticator apps read, mostly as a QR code. It holds the secret.
pub fn otpauth(name: &str, secret: &[u8; SECRET_LEN]) -> Zeroizing<String> {
    let mut uri = Zeroizing::new(String::with_capacity(192));
    let encoded = Zeroizing::new(totp_rs::Secret::new_stack(*secret).to_base32());
    // Names of operators are letters, digits, `.`, `_` and `-`. Writing to a String does not fail.
    write!(
        uri,
        "otpauth://totp/Privet:{name}?secret={}&issuer=Privet&algorithm=SHA1&digits=6&period={STEP_S}",
        encoded.as_str()
    )
    .unwrap_or_default();
    uri
}

/// The length of a secret, in bytes (RFC 4226 §4 recommends 160 bits).
pub const SECRET_LEN: usize = 20;
/// How long a code lasts.
pub(super) const STEP_S: u64 = 30;
/// How many steps beside the current one count, for clocks that differ.
const SKEW: u16 = 1;

#[cfg(test)]
impl Codes {
    /// The code of a moment.
    pub(super) fn at(&self, unix_s: u64) -> String {
        self.0.generate(unix_s).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238 appendix B, SHA-1; the last six of its eight digits.
    #[test]
    fn published_codes() {
        let codes = Codes::new(b"12345678901234567890").unwrap();
        for (unix_s, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(codes.at(unix_s), code);
            assert_eq!(codes.step(code, unix_s), Some(unix_s / 30));
        }
    }

    #[test]
    fn only_six_digits_of_a_step_near_by_count() {
        let codes = Codes::new(&[7; SECRET_LEN]).unwrap();
        let now = 1_800_000_000;
        let code = codes.at(now);
        for (near, counts) in [(-60, false), (-30, true), (0, true), (30, true), (60, false)] {
            let at = now.checked_add_signed(near).unwrap();
            assert_eq!(codes.step(&code, at).is_some(), counts, "{near}");
        }
        let (three, rest) = code.split_at(3);
        let (_, last_five) = code.split_at(1);
        for odd in [
            format!(" {code}"),
            format!("{code} "),
            format!("{three} {rest}"),
            format!("0{code}"),
            format!("+{last_five}"),
            last_five.to_owned(),
            String::new(),
            "１２３４５６".to_owned(),
        ] {
            assert_eq!(codes.step(&odd, now), None, "{odd}");
        }
        assert!(Codes::new(&[7; 10]).is_none() && Codes::new(&[]).is_none());
    }

    #[test]
    fn the_address_holds_what_an_app_needs() {
        let uri = otpauth("ada", b"12345678901234567890");
        assert_eq!(
            uri.as_str(),
            "otpauth://totp/Privet:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Privet\
             &algorithm=SHA1&digits=6&period=30"
        );
    }
}
