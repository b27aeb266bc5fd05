//! How a process starts that can't.

use std::process::Command;

use serde_json::json;
use testing::World;
use testing::world::PEPPER;

use crate::world::{ACQUIRE, AUTH, CHECKOUT, PORTAL, Seat, VALIDATE, all, device, question, signed_in};

#[test]
fn a_misconfigured_process_names_every_mistake_and_shows_no_value() {
    let secret = "not-a-pepper-but-a-secret";
    let output = Command::new(env!("CARGO_BIN_EXE_all-in-one"))
        .env_clear()
        .env("PORT", "eighty")
        .env("REDIS_URL", format!("http://:{secret}@127.0.0.1"))
        .env("LICENSE_KEY_PEPPER", secret)
        .env("PUBLIC_URL", "api.coditect.ai")
        .env("SIGNING_KEY", "file:/nowhere/key.pem")
        .env("SEAT_TTL_SECONDS", "0")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(64));
    let log = [output.stdout, output.stderr].concat();
    let log = String::from_utf8(log).unwrap();
    for variable in
        ["PORT", "DATABASE_URL", "REDIS_URL", "LICENSE_KEY_PEPPER", "PUBLIC_URL", "SIGNING_KEY", "SEAT_TTL_SECONDS"]
    {
        assert!(log.contains(&format!("{variable}: ")), "{variable} is not named in\n{log}");
    }
    assert!(!log.contains(secret), "{log}");
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test]
async fn an_installation_without_stripe_sells_nothing() {
    let world = World::new().await;
    let client = all(&world).await;
    for path in [CHECKOUT, PORTAL] {
        assert_eq!(client.post(path, json!({}), 404).await.text("/code"), "not_found");
    }
    let document = client.get("/openapi.json", 200).await.body;
    assert!(!document["paths"].as_object().unwrap().keys().any(|path| path.contains("billing")));
}

#[tokio::test]
async fn no_log_line_holds_a_secret_however_much_is_logged() {
    let world = World::new().await;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let license = world.license(world.tenant("acme").await, "TEAM", 1).await;
    let process = world.spawn_logging(env!("CARGO_BIN_EXE_all-in-one"), "coditect_all", &log).await;
    let client = &process.client;

    let valid = client.post(VALIDATE, question(&license, 1), 200).await;
    let caller = signed_in(client, &license).await;
    let answer = caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 201).await;
    let seat = Seat::of(client, &answer);
    caller.post(ACQUIRE, json!({"hardware_id": device(2)}), 409).await;
    seat.beat(200).await;
    seat.release(200).await;
    seat.beat(410).await;
    client.bearer("not.a.token").post(ACQUIRE, json!({"hardware_id": device(1)}), 401).await;
    client.post(AUTH, json!({"license_key": "CODITECT-WRONG-SECRET"}), 401).await;
    world.sql("alter table sessions rename to elsewhere").await;
    caller.post(ACQUIRE, json!({"hardware_id": device(3)}), 500).await;

    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.contains("/api/v1/licenses/acquire"), "there is a log");
    let key = license.key.to_string();
    let tokens = [valid.text("/validation_token"), caller.credential(), answer.text("/license_token")];
    for secret in [&key, PEPPER, "CODITECT-WRONG-SECRET", "not.a.token", "BEGIN PRIVATE KEY"] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
    for token in tokens {
        let signature = token.rsplit('.').next().unwrap();
        assert!(!text.contains(&signature[..40]), "a token is in the log");
    }
}
