//! A key is used on as many devices as its plan has places for, and on no more of them offline.

use futures_util::future::join_all;
use serde_json::json;

use crate::world::{DEACTIVATE, VALIDATE, all_with, device, question};

#[tokio::test]
async fn the_sixth_device_of_five_is_told_when_a_place_falls_free() {
    let (world, client, license) = all_with("PRO", 1).await;
    for n in 1..=5 {
        assert_eq!(client.post(VALIDATE, question(&license, n), 200).await.body["valid"], true);
    }
    let sixth = client.post(VALIDATE, question(&license, 6), 200).await;
    assert_eq!((&sixth.body["valid"], sixth.text("/reason")), (&json!(false), "device_limit_exceeded"));
    assert!(sixth.text("/message").contains("5 of 5 devices"), "{}", sixth.text("/message"));
    assert!(sixth.text("/message").contains("24 hours"), "the bound is told: {}", sixth.text("/message"));
    assert_eq!(client.post(VALIDATE, question(&license, 3), 200).await.body["valid"], true, "the five go on");
    assert_eq!(world.number("select count from license_daily_counts where kind = 'device_refused'").await, 1);
}

#[tokio::test]
async fn fifty_devices_at_once_get_five_places() {
    let (_world, client, license) = all_with("PRO", 1).await;
    let answers = join_all((0..50).map(|n| client.post_until_served(VALIDATE, question(&license, n)))).await;
    assert_eq!(answers.iter().filter(|a| a.body["valid"] == true).count(), 5);
}

#[tokio::test]
async fn swapping_devices_again_and_again_leaves_no_more_of_them_valid_than_places() {
    let (world, client, license) = all_with("PRO", 1).await;
    let mut valid = 0;
    for n in 0..20 {
        // An operator takes every device away before the next one comes.
        world.sql("update devices set removed_at = now()").await;
        let answer = client.post(VALIDATE, question(&license, n), 200).await;
        if answer.body["valid"] == true {
            valid += 1;
        } else {
            assert_eq!(answer.text("/reason"), "device_limit_exceeded");
            assert!(
                answer.text("/message").contains("activated on 5 devices in the last 24 hours"),
                "{:#}",
                answer.body
            );
        }
    }
    assert_eq!(valid, 5, "no more than five tokens are out there");
    // A day later there is room again.
    world.sql("update devices set activated_at = now() - interval '25 hours'").await;
    assert_eq!(client.post(VALIDATE, question(&license, 99), 200).await.body["valid"], true);
}

#[tokio::test]
async fn a_place_falls_free_when_its_device_was_not_used_for_the_whole_grace() {
    let (world, client, license) = all_with("FREE", 1).await;
    client.post(VALIDATE, question(&license, 1), 200).await;
    assert_eq!(client.post(VALIDATE, question(&license, 2), 200).await.body["valid"], false);
    world
        .sql("update devices set activated_at = now() - interval '8 days', valid_until = now() - interval '1 day'")
        .await;
    assert_eq!(client.post(VALIDATE, question(&license, 2), 200).await.body["valid"], true);
    assert_eq!(client.post(VALIDATE, question(&license, 1), 200).await.body["valid"], false);
}

#[tokio::test]
async fn a_device_gives_its_place_back_and_another_one_takes_it() {
    let (world, client, license) = all_with("PRO", 1).await;
    for n in 1..=5 {
        client.post(VALIDATE, question(&license, n), 200).await;
    }
    // Yesterday, so that only the places are a limit.
    world.sql("update devices set activated_at = now() - interval '25 hours'").await;
    let sixth = client.post(VALIDATE, question(&license, 6), 200).await;
    let told = sixth.text("/message");
    assert!(told.contains("5 of 5 devices") && told.contains("`coditect deactivate`"), "{told}");
    assert!(!told.contains("24 hours"), "a limit that does not apply is not told: {told}");

    let give_back = |n: usize| json!({"license_key": license.key.to_string(), "machine_id": device(n)});
    for _ in 0..2 {
        let answer = client.post(DEACTIVATE, give_back(2), 200).await;
        assert_eq!(answer.body, json!({"status": "deactivated", "next_activation_at": null}));
    }
    assert_eq!(client.post(VALIDATE, question(&license, 6), 200).await.body["valid"], true);
    // The place is gone, and the device comes back as any other does.
    assert_eq!(client.post(VALIDATE, question(&license, 2), 200).await.body["valid"], false);
    assert_eq!(
        world.number("select count(*) from audit_log where action = 'device.deactivated'").await,
        1,
        "what changes nothing is not noted"
    );

    let unknown = json!({"license_key": "CODITECT-PRO-A7F3E9D2C4B1-D3W4", "machine_id": device(1)});
    assert_eq!(client.post(DEACTIVATE, unknown, 401).await.text("/code"), "invalid_license_key");
}

#[tokio::test]
async fn a_place_that_is_free_and_activations_that_are_used_up_are_one_message_with_its_end() {
    let (world, client, license) = all_with("PRO", 1).await;
    for n in 1..=5 {
        client.post(VALIDATE, question(&license, n), 200).await;
        world
            .sql(&format!(
                "update devices set activated_at = now() - interval '{n} hours' where machine_id = '{}'",
                device(n)
            ))
            .await;
    }
    let give_back = json!({"license_key": license.key.to_string(), "machine_id": device(1)});
    let answer = client.post(DEACTIVATE, give_back, 200).await;
    // The oldest of the five activations was five hours ago.
    let end = world
        .number("select floor(extract(epoch from min(activated_at) + interval '1 day'))::bigint from devices")
        .await;
    let end = jiff::Timestamp::from_second(end).unwrap().strftime("%Y-%m-%dT%H:%M").to_string();
    assert!(answer.text("/next_activation_at").starts_with(&end), "{:#} and not {end}", answer.body);
    let refused = client.post(VALIDATE, question(&license, 6), 200).await;
    let told = refused.text("/message");
    assert!(told.contains("There is a free place") && told.contains("24 hours"), "{told}");
    assert!(told.contains(&end.replace('T', " at ")), "{told} and not {end}");
    assert!(!told.contains("5 of 5"), "{told}");
}

#[tokio::test]
async fn a_device_that_comes_and_goes_leaves_an_entry_of_each_a_day() {
    let (world, client, license) = all_with("ENT", 1).await;
    let give_back = json!({"license_key": license.key.to_string(), "machine_id": device(1)});
    for _ in 0..5 {
        assert_eq!(client.post(VALIDATE, question(&license, 1), 200).await.body["valid"], true);
        client.post(DEACTIVATE, give_back.clone(), 200).await;
    }
    let entries = "select count(*) from audit_log where actor = 'license key'";
    assert_eq!(world.number(entries).await, 2);
    let named = format!("{entries} and license_id = '{}' and detail ->> 'machine_id' = '{}'", license.id, device(1));
    assert_eq!(world.number(&named).await, 2);
    client.post(VALIDATE, question(&license, 2), 200).await;
    assert_eq!(world.number(entries).await, 3);
    // The ids of yesterday's entries are others.
    world.sql("update audit_log set id = gen_random_uuid(), at = at - interval '1 day'").await;
    client.post(VALIDATE, question(&license, 1), 200).await;
    assert_eq!(world.number(entries).await, 4);
}

#[tokio::test]
async fn a_plan_with_any_number_of_places_activates_ten_thousand_devices_a_day() {
    let (world, client, license) = all_with("ENT", 1).await;
    let sql = format!(
        "insert into devices (tenant_id, license_id, machine_id, activated_at, valid_until)
         select '{}', '{}', lpad(n::text, 64, '0'), now() - interval '1 day' + n * interval '1 second', now() + interval '6 days'
         from generate_series(1, 10000) n",
        license.tenant, license.id
    );
    world.sql(&sql).await;
    let refused = client.post(VALIDATE, question(&license, 20_001), 200).await;
    assert_eq!(refused.text("/reason"), "device_limit_exceeded");
    let told = refused.text("/message");
    assert!(told.contains("in the last 24 hours") && !told.contains(" 0 "), "{told}");
    let rows = "select count(*) from devices";
    assert_eq!(world.number(rows).await, 10_000);
    let oldest =
        "update devices set activated_at = activated_at - interval '1 hour' where machine_id = lpad('1', 64, '0')";
    world.sql(oldest).await;
    assert_eq!(client.post(VALIDATE, question(&license, 20_001), 200).await.body["valid"], true);
    assert_eq!(client.post(VALIDATE, question(&license, 20_002), 200).await.body["valid"], false);
}
