use proptest::prelude::*;
use protocol::token::{Jwk, Jwks, KeyFault, KeySet, jwk_from_pem, verify_license};
use rsa::RsaPublicKey;
use rsa::pkcs1::EncodeRsaPublicKey;
use rsa::pkcs8::{DecodePublicKey, EncodePrivateKey, LineEnding};
use serde_json::json;

use crate::signer::{FOREIGN, ISSUER, KID, OURS, keys, license_claims, now};

#[test]
fn a_key_set_knows_its_keys_by_name() {
    let mut keys = KeySet::new();
    assert!(keys.is_empty());
    keys.insert_pem("b", &OURS.public_pem).unwrap();
    keys.insert_pem("a", &FOREIGN.public_pem).unwrap();
    assert!(!keys.is_empty() && keys.contains("a") && !keys.contains("c"));
    assert_eq!(keys.kids().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(keys.pem("b").as_deref(), Some(OURS.public_pem.as_str()), "byte by byte what another library wrote");
    assert_eq!(keys.pem("c"), None);
    assert_eq!(format!("{keys:?}"), r#"{"a", "b"}"#);
}

#[test]
fn keys_survive_json() {
    let jwks: Jwks = serde_json::from_str(&serde_json::to_string(&keys().to_jwks()).unwrap()).unwrap();
    let read = KeySet::from_jwks(&jwks);
    assert_eq!(read.pem(KID).as_deref(), Some(OURS.public_pem.as_str()));
    assert!(verify_license(&OURS.sign(KID, &license_claims()), &read, ISSUER, None, now()).is_ok());
}

#[test]
fn a_jwk_has_the_fields_of_the_rfc() {
    let jwk = serde_json::to_value(jwk_from_pem(KID, &OURS.public_pem).unwrap()).unwrap();
    for (name, value) in [("kty", "RSA"), ("kid", KID), ("alg", "RS256"), ("use", "sig"), ("e", "AQAB")] {
        assert_eq!(jwk[name], value);
    }
    assert_eq!(jwk["n"].as_str().unwrap().len(), 342, "256 bytes, base64url, no leading zero");
}

#[test]
fn keys_for_other_purposes_are_left_out() {
    let good = jwk_from_pem("good", &OURS.public_pem).unwrap();
    let set = json!({"keys": [
        good,
        {"kty": "EC", "kid": "ec", "crv": "P-256", "x": "AA", "y": "AA", "alg": "ES256"},
        {"kty": "oct", "kid": "oct", "k": "c2VjcmV0", "alg": "HS256"},
        {"kty": "RSA", "kid": "pss", "alg": "PS256", "n": good.n, "e": good.e},
        {"kty": "RSA", "kid": "enc", "use": "enc", "n": good.n, "e": good.e},
        {"kty": "RSA", "kid": "empty", "n": "", "e": ""},
        {"kty": "RSA", "kid": "incomplete", "n": good.n},
        {"kty": "RSA", "kid": "not base64", "n": "+++", "e": "AQAB"},
        {"kty": "RSA", "kid": "even", "n": good.n, "e": "AQAA"},
        {"kty": "RSA", "kid": "one", "n": good.n, "e": "AQ"},
        {"kty": "RSA", "kid": "weak", "n": "gQ", "e": "AQAB"},
        {"kty": "RSA", "kid": "huge", "n": "_".repeat(1400), "e": "AQAB"},
        {"kty": "RSA", "kid": "slow", "n": good.n, "e": "AQAAAAAB"},
        {"kty": "RSA", "kid": "plain", "n": good.n, "e": good.e, "x5t": "unknown fields are fine"},
    ]});
    let keys = KeySet::from_jwks(&serde_json::from_value(set).unwrap());
    assert_eq!(keys.kids().collect::<Vec<_>>(), ["good", "plain"]);
}

#[test]
fn what_is_no_rsa_public_key_is_refused() {
    let private = OURS.private.to_pkcs8_pem(LineEnding::LF).unwrap();
    let pkcs1 = OURS.private.to_public_key().to_pkcs1_pem(LineEnding::LF).unwrap();
    let ed25519 = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n";
    let cut = OURS.public_pem.replacen("MII", "", 1);
    let long = format!("{}{}", OURS.public_pem, " ".repeat(5000));
    for (pem, fault) in [
        ("", KeyFault::Pem),
        (private.as_str(), KeyFault::Pem),
        (&pkcs1, KeyFault::Pem),
        (&cut, KeyFault::Pem),
        (&long, KeyFault::Pem),
        ("-----BEGIN PUBLIC KEY----------END PUBLIC KEY-----", KeyFault::Pem),
        ("-----BEGIN PUBLIC KEY-----\né\n-----END PUBLIC KEY-----", KeyFault::Pem),
        (ed25519, KeyFault::NotRsa),
    ] {
        assert_eq!(KeySet::new().insert_pem(KID, pem), Err(fault), "{pem}");
        assert_eq!(jwk_from_pem(KID, pem), Err(fault));
        assert!(fault.to_string().ends_with('.'));
    }
    assert!(KeyFault::Size.to_string().contains("2048") && KeyFault::Jwk.to_string().contains("JWK"));
}

#[test]
fn windows_line_ends_and_space_around_are_fine() {
    let pem = format!("\r\n{}\r\n", OURS.public_pem.replace('\n', "\r\n"));
    assert_eq!(jwk_from_pem(KID, &pem), jwk_from_pem(KID, &OURS.public_pem));
}

proptest! {
    /// Any usable modulus is written as another library writes it: leading zeros, high bits and all.
    #[test]
    fn pem_and_jwk_round_trip(mut modulus in prop::collection::vec(any::<u8>(), 257..700), exponent in prop::sample::select(vec![3u32, 17, 257, 65537, 0x8000_0001])) {
        use base64::Engine as _;
        let base64url = base64::engine::general_purpose::URL_SAFE_NO_PAD;
        modulus[0] |= 1;
        *modulus.last_mut().unwrap() |= 1;
        let jwk = Jwk {
            kty: "RSA".to_owned(),
            kid: Some(KID.to_owned()),
            alg: Some("RS256".to_owned()),
            usage: Some("sig".to_owned()),
            n: Some(base64url.encode(&modulus)),
            e: Some(base64url.encode(exponent.to_be_bytes())),
        };
        let keys = KeySet::from_jwks(&Jwks { keys: vec![jwk.clone()] });
        let pem = keys.pem(KID).unwrap();
        let read = jwk_from_pem(KID, &pem).unwrap();
        prop_assert_eq!(&read.n, &jwk.n);
        prop_assert_eq!(KeySet::from_jwks(&Jwks { keys: vec![read] }).pem(KID).unwrap(), pem.clone());
        // The other library takes keys of up to 4096 bits.
        if modulus.len() <= 512 {
            RsaPublicKey::from_public_key_pem(&pem).unwrap();
        }
    }

    #[test]
    fn any_text_is_answered(text in ".{0,300}") {
        prop_assert!(jwk_from_pem(KID, &text).is_err());
        let dressed_up = format!("-----BEGIN PUBLIC KEY-----{text}-----END PUBLIC KEY-----");
        prop_assert!(jwk_from_pem(KID, &dressed_up).is_err());
    }
}
