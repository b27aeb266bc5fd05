//! Tests of `ops stripe`: events that could not be applied are listed, and applied once what they lacked is there.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use testing::stripe::{Event, Events, Subscription, Version};
use testing::stripe_api::{Asked, KEY, Reply, StripeApi};

use crate::ops_cli::OpsCli;

/// Puts an event where the webhook left it.
async fn left(ops: &OpsCli, event: &Event, state: &str, waits_for: &[&str]) {
    let client = ops.world.db.connect("postgres").await;
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
    let ops = OpsCli::new().await;
    let events = Events::new(Version::Current);
    let sub = Subscription::new("ann", &[("price_later", 3)], 1_700_000_000);
    let created = events.subscription("created", &sub, 1_700_000_000);
    let bought = events.checkout("checkout.session.completed", &sub, true, 1_700_000_001);
    let stray = events.invoice("paid", &Subscription::new("bob", &[], 1_700_000_000), 1_700_000_002);
    left(&ops, &created, "waiting", &["cus_ann"]).await;
    left(&ops, &bought, "failed", &[]).await;
    left(&ops, &stray, "waiting", &["cus_bob"]).await;

    let failed = ops.list(&["stripe", "events", "--failed"]).await;
    assert_eq!(told(&failed), [("checkout.session.completed".to_owned(), "failed".to_owned())]);
    assert_eq!(failed[0]["error"], "It was so.");
    assert_eq!(ops.list(&["stripe", "events", "--waiting"]).await.len(), 2);
    assert_eq!(ops.list(&["stripe", "events", "--limit", "1"]).await.len(), 1);
    assert_eq!(ops.run(&["stripe", "events", "--limit", "0"]).await.status, 64);
    assert_eq!(ops.list(&["stripe", "events", "--recheck"]).await, Vec::<Value>::new());

    // The price is in no plan yet.
    let sentence = ops.refused(&["stripe", "retry"]).await;
    assert!(sentence.contains("ops stripe events --failed"), "{sentence}");
    let failed = ops.list(&["stripe", "events", "--failed"]).await;
    assert!(failed[0]["error"].as_str().unwrap().contains("price_later"), "{failed:?}");

    ops.world.sql("insert into plan_prices values ('price_later', 'BUSINESS', 'base', 1)").await;
    ops.plain(&["stripe", "retry", created.id()]).await;
    let again = ops.plain(&["stripe", "retry", created.id()]).await;
    assert!(again.err.contains("applied before"), "{again:?}");
    let all = ops.plain(&["stripe", "retry"]).await;
    assert!(all.err.contains("Tried 1 events: 0 events can't be applied, 1 wait."), "{all:?}");
    let licenses = ops.list(&["license", "list", "--customer", "cus_ann"]).await;
    assert_eq!((licenses.len(), &licenses[0]["seats"]), (1, &json!(3)));
    assert!(ops.refused(&["stripe", "retry", "evt_none"]).await.contains("There is no event evt_none"));
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

const AT: i64 = 1_700_000_000;

/// Starts Stripe with objects that a test can change.
async fn stripe() -> (StripeApi, Arc<Mutex<AtStripe>>) {
    let stands = Arc::new(Mutex::new(AtStripe::default()));
    let script = Arc::clone(&stands);
    (StripeApi::start(move |asked| script.lock().unwrap().answer(asked)).await, stands)
}

fn asking(ops: OpsCli, stripe: &StripeApi) -> OpsCli {
    ops.with("STRIPE_API_KEY", Some(KEY)).with("STRIPE_API_BASE", Some(&stripe.url()))
}

/// A subscription whose period is not over.
fn lasting(name: &str, price: &str) -> Subscription {
    let mut sub = Subscription::new(name, &[(price, 1)], AT);
    sub.period.1 = AT + 1_000_000_000;
    sub
}

/// Applies events as far as that is possible without asking Stripe.
async fn retried(ops: &OpsCli, events: &[Event]) {
    for event in events {
        left(ops, event, "failed", &[]).await;
        ops.run(&["stripe", "retry", event.id()]).await;
    }
    assert_eq!(ops.world.number("select count(*) from stripe_events where state = 'failed'").await, 0);
}

/// Lifts what a refund holds back of a license: once, by `--billing` alone, and noted once.
async fn is_lifted(ops: &OpsCli, id: &str) {
    let sentence = ops.refused(&["license", "resume", id]).await;
    assert!(sentence.contains(&format!("`ops license resume {id} --billing` lifts that")), "{sentence}");
    let resumed = ops.json(&["license", "resume", id, "--billing"]).await;
    assert_eq!((&resumed["state"], &resumed["suspended_by"]), (&json!("active"), &Value::Null), "{resumed:#}");
    let sentence = ops.refused(&["license", "resume", id, "--billing"]).await;
    assert!(sentence.contains("No refund or dispute"), "{sentence}");
    let by = "select count(*) from audit_log where actor = 'operator:alice' and action = 'license.resumed'";
    assert_eq!(ops.world.number(by).await, 1);
}

#[tokio::test]
async fn what_is_held_is_compared_with_stripe_and_a_hold_is_lifted() {
    let (events, at) = (Events::new(Version::Current), AT);
    let (stripe, stands) = stripe().await;
    let ops = asking(OpsCli::new().await, &stripe);
    let mut sub = lasting("ann", "price_team");
    stands.lock().unwrap().subscriptions.push(events.subscription_object(&sub));
    let told = [
        events.checkout("checkout.session.completed", &sub, true, at),
        events.subscription("created", &sub, at),
        events.invoice("paid", &sub, at),
        events.invoice_payment(&sub, at),
    ];
    retried(&ops, &told).await;
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
    assert_eq!(ops.partly(&["stripe", "reconcile"]).await, std::slice::from_ref(&bobs), "all else is as Stripe has it");

    // Events of these were recorded, and had no effect.
    sub.items.push(("price_team_seat".to_owned(), 2));
    {
        let mut stands = stands.lock().unwrap();
        stands.subscriptions[0] = events.subscription_object(&sub);
        let mut refunded = stands.charges[0].clone();
        (refunded["refunded"], refunded["amount_refunded"]) = (true.into(), refunded["amount"].clone());
        stands.charges[0] = refunded;
    }
    let license = async || ops.list(&["license", "list", "--customer", "cus_ann"]).await.remove(0);
    let before = license().await;
    let shown = ops.partly(&["stripe", "reconcile", "--dry-run"]).await;
    assert_eq!((&shown[0]["before"], shown.len()), (&json!("TEAM × 5, good, no end"), 2), "{shown:?}");
    assert_eq!(shown[0]["after"], "TEAM × 7, refunded, no end");
    assert_eq!(license().await, before, "only shown");
    assert_eq!(ops.partly(&["stripe", "reconcile"]).await, shown);
    let after = license().await;
    assert_eq!((&after["seats"], &after["state"]), (&json!(7), &json!("suspended")));
    assert_eq!(ops.partly(&["stripe", "reconcile"]).await, std::slice::from_ref(&bobs), "once");

    let id = after["license_id"].as_str().unwrap();
    assert_eq!(after["suspended_by"], "refund");
    is_lifted(&ops, id).await;
    assert_eq!(ops.partly(&["stripe", "reconcile"]).await, [bobs], "what is lifted stays so");
    assert_eq!(license().await["state"], "active");

    let unset = ops.with("STRIPE_API_KEY", None);
    let ended = unset.run(&["stripe", "reconcile"]).await;
    assert!(ended.status == 64 && ended.err.contains("Set STRIPE_API_KEY"), "{ended:?}");
}

#[tokio::test]
async fn an_object_that_cannot_be_read_keeps_no_other_customer_from_being_compared() {
    let events = Events::new(Version::Current);
    let (stripe, stands) = stripe().await;
    let ops = asking(OpsCli::new().await, &stripe);
    let mut subs = [lasting("ann", "price_pro"), lasting("bob", "price_business")];
    for sub in &subs {
        let told =
            [events.checkout("checkout.session.completed", sub, true, AT), events.subscription("created", sub, AT)];
        retried(&ops, &told).await;
    }
    for (seats, field, value, named) in
        [(4, "status", json!("strange"), "status"), (6, "cancel_at", json!("tomorrow"), "time")]
    {
        subs[1].items[0].1 = seats;
        let mut objects: Vec<Value> = subs.iter().map(|sub| events.subscription_object(sub)).collect();
        objects[0][field] = value;
        stands.lock().unwrap().subscriptions = objects;
        let shown = ops.partly(&["stripe", "reconcile"]).await;
        let of = |customer: &str| shown.iter().find(|row| row["customer_id"] == customer).unwrap();
        assert_eq!((shown.len(), &of("cus_ann")["subscription_id"]), (2, &json!(null)), "{shown:?}");
        assert!(of("cus_ann")["problem"].as_str().unwrap().ends_with(&format!("no usable {named}.")), "{shown:?}");
        assert_eq!((&of("cus_bob")["subscription_id"], &of("cus_bob")["problem"]), (&json!("sub_bob"), &json!(null)));
        let license = ops.list(&["license", "list", "--customer", "cus_bob"]).await.remove(0);
        assert_eq!(license["seats"], json!(seats));
    }
}

#[tokio::test]
async fn a_license_that_stays_because_another_one_cannot_follow_is_a_problem() {
    let events = Events::new(Version::Current);
    let (stripe, stands) = stripe().await;
    let ops = OpsCli::new().await;
    let mut ann = lasting("ann", "price_pro");
    ann.items.push(("price_extra".to_owned(), 1));
    let mut two = lasting("two", "price_business");
    two.ids = Some((ann.customer(), "sub_two".to_owned()));
    // Nothing says yet that the refund is of the second subscription.
    let told = [
        events.checkout("checkout.session.completed", &ann, true, AT),
        events.subscription("created", &ann, AT),
        events.invoice("paid", &ann, AT),
        events.invoice_payment(&ann, AT),
        events.refund(&two, true, AT + 100),
        events.subscription("created", &two, AT),
    ];
    retried(&ops, &told).await;
    {
        let mut stands = stands.lock().unwrap();
        stands.subscriptions = vec![events.subscription_object(&ann), events.subscription_object(&two)];
        let mut invoice = events.invoice("paid", &two, AT).object().clone();
        let payment = json!({
            "status": "paid", "amount_paid": invoice["amount_paid"], "payment": {"payment_intent": two.payment_intent_id()},
        });
        invoice["payments"] = json!({"data": [payment], "has_more": false});
        stands.invoices.push(invoice);
        stands.charges.push(events.refund(&two, true, AT + 100).object().clone());
    }
    let ops = asking(ops, &stripe);
    ops.world.sql("insert into plan_prices values ('price_extra', 'TEAM', 'seat', 1)").await;
    let row = |before: &str, after: &str, problem: Value| {
        json!({
            "subscription_id": "sub_two", "customer_id": "cus_ann", "before": before, "after": after, "problem": problem,
        })
    };
    let [good, refunded] = ["good", "refunded"].map(|standing| format!("BUSINESS × 1, {standing}, no end"));
    let shown = ops.partly(&["stripe", "reconcile"]).await;
    let problem = shown[0]["problem"].clone();
    assert!(problem.as_str().unwrap().contains("plans PRO and TEAM"), "{shown:?}");
    assert_eq!(shown[1..], [row(&good, &refunded, problem)]);
    let suspended = "select count(*) from licenses where standing = 'refunded'";
    assert_eq!(ops.world.number(suspended).await, 0, "nothing was written");

    ops.world.sql("delete from plan_prices where price_id = 'price_extra'").await;
    assert_eq!(ops.list(&["stripe", "reconcile"]).await, [row(&good, &refunded, Value::Null)]);
    assert_eq!(ops.world.number(suspended).await, 1);
}
