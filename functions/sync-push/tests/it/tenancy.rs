//! Tests of the isolation of tenants over HTTP.

use serde_json::json;

use crate::cloud::{Cloud, decision, page, pull_all, push};

const AT: &str = "2026-11-01T10:00:00Z";

#[tokio::test]
async fn the_same_ids_in_two_tenants_are_different_records() {
    let cloud = Cloud::new().await;
    let (_, others, their_pull) = cloud.other("elsewhere", "ENT").await;
    let mine = cloud.push("laptop", json!([decision("x", "mine", AT), decision("y", "mine", AT)])).await;
    let theirs = push(&others, "laptop", json!([decision("x", "theirs", AT)])).await;
    assert_eq!((&mine[0]["status"], &theirs[0]["status"]), (&json!("created"), &json!("created")));

    let all = pull_all(&their_pull, 10).await;
    assert_eq!(all.iter().map(|r| &r["content"]["text"]).collect::<Vec<_>>(), ["theirs"]);
    let status = their_pull.get("/api/v1/context/status", 200).await.body;
    assert_eq!((&status["records"]["used"], status["devices"].as_array().unwrap().len()), (&json!(1), 1));
    their_pull.get("/api/v1/context/history?kind=decision&id=y", 404).await;
    assert_eq!(their_pull.get("/api/v1/context/decisions", 200).await.body["data"].as_array().unwrap().len(), 1);

    // A position in one tenant's stream means nothing in another's, though the numbers are the same.
    let own = page(&cloud.pull, None, "limit=1").await;
    let cursor = own.text("/next_cursor");
    let refused = their_pull.get(&format!("/api/v1/context/pull?cursor={cursor}"), 400).await;
    assert_eq!(refused.text("/code"), "invalid_cursor");
    page(&cloud.pull, Some(cursor), "limit=1").await;
}
