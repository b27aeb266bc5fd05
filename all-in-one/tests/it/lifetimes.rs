//! Nothing lives longer than its license, and no clock but Redis's moves a seat.

use jiff::Timestamp;
use serde_json::{Value, json};
use testing::World;
use testing::http::Client;
use testing::world::License;

use crate::world::{ACQUIRE, AUTH, HEARTBEAT, RELEASE, VALIDATE, all_with, device, question, seat, signed_in};

async fn ends_in(world: &World, license: &License, interval: &str) -> Timestamp {
    let client = world.db.connect("postgres").await;
    let sql = "update licenses set expires_at = date_trunc('second', now()) + $2::text::interval where id = $1 returning expires_at";
    client.query_one(sql, &[&license.id.as_uuid(), &interval]).await.unwrap().get(0)
}

fn claims(token: &str) -> Value {
    use base64::Engine as _;
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

fn time(value: &str) -> Timestamp {
    value.parse().unwrap()
}

#[tokio::test]
async fn no_token_outlives_its_license() {
    let (world, client, license) = all_with("TEAM", 5).await;
    let end = ends_in(&world, &license, "20 minutes").await;
    let auth = client.post(AUTH, json!({"license_key": license.key.to_string()}), 200).await;
    assert!(claims(auth.text("/access_token"))["exp"].as_i64().unwrap() <= end.as_second());
    assert!(auth.body["expires_in"].as_i64().unwrap() <= 1200);

    let caller = client.bearer(auth.text("/access_token"));
    let seat = caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 201).await;
    assert!(time(seat.text("/expires_at")) <= end);
    assert!(claims(seat.text("/license_token"))["exp"].as_i64().unwrap() <= end.as_second());

    let valid = client.post(VALIDATE, question(&license, 1), 200).await;
    assert!(time(valid.text("/grace_until")) <= end && time(valid.text("/refresh_after")) <= end);
    let claims = claims(valid.text("/validation_token"));
    assert!(claims["exp"].as_i64().unwrap() <= end.as_second());
    assert!(claims["refresh_after"].as_i64().unwrap() <= end.as_second());
}

#[tokio::test]
async fn an_expired_license_gives_nothing_any_more() {
    let (world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    seat(&caller, 1).await;
    ends_in(&world, &license, "-1 minute").await;
    let refused = client.post(AUTH, json!({"license_key": license.key.to_string()}), 401).await;
    assert_eq!(refused.text("/code"), "invalid_license_key");
    let inactive = caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 403).await;
    assert_eq!((inactive.text("/code"), inactive.text("/reason")), ("license_inactive", "expired"));
    let invalid = client.post(VALIDATE, question(&license, 1), 200).await;
    assert_eq!((&invalid.body["valid"], invalid.text("/reason")), (&json!(false), "expired"));
}

/// The end came nearer while the seat was held: its license token is good for longer.
#[tokio::test]
async fn a_heartbeat_after_the_end_of_the_license_says_that_it_has_expired() {
    let (world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let first = seat(&caller, 1).await;
    let end = ends_in(&world, &license, "3 minutes").await;
    world.sql("update licenses set revision = revision + 1").await;
    let second = caller.post(ACQUIRE, json!({"hardware_id": device(2)}), 201).await;
    assert_eq!(time(second.text("/seat_expires_at")), end);
    let beat = first.beat(200).await;
    assert_eq!(time(beat.text("/seat_expires_at")), end, "not kept beyond it");
    let next = time(beat.text("/next_heartbeat_at")).as_second() - Timestamp::now().as_second();
    assert!((295..=301).contains(&next), "{next}");

    world.redis.age_seats(license.id, 180_000).await;
    let ended = first.beat(410).await;
    assert_eq!((ended.text("/code"), ended.text("/reason")), ("session_ended", "expired"));
    assert!(ended.text("/detail").starts_with("The license of this session has expired"), "{:#}", ended.body);
    first.release(200).await;
}

#[tokio::test]
async fn a_wall_clock_that_is_an_hour_off_frees_no_seat_and_grants_none() {
    for offset in ["+1h", "-1h"] {
        let (world, client, license) = all_with("TEAM", 2).await;
        let caller = signed_in(&client, &license).await;
        let held = [seat(&caller, 1).await, seat(&caller, 2).await];
        let process = world.spawn_with_clock(env!("CARGO_BIN_EXE_all-in-one"), "coditect_all", offset).await;
        let (skewed, token) = (&process.client, signed_in(&process.client, &license).await.credential().to_owned());
        let elsewhere: Client = skewed.bearer(token);
        let refused = elsewhere.post(ACQUIRE, json!({"hardware_id": device(3)}), 409).await;
        assert_eq!(refused.body["seats"], json!({"limit": 2, "in_use": 2}), "at {offset}");
        let wait = refused.body["retry_after_seconds"].as_u64().unwrap();
        assert!((1..=360).contains(&wait), "{wait}");
        let body = held[0].body();
        let beat = elsewhere.post(HEARTBEAT, body.clone(), 200).await;
        let left = time(beat.text("/seat_expires_at")).as_second() - Timestamp::now().as_second();
        assert!((300..=361).contains(&left), "the seat's time is Redis's: {left}");
        for seat in &held {
            seat.beat(200).await;
        }
        elsewhere.post(RELEASE, body, 200).await;
        elsewhere.post(ACQUIRE, json!({"hardware_id": device(3)}), 201).await;
        elsewhere.post(ACQUIRE, json!({"hardware_id": device(4)}), 409).await;
    }
}
