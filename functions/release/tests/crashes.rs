//! The process is killed between the two writes of a release: the seat is free after its time, or when it is released
//! again.

use serde_json::json;
use testing::World;
use testing::process::{Process, until};
use testing::world::License;

const BINARY: &str = env!("CARGO_BIN_EXE_release");
const SEAT_MS: i64 = 360_000;

/// A session whose release died after its row was closed, and a new process.
async fn half_released(world: &World, license: &License) -> (Process, testing::http::Client, String) {
    let caller = acquirer(world, license).await;
    let seat = caller.post("/api/v1/licenses/acquire", json!({"hardware_id": "1".repeat(64)}), 201).await;
    let (session, token) = (seat.text("/session_id").to_owned(), seat.text("/license_token").to_owned());

    let mut process = world.spawn(BINARY, "coditect_release").await;
    world.redis.command(&["CLIENT", "PAUSE", "60000", "WRITE"]).await;
    let request = process.client.bearer(&token).request(testing::http::Method::POST, "/api/v1/licenses/release");
    let request = request.json(&json!({"session_id": session}));
    tokio::spawn(async move { drop(request.send().await) });
    let closed = "select count(*) from sessions where ended_reason = 'released'";
    until("the row is closed", || async { world.number(closed).await == 1 }).await;
    process.kill();
    world.redis.command(&["CLIENT", "UNPAUSE"]).await;

    let process = world.spawn(BINARY, "coditect_release").await;
    let client = process.client.bearer(token);
    (process, client, session)
}

async fn acquirer(world: &World, license: &License) -> testing::http::Client {
    let acquire = world.serve("acquire", acquire::State::connect, acquire::routes).await;
    acquire.bearer(world.access_token(license).await)
}

#[tokio::test]
async fn releasing_again_frees_the_seat_at_once() {
    let world = World::new().await;
    let license = world.license(world.tenant("acme").await, "TEAM", 1).await;
    let (_process, client, session) = half_released(&world, &license).await;
    let other = acquirer(&world, &license).await;
    other.post("/api/v1/licenses/acquire", json!({"hardware_id": "2".repeat(64)}), 409).await;
    client.post("/api/v1/licenses/release", json!({"session_id": session}), 200).await;
    other.post("/api/v1/licenses/acquire", json!({"hardware_id": "2".repeat(64)}), 201).await;
}

#[tokio::test]
async fn else_the_seat_is_free_after_its_time() {
    let world = World::new().await;
    let license = world.license(world.tenant("acme").await, "TEAM", 1).await;
    let (_process, _client, session) = half_released(&world, &license).await;
    let other = acquirer(&world, &license).await;
    world.redis.age_seats(license.id, SEAT_MS).await;
    other.post("/api/v1/licenses/acquire", json!({"hardware_id": "2".repeat(64)}), 201).await;
    let ended = format!("select count(*) from sessions where id = '{session}' and ended_reason = 'released'");
    assert_eq!(world.number(&ended).await, 1, "the end it was given stays");
}
