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
        // RFC 7638, section 3: the required members in lexicographic order, without white space.
        let members = format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#);
        let kid = URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, members.as_bytes()));
        Ok(Self { kid, pem: pem.to_owned() })
    }
}
