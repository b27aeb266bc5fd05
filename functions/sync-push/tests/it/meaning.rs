//! Tests of the outcomes of pushed records.

use serde_json::{Value, json};

use crate::cloud::{Cloud, decision, with};

const AT: &str = "2026-11-01T10:00:00Z";
const LATER: &str = "2026-11-01T10:00:01Z";

fn words(results: &[Value]) -> Vec<(&str, &Value)> {
    results.iter().map(|r| (r["status"].as_str().unwrap(), &r["version"])).collect()
}

#[tokio::test]
async fn a_record_is_created_updated_and_pulled_as_it_is_now() {
    let cloud = Cloud::new().await;
    let first = cloud.push("a", json!([decision("x", "one", AT), decision("y", "two", AT)])).await;
    assert_eq!(words(&first), [("created", &json!(1)), ("created", &json!(1))]);
    let again = cloud.push("a", json!([decision("x", "one", AT), decision("y", "two", AT)])).await;
    assert_eq!(words(&again), [("duplicate", &json!(1)), ("duplicate", &json!(1))]);
    let changed = cloud
        .push("a", json!([with(decision("x", "three", LATER), "base_version", 1), decision("z", "new", AT)]))
        .await;
    assert_eq!(words(&changed), [("updated", &json!(2)), ("created", &json!(1))]);

    let all = cloud.pull_all(1).await;
    let seen: Vec<_> = all
        .iter()
        .map(|r| (r["id"].as_str().unwrap(), r["version"].as_u64().unwrap(), &r["content"]["text"]))
        .collect();
    assert_eq!(seen, [("y", 1, &json!("two")), ("x", 2, &json!("three")), ("z", 1, &json!("new"))]);
    assert_eq!(all[1]["content_hash"], changed[0]["content_hash"]);

    let history = cloud.pull.get("/api/v1/context/history?kind=decision&id=x", 200).await;
    let was: Vec<_> = history.body["data"].as_array().unwrap().iter().map(|e| (&e["outcome"], &e["version"])).collect();
    assert_eq!(was, [(&json!("current"), &json!(2)), (&json!("replaced"), &json!(1))]);
}

#[tokio::test]
async fn the_later_of_two_conflicting_changes_wins_and_the_other_is_kept() {
    let cloud = Cloud::new().await;
    cloud.push("a", json!([decision("x", "base", AT)])).await;
    cloud.push("a", json!([with(decision("x", "a's", "2026-11-01T12:00:00Z"), "base_version", 1)])).await;

    let older = with(decision("x", "b's", LATER), "base_version", 1);
    let lost = cloud.push("b", json!([older])).await;
    assert_eq!(words(&lost), [("conflict", &json!(2))]);
    let again = cloud.push("b", json!([older])).await;
    assert_eq!(words(&again), [("duplicate", &json!(2))], "its change is in the history already");

    let won = cloud.push("b", json!([with(decision("x", "b's own", "2026-11-01T13:00:00Z"), "base_version", 1)])).await;
    assert_eq!(words(&won), [("conflict", &json!(3))]);
    let now = cloud.pull_all(10).await;
    assert_eq!((&now[0]["content"]["text"], &now[0]["content_hash"]), (&json!("b's own"), &won[0]["content_hash"]));
    let history = cloud.history("decision", "x").await;
    let was: Vec<_> = history.iter().map(|(outcome, _, text)| (outcome.as_str(), text.as_str().unwrap())).collect();
    assert_eq!(was, [("current", "b's own"), ("lost", "b's"), ("replaced", "a's"), ("replaced", "base")]);
}

#[tokio::test]
async fn what_is_deleted_stays_as_a_tombstone() {
    let cloud = Cloud::new().await;
    cloud.push("a", json!([decision("x", "one", AT)])).await;
    let gone = json!({"kind": "decision", "id": "x", "updated_at": LATER, "base_version": 1, "deleted": true});
    assert_eq!(words(&cloud.push("a", json!([gone])).await), [("updated", &json!(2))]);
    assert_eq!(words(&cloud.push("a", json!([gone])).await), [("duplicate", &json!(2))]);
    let all = cloud.pull_all(10).await;
    assert_eq!((&all[0]["deleted"], &all[0]["content"]), (&json!(true), &Value::Null));
    let status = cloud.pull.get("/api/v1/context/status", 200).await.body;
    assert_eq!(
        (&status["kinds"][0]["count"], &status["kinds"][0]["deleted"], &status["kinds"][0]["bytes"]),
        (&json!(0), &json!(1), &json!(0))
    );
}
