//! Requests that are given up: every handler is dropped at each of its await points, and nothing is left half done.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request};
use common::ClientAddress;
use serde_json::{Value, json};
use testing::World;
use testing::process::until;
use testing::stripe::{Events, Signer, Subscription, Version};
use testing::world::{License, WEBHOOK_SECRET};
use tokio::io::AsyncWriteExt as _;
use tower::ServiceExt as _;

use crate::world::{ACQUIRE, AUTH, HEARTBEAT, PUSH, RELEASE, VALIDATE, all_with, device, signed_in};

/// More await points than any handler has.
const MANY: usize = 400;

/// A future that is dropped when it is still pending after so many polls.
struct AtMost<F> {
    future: Option<Pin<Box<F>>>,
    polls: usize,
}

impl<F: Future> Future for AtMost<F> {
    type Output = Option<F::Output>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polls = self.polls;
        let Some(future) = self.future.as_mut().filter(|_| polls > 0) else { return Poll::Ready(None) };
        if let Poll::Ready(answer) = future.as_mut().poll(context) {
            return Poll::Ready(Some(answer));
        }
        self.polls -= 1;
        if self.polls == 0 {
            self.future = None;
            return Poll::Ready(None);
        }
        Poll::Pending
    }
}

/// Every function in this process, without what runs a handler to its end.
struct Handlers {
    _world: World,
    router: Router,
    watcher: tokio_postgres::Client,
    license: License,
    token: String,
    others_token: String,
}

impl Handlers {
    async fn new() -> Self {
        let world = World::new().await;
        let license = world.license(world.tenant("acme").await, "TEAM", 50).await;
        let other = world.license(world.tenant("other").await, "TEAM", 50).await;
        let (router, _) = all_in_one::connect(&mut world.setup("coditect_all")).unwrap().split_for_parts();
        let watcher = world.db.connect("postgres").await;
        let (token, others_token) = (world.access_token(&license).await, world.access_token(&other).await);
        Self { _world: world, router, watcher, license, token, others_token }
    }

    fn request(&self, method: Method, path: &str, token: &str, body: &Value) -> Request<Body> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request =
            if token.is_empty() { request } else { request.header("authorization", format!("Bearer {token}")) };
        request.extension(ClientAddress([127, 0, 0, 1].into())).body(Body::from(body)).unwrap()
    }

    fn post(&self, path: &str, body: &Value) -> Request<Body> {
        self.request(Method::POST, path, &self.token, body)
    }

    /// Sends a request and waits for its answer: the status and body.
    async fn whole(&self, request: Request<Body>) -> (u16, Value) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status().as_u16();
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }

    /// Gives a request up after so many polls; its status when it was answered before.
    async fn given_up(&self, request: Request<Body>, polls: usize) -> Option<u16> {
        let answer = AtMost { future: Some(Box::pin(self.router.clone().oneshot(request))), polls };
        answer.await.map(|response| response.unwrap().status().as_u16())
    }

    /// Waits until no statement runs, and finds no transaction that is open.
    async fn nothing_is_open(&self, what: &str) {
        const OPEN: &str = "select coalesce(string_agg(state || ': ' || query, '; '), '') from pg_stat_activity
            where datname = current_database() and pid <> pg_backend_pid() and state <> 'idle'";
        let end = Instant::now() + Duration::from_secs(3);
        loop {
            let open: String = self.watcher.query_one(OPEN, &[]).await.unwrap().get(0);
            if open.is_empty() {
                return;
            }
            assert!(Instant::now() < end, "{what} left open: {open}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// A request of another tenant, which must not notice anything, and whose commit must commit nothing else.
    async fn innocent(&self, what: &str) {
        let request = self.request(Method::GET, "/api/v1/context/status", &self.others_token, &Value::Null);
        let (status, answer) = self.whole(request).await;
        assert_eq!(status, 200, "after {what}: {answer:#}");
    }

    /// Gives a request up at each of its await points; `check` says what must hold after each.
    async fn sweep(&self, what: &str, request: impl AsyncFn(usize) -> Request<Body>, check: impl AsyncFn(usize)) {
        for n in 0..MANY {
            let status = self.given_up(request(n).await, n).await;
            let at = format!("{what}, given up after {n} polls");
            self.nothing_is_open(&at).await;
            self.innocent(&at).await;
            check(n).await;
            if let Some(status) = status {
                assert!((200..300).contains(&status), "{what}: {status}");
                return;
            }
        }
        panic!("{what} has no end");
    }

    async fn number(&self, sql: &str) -> i64 {
        self.watcher.query_one(sql, &[]).await.unwrap().get(0)
    }
}

#[tokio::test]
async fn a_request_given_up_anywhere_leaves_no_transaction_open() {
    let h = Handlers::new().await;
    let key = |license: &License| license.key.to_string();
    let nothing = async |_| {};
    let question = |n| json!({"license_key": key(&h.license), "machine_id": device(n), "version": "1.0.0"});
    h.sweep("validate", async |n| h.post(VALIDATE, &question(n)), nothing).await;
    h.sweep("auth", async |_| h.post(AUTH, &json!({"license_key": key(&h.license)})), nothing).await;
    for path in ["pull", "status", "tasks", "decisions", "learnings"] {
        let path = format!("/api/v1/context/{path}");
        h.sweep(&path, async |_| h.request(Method::GET, &path, &h.token, &Value::Null), nothing).await;
    }
    for path in ["/.well-known/jwks.json", "/api/v1/public-key", "/.well-known/coditect.json"] {
        h.sweep(path, async |_| h.request(Method::GET, path, "", &Value::Null), nothing).await;
    }
}

#[tokio::test]
async fn an_acquire_given_up_anywhere_takes_one_seat_at_most_and_its_holder_gets_it() {
    let h = Handlers::new().await;
    let body = |n| json!({"hardware_id": device(n)});
    let rows = async |n| {
        let sql = format!(
            "select count(*) from sessions where ended_at is null and license_id = '{}' and hardware_id = '{}'",
            h.license.id,
            device(n)
        );
        h.number(&sql).await
    };
    let request = async |n| {
        let mut request = h.post(ACQUIRE, &body(n));
        request.headers_mut().insert("idempotency-key", format!("key-{n}").parse().unwrap());
        request
    };
    let check = async |n| {
        assert!(rows(n).await <= 1);
        let (status, answer) = h.whole(request(n).await).await;
        assert!([200, 201].contains(&status), "{answer:#}");
        assert_eq!(rows(n).await, 1);
        // Kept by its token, and given back, each given up at the same number of polls first.
        let (token, session) = (answer["license_token"].as_str().unwrap(), json!({"session_id": answer["session_id"]}));
        for path in [HEARTBEAT, RELEASE] {
            let request = || h.request(Method::POST, path, token, &session);
            h.given_up(request(), n).await;
            h.nothing_is_open(path).await;
            h.innocent(path).await;
            assert_eq!(h.whole(request()).await.0, 200);
        }
        assert_eq!(rows(n).await, 0);
    };
    h.sweep("acquire", request, check).await;
}

#[tokio::test]
async fn a_push_given_up_anywhere_is_kept_whole_or_not_at_all() {
    let h = Handlers::new().await;
    let record = |id: String| json!({"kind": "decision", "id": id, "content": {"text": id}, "updated_at": "2026-11-01T00:00:00Z"});
    let body = |n| {
        let records: Vec<Value> = (0..3).map(|i| record(format!("t{n}-{i}"))).collect();
        json!({"device_id": "laptop", "records": records})
    };
    let check = async |n| {
        let kept = format!("select count(*) from context_records where id like 't{n}-%'");
        assert!([0, 3].contains(&h.number(&kept).await));
        let (status, answer) = h.whole(h.post(PUSH, &body(n))).await;
        assert_eq!(status, 200, "{answer:#}");
        assert_eq!(h.number(&kept).await, 3);
    };
    h.sweep("push", async |n| h.post(PUSH, &body(n)), check).await;
}

#[tokio::test]
async fn a_stripe_event_given_up_anywhere_has_its_effect_once_it_is_applied() {
    let h = Handlers::new().await;
    let (signer, events) = (Signer::start(), Events::new(Version::Current));
    let at = jiff::Timestamp::now().as_second();
    let customer = |n| Subscription::new(&format!("c{n}"), &[("price_business", 3)], at);
    let post = |event: &testing::stripe::Event| {
        let body = event.body();
        let mut request = h.post("/webhooks/stripe", &Value::Null);
        let signature = signer.header(&body, WEBHOOK_SECRET, jiff::Timestamp::now().as_second());
        request.headers_mut().insert("stripe-signature", signature.parse().unwrap());
        *request.body_mut() = Body::from(body);
        request
    };
    let checkout =
        |n| events.checkout("checkout.session.completed", &customer(n), true, at).with("/id", format!("evt_a{n}"));
    let created = |n| events.subscription("created", &customer(n), at).with("/id", format!("evt_b{n}"));
    let counts = async |n, event: &str, effect: String| {
        let applied = format!("select count(*) from stripe_events where id = 'evt_{event}{n}' and state = 'applied'");
        (h.number(&applied).await, h.number(&effect).await)
    };
    let purchase =
        async |n| counts(n, "a", format!("select count(*) from stripe_customers where id = 'cus_c{n}'")).await;
    let license = async |n| {
        let licensed = "subscriptions where license_id is not null and id";
        counts(n, "b", format!("select count(*) from {licensed} = 'sub_c{n}'")).await
    };
    let check = async |n| {
        for (applied, effect) in [purchase(n).await, license(n).await] {
            assert_eq!(applied, effect, "an event is applied exactly when its effect is there");
        }
        for event in [created(n), checkout(n)] {
            let (status, answer) = h.whole(post(&event)).await;
            assert_eq!(status, 200, "{answer:#}");
        }
        assert_eq!((purchase(n).await, license(n).await), ((1, 1), (1, 1)));
    };
    h.sweep("waiting event", async |n| post(&created(n)), check).await;
    let moved = |n: usize| n + MANY;
    h.sweep("purchase", async |n| post(&checkout(moved(n))), async |n| check(moved(n)).await).await;
    let known = async |n| {
        h.whole(post(&checkout(n + 2 * MANY))).await;
        post(&created(n + 2 * MANY))
    };
    h.sweep("event of a known customer", known, async |n| check(n + 2 * MANY).await).await;
}

#[tokio::test]
async fn a_caller_that_hangs_up_stops_no_handler() {
    let (world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let mut sql = world.db.connect("postgres").await;
    let lock = sql.transaction().await.unwrap();
    lock.batch_execute("lock table sessions in share mode").await.unwrap();

    let address = client.url().strip_prefix("http://").unwrap();
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let body = json!({"hardware_id": device(1)}).to_string();
    let head = format!(
        "POST {ACQUIRE} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        caller.credential(),
        body.len()
    );
    socket.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    until("the handler waits for the lock", || async { world.number(waits).await == 1 }).await;
    drop(socket);
    // Whatever would be stopped by the hang-up is stopped by the time another request was answered.
    client.get("/health", 200).await;
    lock.commit().await.unwrap();
    let open = "select count(*) from sessions where ended_at is null";
    until("the session is open", || async { world.number(open).await == 1 }).await;
    caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 200).await;
}
