//! `ops stripe`: what could not be applied is seen, and applied once what it lacked is there.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use testing::stripe::{Event, Events, Subscription, Version};
use testing::stripe_api::{Asked, KEY, Reply, StripeApi};

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

/// The objects that Stripe has.
#[derive(Default)]
struct AtStripe {
    subscriptions: Vec<Value>,
    invoices: Vec<Value>,
    charges: Vec<Value>,
}

impl AtStripe {
    fn answer(&self, asked: &Asked) -> Reply {
        let customer = asked.parameters["customer"].as_str();
        let of = |objects: &[Value]| {
            let objects: Vec<_> = objects.iter().filter(|o| customer.is_none_or(|c| o["customer"] == c)).collect();
            Reply::ok(json!({"data": objects, "has_more": false}))
        };
        match asked.what.as_str() {
            "GET /v1/subscriptions" => of(&self.subscriptions),
            "GET /v1/invoices" => of(&self.invoices),
            "GET /v1/charges" => of(&self.charges),
            "GET /v1/refunds" => {
                Reply::ok(json!({"data": [{"id": "re_1", "created": 1_700_000_100}], "has_more": false}))
            }
            _ => Reply::missing(),
        }
    }
}

#[tokio::test]
async fn what_is_held_is_compared_with_stripe_and_a_hold_is_lifted() {
    let (events, at) = (Events::new(Version::Current), 1_700_000_000);
    let stands = Arc::new(Mutex::new(AtStripe::default()));
    let script = Arc::clone(&stands);
    let stripe = StripeApi::start(move |asked| script.lock().unwrap().answer(asked)).await;
    let desk = Desk::new().await.with("STRIPE_API_KEY", Some(KEY)).with("STRIPE_API_BASE", Some(&stripe.url()));
    let mut sub = Subscription::new("ann", &[("price_team", 1)], at);
    sub.period.1 = at + 1_000_000_000;
    stands.lock().unwrap().subscriptions.push(events.subscription_object(&sub));
    for event in [
        events.checkout("checkout.session.completed", &sub, true, at),
        events.subscription("created", &sub, at),
        events.invoice("paid", &sub, at),
        events.invoice_payment(&sub, at),
    ] {
        left(&desk, &event, "failed", &[]).await;
        desk.plain(&["stripe", "retry", event.id()]).await;
    }
    let bob = Subscription::new("bob", &[("price_pro", 1)], at);
    {
        let mut stands = stands.lock().unwrap();
        stands.invoices.push(events.invoice("paid", &sub, at).object().clone());
        stands.charges.push(events.charge_object(&sub));
        stands.subscriptions.push(events.subscription_object(&bob));
    }
    let bobs = json!({
        "subscription_id": "sub_bob", "customer_id": "cus_bob", "before": null, "after": null,
        "problem": "No event has named this customer. Resend its checkout.session.completed at Stripe.",
    });
    assert_eq!(desk.list(&["stripe", "reconcile"]).await, std::slice::from_ref(&bobs), "all else is as Stripe has it");

    // Events of these were recorded, and had no effect.
    sub.items.push(("price_team_seat".to_owned(), 2));
    {
        let mut stands = stands.lock().unwrap();
        stands.subscriptions[0] = events.subscription_object(&sub);
        let mut refunded = stands.charges[0].clone();
        (refunded["refunded"], refunded["amount_refunded"]) = (true.into(), refunded["amount"].clone());
        stands.charges[0] = refunded;
    }
    let license = async || desk.list(&["license", "list", "--customer", "cus_ann"]).await.remove(0);
    let before = license().await;
    let shown = desk.list(&["stripe", "reconcile", "--dry-run"]).await;
    assert_eq!((&shown[0]["before"], shown.len()), (&json!("TEAM × 5, good, no end"), 2), "{shown:?}");
    assert_eq!(shown[0]["after"], "TEAM × 7, refunded, no end");
    assert_eq!(license().await, before, "only shown");
    assert_eq!(desk.list(&["stripe", "reconcile"]).await, shown);
    let after = license().await;
    assert_eq!((&after["seats"], &after["state"]), (&json!(7), &json!("suspended")));
    assert_eq!(desk.list(&["stripe", "reconcile"]).await, std::slice::from_ref(&bobs), "once");

    let id = after["license_id"].as_str().unwrap();
    let resumed = desk.json(&["license", "resume", id, "--billing"]).await;
    assert_eq!(resumed["state"], "active", "{resumed:#}");
    let sentence = desk.refused(&["license", "resume", id, "--billing"]).await;
    assert!(sentence.contains("No refund or dispute"), "{sentence}");
    let by = "select count(*) from audit_log where actor = 'operator:alice' and action = 'license.resumed'";
    assert_eq!(desk.world.number(by).await, 1);
    assert_eq!(desk.list(&["stripe", "reconcile"]).await, [bobs], "what is lifted stays so");
    assert_eq!(license().await["state"], "active");

    let unset = desk.with("STRIPE_API_KEY", None);
    let ended = unset.run(&["stripe", "reconcile"]).await;
    assert!(ended.status == 2 && ended.err.contains("STRIPE_API_KEY"), "{ended:?}");
}
