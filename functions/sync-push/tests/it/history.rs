//! Limits of a plan on history, and of a tenant on devices.

use serde_json::{Value, json};

use crate::cloud::{Cloud, decision, statuses, with};

/// A tenant whose plan keeps so many bytes of history.
async fn limited(bytes: i64) -> Cloud {
    let cloud = Cloud::new().await;
    limit(&cloud, bytes).await;
    cloud
}

async fn limit(cloud: &Cloud, bytes: i64) {
    let quotas = json!({"context_history_bytes": bytes});
    cloud.world.sql(&format!("update plans set quotas = quotas || '{quotas}' where code = 'ENT'")).await;
}

/// A version of a decision whose content has this many bytes, changed from the version before.
fn version(id: &str, version: u64, bytes: usize) -> Value {
    let head = format!("{version} ");
    let text = format!("{head}{}", "x".repeat(bytes - r#"{"text":""}"#.len() - head.len()));
    let record = decision(id, &text, &format!("2026-11-01T10:{:02}:{:02}Z", version / 60, version % 60));
    if version == 1 { record } else { with(record, "base_version", version - 1) }
}

async fn history_bytes(cloud: &Cloud) -> u64 {
    let status = cloud.status().await;
    status["history"]["used"].as_u64().unwrap()
}

/// The versions that the history has of a decision, the latest first.
async fn versions(cloud: &Cloud, id: &str) -> Vec<u64> {
    let entries = cloud.history("decision", id).await;
    entries
        .iter()
        .filter(|(outcome, ..)| outcome == "replaced")
        .map(|(_, version, _)| version.as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn the_oldest_versions_make_room_for_new_ones() {
    // Three versions of 256 bytes for the row and 44 for the content.
    let cloud = limited(900).await;
    for n in 1..=4 {
        assert_eq!(
            statuses(&cloud.push("a", json!([version("x", n, 44)])).await),
            [if n == 1 { "created" } else { "updated" }]
        );
    }
    assert_eq!((versions(&cloud, "x").await, history_bytes(&cloud).await), (vec![3, 2, 1], 900));
    cloud.push("a", json!([version("x", 5, 44), version("y", 1, 44)])).await;
    cloud.push("a", json!([version("y", 2, 44)])).await;
    assert_eq!((versions(&cloud, "x").await, versions(&cloud, "y").await), (vec![4, 3], vec![1]));
    assert_eq!(history_bytes(&cloud).await, 900);
    let status = cloud.status().await;
    assert_eq!((&status["history"]["limit"], &status["records"]["used"]), (&json!(900), &json!(2)));

    // A change that lost a conflict is history, too.
    let lost = decision("x", "older", "2026-01-01T00:00:00Z");
    assert_eq!(statuses(&cloud.push("b", json!([lost])).await), ["conflict"]);
    assert_eq!((versions(&cloud, "x").await, versions(&cloud, "y").await), (vec![4], vec![1]));
    assert_eq!(history_bytes(&cloud).await, 900 - 44 + 16);
    let outcomes: Vec<String> = cloud.history("decision", "x").await.into_iter().map(|(outcome, ..)| outcome).collect();
    assert_eq!(outcomes, ["lost", "current", "replaced"]);

    // Whatever adds a version counts it, so that a push of the release before does.
    let copy = "insert into context_history select (h).* from (
        select jsonb_populate_record(h, '{\"seq\": 1000}') as h from context_history h where id = 'y') x";
    cloud.world.sql(copy).await;
    assert_eq!(history_bytes(&cloud).await, 900 - 44 + 16 + 300);
}

#[tokio::test]
async fn a_push_keeps_what_it_adds_where_that_fits_alone() {
    let cloud = limited(1000).await;
    cloud.push("a", json!([version("x", 1, 44), version("y", 1, 44), version("z", 1, 44)])).await;
    cloud.push("a", json!([version("z", 2, 44)])).await;
    cloud.push("a", json!([version("x", 2, 44), version("y", 2, 44), version("z", 3, 44)])).await;
    let kept = (versions(&cloud, "x").await, versions(&cloud, "y").await, versions(&cloud, "z").await);
    assert_eq!(kept, (vec![1], vec![1], vec![2]));
    assert_eq!(history_bytes(&cloud).await, 900);

    // More than fits at all: what was written last stays.
    limit(&cloud, 700).await;
    cloud.push("a", json!([version("x", 3, 44), version("y", 3, 44), version("z", 4, 44)])).await;
    let kept = (versions(&cloud, "x").await, versions(&cloud, "y").await, versions(&cloud, "z").await);
    assert_eq!(kept, (vec![], vec![2], vec![3]));
    limit(&cloud, 0).await;
    cloud.push("a", json!([version("x", 4, 44), version("y", 4, 44), version("z", 5, 44)])).await;
    assert_eq!(history_bytes(&cloud).await, 0);
}

/// A plan that shrank: no push is refused or takes long, and each brings the history closer to the limit.
#[tokio::test]
async fn a_plan_that_shrank_is_reached_push_by_push() {
    let cloud = limited(-1).await;
    for n in 1..=11 {
        cloud.push("a", json!([version("x", n, 44)])).await;
    }
    assert_eq!(history_bytes(&cloud).await, 3000);
    limit(&cloud, 1200).await;
    let mut held = Vec::new();
    for n in 12..=18 {
        assert_eq!(statuses(&cloud.push("a", json!([version("x", n, 44)])).await), ["updated"]);
        held.push(history_bytes(&cloud).await);
    }
    assert_eq!(held, [2700, 2400, 2100, 1800, 1500, 1200, 1200]);
}

#[tokio::test]
async fn a_retry_whose_version_is_gone_is_judged_by_its_time() {
    let cloud = limited(-1).await;
    let first = version("x", 1, 44);
    cloud.push("a", json!([first])).await;
    cloud.push("b", json!([version("x", 2, 44)])).await;
    assert_eq!(statuses(&cloud.push("a", json!([first])).await), ["duplicate"]);
    limit(&cloud, 300).await;
    cloud.push("b", json!([version("x", 3, 44)])).await;
    assert_eq!(versions(&cloud, "x").await, [2]);
    // It is older than what there is, and so it loses; its retry is recognized again.
    assert_eq!(statuses(&cloud.push("a", json!([first])).await), ["conflict"]);
    assert_eq!(statuses(&cloud.push("a", json!([first])).await), ["duplicate"]);
    assert_eq!(history_bytes(&cloud).await, 300);
}

/// The best of the tenant's plans counts, of those whose licenses are active; a plan without the quota has no limit.
#[tokio::test]
async fn the_tenants_best_plan_says_how_much_is_kept() {
    let cloud = limited(300).await;
    let shown = async || cloud.status().await["history"]["limit"].clone();
    assert_eq!(shown().await, 300);
    let pro = cloud.world.license(cloud.license.tenant, "PRO", 1).await;
    assert_eq!(shown().await, 1 << 30);
    let state = |state: &str| format!("update licenses set state = '{state}' where id = '{}'", pro.id);
    cloud.world.sql(&state("suspended")).await;
    assert_eq!(shown().await, 300);
    cloud.world.sql(&state("active")).await;
    cloud.world.sql("update plans set quotas = quotas - 'context_history_bytes' where code = 'PRO'").await;
    assert_eq!(shown().await, -1);
}

/// 60 pushes of 15 records of 25 KB: 22 MB of former versions.
#[tokio::test]
async fn large_records_that_change_all_the_time_stay_within_the_limit() {
    const LIMIT: u64 = 2_000_000;
    let cloud = limited(LIMIT as i64).await;
    for n in 1..=60 {
        let records: Vec<Value> = (0..15).map(|r| version(&format!("r{r}"), n, 25_000)).collect();
        let results = cloud.push("a", json!(records)).await;
        assert!(statuses(&results).iter().all(|s| *s == if n == 1 { "created" } else { "updated" }), "{results:?}");
    }
    let status = cloud.status().await;
    assert_eq!(status["bytes"]["used"], 15 * 25_000);
    let used = status["history"]["used"].as_u64().unwrap();
    assert!((LIMIT - 25_256..=LIMIT).contains(&used), "{used}");
    assert_eq!(versions(&cloud, "r14").await, [59, 58, 57, 56, 55, 54]);
}

#[tokio::test]
async fn a_tenant_keeps_the_thousand_devices_seen_last() {
    let cloud = Cloud::new().await;
    let elsewhere = cloud.world.tenant("elsewhere").await;
    for tenant in [cloud.license.tenant, elsewhere] {
        let sql = format!(
            "insert into context_devices (tenant_id, device_id, last_seen_at)
             select '{tenant}', 'd' || n, now() - n * interval '1 hour' from generate_series(1, 1000) n"
        );
        cloud.world.sql(&sql).await;
    }
    let count = |which: &str| format!("select count(*) from context_devices where {which}");
    // One that is known takes no other one's place.
    cloud.push("d1000", json!([decision("x", "one", "2026-11-01T10:00:00Z")])).await;
    assert_eq!(cloud.world.number(&count("true")).await, 2000);
    cloud.push("new", json!([decision("y", "one", "2026-11-01T10:00:00Z")])).await;
    assert_eq!(cloud.world.number(&count("true")).await, 2000);
    let gone = format!("device_id in ('new', 'd999', 'd1000', 'd998') and tenant_id = '{}'", cloud.license.tenant);
    assert_eq!(cloud.world.number(&count(&gone)).await, 3);
    assert_eq!(cloud.world.number(&count("device_id = 'd999'")).await, 1, "the other tenant's");
}
