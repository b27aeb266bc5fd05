//! The public keys that are trusted, by name.

use std::collections::BTreeMap;
use std::fmt;

use jsonwebtoken::DecodingKey;

use super::error::{KeyFault, TokenError};
use super::jwk::{Jwk, Jwks};
use super::public_key::PublicKey;

/// Keys by name (`kid`). Only RSA public keys get in, so a token can never choose what its signature is checked with.
#[derive(Clone, Default)]
pub struct KeySet {
    keys: BTreeMap<String, Entry>,
}

#[derive(Clone)]
struct Entry {
    decoding: DecodingKey,
    public: PublicKey,
}

impl KeySet {
    /// Returns an empty set, which trusts no key.
    pub fn new() -> Self {
        Self::default()
    }

    /// Trusts the key in `-----BEGIN PUBLIC KEY-----` form, in place of one of the same name.
    pub fn insert_pem(&mut self, kid: impl Into<String>, pem: &str) -> Result<(), KeyFault> {
        self.insert(kid.into(), PublicKey::from_pem(pem)?);
        Ok(())
    }

    /// Trusts every key of the set that can check RS256. Others are left out, as RFC 7517 asks: an issuer may have keys for
    /// other purposes beside them.
    pub fn from_jwks(jwks: &Jwks) -> Self {
        let mut set = Self::new();
        for jwk in &jwks.keys {
            let for_rs256 = jwk.alg.as_deref().is_none_or(|alg| alg == "RS256");
            let for_signatures = jwk.usage.as_deref().is_none_or(|usage| usage == "sig");
            if let Ok(public) = PublicKey::from_jwk(jwk)
                && for_rs256
                && for_signatures
            {
                set.insert(jwk.kid.clone().unwrap_or_default(), public);
            }
        }
        set
    }

    /// Returns the keys as a JWKS.
    pub fn to_jwks(&self) -> Jwks {
        Jwks { keys: self.keys.iter().map(|(kid, entry)| entry.public.to_jwk(kid)).collect() }
    }

    /// Returns true if the key of this name is trusted.
    pub fn contains(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    /// Returns true if no key is trusted.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Returns the names of the keys, in order.
    pub fn kids(&self) -> impl Iterator<Item = &str> {
        self.keys.keys().map(String::as_str)
    }

    /// Returns a key in `-----BEGIN PUBLIC KEY-----` form.
    pub fn pem(&self, kid: &str) -> Option<String> {
        self.keys.get(kid).map(|entry| entry.public.to_pem())
    }

    /// Returns the key that a token names. A token may leave the name out where there is only one key (OpenID Connect allows it).
    pub(super) fn for_token(&self, kid: Option<&str>) -> Result<&DecodingKey, TokenError> {
        let entry = match kid {
            Some(kid) => self.keys.get(kid),
            None => self.keys.values().next().filter(|_| self.keys.len() == 1),
        };
        let unknown = || TokenError::UnknownKey { kid: kid.unwrap_or_default().to_owned() };
        entry.map(|entry| &entry.decoding).ok_or_else(unknown)
    }

    fn insert(&mut self, kid: String, public: PublicKey) {
        self.keys.insert(kid, Entry { decoding: public.decoding_key(), public });
    }
}

impl fmt::Debug for KeySet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kids()).finish()
    }
}

/// Returns the JWK of a public key in `-----BEGIN PUBLIC KEY-----` form.
pub fn jwk_from_pem(kid: &str, pem: &str) -> Result<Jwk, KeyFault> {
    Ok(PublicKey::from_pem(pem)?.to_jwk(kid))
}
