//! Cursors that were invented, changed or taken from elsewhere; and those from before a database was restored.

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use testing::World;
use testing::http::{Answer, Client, Method};
use testing::postgres::server::Server;

use crate::cloud::{Cloud, decision, page, pull_all};

const AT: &str = "2026-11-01T10:00:00Z";

async fn pull(client: &Client, cursor: &str) -> Answer {
    let cursor: String = cursor.bytes().map(|byte| format!("%{byte:02x}")).collect();
    client.send_any(client.request(Method::GET, &format!("/api/v1/context/pull?cursor={cursor}"))).await
}

/// Checks that the cursor is refused, with a sentence that asks to start again without one.
async fn is_refused(client: &Client, cursor: &str, what: &str) {
    let answer = pull(client, cursor).await;
    assert_eq!((answer.status, answer.text("/code")), (400, "invalid_cursor"), "{what}: {:#}", answer.body);
    assert!(answer.text("/detail").contains("tart again without one"), "{what}: {}", answer.text("/detail"));
}

async fn some(cloud: &Cloud, count: usize) {
    let records: Vec<Value> = (0..count).map(|n| decision(&format!("r{n}"), "one", AT)).collect();
    cloud.push("a", json!(records)).await;
}

#[tokio::test]
async fn a_cursor_that_was_changed_in_any_byte_is_refused() {
    let cloud = Cloud::new().await;
    some(&cloud, 3).await;
    let first = page(&cloud.pull, None, "limit=2").await;
    let cursor = first.text("/next_cursor");
    assert_eq!(pull(&cloud.pull, cursor).await.body["records"].as_array().unwrap().len(), 1);
    let bytes = URL_SAFE_NO_PAD.decode(cursor).unwrap();
    for place in 0..bytes.len() {
        for bit in [1, 128] {
            let mut bytes = bytes.clone();
            bytes[place] ^= bit;
            is_refused(&cloud.pull, &URL_SAFE_NO_PAD.encode(bytes), &format!("byte {place}")).await;
        }
    }
    let long = "A".repeat(5000);
    for invented in [
        "",
        "x",
        "0",
        "null",
        &cursor[1..],
        &cursor[..cursor.len() - 1],
        &format!("{cursor}A"),
        &format!("{cursor}="),
        "\u{0}",
        "é",
        "' or 1=1",
        &long,
        &URL_SAFE_NO_PAD.encode([0; 32]),
        &URL_SAFE_NO_PAD.encode([255; 32]),
    ] {
        is_refused(&cloud.pull, invented, invented).await;
    }
    // Twice in one query is no cursor either, whichever is meant.
    cloud.pull.get(&format!("/api/v1/context/pull?cursor={cursor}&cursor={cursor}"), 422).await;
}

#[tokio::test]
async fn a_cursor_of_another_listing_is_refused_everywhere() {
    let cloud = Cloud::new().await;
    some(&cloud, 3).await;
    for version in 1..4 {
        let change = json!({"kind": "decision", "id": "r0", "content": {"text": version}, "updated_at": AT, "base_version": version});
        cloud.push("a", json!([change])).await;
    }
    let listings = ["pull?limit=1", "decisions?limit=1", "history?kind=decision&id=r0&limit=1"];
    for from in listings {
        let cursor = cloud.pull.get(&format!("/api/v1/context/{from}"), 200).await.text("/next_cursor").to_owned();
        for to in listings {
            let answer = cloud
                .pull
                .get(&format!("/api/v1/context/{to}&cursor={cursor}"), if from == to { 200 } else { 400 })
                .await;
            assert!(from == to || answer.text("/code") == "invalid_cursor", "{from} in {to}");
        }
    }
}

#[tokio::test]
async fn a_raised_epoch_makes_everybody_start_over_and_lose_nothing() {
    let cloud = Cloud::new().await;
    some(&cloud, 5).await;
    let cursor = page(&cloud.pull, None, "limit=2").await.text("/next_cursor").to_owned();
    let view = cloud.pull.get("/api/v1/context/decisions?limit=1", 200).await.text("/next_cursor").to_owned();
    cloud.world.sql("update context_heads set epoch = epoch + 1").await;
    is_refused(&cloud.pull, &cursor, "the old epoch").await;
    cloud.pull.get(&format!("/api/v1/context/decisions?cursor={view}"), 400).await;
    assert_eq!(cloud.pull_all(2).await.len(), 5);
}

/// The state after a restore of an earlier state for which the epoch was not raised.
#[tokio::test]
async fn a_cursor_ahead_of_the_stream_is_refused() {
    let cloud = Cloud::new().await;
    some(&cloud, 5).await;
    let cursor = page(&cloud.pull, None, "limit=5").await.text("/next_cursor").to_owned();
    assert_eq!(pull(&cloud.pull, &cursor).await.status, 200);
    cloud.world.sql("delete from context_records where seq > 3; update context_heads set seq = 3").await;
    is_refused(&cloud.pull, &cursor, "ahead").await;
}

#[tokio::test]
async fn a_tenant_without_a_head_is_damage_and_not_an_empty_stream() {
    let cloud = Cloud::new().await;
    some(&cloud, 1).await;
    cloud.world.sql("delete from context_heads").await;
    let push =
        cloud.push.try_post(crate::cloud::PUSH, json!({"device_id": "a", "records": [decision("x", "one", AT)]})).await;
    assert_eq!((push.status, push.text("/code")), (500, "internal"));
    for path in ["pull", "status", "tasks", "decisions", "learnings", "history?kind=decision&id=r0"] {
        cloud.pull.get(&format!("/api/v1/context/{path}"), 500).await;
    }
}

/// A deployment on a server of its own.
async fn on(server: &Server) -> Cloud {
    Cloud::on(World::on(server.database().await).await, "ENT").await
}

/// Serves the same deployment on another server, to which its database has moved.
async fn moved(cloud: &Cloud, server: &Server) -> (World, Client, Client) {
    let world = World::on(server.database_named(cloud.world.db.name())).await;
    let push = world.serve("sync-push", sync_push::State::connect, sync_push::routes).await;
    let pull = world.serve("sync-pull", sync_pull::State::connect, sync_pull::routes).await;
    let token = world.access_token(&cloud.license).await;
    (world, push.bearer(token.clone()), pull.bearer(token))
}

#[tokio::test]
async fn cursors_survive_a_dump_restored_in_another_cluster() {
    let (old, new) = (Server::start().await, Server::start().await);
    let cloud = on(&old).await;
    some(&cloud, 5).await;
    let cursor = page(&cloud.pull, None, "limit=2").await.text("/next_cursor").to_owned();
    old.dump_to(&new, cloud.world.db.name());
    let (_world, push, their_pull) = moved(&cloud, &new).await;
    crate::cloud::push(&push, "b", json!([decision("later", "x", AT)])).await;
    let rest = pull(&their_pull, &cursor).await;
    let ids: Vec<&str> = rest.body["records"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["r2", "r3", "r4", "later"]);
}

/// Records that the new primary doesn't have may have been read from the old one, and their numbers are given again.
#[tokio::test]
async fn a_promoted_replica_makes_everybody_start_over_and_nothing_is_skipped() {
    let old = Server::start().await;
    let cloud = on(&old).await;
    some(&cloud, 3).await;
    let new = old.copy().await;
    // Written after the copy was made, read by a client, and lost with the old primary.
    cloud.push("a", json!([decision("lost", "x", AT)])).await;
    let cursor = page(&cloud.pull, None, "limit=10").await.text("/next_cursor").to_owned();
    assert_eq!(pull(&cloud.pull, &cursor).await.status, 200);
    new.promote().await;

    let (_world, push, their_pull) = moved(&cloud, &new).await;
    crate::cloud::push(&push, "b", json!([decision("other", "x", AT)])).await;
    is_refused(&their_pull, &cursor, "the old primary's").await;
    let all = pull_all(&their_pull, 2).await;
    let ids: Vec<&str> = all.iter().map(|r| r["id"].as_str().unwrap()).collect();
    assert_eq!(ids, ["r0", "r1", "r2", "other"]);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 4);
    // A client that has the lost records pushes them again.
    crate::cloud::push(&push, "a", json!([decision("r0", "one", AT), decision("lost", "x", AT)])).await;
    assert_eq!(pull_all(&their_pull, 2).await.len(), 5);
    let fresh = page(&their_pull, None, "limit=10").await.text("/next_cursor").to_owned();
    assert_eq!(pull(&their_pull, &fresh).await.status, 200);
}
