//! A person signs in with a real provider, at the real cloud, with the real command line.

use serde_json::json;
use testing::World;

use crate::machine::Machine;
use crate::oidc::{ANN, CLIENT, Provider};

#[tokio::test(flavor = "multi_thread")]
async fn whoever_signs_in_takes_seats_syncs_and_leaves_as_himself() {
    let provider = Provider::own().await;
    let issuers = json!([{"issuer": provider.issuer, "audience": CLIENT, "tenants": "*"}]);
    let world = World::new().await.with("OIDC_ISSUERS", issuers.to_string());
    let tenant = world.tenant("acme").await;
    world.license(tenant, "TEAM", 5).await;
    let process = world.spawn_public(env!("CARGO_BIN_EXE_all-in-one"), "coditect_all").await;
    let machine = Machine::new(1, process.client.url());

    // Before an administrator has added her, she is not a user of any organization.
    let (login, url) = machine.login();
    assert!(provider.visit(&url, ANN).await.contains("Signed in as ann@acme.test"));
    assert!(login.wait_with_output().unwrap().status.success());
    let (status, said) = machine.coditect(&["run", "--", "true"]);
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("no organization here has you as a user"), "{said}");

    let user = world.user(tenant, "ann@acme.test", None).await;
    let live = format!("select count(*) from sessions where user_id = '{user}' and ended_at is null");
    let all = format!("select count(*) from sessions where user_id = '{user}'");
    let (status, said) = machine.coditect(&["run", "--", "true"]);
    assert_eq!(status, 0, "{said}");
    assert_eq!((world.number(&all).await, world.number(&live).await), (1, 0), "taken, and given back");
    let who = machine.json(&["whoami"]);
    assert_eq!((&who["tenant_id"], &who["subject"]), (&json!(tenant), &json!("ann")), "{who:#}");
    assert_eq!(machine.json(&["validate"])["tier"], "TEAM");

    machine.json(&["config", "set", "sync", "on"]);
    machine.json(&["task", "add", "Write it down"]);
    machine.json(&["sync"]);
    assert_eq!(world.number("select count(*) from context_records").await, 1);

    assert_eq!(machine.json(&["logout"]), json!({"revoked": true, "signed_out": true}));
    assert_eq!(machine.coditect(&["whoami"]).0, 1);
}
