//! Without the private key no token passes, whatever the key set and the text; and no PEM or JWK makes the check panic.
#![no_main]

use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;
use protocol::id::HardwareId;
use protocol::token::{
    KeySet, assemble, jwk_from_pem, signing_input, verify_access, verify_claims, verify_license, verify_validation,
};

/// Public key whose private half was not kept.
const PEM: &str = include_str!("../public_key.pem");

fuzz_target!(|input: (&str, &str, &[u8], i64)| {
    let (token, claims, signature, second) = input;
    let mut keys = KeySet::new();
    keys.insert_pem("k", PEM).expect("the key is good");
    let _ = jwk_from_pem("k", token);
    if let Ok(jwks) = serde_json::from_str(token) {
        let _ = KeySet::from_jwks(&jwks).to_jwks();
    }

    let device = HardwareId::of(b"");
    let now = Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH);
    let claims: serde_json::Value = serde_json::from_str(claims).unwrap_or_default();
    for token in [token, &assemble(&signing_input("k", &claims), signature)] {
        assert!(verify_license(token, &keys, "i", Some(&device), now).is_err());
        assert!(verify_validation(token, &keys, "i", &device, now).is_err());
        assert!(verify_access(token, &keys, "i", now).is_err());
        assert!(verify_claims::<serde_json::Value>(token, &keys).is_err());
    }
});
