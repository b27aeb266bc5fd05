//! The examples of the contract, read and written.

use std::fmt::Debug;
use std::time::Duration;

use jiff::Timestamp;
use proptest::prelude::*;
use protocol::id::{HardwareId, LicenseId, SessionId, TenantId};
use protocol::key::{Brand, KeyType, LicenseKey};
use protocol::wire::*;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

const MACHINE: &str = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08";
const ID: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Reads the JSON, writes it again, and finds the same.
fn round_trip<T: Serialize + DeserializeOwned + Debug>(json: Value) -> T {
    let read: T = serde_json::from_value(json.clone()).unwrap();
    assert_eq!(serde_json::to_value(&read).unwrap(), json);
    read
}

fn refused<T: DeserializeOwned + Debug>(json: Value) -> String {
    serde_json::from_value::<T>(json).unwrap_err().to_string()
}

#[test]
fn auth() {
    let request: AuthRequest =
        round_trip(json!({"license_key": "CODITECT-PRO-A7F3E9D2C4B1-8F2A", "machine_id": MACHINE}));
    assert_eq!(request.machine_id, Some(HardwareId::parse(MACHINE).unwrap()));
    round_trip::<AuthRequest>(json!({"license_key": "x"}));
    assert!(serde_json::from_value::<AuthRequest>(json!({"license_key": "x", "machine_id": null, "new": 1})).is_ok());

    let answer: AuthAnswer = round_trip(json!({
        "access_token": "a.b.c", "token_type": "Bearer", "expires_in": 3600, "tenant_id": ID, "tier": "PRO"
    }));
    assert_eq!((answer.tenant_id, answer.tier), (ID.parse::<TenantId>().unwrap(), Tier::Pro));
}

#[test]
fn telemetry() {
    let event = json!({
        "command": "task add", "exit": "no", "duration": "under_1_s", "version": "0.1.0", "os": "linux", "arch": "x86_64"
    });
    let request = |events: Vec<Value>| json!({"installation_id": ID, "events": events});
    let read: TelemetryRequest = round_trip(request(vec![event.clone(); MAX_TELEMETRY_EVENTS]));
    assert_eq!(read.events.as_slice()[0].exit, ExitClass::No);
    assert!(refused::<TelemetryRequest>(request(vec![])).contains("1 to 100 events"));
    refused::<TelemetryRequest>(request(vec![event.clone(); MAX_TELEMETRY_EVENTS + 1]));
    for command in ["", "Task", "task /home/ada", "task\nadd"] {
        let mut wrong = event.clone();
        wrong["command"] = json!(command);
        assert!(refused::<TelemetryRequest>(request(vec![wrong])).contains("lower-case letters"), "{command:?}");
    }
    let buckets = [0, 9, 10, 999, 1000, 9_999, 59_999, 60_000, 86_400_000]
        .map(|ms| DurationBucket::of(Duration::from_millis(ms)));
    let words = buckets.map(DurationBucket::as_str).join(" ");
    let expected = "under_10_ms under_10_ms under_100_ms under_1_s under_10_s under_10_s under_1_min longer longer";
    assert_eq!(words, expected);
    round_trip::<TelemetryAnswer>(json!({"accepted": 2}));
}

#[test]
fn billing() {
    let urls =
        json!({"success_url": "https://acme.test/thanks?s={CHECKOUT_SESSION_ID}", "cancel_url": "http://[::1]:80"});
    let (success, cancel) = (&urls["success_url"], &urls["cancel_url"]);
    let request: CheckoutRequest =
        round_trip(json!({"plan": "TEAM", "seats": 7, "success_url": success, "cancel_url": cancel}));
    assert_eq!((request.plan.as_str(), request.seats.map(SeatNumber::get)), ("TEAM", Some(7)));
    let plain: CheckoutRequest = round_trip(json!({"plan": "PRO", "success_url": success, "cancel_url": cancel}));
    assert_eq!(plain.seats, None);
    for seats in [json!(0), json!(100_001), json!(-1), json!(1.5), json!("7"), json!(4_294_967_296_u64)] {
        refused::<CheckoutRequest>(
            json!({"plan": "TEAM", "seats": seats, "success_url": success, "cancel_url": cancel}),
        );
    }
    round_trip::<CheckoutAnswer>(json!({"url": "https://checkout.stripe.com/x", "expires_at": "2026-11-22T09:30:00Z"}));
    round_trip::<PortalRequest>(json!({"return_url": "https://acme.test"}));
    round_trip::<PortalAnswer>(json!({"url": "https://billing.stripe.com/x"}));
}

#[test]
fn validate() {
    let request: ValidateRequest =
        round_trip(json!({"license_key": "CODITECT-PRO-A7F3E9D2C4B1-8F2A", "machine_id": MACHINE, "version": "1.4.0"}));
    assert_eq!(request.version.as_str(), "1.4.0");

    let yes = json!({
        "valid": true, "tier": "PRO", "expires_at": "2027-11-23T00:00:00Z", "features": ["all_agents"],
        "quotas": {"commands_per_day": -1}, "validation_token": "a.b.c",
        "refresh_after": "2026-11-24T00:00:00Z", "grace_until": "2026-11-30T00:00:00Z"
    });
    let ValidateAnswer::Valid(valid) = round_trip(yes) else { panic!("a yes") };
    assert_eq!(valid.quotas.commands_per_day(), Some(UNLIMITED));
    assert_eq!(valid.features, [Feature::AllAgents]);

    let no: ValidateAnswer = round_trip(json!({"valid": false, "reason": "expired", "message": "Over."}));
    assert!(!no.is_valid());
}

#[test]
fn a_perpetual_license_has_no_end() {
    let answer = ValidateAnswer::Valid(ValidLicense {
        valid: Bool,
        tier: Tier::Enterprise,
        expires_at: None,
        features: vec![],
        quotas: Quotas::default(),
        validation_token: String::new(),
        refresh_after: Timestamp::UNIX_EPOCH,
        grace_until: Timestamp::UNIX_EPOCH,
        key_replaced_until: None,
    });
    let json = serde_json::to_value(&answer).unwrap();
    assert_eq!(json["expires_at"], Value::Null);
    assert_eq!(serde_json::from_value::<ValidateAnswer>(json).unwrap(), answer);
    assert!(answer.is_valid());
}

#[test]
fn a_no_never_reads_as_a_yes() {
    for text in [
        json!({"valid": false, "tier": "PRO", "features": [], "quotas": {}, "validation_token": "", "refresh_after": "2026-11-24T00:00:00Z", "grace_until": "2026-11-30T00:00:00Z"}),
        json!({"valid": true, "reason": "expired", "message": ""}),
        json!({"valid": "true"}),
        json!({}),
    ] {
        refused::<ValidateAnswer>(text);
    }
    let newer: ValidateAnswer =
        serde_json::from_value(json!({"valid": false, "reason": "eclipse", "message": "Wait."})).unwrap();
    let ValidateAnswer::Invalid(newer) = newer else { panic!("a no") };
    assert_eq!(newer.message, "Wait.");
}

#[test]
fn every_reason_has_a_sentence() {
    for &reason in InvalidReason::ALL {
        let answer = serde_json::to_value(ValidateAnswer::invalid(reason)).unwrap();
        assert_eq!((&answer["valid"], &answer["reason"]), (&json!(false), &json!(reason.as_str())));
        assert!(answer["message"].as_str().unwrap().ends_with('.'));
    }
}

#[test]
fn acquire() {
    let request: AcquireRequest = round_trip(json!({"hardware_id": MACHINE}));
    assert_eq!((request.license_id, request.hostname, request.version), (None, None, None));
    let request: AcquireRequest =
        round_trip(json!({"hardware_id": MACHINE, "license_id": ID, "hostname": "ada-laptop", "version": "1.4.0"}));
    assert_eq!(request.license_id, Some(ID.parse::<LicenseId>().unwrap()));

    let answer: AcquireAnswer = round_trip(json!({
        "session_id": ID, "license_token": "a.b.c", "expires_at": "2026-11-22T09:30:00Z",
        "seat_expires_at": "2026-11-21T09:36:00Z", "heartbeat_interval_seconds": 300,
        "seats": {"limit": 5, "in_use": 3}, "tier": "TEAM", "features": ["shared_context"], "quotas": {}
    }));
    assert_eq!(answer.seats, SeatCounts { limit: 5, in_use: 3 });
}

#[test]
fn heartbeat_and_release() {
    let request: HeartbeatRequest = round_trip(json!({"session_id": ID}));
    assert_eq!(request.instance, None, "older clients name none");
    let named = json!({"session_id": ID, "instance": ID});
    assert_eq!(round_trip::<HeartbeatRequest>(named.clone()).instance, Some(ID.parse().unwrap()));
    assert_eq!(round_trip::<ReleaseRequest>(named).instance, Some(ID.parse().unwrap()));
    round_trip::<AcquireRequest>(json!({"hardware_id": MACHINE, "instance": ID}));
    refused::<ReleaseRequest>(json!({"session_id": ID, "instance": "ada's"}));
    assert_eq!(request.session_id, ID.parse::<SessionId>().unwrap());
    round_trip::<HeartbeatAnswer>(json!({
        "status": "ok", "next_heartbeat_at": "2026-11-21T09:35:00Z", "seat_expires_at": "2026-11-21T09:36:00Z"
    }));
    round_trip::<ReleaseRequest>(json!({"session_id": ID}));
    let answer: ReleaseAnswer = round_trip(json!({"status": "released"}));
    assert_eq!(answer.status, ReleaseStatus::Released);
}

#[test]
fn keys_and_discovery() {
    round_trip::<PublicKeyAnswer>(json!({"kid": "2026-11", "alg": "RS256", "public_key_pem": "-----BEGIN…"}));
    round_trip::<Jwks>(
        json!({"keys": [{"kty": "RSA", "kid": "1", "alg": "RS256", "use": "sig", "n": "AQ", "e": "AQAB"}]}),
    );
    let found: Discovery = round_trip(json!({
        "issuer": "https://api.test", "functions": {"validate": "https://v.test", "acquire": "https://a.test"},
        "jwks_uri": "https://api.test/.well-known/jwks.json", "oidc": {"issuer": "https://login.test", "client_id": "cli"}
    }));
    assert_eq!(found.functions["acquire"], "https://a.test");
    let alone: Discovery = round_trip(json!({"issuer": "i", "functions": {}, "jwks_uri": "j"}));
    assert_eq!(alone.oidc, None);
}

#[test]
fn wrong_types_missing_fields_and_long_texts_are_refused() {
    assert!(refused::<AcquireRequest>(json!({})).contains("hardware_id"));
    refused::<AcquireRequest>(json!({"hardware_id": 7}));
    refused::<AcquireRequest>(json!({"hardware_id": MACHINE, "license_id": "x"}));
    refused::<HeartbeatRequest>(json!({"session_id": null}));
    assert!(refused::<AuthRequest>(json!({"license_key": "A".repeat(513)})).contains("512 characters"));
    assert!(serde_json::from_value::<AuthRequest>(json!({"license_key": "é".repeat(512)})).is_ok());
}

#[test]
fn a_sent_key_is_parsed_later_and_never_shown() {
    let key = LicenseKey::generate(Brand::Coditect, KeyType::Pro);
    let sent = UnverifiedKey::from(&key);
    assert_eq!(sent.parse(), Ok(key));
    assert_eq!(serde_json::to_value(&sent).unwrap(), json!(sent.as_str()));
    assert_eq!(format!("{sent:?}"), "UnverifiedKey(…)");
    let request = AuthRequest { license_key: sent.clone(), machine_id: None };
    assert!(!format!("{request:?}").contains(sent.as_str()));
    let mistyped: AuthRequest = serde_json::from_value(json!({"license_key": "nonsense"})).unwrap();
    assert!(mistyped.license_key.parse().is_err());
}

#[test]
fn words_are_those_of_the_product() {
    fn words<T: Copy + Serialize + DeserializeOwned + PartialEq + Debug + std::str::FromStr + ToString>(
        all: &[T],
    ) -> Vec<String> {
        for value in all {
            let word = value.to_string();
            assert_eq!(serde_json::to_value(value).unwrap(), json!(word));
            assert_eq!(serde_json::from_value::<T>(json!(word)).unwrap(), *value);
            assert!(word.parse::<T>().is_ok_and(|read| read == *value));
        }
        all.iter().map(ToString::to_string).collect()
    }
    assert_eq!(words(Tier::ALL), ["FREE", "PRO", "TEAM", "BUSINESS", "ENTERPRISE"]);
    assert_eq!(words(EndedReason::ALL), ["expired", "released", "revoked", "suspended"]);
    assert_eq!(words(TokenType::ALL), ["Bearer"]);
    assert_eq!(words(SigningAlgorithm::ALL), ["RS256"]);
    assert_eq!(words(HeartbeatStatus::ALL), ["ok"]);
    assert_eq!(words(ReleaseStatus::ALL), ["released"]);
    assert_eq!(
        words(InvalidReason::ALL).join(" "),
        "invalid_format not_found revoked suspended expired subscription_inactive device_limit_exceeded quota_exceeded"
    );
    assert_eq!(
        words(Feature::ALL).join(" "),
        "unlimited_commands cloud_sync all_agents hooks multi_agent multi_device shared_context organization rbac \
         team_analytics on_premise air_gap sso audit_export"
    );
    assert!("GOLD".parse::<Tier>().unwrap_err().to_string().contains("FREE, PRO"));
}

proptest! {
    #[test]
    fn times_travel_in_whole_seconds(second in 0i64..4_000_000_000, nanosecond in 0i32..1_000_000_000) {
        let time = Timestamp::new(second, nanosecond).unwrap();
        let answer = HeartbeatAnswer { status: HeartbeatStatus::Ok, next_heartbeat_at: time, seat_expires_at: time };
        let json = serde_json::to_value(answer).unwrap();
        let text = json["seat_expires_at"].as_str().unwrap();
        prop_assert!(text.len() == "2026-11-21T09:36:00Z".len() && text.ends_with('Z'), "{}", text);
        let read: HeartbeatAnswer = serde_json::from_value(json).unwrap();
        prop_assert_eq!(read.seat_expires_at, whole_seconds(time));
        prop_assert_eq!(read.seat_expires_at.as_second(), second);
    }
}
