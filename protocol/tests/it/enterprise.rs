//! Enterprise license files: read back as they were made, and refused for every reason there is.

use jiff::Timestamp;
use protocol::id::{LicenseId, TenantId};
use protocol::key::{KeyError, LicenseKey};
use protocol::token::{
    ACCESS_AUDIENCE, ENTERPRISE_AUDIENCE, ENTERPRISE_ISSUER, ENTERPRISE_TYPE, EnterpriseClaims, EnterpriseLicense,
    LICENSE_AUDIENCE, LICENSE_TYPE, LicenseFileError, PERPETUAL, TokenError, armour, read_enterprise_license,
    verify_access, verify_license,
};
use protocol::wire::Tier;
use serde_json::{Value, json};

use crate::signer::{FOREIGN, KID, NOW, OURS, access_claims, keys, license_claims, now, validation_claims};

const DAY: i64 = 86_400;

fn claims() -> EnterpriseClaims {
    EnterpriseClaims {
        iss: ENTERPRISE_ISSUER.to_owned(),
        sub: LicenseId::new(),
        aud: ENTERPRISE_AUDIENCE.to_owned(),
        typ: ENTERPRISE_TYPE.to_owned(),
        iat: NOW,
        exp: NOW + 365 * DAY,
        jti: "file-1".to_owned(),
        tenant_id: TenantId::new(),
        customer: "Acme & Söhne".to_owned(),
        tier: Tier::Enterprise,
        users: 250,
    }
}

fn with(name: &str, value: Value) -> String {
    let mut claims = serde_json::to_value(claims()).unwrap();
    claims[name] = value;
    armour(&OURS.sign(KID, &claims))
}

fn read(file: &str) -> Result<EnterpriseLicense, LicenseFileError> {
    read_enterprise_license(file, &keys(), now())
}

fn refused(file: &str) -> TokenError {
    match read(file) {
        Err(LicenseFileError::Token(why)) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_file_says_what_was_signed_however_it_was_sent() {
    let claims = claims();
    let file = armour(&OURS.sign(KID, &claims));
    assert!(file.lines().all(|line| line.len() <= 64), "{file}");
    let mangled = format!("Dear customer,\r\n\r\n{}\r\nKind regards", file.replace('\n', "\r\n  "));
    for sent in [&file, &mangled] {
        let license = read(sent).unwrap();
        assert_eq!(license.claims, claims);
        let name = &license.short_name;
        assert!(name.starts_with("CODITECT-ENT-ACMESHNE-250-20280115-") && name.len() == 35 + 16, "{name}");
        // A user who takes the name for a key gets the error that the file is needed.
        assert_eq!(LicenseKey::parse(name), Err(KeyError::NeedsLicenseFile));
    }
    assert_eq!(claims.ends(), Some(Timestamp::from_second(NOW + 365 * DAY).unwrap()));
}

#[test]
fn a_perpetual_file_has_no_end() {
    let license = read(&with("exp", json!(PERPETUAL))).unwrap();
    assert_eq!(license.claims.ends(), None);
    assert!(license.short_name.contains("-99991231-"), "{}", license.short_name);
}

#[test]
fn anything_else_than_a_whole_file_is_refused() {
    let file = armour(&OURS.sign(KID, &claims()));
    let half = &file[..file.len() / 2];
    let huge = file.replace("-----END", &format!("{}\n-----END", "A".repeat(40_000)));
    for text in ["", "CODITECT-ENT-ACME-250-20280115-0123456789ABCDEF", &OURS.sign(KID, &claims()), half, &huge] {
        assert_eq!(read(text), Err(LicenseFileError::NotOne));
    }
    let lines: Vec<&str> = file.lines().collect();
    let without_one = [&lines[..3], &lines[4..]].concat().join("\n");
    assert!(matches!(refused(&without_one), TokenError::Signature | TokenError::Malformed));
}

#[test]
fn a_forged_file_is_refused() {
    let (ours, theirs) = (OURS.sign(KID, &claims()), FOREIGN.sign(KID, &claims()));
    assert_eq!(refused(&armour(&theirs)), TokenError::Signature);
    let unknown = TokenError::UnknownKey { kid: "another".to_owned() };
    assert_eq!(refused(&armour(&FOREIGN.sign("another", &claims()))), unknown);
    // More users, under the signature for fewer.
    let more = OURS.sign(KID, &EnterpriseClaims { users: 9999, ..claims() });
    let swapped = format!("{}.{}", more.rsplit_once('.').unwrap().0, ours.rsplit_once('.').unwrap().1);
    assert_eq!(refused(&armour(&swapped)), TokenError::Signature);
}

#[test]
fn what_is_signed_for_something_else_is_refused() {
    for (name, value, why) in [
        ("iss", json!("https://licenses.test"), TokenError::Issuer),
        ("aud", json!(LICENSE_AUDIENCE), TokenError::Audience),
        ("aud", json!(ACCESS_AUDIENCE), TokenError::Audience),
        ("typ", json!(LICENSE_TYPE), TokenError::Type),
        ("tier", json!("TEAM"), TokenError::Type),
        ("users", json!(0), TokenError::Type),
        ("users", json!(-5), TokenError::Malformed),
        ("exp", json!("never"), TokenError::Malformed),
    ] {
        assert_eq!(refused(&with(name, value)), why, "{name}");
    }
    for token in
        [OURS.sign(KID, &license_claims()), OURS.sign(KID, &validation_claims()), OURS.sign(KID, &access_claims())]
    {
        assert_eq!(refused(&armour(&token)), TokenError::Issuer);
    }
    // Nor does the file pass for a token, also where the issuer of the vendor's cloud has the name of that of the licenses.
    let file = OURS.sign(KID, &claims());
    assert_eq!(verify_license(&file, &keys(), ENTERPRISE_ISSUER, None, now()), Err(TokenError::Audience));
    assert_eq!(verify_access(&file, &keys(), ENTERPRISE_ISSUER, now()).unwrap_err(), TokenError::Audience);
}

#[test]
fn a_file_is_good_from_its_signature_to_its_end() {
    let file = armour(&OURS.sign(KID, &claims()));
    let at = |second: i64| read_enterprise_license(&file, &keys(), Timestamp::from_second(second).unwrap());
    assert!(at(NOW + 365 * DAY - 1).is_ok());
    assert_eq!(at(NOW + 366 * DAY), Err(LicenseFileError::Token(TokenError::Expired)));
    assert_eq!(at(NOW - DAY), Err(LicenseFileError::Token(TokenError::NotYetValid)));
}

#[test]
fn each_refusal_says_what_to_do() {
    let unknown = TokenError::UnknownKey { kid: String::new() };
    for (error, word) in [
        (LicenseFileError::NotOne, "copy it again"),
        (LicenseFileError::Token(unknown), "current release"),
        (LicenseFileError::Token(TokenError::Signature), "changed or forged"),
        (LicenseFileError::Token(TokenError::Expired), "ask the vendor"),
        (LicenseFileError::Token(TokenError::NotYetValid), "clock"),
        (LicenseFileError::Token(TokenError::Audience), "for something else"),
    ] {
        assert!(error.to_string().contains(word), "{error}");
    }
}
