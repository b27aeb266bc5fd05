//! A subscription's life, from the purchase to its end, with everything as it is in production but Stripe, which is replaced
//! by a third-party server that calls our webhook by itself and, where it lacks a feature, by events signed with Stripe's
//! own library.

mod counterparts;

use serde_json::{Value, json};
use testing::World;
use testing::http::{Client, Method};
use testing::process::{Process, until};
use testing::stripe::{Event, Events, Signer, Subscription, Version};
use testing::world::WEBHOOK_SECRET;

use crate::machine::Machine;
use crate::world::{ACQUIRE, AUTH, Seat, VALIDATE, device, seat};
use counterparts::{API_KEY, Localstripe, MailServer, ops};

/// A deployment that sells, and its customer.
struct Shop {
    world: World,
    process: Process,
    stripe: Localstripe,
    mail: MailServer,
    signer: Signer,
    events: Events,
    /// The customer's subscription as it should be by now.
    acme: Subscription,
    /// The time of the last event; two events never have the same second here.
    at: i64,
}

impl Shop {
    /// Opens a shop whose customer has just bought three seats of BUSINESS.
    async fn open(version: Version) -> Self {
        Self::open_with(World::new().await, Localstripe::start(), true, version).await
    }

    /// Opens a shop. `calls`: true if the Stripe server calls the webhook by itself.
    async fn open_with(world: World, stripe: Localstripe, calls: bool, version: Version) -> Self {
        let process = world.spawn_public(env!("CARGO_BIN_EXE_all-in-one"), "coditect_all").await;
        if calls {
            stripe.call(process.client.url()).await;
        }
        let at = jiff::Timestamp::now().as_second();
        let mut acme = Subscription::new("acme", &[("price_business", 3)], at);
        acme.ids = Some(stripe.subscribe("price_business", 3, at).await);
        let (mail, signer, events) = (MailServer::start(), Signer::start(), Events::new(version));
        Self { world, process, stripe, mail, signer, events, acme, at }
    }

    /// Sends an event as Stripe does, and expects that it is applied.
    async fn tell(&mut self, event: impl FnOnce(&Events, &Subscription, i64) -> Event) {
        let now = jiff::Timestamp::now().as_second();
        self.at = now.max(self.at + 1);
        let body = event(&self.events, &self.acme, self.at).body();
        let request = self.process.client.request(Method::POST, "/webhooks/stripe");
        let request = request.header("stripe-signature", self.signer.header(&body, WEBHOOK_SECRET, now));
        let answer = self.process.client.send(request.header("content-type", "application/json").body(body), 200).await;
        assert_eq!(answer.body, json!({"status": "applied"}));
    }

    async fn updated(&mut self) {
        self.tell(|events, acme, at| events.subscription("updated", acme, at)).await;
    }

    /// Returns the number of events of a kind that are in a state.
    async fn count(&self, kind: &str, state: &str) -> i64 {
        self.world
            .number(&format!("select count(*) from stripe_events where type = '{kind}' and state = '{state}'"))
            .await
    }

    /// Returns the license, as an operator finds it by Stripe's customer id.
    fn license(&self) -> Value {
        let list = ops(&self.world, &self.mail, &["license", "list", "--customer", &self.acme.customer(), "--json"]);
        let list: Value = serde_json::from_str(&list).unwrap();
        assert_eq!(list["data"].as_array().unwrap().len(), 1, "{list:#}");
        list["data"][0].clone()
    }

    /// Delivers the mails, and returns the only one.
    fn mail(&self) -> String {
        ops(&self.world, &self.mail, &["outbox", "deliver"]);
        let mut mails = self.mail.take();
        assert_eq!(mails.len(), 1, "{mails:#?}");
        let mail = mails.remove(0);
        assert_eq!(mail.recipients, ["ann@acme.test"]);
        mail.text
    }

    async fn validate(&self, key: &str) -> Value {
        let question = json!({"license_key": key, "machine_id": device(1), "version": "1.0.0"});
        self.process.client.post(VALIDATE, question, 200).await.body
    }

    async fn sign_in(&self, key: &str) -> Client {
        let answer = self.process.client.post(AUTH, json!({"license_key": key}), 200).await;
        self.process.client.bearer(answer.text("/access_token"))
    }
}

#[tokio::test]
async fn a_subscription_lives_from_its_purchase_to_its_end_before_2025_03_31() {
    from_purchase_to_end(Version::Old).await;
}

#[tokio::test]
async fn a_subscription_lives_from_its_purchase_to_its_end_today() {
    from_purchase_to_end(Version::Current).await;
}

#[tokio::test]
async fn where_stripe_can_be_asked_a_purchase_waits_for_nothing() {
    let stripe = Localstripe::start();
    let world = World::new().await.with("STRIPE_API_KEY", API_KEY).with("STRIPE_API_BASE", &stripe.url);
    let mut shop = Shop::open_with(world, stripe, false, Version::Current).await;
    shop.tell(|events, acme, at| events.checkout("checkout.session.completed", acme, true, at)).await;
    let license = shop.license();
    assert_eq!((&license["plan"], &license["seats"]), (&json!("BUSINESS"), &json!(3)));
    key_in(&shop.mail());
    assert_eq!(shop.world.number("select count(*) from stripe_events").await, 1);
}

async fn from_purchase_to_end(version: Version) {
    let mut shop = Shop::open(version).await;

    // Stripe calls by itself, but the subscription's tenant is not known yet.
    until("the subscription waits", async || shop.count("customer.subscription.created", "waiting").await == 1).await;
    assert_eq!(shop.world.number("select count(*) from licenses").await, 0);
    shop.tell(|events, acme, at| events.checkout("checkout.session.completed", acme, true, at)).await;
    until("it is applied", async || shop.count("customer.subscription.created", "applied").await == 1).await;
    let license = shop.license();
    assert_eq!(
        (&license["plan"], &license["seats"], &license["state"]),
        (&json!("BUSINESS"), &json!(3), &json!("active"))
    );
    shop.tell(|events, acme, at| events.invoice("paid", acme, at)).await;

    let key = key_in(&shop.mail());
    assert_eq!(shop.world.number("select count(*) from outbox where secret is not null").await, 0, "a key was kept");
    let machine = Machine::new(1, shop.process.client.url());
    for words in [["activate", key.as_str()].as_slice(), &["validate"], &["run", "--", "true"]] {
        let (status, said) = machine.coditect(words);
        assert_eq!(status, 0, "{words:?}: {said}");
    }

    seats_follow_the_quantity(&mut shop, &machine, &key).await;
    a_failed_payment_is_forgiven_for_a_while(&mut shop, &machine, &key).await;
    cancelled_it_serves_to_the_end_of_the_period(&mut shop, &machine, &key).await;

    let unsettled = "select count(*) from stripe_events where state <> 'applied'";
    assert_eq!(shop.world.number(unsettled).await, 0);
}

async fn seats_follow_the_quantity(shop: &mut Shop, machine: &Machine, key: &str) {
    let caller = shop.sign_in(key).await;
    let mut held: Vec<Seat> = Vec::new();
    for n in 2..=4 {
        held.push(seat(&caller, n).await);
    }
    let (status, said) = machine.coditect(&["run", "--", "true"]);
    assert_eq!(status, 1, "the fourth of three: {said}");

    shop.acme.items[0].1 = 5;
    shop.updated().await;
    for n in 5..=6 {
        held.push(seat(&caller, n).await);
    }
    assert_eq!(no_seat(&caller).await, json!({"limit": 5, "in_use": 5}));

    shop.acme.items[0].1 = 2;
    shop.updated().await;
    assert_eq!(shop.license()["seats"], 2);
    assert_eq!(no_seat(&caller).await, json!({"limit": 2, "in_use": 5}));
    for seat in &held {
        seat.beat(200).await;
    }
    for seat in held.drain(..4) {
        assert_eq!(no_seat(&caller).await["limit"], 2);
        seat.release(200).await;
    }
    let (status, said) = machine.coditect(&["run", "--", "true"]);
    assert_eq!(status, 0, "the second of two: {said}");
    held[0].release(200).await;
}

async fn a_failed_payment_is_forgiven_for_a_while(shop: &mut Shop, machine: &Machine, key: &str) {
    shop.acme.renew();
    shop.acme.status = "past_due".to_owned();
    shop.tell(|events, acme, at| events.invoice("payment_failed", acme, at)).await;
    shop.updated().await;
    let license = shop.license();
    assert_eq!((&license["state"], &license["past_due"]), (&json!("active"), &json!(true)));
    assert_eq!(shop.validate(key).await["valid"], true);
    assert_eq!(machine.coditect(&["run", "--", "true"]).0, 0);
    let mail = shop.mail();
    assert!(mail.contains("failed") && mail.contains("https://invoice.stripe.com/"), "{mail}");

    shop.acme.status = "active".to_owned();
    shop.tell(|events, acme, at| events.invoice("paid", acme, at)).await;
    shop.updated().await;
    let license = shop.license();
    assert_eq!((&license["state"], &license["past_due"]), (&json!("active"), &json!(false)));
}

async fn cancelled_it_serves_to_the_end_of_the_period(shop: &mut Shop, machine: &Machine, key: &str) {
    shop.acme.cancel_at_period_end = true;
    shop.acme.cancel_at = Some(shop.acme.period.1);
    shop.updated().await;
    let license = shop.license();
    let ends: jiff::Timestamp = license["expires_at"].as_str().unwrap().parse().unwrap();
    assert_eq!((&license["state"], ends.as_second()), (&json!("active"), shop.acme.period.1));
    assert_eq!(shop.validate(key).await["valid"], true);
    assert!(shop.mail().contains(&ends.strftime("%Y").to_string()));

    // Then it is canceled immediately; for that Stripe server the period was already over.
    let held = seat(&shop.sign_in(key).await, 2).await;
    shop.stripe.cancel(&shop.acme.id()).await;
    until("it is over", async || shop.count("customer.subscription.deleted", "applied").await == 1).await;
    assert_eq!(shop.license()["state"], "expired");
    let refused = shop.validate(key).await;
    assert_eq!((&refused["valid"], &refused["reason"]), (&json!(false), &json!("expired")));
    let (status, said) = machine.coditect(&["run", "--", "true"]);
    assert_eq!(status, 1, "{said}");
    assert!(shop.mail().contains("ended"));
    held.release(200).await;
}

/// Returns the license key in the mail that delivers it.
fn key_in(mail: &str) -> String {
    let (_, after) = mail.split_once("coditect activate ").unwrap_or_else(|| panic!("no key in {mail}"));
    after.split_whitespace().next().unwrap().to_owned()
}

/// Asks for a seat where none is free, and returns the seat counts.
async fn no_seat(caller: &Client) -> Value {
    let answer = caller.post(ACQUIRE, json!({"hardware_id": device(9)}), 409).await;
    assert_eq!(answer.text("/code"), "no_seats_available");
    answer.body["seats"].clone()
}
