//! The process is killed, Redis and Postgres go away: nothing is acknowledged that is not kept.

use std::time::Duration;

use protocol::id::{LicenseId, TenantId};
use protocol::key::{Brand, KeyType, LicenseKey};
use testing::World;
use testing::process::until;
use testing::proxy::Proxy;
use testing::stripe::life::{Life, Payment, Step as Money};
use testing::stripe::{Events, Subscription, Version};
use testing::world::License;

use crate::hook::{Hook, now, request};
use crate::order::{Step, life, state};

const BINARY: &str = env!("CARGO_BIN_EXE_webhook-stripe");

/// A life with everything in it.
const STEPS: &[(Step, i64)] = &[
    (Step::Quantity(5), 1),
    (Step::Failed, 1),
    (Step::PastDue, 0),
    (Step::Paid, 1),
    (Step::Plan, 1),
    (Step::Disputed, 1),
    (Step::Won, 1),
    (Step::CancelAtPeriodEnd(true), 0),
    (Step::CancelAtPeriodEnd(false), 1),
    (Step::Refunded, 1),
    (Step::Quantity(3), 1),
    (Step::Paid, 1),
    (Step::Canceled, 1),
];

#[tokio::test]
async fn killed_again_and_again_it_ends_like_in_order_once_each() {
    let world = World::new().await;
    let hook = Hook::with(world).await;
    let begin = now() - 1000;
    for event in life(Version::Current, "ordered", begin, STEPS) {
        assert_eq!(hook.post(&event).await.status, 200);
    }
    // From before its transaction until after its answer: a new process opens its first connections.
    let mut waits = (0..1_000).map(|n: u64| Duration::from_micros(500 + (n * 7919) % 150_000));
    let mut left = life(Version::Current, "killed1", begin, STEPS);
    // And two subscriptions of one customer, with invoices, refunds and disputes.
    let lives = lives(begin - 200 * 86_400);
    left.extend(lives.iter().flat_map(|life| life.told.iter().cloned()));
    while !left.is_empty() {
        let mut process = hook.world.spawn(BINARY, "coditect_webhook_stripe").await;
        // Each event is on its way when the process dies: before, in or after its transaction.
        let event = left.last().unwrap().clone();
        let (client, first) = (process.client.clone(), request(&process.client, &event));
        let sent = tokio::spawn(async move { first.send().await.is_ok_and(|a| a.status().is_success()) });
        tokio::time::sleep(waits.next().expect("an event is acknowledged soon")).await;
        process.kill();
        drop(client);
        if sent.await.unwrap() {
            let id = event.id();
            let kept =
                format!("select count(*) from stripe_events where id = '{id}' and state in ('applied', 'waiting')");
            assert_eq!(hook.world.number(&kept).await, 1, "{id} was acknowledged and is not kept");
            left.pop();
        }
    }
    // Events that waited for one whose request was killed after its commit are left to the sweep.
    let mut setup = hook.world.setup("coditect_webhook_stripe");
    webhook_stripe::event_store::EventStore::from_setup(&mut setup).unwrap().retry(None).await.unwrap();
    assert_eq!(state(&hook, "killed1").await, state(&hook, "ordered").await);
    for life in &lives {
        assert_eq!(crate::lives::licensed(&hook, &life.id()).await, Some(life.expected()));
    }
    assert_eq!(hook.world.number("select count(*) from outbox where payload->>'about' = 'license_key'").await, 4);
    assert_eq!(hook.world.number("select count(*) from licenses").await, 4);
}

/// The first is refunded and paid again from the balance, the second is disputed and doesn't pay the next period.
fn lives(begin: i64) -> [Life; 2] {
    let mut first = Life::begin(Version::Current, "one", None, begin);
    let mut second = Life::begin(Version::Current, "two", Some("cus_one"), begin + 5);
    for step in [Money::Refund(0), Money::Renew(Payment::Balance)] {
        first.go(step, 1);
    }
    for step in [Money::AddOn(true), Money::Dispute(0, true), Money::Escalate(0), Money::Renew(Payment::Fails)] {
        second.go(step, 1);
    }
    [first, second]
}

#[tokio::test]
async fn without_postgres_nothing_is_acknowledged() {
    let proxy = Proxy::to_postgres().await;
    let world = World::new().await;
    let url = world.db.url_through(&proxy, "coditect_webhook_stripe");
    let hook = Hook::with(world.with("DATABASE_URL", url)).await;
    let events = Events::new(Version::Current);
    let sub = Subscription::new("ann", &[("price_pro", 1)], now());
    let event = events.checkout("checkout.session.completed", &sub, true, now());
    proxy.cut();
    let answer = hook.post(&event).await;
    assert_eq!((answer.status, answer.text("/code")), (503, "unavailable"));
    proxy.resume();
    until("events are taken again", || async { hook.post(&event).await.status == 200 }).await;
    assert_eq!(hook.world.number("select count(*) from tenants").await, 1);
}

#[tokio::test]
async fn without_redis_the_license_changes_and_the_outbox_updates_the_seats() {
    let mut hook = Hook::new().await;
    let events = Events::new(Version::Current);
    let mut sub = Subscription::new("ann", &[("price_pro", 1)], now() - 10);
    hook.send(&events.checkout("checkout.session.completed", &sub, true, now() - 10), "applied").await;
    hook.send(&events.subscription("created", &sub, now() - 10), "applied").await;
    let pending = "select count(*) from outbox where kind = 'seats'";
    sub.items[0].0 = "price_business".into();
    hook.send(&events.subscription("updated", &sub, now() - 5), "applied").await;
    assert_eq!(hook.world.number(pending).await, 0, "Redis was told at once");
    hook.world.redis.stop();
    sub.items[0].1 = 4;
    hook.send(&events.subscription("updated", &sub, now()), "applied").await;
    assert_eq!(hook.license(&sub.id()).await.unwrap().seats, 4);
    assert_eq!(hook.world.number(pending).await, 1);
}

#[tokio::test]
async fn a_dispute_ends_the_sessions_at_once() {
    let hook = Hook::new().await;
    let events = Events::new(Version::Old);
    let sub = Subscription::new("ann", &[("price_team", 1)], now() - 10);
    hook.send(&events.checkout("checkout.session.completed", &sub, true, now() - 10), "applied").await;
    hook.send(&events.subscription("created", &sub, now() - 10), "applied").await;
    hook.send(&events.invoice("paid", &sub, now() - 10), "applied").await;
    let acquire = hook.world.serve("acquire", acquire::State::connect, acquire::routes).await;
    let heartbeat = hook.world.serve("heartbeat", heartbeat::State::connect, heartbeat::routes).await;
    let row =
        hook.world.db.connect("postgres").await.query_one("select id, tenant_id from licenses", &[]).await.unwrap();
    let license = License {
        id: LicenseId::from_uuid(row.get(0)),
        tenant: TenantId::from_uuid(row.get(1)),
        key: LicenseKey::generate(Brand::Coditect, KeyType::Team),
    };
    let acquire = acquire.bearer(hook.world.access_token(&license).await);
    let seat = acquire.post("/api/v1/licenses/acquire", serde_json::json!({"hardware_id": "1".repeat(64)}), 201).await;
    let beat = serde_json::json!({"session_id": seat.text("/session_id")});
    let heartbeat = heartbeat.bearer(seat.text("/license_token"));
    heartbeat.post("/api/v1/licenses/heartbeat", beat.clone(), 200).await;
    hook.send(&events.dispute(&sub, "needs_response", now()), "applied").await;
    heartbeat.post("/api/v1/licenses/heartbeat", beat, 410).await;
    acquire.post("/api/v1/licenses/acquire", serde_json::json!({"hardware_id": "2".repeat(64)}), 403).await;
}
