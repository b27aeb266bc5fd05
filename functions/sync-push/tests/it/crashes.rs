//! Processes and servers that die in the middle of pushes: after the retries nothing is lost and nothing is there twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};
use testing::World;
use testing::http::{Client, Method};
use testing::postgres::server::Server;
use testing::process::until;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cloud::{PUSH, pull_all};

const WRITERS: usize = 6;

/// A writer alone with its records: each round changes three of them, and goes on only when that was answered.
async fn write(
    writer: usize,
    mut servers: watch::Receiver<Client>,
    rounds: usize,
    answered: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
) -> usize {
    let mut versions = [0_u64; 3];
    for round in 0..rounds {
        let records: Vec<Value> = (0..3)
            .map(|n| {
                json!({"kind": "task", "id": format!("w{writer}-{n}"), "content": {"text": format!("{round}")},
                    "updated_at": "2026-11-01T10:00:00Z", "base_version": (round > 0).then_some(versions[n])})
            })
            .collect();
        let body = json!({"device_id": format!("d{writer}"), "records": records});
        let results = loop {
            let client = servers.borrow_and_update().clone();
            let sent = client.request(Method::POST, PUSH).json(&body).send().await;
            match sent {
                Ok(response) if response.status() == 200 => match response.json::<Value>().await {
                    Ok(body) => break body["results"].as_array().unwrap().clone(),
                    Err(_) => continue,
                },
                // A server that died for another that did says the same as one that is away.
                Ok(response) => assert_eq!(response.status(), 503, "{:?}", response.text().await),
                Err(_) => {
                    if !servers.has_changed().unwrap() {
                        tokio::task::yield_now().await;
                    }
                }
            }
        };
        for (version, result) in versions.iter_mut().zip(&results) {
            *version += 1;
            let status = result["status"].as_str().unwrap();
            assert!(["created", "updated", "duplicate"].contains(&status), "{result}");
            assert_eq!(result["version"], *version, "{result}");
        }
        answered.fetch_add(1, Ordering::SeqCst);
        if stop.load(Ordering::SeqCst) {
            return round;
        }
    }
    rounds - 1
}

/// Everything that was answered is there, at the version that was said, with all that it was before.
async fn check(world: &World, pull: &Client, last_rounds: &[usize]) {
    let all = pull_all(pull, 7).await;
    assert_eq!(all.len(), 3 * WRITERS);
    for (writer, round) in last_rounds.iter().enumerate() {
        for n in 0..3 {
            let record = all.iter().find(|r| r["id"] == format!("w{writer}-{n}")).unwrap();
            assert_eq!(
                (&record["content"]["text"], &record["version"]),
                (&json!(round.to_string()), &json!(round + 1)),
                "{record}"
            );
        }
    }
    let wrong = "select count(*) from context_records r where r.version - 1 <> (
            select count(distinct h.version) from context_history h
            where (h.tenant_id, h.kind, h.id) = (r.tenant_id, r.kind, r.id) and h.version < r.version)
        or r.version - 1 <> (select count(*) from context_history h where (h.tenant_id, h.kind, h.id) = (r.tenant_id, r.kind, r.id))";
    assert_eq!(world.number(wrong).await, 0, "a version is missing, or there twice");
    let off = "select count(*) from context_totals where records <> 18 or deleted <> 0";
    assert_eq!(world.number(off).await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_under_load_loses_and_doubles_nothing() {
    let world = World::new().await;
    let license = world.license(world.tenant("acme").await, "ENT", 1).await;
    let token = world.access_token(&license).await;
    let pull = world.serve("sync-pull", sync_pull::State::connect, sync_pull::routes).await.bearer(token.clone());
    let (binary, role) = (env!("CARGO_BIN_EXE_sync-push"), "coditect_sync_push");
    let mut process = world.spawn(binary, role).await;
    let (server, servers) = watch::channel(process.client.bearer(token.clone()));
    let (answered, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut writing = JoinSet::new();
    for writer in 0..WRITERS {
        let (servers, answered, stop) = (servers.clone(), answered.clone(), stop.clone());
        writing.spawn(async move { (writer, write(writer, servers, 100_000, answered, stop).await) });
    }
    for kill in 1..=8 {
        let enough = answered.load(Ordering::SeqCst) + 20 + kill;
        until("pushes are answered", || async { answered.load(Ordering::SeqCst) >= enough }).await;
        process.kill();
        process = world.spawn(binary, role).await;
        server.send_replace(process.client.bearer(token.clone()));
    }
    stop.store(true, Ordering::SeqCst);
    let mut last = writing.join_all().await;
    last.sort_unstable();
    check(&world, &pull, &last.into_iter().map(|(_, round)| round).collect::<Vec<_>>()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_postgres_that_crashes_under_load_loses_and_doubles_nothing() {
    let mut postgres = Server::start().await;
    let world = World::on(postgres.database().await).await;
    let license = world.license(world.tenant("acme").await, "ENT", 1).await;
    let token = world.access_token(&license).await;
    let push = world.serve("sync-push", sync_push::State::connect, sync_push::routes).await.bearer(token.clone());
    let pull = world.serve("sync-pull", sync_pull::State::connect, sync_pull::routes).await.bearer(token);
    let (_server, servers) = watch::channel(push);
    let (answered, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let mut writing = JoinSet::new();
    for writer in 0..WRITERS {
        let (servers, answered, stop) = (servers.clone(), answered.clone(), stop.clone());
        writing.spawn(async move { (writer, write(writer, servers, 100_000, answered, stop).await) });
    }
    for crash in 1..=4 {
        let enough = answered.load(Ordering::SeqCst) + 20 + crash;
        until("pushes are answered", || async { answered.load(Ordering::SeqCst) >= enough }).await;
        postgres.crash();
        postgres.start_again().await;
    }
    stop.store(true, Ordering::SeqCst);
    let mut last = writing.join_all().await;
    last.sort_unstable();
    check(&world, &pull, &last.into_iter().map(|(_, round)| round).collect::<Vec<_>>()).await;
}
