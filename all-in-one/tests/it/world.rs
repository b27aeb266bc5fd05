//! All functions in one process, for one test.

use serde_json::{Value, json};
use testing::World;
use testing::http::{Answer, Client};
use testing::world::License;

/// Path that begins a session.
pub(crate) const ACQUIRE: &str = "/api/v1/licenses/acquire";
/// Path that keeps a session.
pub(crate) const HEARTBEAT: &str = "/api/v1/licenses/heartbeat";
/// Path that ends a session.
pub(crate) const RELEASE: &str = "/api/v1/licenses/release";
/// Path that validates a key.
pub(crate) const VALIDATE: &str = "/api/v1/licenses/validate";
/// Path that frees a device's activation.
pub(crate) const DEACTIVATE: &str = "/api/v1/licenses/deactivate";
/// Path that buys a plan.
pub(crate) const CHECKOUT: &str = "/api/v1/billing/checkout";
/// Path that changes a subscription.
pub(crate) const PORTAL: &str = "/api/v1/billing/portal";
/// Path that pushes records.
pub(crate) const PUSH: &str = "/api/v1/context/push";
/// Path that exchanges a key for an access token.
pub(crate) const AUTH: &str = "/api/v1/auth/license";

/// Starts every function.
pub(crate) async fn all(world: &World) -> Client {
    world.serve_routes("all-in-one", "coditect_all", all_in_one::connect).await
}

/// Makes a deployment that has everything, also the routes that an installation without Stripe leaves out. No server listens
/// at Stripe's address.
pub(crate) async fn whole_world() -> World {
    World::new().await.with("STRIPE_API_KEY", "sk_test_nobody").with("STRIPE_API_BASE", "http://127.0.0.1:9")
}

/// Starts every function, with a license of a tenant of its own.
pub(crate) async fn all_with(plan: &str, seats: i32) -> (World, Client, License) {
    let world = whole_world().await;
    let client = all(&world).await;
    let license = world.license(world.tenant("acme").await, plan, seats).await;
    (world, client, license)
}

/// A client with an access token of a license.
pub(crate) async fn signed_in(client: &Client, license: &License) -> Client {
    let answer = client.post(AUTH, json!({"license_key": license.key.to_string()}), 200).await;
    client.bearer(answer.text("/access_token"))
}

/// A device's id.
pub(crate) fn device(n: usize) -> String {
    format!("{n:064x}")
}

/// Returns a request to validate a license on a device.
pub(crate) fn question(license: &License, n: usize) -> Value {
    json!({"license_key": license.key.to_string(), "machine_id": device(n), "version": "1.0.0"})
}

/// Acquires a seat for a device, which must be granted.
pub(crate) async fn seat(caller: &Client, n: usize) -> Seat {
    Seat::of(caller, &caller.post(ACQUIRE, json!({"hardware_id": device(n)}), 201).await)
}

/// A session with its own credential.
pub(crate) struct Seat {
    pub(crate) id: String,
    pub(crate) own: Client,
}

impl Seat {
    pub(crate) fn of(client: &Client, answer: &Answer) -> Self {
        let id = answer.text("/session_id").to_owned();
        Self { id, own: client.bearer(answer.text("/license_token")) }
    }

    pub(crate) fn body(&self) -> Value {
        json!({"session_id": self.id})
    }

    pub(crate) async fn beat(&self, status: u16) -> Answer {
        self.own.post(HEARTBEAT, self.body(), status).await
    }

    pub(crate) async fn release(&self, status: u16) -> Answer {
        self.own.post(RELEASE, self.body(), status).await
    }
}
