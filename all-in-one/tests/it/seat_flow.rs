//! A seat is taken, kept and given back.

use std::collections::HashSet;

use futures_util::future::join_all;
use serde_json::json;
use testing::http::Method;
use testing::process::until;
use tokio::io::AsyncWriteExt as _;

use crate::world::{ACQUIRE, HEARTBEAT, RELEASE, Seat, VALIDATE, all_with, device, question, seat, signed_in};

#[tokio::test]
async fn a_key_is_validated_and_a_seat_taken_kept_and_given_back() {
    let (_world, client, license) = all_with("TEAM", 5).await;
    let valid = client.post(VALIDATE, question(&license, 1), 200).await;
    assert_eq!(valid.body["valid"], true, "{:#}", valid.body);
    assert_eq!(valid.text("/tier"), "TEAM");

    let caller = signed_in(&client, &license).await;
    let first = caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 201).await;
    assert_eq!(first.body["seats"], json!({"limit": 5, "in_use": 1}));
    let again = caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 200).await;
    assert_eq!(again.text("/session_id"), first.text("/session_id"));

    let seat = Seat::of(&client, &first);
    let beat = seat.beat(200).await;
    assert_eq!(beat.text("/status"), "ok");
    seat.release(200).await;
    assert_eq!(seat.release(200).await.text("/status"), "released");
    let ended = seat.beat(410).await;
    assert_eq!((ended.text("/code"), ended.text("/reason")), ("session_ended", "released"));
}

#[tokio::test]
async fn the_sixth_of_five_is_refused_with_a_time() {
    let (world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    for n in 1..=5 {
        seat(&caller, n).await;
    }
    let refused = caller.post(ACQUIRE, json!({"hardware_id": device(6)}), 409).await;
    assert_eq!(refused.text("/code"), "no_seats_available");
    assert_eq!(refused.body["seats"], json!({"limit": 5, "in_use": 5}));
    let wait = refused.body["retry_after_seconds"].as_u64().unwrap();
    assert!((300..=360).contains(&wait), "{wait}");
    assert_eq!(refused.header("retry-after"), wait.to_string());
    assert_eq!(world.number("select count from license_daily_counts where kind = 'seat_refused'").await, 1);
}

#[tokio::test]
async fn two_hundred_at_once_for_five_seats_are_five_and_a_hundred_and_ninety_five() {
    let (world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let answers =
        join_all((0..200).map(|n| caller.post_until_served(ACQUIRE, json!({"hardware_id": device(n)})))).await;
    let (seated, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.status == 201);
    assert_eq!((seated.len(), refused.len()), (5, 195));
    for answer in refused {
        assert_eq!((answer.status, answer.text("/code")), (409, "no_seats_available"), "{:#}", answer.body);
        assert_eq!(answer.body["seats"], json!({"limit": 5, "in_use": 5}));
    }
    for answer in seated {
        Seat::of(&client, answer).beat(200).await;
    }
    assert_eq!(world.number("select count(*) from sessions where ended_at is null").await, 5);
    assert_eq!(world.number("select count from license_daily_counts where kind = 'seat_refused'").await, 195);
}

#[tokio::test]
async fn fifty_identical_acquires_and_releases_at_once_are_one() {
    let (world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let answers = join_all((0..50).map(|_| caller.post_until_served(ACQUIRE, json!({"hardware_id": device(1)})))).await;
    let sessions: HashSet<_> = answers.iter().map(|a| a.text("/session_id")).collect();
    assert_eq!(sessions.len(), 1);
    for answer in &answers {
        assert_eq!(answer.text("/license_token").split('.').count(), 3, "each answer has a whole token");
    }
    let seat = Seat::of(&client, &answers[0]);
    for answer in join_all((0..50).map(|_| seat.release(200))).await {
        assert_eq!(answer.body, json!({"status": "released"}));
    }
    assert_eq!(world.number("select count(*) from sessions").await, 1);
}

/// Two homes on one machine, or two machines with one id.
#[tokio::test]
async fn a_shared_session_ends_with_the_last_of_those_who_share_it() {
    let (world, client, license) = all_with("TEAM", 1).await;
    let caller = signed_in(&client, &license).await;
    let [ann, bob] = ["01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"];
    let acquire = |instance: &str| json!({"hardware_id": device(1), "instance": instance});
    let first = caller.post(ACQUIRE, acquire(ann), 201).await;
    let second = caller.post(ACQUIRE, acquire(bob), 200).await;
    assert_eq!(first.text("/session_id"), second.text("/session_id"));
    let seat = Seat::of(&client, &second);
    let body = |instance: &str| json!({"session_id": first.text("/session_id"), "instance": instance});
    seat.own.post(HEARTBEAT, body(ann), 200).await;

    let released = seat.own.post(RELEASE, body(ann), 200).await;
    assert_eq!(released.body, json!({"status": "released"}));
    caller.post(ACQUIRE, json!({"hardware_id": device(2)}), 409).await;
    seat.own.post(HEARTBEAT, body(bob), 200).await;
    world.redis.flush().await;
    seat.own.post(RELEASE, body(ann), 200).await;
    seat.own.post(HEARTBEAT, body(bob), 200).await;

    seat.own.post(RELEASE, body(bob), 200).await;
    let ended = seat.own.post(HEARTBEAT, body(bob), 410).await;
    assert_eq!((ended.text("/code"), ended.text("/reason")), ("session_ended", "released"));
    caller.post(ACQUIRE, json!({"hardware_id": device(2)}), 201).await;
    let wrong = json!({"session_id": first.text("/session_id"), "instance": "ann's"});
    assert_eq!(seat.own.post(RELEASE, wrong, 422).await.text("/code"), "validation_failed");
}

#[tokio::test]
async fn an_acquire_whose_answer_was_lost_on_the_way_is_found_by_asking_again() {
    let (world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    // Written by hand, so that the connection can be dropped before anything is read.
    let body = json!({"hardware_id": device(1)}).to_string();
    let token = caller.credential();
    let host = client.url().trim_start_matches("http://");
    let mut connection = tokio::net::TcpStream::connect(host).await.unwrap();
    let request = format!(
        "POST {ACQUIRE} HTTP/1.1\r\nhost: {host}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).await.unwrap();
    until("the session is there", || async { world.number("select count(*) from sessions").await == 1 }).await;
    drop(connection);
    let found = caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 200).await;
    Seat::of(&client, &found).beat(200).await;
    assert_eq!(world.number("select count(*) from sessions").await, 1);
}

#[tokio::test]
async fn an_idempotency_key_gives_the_same_answer_and_no_other_request_may_use_it() {
    let (world, client, license) = all_with("TEAM", 1).await;
    let caller = signed_in(&client, &license).await;
    let with_key = |key: &str, n: usize| {
        caller.request(Method::POST, ACQUIRE).header("idempotency-key", key).json(&json!({"hardware_id": device(n)}))
    };
    let first = client.send(with_key("a", 1), 201).await;
    let repeated = client.send(with_key("a", 1), 201).await;
    assert_eq!(first.body, repeated.body, "the same answer, also its status");
    let other = client.send(with_key("a", 2), 422).await;
    assert_eq!(other.text("/code"), "idempotency_key_reused");

    // A refusal is not kept: once the seat is free, the same key gets it.
    client.send(with_key("b", 2), 409).await;
    Seat::of(&client, &first).release(200).await;
    client.send(with_key("b", 2), 201).await;

    // Another caller's key is another key.
    let elsewhere = world.license(world.tenant("elsewhere").await, "TEAM", 1).await;
    let stranger = signed_in(&client, &elsewhere).await;
    let request = stranger.request(Method::POST, ACQUIRE).header("idempotency-key", "a");
    client.send(request.json(&json!({"hardware_id": device(2)})), 201).await;

    let invalid = caller.request(Method::POST, ACQUIRE).header("idempotency-key", "x".repeat(256));
    client.send(invalid.json(&json!({"hardware_id": device(1)})), 422).await;

    // After a day it is a key like any other.
    world.sql("update idempotency_keys set created_at = now() - interval '25 hours'").await;
    let fresh = client.send(with_key("a", 2), 200).await;
    assert_ne!(fresh.text("/session_id"), first.text("/session_id"));
}

#[tokio::test]
async fn a_caller_has_ten_thousand_idempotency_keys_in_a_day() {
    let (world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let with_key = |key: &str| {
        caller.request(Method::POST, ACQUIRE).header("idempotency-key", key).json(&json!({"hardware_id": device(1)}))
    };
    client.send(with_key("mine"), 201).await;
    // As many as there may be, and of the day before some that are removed little by little.
    let sql = "insert into idempotency_keys (tenant_id, operation, caller, key, body_hash, created_at)
        select k.tenant_id, k.operation, k.caller, 'key ' || n, ''::bytea, now() - interval '23 hours' - n * interval '0.01 seconds'
        from idempotency_keys k, generate_series(1, 9998) n
        union all
        select k.tenant_id, k.operation, k.caller, 'old key ' || n, ''::bytea, now() - interval '25 hours'
        from idempotency_keys k, generate_series(1, 50) n";
    world.sql(sql).await;
    let old = "select count(*) from idempotency_keys where key like 'old key %'";
    client.send(with_key("the-last-one"), 200).await;
    assert_eq!(world.number(old).await, 30);

    let refused = client.send(with_key("one-more"), 429).await;
    assert_eq!(refused.text("/code"), "rate_limited");
    assert!(refused.text("/detail").contains("Idempotency-Key"), "{:#}", refused.body);
    let seconds = refused.body["retry_after_seconds"].as_u64().unwrap();
    assert!((3400..=3600).contains(&seconds), "{seconds}");
    assert_eq!(world.number("select count(*) from idempotency_keys where key = 'one-more'").await, 0);
    assert_eq!(world.number(old).await, 10);

    // A kept answer is given again, requests without a key go on, and so does every other caller.
    client.send(with_key("mine"), 201).await;
    caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 200).await;
    let elsewhere = world.license(world.tenant("elsewhere").await, "TEAM", 1).await;
    let stranger = signed_in(&client, &elsewhere).await;
    let request = stranger.request(Method::POST, ACQUIRE).header("idempotency-key", "one-more");
    client.send(request.json(&json!({"hardware_id": device(2)})), 201).await;

    world.sql("update idempotency_keys set created_at = now() - interval '25 hours' where key = 'key 7'").await;
    client.send(with_key("one-more"), 200).await;
}

#[tokio::test]
async fn an_answer_under_a_key_is_given_again_only_while_it_holds() {
    let (world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let again = |n: usize| {
        let key = format!("key-{n}");
        caller.request(Method::POST, ACQUIRE).header("idempotency-key", key).json(&json!({"hardware_id": device(n)}))
    };
    let (first, second) = (client.send(again(1), 201).await, client.send(again(2), 201).await);
    let state = |state: &str| format!("update licenses set state = '{state}' where id = '{}'", license.id);
    world.sql(&state("suspended")).await;
    let refused = client.send_any(again(1)).await;
    assert_eq!((refused.text("/code"), refused.text("/reason")), ("license_inactive", "suspended"));
    world.sql(&state("active")).await;
    assert_eq!(client.send(again(1), 201).await.body, first.body);

    Seat::of(&client, &first).release(200).await;
    let session = second.text("/session_id");
    let revoke = format!("update sessions set ended_at = now(), ended_reason = 'revoked' where id = '{session}'");
    world.sql(&revoke).await;
    for (n, reason) in [(1, "released"), (2, "revoked")] {
        let ended = client.send(again(n), 410).await;
        assert_eq!((ended.text("/code"), ended.text("/reason")), ("session_ended", reason));
    }
}

#[tokio::test]
async fn five_die_five_others_sit_down_and_only_the_dead_are_refused() {
    let (world, client, license) = all_with("TEAM", 5).await;
    let caller = signed_in(&client, &license).await;
    let mut dead = Vec::new();
    for n in 1..=5 {
        dead.push(seat(&caller, n).await);
    }
    world.redis.age_seats(license.id, 360_000).await;
    let mut alive = Vec::new();
    for n in 11..=15 {
        alive.push(seat(&caller, n).await);
    }
    for seat in &dead {
        let ended = seat.beat(410).await;
        assert_eq!(ended.text("/reason"), "expired");
    }
    for seat in &alive {
        seat.beat(200).await;
    }
    caller.post(ACQUIRE, json!({"hardware_id": device(1)}), 409).await;
}
