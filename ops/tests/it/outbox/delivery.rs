//! Tests that an entry is delivered at least once after faults, and once without them.

use std::collections::HashSet;
use std::process::Stdio;

use serde_json::json;
use testing::process::until;

use super::Outbox;
use crate::ops_cli::{command, output};
use crate::sink::Sink;

#[tokio::test]
async fn a_crash_between_sending_and_marking_sends_it_again_under_the_same_id() {
    let sink = Sink::start();
    let outbox = Outbox::with(&sink).await;
    sink.rules(&json!({"ann@example.com": {"hold": true}}));
    let id = outbox.key_mail("ann@example.com").await;
    let mut first = command(&outbox.ops.environment, &["outbox", "deliver"]).stderr(Stdio::null()).spawn().unwrap();
    until("the mail to be there", || async { sink.mails().len() == 1 }).await;
    // The server says that it has it, and the entry can't be marked while we hold it.
    let mut sql = outbox.ops.world.db.connect("postgres").await;
    let tx = sql.transaction().await.unwrap();
    tx.execute("select 1 from outbox where id = $1 for update", &[&id]).await.unwrap();
    sink.go();
    let waits = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    until("the deliverer to mark it", || async { outbox.ops.world.number(waits).await == 1 }).await;
    first.kill().unwrap();
    first.wait().unwrap();
    drop(tx);
    let entry = outbox.entry(id).await;
    assert_eq!((entry.state.as_str(), entry.attempts, entry.has_secret), ("pending", 1, true));

    outbox.delivers().await;
    assert_eq!(sink.mails().len(), 1, "its lease holds for five minutes");
    assert!((200..=300).contains(&entry.seconds), "{entry:?}");
    outbox.wait().await;
    outbox.delivers().await;
    let mails = sink.mails();
    assert_eq!(mails.len(), 2);
    assert_eq!(mails[0].header("Message-ID"), mails[1].header("Message-ID"));
    let entry = outbox.entry(id).await;
    assert_eq!((entry.state.as_str(), entry.attempts, entry.has_secret), ("delivered", 2, false));
}

#[tokio::test]
async fn several_deliverers_at_once_send_each_mail_once() {
    let sink = Sink::start();
    let outbox = Outbox::with(&sink).await;
    let mut ids = HashSet::new();
    for number in 0..40 {
        let id = outbox.key_mail(&format!("user{number}@example.com")).await;
        ids.insert(format!("<{id}@coditect.ai>"));
    }
    let deliver = || output(command(&outbox.ops.environment, &["outbox", "deliver"]));
    let (a, b, c) = tokio::join!(deliver(), deliver(), deliver());
    let mails = sink.mails();
    assert!([&a, &b, &c].iter().all(|ended| ended.status == 0), "{a:?} {b:?} {c:?}");
    assert_eq!(mails.len(), 40);
    assert_eq!(mails.iter().map(|m| m.header("Message-ID").to_owned()).collect::<HashSet<_>>(), ids);
    assert_eq!(
        outbox.ops.world.number("select count(*) from outbox where delivered_at is not null and attempts = 1").await,
        40
    );
    let connections: HashSet<_> = mails.iter().map(|m| m.0["connection"].as_i64()).collect();
    assert!(connections.len() <= 24, "connections are used again: {connections:?}");
}

#[tokio::test]
async fn what_is_refused_for_now_waits_longer_each_time_and_is_given_up_after_twelve() {
    let sink = Sink::start();
    let outbox = Outbox::with(&sink).await;
    sink.rules(&json!({"ann@example.com": {"rcpt": "451 4.7.1 Greylisted, come back"}}));
    let id = outbox.key_mail("ann@example.com").await;
    for attempt in 1..=12_i32 {
        let said = outbox.fails().await;
        assert!(said.contains("451 4.7.1 Greylisted, come back"), "{said}");
        let entry = outbox.entry(id).await;
        assert_eq!((entry.attempts, entry.has_secret), (attempt, true));
        assert!(entry.error.contains("451 4.7.1"), "{entry:?}");
        if attempt < 12 {
            assert_eq!(entry.state, "pending");
            let seconds = (60 << (attempt - 1)).min(21_600);
            let wait = (f64::from(seconds) * 0.7) as i64..=(f64::from(seconds) * 1.3) as i64;
            assert!(wait.contains(&entry.seconds), "attempt {attempt}: {entry:?}");
        } else {
            assert_eq!(entry.state, "dead");
        }
        outbox.wait().await;
    }
    outbox.delivers().await;
    assert_eq!(outbox.entry(id).await.attempts, 12, "the dead are left alone");

    sink.rules(&json!({}));
    outbox.ops.plain(&["outbox", "retry", &id.to_string()]).await;
    outbox.delivers().await;
    assert!(sink.mail().text().contains(&outbox.key.to_string()));
    let entry = outbox.entry(id).await;
    assert_eq!((entry.state.as_str(), entry.attempts, entry.error.as_str()), ("delivered", 1, ""));
}

#[tokio::test]
async fn what_is_refused_for_good_is_given_up_after_three_and_a_retry_brings_it_back() {
    let sink = Sink::start();
    let outbox = Outbox::with(&sink).await;
    for (address, rule) in [
        ("gone@example.com", json!({"rcpt": "550 5.1.1 No such user"})),
        // A server may well repeat what it refuses.
        ("spam@example.com", json!({"data": "554 5.7.1 Not wanted: {mail}"})),
    ] {
        sink.rules(&json!({address: rule}));
        let id = outbox.key_mail(address).await;
        for attempt in 1..=3 {
            let said = outbox.fails().await;
            assert_eq!(said.contains("ops outbox retry"), attempt == 3, "{said}");
            let entry = outbox.entry(id).await;
            assert_eq!(entry.state, if attempt == 3 { "dead" } else { "pending" }, "{entry:?}");
            outbox.wait().await;
        }
        let entry = outbox.entry(id).await;
        assert!(
            entry.error.contains("550 5.1.1 No such user") || entry.error.contains("repeats the license key"),
            "{entry:?}"
        );
        outbox.delivers().await;
        let before = sink.mails().len();
        sink.rules(&json!({}));
        outbox.ops.plain(&["outbox", "retry", &id.to_string()]).await;
        outbox.delivers().await;
        assert_eq!((sink.mails().len(), outbox.state(id).await.as_str()), (before + 1, "delivered"));
    }
}

#[tokio::test]
async fn a_bad_entry_holds_nobody_up() {
    let sink = Sink::start();
    let outbox = Outbox::with(&sink).await;
    sink.rules(&json!({"gone@example.com": {"rcpt": "550 5.1.1 No such user"}}));
    let nowhere = protocol::id::LicenseId::new();
    let bad = [
        outbox.key_mail("gone@example.com").await,
        outbox.add("mail", json!({}), false).await,
        outbox.add("mail", json!([1]), true).await,
        outbox.add("seats", json!({"license_id": "none"}), false).await,
        outbox.add("seats", json!({"license_id": nowhere}), false).await,
        // The key was wiped, or never there.
        outbox.add("mail", outbox.about_key(Some("ann@example.com")), false).await,
        outbox.add("mail", json!({"to": "ann@example.com", "license_id": nowhere, "plan": "PRO", "about": "ending", "at": i64::MAX}), false).await,
    ];
    // One that was leased over and over, and whose deliverer died each time.
    let fatal = outbox.key_mail("fatal@example.com").await;
    outbox.ops.world.sql(&format!("update outbox set attempts = 12 where id = '{fatal}'")).await;
    let good = outbox.key_mail("ann@example.com").await;
    let said = outbox.fails().await;
    assert!(said.contains("1 delivered. 8 could not be delivered"), "{said}");
    assert_eq!(outbox.state(good).await, "delivered");
    assert_eq!(sink.mail().recipients(), &json!(["ann@example.com"]));
    assert_eq!(outbox.state(bad[0]).await, "pending");
    for id in bad[1..].iter().chain([&fatal]) {
        let entry = outbox.entry(*id).await;
        assert!(entry.state == "dead" && entry.error.ends_with('.'), "{entry:?}");
    }
}

#[tokio::test]
async fn entries_that_others_hold_hide_none_behind_them() {
    let sink = Sink::start();
    let outbox = Outbox::with(&sink).await;
    for _ in 0..70 {
        outbox.seats_changed().await;
    }
    let last = outbox.key_mail("ann@example.com").await;
    let mut sql = outbox.ops.world.db.connect("postgres").await;
    let tx = sql.transaction().await.unwrap();
    tx.execute("select 1 from outbox where kind = 'seats' for update", &[]).await.unwrap();
    outbox.delivers().await;
    assert_eq!(outbox.state(last).await, "delivered");
    drop(tx);
    outbox.delivers().await;
    assert_eq!(outbox.ops.world.number("select count(*) from outbox where delivered_at is null").await, 0);
}

#[tokio::test]
async fn watching_goes_on_until_it_is_told_to_stop() {
    let sink = Sink::start();
    let outbox = Outbox::with(&sink).await;
    let sentence = outbox.ops.run(&["outbox", "deliver", "--watch", "1", "--json"]).await;
    assert_eq!(sentence.status, 64, "{sentence:?}");
    let mut watcher = command(&outbox.ops.environment, &["outbox", "deliver", "--watch", "1"]);
    let watcher = watcher.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    for number in 1..=2 {
        outbox.key_mail("ann@example.com").await;
        until("the mail to be there", || async { sink.mails().len() == number }).await;
    }
    sink.rules(&json!({"ann@example.com": {"hold": true}}));
    let last = outbox.key_mail("ann@example.com").await;
    until("the last mail to be there", || async { sink.mails().len() == 3 }).await;
    let stopped = std::process::Command::new("kill").arg(watcher.id().to_string()).status().unwrap();
    assert!(stopped.success());
    sink.go();
    let ended = tokio::task::spawn_blocking(move || watcher.wait_with_output()).await.unwrap().unwrap();
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert_eq!(outbox.state(last).await, "delivered", "what is under way is finished");
}
