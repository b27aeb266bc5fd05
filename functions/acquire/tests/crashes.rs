//! The process is killed between any two writes of an acquire: nothing is lost but at most a seat for its time.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop where it is")]

use serde_json::{Value, json};
use testing::World;
use testing::process::{Process, until};
use testing::world::License;

const BINARY: &str = env!("CARGO_BIN_EXE_acquire");
const PATH: &str = "/api/v1/licenses/acquire";
const SEAT_MS: i64 = 360_000;

struct Scene {
    world: World,
    license: License,
    token: String,
    sql: tokio_postgres::Client,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let license = world.license(world.tenant("acme").await, "TEAM", 1).await;
        let token = world.access_token(&license).await;
        let sql = world.db.connect("postgres").await;
        Self { world, license, token, sql }
    }

    async fn start(&self) -> Process {
        self.world.spawn(BINARY, "coditect_acquire").await
    }

    /// Sends an acquire and doesn't wait for what becomes of it.
    fn send(&self, process: &Process, machine: u8, idempotency_key: Option<&str>) {
        let client = process.client.bearer(&self.token);
        let mut request = client.request(testing::http::Method::POST, PATH).json(&ask(machine));
        if let Some(key) = idempotency_key {
            request = request.header("idempotency-key", key);
        }
        tokio::spawn(async move { drop(request.send().await) });
    }

    async fn acquire(&self, process: &Process, machine: u8, status: u16) -> Value {
        process.client.bearer(&self.token).post(PATH, ask(machine), status).await.body
    }

    /// Holds the license's lock, so that no session's row can be written.
    async fn lock(&self) {
        let lock = format!("select pg_advisory_lock(hashtextextended('{}', 1))", self.license.id);
        self.sql.batch_execute(&lock).await.unwrap();
    }

    async fn unlock(&self) {
        self.sql.batch_execute("select pg_advisory_unlock_all()").await.unwrap();
    }

    async fn rows(&self) -> i64 {
        self.world.number("select count(*) from sessions").await
    }
}

fn ask(machine: u8) -> Value {
    json!({"hardware_id": format!("{machine:064x}")})
}

#[tokio::test]
async fn after_the_grant() {
    let scene = Scene::new().await;
    let mut process = scene.start().await;
    // The license is known to Redis already: restoring it takes the lock too.
    let first = scene.acquire(&process, 1, 201).await;
    scene.sql.execute("update sessions set ended_at = now(), ended_reason = 'released'", &[]).await.unwrap();
    scene.world.redis.age_seats(scene.license.id, SEAT_MS).await;

    let terms = format!("seat:{{{}}}:terms", scene.license.id);
    let before = scene.world.redis.command(&["HGET", &terms, "grants"]).await;
    scene.lock().await;
    scene.send(&process, 1, Some("once"));
    let granted = || async { scene.world.redis.command(&["HGET", &terms, "grants"]).await != before };
    until("a seat is granted", granted).await;
    process.kill();
    scene.unlock().await;

    let process = scene.start().await;
    scene.acquire(&process, 2, 409).await;
    // Its holder comes back, with the same key: the seat is still there for it.
    let client = process.client.bearer(&scene.token);
    let request = client.request(testing::http::Method::POST, PATH).header("idempotency-key", "once").json(&ask(1));
    let again = client.send_any(request).await;
    assert!([200, 201].contains(&again.status), "{:#}", again.body);
    assert_ne!(again.body["session_id"], first["session_id"]);
    assert_eq!(scene.world.number("select count(*) from sessions where ended_at is null").await, 1);
}

#[tokio::test]
async fn after_the_grant_and_its_holder_never_comes_back() {
    let scene = Scene::new().await;
    let mut process = scene.start().await;
    let first = scene.acquire(&process, 1, 201).await;
    assert_eq!(scene.rows().await, 1);
    scene.world.redis.age_seats(scene.license.id, SEAT_MS).await;
    scene.lock().await;
    scene.send(&process, 2, None);
    let key = format!("seat:{{{}}}:gone", scene.license.id);
    until("the first session is gone", || async { scene.world.redis.command(&["HLEN", &key]).await.contains('1') })
        .await;
    process.kill();
    scene.unlock().await;

    let process = scene.start().await;
    scene.acquire(&process, 3, 409).await;
    scene.world.redis.age_seats(scene.license.id, SEAT_MS).await;
    let third = scene.acquire(&process, 3, 201).await;
    assert_ne!(third["session_id"], first["session_id"]);
    assert_eq!(scene.world.number("select count(*) from sessions where ended_at is null").await, 1);
}

#[tokio::test]
async fn after_the_row() {
    let scene = Scene::new().await;
    let mut process = scene.start().await;
    scene.acquire(&process, 9, 201).await;
    scene.world.redis.age_seats(scene.license.id, SEAT_MS).await;
    scene.lock().await;
    scene.send(&process, 1, None);
    let key = format!("seat:{{{}}}:gone", scene.license.id);
    until("the first session is gone", || async { scene.world.redis.command(&["HLEN", &key]).await.contains('1') })
        .await;
    // From here on Redis answers no script, so that the confirmation never comes.
    scene.world.redis.command(&["CLIENT", "PAUSE", "60000", "WRITE"]).await;
    scene.unlock().await;
    until("the row is written", || async { scene.rows().await == 2 }).await;
    process.kill();
    scene.world.redis.command(&["CLIENT", "UNPAUSE"]).await;

    let process = scene.start().await;
    scene.acquire(&process, 2, 409).await;
    let again = scene.acquire(&process, 1, 200).await;
    let session: uuid::Uuid =
        scene.sql.query_one("select id from sessions where ended_at is null", &[]).await.unwrap().get(0);
    assert_eq!(again["session_id"], session.to_string());
    // The same once more with an empty Redis: the row is what counts.
    scene.world.redis.flush().await;
    scene.acquire(&process, 2, 409).await;
    assert_eq!(scene.acquire(&process, 1, 200).await["session_id"], session.to_string());
}

#[tokio::test]
async fn while_restoring() {
    let scene = Scene::new().await;
    let mut process = scene.start().await;
    let held = scene.acquire(&process, 1, 201).await;
    scene.world.redis.flush().await;
    scene.lock().await;
    scene.send(&process, 2, None);
    let marker = format!("seat:{{{}}}:restoring", scene.license.id);
    until("a restore has begun", || async { scene.world.redis.command(&["EXISTS", &marker]).await.contains('1') })
        .await;
    process.kill();
    scene.unlock().await;

    let process = scene.start().await;
    scene.acquire(&process, 2, 409).await;
    assert_eq!(scene.acquire(&process, 1, 200).await["session_id"], held["session_id"]);
}
