//! `ops stripe`: what could not be applied is seen, and applied once what it lacked is there.

use serde_json::{Value, json};
use testing::stripe::{Event, Events, Subscription, Version};

use crate::desk::Desk;

/// Puts an event where the webhook left it.
async fn left(desk: &Desk, event: &Event, state: &str, waits_for: &[&str]) {
    let client = desk.world.db.connect("postgres").await;
    let (body, kind) = (event.body(), event.0["type"].as_str().unwrap());
    client
        .execute(
            "insert into stripe_events (id, livemode, type, created, body, state, waits_for, error)
             values ($1, false, $2, now(), $3, $4, $5, case when $4 = 'failed' then 'It was so.' end)",
            &[&event.id(), &kind, &body.as_bytes(), &state, &waits_for],
        )
        .await
        .unwrap();
}

fn told(rows: &[Value]) -> Vec<(String, String)> {
    let text = |row: &Value, name: &str| row[name].as_str().unwrap().to_owned();
    rows.iter().map(|row| (text(row, "type"), text(row, "state"))).collect()
}

#[tokio::test]
async fn what_failed_or_waits_is_seen_and_tried_again() {
    let desk = Desk::new().await;
    let events = Events::new(Version::Current);
    let sub = Subscription::new("ann", &[("price_later", 3)], 1_700_000_000);
    let created = events.subscription("created", &sub, 1_700_000_000);
    let bought = events.checkout("checkout.session.completed", &sub, true, 1_700_000_001);
    let stray = events.invoice("paid", &Subscription::new("bob", &[], 1_700_000_000), 1_700_000_002);
    left(&desk, &created, "waiting", &["cus_ann"]).await;
    left(&desk, &bought, "failed", &[]).await;
    left(&desk, &stray, "waiting", &["cus_bob"]).await;

    let failed = desk.list(&["stripe", "events", "--failed"]).await;
    assert_eq!(told(&failed), [("checkout.session.completed".to_owned(), "failed".to_owned())]);
    assert_eq!(failed[0]["error"], "It was so.");
    assert_eq!(desk.list(&["stripe", "events", "--waiting"]).await.len(), 2);
    assert_eq!(desk.list(&["stripe", "events", "--limit", "1"]).await.len(), 1);
    assert_eq!(desk.list(&["stripe", "events", "--recheck"]).await, Vec::<Value>::new());

    // The price is in no plan yet.
    let sentence = desk.refused(&["stripe", "retry"]).await;
    assert!(sentence.contains("ops stripe events --failed"), "{sentence}");
    let failed = desk.list(&["stripe", "events", "--failed"]).await;
    assert!(failed[0]["error"].as_str().unwrap().contains("price_later"), "{failed:?}");

    desk.world.sql("insert into plan_prices values ('price_later', 'BUSINESS', 'base', 1)").await;
    desk.plain(&["stripe", "retry", created.id()]).await;
    let again = desk.plain(&["stripe", "retry", created.id()]).await;
    assert!(again.err.contains("applied before"), "{again:?}");
    let all = desk.plain(&["stripe", "retry"]).await;
    assert!(all.err.contains("Tried 1 events: 0 events can't be applied, 1 wait."), "{all:?}");
    let licenses = desk.list(&["license", "list", "--customer", "cus_ann"]).await;
    assert_eq!((licenses.len(), &licenses[0]["seats"]), (1, &json!(3)));
    assert!(desk.refused(&["stripe", "retry", "evt_none"]).await.contains("There is no event evt_none"));
}
