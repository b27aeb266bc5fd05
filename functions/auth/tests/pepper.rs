//! One pepper takes over from another, and no key is forgotten.

use serde_json::json;
use testing::World;
use testing::world::PEPPER;

async fn ask(world: &World, key: &str) -> u16 {
    let auth = world.serve("auth", auth::State::connect, auth::routes).await;
    auth.try_post("/api/v1/auth/license", json!({"license_key": key})).await.status
}

#[tokio::test]
async fn a_key_moves_to_the_newer_pepper_when_it_is_used() {
    let newer = "ab".repeat(32);
    let world = World::new().await;
    let tenant = world.tenant("acme").await;
    let key = world.license(tenant, "TEAM", 5).await.key.to_string();
    let unused = world.license(tenant, "TEAM", 5).await.key.to_string();

    // First everybody learns to know the newer one, so that what others hash under it is found.
    let world = world.with("LICENSE_KEY_PEPPER", format!("{PEPPER},{newer}"));
    assert_eq!(ask(&world, &key).await, 200);
    // Then it is the one to hash under. Within an hour nothing moves.
    let world = world.with("LICENSE_KEY_PEPPER", format!("{newer},{PEPPER}"));
    assert_eq!(ask(&world, &key).await, 200);
    let moved = "select count(*) from licenses where key_hashed_at > now() - interval '30 minutes'";
    world.sql("update licenses set key_hashed_at = now() - interval '2 hours'").await;
    assert_eq!(ask(&world, &key).await, 200);
    assert_eq!(world.number(moved).await, 1);
    // A release of before the change finds it all the same, and leaves it where it is.
    let world = world.with("LICENSE_KEY_PEPPER", format!("{PEPPER},{newer}"));
    assert_eq!(ask(&world, &key).await, 200);

    // In the end there is only the newer one: what was used in between is found, what wasn't is not.
    let world = world.with("LICENSE_KEY_PEPPER", newer);
    assert_eq!(ask(&world, &key).await, 200);
    assert_eq!(ask(&world, &unused).await, 401);
}
