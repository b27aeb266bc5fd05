//! Tests of `ops seat`: listing holders, and freeing seats.

use seats::ExtendOutcome;
use serde_json::json;

use crate::clients::Clients;
use crate::ops_cli::OpsCli;

#[tokio::test]
async fn the_list_says_who_holds_what_and_for_how_long_yet() {
    let ops = OpsCli::new().await;
    let license = ops.license().await;
    let (clients, id) = (Clients::of(&ops, license).await, license.to_string());
    let ask = ["seat", "list", id.as_str()];
    assert!(ops.list(&ask).await.is_empty());
    let ann = clients.seat("ann").await;
    let seats = ops.list(&ask).await;
    assert_eq!(seats.len(), 1);
    let seat = &seats[0];
    assert_eq!((&seat["session_id"], &seat["hostname"], &seat["state"]), (&json!(ann), &json!("ann"), &json!("live")));
    assert_eq!(seat["user"], "license key");
    assert!((300..=360).contains(&seat["seconds_left"].as_i64().unwrap()), "{seat}");
    assert!(seat["since"].as_str().unwrap().ends_with('Z'), "{seat}");
    assert_eq!(seat["hardware_id"].as_str().unwrap().len(), 64);

    ops.world.redis.age_seats(license, 360_001).await;
    clients.seat("bob").await;
    let user = ops.json(&["user", "add", "--tenant", "acme", "--email", "bob@example.com"]).await;
    let sql = format!("update sessions set user_id = '{}' where holder = 'bob'", user["user_id"].as_str().unwrap());
    ops.world.sql(&sql).await;
    let told = |row: &serde_json::Value| json!([row["user"], row["state"]]);
    let seats: Vec<_> = ops.list(&ask).await.iter().map(told).collect();
    assert_eq!(
        seats,
        [json!(["bob@example.com", "live"])],
        "the seat that expired was cleared away by the next acquire"
    );
    ops.world.redis.age_seats(license, 360_001).await;
    assert_eq!(ops.list(&ask).await[0]["state"], "expired");
    ops.world.redis.flush().await;
    let seats = ops.list(&ask).await;
    assert_eq!((&seats[0]["state"], &seats[0]["seconds_left"]), (&json!("not in Redis"), &json!(null)));
    let table = ops.plain(&ask).await.out;
    assert!(table.contains("bob@example.com") && table.lines().count() == 2, "{table}");
}

#[tokio::test]
async fn an_eviction_frees_the_seat_ends_the_row_and_may_be_repeated() {
    let ops = OpsCli::new().await;
    let license = ops.license().await;
    let clients = Clients::of(&ops, license).await;
    ops.plain(&["license", "set-seats", &license.to_string(), "--seats", "1"]).await;
    let ann = clients.seat("ann").await;
    assert!(clients.is_full("bob").await);
    let session = ann.to_string();
    let ask = ["seat", "evict", session.as_str()];
    assert!(ops.plain(&ask).await.err.contains("its seat is free"));
    assert_eq!(clients.ended(ann).await.as_deref(), Some("revoked"));
    assert!(matches!(clients.heartbeat(ann).await, ExtendOutcome::Unknown(_)));
    let bob = clients.seat("bob").await;

    let again = ops.json(&ask).await;
    assert_eq!(again["message"], format!("Session {ann} had ended before (revoked)."));
    assert!(clients.is_live(bob).await, "only that session was ended");
    let entries = ops.audit().await;
    assert_eq!(ops.actions().await[3..], ["seat.evicted"], "a repetition changes nothing");
    assert_eq!((entries[3].2, &entries[3].3), (Some(license), &json!({"session_id": ann})));
}

#[tokio::test]
async fn an_unknown_session_is_refused() {
    let ops = OpsCli::new().await;
    let id = "01890a5d-ac96-774b-bcce-b302099a8057";
    let sentence = ops.refused(&["seat", "evict", id]).await;
    assert!(sentence.contains(id) && sentence.contains("ops seat list"), "{sentence}");
}

#[tokio::test]
async fn a_session_that_expired_says_why_it_ended_and_is_no_eviction() {
    let ops = OpsCli::new().await;
    let license = ops.license().await;
    let clients = Clients::of(&ops, license).await;
    let ann = clients.seat("ann").await;
    ops.world.redis.age_seats(license, 360_001).await;
    clients.seat("bob").await;
    assert_eq!(clients.ended(ann).await.as_deref(), Some("expired"));
    assert!(ops.plain(&["seat", "evict", &ann.to_string()]).await.err.contains("had ended before (expired)"));
    assert_eq!(ops.actions().await.len(), 2);
}

#[tokio::test]
async fn the_usage_counts_the_seats_of_each_plan_and_is_told_as_facts_where_a_log_is_asked_for() {
    let ops = OpsCli::new().await;
    let license = ops.license().await;
    ops.json(&["license", "issue", "--tenant", "acme", "--plan", "TEAM", "--seats", "7"]).await;
    ops.json(&["license", "issue", "--tenant", "acme", "--plan", "PRO", "--seats", "1"]).await;
    let clients = Clients::of(&ops, license).await;
    clients.seat("ann").await;
    clients.seat("bob").await;
    let ask = ["seat", "usage"];
    let rows = |in_use: u64| {
        [
            json!({"plan": "PRO", "licenses": 1, "seats": 1, "in_use": 0}),
            json!({"plan": "TEAM", "licenses": 2, "seats": 12, "in_use": in_use}),
        ]
    };
    assert_eq!(ops.list(&ask).await, rows(2));
    ops.world.redis.flush().await;
    assert_eq!(ops.list(&ask).await, rows(2), "they are restored when their license is next used");
    clients.seat("ann").await;
    ops.world.redis.age_seats(license, 360_001).await;
    assert_eq!(ops.list(&ask).await, rows(0));

    let ops = ops.with("LOG_FORMAT", Some("json"));
    let told = ops.run(&ask).await;
    let lines: Vec<serde_json::Value> = told.err.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2, "{told:?}");
    assert_eq!(
        (&lines[1]["fact"], &lines[1]["function"], &lines[1]["severity"]),
        (&json!("seats_in_use"), &json!("ops"), &json!("INFO"))
    );
    assert_eq!((&lines[1]["plan"], &lines[1]["in_use"], &lines[1]["limit"]), (&json!("TEAM"), &json!(0), &json!(12)));
    ops.run(&["license", "suspend", &license.to_string()]).await;
    let made = ops.run(&["license", "issue", "--tenant", "acme", "--plan", "PRO"]).await;
    let line: serde_json::Value = serde_json::from_str(made.err.trim()).unwrap();
    assert_eq!(
        (&line["fact"], &line["by"], &line["plan"]),
        (&json!("license_created"), &json!("operator"), &json!("PRO"))
    );
}
