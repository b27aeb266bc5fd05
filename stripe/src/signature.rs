//! Stripe's webhook signatures (<https://docs.stripe.com/webhooks#verify-manually>).
//!
//! The header is `t=SECONDS,v1=HEX[,v1=HEX…]`: HMAC-SHA-256 over `SECONDS.BODY` under the endpoint's secret, once for each
//! secret while one is being rolled. Other schemes than `v1` are ignored, so that a sender can't choose a weaker one.

use std::fmt;

use aws_lc_rs::hmac;
use hex::FromHex as _;
use jiff::{SignedDuration, Timestamp};

/// Maximum difference of the time of signing from now, either way; the default of Stripe's libraries.
pub const TOLERANCE: SignedDuration = SignedDuration::from_secs(300);

/// More parts than any header of Stripe's has.
const MAX_PARTS: usize = 32;

/// Length of an HMAC-SHA-256.
const SIGNATURE_BYTES: usize = 32;

/// The secrets of a webhook endpoint: one, or several while one is being rolled.
#[derive(Clone)]
pub struct Secrets(Vec<hmac::Key>);

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} secrets", self.0.len())
    }
}

/// Error of a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignatureError {
    /// No header, or not of the form `t=…,v1=…`.
    Header,
    /// Signed too long ago, or in the future.
    Time,
    /// None of the signatures is by one of our secrets over this body.
    Signature,
}

impl fmt::Display for SignatureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Header => "The Stripe-Signature header is missing or not of the form `t=…,v1=…`.",
            Self::Time => "The signature's time is more than five minutes from now. Check the clocks.",
            Self::Signature => {
                "No signature in the header is by a secret of this endpoint over exactly this body. Check \
                 STRIPE_WEBHOOK_SECRETS, and that nothing on the way changes the body."
            }
        })
    }
}

impl Secrets {
    /// Parses `STRIPE_WEBHOOK_SECRETS`.
    ///
    /// # Errors
    /// A sentence for the list of mistakes.
    pub fn parse(value: &str) -> Result<Self, String> {
        let secrets: Vec<_> = value.split(',').map(str::trim).filter(|secret| !secret.is_empty()).collect();
        if secrets.is_empty() {
            return Err("must be signing secrets, separated by commas".to_owned());
        }
        // The whole text is the key, `whsec_` included.
        Ok(Self(secrets.iter().map(|secret| hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes())).collect()))
    }

    /// Checks a body's signature.
    ///
    /// # Errors
    /// The reason why it is refused.
    pub fn verify(&self, header: Option<&str>, body: &[u8], now: Timestamp) -> Result<(), SignatureError> {
        let (at, signatures) = parse_header(header.ok_or(SignatureError::Header)?)?;
        let mut signed = format!("{at}.").into_bytes();
        signed.extend_from_slice(body);
        // `hmac::verify` compares in constant time.
        let genuine = signatures.iter().any(|s| self.0.iter().any(|key| hmac::verify(key, &signed, s).is_ok()));
        if !genuine {
            return Err(SignatureError::Signature);
        }
        let at: i64 = at.parse().map_err(|_| SignatureError::Header)?;
        if now.as_second().abs_diff(at) > TOLERANCE.as_secs().unsigned_abs() {
            return Err(SignatureError::Time);
        }
        Ok(())
    }
}

/// Returns the time as it was signed, and the signatures.
fn parse_header(header: &str) -> Result<(&str, Vec<[u8; SIGNATURE_BYTES]>), SignatureError> {
    let (mut at, mut signatures) = (None, Vec::new());
    for part in header.split(',').take(MAX_PARTS) {
        match part.trim().split_once('=') {
            Some(("t", _)) if at.is_some() => return Err(SignatureError::Header),
            Some(("t", seconds)) => at = Some(seconds),
            // Stripe writes lower case alone: one signature, one way to write it.
            Some(("v1", signature)) if !signature.bytes().any(|b| b.is_ascii_uppercase()) => {
                signatures.extend(<[u8; SIGNATURE_BYTES]>::from_hex(signature).ok());
            }
            _ => {}
        }
    }
    match at {
        Some(at) if !signatures.is_empty() && !at.is_empty() && at.bytes().all(|b| b.is_ascii_digit()) => {
            Ok((at, signatures))
        }
        _ => Err(SignatureError::Header),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_is_checked_both_ways() {
        let secrets = Secrets::parse("whsec_0123456789abcdef").unwrap();
        let sign = |at: i64| {
            let key = hmac::Key::new(hmac::HMAC_SHA256, b"whsec_0123456789abcdef");
            format!("t={at},v1={}", hex::encode(hmac::sign(&key, format!("{at}.{{}}").as_bytes())))
        };
        let now = Timestamp::from_second(1_700_000_000).unwrap();
        for (at, expected) in [
            (0, Ok(())),
            (-300, Ok(())),
            (300, Ok(())),
            (-301, Err(SignatureError::Time)),
            (301, Err(SignatureError::Time)),
        ] {
            assert_eq!(secrets.verify(Some(&sign(1_700_000_000 + at)), b"{}", now), expected, "{at}");
        }
    }
}
