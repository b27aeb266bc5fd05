//! Servers go away and come back.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures_util::future::join_all;
use serde_json::{Value, json};
use testing::World;
use testing::http::{Answer, Client};
use testing::postgres::server::Server;
use testing::process::until;
use testing::proxy::Proxy;

use crate::bad_input::problem;
use crate::world::{ACQUIRE, AUTH, HEARTBEAT, Seat, VALIDATE, all, all_with, device, question, seat, signed_in};

/// Sends heartbeats for every seat in a loop until it is stopped; counts those that were refused for good.
struct Load {
    stop: Arc<AtomicBool>,
    lost: Arc<AtomicUsize>,
    beats: Arc<AtomicUsize>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
}

impl Load {
    fn start(seats: &[Seat]) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let (lost, beats) = (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default());
        let tasks = seats.iter().map(|seat| {
            let (own, body) = (seat.own.clone(), seat.body());
            let (stop, lost, beats) = (Arc::clone(&stop), Arc::clone(&lost), Arc::clone(&beats));
            tokio::spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    match own.try_post(HEARTBEAT, body.clone()).await.status {
                        200 => drop(beats.fetch_add(1, Ordering::Relaxed)),
                        503 => {}
                        _ => drop(lost.fetch_add(1, Ordering::Relaxed)),
                    }
                }
            })
        });
        Self { tasks: tasks.collect(), stop, lost, beats }
    }

    async fn keeps_beating(&self) {
        let (before, beats) = (self.beats.load(Ordering::Relaxed), &self.beats);
        until("heartbeats go on", || async { beats.load(Ordering::Relaxed) > before + 50 }).await;
    }

    async fn stop(self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        join_all(self.tasks).await;
        self.lost.load(Ordering::Relaxed)
    }
}

async fn five_seats(caller: &Client) -> Vec<Seat> {
    let mut seats = Vec::new();
    for n in 1..=5 {
        seats.push(seat(caller, n).await);
    }
    seats
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flushed_redis_loses_no_session_and_grants_no_sixth_seat() {
    let (world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let seats = five_seats(&caller).await;
    let load = Load::start(&seats);
    for n in 10..30 {
        world.redis.flush().await;
        caller.post(ACQUIRE, json!({"hardware_id": device(n)}), 409).await;
    }
    load.keeps_beating().await;
    assert_eq!(load.stop().await, 0, "a live session was lost");
    for seat in &seats {
        seat.beat(200).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_was_killed_and_came_back_empty_loses_no_session() {
    let (mut world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let seats = five_seats(&caller).await;
    let load = Load::start(&seats);
    load.keeps_beating().await;

    world.redis.stop();
    for (path, body) in [(ACQUIRE, json!({"hardware_id": device(1)})), (HEARTBEAT, seats[0].body())] {
        unavailable(&caller.post(path, body, 503).await);
    }
    let ready = client.get("/ready", 503).await;
    assert_eq!(failing(&ready.body), ["redis"], "{:#}", ready.body);
    client.get("/health", 200).await;

    world.redis.start_again().await;
    load.keeps_beating().await;
    until("ready again", || async {
        client.send_any(client.request(testing::http::Method::GET, "/ready")).await.status == 200
    })
    .await;
    for n in 10..20 {
        caller.post(ACQUIRE, json!({"hardware_id": device(n)}), 409).await;
    }
    assert_eq!(load.stop().await, 0, "a live session was lost");
    for seat in &seats {
        seat.beat(200).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_postgres_known_sessions_go_on_and_the_rest_is_told_when_to_come_back() {
    let (proxy, world) = behind_a_proxy().await;
    let client = all(&world).await;
    let license = world.license(world.tenant("acme").await, "TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let held = seat(&caller, 1).await;
    client.post(VALIDATE, question(&license, 1), 200).await;

    for silent in [false, true] {
        if silent {
            proxy.stall()
        } else {
            proxy.cut()
        }
        let requests = [
            (ACQUIRE, json!({"hardware_id": device(2)})),
            (VALIDATE, question(&license, 1)),
            (AUTH, json!({"license_key": license.key.to_string()})),
        ];
        for (path, body) in requests {
            let begin = std::time::Instant::now();
            let down = caller.post(path, body, 503).await;
            unavailable(&down);
            println!("{path} with Postgres {}: {:?}", if silent { "silent" } else { "gone" }, begin.elapsed());
        }
        held.beat(200).await;
        let ready = client.get("/ready", 503).await;
        assert_eq!(failing(&ready.body)[0], "postgres", "{:#}", ready.body);

        proxy.resume();
        let back = || async { caller.try_post(ACQUIRE, json!({"hardware_id": device(2)})).await.status != 503 };
        until("acquires work again", back).await;
        client.post(VALIDATE, question(&license, 1), 200).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_function_does_not_notice_that_redis_was_restarted() {
    let (mut world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let held = seat(&caller, 1).await;
    for _ in 0..3 {
        world.redis.start_again().await;
        // Each has connections of its own, which it has to find broken.
        held.beat(200).await;
        caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 200).await;
        client.post(VALIDATE, question(&license, 1), 200).await;
        held.beat(200).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_function_that_was_frozen_meanwhile_does_not_notice_that_postgres_was_restarted() {
    let mut server = Server::start().await;
    let world = World::on(server.database().await).await;
    let process = world.spawn(env!("CARGO_BIN_EXE_all-in-one"), "coditect_all").await;
    let license = world.license(world.tenant("acme").await, "TEAM", 5).await;
    let caller = signed_in(&process.client, &license).await;
    let held = seat(&caller, 1).await;
    process.freeze();
    server.crash();
    server.start_again().await;
    process.thaw();
    process.client.post(VALIDATE, question(&license, 1), 200).await;
    caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 200).await;
    held.release(200).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_function_does_not_notice_that_postgres_was_lost_without_a_word() {
    let (proxy, world) = behind_a_proxy().await;
    let client = all(&world).await;
    let license = world.license(world.tenant("acme").await, "TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let held = seat(&caller, 1).await;
    proxy.lose();
    let lost = std::time::Instant::now();
    until("the function is idle", async || lost.elapsed() > std::time::Duration::from_secs(1)).await;
    client.post(VALIDATE, question(&license, 1), 200).await;
    caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 200).await;
    held.release(200).await;
}

/// A deployment whose functions reach Postgres through a proxy.
async fn behind_a_proxy() -> (Proxy, World) {
    let proxy = Proxy::to_postgres().await;
    let world = World::new().await;
    let url = world.db.url_through(&proxy, "coditect_all");
    (proxy, world.with("DATABASE_URL", url))
}

fn unavailable(answer: &Answer) {
    problem(answer, "a 503");
    assert_eq!(answer.text("/code"), "unavailable");
    let wait = answer.header("retry-after");
    assert!(wait.parse::<u32>().is_ok_and(|s| s > 0), "Retry-After is {wait:?}");
}

fn failing(ready: &Value) -> Vec<&str> {
    let rows = ready["dependencies"].as_array().unwrap_or_else(|| panic!("{ready:#}"));
    rows.iter().filter(|row| row["status"] != "ok").map(|row| row["name"].as_str().unwrap()).collect()
}
