//! Events that can't be applied, or not yet, or twice.

use std::collections::BTreeMap;

use serde_json::json;
use testing::stripe::{Events, Subscription, Version};

use crate::hook::{Hook, deliver, now};

const DAY: i64 = 86_400;

#[tokio::test]
async fn fifty_at_the_same_instant_have_one_effect() {
    let (hook, events) = (Hook::new().await, Events::new(Version::Current));
    let sub = Subscription::new("ann", &[("price_pro", 1)], now());
    hook.send(&events.checkout("checkout.session.completed", &sub, true, now()), "applied").await;
    let event = events.subscription("created", &sub, now());
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..50 {
        tasks.spawn(deliver(hook.client.clone(), event.clone()));
    }
    let mut seen = BTreeMap::<String, u32>::new();
    while let Some(answer) = tasks.join_next().await {
        *seen.entry(answer.unwrap().text("/status").to_owned()).or_default() += 1;
    }
    // An event that was answered 503 after its commit is known when it comes again.
    let applied = seen.remove("applied").unwrap_or_default();
    assert!(applied <= 1 && seen == BTreeMap::from([("known".to_owned(), 50 - applied)]), "{applied} {seen:?}");
    assert_eq!(hook.world.number("select count(*) from licenses").await, 1);
    assert_eq!(hook.mails().await.len(), 1);
}

#[tokio::test]
async fn one_customers_first_events_at_once_make_one_tenant() {
    let (hook, events) = (Hook::new().await, Events::new(Version::Current));
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let sub = Subscription::new(&format!("c{n}"), &[("price_pro", 1)], now());
        for event in [
            events.checkout("checkout.session.completed", &sub, false, now()),
            events.checkout("checkout.session.async_payment_succeeded", &sub, true, now()),
            events.subscription("created", &sub, now()),
            events.invoice("paid", &sub, now()),
            events.customer("updated", &sub, now()),
        ] {
            tasks.spawn(deliver(hook.client.clone(), event));
        }
    }
    tasks.join_all().await;
    assert_eq!(hook.world.number("select count(*) from tenants").await, 8);
    assert_eq!(hook.world.number("select count(*) from licenses where standing = 'good'").await, 8);
    assert_eq!(hook.mails().await.len(), 8);
    let waiting = hook.event_states().await.into_iter().filter(|(_, state)| state != "applied").collect::<Vec<_>>();
    assert!(waiting.is_empty(), "{waiting:?}");
}

#[tokio::test]
async fn a_dispute_waits_until_its_payment_is_known() {
    let (hook, events) = (Hook::new().await, Events::new(Version::Old));
    let at = now() - DAY;
    let sub = Subscription::new("ann", &[("price_pro", 1)], at);
    hook.send(&events.dispute(&sub, "needs_response", at + 9), "waiting").await;
    hook.send(&events.invoice("paid", &sub, at), "waiting").await;
    hook.send(&events.subscription("created", &sub, at), "waiting").await;
    hook.send(&events.checkout("checkout.session.completed", &sub, true, at + 1), "applied").await;
    assert_eq!(hook.license(&sub.id()).await.unwrap().standing, "disputed");
    let waiting = hook.event_states().await.into_iter().filter(|(_, state)| state != "applied").count();
    assert_eq!(waiting, 0);
}

#[tokio::test]
async fn an_unknown_price_is_kept_as_an_error_until_the_catalogue_has_it() {
    let (hook, events) = (Hook::new().await, Events::new(Version::Current));
    let sub = Subscription::new("ann", &[("price_secret", 4)], now());
    hook.send(&events.checkout("checkout.session.completed", &sub, true, now()), "applied").await;
    let event = events.subscription("created", &sub, now());
    hook.send(&event, "failed").await;
    hook.send(&event, "failed").await;
    assert_eq!(hook.license(&sub.id()).await, None);
    let named = "select count(*) from stripe_events where state = 'failed' and error like '%price_secret%'";
    assert_eq!(hook.world.number(named).await, 1);
    hook.world.sql("insert into plan_prices values ('price_secret', 'BUSINESS', 'base', 1)").await;
    let mut setup = hook.world.setup("coditect_webhook_stripe");
    let store = webhook_stripe::event_store::EventStore::from_setup(&mut setup).unwrap();
    let outcomes = store.retry(None).await.unwrap();
    assert_eq!(outcomes, [(event.id().to_owned(), webhook_stripe::event_store::Outcome::Applied)]);
    assert_eq!(hook.license(&sub.id()).await.unwrap().seats, 4);
    assert_eq!(store.retry(None).await.unwrap(), []);
}

#[tokio::test]
async fn what_has_not_the_documented_shape_is_kept_as_an_error() {
    let (hook, events) = (Hook::new().await, Events::new(Version::Current));
    let sub = Subscription::new("ann", &[("price_pro", 1)], now());
    hook.send(&events.checkout("checkout.session.completed", &sub, true, now()), "applied").await;
    let created = || events.subscription("created", &sub, now());
    for (broken, names) in [
        (created().with("/data/object/items", json!(null)), "items"),
        (created().with("/data/object/status", json!("strange")), "status"),
        (created().with("/data/object/items/data/0/quantity", json!(-1)), "quantity"),
        (created().with("/data/object/customer", json!(null)), "customer"),
    ] {
        hook.send(&broken.with("/id", json!(format!("evt_broken_{names}"))), "failed").await;
        let named = format!("select count(*) from stripe_events where state = 'failed' and error like '%{names}%'");
        assert_eq!(hook.world.number(&named).await, 1, "{names}");
    }
    let nul = created().with("/id", json!("evt_nul")).with("/data/object/metadata", json!({"note": "a\u{0}b"}));
    hook.send(&nul, "applied").await;
}

#[tokio::test]
async fn live_and_test_events_never_meet() {
    let hook = Hook::new().await;
    let (test, live) = (Events::new(Version::Current), Events::new(Version::Current).live());
    let mut sub = Subscription::new("ann", &[("price_pro", 1)], now() - DAY);
    hook.send(&test.checkout("checkout.session.completed", &sub, true, now() - DAY), "applied").await;
    hook.send(&test.subscription("created", &sub, now() - DAY), "applied").await;
    sub.items = vec![("price_business".into(), 50)];
    hook.send(&live.subscription("updated", &sub, now()), "waiting").await;
    assert_eq!(hook.license(&sub.id()).await.unwrap().seats, 1);

    // A deployment that has a key of Stripe's API is for that key's mode alone.
    let world = testing::World::new()
        .await
        .with("STRIPE_API_KEY", "sk_live_0123456789")
        .with("STRIPE_API_BASE", "http://127.0.0.1:9");
    let hook = Hook::with(world).await;
    hook.send(&test.checkout("checkout.session.completed", &sub, true, now()), "ignored").await;
    assert_eq!(hook.world.number("select count(*) from tenants").await, 0);
}

#[tokio::test]
async fn a_tenant_is_taken_from_our_own_metadata_alone() {
    let (hook, events) = (Hook::new().await, Events::new(Version::Current));
    let tenant = hook.world.tenant("acme").await;
    let mut sub = Subscription::new("ann", &[("price_pro", 1)], now());
    sub.tenant = Some(tenant.to_string());
    hook.send(&events.checkout("checkout.session.completed", &sub, true, now()), "applied").await;
    hook.send(&events.subscription("created", &sub, now()), "applied").await;
    assert_eq!(hook.world.number(&format!("select count(*) from licenses where tenant_id = '{tenant}'")).await, 1);

    // The reference can be set by any user of a Payment Link.
    let mut sub = Subscription::new("eve", &[("price_pro", 1)], now());
    sub.tenant = Some(tenant.to_string());
    let linked =
        events.checkout("checkout.session.completed", &sub, true, now()).with("/data/object/metadata", json!({}));
    hook.send(&linked, "applied").await;
    hook.send(&events.subscription("created", &sub, now()), "applied").await;
    assert_eq!(hook.world.number(&format!("select count(*) from licenses where tenant_id = '{tenant}'")).await, 1);
    assert_eq!(hook.world.number("select count(*) from tenants").await, 2);
}

#[tokio::test]
async fn what_is_not_signed_is_refused_and_what_can_not_be_read_is_kept() {
    use testing::http::Method;
    let (hook, events) = (Hook::new().await, Events::new(Version::Current));
    let sub = Subscription::new("ann", &[("price_pro", 1)], now());
    let event = events.checkout("checkout.session.completed", &sub, true, now());
    let bare = hook.client.request(Method::POST, "/webhooks/stripe").body(event.body());
    assert_eq!(hook.client.send(bare, 400).await.text("/code"), "invalid_signature");
    for (header, body) in [
        (crate::hook::SIGNER.header(&event.body(), "whsec_another_secret_of_16", now()), event.body()),
        (crate::hook::SIGNER.header(&event.body(), testing::world::WEBHOOK_SECRET, now() - 301), event.body()),
        (crate::hook::SIGNER.header(&event.body(), testing::world::WEBHOOK_SECRET, now()), event.body() + " "),
        ("t=1,v1=00".to_owned(), event.body()),
        (String::new(), event.body()),
    ] {
        let request =
            hook.client.request(Method::POST, "/webhooks/stripe").header("stripe-signature", header).body(body);
        assert_eq!(hook.client.send(request, 400).await.text("/code"), "invalid_signature");
    }
    let big = hook.client.request(Method::POST, "/webhooks/stripe").body(vec![b' '; 3 << 20]);
    assert_eq!(hook.client.send(big, 413).await.text("/code"), "body_too_large");
    assert_eq!(hook.world.number("select count(*) from stripe_events").await, 0);

    // Stripe repeats what is refused for days, and then turns the endpoint off.
    let half = event.body().replace("Ann Archer", "Ann \\ud800");
    let thin = r#"{"id":"evt_thin","object":"v2.core.event","type":"v1.billing.meter.no_meter_found",
        "created":"2026-05-01T10:00:00.000Z","livemode":false,"related_object":{"id":"mtr_1","type":"billing.meter"}}"#;
    for (body, id, status) in [
        ("{}", "unreadable_%", "failed"),
        (r#"{"id":"evt_1"}"#, "evt_1", "failed"),
        (r#"{"id":"evt_2","type":"a\u0000b","created":1e99,"data":{"object":null}}"#, "evt_2", "failed"),
        ("no JSON", "unreadable_%", "failed"),
        (half.as_str(), event.id(), "failed"),
        (thin, "evt_thin", "ignored"),
    ] {
        for _ in 0..2 {
            let header = crate::hook::SIGNER.sign(body, testing::world::WEBHOOK_SECRET, now());
            let request = hook.client.request(Method::POST, "/webhooks/stripe").header("stripe-signature", header);
            assert_eq!(hook.client.send(request.body(body.to_owned()), 200).await.text("/status"), status, "{body}");
        }
        let kept = format!("select count(*) from stripe_events where id like '{id}' and state = '{status}'");
        let kept = hook.world.number(&kept).await;
        assert!((1..=2).contains(&kept), "{body}: {kept}");
    }
    assert_eq!(hook.world.number("select count(*) from stripe_events").await, 6, "each once");
}
