//! Credentials that must not be trusted, and those that are valid but for another purpose.

use std::path::PathBuf;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use serde_json::{Value, json};
use testing::World;
use testing::http::Method;
use testing::token::{hs256, rs256};
use testing::world::{License, signing_key};

use crate::world::{ACQUIRE, HEARTBEAT, RELEASE, Seat, VALIDATE, all_with, device, question, seat, signed_in};

const SESSION: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// Returns the ways in which a token can be invalid, by name.
#[expect(clippy::too_many_lines, reason = "a list")]
async fn forgeries(world: &World, license: &License) -> Vec<(&'static str, String)> {
    let kid = world.key_id().await;
    let (ours, foreign) = (signing_key(), foreign_key());
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": kid});
    let claims = world.access_claims(license);
    let with = |name: &str, value: Value| {
        let mut changed = claims.clone();
        changed[name] = value;
        changed
    };
    let without = |name: &str| {
        let mut changed = claims.clone();
        changed.as_object_mut().unwrap().remove(name);
        changed
    };
    let now = Timestamp::now().as_second();
    let good = rs256(&ours, &header, &claims);
    let parts: Vec<&str> = good.split('.').collect();
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let public = std::fs::read_to_string(public_key(&ours)).unwrap();
    vec![
        ("nothing", String::new()),
        ("junk", "junk".to_owned()),
        ("three junks", "a.b.c".to_owned()),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("two parts", format!("{}.{}", parts[0], parts[1])),
        ("a fourth part", format!("{good}.{}", parts[2])),
        ("alg none", format!("{}.{}.", part(&json!({"alg": "none", "typ": "JWT"})), parts[1])),
        ("alg none with a kid", format!("{}.{}.", part(&json!({"alg": "none", "kid": kid})), parts[1])),
        (
            "HMAC with the public key",
            hs256(public.as_bytes(), &json!({"alg": "HS256", "typ": "JWT", "kid": kid}), &claims),
        ),
        ("RS512 in the header", rs256(&ours, &json!({"alg": "RS512", "typ": "JWT", "kid": kid}), &claims)),
        ("a foreign key under our name", rs256(&foreign, &header, &claims)),
        (
            "a foreign key that comes along",
            rs256(&foreign, &json!({"alg": "RS256", "jwk": {"kty": "RSA"}, "jku": "http://127.0.0.1:1/"}), &claims),
        ),
        ("an unknown kid", rs256(&ours, &json!({"alg": "RS256", "typ": "JWT", "kid": "unknown"}), &claims)),
        (
            "a kid that is a path",
            rs256(&ours, &json!({"alg": "RS256", "typ": "JWT", "kid": "../../../dev/null"}), &claims),
        ),
        (
            "an unknown critical header",
            rs256(&ours, &json!({"alg": "RS256", "typ": "JWT", "kid": kid, "crit": ["x"], "x": 1}), &claims),
        ),
        ("changed claims", format!("{}.{}.{}", parts[0], part(&with("tier", json!("ENTERPRISE"))), parts[2])),
        ("a foreign issuer", rs256(&ours, &header, &with("iss", json!("https://elsewhere.test")))),
        ("no issuer", rs256(&ours, &header, &without("iss"))),
        ("a foreign audience", rs256(&ours, &header, &with("aud", json!("elsewhere")))),
        ("no audience", rs256(&ours, &header, &without("aud"))),
        ("expired", rs256(&ours, &header, &with("exp", json!(now - 61)))),
        ("no end", rs256(&ours, &header, &without("exp"))),
        ("an end that is no number", rs256(&ours, &header, &with("exp", json!("tomorrow")))),
        ("not yet valid", rs256(&ours, &header, &with("iat", json!(now + 120)))),
        ("no license", rs256(&ours, &header, &without("license_id"))),
        ("a license that is no id", rs256(&ours, &header, &with("license_id", json!("' or 1=1 --")))),
        ("too long", rs256(&ours, &header, &with("scope", json!("x".repeat(20_000))))),
    ]
}

fn foreign_key() -> PathBuf {
    let path = signing_key().with_file_name("foreign-key.pem");
    if !path.exists() {
        let fresh = path.with_extension(std::process::id().to_string());
        let how = ["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048", "-out"];
        assert!(Command::new("openssl").args(how).arg(&fresh).status().unwrap().success());
        std::fs::rename(&fresh, &path).unwrap();
    }
    path
}

fn public_key(private: &std::path::Path) -> PathBuf {
    let path = private.with_extension("pub");
    assert!(
        Command::new("openssl")
            .args(["pkey", "-pubout", "-in"])
            .arg(private)
            .arg("-out")
            .arg(&path)
            .status()
            .unwrap()
            .success()
    );
    path
}

#[tokio::test]
async fn no_forged_foreign_expired_or_confused_token_is_believed() {
    let (world, client, license) = all_with("TEAM", 5).await;
    let routes = [
        (ACQUIRE, json!({"hardware_id": device(1)})),
        (HEARTBEAT, json!({"session_id": SESSION})),
        (RELEASE, json!({"session_id": SESSION})),
    ];
    for (what, token) in forgeries(&world, &license).await {
        for (path, body) in &routes {
            let answer = client.bearer(&token).try_post(path, body.clone()).await;
            assert_eq!(
                (answer.status, answer.body["code"].as_str()),
                (401, Some("invalid_token")),
                "{what} on {path}: {:#}",
                answer.body
            );
            assert!(answer.header("www-authenticate").starts_with("Bearer"), "{what} on {path}");
        }
    }
    // The requests with another scheme, or with none.
    for (path, body) in &routes {
        client.post(path, body.clone(), 401).await;
        let basic = client.request(Method::POST, path).header("authorization", "Basic YTpi").json(body);
        client.send(basic, 401).await;
    }
    assert_eq!(world.number("select count(*) from sessions").await, 0);
}

#[tokio::test]
async fn clocks_may_differ_by_a_minute() {
    let (world, client, license) = all_with("TEAM", 5).await;
    let header = json!({"alg": "RS256", "typ": "JWT", "kid": world.key_id().await});
    let now = Timestamp::now().as_second();
    for (name, value) in [("exp", now - 40), ("iat", now + 40)] {
        let mut claims = world.access_claims(&license);
        claims[name] = json!(value);
        let token = rs256(&signing_key(), &header, &claims);
        client.bearer(token).post(HEARTBEAT, json!({"session_id": SESSION}), 404).await;
    }
}

#[tokio::test]
async fn each_kind_of_token_is_good_for_its_own_purpose_only() {
    let (_world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let (mine, other) = (seat(&caller, 1).await, seat(&caller, 2).await);
    let valid = client.post(VALIDATE, question(&license, 1), 200).await;
    let validation = client.bearer(valid.text("/validation_token"));

    mine.own.post(ACQUIRE, json!({"hardware_id": device(1)}), 401).await;
    for (path, body) in [(ACQUIRE, json!({"hardware_id": device(1)})), (HEARTBEAT, mine.body()), (RELEASE, mine.body())]
    {
        validation.post(path, body, 401).await;
    }
    for path in [HEARTBEAT, RELEASE] {
        let refused = mine.own.post(path, other.body(), 403).await;
        assert_eq!(refused.text("/code"), "forbidden");
        caller.post(path, mine.body(), 200).await;
    }
    other.beat(200).await;
}

#[tokio::test]
async fn another_tenants_things_are_not_there() {
    let (world, client, license) = all_with("TEAM", 5).await;
    let mine = seat(&signed_in(&client, &license).await, 1).await;
    let elsewhere = world.license(world.tenant("elsewhere").await, "TEAM", 5).await;
    let stranger = signed_in(&client, &elsewhere).await;

    for path in [HEARTBEAT, RELEASE] {
        let theirs = stranger.post(path, mine.body(), 404).await;
        let nothing = stranger.post(path, json!({"session_id": SESSION}), 404).await;
        assert_eq!(same(&theirs.body), same(&nothing.body), "the answers don't tell one from the other");
    }
    let ask = |id: String| json!({"hardware_id": device(1), "license_id": id});
    let theirs = stranger.post(ACQUIRE, ask(license.id.to_string()), 404).await;
    let nothing = stranger.post(ACQUIRE, ask(SESSION.to_owned()), 404).await;
    assert_eq!(same(&theirs.body), same(&nothing.body));
    mine.beat(200).await;

    // Nor does a license key open another license of the same tenant.
    let sibling = world.license(license.tenant, "TEAM", 5).await;
    let caller = signed_in(&client, &sibling).await;
    caller.post(HEARTBEAT, mine.body(), 404).await;
    caller.post(RELEASE, mine.body(), 404).await;
    caller.post(ACQUIRE, ask(license.id.to_string()), 403).await;
    mine.beat(200).await;
}

fn same(body: &Value) -> Value {
    let mut body = body.clone();
    body["request_id"] = Value::Null;
    body
}

#[tokio::test]
async fn a_session_of_another_device_is_kept_by_whoever_has_its_key() {
    let (_world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let answer = caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 201).await;
    let seat = Seat::of(&client, &answer);
    signed_in(&client, &license).await.post(HEARTBEAT, seat.body(), 200).await;
}
