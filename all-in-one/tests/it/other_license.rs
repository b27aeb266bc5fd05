//! A license that is not active, while its organization has another one that is.

use serde_json::{Value, json};
use testing::World;
use testing::http::Client;
use testing::world::License;

use crate::world::{ACQUIRE, AUTH, VALIDATE, all_with, device, question, signed_in};

/// License states, each with the assignments that produce it.
const STATES: [(&str, &str); 4] = [
    ("expired", "expires_at = now() - interval '1 hour'"),
    ("suspended", "state = 'suspended'"),
    ("revoked", "state = 'revoked'"),
    ("subscription_inactive", "state = 'active', standing = 'inactive'"),
];

async fn make(world: &World, license: &License, state: &str) {
    let reset = "state = 'active', standing = 'good', expires_at = null";
    world.sql(&format!("update licenses set {reset} where id = '{}'", license.id)).await;
    world.sql(&format!("update licenses set {state} where id = '{}'", license.id)).await;
}

/// The three answers to a key that cannot be used, in the order validate, auth, acquire.
async fn refusals(client: &Client, caller: &Client, license: &License) -> [Value; 3] {
    let validate = client.post(VALIDATE, question(license, 1), 200).await;
    assert_eq!(validate.body["valid"], false, "{:#}", validate.body);
    let auth = client.post(AUTH, json!({"license_key": license.key.to_string()}), 401).await;
    assert_eq!(auth.text("/code"), "invalid_license_key");
    let acquire = caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 403).await;
    assert_eq!(acquire.text("/code"), "license_inactive");
    [validate.body, auth.body, acquire.body]
}

#[tokio::test]
async fn a_refusal_names_the_other_license_that_is_active_and_says_how_to_use_it() {
    let (world, client, old) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &old).await;
    // Another tenant's license is no help, and is never named.
    world.license(world.tenant("globex").await, "ENT", 50).await;
    for (reason, state) in STATES {
        make(&world, &old, state).await;
        for refusal in refusals(&client, &caller, &old).await {
            assert_eq!(refusal.get("other_license"), None, "{reason}: {refusal:#}");
        }
    }
    let small = world.license(old.tenant, "PRO", 1).await;
    let new = world.license(old.tenant, "TEAM", 10).await;
    let ended = world.license(old.tenant, "ENT", 100).await;
    make(&world, &ended, "state = 'revoked'").await;
    for (reason, state) in STATES {
        make(&world, &old, state).await;
        for refusal in refusals(&client, &caller, &old).await {
            let expected = json!({"license_id": new.id, "plan": "TEAM", "tier": "TEAM"});
            assert_eq!(refusal["other_license"], expected, "{reason}: {refusal:#}");
            let says = refusal["message"].as_str().or(refusal["detail"].as_str()).unwrap();
            assert!(says.contains(&new.id.to_string()) && says.contains("coditect activate`"), "{says}");
            assert!(says.contains("coditect login"), "{says}");
            let text = refusal.to_string();
            for license in [&old, &small, &new] {
                let key = license.key.to_string();
                let body = key.split('-').nth(2).unwrap();
                assert!(!text.contains(body) && !text.contains(&body[..4]), "a key is told: {text}");
            }
        }
    }
    // The other license's own key works, and its answer does not mention other licenses.
    let valid = client.post(VALIDATE, question(&new, 1), 200).await;
    assert_eq!((&valid.body["valid"], valid.body.get("other_license")), (&json!(true), None));
    // A genuine key does not count as a guess, however often it is refused.
    for _ in 0..61 {
        client.post(AUTH, json!({"license_key": old.key.to_string()}), 401).await;
    }
    // The answer to an unknown key does not mention other licenses.
    let unknown = protocol::key::LicenseKey::generate(protocol::key::Brand::Coditect, protocol::key::KeyType::Team);
    let answer = client.post(AUTH, json!({"license_key": unknown.to_string()}), 401).await;
    assert_eq!(answer.body.get("other_license"), None);
}
