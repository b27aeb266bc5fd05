//! Every forged, foreign, expired and confused token is refused, with the reason.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use jsonwebtoken::{Algorithm, EncodingKey};
use proptest::prelude::*;
use protocol::id::HardwareId;
use protocol::token::{
    self, KeySet, LEEWAY_SECONDS, LicenseClaims, MAX_TOKEN_LEN, TokenError, verify_access, verify_claims,
    verify_license, verify_validation,
};
use serde_json::{Value, json};

use crate::signer::{
    FOREIGN, ISSUER, KID, NOW, OURS, access_claims, device, keys, license_claims, now, unsigned, validation_claims,
};

fn check(token: &str) -> Result<LicenseClaims, TokenError> {
    verify_license(token, &keys(), ISSUER, Some(&device()), now())
}

fn check_at(token: &str, second: i64) -> Result<LicenseClaims, TokenError> {
    verify_license(token, &keys(), ISSUER, Some(&device()), Timestamp::from_second(second).unwrap())
}

/// A license token, with one claim changed; `null` takes the claim out.
fn with_claim(name: &str, value: Value) -> String {
    let mut claims = serde_json::to_value(license_claims()).unwrap();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    OURS.sign(KID, &claims)
}

#[test]
fn good_tokens_say_what_was_signed() {
    let license = license_claims();
    assert_eq!(check(&OURS.sign(KID, &license)), Ok(license.clone()));
    assert_eq!(verify_license(&OURS.sign(KID, &license), &keys(), ISSUER, None, now()), Ok(license));

    let validation = validation_claims();
    assert_eq!(verify_validation(&OURS.sign(KID, &validation), &keys(), ISSUER, &device(), now()), Ok(validation));

    let access = access_claims();
    assert_eq!(verify_access(&OURS.sign(KID, &access), &keys(), ISSUER, now()), Ok(access));
}

#[test]
fn no_algorithm_is_refused() {
    let claims = serde_json::to_string(&license_claims()).unwrap();
    for alg in ["none", "None", "NONE", ""] {
        let unsigned = unsigned(&json!({"alg": alg, "kid": KID}).to_string(), &claims);
        assert_eq!(check(&format!("{unsigned}.")), Err(TokenError::Algorithm), "{alg}");
        assert_eq!(check(&OURS.sign_text(&unsigned)), Err(TokenError::Algorithm), "{alg}");
    }
}

#[test]
fn hmac_with_the_public_key_is_refused() {
    let text =
        unsigned(&json!({"alg": "HS256", "kid": KID}).to_string(), &serde_json::to_string(&license_claims()).unwrap());
    let secret = EncodingKey::from_secret(OURS.public_pem.as_bytes());
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &secret, Algorithm::HS256).unwrap();
    assert_eq!(check(&format!("{text}.{signature}")), Err(TokenError::Algorithm));

    // An HMAC under our algorithm's name is refused too.
    let text =
        unsigned(&json!({"alg": "RS256", "kid": KID}).to_string(), &serde_json::to_string(&license_claims()).unwrap());
    let signature = jsonwebtoken::crypto::sign(text.as_bytes(), &secret, Algorithm::HS256).unwrap();
    assert_eq!(check(&format!("{text}.{signature}")), Err(TokenError::Signature));
}

#[test]
fn other_algorithms_are_refused_before_any_key_is_looked_at() {
    for alg in ["RS384", "RS512", "PS256", "ES256", "EdDSA", "HS384", "rs256"] {
        let token = OURS.sign_with_header(&json!({"alg": alg, "kid": "nobody"}).to_string(), &license_claims());
        assert_eq!(check(&token), Err(TokenError::Algorithm), "{alg}");
    }
}

#[test]
fn unknown_keys_are_refused_by_name() {
    let unknown = TokenError::UnknownKey { kid: "next-1".to_owned() };
    assert_eq!(check(&OURS.sign("next-1", &license_claims())), Err(unknown));
    let empty = verify_license(&OURS.sign(KID, &license_claims()), &KeySet::new(), ISSUER, None, now());
    assert_eq!(empty, Err(TokenError::UnknownKey { kid: KID.to_owned() }));
}

#[test]
fn another_key_under_our_name_is_refused() {
    assert_eq!(check(&FOREIGN.sign(KID, &license_claims())), Err(TokenError::Signature));
}

#[test]
fn a_key_in_the_header_is_not_looked_at() {
    let theirs = token::jwk_from_pem(KID, &FOREIGN.public_pem).unwrap();
    for name in ["jwk", "x5c", "jku"] {
        let header = json!({"alg": "RS256", "kid": KID, name: theirs});
        assert_eq!(
            check(&FOREIGN.sign_with_header(&header.to_string(), &license_claims())),
            Err(TokenError::Signature)
        );
    }
}

#[test]
fn extensions_that_must_be_understood_are_refused() {
    let header = json!({"alg": "RS256", "kid": KID, "crit": ["b64"], "b64": false});
    assert_eq!(check(&OURS.sign_with_header(&header.to_string(), &license_claims())), Err(TokenError::Malformed));
}

#[test]
fn a_token_without_a_key_name_needs_a_single_key() {
    let token = OURS.sign_with_header(r#"{"alg":"RS256"}"#, &license_claims());
    assert!(check(&token).is_ok());
    let mut two = keys();
    two.insert_pem("ours-2", &FOREIGN.public_pem).unwrap();
    let answer = verify_license(&token, &two, ISSUER, None, now());
    assert_eq!(answer, Err(TokenError::UnknownKey { kid: String::new() }));
}

#[test]
fn every_part_is_under_the_signature() {
    let token = OURS.sign(KID, &license_claims());
    let other = OURS.sign(KID, &license_claims());
    let parts: Vec<&str> = token.split('.').collect();
    let others: Vec<&str> = other.split('.').collect();
    assert_eq!(check(&[parts[0], others[1], parts[2]].join(".")), Err(TokenError::Signature));
    assert_eq!(check(&[parts[0], parts[1], others[2]].join(".")), Err(TokenError::Signature));
    let header = URL_SAFE_NO_PAD.encode(json!({"kid": KID, "alg": "RS256"}).to_string());
    assert_eq!(check(&[&header, parts[1], parts[2]].join(".")), Err(TokenError::Signature));
}

#[test]
fn what_is_no_token_is_malformed() {
    let token = OURS.sign(KID, &license_claims());
    let long = format!("{token}.{}", "A".repeat(MAX_TOKEN_LEN));
    let padded = format!("{token}=");
    let fourth = format!("{token}.AAAA");
    for text in [
        "",
        ".",
        "..",
        "...",
        "a.b.c",
        "é.é.é",
        &token[1..],
        &token[..token.rfind('.').unwrap()],
        &long,
        &padded,
        &fourth,
    ] {
        assert_eq!(check(text), Err(TokenError::Malformed), "{text}");
    }
    assert_eq!(check(&format!("{}.", &token[..token.rfind('.').unwrap()])), Err(TokenError::Signature));
    let array = OURS.sign_text(&unsigned(&json!({"alg": "RS256", "kid": KID}).to_string(), "not json"));
    assert_eq!(check(&array), Err(TokenError::Malformed));
}

#[test]
fn another_issuer_is_refused() {
    for iss in [json!("https://cloud.test/"), json!("https://evil.test"), json!([ISSUER]), json!(7), Value::Null] {
        assert_eq!(check(&with_claim("iss", iss.clone())), Err(TokenError::Issuer), "{iss}");
    }
}

#[test]
fn another_audience_is_refused() {
    for aud in [json!("coditect-api"), json!(["coditect"]), json!("CODITECT"), Value::Null] {
        assert_eq!(check(&with_claim("aud", aud.clone())), Err(TokenError::Audience), "{aud}");
    }
}

#[test]
fn another_type_is_refused() {
    for typ in [json!("validation"), json!("License"), json!(1), Value::Null] {
        assert_eq!(check(&with_claim("typ", typ.clone())), Err(TokenError::Type), "{typ}");
    }
}

#[test]
fn no_kind_of_token_passes_for_another() {
    let (license, validation, access) =
        (OURS.sign(KID, &license_claims()), OURS.sign(KID, &validation_claims()), OURS.sign(KID, &access_claims()));
    assert_eq!(check(&validation), Err(TokenError::Type));
    assert_eq!(check(&access), Err(TokenError::Audience));
    let as_validation = |token: &str| verify_validation(token, &keys(), ISSUER, &device(), now()).unwrap_err();
    assert_eq!(as_validation(&license), TokenError::Type);
    assert_eq!(as_validation(&access), TokenError::Audience);
    let as_access = |token: &str| verify_access(token, &keys(), ISSUER, now()).unwrap_err();
    assert_eq!(as_access(&license), TokenError::Audience);
    assert_eq!(as_access(&validation), TokenError::Audience);
    // Nor one that carries our audience and the type of another kind.
    let mut confused = serde_json::to_value(access_claims()).unwrap();
    confused["typ"] = json!("license");
    assert_eq!(as_access(&OURS.sign(KID, &confused)), TokenError::Type);
}

#[test]
fn another_machine_is_refused() {
    let other = HardwareId::of(b"another machine");
    let license = OURS.sign(KID, &license_claims());
    assert_eq!(verify_license(&license, &keys(), ISSUER, Some(&other), now()), Err(TokenError::Device));
    let validation = OURS.sign(KID, &validation_claims());
    assert_eq!(verify_validation(&validation, &keys(), ISSUER, &other, now()), Err(TokenError::Device));
}

#[test]
fn times_have_a_leeway_of_a_minute_and_no_more() {
    let token = OURS.sign(KID, &license_claims());
    let exp = license_claims().exp;
    assert!(check_at(&token, exp + LEEWAY_SECONDS - 1).is_ok());
    assert_eq!(check_at(&token, exp + LEEWAY_SECONDS), Err(TokenError::Expired));
    assert!(check_at(&token, NOW - LEEWAY_SECONDS).is_ok());
    assert_eq!(check_at(&token, NOW - LEEWAY_SECONDS - 1), Err(TokenError::NotYetValid));
}

#[test]
fn a_clock_that_was_set_back_does_not_bring_a_token_back() {
    // These two kinds have no `nbf`: when they were signed is as good.
    let past = Timestamp::from_second(NOW - LEEWAY_SECONDS - 1).unwrap();
    let validation = OURS.sign(KID, &validation_claims());
    assert_eq!(verify_validation(&validation, &keys(), ISSUER, &device(), past), Err(TokenError::NotYetValid));
    assert_eq!(verify_access(&OURS.sign(KID, &access_claims()), &keys(), ISSUER, past), Err(TokenError::NotYetValid));
}

#[test]
fn absurd_times_are_refused_without_a_panic() {
    for (name, value, error) in [
        ("exp", json!(i64::MIN), TokenError::Expired),
        ("exp", json!(-1), TokenError::Expired),
        ("exp", json!(1e300), TokenError::Malformed),
        ("exp", json!(u64::MAX), TokenError::Malformed),
        ("exp", json!("tomorrow"), TokenError::Malformed),
        ("exp", Value::Null, TokenError::Malformed),
        ("iat", Value::Null, TokenError::Malformed),
        ("iat", json!(i64::MAX), TokenError::NotYetValid),
        ("nbf", json!(i64::MAX), TokenError::NotYetValid),
        ("nbf", Value::Null, TokenError::Malformed),
    ] {
        assert_eq!(check(&with_claim(name, value.clone())), Err(error), "{name} {value}");
    }
    assert!(check(&with_claim("exp", json!(i64::MAX))).is_ok());
}

#[test]
fn missing_and_wrong_claims_are_malformed() {
    for name in ["sub", "jti", "tenant_id", "license_id", "session_id", "hardware_id", "tier", "features", "quotas"] {
        assert_eq!(check(&with_claim(name, Value::Null)), Err(TokenError::Malformed), "{name}");
        assert_eq!(check(&with_claim(name, json!({"a": {}}))), Err(TokenError::Malformed), "{name}");
    }
    for claims in [json!([]), json!("text"), json!(null)] {
        assert_eq!(check(&OURS.sign(KID, &claims)), Err(TokenError::Issuer), "{claims}");
    }
}

#[test]
fn a_plan_that_gained_a_feature_keeps_older_programs_going() {
    let token = with_claim("features", json!(["hooks", "teleport", "sso"]));
    let features: Vec<&str> = check(&token).unwrap().features.into_iter().map(|feature| feature.as_str()).collect();
    assert_eq!(features, ["hooks", "sso"]);
    assert!(check(&with_claim("extra", json!(1))).is_ok());
}

#[test]
fn the_signature_alone_can_be_checked() {
    let claims = json!({"sub": "ada", "aud": ["one", "two"], "exp": 1});
    let read: Value = verify_claims(&OURS.sign(KID, &claims), &keys()).unwrap();
    assert_eq!(read, claims);
    let forged: Result<Value, _> = verify_claims(&FOREIGN.sign(KID, &claims), &keys());
    assert_eq!(forged, Err(TokenError::Signature));
    let shape: Result<Vec<u8>, _> = verify_claims(&OURS.sign(KID, &claims), &keys());
    assert_eq!(shape, Err(TokenError::Malformed));
}

#[test]
fn every_refusal_is_a_sentence() {
    use TokenError::{
        Algorithm, Audience, Device, Expired, Issuer, Malformed, NotYetValid, Signature, Type, UnknownKey,
    };
    let unknown = UnknownKey { kid: "k".repeat(5000) };
    assert!(unknown.to_string().len() < 300, "a name from outside is quoted only in part");
    for error in [Malformed, Algorithm, unknown, Signature, Expired, NotYetValid, Issuer, Audience, Type, Device] {
        assert!(error.to_string().ends_with('.'), "{error}");
    }
}

proptest! {
    #[test]
    fn any_text_is_answered(text in ".{0,200}") {
        prop_assert!(check(&text).is_err());
    }

    #[test]
    fn a_changed_byte_anywhere_is_noticed(place in any::<prop::sample::Index>(), byte in 33u8..127) {
        let token = OURS.sign(KID, &license_claims());
        let mut changed = token.clone().into_bytes();
        let place = place.index(changed.len());
        changed[place] = byte;
        let changed = String::from_utf8(changed).unwrap();
        prop_assert_eq!(check(&changed).is_ok(), changed == token);
    }
}
