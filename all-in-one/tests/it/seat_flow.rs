//! A seat is taken, kept and given back.

use serde_json::json;
use testing::World;

use crate::world::{all, device, signed_in};

#[tokio::test]
async fn a_key_is_validated_and_a_seat_taken_kept_and_given_back() {
    let world = World::new().await;
    let client = all(&world).await;
    let license = world.license(world.tenant("acme").await, "TEAM", 5).await;

    let ask = json!({"license_key": license.key.to_string(), "machine_id": device(1), "version": "1.0.0"});
    let valid = client.post("/api/v1/licenses/validate", ask, 200).await;
    assert_eq!(valid.body["valid"], true, "{:#}", valid.body);
    assert_eq!(valid.text("/tier"), "TEAM");

    let caller = signed_in(&client, &license).await;
    let seat = caller.post("/api/v1/licenses/acquire", json!({"hardware_id": device(1)}), 201).await;
    assert_eq!(seat.body["seats"], json!({"limit": 5, "in_use": 1}));
    let again = caller.post("/api/v1/licenses/acquire", json!({"hardware_id": device(1)}), 200).await;
    assert_eq!(again.text("/session_id"), seat.text("/session_id"));

    let session = json!({"session_id": seat.text("/session_id")});
    let own = client.bearer(seat.text("/license_token"));
    own.post("/api/v1/licenses/heartbeat", session.clone(), 200).await;
    own.post("/api/v1/licenses/release", session.clone(), 200).await;
    own.post("/api/v1/licenses/release", session.clone(), 200).await;
    let ended = own.post("/api/v1/licenses/heartbeat", session, 410).await;
    assert_eq!(ended.text("/code"), "session_ended");
    assert_eq!(ended.text("/reason"), "released");
}

#[tokio::test]
async fn the_sixth_of_five_is_refused_with_a_time() {
    let world = World::new().await;
    let client = all(&world).await;
    let license = world.license(world.tenant("acme").await, "TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    for n in 1..=5 {
        caller.post("/api/v1/licenses/acquire", json!({"hardware_id": device(n)}), 201).await;
    }
    let refused = caller.post("/api/v1/licenses/acquire", json!({"hardware_id": device(6)}), 409).await;
    assert_eq!(refused.text("/code"), "no_seats_available");
    assert_eq!(refused.body["seats"], json!({"limit": 5, "in_use": 5}));
    let wait = refused.body["retry_after_seconds"].as_u64().unwrap();
    assert!((350..=360).contains(&wait), "{wait}");
    assert_eq!(refused.header("retry-after"), wait.to_string());
    assert_eq!(world.number("select count from license_daily_counts where kind = 'seat_refused'").await, 1);
}

#[tokio::test]
async fn a_flushed_redis_loses_no_session_and_grants_no_sixth_seat() {
    let world = World::new().await;
    let client = all(&world).await;
    let license = world.license(world.tenant("acme").await, "TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let mut seats = Vec::new();
    for n in 1..=5 {
        seats.push(caller.post("/api/v1/licenses/acquire", json!({"hardware_id": device(n)}), 201).await);
    }
    world.redis.flush().await;
    caller.post("/api/v1/licenses/acquire", json!({"hardware_id": device(6)}), 409).await;
    for seat in &seats {
        let own = client.bearer(seat.text("/license_token"));
        own.post("/api/v1/licenses/heartbeat", json!({"session_id": seat.text("/session_id")}), 200).await;
    }
}
