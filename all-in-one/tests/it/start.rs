//! Errors of a process that cannot start.

use std::process::Command;

use serde_json::json;
use testing::World;

use crate::world::{CHECKOUT, PORTAL, all};

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
