//! The smoke test of a deployment, with a license key of its own: `ops smoke`.

use serde_json::json;
use testing::World;

use crate::machine::program;
use crate::world::{all, signed_in};

#[tokio::test]
async fn with_a_key_a_seat_is_taken_kept_and_given_back_by_way_of_the_revision_that_is_tested() {
    let world = World::new().await;
    let license = world.license(world.tenant("smoke").await, "TEAM", 1).await;
    let serving = all(&world).await;
    let tested = world.serve("heartbeat", heartbeat::State::connect, heartbeat::routes).await;
    let smoke = |key: &str, serving: &str| {
        let functions =
            ["validate", "auth", "acquire", "heartbeat", "release"].map(|name| (name.to_owned(), json!(serving)));
        let urls = serde_json::Value::Object(functions.into_iter().collect());
        let mut smoke = program("ops");
        smoke.env_clear().env("SMOKE_LICENSE_KEY", key).env("FUNCTION_URLS", urls.to_string());
        smoke.args(["smoke", "heartbeat", tested.url()]);
        async move {
            let ended = tokio::task::spawn_blocking(move || smoke.output().unwrap()).await.unwrap();
            let said = String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap();
            (ended.status.code().unwrap(), said)
        }
    };
    let key = license.key.to_string();
    let sessions = "select count(*) from sessions where ended_reason = 'released'";
    let (status, said) = smoke(&key, serving.url()).await;
    assert_eq!((status, world.number(sessions).await), (0, 1), "{said}");
    assert!(said.contains("seat"), "{said}");

    let (status, said) = smoke("none", "http://127.0.0.1:9").await;
    assert_eq!((status, world.number(sessions).await), (0, 1), "nothing but what everybody may ask: {said}");

    // Its one seat is held by another device.
    let held = crate::world::seat(&signed_in(&serving, &license).await, 1).await;
    let (status, said) = smoke(&key, serving.url()).await;
    assert!(status == 1 && said.contains("409 (no_seats_available), request id "), "{said}");
    held.release(200).await;

    world.sql("update licenses set state = 'revoked'").await;
    let (status, said) = smoke(&key, serving.url()).await;
    assert!(status == 1 && said.contains("not valid: revoked"), "{said}");
    let (status, said) = smoke("CODITECT-PRO-B8F3E9D2C4B1-0000", serving.url()).await;
    assert!(status == 64 && said.contains("SMOKE_LICENSE_KEY") && !said.contains("B8F3"), "{said}");
}
