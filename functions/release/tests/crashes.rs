//! The process is killed between any two writes of a release: its seat is free for others at once, and releasing again is safe.

use serde_json::{Value, json};
use testing::World;
use testing::http::{Client, Method};
use testing::process::{Process, until};
use testing::world::License;

const BINARY: &str = env!("CARGO_BIN_EXE_release");
const ACQUIRE: &str = "/api/v1/licenses/acquire";
const RELEASE: &str = "/api/v1/licenses/release";

struct Scene {
    world: World,
    license: License,
    sql: tokio_postgres::Client,
    /// Sits on the only seat, and then does not.
    session: String,
    token: String,
    acquirer: Client,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        let license = world.license(world.tenant("acme").await, "TEAM", 1).await;
        let acquire = world.serve("acquire", acquire::State::connect, acquire::routes).await;
        let acquirer = acquire.bearer(world.access_token(&license).await);
        let seat = acquirer.post(ACQUIRE, ask(1), 201).await;
        let (session, token) = (seat.text("/session_id").to_owned(), seat.text("/license_token").to_owned());
        let sql = world.db.connect("postgres").await;
        Self { world, license, sql, session, token, acquirer }
    }

    /// A process with a release that has taken the instance away and waits for the license's lock.
    async fn has_left(&self) -> Process {
        let lock = format!("select pg_advisory_lock(hashtextextended('{}', 1))", self.license.id);
        self.sql.batch_execute(&lock).await.expect("a lock");
        let process = self.world.spawn(BINARY, "coditect_release").await;
        let request = process.client.bearer(&self.token).request(Method::POST, RELEASE).json(&self.body());
        tokio::spawn(async move { drop(request.send().await) });
        let live = format!("seat:{{{}}}:live", self.license.id);
        let now = "return redis.call('ZCOUNT', KEYS[1], redis.call('TIME')[1] .. '999', '+inf')";
        let left = || async { self.world.redis.command(&["EVAL", now, "1", &live]).await.contains("(0)") };
        until("the session has expired", left).await;
        process
    }

    fn body(&self) -> Value {
        json!({"session_id": self.session})
    }

    /// Releases again, by another process, while another machine sits there.
    async fn release_again(&self) {
        let process = self.world.spawn(BINARY, "coditect_release").await;
        process.client.bearer(&self.token).post(RELEASE, self.body(), 200).await;
        self.acquirer.post(ACQUIRE, ask(2), 200).await;
        self.acquirer.post(ACQUIRE, ask(3), 409).await;
    }

    async fn ended(&self) -> String {
        let sql = format!("select ended_reason from sessions where id = '{}'", self.session);
        self.sql.query_one(&sql, &[]).await.expect("it has ended").get(0)
    }
}

fn ask(machine: u8) -> Value {
    json!({"hardware_id": format!("{machine:064x}")})
}

#[tokio::test]
async fn after_the_last_instance_has_left() {
    let scene = Scene::new().await;
    scene.has_left().await.kill();
    // The statement that it has sent is not carried out after its end.
    let stop = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    scene.sql.batch_execute(stop).await.expect("a superuser may");
    scene.sql.batch_execute("select pg_advisory_unlock_all()").await.expect("an unlock");
    scene.acquirer.post(ACQUIRE, ask(2), 201).await;
    assert_eq!(scene.ended().await, "expired", "it was closed with the opening of the next");
    scene.release_again().await;
}

#[tokio::test]
async fn after_the_row_was_closed() {
    let scene = Scene::new().await;
    let mut process = scene.has_left().await;
    scene.world.redis.command(&["CLIENT", "PAUSE", "60000", "WRITE"]).await;
    scene.sql.batch_execute("select pg_advisory_unlock_all()").await.expect("an unlock");
    let closed = "select count(*) from sessions where ended_reason = 'released'";
    until("the row is closed", || async { scene.world.number(closed).await == 1 }).await;
    process.kill();
    scene.world.redis.command(&["CLIENT", "UNPAUSE"]).await;
    scene.acquirer.post(ACQUIRE, ask(2), 201).await;
    assert_eq!(scene.ended().await, "released", "the end it was given stays");
    scene.release_again().await;
}
