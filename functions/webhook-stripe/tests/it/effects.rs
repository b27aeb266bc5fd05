//! Tests of the effect of each event on a license, in both of Stripe's shapes.

use testing::stripe::{Events, Subscription, Version};

use crate::hook::{Hook, License, now};

const VERSIONS: [Version; 2] = [Version::Old, Version::Current];
const DAY: i64 = 86_400;

fn license(plan: &str, seats: i32, state: &str, standing: &str, expires_at: Option<i64>) -> Option<License> {
    Some(License { plan: plan.into(), seats, state: state.into(), standing: standing.into(), expires_at })
}

/// A subscription that was bought by Checkout ten days ago.
async fn bought(hook: &Hook, events: &Events, items: &[(&str, u32)]) -> (Subscription, i64) {
    let at = now() - 10 * DAY;
    let sub = Subscription::new("ann", items, at);
    hook.send(&events.subscription("created", &sub, at), "waiting").await;
    hook.send(&events.checkout("checkout.session.completed", &sub, true, at + 1), "applied").await;
    (sub, at + 1)
}

#[tokio::test]
async fn a_purchase_makes_tenant_owner_license_and_a_key_on_its_way() {
    for version in VERSIONS {
        let (hook, events) = (Hook::new().await, Events::new(version));
        let (sub, _) = bought(&hook, &events, &[("price_team", 1), ("price_team_seat", 2)]).await;
        assert_eq!(hook.license(&sub.id()).await, license("TEAM", 7, "active", "good", None));
        assert_eq!(hook.mails().await, [("license_key".to_owned(), "ann@ann.test".to_owned())]);
        assert_eq!(
            hook.world
                .number("select count(*) from tenants where name = 'Ann Archer' and slug like 'ann-archer-%'")
                .await,
            1
        );
        assert_eq!(
            hook.world.number("select count(*) from users where email = 'ann@ann.test' and role = 'owner' and claimed_at is not null").await,
            1
        );
        assert_eq!(
            hook.world
                .number("select count(*) from outbox where secret is not null and payload::text not like '%CODITECT-%'")
                .await,
            1
        );
        assert_eq!(
            hook.world
                .number("select count(*) from audit_log where actor = 'stripe' and action = 'license.issued'")
                .await,
            1
        );
        assert_eq!(hook.world.number("select count(*) from stripe_events where state = 'applied'").await, 2);
    }
}

#[tokio::test]
async fn plan_and_seats_follow_the_items() {
    let (hook, events) = (Hook::new().await, Events::new(Version::Current));
    let (mut sub, mut at) = bought(&hook, &events, &[("price_business", 3)]).await;
    assert_eq!(hook.license(&sub.id()).await, license("BUSINESS", 3, "active", "good", None));
    for (items, plan, seats) in [
        (vec![("price_business", 9)], "BUSINESS", 9),
        (vec![("price_business", 2)], "BUSINESS", 2),
        (vec![("price_team", 2)], "TEAM", 10),
        (vec![("price_team", 1), ("price_team_seat", 1), ("price_team_seat", 4)], "TEAM", 10),
        (vec![("price_pro", 1)], "PRO", 1),
        (vec![("price_team", 1), ("price_team_seat", 0)], "TEAM", 5),
    ] {
        at += 1;
        sub.items = items.into_iter().map(|(price, n)| (price.to_owned(), n)).collect();
        hook.send(&events.subscription("updated", &sub, at), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license(plan, seats, "active", "good", None));
    }
    assert_eq!(hook.mails().await.len(), 1, "the key is mailed once");
}

#[tokio::test]
async fn a_failed_payment_is_flagged_and_a_paid_one_is_good_again() {
    for version in VERSIONS {
        let (hook, events) = (Hook::new().await, Events::new(version));
        let (mut sub, at) = bought(&hook, &events, &[("price_pro", 1)]).await;
        hook.send(&events.invoice("paid", &sub, at), "applied").await;
        sub.renew();
        hook.send(&events.invoice("payment_failed", &sub, at + 1), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "active", "past_due", None));
        hook.send(&events.invoice("payment_failed", &sub, at + 2), "applied").await;
        hook.send(&events.invoice("payment_action_required", &sub, at + 2), "applied").await;
        let about: Vec<_> = hook.mails().await.into_iter().map(|(about, _)| about).collect();
        assert_eq!(about, ["license_key", "payment_failed", "payment_failed"], "once an invoice and cause");
        // By the invoice alone, without the subscription's own event.
        hook.send(&events.invoice("paid", &sub, at + 3), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "active", "good", None));
        // And by the subscription's own event, without the invoice.
        sub.status = "past_due".into();
        hook.send(&events.subscription("updated", &sub, at + 4), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "active", "past_due", None));
        sub.status = "unpaid".into();
        hook.send(&events.subscription("updated", &sub, at + 5), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "active", "past_due", Some(sub.period.1)));
        sub.status = "active".into();
        hook.send(&events.subscription("updated", &sub, at + 6), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "active", "good", None));
    }
}

#[tokio::test]
async fn what_is_cancelled_ends_when_it_should() {
    for version in VERSIONS {
        let (hook, events) = (Hook::new().await, Events::new(version));
        let (mut sub, at) = bought(&hook, &events, &[("price_pro", 1)]).await;
        let end = sub.period.1;
        sub.cancel_at_period_end = true;
        hook.send(&events.subscription("updated", &sub, at + 1), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "active", "good", Some(end)));
        sub.cancel_at_period_end = false;
        hook.send(&events.subscription("updated", &sub, at + 2), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "active", "good", None));
        sub.cancel_at = Some(at + 12 * DAY);
        hook.send(&events.subscription("updated", &sub, at + 3), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "active", "good", Some(at + 12 * DAY)));
        sub.cancel_at = None;
        // At once: what Stripe calls ended has ended.
        sub.end(at + 4);
        hook.send(&events.subscription("deleted", &sub, at + 4), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "expired", "good", Some(at + 4)));
        let about: Vec<_> = hook.mails().await.into_iter().map(|(about, _)| about).collect();
        assert_eq!(about, ["license_key", "ending", "ending", "ending"], "one for each end");
    }
}

#[tokio::test]
async fn a_subscription_whose_period_is_over_has_expired() {
    let (hook, events) = (Hook::new().await, Events::new(Version::Current));
    let (mut sub, at) = bought(&hook, &events, &[("price_pro", 1)]).await;
    sub.period.1 = at + DAY;
    sub.end(at + DAY);
    hook.send(&events.subscription("deleted", &sub, at + DAY), "applied").await;
    assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "expired", "good", Some(at + DAY)));
}

#[tokio::test]
async fn a_pause_ends_with_resuming() {
    let (hook, events) = (Hook::new().await, Events::new(Version::Current));
    let (mut sub, at) = bought(&hook, &events, &[("price_pro", 1)]).await;
    sub.status = "paused".into();
    hook.send(&events.subscription("paused", &sub, at + 1), "applied").await;
    assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "subscription_inactive", "inactive", None));
    sub.status = "active".into();
    hook.send(&events.subscription("resumed", &sub, at + 2), "applied").await;
    assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "active", "good", None));
    for (step, (behavior, standing)) in
        [("void", "inactive"), ("keep_as_draft", "good"), ("mark_uncollectible", "good")].into_iter().enumerate()
    {
        sub.pause = Some(behavior.into());
        hook.send(&events.subscription("updated", &sub, at + 3 + step as i64), "applied").await;
        assert_eq!(hook.license(&sub.id()).await.unwrap().standing, standing, "{behavior}");
    }
}

#[tokio::test]
async fn a_trial_is_a_license_and_its_end_is_announced() {
    let (hook, events) = (Hook::new().await, Events::new(Version::Current));
    let at = now();
    let mut sub = Subscription::new("ann", &[("price_pro", 1)], at);
    (sub.status, sub.trial) = ("trialing".into(), Some((at, at + 3 * DAY)));
    hook.send(&events.checkout("checkout.session.completed", &sub, true, at), "applied").await;
    hook.send(&events.subscription("created", &sub, at), "applied").await;
    assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "active", "good", None));
    hook.send(&events.subscription("trial_will_end", &sub, at + 1), "applied").await;
    assert_eq!(hook.mails().await[1].0, "trial_ending");
}

#[tokio::test]
async fn nothing_is_granted_before_it_is_paid() {
    let (hook, events) = (Hook::new().await, Events::new(Version::Current));
    let at = now() - DAY;
    let mut sub = Subscription::new("ann", &[("price_pro", 1)], at);
    hook.send(&events.checkout("checkout.session.completed", &sub, false, at), "applied").await;
    hook.send(&events.subscription("created", &sub, at), "applied").await;
    assert_eq!(hook.license(&sub.id()).await, None, "the bank has not paid yet");
    hook.send(&events.checkout("checkout.session.async_payment_succeeded", &sub, true, at + 1), "applied").await;
    assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "active", "good", None));

    sub.name = "bob".into();
    sub.status = "incomplete".into();
    hook.send(&events.checkout("checkout.session.completed", &sub, true, at), "applied").await;
    hook.send(&events.subscription("created", &sub, at), "applied").await;
    assert_eq!(hook.license(&sub.id()).await, None, "the first payment is not through");
    hook.send(&events.invoice("paid", &sub, at + 1), "applied").await;
    assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "active", "good", None));
}

#[tokio::test]
async fn a_refund_or_dispute_suspends_and_a_won_one_gives_back() {
    for version in VERSIONS {
        let (hook, events) = (Hook::new().await, Events::new(version));
        let (sub, at) = bought(&hook, &events, &[("price_team", 1)]).await;
        hook.send(&events.invoice("paid", &sub, at), "applied").await;
        if version == Version::Current {
            hook.send(&events.invoice_payment(&sub, at), "applied").await;
        }
        hook.send(&events.refund(&sub, false, at + 1), "ignored").await;
        assert_eq!(hook.license(&sub.id()).await, license("TEAM", 5, "active", "good", None), "refunded in part");
        hook.send(&events.dispute(&sub, "warning_needs_response", at + 2), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("TEAM", 5, "active", "good", None), "an inquiry");
        hook.send(&events.dispute(&sub, "needs_response", at + 3), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("TEAM", 5, "suspended", "disputed", None));
        hook.send(&events.dispute(&sub, "won", at + 4), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("TEAM", 5, "active", "good", None));
        hook.send(&events.refund(&sub, true, at + 5), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("TEAM", 5, "suspended", "refunded", None));
        let about: Vec<_> = hook.mails().await.into_iter().map(|(about, _)| about).collect();
        assert_eq!(about, ["license_key", "suspended", "suspended"]);
    }
}

#[tokio::test]
async fn a_customer_is_written_to_at_the_newest_address_and_ends_with_its_subscriptions() {
    let (hook, events) = (Hook::new().await, Events::new(Version::Current));
    let (mut sub, at) = bought(&hook, &events, &[("price_pro", 1)]).await;
    sub.email = "ann@new.test".into();
    hook.send(&events.customer("updated", &sub, at + 5), "applied").await;
    sub.email = "ann@late.test".into();
    hook.send(&events.customer("updated", &sub, at + 3), "applied").await;
    sub.cancel_at_period_end = true;
    hook.send(&events.subscription("updated", &sub, at + 6), "applied").await;
    assert_eq!(hook.mails().await[1], ("ending".to_owned(), "ann@new.test".to_owned()));
    hook.send(&events.customer("deleted", &sub, at + 7), "applied").await;
    assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "active", "good", Some(sub.period.1)));
}

#[tokio::test]
async fn objects_may_come_where_ids_were() {
    for version in VERSIONS {
        let (hook, events) = (Hook::new().await, Events::new(version));
        let at = now() - DAY;
        let sub = Subscription::new("ann", &[("price_pro", 1)], at);
        let customer = events.customer("updated", &sub, at).object().clone();
        let expanded = events
            .checkout("checkout.session.completed", &sub, true, at)
            .with("/data/object/customer", customer.clone())
            .with("/data/object/subscription", events.subscription_object(&sub));
        hook.send(&expanded, "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "active", "good", None));
        hook.send(&events.invoice("paid", &sub, at + 1).with("/data/object/customer", customer), "applied").await;
        if version == Version::Current {
            hook.send(&events.invoice_payment(&sub, at + 1), "applied").await;
        }
        let charge = events.charge_object(&sub);
        hook.send(&events.dispute(&sub, "lost", at + 2).with("/data/object/charge", charge), "applied").await;
        assert_eq!(hook.license(&sub.id()).await, license("PRO", 1, "suspended", "disputed", None));
    }
}
