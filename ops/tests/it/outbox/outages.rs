//! Tests of deliveries while a mail server, Redis or the database is away, silent, or refuses us.

use std::time::{Duration, Instant};

use serde_json::json;
use testing::proxy::{Proxy, Upstream};

use super::Outbox;
use crate::clients::Clients;
use crate::ops_cli::PASSWORD;
use crate::sink::Sink;

#[tokio::test]
async fn a_mail_server_that_is_down_costs_nothing_but_time() {
    let sink = Sink::start();
    let mut outbox = Outbox::with(&sink).await;
    let proxy = Proxy::to(Upstream::Tcp(format!("127.0.0.1:{}", sink.port()))).await;
    let id = outbox.key_mail("ann@example.com").await;
    proxy.cut();
    for url in ["smtp://127.0.0.1:1".to_owned(), format!("smtp://{}", proxy.address())] {
        outbox.ops.set("SMTP_URL", Some(&url));
        let said = outbox.fails().await;
        assert!(said.contains("could not be used") && said.contains("tried again"), "{said}");
        outbox.wait().await;
    }
    assert_eq!(outbox.entry(id).await.state, "pending");
    proxy.resume();
    outbox.delivers().await;
    assert!(sink.mail().text().contains(&outbox.key.to_string()));
}

#[tokio::test]
async fn a_server_without_tls_gets_nothing_where_tls_is_asked_for() {
    let sink = Sink::start();
    let mut outbox = Outbox::with(&sink).await;
    let id = outbox.key_mail("ann@example.com").await;
    for attempt in 1..=4 {
        let (scheme, tls) = if attempt % 2 == 0 { ("smtps", "") } else { ("smtp", "?tls=required") };
        outbox.ops.set("SMTP_URL", Some(&format!("{scheme}://ann:{PASSWORD}@localhost:{}{tls}", sink.port())));
        outbox.fails().await;
        outbox.wait().await;
    }
    let entry = outbox.entry(id).await;
    assert_eq!((entry.state.as_str(), entry.attempts), ("pending", 4), "this is not the recipient's fault: {entry:?}");
    assert!(sink.mails().is_empty());
}

#[tokio::test]
async fn a_wrong_password_is_no_refusal_of_the_mail() {
    let sink = Sink::with(&["--login", "ann:owner-Pa55word"]);
    let mut outbox = Outbox::with(&sink).await;
    let id = outbox.key_mail("ann@example.com").await;
    for url in [format!("smtp://ann:{PASSWORD}wrong@127.0.0.1:{}", sink.port()), sink.url()] {
        outbox.ops.set("SMTP_URL", Some(&url));
        for _ in 0..2 {
            let said = outbox.fails().await;
            assert!(said.contains("The mail server answered 53"), "{said}");
            outbox.wait().await;
        }
    }
    outbox.ops.set("SMTP_URL", Some(&format!("smtp://ann:{PASSWORD}@127.0.0.1:{}", sink.port())));
    let entry = outbox.entry(id).await;
    assert_eq!((entry.attempts, entry.state.as_str()), (4, "pending"), "{entry:?}");
    outbox.delivers().await;
    sink.mail();
}

#[tokio::test]
async fn a_server_that_says_nothing_holds_up_nobody_else() {
    let sink = Sink::start();
    let outbox = Outbox::with(&sink).await;
    sink.rules(&json!({"slow@example.com": {"hang": true}}));
    let slow = outbox.key_mail("slow@example.com").await;
    let other = outbox.key_mail("ann@example.com").await;
    let started = Instant::now();
    let (said, ()) = tokio::join!(outbox.fails(), async {
        testing::process::until("the other mail to be there", || async { sink.mails().len() == 1 }).await;
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    });
    assert!(said.contains("did not answer within 30 s"), "{said}");
    assert_eq!((outbox.state(slow).await.as_str(), outbox.state(other).await.as_str()), ("pending", "delivered"));
    sink.rules(&json!({}));
    outbox.wait().await;
    outbox.delivers().await;
    assert_eq!(sink.mails().len(), 2);
}

#[tokio::test]
async fn seats_are_told_when_redis_is_back() {
    let mut outbox = Outbox::new().await;
    let clients = Clients::of(&outbox.ops, outbox.license).await;
    let ann = clients.seat("ann").await;
    let suspend = "update licenses set standing = 'disputed', revision = revision + 1";
    outbox.ops.world.sql(suspend).await;
    let id = outbox.seats_changed().await;
    let reached = outbox.ops.environment["REDIS_URL"].clone();
    outbox.ops.set("REDIS_URL", Some("redis://127.0.0.1:1"));
    assert!(outbox.fails().await.contains("redis"));
    assert_eq!(outbox.state(id).await, "pending");
    assert!(clients.is_live(ann).await, "nobody told Redis yet");

    outbox.ops.set("REDIS_URL", Some(&reached));
    outbox.wait().await;
    outbox.delivers().await;
    assert_eq!(clients.heartbeat(ann).await, seats::ExtendOutcome::Inactive("suspended".to_owned()));
    assert_eq!(outbox.state(id).await, "delivered");

    // Redis gets the terms of the time of delivery, not those of the time when the entry was written.
    outbox.seats_changed().await;
    outbox.ops.world.sql("update licenses set standing = 'good', seats = 1, revision = revision + 1").await;
    outbox.delivers().await;
    assert!(clients.is_live(ann).await, "Redis knows that the dispute is over");
}

#[tokio::test]
async fn a_database_that_is_away_is_status_two() {
    let sink = Sink::start();
    let mut outbox = Outbox::with(&sink).await;
    let id = outbox.key_mail("ann@example.com").await;
    let reached = outbox.ops.environment["DATABASE_URL"].clone();
    outbox.ops.set("DATABASE_URL", Some(&format!("postgresql://coditect_owner:{PASSWORD}@127.0.0.1:1/coditect")));
    let ended = outbox.ops.run(&["outbox", "deliver"]).await;
    assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{ended:?}");
    assert!(ended.err.contains("Connection refused"), "{ended:?}");
    let ended = outbox.ops.run(&["outbox", "deliver", "--json"]).await;
    assert_eq!((ended.status, ended.err.as_str()), (2, ""), "{ended:?}");
    assert!(ended.object()["error"].as_str().unwrap().contains("Connection refused"));

    // The database goes away between sending and marking.
    outbox.ops.set("DATABASE_URL", Some(&reached));
    sink.rules(&json!({"ann@example.com": {"hold": true}}));
    let mut sql = outbox.ops.world.db.connect("postgres").await;
    let (ended, tx) = tokio::join!(outbox.ops.run(&["outbox", "deliver"]), async {
        testing::process::until("the mail to be there", || async { sink.mails().len() == 1 }).await;
        let tx = sql.transaction().await.unwrap();
        tx.execute("select 1 from outbox where id = $1 for update", &[&id]).await.unwrap();
        sink.go();
        tx
    });
    assert_eq!(ended.status, 2, "{ended:?}");
    assert!(ended.err.contains("will be delivered once more"), "{ended:?}");
    drop(tx);
    outbox.wait().await;
    outbox.delivers().await;
    assert_eq!((sink.mails().len(), outbox.state(id).await.as_str()), (2, "delivered"));
}

#[tokio::test]
async fn under_another_pepper_a_key_waits_for_the_right_one() {
    let sink = Sink::start();
    let mut outbox = Outbox::with(&sink).await;
    let id = outbox.key_mail("ann@example.com").await;
    let pepper = outbox.ops.environment["LICENSE_KEY_PEPPER"].clone();
    outbox.ops.set("LICENSE_KEY_PEPPER", Some(&"ab".repeat(32)));
    assert!(outbox.fails().await.contains("LICENSE_KEY_PEPPER is not the one"));
    outbox.ops.set("LICENSE_KEY_PEPPER", Some(&pepper));
    outbox.wait().await;
    outbox.delivers().await;
    assert!(sink.mail().text().contains(&outbox.key.to_string()));
    assert_eq!(outbox.state(id).await, "delivered");
}
