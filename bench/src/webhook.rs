//! Stripe's webhook: bodies as Stripe writes them under real signatures, each a change of a subscription's quantity.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use futures_util::future::join_all;
use testing::stripe::{Event, Events, Subscription, Version};
use tokio::process::Command;
use tokio_postgres::NoTls;

use crate::ceilings::Purchase;
use crate::functions::USERS;
use crate::load::{self, Connection, Measured, Plan};

/// The time between a user's events; 100 users are then 500 events a second.
pub(crate) const PACE: Duration = Duration::from_millis(200);

/// Events of each user while servers are restarted.
const EACH_RESTARTED: usize = 50;

/// The endpoint that Stripe sends events to, and the key that signs them. Every user is a customer with a subscription.
#[derive(Debug)]
pub(crate) struct Stripe {
    address: String,
    key: hmac::Key,
    begin: i64,
    /// Seconds since `begin`, which make each event's time unique.
    clock: AtomicI64,
}

/// Outcome of events while servers were restarted.
#[derive(Debug, Default)]
pub(crate) struct Restarted {
    pub(crate) events: usize,
    pub(crate) acknowledged: usize,
    /// Number of events that were acknowledged, but not stored.
    pub(crate) missing: usize,
    pub(crate) sent_again: usize,
    /// Number of licenses whose seats are not those of their newest event.
    pub(crate) wrong: usize,
}

fn seats(n: usize) -> u32 {
    u32::try_from(2 + n % 7).unwrap_or(2)
}

fn subscription(user: usize, begin: i64) -> Subscription {
    Subscription::new(&format!("bench{user}"), &[("price_business", 1)], begin)
}

impl Stripe {
    /// Makes every user buy a subscription.
    pub(crate) async fn open(address: String, secret: &str) -> Self {
        // Stripe's clock has seconds, and events within one second have no order.
        let begin = jiff::Timestamp::now().as_second() - 1_000_000;
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
        let stripe = Self { address, key, begin, clock: AtomicI64::new(1) };
        let events = Events::new(Version::Current);
        let plan = Plan { users: USERS, requests_per_user: 3, pace: None, keep_bodies: false };
        let bought = load::run(&stripe.address, plan, |user, n| {
            let sub = subscription(user, begin);
            stripe.signed(&match n {
                0 => events.checkout("checkout.session.completed", &sub, true, begin),
                1 => events.subscription("created", &sub, begin),
                _ => events.invoice("paid", &sub, begin),
            })
        })
        .await;
        assert_eq!(bought.errors, 0, "every user can buy a subscription");
        stripe
    }

    /// Changes of each user's subscription, one after the other.
    pub(crate) async fn changes(&self, each: usize, pace: Option<Duration>) -> Measured {
        let first = self.tick(each);
        let plan = Plan { users: USERS, requests_per_user: each, pace, keep_bodies: false };
        load::run(&self.address, plan, |user, n| self.signed(&self.change(user, first, n))).await
    }

    /// Returns the next change of some customer's subscription, as a request.
    pub(crate) fn next(&self) -> Vec<u8> {
        let n = usize::try_from(self.tick(1)).unwrap_or_default();
        self.signed(&self.change(n % USERS, 0, n))
    }

    /// Sends changes at 500 a second, while Redis and then Postgres are restarted: a change that is not acknowledged is sent
    /// again.
    pub(crate) async fn restarted(&self, database_url: &str, stack: &str) -> Restarted {
        let first = self.tick(EACH_RESTARTED);
        let began = Instant::now();
        let restarts = async {
            for (after, server) in [(2, "redis"), (5, "postgres")] {
                tokio::time::sleep_until((began + Duration::from_secs(after)).into()).await;
                let status = Command::new("scripts/stack").args(["restart", server, "--dir", stack]).status().await;
                assert!(status.is_ok_and(|status| status.success()), "{server} can be restarted");
            }
        };
        let users = join_all((0..USERS).map(|user| async move {
            let events = (0..EACH_RESTARTED).map(|n| self.change(user, first, n));
            let events = events.map(|event| (event.id().to_owned(), self.signed(&event))).collect();
            until_acknowledged(&self.address, began + PACE.mul_f64(user as f64 / USERS as f64), events).await
        }));
        let ((), users) = tokio::join!(restarts, users);
        let mut restarted = Restarted { events: USERS * EACH_RESTARTED, ..Restarted::default() };
        let mut ids = Vec::new();
        for (acknowledged, sent_again) in users {
            ids.extend(acknowledged);
            restarted.sent_again += sent_again;
        }
        restarted.acknowledged = ids.len();
        let (client, connection) = tokio_postgres::connect(database_url, NoTls).await.expect("Postgres answers");
        tokio::spawn(connection);
        let missing =
            "select count(*) from unnest($1::text[]) id where not exists (select from stripe_events e where e.id = id)";
        let missing: i64 = client.query_one(missing, &[&ids]).await.expect("the ledger").get(0);
        restarted.missing = usize::try_from(missing).unwrap_or_default();
        let seats = i32::try_from(seats(EACH_RESTARTED - 1)).unwrap_or_default();
        for purchase in self.purchases(USERS, &client).await {
            client.batch_execute(&format!("set app.tenant_id = '{}'", purchase.tenant)).await.expect("a setting");
            let sold = "select l.seats from licenses l join subscriptions s on s.license_id = l.id where s.id = $1";
            let sold = client.query_one(sold, &[&purchase.subscription]).await.expect("a license").get::<_, i32>(0);
            restarted.wrong += usize::from(sold != seats);
        }
        restarted
    }

    /// Returns the purchases for the bare Postgres: some users' subscriptions, with an event's body.
    pub(crate) async fn purchases(&self, users: usize, client: &tokio_postgres::Client) -> Vec<Purchase> {
        join_all((0..users).map(|user| self.purchase(user, client))).await
    }

    async fn purchase(&self, user: usize, client: &tokio_postgres::Client) -> Purchase {
        let sub = subscription(user, self.begin);
        let sql = "select tenant_id from stripe_owner(array[$1], false)";
        let tenant = client.query_one(sql, &[&sub.id()]).await.expect("the purchase is known").get(0);
        Purchase {
            tenant,
            customer: sub.customer(),
            subscription: sub.id(),
            invoice: sub.invoice_id(),
            body: self.change(user, 0, 0).body().into_bytes(),
        }
    }

    fn tick(&self, seconds: usize) -> i64 {
        self.clock.fetch_add(i64::try_from(seconds).unwrap_or_default(), Ordering::Relaxed)
    }

    fn change(&self, user: usize, first: i64, n: usize) -> Event {
        let mut sub = subscription(user, self.begin);
        sub.items[0].1 = seats(n);
        let at = self.begin + first + i64::try_from(n).unwrap_or_default();
        Events::new(Version::Current).subscription("updated", &sub, at)
    }

    /// Returns the request, signed with the current time.
    fn signed(&self, event: &Event) -> Vec<u8> {
        let (body, at) = (event.body(), jiff::Timestamp::now().as_second());
        let signature = hex::encode(hmac::sign(&self.key, format!("{at}.{body}").as_bytes()));
        load::post_with("/webhooks/stripe", &format!("stripe-signature: t={at},v1={signature}\r\n"), &body)
    }
}

/// Sends an event at each step of the pace, and at the end again those that were refused. Returns the acknowledged ones, in
/// their order, and the number of events that were sent again.
async fn until_acknowledged(
    address: &str,
    begin: Instant,
    events: VecDeque<(String, Vec<u8>)>,
) -> (Vec<String>, usize) {
    let (mut left, mut acknowledged, mut sent_again) = (events, Vec::new(), 0);
    let mut connection = Connection::open(address).await;
    let mut ticks = tokio::time::interval_at(begin.into(), PACE);
    while let Some((id, request)) = left.pop_front() {
        ticks.tick().await;
        if (200..300).contains(&connection.ask(&request).await.0) {
            acknowledged.push(id);
        } else {
            sent_again += 1;
            left.push_back((id, request));
        }
    }
    (acknowledged, sent_again)
}
