//! License keys can't be guessed quickly, and nobody is locked out by their own good keys.

use protocol::key::{Brand, KeyType, LicenseKey};
use serde_json::json;
use testing::World;
use testing::http::{Answer, Client, Method};

use crate::world::{AUTH, VALIDATE, all, all_with, device, question};

/// A guess from an address, as a proxy reports it.
async fn guess(client: &Client, path: &str, key: &str, address: &str) -> Answer {
    let body = json!({"license_key": key, "machine_id": device(1), "version": "1"});
    let request = client.request(Method::POST, path).header("x-forwarded-for", format!("203.0.113.9, {address}"));
    client.send_any(request.json(&body)).await
}

fn random_key() -> String {
    LicenseKey::generate(Brand::Coditect, KeyType::Team).to_string()
}

#[tokio::test]
async fn an_address_is_stopped_after_sixty_wrong_keys_a_minute() {
    let world = World::new().await.with("TRUSTED_PROXY_HOPS", "1");
    let client = all(&world).await;
    let license = world.license(world.tenant("acme").await, "TEAM", 5).await;
    for n in 0..60 {
        // Both routes draw on one account; whatever isn't a key at all counts too.
        let (path, key) = match n % 3 {
            0 => (AUTH, random_key()),
            1 => (VALIDATE, random_key()),
            _ => (VALIDATE, format!("CODITECT-{n}")),
        };
        let answer = guess(&client, path, &key, "198.51.100.1").await;
        assert!([200, 401].contains(&answer.status), "{n}: {:#}", answer.body);
        assert_eq!(answer.header("ratelimit-policy"), r#""guesses";q=60;w=60"#);
        assert!(
            answer.header("ratelimit").starts_with(&format!(r#""guesses";r={};t="#, 59 - n)),
            "{}",
            answer.header("ratelimit")
        );
    }
    for path in [AUTH, VALIDATE] {
        let stopped = guess(&client, path, &license.key.to_string(), "198.51.100.1").await;
        assert_eq!((stopped.status, stopped.text("/code")), (429, "rate_limited"));
        assert!((1..=60).contains(&stopped.header("retry-after").parse::<u32>().unwrap()));
    }
    // Everybody else goes on; what a caller claims in front of the proxy's own entry is not believed.
    assert_eq!(guess(&client, AUTH, &license.key.to_string(), "198.51.100.2").await.status, 200);
    world.redis.command(&["DEL", "guesses:address:198.51.100.1"]).await;
    assert_eq!(guess(&client, AUTH, &license.key.to_string(), "198.51.100.1").await.status, 200);
}

#[tokio::test]
async fn one_wrong_key_is_stopped_after_twenty_a_minute_wherever_it_comes_from() {
    let world = World::new().await.with("TRUSTED_PROXY_HOPS", "1");
    let client = all(&world).await;
    let key = random_key();
    for n in 0..20 {
        assert_eq!(guess(&client, VALIDATE, &key, &format!("198.51.100.{n}")).await.status, 200);
    }
    assert_eq!(guess(&client, VALIDATE, &key, "198.51.100.99").await.status, 429);
    assert_eq!(guess(&client, VALIDATE, &random_key(), "198.51.100.99").await.status, 200);
}

#[tokio::test]
async fn an_office_behind_one_address_is_not_locked_out_by_its_good_keys() {
    let (_world, client, license) = all_with("ENT", 500).await;
    for n in 0..200 {
        let answer = client.post(VALIDATE, question(&license, n), 200).await;
        assert_eq!(answer.body["valid"], true);
        assert!(answer.header("ratelimit").starts_with(r#""guesses";r=60;"#), "{}", answer.header("ratelimit"));
    }
}
