//! Tests of hundreds of customers' events at once, while Redis is lost and Postgres crashes: acknowledged events are kept, and
//! in the end every license is as its newest event has it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use testing::World;
use testing::http::Client;
use testing::postgres::server::Server;
use testing::stripe::{Event, Events, Subscription, Version};
use tokio::sync::watch;
use tokio_postgres::NoTls;

use crate::hook::{Hook, now, post};

const CUSTOMERS: usize = 200;
const CONNECTIONS: usize = 32;
/// Changes of each subscription's quantity.
const CHANGES: usize = 4;
/// Of each customer: created, bought, paid, and the changes.
const EACH: usize = 3 + CHANGES;

const THERE: usize = 0;
const GONE: usize = 2;

/// Sends like Stripe: events that were not answered with success are sent again after all others.
struct Sender {
    left: Mutex<VecDeque<Event>>,
    acknowledged: watch::Sender<usize>,
    refused: watch::Sender<usize>,
    /// [`THERE`], and one more at each step: it is stopped, [`GONE`], it is started.
    redis: AtomicUsize,
    /// True while Postgres can be reached.
    postgres: watch::Sender<bool>,
    /// Events whose own request applied them, with what `redis` was meanwhile.
    applied: Mutex<Vec<(String, usize)>>,
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_acknowledged_is_lost_with_redis_and_postgres_lost_on_the_way() {
    let run = tokio::time::timeout(Duration::from_secs(120), lose_redis_then_postgres());
    run.await.expect("all events are acknowledged at last");
}

async fn lose_redis_then_postgres() {
    let mut postgres = Server::start().await;
    let mut hook = Hook::with(World::on(postgres.database().await).await).await;
    let events = events();
    let total = events.len();
    let sender = Arc::new(Sender {
        left: Mutex::new(events),
        acknowledged: watch::Sender::new(0),
        refused: watch::Sender::new(0),
        redis: AtomicUsize::new(THERE),
        postgres: watch::Sender::new(true),
        applied: Mutex::default(),
    });
    let url = hook.world.db.url("postgres");
    let mut connections = tokio::task::JoinSet::new();
    for _ in 0..CONNECTIONS {
        connections.spawn(Arc::clone(&sender).send(hook.client.clone(), url.clone()));
    }

    sender.until_acknowledged(total / 4).await;
    sender.redis.fetch_add(1, Ordering::SeqCst);
    hook.world.redis.stop();
    sender.redis.fetch_add(1, Ordering::SeqCst);
    sender.until_acknowledged(total / 2).await;
    sender.redis.fetch_add(1, Ordering::SeqCst);
    hook.world.redis.start_again().await;

    sender.until_acknowledged(total * 3 / 4).await;
    let refused = *sender.refused.borrow();
    sender.postgres.send_replace(false);
    postgres.crash();
    sender.refused.subscribe().wait_for(|now| *now > refused + CONNECTIONS).await.unwrap();
    postgres.start_again().await;
    sender.postgres.send_replace(true);

    while let Some(connection) = connections.join_next().await {
        connection.unwrap();
    }
    assert_eq!(*sender.acknowledged.borrow(), total);
    // Events that waited for one whose request was killed after its commit are left to the sweep.
    let mut setup = hook.world.setup("coditect_webhook_stripe");
    webhook_stripe::event_store::EventStore::from_setup(&mut setup).unwrap().retry(None).await.unwrap();
    everything_had_its_effect_once(&hook, total).await;
    let applied = std::mem::take(&mut *sender.applied.lock().unwrap());
    redis_was_updated_or_the_outbox_has_it(&hook, &applied).await;
}

/// Of every customer a subscription that is bought and changed; in an order as it may come from Stripe: customers are
/// at different points of it, and what follows closely on each other may swap.
fn events() -> VecDeque<Event> {
    let events = Events::new(Version::Current);
    let begin = now() - 1000;
    let mut all = Vec::with_capacity(CUSTOMERS * EACH);
    for customer in 0..CUSTOMERS {
        let mut sub = Subscription::new(&format!("c{customer}"), &[("price_business", seats(customer, 0))], begin);
        let mut life = vec![
            events.subscription("created", &sub, begin),
            events.checkout("checkout.session.completed", &sub, true, begin),
            events.invoice("paid", &sub, begin),
        ];
        for change in 1..=CHANGES {
            sub.items[0].1 = seats(customer, change);
            life.push(events.subscription("updated", &sub, begin + i64::try_from(change).unwrap()));
        }
        let place = |step: usize| customer + 25 * step + (customer * 7919 + step * 104_729) % 60;
        all.extend(life.into_iter().enumerate().map(|(step, event)| (place(step), event)));
    }
    all.sort_by_key(|(place, _)| *place);
    all.into_iter().map(|(_, event)| event).collect()
}

/// Another number after each change.
fn seats(customer: usize, change: usize) -> u32 {
    u32::try_from((customer + 3 * change) % 7 + 1).unwrap()
}

impl Sender {
    /// One of the connections. It ends when nothing is left; what others still have on its way, they send again.
    async fn send(self: Arc<Self>, client: Client, url: String) {
        let mut check = Check { url, client: None, postgres: self.postgres.subscribe() };
        loop {
            let Some(event) = self.left.lock().unwrap().pop_front() else { return };
            let redis = self.redis.load(Ordering::SeqCst);
            let answer = post(&client, &event).await;
            if answer.status != 200 {
                assert_eq!((answer.status, answer.text("/code")), (503, "unavailable"), "{:#}", answer.body);
                self.left.lock().unwrap().push_back(event);
                self.refused.send_modify(|n| *n += 1);
                continue;
            }
            let state = check.state(event.id()).await;
            assert!(matches!(state.as_deref(), Some("applied" | "waiting")), "{} is {state:?}", event.id());
            if answer.text("/status") == "applied" && redis == self.redis.load(Ordering::SeqCst) {
                self.applied.lock().unwrap().push((event.id().to_owned(), redis));
            }
            self.acknowledged.send_modify(|n| *n += 1);
        }
    }

    async fn until_acknowledged(&self, events: usize) {
        self.acknowledged.subscribe().wait_for(|now| *now >= events).await.unwrap();
    }
}

/// Reads the stored events over a connection of its own, as soon as Postgres answers.
struct Check {
    url: String,
    client: Option<tokio_postgres::Client>,
    postgres: watch::Receiver<bool>,
}

impl Check {
    async fn state(&mut self, event: &str) -> Option<String> {
        loop {
            self.postgres.wait_for(|is_there| *is_there).await.unwrap();
            if let Some(client) = &self.client
                && let Ok(row) = client.query_opt("select state from stripe_events where id = $1", &[&event]).await
            {
                return row.map(|row| row.get(0));
            }
            self.client = None;
            if let Ok((client, connection)) = tokio_postgres::connect(&self.url, NoTls).await {
                tokio::spawn(connection);
                self.client = Some(client);
            }
        }
    }
}

async fn everything_had_its_effect_once(hook: &Hook, total: usize) {
    let sql = hook.world.db.connect("postgres").await;
    let states = sql.query("select state, count(*) from stripe_events group by state", &[]).await.unwrap();
    let states: BTreeMap<String, i64> = states.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(states, BTreeMap::from([("applied".to_owned(), i64::try_from(total).unwrap())]));

    let rows = "select s.id, l.seats, l.standing, count(o.id) from subscriptions s
                join licenses l on l.id = s.license_id
                left join outbox o on o.payload->>'about' = 'license_key' and o.payload->>'license_id' = l.id::text
                group by s.id, l.seats, l.standing";
    let rows = sql.query(rows, &[]).await.unwrap();
    let licenses: BTreeMap<String, (i32, String, i64)> =
        rows.iter().map(|row| (row.get(0), (row.get(1), row.get(2), row.get(3)))).collect();
    let newest = |customer| (i32::try_from(seats(customer, CHANGES)).unwrap(), "good".to_owned(), 1);
    let expected = (0..CUSTOMERS).map(|customer| (format!("sub_c{customer}"), newest(customer))).collect();
    assert_eq!(licenses, expected, "seats, standing and mails with the key of each subscription");
    let customers = i64::try_from(CUSTOMERS).unwrap();
    for table in ["tenants", "licenses", "outbox where payload->>'about' = 'license_key'"] {
        assert_eq!(hook.world.number(&format!("select count(*) from {table}")).await, customers, "{table}");
    }
}

async fn redis_was_updated_or_the_outbox_has_it(hook: &Hook, applied: &[(String, usize)]) {
    let sql = hook.world.db.connect("postgres").await;
    let changes = "select count(*), count(o.id) from audit_log a
                   left join outbox o on o.kind = 'seats' and o.once = 'seats:' || a.license_id || ':' || (a.detail->>'event')
                   where a.action = 'license.changed' and a.detail->>'event' = any($1)";
    for redis in [THERE, GONE] {
        let events: Vec<&str> = applied.iter().filter(|(_, then)| *then == redis).map(|(id, _)| id.as_str()).collect();
        let row = sql.query_one(changes, &[&events]).await.unwrap();
        let (changed, pending): (i64, i64) = (row.get(0), row.get(1));
        assert!(changed > 0, "no license changed in state {redis} of Redis");
        assert_eq!(pending, if redis == GONE { changed } else { 0 }, "of {changed} changes in state {redis} of Redis");
    }
}
