//! Whatever order a life's events come in, and however often: the license is what Stripe's own state says.

use proptest::prelude::*;
use stripe::event::Event;
use stripe::facts::Facts;
use testing::stripe::Version;
use testing::stripe::life::{Expected, Life, step};

use crate::facts::sold;

/// Steps with the seconds before each.
fn steps() -> impl Strategy<Value = Vec<(u32, i64)>> {
    prop::collection::vec((any::<u32>(), prop_oneof![Just(1_i64), Just(3_600), Just(15 * 86_400)]), 1..16)
}

fn licensed(known: &Facts) -> Option<Expected> {
    let terms = known.terms(false, &sold())?;
    let (_, seats) = terms.plan_and_seats(&sold()).unwrap();
    Some(Expected { standing: terms.standing.as_str(), expires_at: terms.expires_at, seats })
}

fn merge(known: &mut Facts, event: &testing::stripe::Event) {
    let event = Event::parse(event.body().as_bytes()).unwrap();
    let parsed = event.parse_object().unwrap().unwrap_or_else(|| panic!("{} is not handled", event.kind));
    parsed.merge_into(known, event.created);
}

/// Checks the license after each step.
fn follow(version: Version, steps: &[(u32, i64)]) -> Result<(), TestCaseError> {
    let mut life = Life::begin(version, "ann", None, 1_700_000_000);
    let (mut known, mut merged) = (Facts::default(), 0);
    for (number, pause) in steps {
        life.go(step(*number), *pause);
        life.told[merged..].iter().for_each(|event| merge(&mut known, event));
        merged = life.told.len();
        prop_assert_eq!(licensed(&known), Some(life.expected()), "after {:?}", step(*number));
    }
    Ok(())
}

/// The renewal's invoice is newer than an upgrade's of the same day, though the period that it is for began before.
#[test]
fn a_late_renewal_is_newer_than_the_upgrade_before_it() {
    const UPGRADE: u32 = 15;
    const RENEWAL_FAILS: u32 = 5;
    const RENEWAL: u32 = 0;
    const VOID_NEWEST: u32 = 13;
    let steps = [(UPGRADE, 30 * 86_400 + 1), (RENEWAL_FAILS, 1), (RENEWAL, 1), (VOID_NEWEST, 1)];
    follow(Version::Current, &steps).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn in_order_every_step_ends_as_stripe_has_it(steps in steps(), is_old in any::<bool>()) {
        let version = if is_old { Version::Old } else { Version::Current };
        follow(version, &steps)?;
    }

    #[test]
    fn any_order_with_repeats_ends_as_stripe_has_it(
        steps in steps(),
        is_old in any::<bool>(),
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    ) {
        let version = if is_old { Version::Old } else { Version::Current };
        let mut life = Life::begin(version, "ann", None, 1_700_000_000);
        steps.iter().for_each(|(number, pause)| life.go(step(*number), *pause));
        let mut known = Facts::default();
        order.iter().for_each(|index| merge(&mut known, index.get(&life.told)));
        life.told.iter().rev().for_each(|event| merge(&mut known, event));
        prop_assert_eq!(licensed(&known), Some(life.expected()));
    }
}
