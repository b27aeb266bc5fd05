//! All functions in one process, for one test.

use serde_json::json;
use testing::World;
use testing::http::Client;
use testing::world::License;

/// Starts every function.
pub(crate) async fn all(world: &World) -> Client {
    world.serve_routes("all-in-one", "coditect_all", all_in_one::connect).await
}

/// A client with an access token of a licence.
pub(crate) async fn signed_in(client: &Client, license: &License) -> Client {
    let answer = client.post("/api/v1/auth/license", json!({"license_key": license.key.to_string()}), 200).await;
    client.bearer(answer.text("/access_token"))
}

/// A device's id.
pub(crate) fn device(n: usize) -> String {
    format!("{n:064x}")
}
