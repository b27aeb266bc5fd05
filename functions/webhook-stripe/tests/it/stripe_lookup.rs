//! Tests of look-ups at Stripe for what events alone can't decide. Without an answer, the rule of order decides until there is
//! one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use serde_json::{Value, json};
use testing::World;
use testing::stripe::{Event, Events, Subscription, Version};
use testing::stripe_api::{Asked, KEY, Reply, StripeApi};
use webhook_stripe::event_store::{EventStore, Outcome};

use crate::hook::{Hook, now, post, runner_of_lives};
use crate::order::{Step, life, steps};

const VERSIONS: [Version; 2] = [Version::Old, Version::Current];
const DAY: i64 = 86_400;

/// A webhook with a fake of Stripe's API.
struct HookWithStripe {
    hook: Hook,
    stripe: StripeApi,
    state: Arc<Mutex<StripeState>>,
}

/// The state at the fake of Stripe.
#[derive(Default)]
struct StripeState {
    subscriptions: HashMap<String, Value>,
    version: Option<Version>,
    /// The reply that it gives instead of any other.
    instead: Option<Reply>,
}

impl StripeState {
    fn answer(&self, asked: &Asked) -> Reply {
        if let Some(reply) = &self.instead {
            return reply.clone();
        }
        let (kind, id) = asked.what.trim_start_matches("GET /v1/").split_once('/').unwrap_or(("invoice_payments", ""));
        // `ch_ann_1` was paid for `in_ann_1`, which is of `sub_ann`.
        let name = |id: &str| id.split('_').nth(1).unwrap_or_default().to_owned();
        match kind {
            "subscriptions" => {
                self.subscriptions.get(id).map_or_else(Reply::missing, |object| Reply::ok(object.clone()))
            }
            "charges" if name(id) == "once" => Reply::ok(json!({"id": id, "payment_intent": "pi_once_1"})),
            "charges" if self.version == Some(Version::Old) => {
                Reply::ok(json!({"id": id, "invoice": id.replace("ch_", "in_")}))
            }
            "charges" => Reply::ok(json!({"id": id, "payment_intent": id.replace("ch_", "pi_")})),
            "invoices" if self.version == Some(Version::Old) => {
                Reply::ok(json!({"id": id, "subscription": format!("sub_{}", name(id))}))
            }
            "invoices" => Reply::ok(json!({
                "id": id, "parent": {"subscription_details": {"subscription": format!("sub_{}", name(id))}},
            })),
            "invoice_payments" => {
                let intent = asked.parameters["payment"]["payment_intent"].as_str().unwrap();
                let paid = json!([{"status": "paid", "invoice": intent.replace("pi_", "in_")}]);
                Reply::ok(json!({"data": if name(intent) == "once" { json!([]) } else { paid }}))
            }
            _ => Reply::missing(),
        }
    }
}

/// A subscription that was bought yesterday, and that Stripe knows.
async fn bought() -> (HookWithStripe, Events, i64, Subscription) {
    let (setup, events, at) = (HookWithStripe::new().await, Events::new(Version::Current), now() - DAY);
    let sub = Subscription::new("ann", &[("price_pro", 1)], at);
    setup.set(&events, &sub);
    setup.hook.send(&events.checkout("checkout.session.completed", &sub, true, at), "applied").await;
    (setup, events, at, sub)
}

impl HookWithStripe {
    async fn new() -> Self {
        let state = Arc::new(Mutex::new(StripeState::default()));
        let script = Arc::clone(&state);
        let stripe = StripeApi::start(move |asked| script.lock().unwrap().answer(asked)).await;
        let world = World::new().await.with("STRIPE_API_KEY", KEY).with("STRIPE_API_BASE", stripe.url());
        Self { hook: Hook::with(world).await, stripe, state }
    }

    fn set(&self, events: &Events, sub: &Subscription) {
        self.state.lock().unwrap().subscriptions.insert(sub.id(), events.subscription_object(sub));
    }

    fn reply_with(&self, instead: Option<Reply>) {
        self.state.lock().unwrap().instead = instead;
    }

    fn request_count(&self) -> usize {
        self.stripe.asked().len()
    }

    async fn rechecks(&self) -> i64 {
        self.hook.world.number("select count(*) from stripe_events where recheck is not null").await
    }

    fn store(&self) -> EventStore {
        EventStore::from_setup(&mut self.hook.world.setup("coditect_webhook_stripe")).unwrap()
    }
}

#[tokio::test]
async fn of_two_states_of_one_second_stripe_has_the_newer() {
    for version in VERSIONS {
        let (setup, events, at) = (HookWithStripe::new().await, Events::new(version), now() - DAY);
        let mut sub = Subscription::new("ann", &[("price_business", 2)], at);
        setup.set(&events, &sub);
        setup.hook.send(&events.checkout("checkout.session.completed", &sub, true, at), "applied").await;
        setup.hook.send(&events.subscription("created", &sub, at), "applied").await;
        let base = sub.clone();
        let updated = |seats: u32| {
            let mut sub = base.clone();
            sub.items[0].1 = seats;
            events.subscription("updated", &sub, at + 5)
        };
        let (less, more) = (updated(3), updated(7));
        sub.items[0].1 = 3;
        setup.set(&events, &sub);
        setup.hook.send(&less, "applied").await;
        let before = setup.request_count();
        setup.hook.send(&more, "applied").await;
        assert_eq!(setup.request_count(), before + 1);
        assert_eq!(setup.hook.license(&sub.id()).await.unwrap().seats, 3, "Stripe's word, whichever came last");
        // After another change within the same second it is fetched again.
        sub.items[0].1 = 9;
        setup.set(&events, &sub);
        setup.hook.send(&updated(9), "applied").await;
        assert_eq!(setup.hook.license(&sub.id()).await.unwrap().seats, 9);
        assert_eq!(setup.rechecks().await, 0);
    }
}

#[tokio::test]
async fn a_checkout_alone_makes_the_license() {
    for version in VERSIONS {
        let (setup, events) = (HookWithStripe::new().await, Events::new(version));
        let sub = Subscription::new("ann", &[("price_team", 1), ("price_team_seat", 2)], now());
        setup.set(&events, &sub);
        setup.hook.send(&events.checkout("checkout.session.completed", &sub, true, now()), "applied").await;
        assert_eq!(setup.hook.license(&sub.id()).await.unwrap().seats, 7);
        assert_eq!(setup.hook.mails().await.len(), 1);
    }
}

#[tokio::test]
async fn an_invoice_of_an_unknown_subscription_makes_its_license() {
    let (setup, events) = (HookWithStripe::new().await, Events::new(Version::Current));
    let first = Subscription::new("ann", &[("price_pro", 1)], now());
    setup.set(&events, &first);
    setup.hook.send(&events.checkout("checkout.session.completed", &first, true, now()), "applied").await;
    let mut second = Subscription::new("two", &[("price_business", 4)], now());
    second.ids = Some((first.customer(), "sub_two".to_owned()));
    setup.set(&events, &second);
    setup.hook.send(&events.invoice("paid", &second, now()), "applied").await;
    assert_eq!(setup.hook.license("sub_two").await.unwrap().seats, 4);
    assert_eq!(setup.rechecks().await, 0);
}

#[tokio::test]
async fn items_that_the_event_lacks_are_fetched() {
    let (setup, events, at) = (HookWithStripe::new().await, Events::new(Version::Current), now());
    let mut sub = Subscription::new("ann", &[("price_team", 1), ("price_team_seat", 9)], at);
    setup.set(&events, &sub);
    setup.hook.send(&events.checkout("checkout.session.completed", &sub, true, at), "applied").await;
    sub.items.truncate(1);
    sub.more_items = true;
    setup.hook.send(&events.subscription("updated", &sub, at + 1), "applied").await;
    assert_eq!(setup.hook.license(&sub.id()).await.unwrap().seats, 14);
    // Without an answer it is an error to see, and the license stays.
    setup.reply_with(Some(Reply::error(500, "api_error", None, "Down.")));
    setup.hook.send(&events.subscription("updated", &sub, at + 2), "failed").await;
    assert_eq!(setup.hook.license(&sub.id()).await.unwrap().seats, 14);
    setup.reply_with(None);
    let outcomes = setup.store().retry(None).await.unwrap();
    assert!(outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Applied), "{outcomes:?}");
}

#[tokio::test]
async fn a_refund_or_dispute_finds_its_subscription_by_the_payment() {
    for version in VERSIONS {
        for is_dispute in [true, false] {
            let (setup, events, at) = (HookWithStripe::new().await, Events::new(version), now() - DAY);
            setup.state.lock().unwrap().version = Some(version);
            let first = Subscription::new("ann", &[("price_pro", 1)], at);
            setup.set(&events, &first);
            setup.hook.send(&events.checkout("checkout.session.completed", &first, true, at), "applied").await;
            // The second subscription of the customer is not even known.
            let mut second = Subscription::new("two", &[("price_pro", 1)], at);
            second.ids = Some((first.customer(), "sub_two".to_owned()));
            setup.set(&events, &second);
            let charge = |event: Event| match version {
                Version::Old if !is_dispute => event.with("/data/object/invoice", Value::Null),
                _ => event,
            };
            let event = if is_dispute {
                events.dispute(&second, "needs_response", at + 9)
            } else {
                charge(events.refund(&second, true, at + 9))
            };
            // A dispute doesn't name its customer, so that the owner of an unknown subscription's payment can't be found.
            setup.hook.send(&event, if is_dispute { "waiting" } else { "applied" }).await;
            assert_eq!(setup.hook.license("sub_ann").await.unwrap().standing, "good");
            setup.hook.send(&events.subscription("created", &second, at), "applied").await;
            let standing = if is_dispute { "disputed" } else { "refunded" };
            assert_eq!(setup.hook.license("sub_two").await.unwrap().standing, standing);
            assert_eq!(setup.hook.license("sub_ann").await.unwrap().standing, "good");
        }
    }
}

#[tokio::test]
async fn an_event_that_waits_for_an_id_of_stripes_answer_is_applied_with_it() {
    let (setup, events, at, first) = bought().await;
    let mut second = Subscription::new("two", &[("price_pro", 1)], at);
    second.ids = Some((first.customer(), "sub_two".to_owned()));
    setup.set(&events, &second);
    setup.hook.send(&events.invoice_payment(&second, at), "waiting").await;
    // The refund names only the charge; the invoice comes from Stripe.
    let refund = events.refund(&second, true, at + 9).with("/data/object/payment_intent", Value::Null);
    setup.hook.send(&refund, "applied").await;
    assert_eq!(setup.hook.world.number("select count(*) from stripe_events where state <> 'applied'").await, 0);
}

#[tokio::test]
async fn a_refund_of_something_else_holds_no_license_back() {
    let (setup, events, at, sub) = bought().await;
    let mut once = Subscription::new("once", &[("price_pro", 1)], at);
    once.ids = Some((sub.customer(), "sub_none".to_owned()));
    setup.hook.send(&events.refund(&once, true, at + 1), "ignored").await;
    setup.hook.send(&events.dispute(&once, "lost", at + 2), "ignored").await;
    assert_eq!(setup.hook.license(&sub.id()).await.unwrap().standing, "good");
    assert_eq!(setup.hook.world.number("select count(*) from stripe_events where state = 'ignored'").await, 2);
}

#[tokio::test]
async fn without_an_answer_the_rule_stands_until_there_is_one() {
    let refused = Reply::error(401, "invalid_request_error", None, "Invalid API Key provided.");
    for instead in [refused, Reply::error(500, "api_error", None, "Down."), Reply::ok(json!({"id": 1}))] {
        let (setup, events, at) = (HookWithStripe::new().await, Events::new(Version::Current), now() - DAY);
        let mut sub = Subscription::new("ann", &[("price_business", 2)], at);
        setup.reply_with(Some(instead.clone()));
        setup.hook.send(&events.checkout("checkout.session.completed", &sub, true, at), "applied").await;
        assert_eq!(setup.rechecks().await, 1, "{instead:?}");
        assert_eq!(setup.hook.license(&sub.id()).await, None);
        setup.hook.send(&events.subscription("created", &sub, at), "applied").await;
        assert_eq!(setup.rechecks().await, 0, "the state is known now");
        for seats in [5, 3] {
            sub.items[0].1 = seats;
            setup.hook.send(&events.subscription("updated", &sub, at + 5), "applied").await;
        }
        assert_eq!(setup.hook.license(&sub.id()).await.unwrap().seats, 5, "a guess");
        assert_eq!(setup.rechecks().await, 1);
        let store = setup.store();
        let outcomes = store.recheck(None).await.unwrap();
        assert_eq!(outcomes.iter().map(|(_, outcome)| *outcome).collect::<Vec<_>>(), [Outcome::Waiting]);
        setup.reply_with(None);
        setup.set(&events, &sub);
        let outcomes = store.recheck(None).await.unwrap();
        assert_eq!(outcomes.iter().map(|(_, outcome)| *outcome).collect::<Vec<_>>(), [Outcome::Applied]);
        assert_eq!(setup.hook.license(&sub.id()).await.unwrap().seats, 3);
        assert_eq!(setup.rechecks().await, 0);
    }
}

#[tokio::test]
async fn after_one_timeout_stripe_is_not_called_again() {
    let (setup, events, at) = (HookWithStripe::new().await, Events::new(Version::Current), now() - DAY);
    let sub = Subscription::new("ann", &[("price_business", 2)], at);
    // Many events wait for the customer, and each would need a request of its own.
    for n in 0..12 {
        let mut other = Subscription::new(&format!("n{n}"), &[("price_pro", 1)], at);
        other.ids = Some((sub.customer(), format!("sub_n{n}")));
        setup.hook.send(&events.invoice("paid", &other, at), "waiting").await;
    }
    setup.reply_with(Some(Reply::Silence));
    let began = Instant::now();
    setup.hook.send(&events.checkout("checkout.session.completed", &sub, true, at), "applied").await;
    // A sender that waits here, as Stripe does, gives up after 10 s.
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(setup.rechecks().await, 13);
    let began = Instant::now();
    assert_eq!(setup.store().recheck(None).await.unwrap().len(), 13);
    assert!(began.elapsed() < Duration::from_secs(8), "the sweep: {:?}", began.elapsed());
}

#[tokio::test]
async fn a_subscription_that_stripe_lacks_is_not_fetched_again() {
    let (setup, events, at) = (HookWithStripe::new().await, Events::new(Version::Current), now() - DAY);
    let sub = Subscription::new("ann", &[("price_business", 2)], at);
    setup.hook.send(&events.checkout("checkout.session.completed", &sub, true, at), "applied").await;
    assert_eq!((setup.rechecks().await, setup.request_count()), (0, 1));
    setup.hook.world.sql("update stripe_events set recheck = 'sub_ann'").await;
    let outcomes = setup.store().recheck(None).await.unwrap();
    assert_eq!(outcomes.iter().map(|(_, outcome)| *outcome).collect::<Vec<_>>(), [Outcome::Known]);
    assert_eq!(setup.rechecks().await, 0);
}

/// During the request to Stripe, the subscription changes again, and the event of that arrives.
#[tokio::test(flavor = "multi_thread")]
async fn an_answer_does_not_overrule_what_became_known_meanwhile() {
    let (events, at) = (Events::new(Version::Current), now() - DAY);
    let mut sub = Subscription::new("ann", &[("price_business", 2)], at);
    let begun = events.checkout("checkout.session.completed", &sub, true, at);
    let created = events.subscription("created", &sub, at);
    let [one, two, later] = [(3, 5), (4, 5), (9, 6)].map(|(seats, pause)| {
        sub.items[0].1 = seats;
        events.subscription("updated", &sub, at + pause)
    });
    sub.items[0].1 = 4;
    let stale = events.subscription_object(&sub);
    let meanwhile = Arc::new(Mutex::new(None));
    let stripe = StripeApi::start({
        let meanwhile = Arc::clone(&meanwhile);
        move |_| {
            let next: Option<(testing::http::Client, Event)> = meanwhile.lock().unwrap().take();
            if let Some((client, event)) = next {
                let answer = || tokio::runtime::Handle::current().block_on(post(&client, &event));
                assert_eq!(tokio::task::block_in_place(answer).text("/status"), "applied");
            }
            Reply::ok(stale.clone())
        }
    })
    .await;
    let world = World::new().await.with("STRIPE_API_KEY", KEY).with("STRIPE_API_BASE", stripe.url());
    let hook = Hook::with(world).await;
    for event in [begun, created, one] {
        hook.send(&event, "applied").await;
    }
    *meanwhile.lock().unwrap() = Some((hook.client.clone(), later.clone()));
    hook.send(&two, "applied").await;
    assert!(meanwhile.lock().unwrap().is_none(), "Stripe was asked");
    assert_eq!(hook.license(&sub.id()).await.unwrap().seats, 9);

    // An answer doesn't overrule it either when an operator has them compared.
    let recheck = format!("update stripe_events set recheck = 'sub_ann' where id = '{}'", two.id());
    hook.world.sql(&recheck).await;
    sub.items[0].1 = 11;
    *meanwhile.lock().unwrap() = Some((hook.client.clone(), events.subscription("updated", &sub, at + 7)));
    let store = EventStore::from_setup(&mut hook.world.setup("coditect_webhook_stripe")).unwrap();
    store.recheck(None).await.unwrap();
    assert_eq!(hook.license(&sub.id()).await.unwrap().seats, 11);
}

#[test]
fn any_order_ends_like_in_order_with_stripes_answers() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let setup = runtime.block_on(HookWithStripe::new());
    let mut runner = runner_of_lives();
    let number = std::cell::Cell::new(0_u32);
    let orders = prop::collection::vec(any::<prop::sample::Index>(), 0..30);
    let versions = prop_oneof![Just(Version::Old), Just(Version::Current)];
    runner
        .run(&(steps(), orders, versions), |(mut steps, order, version)| {
            // The answers of Stripe are consistent: no payment that its state doesn't know of.
            steps.retain(|(step, _)| !matches!(step, Step::Paid | Step::Failed | Step::ActionRequired));
            if let Some(first) = steps.first_mut() {
                first.1 = first.1.max(1);
            }
            let n = number.get();
            number.set(n + 1);
            let begin = now() - DAY;
            let [ordered, shuffled] = ["a", "b"].map(|kind| format!("{kind}{n}x"));
            runtime.block_on(async {
                let hook = &setup.hook;
                let lives = [&ordered, &shuffled].map(|name| life(version, name, begin, &steps));
                for (events, name) in lives.iter().zip([&ordered, &shuffled]) {
                    let last =
                        events.iter().rfind(|e| e.object()["object"] == "subscription").unwrap().object().clone();
                    let mut state = setup.state.lock().unwrap();
                    state.version = Some(version);
                    state.subscriptions.insert(format!("sub_{name}"), last);
                }
                let [in_order, in_any_order] = lives;
                for event in &in_order {
                    assert_eq!(hook.post(event).await.status, 200);
                }
                hook.post_in_any_order(&in_any_order.iter().collect::<Vec<_>>(), &order).await;
                let [one, other] = [&ordered, &shuffled].map(|name| format!("sub_{name}"));
                assert_eq!(hook.license(&other).await, hook.license(&one).await);
            });
            Ok(())
        })
        .unwrap();
    let left = "select count(*) from stripe_events where state <> 'applied' or recheck is not null";
    assert_eq!(runtime.block_on(setup.hook.world.number(left)), 0, "events were left waiting, failed or undecided");
}
