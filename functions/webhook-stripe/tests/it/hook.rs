//! A deployment with the webhook, and what it made of the events it was sent.

use std::sync::LazyLock;

use jiff::Timestamp;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestRunner};
use serde_json::Value;
use testing::World;
use testing::http::{Answer, Client, Method};
use testing::stripe::{Event, Signer};
use testing::world::WEBHOOK_SECRET;

pub(crate) static SIGNER: LazyLock<Signer> = LazyLock::new(Signer::start);

pub(crate) struct Hook {
    pub(crate) world: World,
    pub(crate) client: Client,
}

/// A license as it came of the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct License {
    pub(crate) plan: String,
    pub(crate) seats: i32,
    /// `license_state()`.
    pub(crate) state: String,
    pub(crate) standing: String,
    pub(crate) expires_at: Option<i64>,
}

/// Runs a tenth of the usual number of cases, since each is whole lives over HTTP; PROPTEST_CASES asks for more.
pub(crate) fn runner_of_lives() -> TestRunner {
    let usual = Config::default();
    TestRunner::new(Config { cases: usual.cases / 10, max_shrink_iters: 60, failure_persistence: None, ..usual })
}

impl Hook {
    pub(crate) async fn new() -> Self {
        Self::with(World::new().await).await
    }

    pub(crate) async fn with(world: World) -> Self {
        let client = world.serve("webhook_stripe", webhook_stripe::State::connect, webhook_stripe::routes).await;
        Self { world, client }
    }

    pub(crate) async fn post(&self, event: &Event) -> Answer {
        post(&self.client, event).await
    }

    /// Sends events in any order, some of them twice: first those at the places of `order`, then the rest, the last first.
    pub(crate) async fn post_in_any_order(&self, events: &[&Event], order: &[Index]) {
        let mut left = events.to_vec();
        for index in order {
            let event = index.get(events);
            left.retain(|other| other.id() != event.id());
            assert_eq!(self.post(event).await.status, 200);
        }
        for event in left.iter().rev() {
            assert_eq!(self.post(event).await.status, 200);
        }
    }

    /// Sends an event and expects what becomes of it.
    pub(crate) async fn send(&self, event: &Event, status: &str) {
        let answer = self.post(event).await;
        assert_eq!(answer.status, 200, "{:#}", answer.body);
        if answer.body["status"] != status {
            let sql = self.world.db.connect("postgres").await;
            let row =
                sql.query_one("select to_jsonb(e) - 'body' from stripe_events e where id = $1", &[&event.id()]).await;
            panic!("{} is not {status}: {:#}", event.0["type"], row.unwrap().get::<_, Value>(0));
        }
    }

    /// The license of a subscription.
    pub(crate) async fn license(&self, subscription: &str) -> Option<License> {
        let sql = self.world.db.connect("postgres").await;
        let rows = sql
            .query(
                "select l.plan_code, l.seats, license_state(l.state, l.standing, l.expires_at), l.standing,
                        extract(epoch from l.expires_at)::bigint
                 from subscriptions s join licenses l on l.id = s.license_id where s.id = $1",
                &[&subscription],
            )
            .await
            .unwrap();
        rows.first().map(|row| License {
            plan: row.get(0),
            seats: row.get(1),
            state: row.get(2),
            standing: row.get(3),
            expires_at: row.get(4),
        })
    }

    /// The mails in the outbox, the oldest first: what they are about, and to whom.
    pub(crate) async fn mails(&self) -> Vec<(String, String)> {
        let sql = self.world.db.connect("postgres").await;
        let rows =
            sql.query("select payload from outbox where kind = 'mail' order by created_at, id", &[]).await.unwrap();
        let text = |payload: &Value, name: &str| payload[name].as_str().unwrap_or_default().to_owned();
        rows.iter().map(|row| row.get::<_, Value>(0)).map(|p| (text(&p, "about"), text(&p, "to"))).collect()
    }

    pub(crate) async fn event_states(&self) -> Vec<(String, String)> {
        let sql = self.world.db.connect("postgres").await;
        let rows = sql.query("select type, state from stripe_events order by received_at", &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }
}

pub(crate) async fn post(client: &Client, event: &Event) -> Answer {
    client.send_any(request(client, event)).await
}

/// Sends an event as Stripe does: again when the answer is that this can't be done now.
pub(crate) async fn deliver(client: Client, event: Event) -> Answer {
    let mut answer = post(&client, &event).await;
    for _ in 0..5 {
        if answer.status != 503 {
            break;
        }
        answer = post(&client, &event).await;
    }
    assert_eq!(answer.status, 200, "{:#}", answer.body);
    answer
}

pub(crate) fn request(client: &Client, event: &Event) -> testing::http::RequestBuilder {
    let body = event.body();
    let header = SIGNER.header(&body, WEBHOOK_SECRET, now());
    client
        .request(Method::POST, "/webhooks/stripe")
        .header("stripe-signature", header)
        .header("content-type", "application/json; charset=utf-8")
        .body(body)
}

pub(crate) fn now() -> i64 {
    Timestamp::now().as_second()
}
