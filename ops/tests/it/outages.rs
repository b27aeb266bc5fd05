//! Tests of commands while a server is down or silent: they exit with status 2 in time, and repeating them completes them.

use std::time::{Duration, Instant};

use testing::proxy::Proxy;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::clients::Clients;
use crate::ops_cli::{OpsCli, PASSWORD};

/// Timeout of a command while a server is down: far more than it takes, and far less than an operator would wait.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(8);

#[tokio::test]
async fn a_database_that_is_gone_or_silent_is_said_soon() {
    let ops = OpsCli::new().await;
    let proxy = Proxy::to_postgres().await;
    let url = format!("{} password={PASSWORD}", ops.world.db.url_through(&proxy, "coditect_owner"));
    let mut ops = ops.with("DATABASE_URL", Some(&url));
    ops.plain(&["tenant", "list"]).await;
    let gone = format!("postgresql://coditect_owner:{PASSWORD}@127.0.0.1:1/coditect");
    for (stalled, url) in [(true, url.as_str()), (false, url.as_str()), (false, gone.as_str())] {
        if stalled {
            proxy.stall()
        } else {
            proxy.cut()
        }
        ops.set("DATABASE_URL", Some(url));
        for args in [&["tenant", "list", "--json"][..], &["migrate", "--json"]] {
            let started = Instant::now();
            let ended = ops.run(args).await;
            assert!(started.elapsed() < COMMAND_TIMEOUT, "{args:?}: {:?}", started.elapsed());
            assert_eq!((ended.status, ended.err.as_str()), (2, ""), "{ended:?}");
            let sentence = ended.object()["error"].as_str().unwrap().to_owned();
            assert!(sentence.ends_with('.') && !sentence.contains('\n'), "{sentence}");
            if url == gone {
                assert!(sentence.contains("Connection refused"), "{sentence}");
            }
        }
    }
}

#[tokio::test]
async fn migrations_speak_tls_where_the_url_asks_for_it() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = listener.local_addr().unwrap();
    let first_byte = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut request = [0; 8];
        client.read_exact(&mut request).await.unwrap();
        client.write_all(b"S").await.unwrap();
        client.read_u8().await.unwrap()
    });
    let url = format!("postgresql://coditect_owner:{PASSWORD}@{server}/coditect?sslmode=require");
    let ops = OpsCli::new().await.with("DATABASE_URL", Some(&url));
    assert_eq!(ops.run(&["migrate"]).await.status, 2);
    assert_eq!(first_byte.await.unwrap(), 0x16, "a TLS handshake");
}

#[tokio::test]
async fn a_change_stands_while_redis_is_down_and_repeating_it_tells_redis() {
    let mut ops = OpsCli::new().await;
    let license = ops.license().await;
    let id = license.to_string();
    let clients = Clients::of(&ops, license).await;
    let ann = clients.seat("ann").await;
    let args = ["license", "set-seats", &id, "--seats", "1"];
    // A Redis that can't be reached from here, while the functions still reach theirs.
    let reached = ops.environment["REDIS_URL"].clone();
    ops.set("REDIS_URL", Some(&format!("redis://:{PASSWORD}@127.0.0.1:1")));
    for args in [&args[..], &["license", "suspend", &id], &["license", "resume", &id]] {
        let ended = ops.run(args).await;
        assert_eq!((ended.status, ended.out.as_str()), (2, ""), "{ended:?}");
        assert!(ended.err.contains("The change is made") && ended.err.contains("same command again"), "{ended:?}");
    }
    let ended = ops.run(&["license", "suspend", &id, "--json"]).await;
    assert_eq!((ended.status, ended.err.as_str()), (2, ""), "{ended:?}");
    assert!(ended.object()["error"].as_str().unwrap().contains("The change is made"));
    assert_eq!(ops.world.number("select count(*) from licenses where state = 'suspended' and seats = 1").await, 1);
    let shown = ops.json(&["license", "show", &id]).await;
    assert!(shown["state"] == "suspended" && shown["seats_in_use"].is_null(), "{shown}");
    assert!(clients.is_live(ann).await, "nobody told Redis yet");

    ops.set("REDIS_URL", Some(&reached));
    assert_eq!(ops.json(&["license", "suspend", &id]).await["state"], "suspended");
    assert_eq!(clients.heartbeat(ann).await, seats::ExtendOutcome::Inactive("suspended".to_owned()));
    ops.plain(&["license", "resume", &id]).await;
    clients.seat("bob").await;
    assert!(clients.is_full("carol").await);
}

#[tokio::test]
async fn an_eviction_stands_while_redis_is_down_and_repeating_it_frees_the_seat() {
    let mut ops = OpsCli::new().await;
    let license = ops.license().await;
    let clients = Clients::of(&ops, license).await;
    let (ann, id) = (clients.seat("ann").await, license.to_string());
    let session = ann.to_string();
    let reached = ops.environment["REDIS_URL"].clone();
    ops.set("REDIS_URL", Some(&format!("redis://:{PASSWORD}@127.0.0.1:1")));
    let sentence = ops.failed(&["seat", "evict", &session], 2).await;
    assert!(sentence.contains("has ended") && sentence.contains("same command again"), "{sentence}");
    assert_eq!(clients.ended(ann).await.as_deref(), Some("revoked"));
    assert!(ops.failed(&["seat", "list", &id], 2).await.contains("Something broke: redis"));
    assert!(clients.is_live(ann).await, "nobody told Redis yet");
    ops.set("REDIS_URL", Some(&reached));
    ops.plain(&["seat", "evict", &session]).await;
    assert!(!clients.is_live(ann).await);
    assert_eq!(ops.actions().await[2..], ["seat.evicted"]);
}

#[tokio::test]
async fn a_person_is_not_gone_before_redis_knows_and_repeating_it_frees_the_seat() {
    let mut ops = OpsCli::new().await;
    let license = ops.license().await;
    let clients = Clients::of(&ops, license).await;
    let ann = clients.seat("ann").await;
    let added = ops.json(&["user", "add", "--tenant", "acme", "--email", "ann@acme.test"]).await;
    let user = added["user_id"].as_str().unwrap();
    ops.world.sql(&format!("update sessions set user_id = '{user}' where id = '{ann}'")).await;
    let reached = ops.environment["REDIS_URL"].clone();
    ops.set("REDIS_URL", Some(&format!("redis://:{PASSWORD}@127.0.0.1:1")));
    let erase = ["person", "erase", user, "--tenant", "acme", "--now"];
    let sentence = ops.failed(&erase, 2).await;
    assert!(sentence.contains("have ended") && sentence.contains("same command again"), "{sentence}");
    assert_eq!(clients.ended(ann).await.as_deref(), Some("revoked"));
    assert!(clients.is_live(ann).await, "nobody told Redis yet");
    ops.set("REDIS_URL", Some(&reached));
    assert_eq!(ops.json(&erase).await["erased"]["sessions"], 1);
    assert!(!clients.is_live(ann).await);
    assert_eq!(ops.world.number(&format!("select count(*) from users where id = '{user}'")).await, 0);
}

#[tokio::test]
async fn what_needs_no_redis_works_without() {
    let mut ops = OpsCli::new().await;
    ops.world.redis.stop();
    ops.license().await;
    for args in [&["license", "list"][..], &["tenant", "list"], &["plan", "list"], &["keys", "list"], &["sweep"]] {
        ops.plain(args).await;
    }
}
