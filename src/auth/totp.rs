//! One-time codes of an authenticator app, for users who have one: the second factor of a login.
//!
//! Six digits, thirty seconds, SHA-1: what every such app knows. A code is good once; the clocks may differ by one code.
//! Source: RFC 6238, RFC 4226, RFC 4648 6.

use crate::clock::Instant;
use aws_lc_rs::hmac;

/// Seconds of a code.
const STEP: i64 = 30;
const ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// Base32 without padding.
#[must_use]
pub fn base32(bytes: &[u8]) -> String {
    let mut out = String::new();
    for chunk in bytes.chunks(5) {
        let mut bits = 0_u64;
        for n in 0..5 {
            bits = bits << 8 | u64::from(chunk.get(n).copied().unwrap_or(0));
        }
        let letters = (chunk.len() * 8).div_ceil(5);
        for n in 0..letters {
            let five = usize::try_from(bits >> (35 - 5 * n) & 31).unwrap_or(0);
            out.push(char::from(ALPHABET.get(five).copied().unwrap_or(b'A')));
        }
    }
    out
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut have) = (Vec::new(), 0_u32, 0_u32);
    for letter in text.bytes() {
        let five = ALPHABET.iter().position(|a| *a == letter)?;
        bits = (bits << 5 | u32::try_from(five).ok()?) & 0xfff;
        have += 5;
        if have >= 8 {
            have -= 8;
            out.push(u8::try_from(bits >> have & 0xff).ok()?);
        }
    }
    Some(out)
}

/// The code of a step: RFC 4226 5.3.
fn code(key: &hmac::Key, step: i64) -> String {
    let tag = hmac::sign(key, &step.to_be_bytes());
    let all = tag.as_ref();
    let at = usize::from(all.last().copied().unwrap_or(0) & 0xf);
    let word = all.get(at..at + 4).unwrap_or_default().iter().fold(0_u32, |n, b| n << 8 | u32::from(*b));
    format!("{:06}", (word & 0x7fff_ffff) % 1_000_000)
}

/// The code of a moment, for a secret in base32.
#[must_use]
pub fn code_at(secret: &str, now: Instant) -> Option<String> {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes(secret)?);
    Some(code(&key, now.0.div_euclid(STEP * 1_000_000)))
}

/// The step that a code is of, when it is one of now, or of just before or after. `secret`: base32.
#[must_use]
pub fn step_of(secret: &str, given: &str, now: Instant) -> Option<i64> {
    use subtle::ConstantTimeEq;
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &bytes(secret)?);
    let step = now.0.div_euclid(STEP * 1_000_000);
    let given: String = given.chars().filter(|c| !c.is_whitespace()).take(16).collect();
    // All three are computed, whichever fits.
    let fits = [step - 1, step, step + 1].map(|s| (s, bool::from(code(&key, s).as_bytes().ct_eq(given.as_bytes()))));
    fits.into_iter().find(|(_, fits)| *fits).map(|(s, _)| s)
}

/// What an authenticator app reads.
#[must_use]
pub fn address(user: &str, root: &str, secret: &str) -> String {
    let host = root.split_once("://").map_or(root, |(_, rest)| rest);
    format!("otpauth://totp/Baton:{user}%40{}?secret={secret}&issuer=Baton", host.replace(':', "%3A"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6238, appendix B, as six digits; RFC 4648, section 10.
    #[test]
    fn codes_are_those_of_the_standard() {
        let secret = base32(b"12345678901234567890");
        assert_eq!(secret, "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            let now = Instant(seconds * 1_000_000);
            assert_eq!(step_of(&secret, code, now), Some(seconds / 30), "{seconds}");
            assert_eq!(step_of(&secret, code, now.plus_seconds(30)), Some(seconds / 30), "a clock that is late");
            assert_eq!(step_of(&secret, code, now.plus_seconds(90)), None);
            assert_eq!(step_of(&secret, &format!(" {} {}", &code[..3], &code[3..]), now), Some(seconds / 30));
        }
        for wrong in ["", "28708", "2870820", "abcdef"] {
            assert_eq!(step_of(&secret, wrong, Instant(59_000_000)), None, "{wrong}");
        }
        for (text, base) in
            [("", ""), ("f", "MY"), ("fo", "MZXQ"), ("foo", "MZXW6"), ("foob", "MZXW6YQ"), ("foobar", "MZXW6YTBOI")]
        {
            assert_eq!(base32(text.as_bytes()), base);
            assert_eq!(bytes(base).as_deref(), Some(text.as_bytes()));
        }
        assert_eq!(bytes("1"), None);
    }
}
