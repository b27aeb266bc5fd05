//! The documents with which clients find the functions and verify their signatures.

use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;
use testing::World;
use testing::world::{ISSUER, signing_key};

use crate::world::{ACQUIRE, all, all_with, device, signed_in};

#[tokio::test]
async fn the_published_key_is_the_one_that_signs() {
    let (_world, client, license) = all_with("TEAM", 5).await;
    let key = client.get("/api/v1/public-key", 200).await;
    assert_eq!((key.text("/alg"), key.header("cache-control")), ("RS256", "public, max-age=3600"));
    let openssl = Command::new("openssl").args(["pkey", "-pubout", "-in"]).arg(signing_key()).output().unwrap();
    assert_eq!(key.text("/public_key_pem").trim(), String::from_utf8(openssl.stdout).unwrap().trim());

    let set = client.get("/.well-known/jwks.json", 200).await;
    assert_eq!(set.header("cache-control"), "public, max-age=3600");
    let jwk = set.body["keys"].as_array().unwrap().iter().find(|jwk| jwk["kid"] == key.body["kid"]).unwrap();
    assert_eq!((&jwk["kty"], &jwk["alg"], &jwk["use"]), (&json!("RSA"), &json!("RS256"), &json!("sig")));
    assert!(jwk.get("d").is_none() && jwk.get("p").is_none(), "no private half: {jwk}");

    // openssl verifies a token's signature with the published key.
    let caller = signed_in(&client, &license).await;
    let answer = caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 201).await;
    let (input, signature) = answer.text("/license_token").rsplit_once('.').unwrap();
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, bytes: &[u8]| {
        std::fs::write(dir.path().join(name), bytes).unwrap();
        dir.path().join(name)
    };
    let verified = Command::new("openssl")
        .args(["dgst", "-sha256", "-verify"])
        .arg(file("key.pem", key.text("/public_key_pem").as_bytes()))
        .arg("-signature")
        .arg(file("signature", &URL_SAFE_NO_PAD.decode(signature).unwrap()))
        .arg(file("input", input.as_bytes()))
        .output()
        .unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

#[tokio::test]
async fn a_retired_key_is_no_longer_listed() {
    let (world, client, _license) = all_with("TEAM", 5).await;
    client.get("/.well-known/jwks.json", 200).await;
    world.sql("insert into signing_keys (kid, public_key_pem, retired_at) select 'old', public_key_pem, now() from signing_keys").await;
    let set = client.get("/.well-known/jwks.json", 200).await;
    assert_eq!(set.body["keys"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn discovery_names_every_function_once_each_where_it_is() {
    let urls = json!({"heartbeat": "https://heartbeat.example.com/"}).to_string();
    let issuers = json!([{"issuer": "https://login.example.com", "audience": "coditect", "tenants": "*"}]).to_string();
    let world = World::new().await.with("FUNCTION_URLS", urls).with("OIDC_ISSUERS", issuers);
    let world = world.with("REGISTER_URL", "https://buy.example.com/team".to_owned());
    let found = all(&world).await.get("/.well-known/coditect.json", 200).await;
    assert_eq!(found.text("/issuer"), ISSUER);
    assert_eq!(found.text("/functions/heartbeat"), "https://heartbeat.example.com");
    for function in ["validate", "acquire", "release", "auth", "sync-push", "sync-pull", "telemetry"] {
        assert_eq!(found.text(&format!("/functions/{function}")), ISSUER);
    }
    assert_eq!(found.text("/jwks_uri"), format!("{ISSUER}/.well-known/jwks.json"));
    assert_eq!(found.body["oidc"], json!({"issuer": "https://login.example.com", "client_id": "coditect"}));
    assert_eq!(found.text("/register_url"), "https://buy.example.com/team");
}
