//! Tests of the quotas of plans.

use serde_json::{Value, json};

use crate::cloud::{Cloud, decision, with, words};

const AT: &str = "2026-11-01T10:00:00Z";
const LATER: &str = "2026-11-01T10:00:01Z";

async fn limited(records: i64, bytes: i64) -> Cloud {
    let cloud = Cloud::new().await;
    let quotas = json!({"context_records": records, "context_bytes": bytes});
    cloud.world.sql(&format!("update plans set quotas = quotas || '{quotas}' where code = 'ENT'")).await;
    cloud
}

/// A decision whose content has this many bytes.
fn of_bytes(id: &str, bytes: usize) -> Value {
    decision(id, &"x".repeat(bytes - r#"{"text":""}"#.len()), AT)
}

fn gone(id: &str, base: u64) -> Value {
    json!({"kind": "decision", "id": id, "updated_at": LATER, "base_version": base, "deleted": true})
}

async fn used(cloud: &Cloud) -> (u64, u64) {
    let status = cloud.status().await;
    (status["records"]["used"].as_u64().unwrap(), status["bytes"]["used"].as_u64().unwrap())
}

#[tokio::test]
async fn exactly_as_many_records_as_the_plan_has_are_let_in() {
    let cloud = limited(3, -1).await;
    let many: Vec<Value> = (0..5).map(|n| decision(&format!("r{n}"), "one", AT)).collect();
    let results = cloud.push("a", json!(many)).await;
    assert_eq!(words(&results), ["created", "created", "created", "quota_exceeded", "quota_exceeded"]);
    assert!(results[3]["error"]["detail"].as_str().unwrap().contains("3 records"), "{:?}", results[3]);
    assert_eq!(used(&cloud).await.0, 3);

    // A push that takes no more room is stored: an unchanged record, a change, a deletion, and a record that then fits.
    let full = cloud
        .push(
            "a",
            json!([
                decision("new", "one", AT),
                many[0],
                with(decision("r1", "two, and longer", LATER), "base_version", 1),
                gone("r2", 1)
            ]),
        )
        .await;
    assert_eq!(words(&full), ["quota_exceeded", "duplicate", "updated", "updated"]);
    assert_eq!(used(&cloud).await.0, 2);
    let one_more = cloud.push("a", json!([decision("new", "one", AT), decision("newer", "one", AT)])).await;
    assert_eq!(words(&one_more), ["created", "quota_exceeded"]);

    // Something deleted that comes back is a record more; a deletion of what never was is none.
    let back = with(decision("r2", "back", "2026-11-01T11:00:00Z"), "base_version", 2);
    assert_eq!(words(&cloud.push("a", json!([back])).await), ["quota_exceeded"]);
    let never = json!({"kind": "decision", "id": "never", "updated_at": AT, "deleted": true});
    assert_eq!(
        words(&cloud.push("a", json!([never, gone("r0", 1), back])).await),
        ["created", "updated", "quota_exceeded"]
    );
    assert_eq!(words(&cloud.push("a", json!([back])).await), ["updated"]);
    assert_eq!(used(&cloud).await.0, 3);

    cloud.world.sql("update plans set quotas = quotas || '{\"context_records\": -1}' where code = 'ENT'").await;
    assert_eq!(words(&cloud.push("a", json!([decision("newer", "one", AT)])).await), ["created"]);
}

#[tokio::test]
async fn exactly_as_many_bytes_as_the_plan_has_are_let_in() {
    let cloud = limited(-1, 1000).await;
    let results = cloud.push("a", json!([of_bytes("a", 400), of_bytes("b", 600), of_bytes("c", 20)])).await;
    assert_eq!(words(&results), ["created", "created", "quota_exceeded"]);
    assert_eq!(used(&cloud).await, (2, 1000));

    let grown = with(of_bytes("a", 401), "base_version", 1);
    let shrunk = with(of_bytes("b", 500), "base_version", 1);
    assert_eq!(words(&cloud.push("a", json!([grown, shrunk])).await), ["quota_exceeded", "updated"]);
    assert_eq!(used(&cloud).await, (2, 900));
    assert_eq!(words(&cloud.push("a", json!([with(of_bytes("a", 500), "base_version", 1)])).await), ["updated"]);
    assert_eq!(used(&cloud).await, (2, 1000));
    assert_eq!(words(&cloud.push("a", json!([gone("a", 2)])).await), ["updated"]);
    assert_eq!(used(&cloud).await, (1, 500));
}

#[tokio::test]
async fn a_plan_that_shrank_takes_nothing_away_and_lets_nothing_in() {
    let cloud = limited(-1, -1).await;
    let many: Vec<Value> = (0..10).map(|n| of_bytes(&format!("r{n}"), 100)).collect();
    cloud.push("a", json!(many)).await;
    cloud
        .world
        .sql(
            "update plans set quotas = quotas || '{\"context_records\": 5, \"context_bytes\": 500}' where code = 'ENT'",
        )
        .await;
    let results = cloud
        .push("a", json!([decision("new", "one", AT), many[1], with(of_bytes("r0", 90), "base_version", 1)]))
        .await;
    assert_eq!(words(&results), ["quota_exceeded", "duplicate", "updated"]);
    assert_eq!(cloud.pull_all(3).await.len(), 10);
    let status = cloud.status().await;
    assert_eq!(
        (&status["records"], &status["bytes"]),
        (&json!({"used": 10, "limit": 5}), &json!({"used": 990, "limit": 500}))
    );
}

/// The answer to a push was lost, and meanwhile the record shrank and the room was used up by others.
#[tokio::test]
async fn a_late_retry_is_a_duplicate_also_where_nothing_more_fits() {
    let cloud = limited(2, 1000).await;
    cloud.push("a", json!([of_bytes("x", 500)])).await;
    let shrunk = with(with(of_bytes("x", 100), "base_version", 1), "updated_at", LATER);
    assert_eq!(words(&cloud.push("b", json!([shrunk, of_bytes("y", 900)])).await), ["updated", "quota_exceeded"]);
    cloud.push("b", json!([of_bytes("y", 900)])).await;
    assert_eq!(used(&cloud).await, (2, 1000));
    assert_eq!(words(&cloud.push("a", json!([of_bytes("x", 500)])).await), ["duplicate"]);
}
