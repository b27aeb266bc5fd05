//! Licenses with so many sessions that they are restored in pages.

use std::time::{Duration, Instant};

use seats::{AcquireOutcome, ExtendOutcome, UNNAMED};
use testing::process::until;

use crate::deployment::{Deployment, TTL_MS};

/// The number of open sessions that are written; CODITECT_SESSIONS asks for more.
fn many() -> i32 {
    std::env::vars().find(|(name, _)| name == "CODITECT_SESSIONS").map_or(3500, |(_, number)| number.parse().unwrap())
}

/// A license whose seats are all taken, as its rows say, by holders 0, 1, ….
async fn full(sessions: i32) -> Deployment {
    let d = Deployment::new(sessions).await;
    let sql = "insert into sessions (id, tenant_id, license_id, holder, hardware_id, grant_number, seat)
        select gen_random_uuid(), tenant_id, id, 'subject/' || n, 'machine', n + 1, n + 1
        from licenses, generate_series(0, seats - 1) n where id = $1";
    d.sql.execute(sql, &[&d.license.as_uuid()]).await.unwrap();
    d
}

async fn held(d: &Deployment) -> u32 {
    match d.acquire(usize::MAX).await {
        Ok(AcquireOutcome::Full { in_use, .. }) => in_use,
        // It takes longer than a request waits: the next one finds it.
        Err(_) => 0,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_session_of_a_large_license_is_restored_while_others_go_on() {
    let sessions = many();
    let d = full(sessions).await;
    let other = d.another_license(1).await;
    let grant = other.seat(1).await;
    let mut slowest = Duration::ZERO;
    let restored = async {
        while held(&d).await != sessions.unsigned_abs() {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
    };
    tokio::pin!(restored);
    let started = Instant::now();
    loop {
        tokio::select! {
            () = &mut restored => break,
            () = tokio::time::sleep(Duration::from_millis(5)) => {
                let asked = Instant::now();
                assert!(other.is_live(grant.session, UNNAMED).await);
                slowest = slowest.max(asked.elapsed());
            }
        }
    }
    eprintln!("{sessions} restored in {:?}; others waited {slowest:?} at most", started.elapsed());
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
    let (first, last) = (d.seat(0).await, d.seat(usize::try_from(sessions).unwrap() - 1).await);
    assert!(!first.new && !last.new);
    // Room is found between them, and no seat has two sessions.
    d.release(first.session, UNNAMED).await;
    assert_eq!(d.seat(usize::MAX).await.seat, Some(1));
    assert!(matches!(d.heartbeat(last.session).await, ExtendOutcome::Live(_)));
}

#[tokio::test]
async fn half_a_restore_is_not_taken_for_a_whole_one() {
    let d = full(2500).await;
    // The license's lock lets the rows be read once; then nothing is written to Redis, and what was is lost.
    let lock = format!("select pg_advisory_lock(hashtextextended('{}', 1))", d.license);
    d.sql.batch_execute(&lock).await.unwrap();
    let asked = d.acquire(usize::MAX);
    let between = async {
        let marker = d.key("restoring");
        until("a restore has begun", || async { d.world.redis.command(&["EXISTS", &marker]).await.contains('1') })
            .await;
        let before = d.terms().await.generation;
        d.sql.batch_execute("select pg_advisory_unlock_all()").await.unwrap();
        let aside = d.key(&format!("live:{}", before + 1));
        until("a page is there", || async { !d.world.redis.command(&["ZCARD", &aside]).await.contains("(0)") }).await;
        d.world.redis.flush().await;
    };
    let _ = tokio::join!(asked, between);
    until("all are restored", || async { held(&d).await == 2500 }).await;
    assert_eq!(d.live().await.len(), 2500);
}

#[tokio::test]
async fn two_restores_at_once_are_one() {
    let d = full(2500).await;
    for _ in 0..3 {
        d.world.redis.flush().await;
        let asked = futures_util::future::join_all((0..8).map(|_| async {
            // As if the marker had expired under each of them.
            d.world.redis.command(&["DEL", &d.key("restoring")]).await;
            let mut wait = seats::restore::RestoreWait::new();
            d.seats.restore(d.tenant, d.license, &mut wait).await
        }));
        for warmed in asked.await {
            warmed.unwrap();
        }
        until("all are restored", || async { held(&d).await == 2500 }).await;
        assert_eq!(d.live().await.len(), 2500);
    }
}

/// Thousands of sessions over a limit that came down, all of them dead.
#[tokio::test]
async fn so_many_dead_that_their_rows_are_closed_a_thousand_at_a_time_make_room() {
    let d = full(2500).await;
    assert_eq!(held(&d).await, 2500);
    d.change(Some(2), None, true).await;
    d.age(TTL_MS).await;
    let seated = d.seat(usize::MAX).await;
    assert!(seated.new);
    assert!(d.open_rows().await.contains(&seated.session));
    d.seat(usize::MAX - 1).await;
    assert!(matches!(d.acquire(usize::MAX - 2).await.unwrap(), AcquireOutcome::Full { limit: 2, in_use: 2, .. }));
    assert_eq!(d.open_rows().await, d.live().await);
}
