//! Two subscriptions of one customer, with invoices, periods, refunds, disputes and add-ons: in any order, with repeats,
//! each license is in the end what Stripe's own state says.

use proptest::prelude::*;
use testing::stripe::Version;
use testing::stripe::life::{Expected, Life, step};

use crate::hook::{Hook, now, runner_of_lives};

const DAY: i64 = 86_400;

/// The license that came of a subscription.
pub(crate) async fn licensed(hook: &Hook, subscription: &str) -> Option<Expected> {
    let license = hook.license(subscription).await?;
    let standing =
        ["good", "past_due", "refunded", "disputed", "inactive"].into_iter().find(|s| *s == license.standing);
    Some(Expected { standing: standing.unwrap(), expires_at: license.expires_at, seats: license.seats })
}

fn steps() -> impl Strategy<Value = Vec<(u32, i64)>> {
    prop::collection::vec((any::<u32>(), prop_oneof![Just(1_i64), Just(3_600), Just(15 * DAY)]), 1..8)
}

#[test]
fn any_order_with_repeats_ends_as_stripe_has_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let hook = runtime.block_on(Hook::new());
    let mut runner = runner_of_lives();
    let number = std::cell::Cell::new(0_u32);
    let orders = prop::collection::vec(any::<prop::sample::Index>(), 0..60);
    let versions = prop_oneof![Just(Version::Old), Just(Version::Current)];
    runner
        .run(&(steps(), steps(), orders, versions), |(first, second, order, version)| {
            let n = number.get();
            number.set(n + 1);
            let begin = now() - 1_000 * DAY;
            let (one, two) = (format!("a{n}x"), format!("b{n}x"));
            let mut lives = [
                Life::begin(version, &one, None, begin),
                Life::begin(version, &two, Some(&format!("cus_{one}")), begin + 5),
            ];
            for (life, steps) in lives.iter_mut().zip([first, second]) {
                steps.into_iter().for_each(|(number, pause)| life.go(step(number), pause));
            }
            let all: Vec<_> = lives.iter().flat_map(|life| life.told.iter()).collect();
            runtime.block_on(async {
                hook.post_in_any_order(&all, &order).await;
                for life in &lives {
                    assert_eq!(licensed(&hook, &life.id()).await, Some(life.expected()), "{}", life.id());
                }
            });
            Ok(())
        })
        .unwrap();
    let left = runtime.block_on(hook.world.number("select count(*) from stripe_events where state <> 'applied'"));
    assert_eq!(left, 0, "events were left waiting or failed");
}
