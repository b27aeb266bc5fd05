//! `ops device`: places on a license.

use serde_json::json;

use crate::ops_cli::OpsCli;

#[tokio::test]
async fn devices_are_listed_and_their_places_freed_once() {
    let ops = OpsCli::new().await;
    let license = ops.license().await;
    let (new, old) = ("a".repeat(64), "b".repeat(64));
    let sql = format!(
        "insert into devices (tenant_id, license_id, machine_id, activated_at, valid_until, address)
         select tenant_id, id, machine, now() - past, now() + left_over, '192.0.2.7' from licenses,
            (values ('{old}', interval '30 days', interval '-1 day'), ('{new}', interval '1 hour', interval '7 days'))
                v (machine, past, left_over) where id = '{license}'"
    );
    ops.world.sql(&sql).await;
    let id = license.to_string();
    let ask = ["device", "list", id.as_str()];
    let devices = ops.list(&ask).await;
    let told: Vec<_> = devices.iter().map(|d| json!([d["machine_id"], d["state"], d["address"]])).collect();
    assert_eq!(told, [json!([old, "lapsed", "192.0.2.7"]), json!([new, "active", "192.0.2.7"])]);
    assert!(devices[0]["valid_until"].as_str().unwrap().ends_with('Z'), "{devices:?}");

    let remove = ["device", "remove", &id, &new];
    let told = ops.plain(&remove).await.err;
    assert!(told.contains("place is free, and another device can be activated now"), "{told}");
    assert_eq!(ops.list(&ask).await[1]["state"], "removed");
    assert!(ops.plain(&ask).await.out.contains("removed"));
    for machine in [&new, &"c".repeat(64)] {
        let sentence = ops.refused(&["device", "remove", &id, machine]).await;
        assert!(sentence.contains("ops device list"), "{sentence}");
    }
    let wrong = ops.failed(&["device", "remove", &id, "my laptop"], 64).await;
    assert!(wrong.contains("64"), "{wrong}");

    // A refused command leaves no entry.
    assert_eq!(ops.actions().await[2..], ["device.removed"]);
    assert_eq!(ops.audit().await[2].3, json!({"machine_id": new}));
}

#[tokio::test]
async fn a_place_that_is_freed_says_when_another_device_can_be_activated() {
    let ops = OpsCli::new().await;
    let license = ops.license().await;
    // As many as it has places were activated within the last hours.
    let sql = format!(
        "insert into devices (tenant_id, license_id, machine_id, activated_at, valid_until, address)
         select l.tenant_id, l.id, lpad(n::text, 64, '0'), now() - n * interval '1 minute', now() + interval '7 days', '192.0.2.7'
         from licenses l join plans p on p.code = l.plan_code, generate_series(1, p.devices_per_user * l.seats) n
         where l.id = '{license}'"
    );
    ops.world.sql(&sql).await;
    let told = ops.plain(&["device", "remove", &license.to_string(), &format!("{:064}", 1)]).await.err;
    assert!(told.contains("another device can be activated from 2"), "{told}");
    assert!(told.contains("in the last 24 hours"), "{told}");
}
