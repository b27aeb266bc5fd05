//! Money belongs to an invoice, a period and an item: what a payment, failure, refund or dispute is not of, it does not
//! change.

use serde_json::{Value, json};
use testing::stripe::{Event, Events, Subscription, Version};
use webhook_stripe::event_store::EventStore;

use crate::hook::{Hook, License, now};

const VERSIONS: [Version; 2] = [Version::Old, Version::Current];
const DAY: i64 = 86_400;

fn license(plan: &str, seats: i32, state: &str, standing: &str, expires_at: Option<i64>) -> Option<License> {
    Some(License { plan: plan.into(), seats, state: state.into(), standing: standing.into(), expires_at })
}

/// A TEAM that was bought ten days ago and paid.
async fn paid(version: Version) -> (Hook, Events, Subscription, i64) {
    paid_since(version, now() - 10 * DAY).await
}

async fn paid_since(version: Version, at: i64) -> (Hook, Events, Subscription, i64) {
    let (hook, events) = (Hook::new().await, Events::new(version));
    let sub = Subscription::new("ann", &[("price_team", 1)], at);
    hook.send(&events.checkout("checkout.session.completed", &sub, true, at), "applied").await;
    hook.send(&events.subscription("created", &sub, at), "applied").await;
    pay(&hook, &events, &sub, at, "subscription_create").await;
    (hook, events, sub, at)
}

async fn pay(hook: &Hook, events: &Events, sub: &Subscription, at: i64, reason: &str) {
    hook.send(&events.invoice("paid", sub, at).with("/data/object/billing_reason", reason), "applied").await;
    if events.invoice("paid", sub, at).object()["charge"].is_null() {
        hook.send(&events.invoice_payment(sub, at), "applied").await;
    }
}

/// The invoice of a change: one seat for the rest of the period.
fn change(sub: &Subscription) -> Subscription {
    let mut change = sub.clone();
    change.invoice += 1;
    change.items = vec![("price_team_seat".to_owned(), 1)];
    change
}

fn of_change(event: Event) -> Event {
    let lines = &event.object()["lines"]["data"][0];
    let proration = if lines["parent"].is_null() {
        "/data/object/lines/data/0/proration"
    } else {
        "/data/object/lines/data/0/parent/subscription_item_details/proration"
    };
    event.with("/data/object/billing_reason", "subscription_update").with(proration, true)
}

async fn audited(hook: &Hook, action: &str) -> i64 {
    hook.world.number(&format!("select count(*) from audit_log where action = '{action}'")).await
}

#[tokio::test]
async fn an_older_invoice_that_is_paid_changes_nothing_of_what_the_newest_decides() {
    for version in VERSIONS {
        let (hook, events, mut sub, _) = paid_since(version, now() - 100 * DAY).await;
        let mut months = Vec::new();
        for status in ["past_due", "unpaid", "unpaid"] {
            sub.renew();
            sub.status = status.into();
            hook.send(&events.invoice("payment_failed", &sub, sub.period.0), "applied").await;
            hook.send(&events.subscription("updated", &sub, sub.period.0), "applied").await;
            months.push(sub.clone());
        }
        let before = hook.license(&sub.id()).await;
        assert_eq!(before, license("TEAM", 5, "expired", "past_due", Some(months[0].period.1)));
        hook.send(&events.invoice("paid", &months[0], now() - DAY), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, before);
        sub.end(now() - 60);
        hook.send(&events.subscription("deleted", &sub, now() - 60), "applied").await;
        let ended = license("TEAM", 5, "expired", "good", Some(months[0].period.1));
        assert_eq!(hook.license(&sub.id()).await, ended);
        hook.send(&events.invoice("paid", &months[1], now()), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, ended);
    }
}

#[tokio::test]
async fn a_change_whose_payment_fails_leaves_the_license_as_it_is() {
    for version in VERSIONS {
        for (end, what) in [("voided", "pending_update_expired"), ("marked_uncollectible", "pending_update_expired")] {
            let (hook, events, sub, at) = paid(version).await;
            let before = hook.license(&sub.id()).await;
            let change = change(&sub);
            hook.send(&of_change(events.invoice("payment_failed", &change, at + 1)), "applied").await;
            assert_eq!(hook.license(&sub.id()).await, before);
            hook.send(&of_change(events.invoice(end, &change, at + 2)), "applied").await;
            hook.send(&events.subscription(what, &sub, at + 2), "applied").await;
            assert_eq!(hook.license(&sub.id()).await, before, "{end}");
            assert_eq!(hook.mails().await.len(), 1);
        }
        // A change that was made at once, and reported by Stripe, is past due until its invoice is voided.
        let (hook, events, mut sub, at) = paid(version).await;
        let change = change(&sub);
        sub.status = "past_due".into();
        hook.send(&of_change(events.invoice("payment_failed", &change, at + 1)), "applied").await;
        hook.send(&events.subscription("updated", &sub, at + 1), "applied").await;
        assert_eq!(hook.license(&sub.id()).await.unwrap().standing, "past_due");
        hook.send(&of_change(events.invoice("voided", &change, at + 2)), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("TEAM", 5, "active", "good", None));
        // And a renewal's failure that was voided, without the subscription's own event.
        sub.status = "active".into();
        hook.send(&events.subscription("updated", &sub, at + 3), "applied").await;
        sub.renew();
        sub.invoice += 1;
        hook.send(&events.invoice("payment_failed", &sub, at + 4), "applied").await;
        assert_eq!(hook.license(&sub.id()).await.unwrap().standing, "past_due");
        hook.send(&events.invoice("voided", &sub, at + 5), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("TEAM", 5, "active", "good", None));
    }
}

#[tokio::test]
async fn money_that_is_not_the_current_periods_is_audited_and_holds_nothing_back() {
    for version in VERSIONS {
        let (hook, events, mut sub, at) = paid(version).await;
        let before = hook.license(&sub.id()).await;
        let change = change(&sub);
        hook.send(&of_change(events.invoice("paid", &change, at + 1)), "applied").await;
        if version == Version::Current {
            hook.send(&events.invoice_payment(&change, at + 1), "applied").await;
        }
        hook.send(&events.refund(&change, true, at + 2), "applied").await;
        hook.send(&events.dispute(&change, "needs_response", at + 3), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, before, "a proration");
        assert_eq!(audited(&hook, "license.payment_taken_back").await, 2);
        // A charge that was taken twice.
        let mut twice = sub.clone();
        twice.invoice = 99;
        let refund = events.refund(&twice, true, at + 4);
        let refund = if version == Version::Old { refund.with("/data/object/invoice", Value::Null) } else { refund };
        hook.send(&refund, "applied").await;
        assert_eq!(hook.license(&sub.id()).await, before, "taken twice");
        assert_eq!(audited(&hook, "license.payment_taken_back").await, 3);
        // A former period's.
        let former = sub.clone();
        sub.renew();
        sub.invoice += 1;
        hook.send(&events.subscription("updated", &sub, at + 5), "applied").await;
        pay(&hook, &events, &sub, at + 5, "subscription_cycle").await;
        hook.send(&events.refund(&former, true, at + 6), "applied").await;
        hook.send(&events.dispute(&former, "lost", at + 7), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, before, "a former period");
        assert_eq!(hook.mails().await.len(), 1, "the customer hears of nothing");
        hook.send(&events.refund(&sub, true, at + 8), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("TEAM", 5, "suspended", "refunded", None));
        assert_eq!(audited(&hook, "license.payment_taken_back").await, 5);
    }
}

#[tokio::test]
async fn what_is_refunded_is_good_again_when_the_next_period_is_paid_or_the_refund_fails() {
    for version in VERSIONS {
        let (hook, events, mut sub, at) = paid(version).await;
        let good = hook.license(&sub.id()).await;
        let refund = json!({"id": "re_1", "object": "refund", "charge": sub.charge_id(), "amount": 9_900,
            "payment_intent": sub.payment_intent_id(), "status": "failed"});
        let failed = |kind: &str, at: i64, status: &str| {
            let event = events.refund(&sub, true, at).with("/type", kind).with("/data/object", refund.clone());
            event.with("/data/object/status", status)
        };
        for (n, kind) in ["refund.failed", "refund.updated", "charge.refund.updated"].into_iter().enumerate() {
            let at = at + 10 * (n as i64 + 1);
            hook.send(&events.refund(&sub, true, at), "applied").await;
            assert_eq!(hook.license(&sub.id()).await.unwrap().standing, "refunded");
            hook.send(&failed(kind, at + 1, "succeeded"), "ignored").await;
            hook.send(&failed(kind, at + 1, "failed"), "applied").await;
            assert_eq!(hook.license(&sub.id()).await, good, "{kind}");
        }
        hook.send(&events.refund(&sub, true, at + 50), "applied").await;
        sub.renew();
        let free = events.invoice("paid", &sub, at + 60).with("/data/object/amount_paid", 0);
        let free = free.with("/data/object/billing_reason", "subscription_cycle");
        let free = match version {
            Version::Old => {
                free.with("/data/object/charge", Value::Null).with("/data/object/payment_intent", Value::Null)
            }
            Version::Current => free,
        };
        hook.send(&free, "applied").await;
        assert_eq!(hook.license(&sub.id()).await, good, "from the balance, or by a coupon");
    }
}

#[tokio::test]
async fn a_dispute_is_followed_through_each_of_its_events() {
    for version in VERSIONS {
        let (hook, events, sub, at) = paid(version).await;
        let event = |kind: &str, status: &str, at: i64| {
            events.dispute(&sub, status, at).with("/type", format!("charge.dispute.{kind}"))
        };
        for (n, (kind, status, standing)) in [
            ("created", "warning_needs_response", "good"),
            ("updated", "warning_under_review", "good"),
            ("updated", "needs_response", "disputed"),
            ("updated", "under_review", "disputed"),
            ("closed", "won", "good"),
        ]
        .into_iter()
        .enumerate()
        {
            hook.send(&event(kind, status, at + n as i64), "applied").await;
            assert_eq!(hook.license(&sub.id()).await.unwrap().standing, standing, "{kind} {status}");
        }
        let (hook, events, sub, at) = paid(version).await;
        let event = |kind: &str, status: &str, at: i64| {
            events.dispute(&sub, status, at).with("/type", format!("charge.dispute.{kind}"))
        };
        hook.send(&event("created", "warning_needs_response", at), "applied").await;
        hook.send(&event("funds_withdrawn", "warning_needs_response", at + 1), "applied").await;
        assert_eq!(hook.license(&sub.id()).await.unwrap().standing, "disputed");
        hook.send(&event("closed", "lost", at + 2), "applied").await;
        assert_eq!(hook.license(&sub.id()).await.unwrap().standing, "disputed");
        hook.send(&event("funds_reinstated", "lost", at + 3), "applied").await;
        assert_eq!(hook.license(&sub.id()).await.unwrap().standing, "good");
    }
}

#[tokio::test]
async fn an_add_on_that_the_catalogue_lacks_blocks_nothing_and_is_reported_once() {
    for addon in ["price_addon", "price_support"] {
        let (hook, events, mut sub, at) = paid(Version::Current).await;
        hook.world.sql("insert into plan_prices values ('price_support', 'TEAM', 'other', 0)").await;
        sub.items.push((addon.to_owned(), 1));
        sub.cancel_at_period_end = true;
        hook.send(&events.subscription("updated", &sub, at + 1), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("TEAM", 5, "active", "good", Some(sub.period.1)));
        sub.cancel_at_period_end = false;
        hook.send(&events.subscription("updated", &sub, at + 2), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("TEAM", 5, "active", "good", None));
        sub.items.insert(0, ("price_team_seat".to_owned(), 3));
        hook.send(&events.subscription("updated", &sub, at + 3), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("TEAM", 8, "active", "good", None));
        let reported = i64::from(addon == "price_addon");
        assert_eq!(audited(&hook, "license.price_unknown").await, reported, "{addon}");
    }
}

#[tokio::test]
async fn an_event_is_its_subscriptions_then_its_customers_and_no_other_ids() {
    for version in VERSIONS {
        let (hook, events, ann, at) = paid(version).await;
        let before = hook.license(&ann.id()).await;
        // Its customer is unknown, its invoice and payment are ann's.
        let stray = events.refund(&ann, true, at + 1).with("/data/object/customer", "cus_eve");
        hook.send(&stray, "waiting").await;
        let mut eve = Subscription::new("eve", &[("price_business", 3)], at);
        let failed = events.invoice("payment_failed", &eve, at + 2);
        hook.send(&failed.with("/data/object/id", ann.invoice_id()), "waiting").await;
        eve.items[0].1 = 7;
        let snapshot = events.subscription("created", &eve, at + 3);
        hook.send(&snapshot.with("/data/object/latest_invoice", ann.invoice_id()), "waiting").await;
        assert_eq!(hook.license(&ann.id()).await, before);
        let checkout = events.checkout("checkout.session.completed", &eve, true, at + 4);
        hook.send(&checkout.with("/data/object/invoice", ann.invoice_id()), "applied").await;
        assert_eq!(hook.license(&ann.id()).await, before);
        assert_eq!(hook.license(&eve.id()).await.unwrap().seats, 7);
        assert_eq!(hook.world.number("select count(distinct tenant_id) from licenses").await, 2);
    }
}

#[tokio::test]
async fn a_hold_is_lifted_until_stripes_next_fact() {
    use webhook_stripe::event_store::lift::LiftOutcome;
    let (hook, events, sub, at) = paid(Version::Current).await;
    let store = EventStore::from_setup(&mut hook.world.setup("coditect_webhook_stripe")).unwrap();
    let sql = hook.world.db.connect("postgres").await;
    let row = sql.query_one("select id, tenant_id from licenses", &[]).await.unwrap();
    let id = protocol::id::LicenseId::from_uuid(row.get(0));
    let tenant = protocol::id::TenantId::from_uuid(row.get(1));
    assert_eq!(store.lift(tenant, id, "operator:alice").await.unwrap(), LiftOutcome::NoHold);
    hook.send(&events.refund(&sub, true, at + 1), "applied").await;
    let lifted = store.lift(tenant, id, "operator:alice").await.unwrap();
    assert_eq!(lifted, LiftOutcome::Lifted(vec![sub.charge_id()]));
    assert_eq!(hook.license(&sub.id()).await, license("TEAM", 5, "active", "good", None));
    let audited = "select count(*) from audit_log where actor = 'operator:alice' and action = 'license.resumed'";
    assert_eq!(hook.world.number(audited).await, 1);
    // Another event of the subscription leaves it lifted; the next fact about the charge does not.
    hook.send(&events.subscription("updated", &sub, at + 2), "applied").await;
    assert_eq!(hook.license(&sub.id()).await.unwrap().standing, "good");
    hook.send(&events.dispute(&sub, "needs_response", at + 3), "applied").await;
    assert_eq!(hook.license(&sub.id()).await.unwrap().standing, "disputed");
}
