//! Contents that only the tenant's devices can read.

use protocol::envelope::Envelope;
use serde_json::{Value, json};

use crate::cloud::{Cloud, decision, with, words};

const AT: &str = "2026-11-01T10:00:00Z";
const LATER: &str = "2026-11-01T10:00:01Z";
const KEY: &str = "0123456789abcdef";
const OTHER: &str = "fedcba9876543210";

/// An encrypted content under a key, with its digest and nonce.
fn sealed(key: &str, plain: u8, nonce: char) -> Value {
    let (digest, nonce) = (format!("{plain:064x}"), nonce.to_string().repeat(32));
    Envelope::new(key.to_owned(), digest, nonce, "c2VjcmV0".to_owned()).into_content()
}

fn encrypted(id: &str, key: &str, plain: u8, nonce: char) -> Value {
    with(decision(id, "", AT), "content", sealed(key, plain, nonce))
}

#[tokio::test]
async fn the_first_encrypted_record_says_which_key_it_is_from_then_on() {
    let cloud = Cloud::new().await;
    assert_eq!(words(&cloud.push("a", json!([decision("plain", "one", AT)])).await), ["created"]);
    assert_eq!(cloud.status().await["encryption"], Value::Null);

    let first = cloud
        .push(
            "a",
            json!([
                decision("p1", "two", AT),
                encrypted("x", KEY, 1, 'a'),
                encrypted("y", OTHER, 2, 'a'),
                encrypted("z", KEY, 3, 'a')
            ]),
        )
        .await;
    assert_eq!(words(&first), ["encryption_required", "created", "encryption_required", "created"]);
    assert!(first[0]["error"]["detail"].as_str().unwrap().contains(KEY), "{:?}", first[0]);
    assert_eq!(cloud.status().await["encryption"], json!({"key_id": KEY}));

    let gone = json!({"kind": "decision", "id": "plain", "updated_at": LATER, "base_version": 1, "deleted": true});
    let then = cloud
        .push(
            "b",
            json!([decision("p2", "three", AT), gone, encrypted("y", OTHER, 2, 'a'), encrypted("y", KEY, 2, 'a')]),
        )
        .await;
    assert_eq!(words(&then), ["encryption_required", "updated", "encryption_required", "repeated_id"]);
    assert_eq!(words(&cloud.push("b", json!([encrypted("y", KEY, 2, 'a')])).await), ["created"]);
    // A task event has no client that could encrypt it.
    let task = cloud.push.post("/api/v1/context/tasks", json!({"task_id": "t"}), 200).await;
    assert_eq!(task.text("/results/0/error/code"), "encryption_required");
    assert_eq!(cloud.status().await["records"]["used"], 3);
}

#[tokio::test]
async fn the_same_content_is_a_duplicate_whatever_its_nonce() {
    let cloud = Cloud::new().await;
    let first = cloud.push("a", json!([encrypted("x", KEY, 1, 'a')])).await;
    let again = cloud.push("b", json!([encrypted("x", KEY, 1, 'b')])).await;
    assert_eq!((words(&again), &again[0]["content_hash"]), (vec!["duplicate"], &first[0]["content_hash"]));
    let other = cloud.push("b", json!([with(encrypted("x", KEY, 2, 'b'), "base_version", 1)])).await;
    assert_eq!(words(&other), ["updated"]);
    assert_ne!(other[0]["content_hash"], first[0]["content_hash"]);

    let pulled = cloud.pull_all(10).await;
    assert_eq!(pulled[0]["content"], sealed(KEY, 2, 'b'));
    let notes = cloud.pull.get("/api/v1/context/decisions", 200).await.body;
    assert_eq!((&notes["data"][0]["encrypted"], notes["data"][0].get("ciphertext")), (&json!(true), None));
}

#[tokio::test]
async fn what_was_pushed_before_the_key_is_still_a_duplicate_alone() {
    let cloud = Cloud::new().await;
    cloud.push("a", json!([decision("old", "one", AT)])).await;
    cloud.push("a", json!([encrypted("x", KEY, 1, 'a')])).await;
    assert_eq!(words(&cloud.push("a", json!([decision("old", "one", AT)])).await), ["duplicate"]);
    let sealed = with(encrypted("old", KEY, 9, 'a'), "base_version", 1);
    assert_eq!(words(&cloud.push("a", json!([sealed])).await), ["updated"]);
}

#[tokio::test]
async fn an_envelope_that_is_none_is_refused() {
    let cloud = Cloud::new().await;
    let good = sealed(KEY, 1, 'a')["encrypted"].clone();
    let mut bad = vec![json!({"encrypted": [1, KEY, good["digest"], good["nonce"], good["ciphertext"]]})];
    for (name, value) in [
        ("v", json!(2)),
        ("v", json!("1")),
        ("key_id", json!("0123456789ABCDEF")),
        ("key_id", json!("")),
        ("key_id", json!("x".repeat(16))),
        ("digest", json!("a".repeat(63))),
        ("digest", json!("A".repeat(64))),
        ("nonce", json!("a".repeat(31))),
        ("nonce", json!("=".repeat(32))),
        ("ciphertext", json!("a+b")),
        ("ciphertext", json!(null)),
    ] {
        bad.push(json!({"encrypted": with(good.clone(), name, value)}));
    }
    for content in bad {
        let result = cloud.push("a", json!([with(decision("x", "", AT), "content", content.clone())])).await;
        assert_eq!(words(&result), ["invalid_content"], "{content}");
    }
    assert_eq!(cloud.status().await["encryption"], Value::Null, "nothing was encrypted");
}
