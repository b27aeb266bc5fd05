//! Tests of events that could grant too much, get lost, or take from another customer.

use serde_json::{Value, json};
use testing::stripe::{Events, Subscription, Version};
use webhook_stripe::event_store::{EventStore, Outcome};

use crate::hook::{Hook, deliver, now};

const DAY: i64 = 86_400;

async fn hook() -> (Hook, Events, i64) {
    (Hook::new().await, Events::new(Version::Current), now() - DAY)
}

/// A subscription with its license.
async fn bought(hook: &Hook, events: &Events, name: &str, items: &[(&str, u32)], at: i64) -> Subscription {
    let sub = Subscription::new(name, items, at);
    hook.send(&events.checkout("checkout.session.completed", &sub, true, at), "applied").await;
    hook.send(&events.subscription("created", &sub, at), "applied").await;
    sub
}

/// Another subscription of the same customer.
fn another(of: &Subscription, name: &str) -> Subscription {
    let mut other = Subscription::new(name, &[("price_business", 2)], of.created);
    other.ids = Some((of.customer(), format!("sub_{name}")));
    other
}

fn store(hook: &Hook) -> EventStore {
    EventStore::from_setup(&mut hook.world.setup("coditect_webhook_stripe")).unwrap()
}

async fn standing(hook: &Hook, name: &str) -> String {
    hook.license(&format!("sub_{name}")).await.unwrap().standing
}

#[tokio::test]
async fn a_subscription_stays_its_customers_whomever_an_event_names() {
    let (hook, events, at) = hook().await;
    let ann = bought(&hook, &events, "ann", &[("price_pro", 1)], at).await;
    let mut bob = bought(&hook, &events, "bob", &[("price_business", 3)], at).await;
    bob.items[0].1 = 50;
    let crossed = events.subscription("updated", &bob, at + 1).with("/data/object/customer", ann.customer());
    hook.send(&crossed, "applied").await;
    let elsewhere = "select count(*) from subscriptions s join licenses l on l.id = s.license_id
        where l.tenant_id <> s.tenant_id or s.customer_id <> replace(s.id, 'sub_', 'cus_')";
    assert_eq!(hook.world.number(elsewhere).await, 0);
    assert_eq!(hook.license("sub_ann").await.unwrap().seats, 1);
    assert_eq!(hook.world.number("select count(*) from licenses").await, 2);
    // A checkout with another tenant's metadata doesn't move a known customer either.
    let mut moved = ann.clone();
    moved.tenant = Some(hook.world.tenant("acme").await.to_string());
    hook.send(&events.checkout("checkout.session.completed", &moved, true, at + 2), "applied").await;
    assert_eq!(
        hook.world.number("select count(distinct tenant_id) from stripe_customers where id = 'cus_ann'").await,
        1
    );
    assert_eq!(
        hook.world
            .number("select count(*) from licenses l join tenants t on t.id = l.tenant_id where slug = 'acme'")
            .await,
        0
    );
}

#[tokio::test]
async fn the_first_body_under_an_id_is_the_event() {
    let (hook, events, at) = hook().await;
    let mut sub = bought(&hook, &events, "ann", &[("price_business", 2)], at).await;
    sub.items[0].1 = 3;
    let first = events.subscription("updated", &sub, at + 1);
    hook.send(&first, "applied").await;
    sub.items[0].1 = 900;
    hook.send(&events.subscription("updated", &sub, at + 2).with("/id", first.id()), "known").await;
    assert_eq!(hook.license(&sub.id()).await.unwrap().seats, 3);
    // Also where the first one failed.
    sub.items[0].0 = "price_unknown".into();
    let failed = events.subscription("updated", &sub, at + 3);
    hook.send(&failed, "failed").await;
    sub.items[0].0 = "price_business".into();
    hook.send(&events.subscription("updated", &sub, at + 4).with("/id", failed.id()), "failed").await;
    assert_eq!(hook.license(&sub.id()).await.unwrap().seats, 3);
}

#[tokio::test]
async fn what_is_out_of_range_is_refused_or_kept_as_an_error_and_never_tried_for_ever() {
    let (hook, events, at) = hook().await;
    let sub = bought(&hook, &events, "ann", &[("price_pro", 1)], at).await;
    let updated = || events.subscription("updated", &sub, at + 1);
    hook.send(&updated().with("/id", "evt_".to_owned() + &"x".repeat(251)), "applied").await;
    for envelope in [
        updated().with("/id", "x".repeat(256)),
        updated().with("/id", ""),
        updated().with("/id", "evt_\u{0}"),
        updated().with("/created", i64::MAX),
        updated().with("/created", 253_402_300_800_i64),
        updated().with("/created", json!(1e300)),
        updated().with("/livemode", Value::Null),
    ] {
        hook.send(&envelope, "failed").await;
        hook.send(&envelope, "failed").await;
    }
    let kept = "select count(*) from stripe_events where state = 'failed'";
    assert_eq!(hook.world.number(kept).await, 7, "each once");
    assert_eq!(hook.world.number(&format!("{kept} and id like 'unreadable_%'")).await, 3, "those without an id");
    for (n, wrong) in [
        updated().with("/data/object/items/data/0/current_period_end", i64::MAX),
        updated().with("/data/object/cancel_at", 9_000_000_000_000_i64),
        updated().with("/data/object/ended_at", -5),
        updated().with("/data/object/items/data/0/quantity", u64::MAX),
        updated().with("/data/object/items/data/0/quantity", 1_000_001),
        updated().with("/data/object/id", "x".repeat(300)),
        events
            .invoice("payment_failed", &sub, at + 1)
            .with("/data/object/hosted_invoice_url", "https://pay.test/\u{0}"),
    ]
    .into_iter()
    .enumerate()
    {
        let before = hook.license(&sub.id()).await;
        hook.send(&wrong.with("/id", format!("evt_wrong_{n}")), "failed").await;
        assert_eq!(hook.license(&sub.id()).await, before);
    }
    assert_eq!(
        hook.world.number("select count(*) from stripe_events where state = 'failed' and error is null").await,
        0
    );
}

#[tokio::test]
async fn nothing_paid_for_is_no_seat() {
    let (hook, events, at) = hook().await;
    let mut sub = bought(&hook, &events, "ann", &[("price_team", 1), ("price_team_seat", 9)], at).await;
    sub.items[0].1 = 0;
    hook.send(&events.subscription("updated", &sub, at + 1), "applied").await;
    assert_eq!(hook.license(&sub.id()).await.unwrap().seats, 0, "seats beyond a base that is not paid for");
}

#[tokio::test]
async fn any_name_is_a_tenants() {
    let (hook, events, at) = hook().await;
    let long = "长".repeat(300);
    let names = [
        "日本語の会社",
        "🦀🦀🦀",
        "--- ---",
        "Ünï\u{0}cøde\u{202e} GmbH",
        "İİİİ",
        "a\u{301}\u{7}",
        "   ",
        "'; drop table tenants; --",
        &long,
    ];
    for (n, person) in names.into_iter().enumerate() {
        let mut sub = Subscription::new(&format!("c{n}"), &[("price_pro", 1)], at);
        sub.person = person.to_owned();
        hook.send(&events.checkout("checkout.session.completed", &sub, true, at), "applied").await;
    }
    assert_eq!(hook.world.number("select count(*) from tenants").await, names.len() as i64);
    assert_eq!(
        hook.world.number("select count(*) from tenants where name in ('日本語の会社', 'ann@c6.test')").await,
        2
    );
}

#[tokio::test]
async fn a_purchase_claims_its_address_and_changes_no_user_that_is_known() {
    let (hook, events, at) = hook().await;
    let tenant = hook.world.tenant("acme").await;
    hook.world.user(tenant, "ann@signed.test", Some(("https://idp.test", "ann"))).await;
    hook.world.user(tenant, "ann@invited.test", None).await;
    let known = "select count(*) from users where claimed_at is null and role = 'member'";
    for name in ["signed", "invited"] {
        bought(&hook, &events, name, &[("price_pro", 1)], at).await;
    }
    assert_eq!(hook.world.number(known).await, 2);
    let claims = "select count(*) from users u where claimed_at is not null and role = 'owner' and issuer is null";
    assert_eq!(hook.world.number(claims).await, 2, "what was bought has an owner to be");
    let own = format!(
        "{claims} and exists (select from stripe_customers c where c.tenant_id = u.tenant_id and c.email = u.email)"
    );
    assert_eq!(hook.world.number(&own).await, 2);

    // Purchases under one address at the same instant are as many tenants, each with its claim.
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..8 {
        let mut sub = Subscription::new(&format!("same{n}"), &[("price_pro", 1)], at);
        sub.email = "ann@same.test".to_owned();
        let event = events.checkout("checkout.session.completed", &sub, true, at);
        tasks.spawn(deliver(hook.client.clone(), event));
    }
    tasks.join_all().await;
    assert_eq!(hook.world.number(&format!("{claims} and email = 'ann@same.test'")).await, 8);
    assert_eq!(hook.world.number("select count(*) from stripe_customers where email = 'ann@same.test'").await, 8);
    assert_eq!(hook.world.number(known).await, 2);
}

#[tokio::test]
async fn a_refund_that_could_be_of_either_subscription_waits() {
    let (hook, events, at) = hook().await;
    let one = bought(&hook, &events, "ann", &[("price_pro", 1)], at).await;
    let two = another(&one, "two");
    hook.send(&events.subscription("created", &two, at), "applied").await;
    hook.send(&events.refund(&two, true, at + 5), "waiting").await;
    assert_eq!((standing(&hook, "ann").await.as_str(), standing(&hook, "two").await.as_str()), ("good", "good"));
    hook.send(&events.invoice("paid", &two, at), "applied").await;
    assert_eq!(standing(&hook, "two").await, "good", "the invoice doesn't say which payment");
    hook.send(&events.invoice_payment(&two, at), "applied").await;
    assert_eq!((standing(&hook, "ann").await.as_str(), standing(&hook, "two").await.as_str()), ("good", "refunded"));
}

#[tokio::test]
async fn a_customer_that_is_gone_before_it_came_ends_with_its_period() {
    let (hook, events, at) = hook().await;
    let sub = Subscription::new("ann", &[("price_pro", 1)], at);
    hook.send(&events.customer("deleted", &sub, at + 9), "waiting").await;
    hook.send(&events.refund(&sub, true, at + 8), "waiting").await;
    bought(&hook, &events, "ann", &[("price_pro", 1)], at).await;
    hook.send(&events.invoice("paid", &sub, at), "applied").await;
    let license = hook.license(&sub.id()).await.unwrap();
    assert_eq!((license.standing.as_str(), license.expires_at), ("refunded", Some(sub.period.1)));
    // Later events about it change nothing of that.
    hook.send(&events.customer("updated", &sub, at + 10), "applied").await;
    hook.send(&events.subscription("updated", &sub, at + 11), "applied").await;
    assert_eq!(hook.license(&sub.id()).await.unwrap(), license);
}

#[tokio::test]
async fn a_dispute_that_is_won_does_not_undo_a_refund() {
    let (hook, events, at) = hook().await;
    let sub = bought(&hook, &events, "ann", &[("price_pro", 1)], at).await;
    hook.send(&events.invoice("paid", &sub, at), "applied").await;
    hook.send(&events.invoice_payment(&sub, at), "applied").await;
    hook.send(&events.dispute(&sub, "needs_response", at + 1), "applied").await;
    hook.send(&events.refund(&sub, true, at + 2), "applied").await;
    hook.send(&events.dispute(&sub, "won", at + 3), "applied").await;
    assert_eq!(standing(&hook, "ann").await, "refunded");
}

#[tokio::test]
async fn what_an_operator_holds_back_stays_so() {
    let (hook, events, at) = hook().await;
    let mut sub = bought(&hook, &events, "ann", &[("price_business", 2)], at).await;
    for (n, state) in ["suspended", "revoked"].into_iter().enumerate() {
        hook.world.sql(&format!("update licenses set state = '{state}'")).await;
        let at = at + 10 * (n as i64 + 1);
        for (pause, status) in ["past_due", "paused", "active"].into_iter().enumerate() {
            sub.status = status.into();
            sub.items[0].1 += 1;
            hook.send(&events.subscription("updated", &sub, at + pause as i64), "applied").await;
            assert_eq!(hook.license(&sub.id()).await.unwrap().state, state, "{status}");
        }
        hook.send(&events.invoice("paid", &sub, at + 4), "applied").await;
        let license = hook.license(&sub.id()).await.unwrap();
        assert_eq!((license.state.as_str(), license.seats), (state, sub.items[0].1 as i32));
    }
    // A revoked license stays revoked; a suspended one resumes with the state that Stripe reported meanwhile.
    hook.world.sql("update licenses set state = 'active'").await;
    assert_eq!(hook.license(&sub.id()).await.unwrap().state, "active");
    // Seats that an operator set last until Stripe next reports the subscription.
    hook.world.sql("update licenses set seats = 99").await;
    hook.send(&events.customer("updated", &sub, at + 40), "applied").await;
    assert_eq!(hook.license(&sub.id()).await.unwrap().seats, 99);
    hook.send(&events.subscription("updated", &sub, at + 41), "applied").await;
    assert_eq!(hook.license(&sub.id()).await.unwrap().seats, sub.items[0].1 as i32);
}

#[tokio::test]
async fn what_the_database_refuses_is_kept_and_can_be_tried_again() {
    let (hook, events, at) = hook().await;
    let mut sub = bought(&hook, &events, "ann", &[("price_business", 2)], at).await;
    hook.world.sql("alter table licenses add constraint not_seven check (seats <> 7)").await;
    sub.items[0].1 = 7;
    let event = events.subscription("updated", &sub, at + 1);
    hook.send(&event, "failed").await;
    let license = hook.license(&sub.id()).await.unwrap();
    assert_eq!(license.seats, 2);
    assert_eq!(hook.world.number("select count(*) from stripe_events where error like '%not_seven%'").await, 1);
    assert_eq!(hook.world.number("select count(*) from audit_log where action = 'license.changed'").await, 0);
    assert_eq!(hook.world.number("select count(*) from outbox where kind = 'seats'").await, 0);
    // Other customers' events are applied meanwhile, and a failed event doesn't stop later ones.
    bought(&hook, &events, "bob", &[("price_pro", 1)], at).await;
    sub.items[0].1 = 5;
    hook.send(&events.subscription("updated", &sub, at + 2), "applied").await;
    assert_eq!(store(&hook).retry(None).await.unwrap(), [(event.id().to_owned(), Outcome::Applied)]);
    assert_eq!(hook.license(&sub.id()).await.unwrap().seats, 5, "the older one has no effect any more");
}

#[tokio::test]
async fn hundreds_of_waiting_events_are_all_applied() {
    let (hook, events, at) = hook().await;
    let sub = Subscription::new("ann", &[("price_business", 2)], at);
    // None of these makes an id known that others wait for, and none but the last has an effect.
    let blocked: Vec<_> = (0..130).map(|n| events.customer("updated", &sub, at + n)).collect();
    for event in &blocked {
        hook.send(event, "waiting").await;
    }
    let mut newest = sub.clone();
    newest.items[0].1 = 8;
    hook.send(&events.subscription("updated", &newest, at + 500), "waiting").await;
    hook.send(&events.checkout("checkout.session.completed", &sub, true, at), "applied").await;
    assert_eq!(hook.world.number("select count(*) from stripe_events where state <> 'applied'").await, 0);
    assert_eq!(hook.license(&sub.id()).await.unwrap().seats, 8);
}

#[tokio::test]
async fn events_operators_and_seats_never_deadlock() {
    let (hook, events, at) = hook().await;
    let one = bought(&hook, &events, "ann", &[("price_business", 1)], at).await;
    let two = another(&one, "two");
    hook.send(&events.subscription("created", &two, at), "applied").await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..30 {
        let mut sub = if n % 2 == 0 { one.clone() } else { two.clone() };
        sub.items[0].1 = 2 + n;
        let event = match n % 5 {
            4 => events.customer("updated", &sub, at + i64::from(n)),
            _ => events.subscription("updated", &sub, at + i64::from(n)),
        };
        let sent = deliver(hook.client.clone(), event);
        tasks.spawn(async move { assert_eq!(sent.await.text("/status"), "applied") });
    }
    // Both licenses of the customer change at once, while an operator changes each.
    let gone = events.customer("deleted", &one, at + 99);
    let sent = deliver(hook.client.clone(), gone);
    tasks.spawn(async move { assert_eq!(sent.await.text("/status"), "applied") });
    for state in ["suspended", "active"].repeat(10) {
        let sql = hook.world.db.connect("postgres").await;
        tasks.spawn(async move {
            let change = format!(
                "do $$ declare l uuid; begin for l in select id from licenses order by random() limit 1 loop
                     perform pg_advisory_xact_lock(hashtextextended(l::text, 1));
                     update licenses set state = '{state}', revision = revision + 1 where id = l;
                 end loop; end $$"
            );
            sql.batch_execute(&change).await.unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    assert_eq!(hook.world.number("select deadlocks from pg_stat_database where datname = current_database()").await, 0);
    // The newest state of each counts, whichever came last: 2 + 28 and 2 + 27.
    assert_eq!(hook.license("sub_ann").await.unwrap().seats, 30);
    assert_eq!(hook.license("sub_two").await.unwrap().seats, 29);
}

#[tokio::test]
async fn who_never_pays_again_is_not_served_for_ever() {
    let (hook, events, at) = hook().await;
    let begin = at - 100 * DAY;
    let mut sub = bought(&hook, &events, "ann", &[("price_pro", 1)], begin).await;
    hook.send(&events.invoice("paid", &sub, begin), "applied").await;
    sub.renew();
    let first_unpaid_end = sub.period.1;
    sub.status = "unpaid".into();
    hook.send(&events.subscription("updated", &sub, begin + 40 * DAY), "applied").await;
    for months in 2..4 {
        sub.renew();
        hook.send(&events.subscription("updated", &sub, begin + months * 30 * DAY + 1), "applied").await;
    }
    let license = hook.license(&sub.id()).await.unwrap();
    assert_eq!((license.state.as_str(), license.expires_at), ("expired", Some(first_unpaid_end)));
    sub.end(begin + 99 * DAY);
    hook.send(&events.subscription("deleted", &sub, begin + 99 * DAY), "applied").await;
    assert_eq!(hook.license(&sub.id()).await.unwrap().expires_at, Some(first_unpaid_end));
    let endings = hook.mails().await.into_iter().filter(|(about, _)| about == "ending").count();
    assert_eq!(endings, 1);
}
