//! Tests of the callers that may sync, and of the refusals that the others get.

use serde_json::{Value, json};
use testing::http::{Answer, Client};
use testing::token::rs256;
use testing::world::signing_key;

use crate::cloud::{Cloud, PUSH, decision};

const AT: &str = "2026-11-01T10:00:00Z";
/// An identity provider that signs with the tests' key, so that `auth` publishes its keys.
const LOGIN: &str = "https://login.test";

/// The read endpoints, with parameters that find nothing.
const READS: &[&str] = &["pull", "status", "tasks", "decisions", "learnings", "history?kind=task&id=x"];

async fn everything_is_refused(cloud: &Cloud, push: &Client, pull: &Client, code: &str) -> Vec<Answer> {
    let before = cloud.world.number("select coalesce(sum(seq), 0)::bigint from context_heads").await;
    let records = json!({"device_id": "a", "records": [decision("x", "one", AT)]});
    let nothing = json!({"device_id": "a", "records": []});
    let mut refused = vec![push.post(PUSH, records, 403).await, push.post(PUSH, nothing, 403).await];
    refused.push(push.post("/api/v1/context/tasks", json!({"task_id": "t"}), 403).await);
    for path in READS {
        refused.push(pull.get(&format!("/api/v1/context/{path}"), 403).await);
    }
    for answer in &refused {
        assert_eq!(answer.text("/code"), code, "{:#}", answer.body);
    }
    let after = cloud.world.number("select coalesce(sum(seq), 0)::bigint from context_heads").await;
    assert_eq!(after, before, "something was written");
    assert_eq!(cloud.world.number("select count(*) from context_records where id in ('x', 't')").await, 0);
    refused
}

#[tokio::test]
async fn a_plan_without_sync_is_refused_and_the_one_that_has_it_named() {
    let cloud = Cloud::with_plan("FREE").await;
    let refused = everything_is_refused(&cloud, &cloud.push, &cloud.pull, "plan_lacks_feature").await;
    for answer in refused {
        assert_eq!((answer.text("/feature"), answer.text("/plan")), ("cloud_sync", "PRO"), "{:#}", answer.body);
    }
    // A second license of the tenant is another right.
    let second = cloud.world.license(cloud.license.tenant, "PRO", 1).await;
    let second = cloud.world.access_token(&second).await;
    cloud.pull.bearer(second).get("/api/v1/context/pull", 200).await;
    cloud.pull.get("/api/v1/context/pull", 403).await;
}

#[tokio::test]
async fn a_license_that_is_not_active_is_refused_and_nothing_is_written() {
    let cloud = Cloud::new().await;
    cloud.push("a", json!([decision("first", "one", AT)])).await;
    for (change, reason) in [
        ("state = 'suspended'", "suspended"),
        ("state = 'active', expires_at = now() - interval '1 second'", "expired"),
        ("expires_at = null, standing = 'inactive'", "subscription_inactive"),
        ("state = 'revoked', standing = 'good'", "revoked"),
    ] {
        cloud.world.sql(&format!("update licenses set {change}")).await;
        for answer in everything_is_refused(&cloud, &cloud.push, &cloud.pull, "license_inactive").await {
            assert_eq!(answer.text("/reason"), reason);
        }
    }
    cloud.world.sql("update licenses set state = 'active'").await;
    assert_eq!(cloud.pull_all(10).await.len(), 1);
    cloud.push("a", json!([decision("x", "one", AT)])).await;
}

#[tokio::test]
async fn a_user_syncs_with_the_best_license_of_the_tenant_and_is_named() {
    let world = testing::World::new().await;
    let auth = world.serve("auth", auth::State::connect, auth::routes).await;
    let jwks = format!("{}/.well-known/jwks.json", auth.url());
    let issuers = json!([{"issuer": LOGIN, "audience": "coditect", "jwks_uri": jwks, "tenants": "*"}]);
    let cloud = Cloud::on(world.with("OIDC_ISSUERS", issuers.to_string()), "FREE").await;
    let tenant = cloud.license.tenant;
    let user = cloud.world.user(tenant, "ada@acme.test", Some((LOGIN, "ada"))).await;
    let now = jiff::Timestamp::now().as_second();
    let claims = json!({"iss": LOGIN, "aud": "coditect", "sub": "ada", "iat": now, "exp": now + 600});
    let token = rs256(&signing_key(), &json!({"alg": "RS256", "kid": cloud.world.key_id().await}), &claims);
    let (push, pull) = (cloud.push.bearer(token.clone()), cloud.pull.bearer(token));

    everything_is_refused(&cloud, &push, &pull, "plan_lacks_feature").await;
    let pro = cloud.world.license(tenant, "PRO", 1).await;
    crate::cloud::push(&push, "laptop", json!([decision("x", "one", AT)])).await;
    let device = cloud.push.bearer(cloud.world.access_token(&pro).await);
    crate::cloud::push(&device, "laptop", json!([decision("y", "two", AT)])).await;
    let all = crate::cloud::pull_all(&pull, 10).await;
    assert_eq!((&all[0]["user_id"], &all[1]["user_id"]), (&json!(user), &Value::Null));
    let history = pull.get("/api/v1/context/history?kind=decision&id=x", 200).await;
    assert_eq!(history.body["data"][0]["user_id"], json!(user));

    // The best: a second license that is worth nothing takes nothing away.
    cloud.world.license(tenant, "ENT", 1).await;
    assert_eq!(pull.get("/api/v1/context/status", 200).await.body["records"]["limit"], -1);
    cloud.world.sql("update licenses set state = 'suspended' where plan_code = 'ENT'").await;
    assert_eq!(pull.get("/api/v1/context/status", 200).await.body["records"]["limit"], 100_000);
    cloud.world.sql("update licenses set state = 'revoked'").await;
    pull.get("/api/v1/context/status", 403).await;
}

#[tokio::test]
async fn without_a_credential_nothing_is_read_of_the_body() {
    let cloud = Cloud::new().await;
    for client in [Client::new(cloud.push.url()), cloud.push.bearer("nonsense")] {
        let refused = client.try_post(PUSH, json!({"device_id": "", "records": 5})).await;
        assert_eq!((refused.status, refused.text("/code")), (401, "invalid_token"));
    }
}

#[tokio::test]
async fn devices_are_seen_when_they_push() {
    let cloud = Cloud::new().await;
    for device in ["laptop", "desktop", "laptop"] {
        cloud.push(device, json!([decision(device, device, AT)])).await;
    }
    let status = cloud.status().await;
    let mut devices: Vec<_> =
        status["devices"].as_array().unwrap().iter().map(|d| d["device_id"].as_str().unwrap()).collect();
    devices.sort_unstable();
    assert_eq!(devices, ["desktop", "laptop"]);
    cloud.world.sql("update context_devices set last_seen_at = now() - interval '1 hour'").await;
    cloud.push("laptop", json!([decision("new", "new", AT)])).await;
    let again = cloud.status().await;
    assert_eq!(again["devices"][0]["device_id"], "laptop");
    assert!(again["devices"][0]["last_seen_at"].as_str() > again["devices"][1]["last_seen_at"].as_str());
    for bad in ["", "has space", "ü", "x\u{0}", &"x".repeat(129)] {
        cloud.push.post(PUSH, json!({"device_id": bad, "records": []}), 422).await;
    }
}
