//! Whatever order a subscription's events come in, and however often: the same in the end as in order, once each.

use proptest::prelude::*;
use testing::stripe::{Event, Events, Subscription, Version};

use crate::hook::{Hook, License, now, runner_of_lives};

/// A change of a subscription at Stripe.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Step {
    Quantity(u32),
    Plan,
    Renewed,
    Paid,
    Failed,
    ActionRequired,
    PastDue,
    Unpaid,
    CancelAtPeriodEnd(bool),
    CancelAt,
    Paused,
    Resumed,
    TrialWillEnd,
    Refunded,
    Disputed,
    Won,
    Lost,
    CustomerUpdated,
    CheckoutPaid,
    Canceled,
    CustomerDeleted,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..9_u32).prop_map(Step::Quantity),
        2 => Just(Step::Plan),
        2 => Just(Step::Renewed),
        3 => Just(Step::Paid),
        3 => Just(Step::Failed),
        1 => Just(Step::ActionRequired),
        2 => Just(Step::PastDue),
        1 => Just(Step::Unpaid),
        2 => any::<bool>().prop_map(Step::CancelAtPeriodEnd),
        1 => Just(Step::CancelAt),
        2 => Just(Step::Paused),
        2 => Just(Step::Resumed),
        1 => Just(Step::TrialWillEnd),
        1 => Just(Step::Refunded),
        1 => Just(Step::Disputed),
        1 => Just(Step::Won),
        1 => Just(Step::Lost),
        1 => Just(Step::CustomerUpdated),
        1 => Just(Step::CheckoutPaid),
        1 => Just(Step::Canceled),
        1 => Just(Step::CustomerDeleted),
    ]
}

/// Steps, each with the seconds since the one before: often none, so that Stripe's timestamps don't give their order.
pub(crate) fn steps() -> impl Strategy<Value = Vec<(Step, i64)>> {
    prop::collection::vec((step(), prop_oneof![Just(0_i64), Just(1), Just(3600)]), 1..14)
}

/// The events of a life, in order.
pub(crate) fn life(version: Version, name: &str, begin: i64, steps: &[(Step, i64)]) -> Vec<Event> {
    let events = Events::new(version);
    let mut at = begin;
    let mut sub = Subscription::new(name, &[("price_business", 2)], at);
    let mut all = vec![
        events.subscription("created", &sub, at),
        events.checkout("checkout.session.completed", &sub, true, at),
        events.invoice("paid", &sub, at),
    ];
    if version == Version::Current {
        all.push(events.invoice_payment(&sub, at));
    }
    for (step, pause) in steps {
        at += pause;
        let event = match step {
            Step::Paid => events.invoice("paid", &sub, at),
            Step::Failed => events.invoice("payment_failed", &sub, at),
            Step::ActionRequired => events.invoice("payment_action_required", &sub, at),
            Step::Refunded => events.refund(&sub, true, at),
            Step::Disputed => events.dispute(&sub, "needs_response", at),
            Step::Won => events.dispute(&sub, "won", at),
            Step::Lost => events.dispute(&sub, "lost", at),
            Step::CustomerUpdated => events.customer("updated", &sub, at),
            Step::CustomerDeleted => events.customer("deleted", &sub, at),
            Step::CheckoutPaid => events.checkout("checkout.session.async_payment_succeeded", &sub, true, at),
            Step::Canceled => {
                sub.end(at);
                events.subscription("deleted", &sub, at)
            }
            other => changed(&events, &mut sub, *other, at),
        };
        all.push(event);
        if matches!(step, Step::Canceled) {
            break;
        }
    }
    all
}

fn changed(events: &Events, sub: &mut Subscription, step: Step, at: i64) -> Event {
    match step {
        Step::Quantity(n) => sub.items[0].1 = n,
        Step::Plan => sub.items = vec![("price_team".into(), 1), ("price_team_seat".into(), 3)],
        Step::Renewed => {
            // Its payments are not known by number yet, so that they are found by the customer.
            let invoice = sub.invoice;
            sub.renew();
            sub.invoice = invoice;
            sub.status = "active".into();
        }
        Step::PastDue => sub.status = "past_due".into(),
        Step::Unpaid => sub.status = "unpaid".into(),
        Step::CancelAtPeriodEnd(yes) => sub.cancel_at_period_end = yes,
        Step::CancelAt => sub.cancel_at = Some(at + 1000),
        Step::Paused => sub.status = "paused".into(),
        Step::Resumed => sub.status = "active".into(),
        _ => {}
    }
    let what = match step {
        Step::Paused => "paused",
        Step::Resumed => "resumed",
        Step::TrialWillEnd => "trial_will_end",
        _ => "updated",
    };
    events.subscription(what, sub, at)
}

/// All that an order could have changed: the license, and what is known of its subscription.
pub(crate) async fn state(hook: &Hook, name: &str) -> (Option<License>, String) {
    let sql = hook.world.db.connect("postgres").await;
    let id = format!("sub_{name}");
    let facts = sql.query_one("select facts::text from subscriptions where id = $1", &[&id]).await.unwrap();
    (hook.license(&id).await, facts.get::<_, &str>(0).replace(name, "NAME"))
}

#[test]
fn any_order_with_repeats_ends_like_in_order_once_each() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let hook = runtime.block_on(Hook::new());
    let mut runner = runner_of_lives();
    let number = std::cell::Cell::new(0_u32);
    // Places in the life, some of them twice, in any order; those that are left out come at the end.
    let orders = prop::collection::vec(any::<prop::sample::Index>(), 0..30);
    let versions = prop_oneof![Just(Version::Old), Just(Version::Current)];
    runner
        .run(&(steps(), orders, versions), |(steps, order, version)| {
            let n = number.get();
            number.set(n + 1);
            let begin = now() - 86_400;
            let (ordered, shuffled) = (format!("o{n}x"), format!("s{n}x"));
            runtime.block_on(async {
                for event in life(version, &ordered, begin, &steps) {
                    assert_eq!(hook.post(&event).await.status, 200);
                }
                let events = life(version, &shuffled, begin, &steps);
                hook.post_in_any_order(&events.iter().collect::<Vec<_>>(), &order).await;
                assert_eq!(state(&hook, &shuffled).await, state(&hook, &ordered).await);
            });
            Ok(())
        })
        .unwrap();
    let left = runtime.block_on(hook.world.number("select count(*) from stripe_events where state <> 'applied'"));
    assert_eq!(left, 0, "events were left waiting or failed");
    let keys = "select count(*) from outbox where payload->>'about' = 'license_key'";
    let (keys, licenses) = runtime
        .block_on(async { (hook.world.number(keys).await, hook.world.number("select count(*) from licenses").await) });
    assert_eq!(keys, licenses, "each license has one mail with its key");
}
