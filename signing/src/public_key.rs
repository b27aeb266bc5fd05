//! The public half of a signing key.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use protocol::token::jwk_from_pem;

use crate::error::SigningError;

/// Only keys of this size sign: the modulus in bytes of RSA-4096.
pub(crate) const MODULUS_BYTES: usize = 512;

/// The public half of a signing key, with its id.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// The key's RFC 7638 thumbprint.
    pub kid: String,
    /// The key: SubjectPublicKeyInfo in PEM.
    pub pem: String,
}

impl PublicKey {
    /// Reads a PEM, and refuses what is not an RSA-4096 key.
    pub(crate) fn from_pem(pem: &str) -> Result<Self, SigningError> {
        let unusable = |e: &dyn std::fmt::Display| SigningError::Unusable(e.to_string());
        let jwk = jwk_from_pem("", pem).map_err(|e| unusable(&e))?;
        let (Some(n), Some(e)) = (jwk.n, jwk.e) else { return Err(unusable(&"it is not an RSA key")) };
        let modulus = URL_SAFE_NO_PAD.decode(&n).map_err(|e| unusable(&e))?;
        if modulus.len() != MODULUS_BYTES {
            return Err(SigningError::Unusable(format!("it has {} bits; RSA-4096 is needed", modulus.len() * 8)));
        }
        Ok(Self { kid: thumbprint(&n, &e), pem: pem.to_owned() })
    }
}

/// RFC 7638, section 3: the required members in lexicographic order, without white space.
fn thumbprint(n: &str, e: &str) -> String {
    let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
    URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thumbprint_of_the_rfcs_example_is_the_rfcs() {
        // RFC 7638, section 3.1.
        let n = concat!(
            "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJE",
            "CPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2Q",
            "vzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6",
            "WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        );
        assert_eq!(thumbprint(n, "AQAB"), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
    }
}
