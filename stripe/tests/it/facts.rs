//! What is known of a subscription does not depend on the order of events, and what follows from it is what Stripe sells.

use proptest::prelude::*;
use serde_json::{Value, json};
use stripe::event::{DisputeState, snapshot};
use stripe::facts::{Catalogue, Facts, Item, Outcome, Price, Snapshot, Stage, Standing, Status, Unfit};
use testing::stripe::{Events, Subscription, Version};

const STATUSES: [Status; 8] = [
    Status::Incomplete,
    Status::Trialing,
    Status::Paused,
    Status::Active,
    Status::PastDue,
    Status::Unpaid,
    Status::IncompleteExpired,
    Status::Canceled,
];

/// Something an event tells.
#[derive(Debug, Clone)]
enum Fact {
    Snapshot(i64, Stage, Snapshot),
    Payment(i64, Outcome, bool),
    Checkout(bool),
    Refund(i64, &'static str),
    Dispute(i64, &'static str, DisputeState),
}

fn learn(facts: &mut Facts, fact: &Fact) {
    match fact.clone() {
        Fact::Snapshot(at, stage, snapshot) => drop(facts.learn_snapshot(at, stage, snapshot)),
        Fact::Payment(at, outcome, charged) => facts.learn_payment(at, outcome, charged),
        Fact::Checkout(paid) => facts.learn_checkout(paid),
        Fact::Refund(at, charge) => facts.learn_refund(at, charge),
        Fact::Dispute(at, dispute, state) => facts.learn_dispute(at, dispute, state),
    }
}

fn all(facts: &[Fact]) -> Facts {
    facts.iter().fold(Facts::default(), |mut known, fact| {
        learn(&mut known, fact);
        known
    })
}

/// Few moments, so that many things happen in the same one.
fn moment() -> impl Strategy<Value = i64> {
    0..6_i64
}

prop_compose! {
    fn state()(
        status in prop::sample::select(STATUSES.to_vec()),
        quantity in 0..3_u32,
        more_items in prop::bool::weighted(0.1),
        period_end in prop::option::of(10..14_i64),
        cancel_at in prop::option::of(8..14_i64),
        cancel_at_period_end in any::<bool>(),
        ended_at in prop::option::of(moment()),
        pause_void in prop::bool::weighted(0.2),
    ) -> Snapshot {
        let items = vec![Item { price: "price_pro".to_owned(), quantity }];
        Snapshot { status, items, more_items, period_end, cancel_at, cancel_at_period_end, ended_at, trial_end: None, pause_void }
    }
}

fn fact() -> impl Strategy<Value = Fact> {
    let stage = prop::sample::select(vec![Stage::Created, Stage::Updated, Stage::Deleted]);
    let outcome = prop::sample::select(vec![Outcome::Failed, Outcome::ActionRequired, Outcome::Paid]);
    let dispute =
        prop::sample::select(vec![DisputeState::Inquiry, DisputeState::Open, DisputeState::Won, DisputeState::Lost]);
    prop_oneof![
        4 => (moment(), stage, state()).prop_map(|(at, stage, state)| Fact::Snapshot(at, stage, state)),
        3 => (moment(), outcome, any::<bool>()).prop_map(|(at, outcome, charged)| Fact::Payment(at, outcome, charged)),
        1 => any::<bool>().prop_map(Fact::Checkout),
        1 => (moment(), prop::sample::select(vec!["ch_1", "ch_2"])).prop_map(|(at, charge)| Fact::Refund(at, charge)),
        1 => (moment(), prop::sample::select(vec!["du_1", "du_2"]), dispute)
            .prop_map(|(at, dispute, state)| Fact::Dispute(at, dispute, state)),
    ]
}

fn facts() -> impl Strategy<Value = Vec<Fact>> {
    prop::collection::vec(fact(), 0..12)
}

fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    ProptestConfig { cases: usual.cases * 10, failure_persistence: None, ..usual }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn any_order_and_any_repeats_come_to_the_same(
        (in_order, shuffled) in facts().prop_flat_map(|facts| (Just(facts.clone()), Just(facts).prop_shuffle())),
        repeats in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        is_deleted in any::<bool>(),
    ) {
        let known = all(&in_order);
        let mut other = all(&shuffled);
        prop_assert_eq!(&other, &known);
        // Again, after all the others.
        for repeat in repeats {
            if !shuffled.is_empty() {
                learn(&mut other, repeat.get(&shuffled));
            }
        }
        prop_assert_eq!(&other, &known);
        prop_assert_eq!(other.terms(is_deleted), known.terms(is_deleted));
        prop_assert_eq!(other.status(), known.status());
    }

    #[test]
    fn facts_are_kept_as_they_are(facts in facts()) {
        let known = all(&facts);
        let kept = serde_json::to_value(&known).unwrap();
        prop_assert_eq!(serde_json::from_value::<Facts>(kept).unwrap(), known);
    }

    #[test]
    fn nothing_is_granted_that_was_never_paid_for(
        facts in facts(),
        unpaid in prop::sample::select(vec![Status::Incomplete, Status::IncompleteExpired]),
        is_deleted in any::<bool>(),
    ) {
        let unpaid_only = facts.into_iter().filter_map(|fact| match fact {
            Fact::Snapshot(at, stage, snapshot) => Some(Fact::Snapshot(at, stage, Snapshot { status: unpaid, ..snapshot })),
            Fact::Payment(_, Outcome::Paid, _) => None,
            other => Some(other),
        });
        let known = all(&unpaid_only.collect::<Vec<_>>());
        prop_assert_eq!(known.terms(is_deleted), None);
    }

    #[test]
    fn a_lost_or_open_dispute_holds_the_licence_back(facts in facts(), at in moment(), is_lost in any::<bool>()) {
        let mut known = all(&facts);
        known.learn_dispute(at, "du_last", if is_lost { DisputeState::Lost } else { DisputeState::Open });
        if let Some(terms) = known.terms(false) {
            prop_assert_eq!(terms.standing, Standing::Disputed);
        }
    }

    #[test]
    fn what_is_over_ends_and_stays_so(facts in facts(), at in moment(), over in state()) {
        let mut known = all(&facts);
        known.learn_snapshot(6, Stage::Deleted, Snapshot { status: Status::Canceled, ..over });
        let end = known.terms(false).map(|terms| terms.expires_at);
        prop_assert_ne!(end, Some(None));
        known.learn_snapshot(at + 7, Stage::Updated, Snapshot { status: Status::Active, ..state_of(Status::Active, 99) });
        prop_assert_eq!(known.status(), Some(Status::Canceled));
    }

    #[test]
    fn stripes_answer_is_newer_than_what_was_known(facts in facts(), at in moment(), answer in state()) {
        let mut known = all(&facts);
        let was_over = matches!(known.status(), Some(Status::Canceled | Status::IncompleteExpired));
        known.learn_answer(at, answer.clone());
        let mut alone = Facts::default();
        alone.learn_answer(at, answer.clone());
        if !was_over {
            let items = |facts: &Facts| serde_json::to_value(facts).unwrap()["newest"]["snapshot"].clone();
            prop_assert_eq!(items(&known), items(&alone));
        }
        // And asking again overrules the answer before.
        let over = Snapshot { status: Status::Canceled, ..answer };
        known.learn_answer(at, over);
        prop_assert_eq!(known.status(), Some(Status::Canceled));
    }
}

fn state_of(status: Status, period_end: i64) -> Snapshot {
    Snapshot {
        status,
        items: vec![Item { price: "price_pro".to_owned(), quantity: 1 }],
        more_items: false,
        period_end: Some(period_end),
        cancel_at: None,
        cancel_at_period_end: false,
        ended_at: None,
        trial_end: None,
        pause_void: false,
    }
}

#[test]
fn what_an_older_release_kept_is_read() {
    let known: Facts = serde_json::from_value(json!({})).unwrap();
    assert_eq!(known, Facts::default());
    let older = json!({
        "newest": {"terminal": false, "at": 5, "stage": "updated", "snapshot": {
            "status": "past_due", "items": [{"price": "price_pro", "quantity": 2}], "period_end": 9,
            "cancel_at": null, "cancel_at_period_end": false, "ended_at": null, "trial_end": null, "pause_void": false,
        }},
        "payment": {"at": 5, "outcome": "failed"},
        "of_a_later_release": true,
    });
    let known: Facts = serde_json::from_value(older).unwrap();
    assert_eq!(known.terms(false).unwrap().standing, Standing::PastDue);
    assert_eq!(known.terms(false).unwrap().expires_at, None);
}

fn sold() -> Catalogue {
    [
        ("price_pro", "PRO", true, 1),
        ("price_team", "TEAM", true, 5),
        ("price_team_seat", "TEAM", false, 1),
        ("price_business", "BUSINESS", true, 1),
    ]
    .map(|(id, plan, is_base, seats)| (id.to_owned(), Price { plan: plan.to_owned(), is_base, seats }))
    .into()
}

fn plan_and_seats(items: &[(&str, u32)], more_items: bool) -> Result<(String, i32), Unfit> {
    let items =
        items.iter().map(|(price, quantity)| Item { price: (*price).to_owned(), quantity: *quantity }).collect();
    let mut known = Facts::default();
    known.learn_snapshot(1, Stage::Created, Snapshot { items, more_items, ..state_of(Status::Active, 9) });
    known.terms(false).unwrap().plan_and_seats(&sold())
}

#[test]
fn items_make_a_plan_and_seats() {
    let granted = |items: &[(&str, u32)]| plan_and_seats(items, false);
    assert_eq!(granted(&[("price_team", 1), ("price_team_seat", 7)]), Ok(("TEAM".to_owned(), 12)));
    assert_eq!(
        granted(&[("price_team_seat", 2), ("price_team", 2), ("price_team_seat", 1)]),
        Ok(("TEAM".to_owned(), 13))
    );
    assert_eq!(granted(&[("price_business", 0)]), Ok(("BUSINESS".to_owned(), 0)));
    assert_eq!(granted(&[("price_team", 0), ("price_team_seat", 4)]), Ok(("TEAM".to_owned(), 0)), "no base, no seats");
    assert_eq!(granted(&[("price_business", 1_000_000)]), Ok(("BUSINESS".to_owned(), 1_000_000)));
    for many in [1_000_001, u32::MAX] {
        assert_eq!(granted(&[("price_business", many)]), Err(Unfit::TooManySeats));
    }
    assert_eq!(granted(&[("price_team", u32::MAX); 100]), Err(Unfit::TooManySeats));
    assert_eq!(granted(&[("price_team_seat", 4)]), Err(Unfit::NoBase));
    assert_eq!(granted(&[]), Err(Unfit::NoBase));
    assert_eq!(granted(&[("price_pro", 1), ("price_x", 1)]), Err(Unfit::UnknownPrice("price_x".to_owned())));
    let several = Unfit::SeveralPlans("PRO".to_owned(), "TEAM".to_owned());
    assert_eq!(granted(&[("price_pro", 1), ("price_team_seat", 1)]), Err(several));
    assert_eq!(plan_and_seats(&[("price_pro", 1)], true), Err(Unfit::MoreItems));
}

/// Each status with each way to end, in both shapes: standing and end.
#[test]
fn each_status_and_each_way_to_end() {
    const NOW: i64 = 1_760_000_000;
    const END: i64 = NOW + 1000;
    // Status, then the end: as it is, with the period, at a time before the period's end, at one after it.
    let (sooner, later) = (END - 500, END + 500);
    let table = [
        ("trialing", "good", [None, Some(END), Some(sooner), Some(later)]),
        ("active", "good", [None, Some(END), Some(sooner), Some(later)]),
        ("past_due", "past_due", [None, Some(END), Some(sooner), Some(later)]),
        ("paused", "inactive", [None, Some(END), Some(sooner), Some(later)]),
        ("unpaid", "past_due", [Some(END), Some(END), Some(sooner), Some(END)]),
        // Ended a second after NOW, before either time came: the period was paid.
        ("canceled", "good", [Some(END); 4]),
    ];
    for version in [Version::Old, Version::Current] {
        for (status, standing, ends) in table {
            for (way, end) in ends.into_iter().enumerate() {
                let mut sub = Subscription::new("ann", &[("price_pro", 1)], NOW);
                sub.status = status.to_owned();
                sub.period = (NOW - 1000, END);
                sub.cancel_at_period_end = way == 1;
                sub.cancel_at = [None, None, Some(sooner), Some(later)][way];
                sub.ended_at = (status == "canceled").then_some(NOW + 1);
                let known = told(version, &sub, NOW);
                let terms = known.terms(false).unwrap();
                assert_eq!((terms.standing.as_str(), terms.expires_at), (standing, end), "{version:?} {status} {way}");
                let gone = known.terms(true).unwrap();
                assert!(gone.expires_at.is_some_and(|at| at <= later), "{version:?} {status} {way}");
            }
        }
        for status in ["incomplete", "incomplete_expired"] {
            let mut sub = Subscription::new("ann", &[("price_pro", 1)], NOW);
            sub.status = status.to_owned();
            assert_eq!(told(version, &sub, NOW).terms(false), None);
        }
    }
}

fn told(version: Version, sub: &Subscription, at: i64) -> Facts {
    let mut known = Facts::default();
    known.learn_snapshot(at, Stage::Updated, snapshot(&Events::new(version).subscription_object(sub)).unwrap());
    known
}

#[test]
fn who_stops_paying_has_one_period_without_a_payment() {
    let mut known = Facts::default();
    let end = |known: &Facts| known.terms(false).unwrap().expires_at;
    known.learn_snapshot(0, Stage::Created, state_of(Status::Active, 100));
    known.learn_payment(0, Outcome::Paid, true);
    // The second period begins at Stripe before anybody tries to be paid for it.
    known.learn_snapshot(100, Stage::Updated, state_of(Status::Active, 200));
    known.learn_payment(101, Outcome::Failed, false);
    known.learn_snapshot(101, Stage::Updated, state_of(Status::PastDue, 200));
    assert_eq!(end(&known), None, "still tried");
    known.learn_snapshot(120, Stage::Updated, state_of(Status::Unpaid, 200));
    assert_eq!(end(&known), Some(200));
    // The third and fourth begin as well.
    for n in [300, 400] {
        known.learn_snapshot(n - 100, Stage::Updated, state_of(Status::Unpaid, n));
        assert_eq!(end(&known), Some(200));
    }
    let mut over = known.clone();
    over.learn_snapshot(310, Stage::Deleted, Snapshot { ended_at: Some(310), ..state_of(Status::Canceled, 400) });
    assert_eq!(end(&over), Some(200), "its end doesn't bring it back");
    // Paid after all, then never again: the new debt counts from its own beginning.
    known.learn_payment(310, Outcome::Paid, true);
    known.learn_snapshot(310, Stage::Updated, state_of(Status::Active, 400));
    assert_eq!(end(&known), None);
    known.learn_snapshot(401, Stage::Updated, state_of(Status::PastDue, 500));
    assert_eq!(end(&known), None);
    known.learn_snapshot(500, Stage::Updated, state_of(Status::PastDue, 600));
    assert_eq!(end(&known), Some(500), "nor is it served a second period while Stripe goes on trying");
}

#[test]
fn refunds_and_disputes_count_until_the_next_payment_or_for_good() {
    let mut known = Facts::default();
    let standing = |known: &Facts| known.terms(false).unwrap().standing;
    known.learn_snapshot(0, Stage::Created, state_of(Status::Active, 100));
    known.learn_refund(5, "ch_1");
    assert_eq!(standing(&known), Standing::Refunded, "also before its invoice is known");
    known.learn_payment(0, Outcome::Paid, true);
    assert_eq!(standing(&known), Standing::Refunded);
    known.learn_payment(6, Outcome::Paid, false);
    assert_eq!(standing(&known), Standing::Refunded, "no money came");
    known.learn_payment(7, Outcome::Paid, true);
    assert_eq!(standing(&known), Standing::Good, "paid again");
    known.learn_dispute(8, "du_1", DisputeState::Open);
    known.learn_refund(9, "ch_2");
    known.learn_dispute(10, "du_1", DisputeState::Won);
    assert_eq!(standing(&known), Standing::Refunded, "the money went back all the same");
    known.learn_dispute(3, "du_2", DisputeState::Lost);
    known.learn_payment(99, Outcome::Paid, true);
    assert_eq!(standing(&known), Standing::Disputed, "lost is lost");
}

#[test]
fn a_guess_is_told_as_one() {
    let mut known = Facts::default();
    let (one, two) = (state_of(Status::Active, 1), state_of(Status::Active, 2));
    assert!(known.learn_snapshot(5, Stage::Updated, one.clone()));
    assert!(known.learn_snapshot(5, Stage::Updated, one.clone()), "the same again");
    assert!(!known.learn_snapshot(5, Stage::Updated, two.clone()));
    assert!(!known.learn_snapshot(5, Stage::Updated, one.clone()), "and the first one again, which isn't the newest");
    assert!(known.learn_snapshot(4, Stage::Updated, one.clone()), "older");
    assert!(known.learn_snapshot(5, Stage::Deleted, state_of(Status::Canceled, 1)), "nothing comes after the end");
    let mut known = Facts::default();
    known.learn_answer(5, one);
    assert!(!known.learn_snapshot(5, Stage::Updated, two), "it may have happened since it was asked");
}

#[test]
fn times_that_no_clock_has_are_refused() {
    let of = |pointer: &str, value: Value| {
        let sub = Subscription::new("ann", &[("price_pro", 1)], 1_760_000_000);
        let mut object = Events::new(Version::Current).subscription_object(&sub);
        *object.pointer_mut(pointer).unwrap() = value;
        snapshot(&object)
    };
    for pointer in ["/cancel_at", "/ended_at", "/trial_end", "/items/data/0/current_period_end"] {
        assert!(of(pointer, json!(1_800_000_000)).is_ok());
        for wrong in [json!(i64::MAX), json!(253_402_300_800_i64), json!(-1), json!("soon"), json!(1.5)] {
            assert!(of(pointer, wrong.clone()).is_err(), "{pointer} {wrong}");
        }
    }
}
