//! Tests that the known facts do not depend on the order of events, and that the license which follows is the one that Stripe
//! sells.

use proptest::prelude::*;
use serde_json::{Value, json};
use stripe::event::snapshot;
use stripe::facts::{
    Catalogue, DisputeState, Facts, Invoice, InvoiceStatus, Item, ItemsError, Price, PriceKind, Snapshot, Stage,
    Standing, Status,
};
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

/// A fact that an event reports.
#[derive(Debug, Clone)]
enum Fact {
    Snapshot(i64, Stage, Snapshot),
    Invoice(i64, &'static str, Invoice),
    Refund(i64, &'static str, Option<i64>),
    RefundFailed(i64, &'static str),
    Dispute(i64, &'static str, DisputeState),
}

fn merge(facts: &mut Facts, fact: &Fact) {
    let of = |id: &str| vec![id.replace("du_", "ch_"), id.replace("du_", "pi_").replace("ch_", "pi_")];
    match fact.clone() {
        Fact::Snapshot(at, stage, snapshot) => {
            facts.merge_snapshot(at, stage, snapshot);
        }
        Fact::Invoice(at, id, invoice) => facts.merge_invoice(at, id, invoice),
        Fact::Refund(at, charge, amount) => facts.merge_refund(at, charge, &of(charge), amount),
        Fact::RefundFailed(at, charge) => facts.merge_failed_refund(at, charge, &of(charge)),
        Fact::Dispute(at, dispute, state) => facts.merge_dispute(at, dispute, &of(dispute), state),
    }
}

fn all(facts: &[Fact]) -> Facts {
    facts.iter().fold(Facts::default(), |mut known, fact| {
        merge(&mut known, fact);
        known
    })
}

/// A few times, so that many things happen at the same one.
fn time() -> impl Strategy<Value = i64> {
    0..6_i64
}

prop_compose! {
    fn state()(
        status in prop::sample::select(STATUSES.to_vec()),
        quantity in 0..3_u32,
        more_items in prop::bool::weighted(0.1),
        period in prop::option::of((0..4_i64, 10..14_i64)),
        cancel_at in prop::option::of(8..14_i64),
        cancel_at_period_end in any::<bool>(),
        ended_at in prop::option::of(time()),
        pause_void in prop::bool::weighted(0.2),
    ) -> Snapshot {
        let items = vec![Item { price: "price_pro".to_owned(), quantity, period }];
        let period_end = period.map(|(_, end)| end);
        Snapshot { status, items, more_items, period_end, cancel_at, cancel_at_period_end, ended_at, trial_end: None, pause_void }
    }
}

prop_compose! {
    fn invoice()(
        at in time(),
        status in prop::sample::select(vec![
            InvoiceStatus::Unknown, InvoiceStatus::Draft, InvoiceStatus::Open, InvoiceStatus::Uncollectible,
            InvoiceStatus::Void, InvoiceStatus::Paid,
        ]),
        created in prop::option::of(time()),
        reason in prop::option::of(prop::sample::select(vec!["subscription_cycle", "subscription_update"])),
        period in prop::option::of((0..4_i64, 4..8_i64)),
        prorations in any::<bool>(),
        failed_at in prop::option::of(time()),
        amount_paid in prop::option::of(0..3_i64),
        payment in prop::option::of(prop::sample::select(vec!["pi_1", "pi_2", "ch_1"])),
    ) -> Invoice {
        Invoice {
            created,
            status,
            reason: reason.map(str::to_owned),
            periods: period.map(|period| ("price_pro".to_owned(), period)).into_iter().collect(),
            prorations,
            amount_paid,
            paid_at: (status == InvoiceStatus::Paid).then_some(at),
            voided_at: (status == InvoiceStatus::Void).then_some(at),
            failed_at,
            payments: payment.map(|payment| (payment.to_owned(), 1)).into_iter().collect(),
            ..Invoice::default()
        }
    }
}

fn fact() -> impl Strategy<Value = Fact> {
    let stage = prop::sample::select(vec![Stage::Created, Stage::Updated, Stage::Deleted]);
    let dispute =
        prop::sample::select(vec![DisputeState::Inquiry, DisputeState::Open, DisputeState::Won, DisputeState::Lost]);
    let charge = || prop::sample::select(vec!["ch_1", "ch_2"]);
    let amount = prop::option::of(0..3_i64);
    prop_oneof![
        4 => (time(), stage, state()).prop_map(|(at, stage, state)| Fact::Snapshot(at, stage, state)),
        4 => (time(), prop::sample::select(vec!["in_1", "in_2", "in_3"]), invoice())
            .prop_map(|(at, id, invoice)| Fact::Invoice(at, id, invoice)),
        1 => (time(), charge(), amount).prop_map(|(at, charge, amount)| Fact::Refund(at, charge, amount)),
        1 => (time(), charge()).prop_map(|(at, charge)| Fact::RefundFailed(at, charge)),
        1 => (time(), prop::sample::select(vec!["du_1", "du_2"]), dispute)
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
                merge(&mut other, repeat.get(&shuffled));
            }
        }
        prop_assert_eq!(&other, &known);
        prop_assert_eq!(other.terms(is_deleted, &sold()), known.terms(is_deleted, &sold()));
        prop_assert_eq!(other.status(), known.status());
    }

    #[test]
    fn facts_are_kept_as_they_are(facts in facts()) {
        let mut known = all(&facts);
        known.lift(&sold());
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
            Fact::Invoice(_, _, Invoice { status: InvoiceStatus::Paid, .. }) => None,
            other => Some(other),
        });
        let known = all(&unpaid_only.collect::<Vec<_>>());
        prop_assert_eq!(known.terms(is_deleted, &sold()), None);
    }

    #[test]
    fn what_is_over_ends_and_stays_so(facts in facts(), at in time(), over in state()) {
        let mut known = all(&facts);
        known.merge_snapshot(6, Stage::Deleted, Snapshot { status: Status::Canceled, ..over });
        let end = known.terms(false, &sold()).map(|terms| terms.expires_at);
        prop_assert_ne!(end, Some(None));
        known.merge_snapshot(at + 7, Stage::Updated, state_of(Status::Active, 99));
        prop_assert_eq!(known.status(), Some(Status::Canceled));
    }

    /// A lifted hold stays lifted until Stripe's next fact about it.
    #[test]
    fn a_lifted_hold_counts_again_with_the_next_fact(facts in facts(), at in 6..9_i64, is_dispute in any::<bool>()) {
        let mut known = all(&facts);
        known.lift(&sold());
        let held = known.terms(false, &sold()).is_some_and(|terms| terms.standing >= Standing::Refunded);
        prop_assert!(!held);
        prop_assert!(known.lift(&sold()).is_empty());
        let next = if is_dispute { Fact::Dispute(at, "du_1", DisputeState::Open) } else { Fact::Refund(at, "ch_1", None) };
        let mut untouched = all(&facts);
        merge(&mut untouched, &next);
        merge(&mut known, &next);
        let id = if is_dispute { "du_1" } else { "ch_1" };
        prop_assert_eq!(known.is_held_by(id, &sold()), untouched.is_held_by(id, &sold()));
    }

    #[test]
    fn stripes_answer_is_newer_than_what_was_known(facts in facts(), at in time(), answer in state()) {
        let mut known = all(&facts);
        let was_over = matches!(known.status(), Some(Status::Canceled | Status::IncompleteExpired));
        known.merge_fetched(at, answer.clone());
        let mut alone = Facts::default();
        alone.merge_fetched(at, answer.clone());
        if !was_over {
            let items = |facts: &Facts| serde_json::to_value(facts).unwrap()["newest"]["snapshot"].clone();
            prop_assert_eq!(items(&known), items(&alone));
        }
        // And asking again overrules the answer before.
        let over = Snapshot { status: Status::Canceled, ..answer };
        known.merge_fetched(at, over);
        prop_assert_eq!(known.status(), Some(Status::Canceled));
    }
}

fn state_of(status: Status, period_end: i64) -> Snapshot {
    Snapshot {
        status,
        items: vec![Item { price: "price_pro".to_owned(), quantity: 1, period: None }],
        more_items: false,
        period_end: Some(period_end),
        cancel_at: None,
        cancel_at_period_end: false,
        ended_at: None,
        trial_end: None,
        pause_void: false,
    }
}

fn older(rest: &Value) -> Facts {
    let mut older = json!({
        "newest": {"terminal": false, "at": 5, "stage": "updated", "snapshot": {
            "status": "active", "items": [{"price": "price_pro", "quantity": 2}], "period_end": 9,
            "cancel_at": null, "cancel_at_period_end": false, "ended_at": null, "trial_end": null, "pause_void": false,
        }},
        "of_a_later_release": true, "payments": {},
    });
    older.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
    serde_json::from_value(older).unwrap()
}

#[test]
fn what_an_older_release_kept_leads_to_the_same_license() {
    let known: Facts = serde_json::from_value(json!({})).unwrap();
    assert_eq!(known, Facts::default());
    let terms = |known: &Facts| known.terms(false, &sold()).map(|terms| (terms.standing, terms.expires_at)).unwrap();
    assert_eq!(terms(&older(&json!({"payment": {"at": 5, "outcome": "failed"}}))), (Standing::PastDue, None));
    assert_eq!(terms(&older(&json!({"payment": {"at": 4, "outcome": "failed"}}))), (Standing::Good, None));
    let charged = |refunded: i64| older(&json!({"charged_at": 3, "refunds": {"ch_1": refunded}}));
    assert_eq!(terms(&charged(2)).0, Standing::Good, "paid again");
    let mut known = charged(4);
    assert_eq!(terms(&known).0, Standing::Refunded);
    known.merge_invoice(8, "in_2", paid("subscription_cycle", 8, 9_900, "pi_2"));
    assert_eq!(terms(&known).0, Standing::Good, "the next period is paid");
    let mut known = older(&json!({"disputes": {"du_1": {"closed": false, "at": 6, "state": "open"}}}));
    assert_eq!(terms(&known).0, Standing::Disputed);
    known.merge_dispute(7, "du_1", &[], DisputeState::Won);
    assert_eq!(terms(&known).0, Standing::Good);
    let mut known = older(&json!({"unpaid": {"9": 6}, "settled_at": 5}));
    known.merge_snapshot(7, Stage::Updated, state_of(Status::Unpaid, 19));
    assert_eq!(terms(&known), (Standing::PastDue, Some(9)));
}

pub(crate) fn sold() -> Catalogue {
    [
        ("price_pro", "PRO", PriceKind::Base, 1),
        ("price_team", "TEAM", PriceKind::Base, 5),
        ("price_team_seat", "TEAM", PriceKind::Seat, 1),
        ("price_support", "BUSINESS", PriceKind::Other, 0),
        ("price_business", "BUSINESS", PriceKind::Base, 1),
    ]
    .map(|(id, plan, kind, seats)| (id.to_owned(), Price { plan: plan.to_owned(), kind, seats }))
    .into()
}

fn plan_and_seats(of: &[(&str, u32)], more_items: bool) -> Result<(String, i32), ItemsError> {
    let item = |(price, quantity): &(&str, u32)| Item { price: (*price).to_owned(), quantity: *quantity, period: None };
    let items = of.iter().map(item).collect();
    let mut known = Facts::default();
    known.merge_snapshot(1, Stage::Created, Snapshot { items, more_items, ..state_of(Status::Active, 9) });
    known.terms(false, &sold()).unwrap().plan_and_seats(&sold())
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
        assert_eq!(granted(&[("price_business", many)]), Err(ItemsError::TooManySeats));
    }
    assert_eq!(granted(&[("price_team", u32::MAX); 100]), Err(ItemsError::TooManySeats));
    assert_eq!(granted(&[("price_team_seat", 4)]), Err(ItemsError::NoBase));
    assert_eq!(granted(&[]), Err(ItemsError::NoBase));
    let several = ItemsError::SeveralPlans("PRO".to_owned(), "TEAM".to_owned());
    assert_eq!(granted(&[("price_pro", 1), ("price_team_seat", 1)]), Err(several));
    assert_eq!(plan_and_seats(&[("price_pro", 1)], true), Err(ItemsError::MoreItems));
}

#[test]
fn an_unknown_or_seatless_price_changes_nothing_of_what_the_known_ones_say() {
    let granted = |items: &[(&str, u32)]| plan_and_seats(items, false);
    for addon in ["price_x", "price_support"] {
        let team = granted(&[(addon, 9), ("price_team", 1), ("price_team_seat", 2)]);
        assert_eq!(team, Ok(("TEAM".to_owned(), 7)), "{addon}");
        assert_eq!(granted(&[("price_pro", 1), (addon, 1)]), Ok(("PRO".to_owned(), 1)), "{addon}");
    }
    // Without a known base there is nothing to go by, and the unknown may be it.
    let unknown = Err(ItemsError::UnknownPrice("price_x".to_owned()));
    assert_eq!(granted(&[("price_x", 1)]), unknown);
    assert_eq!(granted(&[("price_team_seat", 1), ("price_x", 1)]), unknown);
    assert_eq!(granted(&[("price_support", 1)]), Err(ItemsError::NoBase));
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
        // A subscription that Stripe calls ended has ended then, also within a period.
        ("canceled", "good", [Some(NOW + 1); 4]),
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
                let known = reported(version, &sub, NOW);
                let terms = known.terms(false, &sold()).unwrap();
                assert_eq!((terms.standing.as_str(), terms.expires_at), (standing, end), "{version:?} {status} {way}");
                let gone = known.terms(true, &sold()).unwrap();
                assert!(gone.expires_at.is_some_and(|at| at <= later), "{version:?} {status} {way}");
            }
        }
        for status in ["incomplete", "incomplete_expired"] {
            let mut sub = Subscription::new("ann", &[("price_pro", 1)], NOW);
            sub.status = status.to_owned();
            assert_eq!(reported(version, &sub, NOW).terms(false, &sold()), None);
        }
    }
}

fn reported(version: Version, sub: &Subscription, at: i64) -> Facts {
    let mut known = Facts::default();
    known.merge_snapshot(at, Stage::Updated, snapshot(&Events::new(version).subscription_object(sub)).unwrap());
    known
}

/// An invoice that was paid at a time.
fn paid(reason: &str, at: i64, amount: i64, payment: &str) -> Invoice {
    Invoice {
        created: Some(at),
        status: InvoiceStatus::Paid,
        reason: Some(reason.to_owned()),
        amount_paid: Some(amount),
        paid_at: Some(at),
        payments: [(payment.to_owned(), 0)].into(),
        ..Invoice::default()
    }
}

#[test]
fn who_stops_paying_has_one_period_without_a_payment() {
    let mut known = Facts::default();
    let end = |known: &Facts| known.terms(false, &sold()).unwrap().expires_at;
    let failed =
        |at: i64| Invoice { created: Some(at), failed_at: Some(at), status: InvoiceStatus::Open, ..Invoice::default() };
    known.merge_snapshot(0, Stage::Created, state_of(Status::Active, 100));
    known.merge_invoice(0, "in_1", paid("subscription_create", 0, 9_900, "pi_1"));
    // The second period begins at Stripe before its payment is attempted.
    known.merge_snapshot(100, Stage::Updated, state_of(Status::Active, 200));
    known.merge_invoice(101, "in_2", failed(101));
    known.merge_snapshot(101, Stage::Updated, state_of(Status::PastDue, 200));
    assert_eq!(end(&known), None, "still tried");
    known.merge_snapshot(120, Stage::Updated, state_of(Status::Unpaid, 200));
    assert_eq!(end(&known), Some(200));
    // The third and fourth begin as well.
    for n in [300, 400] {
        known.merge_snapshot(n - 100, Stage::Updated, state_of(Status::Unpaid, n));
        assert_eq!(end(&known), Some(200));
    }
    let mut over = known.clone();
    over.merge_snapshot(310, Stage::Deleted, Snapshot { ended_at: Some(310), ..state_of(Status::Canceled, 400) });
    assert_eq!(end(&over), Some(200), "its end doesn't bring it back");
    // An older invoice that is paid settles nothing while a newer one is open, before the end and after it.
    let older = |known: &mut Facts| {
        known.merge_invoice(300, "in_4", failed(300));
        known.merge_invoice(
            309,
            "in_2",
            Invoice { created: Some(101), ..paid("subscription_cycle", 309, 9_900, "pi_2") },
        );
    };
    older(&mut over);
    older(&mut known);
    assert_eq!((end(&over), end(&known)), (Some(200), Some(200)));
    assert_eq!(known.status(), Some(Status::Unpaid));
    // The newest paid after all, then never again: the new debt counts from its own beginning.
    known.merge_invoice(310, "in_4", Invoice { created: Some(300), ..paid("subscription_cycle", 310, 9_900, "pi_4") });
    assert_eq!((known.status(), end(&known)), (Some(Status::Active), None), "by the invoice alone");
    known.merge_snapshot(310, Stage::Updated, state_of(Status::Active, 400));
    assert_eq!(end(&known), None);
    known.merge_snapshot(401, Stage::Updated, state_of(Status::PastDue, 500));
    assert_eq!(end(&known), None);
    known.merge_snapshot(500, Stage::Updated, state_of(Status::PastDue, 600));
    assert_eq!(end(&known), Some(500), "nor is it served a second period while Stripe goes on trying");
}

#[test]
fn a_long_period_is_not_lived_on_unpaid() {
    const DAY: i64 = 86_400;
    let yearly = |status, from: i64| {
        let period = Some((from, from + 365 * DAY));
        let items = vec![Item { price: "price_pro".to_owned(), quantity: 1, period }];
        Snapshot { items, ..state_of(status, from + 365 * DAY) }
    };
    let end = |known: &Facts| known.terms(false, &sold()).unwrap().expires_at;
    let mut known = Facts::default();
    known.merge_snapshot(0, Stage::Created, yearly(Status::Active, 0));
    let renewed = 365 * DAY;
    known.merge_snapshot(renewed, Stage::Updated, yearly(Status::PastDue, renewed));
    assert_eq!(end(&known), None, "Stripe's retries are the grace");
    known.merge_snapshot(renewed + 14 * DAY, Stage::Updated, yearly(Status::Unpaid, renewed));
    known.merge_snapshot(renewed + 20 * DAY, Stage::Updated, yearly(Status::Unpaid, renewed));
    assert_eq!(end(&known), Some(renewed + 14 * DAY));
}

#[test]
fn an_invoice_made_by_hand_settles_nothing_and_owes_no_period() {
    let end = |known: &Facts| known.terms(false, &sold()).unwrap().expires_at;
    let mut known = Facts::default();
    known.merge_snapshot(0, Stage::Created, state_of(Status::Active, 100));
    known.merge_invoice(0, "in_1", paid("subscription_create", 0, 9_900, "pi_1"));
    let open = |at: i64, reason: &str| Invoice {
        created: Some(at),
        failed_at: Some(at),
        status: InvoiceStatus::Open,
        reason: Some(reason.to_owned()),
        ..Invoice::default()
    };
    known.merge_invoice(50, "in_hand", open(50, "manual"));
    assert_eq!(known.status(), Some(Status::Active), "one that is not paid");
    known.merge_snapshot(100, Stage::Updated, state_of(Status::Active, 200));
    known.merge_invoice(101, "in_2", open(101, "subscription_cycle"));
    assert_eq!(known.status(), Some(Status::PastDue));
    for (status, bound) in [(Status::PastDue, None), (Status::Unpaid, Some(200))] {
        known.merge_snapshot(110, Stage::Updated, state_of(status, 200));
        known.merge_invoice(120, "in_3", Invoice { created: Some(115), ..paid("manual", 120, 100, "pi_3") });
        assert_eq!((known.status(), end(&known)), (Some(status), bound));
    }
    // An invoice that was made by hand doesn't prevent the payment of the period either.
    known.merge_invoice(125, "in_hand_2", open(125, "manual"));
    known.merge_invoice(130, "in_2", paid("subscription_cycle", 130, 9_900, "pi_2"));
    assert_eq!((known.status(), end(&known)), (Some(Status::Active), None));
}

#[test]
fn an_unpaid_addon_leaves_the_base_the_period_that_was_paid() {
    const DAY: i64 = 86_400;
    let (year, month) = ((0, 365 * DAY), (40 * DAY, 70 * DAY));
    for addon in ["price_support", "price_x"] {
        let with = |status| Snapshot {
            items: vec![
                Item { price: "price_team".to_owned(), quantity: 1, period: Some(year) },
                Item { price: addon.to_owned(), quantity: 1, period: Some(month) },
            ],
            ..state_of(status, year.1)
        };
        let mut known = Facts::default();
        known.merge_snapshot(0, Stage::Created, with(Status::Active));
        let first = Invoice {
            periods: [("price_team".to_owned(), year)].into(),
            ..paid("subscription_create", 0, 99_000, "pi_1")
        };
        known.merge_invoice(0, "in_1", first);
        let failed = |price: &str, period| Invoice {
            created: Some(40 * DAY),
            failed_at: Some(40 * DAY),
            status: InvoiceStatus::Open,
            reason: Some("subscription_cycle".to_owned()),
            periods: [(price.to_owned(), period)].into(),
            ..Invoice::default()
        };
        known.merge_invoice(40 * DAY, "in_2", failed(addon, month));
        known.merge_snapshot(41 * DAY, Stage::Updated, with(Status::Unpaid));
        let terms =
            |known: &Facts| known.terms(false, &sold()).map(|terms| (terms.standing, terms.expires_at)).unwrap();
        assert_eq!(terms(&known), (Standing::PastDue, Some(year.1)));
        // The next month's, which Stripe leaves a draft.
        known.merge_invoice(71 * DAY, "in_4", Invoice { seen: Some(71 * DAY), ..Invoice::default() });
        known.merge_snapshot(71 * DAY, Stage::Updated, with(Status::Unpaid));
        assert_eq!(terms(&known), (Standing::PastDue, Some(year.1)));
        // Seats of the plan that are not paid are another matter.
        let mut seats = known.clone();
        seats.merge_invoice(40 * DAY, "in_3", failed("price_team_seat", month));
        assert_eq!(terms(&seats), (Standing::PastDue, Some(41 * DAY)));
        let ended = Snapshot { ended_at: Some(80 * DAY), ..with(Status::Canceled) };
        known.merge_snapshot(80 * DAY, Stage::Deleted, ended);
        assert_eq!(terms(&known).1, Some(80 * DAY), "then Stripe's end");
    }
}

#[test]
fn the_base_items_period_bounds_the_license() {
    let with = |status, base: (i64, i64), addon: (i64, i64)| Snapshot {
        items: vec![
            Item { price: "price_support".to_owned(), quantity: 1, period: Some(addon) },
            Item { price: "price_team".to_owned(), quantity: 1, period: Some(base) },
            Item { price: "price_x".to_owned(), quantity: 1, period: Some(addon) },
        ],
        cancel_at_period_end: true,
        ..state_of(status, base.1.max(addon.1))
    };
    for (base, addon) in [((0, 30), (0, 365)), ((0, 365), (0, 30))] {
        let mut known = Facts::default();
        known.merge_snapshot(1, Stage::Created, with(Status::Active, base, addon));
        assert_eq!(known.terms(false, &sold()).unwrap().expires_at, Some(base.1));
        let unpaid = Snapshot { cancel_at_period_end: false, ..with(Status::Unpaid, base, addon) };
        known.merge_snapshot(2, Stage::Updated, unpaid);
        assert_eq!(known.terms(false, &sold()).unwrap().expires_at, Some(base.1));
    }
}

/// A month that was paid with in_1 by pi_1, and a change within it that was paid with in_2 by pi_2.
fn month() -> Facts {
    let mut known = Facts::default();
    known.merge_snapshot(0, Stage::Created, state_of(Status::Active, 100));
    let period = |end: i64| [("price_pro".to_owned(), (end - 100, end))].into();
    let first = Invoice { periods: period(100), ..paid("subscription_create", 0, 9_900, "pi_1") };
    known.merge_invoice(0, "in_1", first);
    known.merge_invoice(10, "in_2", Invoice { prorations: true, ..paid("subscription_update", 10, 1_267, "pi_2") });
    known
}

fn standing(known: &Facts) -> Standing {
    known.terms(false, &sold()).unwrap().standing
}

fn ids(of: &[&str]) -> Vec<String> {
    of.iter().map(|id| (*id).to_owned()).collect()
}

#[test]
fn a_refund_holds_back_while_it_takes_what_the_current_period_was_paid_with() {
    let mut known = month();
    known.merge_refund(20, "ch_2", &ids(&["ch_2", "pi_2"]), Some(1_267));
    assert_eq!(standing(&known), Standing::Good, "a proration");
    known.merge_refund(21, "ch_9", &ids(&["ch_9", "pi_9"]), Some(9_900));
    assert_eq!(standing(&known), Standing::Good, "a charge that was taken twice");
    known.merge_refund(22, "ch_9b", &ids(&["ch_9b", "pi_9b", "in_1"]), Some(9_900));
    assert_eq!(standing(&known), Standing::Good, "also where it names the invoice");
    known.merge_refund(23, "ch_1", &ids(&["ch_1", "pi_1"]), Some(9_900));
    assert_eq!(standing(&known), Standing::Refunded);
    let mut failed = known.clone();
    failed.merge_failed_refund(24, "ch_1", &ids(&["ch_1", "pi_1"]));
    assert_eq!(standing(&failed), Standing::Good, "the money is back");
    // The next period is not paid, and nothing of this one is.
    let mut unpaid = known.clone();
    unpaid.merge_snapshot(101, Stage::Updated, state_of(Status::PastDue, 200));
    assert_eq!(standing(&unpaid), Standing::Refunded, "not by not paying");
    // From the balance, or by a coupon.
    let free = Invoice { payments: [].into(), ..paid("subscription_cycle", 100, 0, "") };
    known.merge_invoice(100, "in_3", free);
    assert_eq!(standing(&known), Standing::Good);
    known.merge_refund(110, "ch_1", &ids(&["ch_1", "pi_1"]), Some(9_900));
    assert_eq!(standing(&known), Standing::Good, "of a former period");
}

#[test]
fn several_charges_pay_one_invoice() {
    let two = |paid_each: i64| {
        let mut known = month();
        let payments = [("pi_1".to_owned(), paid_each), ("pi_1b".to_owned(), paid_each)].into();
        known.merge_invoice(1, "in_1", Invoice { payments, ..Invoice::default() });
        known
    };
    // Two halves.
    let mut known = two(4_950);
    known.merge_refund(20, "ch_1", &ids(&["ch_1", "pi_1"]), Some(4_950));
    assert_eq!(standing(&known), Standing::Good);
    known.merge_refund(21, "ch_1b", &ids(&["ch_1b", "pi_1b"]), Some(4_950));
    assert_eq!(standing(&known), Standing::Refunded);
    // The whole, twice.
    let mut known = two(9_900);
    known.merge_refund(20, "ch_1", &ids(&["ch_1", "pi_1"]), Some(9_900));
    assert_eq!(standing(&known), Standing::Good);
}

#[test]
fn a_dispute_holds_back_from_its_escalation_until_it_is_won_or_paid_again() {
    let of = ids(&["ch_1", "pi_1"]);
    let mut known = month();
    known.merge_dispute(20, "du_1", &of, DisputeState::Inquiry);
    assert_eq!(standing(&known), Standing::Good);
    known.merge_dispute(25, "du_1", &of, DisputeState::Open);
    assert_eq!(standing(&known), Standing::Disputed);
    let mut won = known.clone();
    won.merge_dispute(30, "du_1", &of, DisputeState::Won);
    assert_eq!(standing(&won), Standing::Good);
    known.merge_dispute(30, "du_1", &of, DisputeState::Lost);
    assert_eq!(standing(&known), Standing::Disputed);
    known.merge_invoice(100, "in_3", paid("subscription_cycle", 100, 9_900, "pi_3"));
    assert_eq!(standing(&known), Standing::Good, "paid again");
    known.merge_dispute(110, "du_2", &ids(&["ch_2", "pi_2"]), DisputeState::Open);
    assert_eq!(standing(&known), Standing::Good, "a proration's");
    let mut unknown = Facts::default();
    unknown.merge_snapshot(0, Stage::Created, state_of(Status::Active, 100));
    unknown.merge_dispute(5, "du_1", &of, DisputeState::Open);
    assert_eq!(standing(&unknown), Standing::Disputed, "also before its invoice is known");
}

#[test]
fn a_change_whose_payment_fails_leaves_the_standing_to_stripes_status() {
    let failed = Invoice {
        created: Some(20),
        status: InvoiceStatus::Open,
        reason: Some("subscription_update".to_owned()),
        failed_at: Some(20),
        ..Invoice::default()
    };
    let mut pending = month();
    pending.merge_invoice(20, "in_3", failed.clone());
    assert_eq!(pending.status(), Some(Status::Active), "pending_if_incomplete");
    let mut known = month();
    known.merge_invoice(20, "in_3", failed);
    known.merge_snapshot(20, Stage::Updated, state_of(Status::PastDue, 100));
    assert_eq!(known.status(), Some(Status::PastDue), "allow_incomplete");
    known.merge_invoice(19, "in_0", Invoice { created: Some(-100), ..paid("subscription_cycle", 25, 1, "pi_0") });
    assert_eq!(known.status(), Some(Status::PastDue), "an older invoice");
    let voided = Invoice { status: InvoiceStatus::Void, voided_at: Some(30), ..Invoice::default() };
    known.merge_invoice(30, "in_3", voided);
    assert_eq!(known.status(), Some(Status::Active), "the newest that is not void is paid");
}

#[test]
fn a_guess_is_reported_as_one() {
    let mut known = Facts::default();
    let (one, two) = (state_of(Status::Active, 1), state_of(Status::Active, 2));
    assert!(known.merge_snapshot(5, Stage::Updated, one.clone()));
    assert!(known.merge_snapshot(5, Stage::Updated, one.clone()), "the same again");
    assert!(!known.merge_snapshot(5, Stage::Updated, two.clone()));
    assert!(!known.merge_snapshot(5, Stage::Updated, one.clone()), "and the first one again, which isn't the newest");
    assert!(known.merge_snapshot(4, Stage::Updated, one.clone()), "older");
    assert!(known.merge_snapshot(5, Stage::Deleted, state_of(Status::Canceled, 1)), "nothing comes after the end");
    let mut known = Facts::default();
    known.merge_fetched(5, one);
    assert!(!known.merge_snapshot(5, Stage::Updated, two), "it may have happened since it was fetched");
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
