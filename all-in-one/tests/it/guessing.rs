//! License keys can't be guessed quickly, and good keys are answered whatever others of their address have tried.

use futures_util::future::join_all;

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
    for (path, key) in [(AUTH, random_key()), (VALIDATE, random_key()), (VALIDATE, "CODITECT-60".to_owned())] {
        let stopped = guess(&client, path, &key, "198.51.100.1").await;
        assert_eq!((stopped.status, stopped.text("/code")), (429, "rate_limited"));
        assert!((1..=60).contains(&stopped.header("retry-after").parse::<u32>().unwrap()));
    }
    // A good key is answered all the same, but not at a guesser's speed.
    let begin = std::time::Instant::now();
    for path in [AUTH, VALIDATE, AUTH] {
        let good = guess(&client, path, &license.key.to_string(), "198.51.100.1").await;
        assert_eq!(good.status, 200, "{:#}", good.body);
        assert!(good.header("ratelimit").starts_with(r#""guesses";r=0;t="#), "{}", good.header("ratelimit"));
    }
    assert!(begin.elapsed() >= std::time::Duration::from_millis(300));
    // Everybody else goes on; what a caller claims in front of the proxy's own entry is not believed.
    assert_eq!(guess(&client, AUTH, &license.key.to_string(), "198.51.100.2").await.status, 200);
    world.redis.command(&["DEL", "guesses:address:198.51.100.1"]).await;
    assert_eq!(guess(&client, AUTH, &random_key(), "198.51.100.1").await.status, 401);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_guesses_at_once_pass_no_more_than_the_limit() {
    let world = World::new().await.with("TRUSTED_PROXY_HOPS", "1");
    let client = all(&world).await;
    let guesses = join_all((0..80).map(|_| async { guess(&client, AUTH, &random_key(), "198.51.100.1").await })).await;
    let count = |status| guesses.iter().filter(|answer| answer.status == status).count();
    assert_eq!((count(401), count(429)), (60, 20));
}

#[tokio::test]
async fn a_job_that_repeats_a_mistyped_key_takes_nothing_from_its_neighbors() {
    let world = World::new().await.with("TRUSTED_PROXY_HOPS", "1");
    let client = all(&world).await;
    for key in [random_key(), "CODITECT-TEAM-0".to_owned()] {
        for n in 0..70 {
            let answer = guess(&client, AUTH, &key, "198.51.100.1").await;
            assert_eq!(answer.status, if n < 20 { 401 } else { 429 }, "{n}");
        }
    }
    let other = guess(&client, AUTH, &random_key(), "198.51.100.1").await;
    assert!(other.header("ratelimit").starts_with(r#""guesses";r=57;t="#), "{}", other.header("ratelimit"));
}

#[tokio::test]
async fn a_genuine_key_is_no_guess_whatever_state_its_license_is_in() {
    let (world, client, license) = all_with("TEAM", 5).await;
    for state in ["suspended", "revoked"] {
        world.sql(&format!("update licenses set state = '{state}' where id = '{}'", license.id)).await;
        for _ in 0..25 {
            let body = json!({"license_key": license.key.to_string()});
            let refused = client.post(AUTH, body, 401).await;
            assert_eq!(refused.text("/code"), "invalid_license_key");
            assert!(refused.header("ratelimit").starts_with(r#""guesses";r=60;"#), "{}", refused.header("ratelimit"));
        }
    }
}

#[tokio::test]
async fn whoever_has_a_network_of_ipv6_has_one_account() {
    let world = World::new().await.with("TRUSTED_PROXY_HOPS", "1");
    let client = all(&world).await;
    let mut left = 60;
    for address in ["2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "[2001:db8:1:2::3]:50123", "[2001:db8:1:2:a::]"] {
        let answer = guess(&client, AUTH, &random_key(), address).await;
        left -= 1;
        let expected = format!(r#""guesses";r={left};t="#);
        assert!(answer.header("ratelimit").starts_with(&expected), "{address}: {}", answer.header("ratelimit"));
    }
    let other = guess(&client, AUTH, &random_key(), "2001:db8:1:3::1").await;
    assert!(other.header("ratelimit").starts_with(r#""guesses";r=59;"#), "{}", other.header("ratelimit"));
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
