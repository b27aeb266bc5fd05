//! A Redis or a Postgres that is not the one we knew.

use std::collections::BTreeMap;

use seats::session::OpenOutcome;
use seats::{AcquireOutcome, ExtendOutcome, UNNAMED};
use testing::World;
use testing::redis::Redis;

use crate::deployment::{Deployment, PARTS, TTL_MS};

/// A copy of a deployment that uses another Redis.
pub(crate) fn with_redis(d: &Deployment, redis: &Redis) -> Deployment {
    let mut setup = common::Setup::from_variables([
        ("REDIS_URL", redis.url()),
        ("DATABASE_URL", d.world.db.url("coditect_all")),
        ("SEAT_TTL_SECONDS", (TTL_MS / 1000).to_string()),
    ]);
    let seats = seats::Seats::from_setup(&mut setup).unwrap();
    let (world, sql, db) = (d.world.clone(), d.sql.clone(), d.db.clone());
    Deployment { world, sql, db, seats, tenant: d.tenant, license: d.license }
}

/// Twelve licenses of one seat each are taken after the replica last heard of its primary, which does not wait for it. The
/// replica takes over: it knows the licenses and has them free.
#[tokio::test]
async fn a_replica_that_was_promoted_without_the_grants_grants_nothing_twice() {
    let primary = Redis::start_on_port().await;
    let world = World::new().await.with("REDIS_URL", primary.url());
    let mut licenses = vec![Deployment::of(world, 1).await];
    for _ in 1..12 {
        licenses.push(licenses[0].another_license(1).await);
    }
    let mut sessions = Vec::new();
    for d in &licenses {
        d.end_session(d.seat(1).await.session).await;
    }
    let replica = Redis::start_replica_of(&primary).await;
    replica.command(&["REPLICAOF", "NO", "ONE"]).await;
    for d in &licenses {
        sessions.push(d.seat(2).await.session);
    }
    for (d, session) in licenses.iter().zip(sessions) {
        let after = with_redis(d, &replica);
        assert!(matches!(after.acquire(3).await.unwrap(), AcquireOutcome::Full { limit: 1, in_use: 1, .. }));
        assert!(matches!(after.heartbeat(session).await, ExtendOutcome::Live(_)));
        assert_eq!(after.open_rows().await, [session]);
    }
}

/// A heartbeat is the first request about a license at a promoted replica: the sessions that it has stored are not trusted.
#[tokio::test]
async fn a_heartbeat_at_a_promoted_replica_keeps_whoever_sits_and_nobody_else() {
    let primary = Redis::start_on_port().await;
    let world = World::new().await.with("REDIS_URL", primary.url());
    let d = Deployment::of(world, 1).await;
    let former = d.seat(1).await.session;
    let replica = Redis::start_replica_of(&primary).await;
    replica.command(&["REPLICAOF", "NO", "ONE"]).await;
    d.end_session(former).await;
    let now = d.seat(2).await.session;
    let after = with_redis(&d, &replica);
    assert!(!after.is_live(former, UNNAMED).await);
    assert!(after.is_live(now, UNNAMED).await);
}

#[tokio::test]
async fn a_redis_that_loads_an_old_snapshot_seats_nobody_who_was_released() {
    let mut redis = Redis::start().await;
    let world = World::new().await.with("REDIS_URL", redis.url());
    let d = Deployment::of(world, 2).await;
    let (stays, leaves) = (d.seat(1).await.session, d.seat(2).await.session);
    // The snapshot is loaded at the next start.
    redis.command(&["SAVE"]).await;
    d.end_session(leaves).await;
    let next = d.seat(3).await.session;
    redis.start_again().await;
    assert!(redis.command(&["ZCARD", &d.key("live")]).await.contains('2'), "the snapshot was loaded");
    // The first requests may find the connections gone.
    testing::process::until("connected", || async { d.seats.list(d.license).await.is_ok() }).await;
    assert!(matches!(d.acquire(4).await.unwrap(), AcquireOutcome::Full { limit: 2, in_use: 2, .. }));
    assert!(!d.is_live(leaves, UNNAMED).await);
    assert!(d.is_live(stays, UNNAMED).await && d.is_live(next, UNNAMED).await);
}

/// The rows as they were before: two of three sessions were released since, and two others opened.
#[tokio::test]
async fn a_postgres_that_was_restored_behind_redis_has_no_more_open_rows_than_seats() {
    let d = Deployment::new(3).await;
    let held = [d.seat(1).await, d.seat(2).await, d.seat(3).await];
    d.sql.batch_execute("create table backup as select * from sessions").await.unwrap();
    d.end_session(held[0].session).await;
    d.end_session(held[1].session).await;
    d.seat(4).await;
    d.seat(5).await;
    // As a dump puts it back: another table. A promoted standby, a point in time and a copied disk differ in the rest of the
    // identity.
    let restore = "begin; alter table sessions rename to former; create table sessions (like former including all);
        insert into sessions select * from backup; grant select, insert, update on sessions to coditect_all; commit";
    d.sql.batch_execute(restore).await.unwrap();
    assert!(matches!(d.acquire(6).await.unwrap(), AcquireOutcome::Full { limit: 3, in_use: 3, .. }));
    let mut expected: Vec<_> = held.iter().map(|grant| grant.session).collect();
    expected.sort();
    assert_eq!(d.open_rows().await, expected);
    assert_eq!(d.live().await, expected);
}

/// The rows alone were put back as they were, without any sign of a restore.
#[tokio::test]
async fn rows_that_came_back_unnoticed_are_found_when_their_seat_is_passed_on() {
    let d = Deployment::new(2).await;
    let former = d.seat(1).await.session;
    d.end_session(former).await;
    d.seat(2).await;
    let reopen = "update sessions set ended_at = null, ended_reason = null, seat = 2 where id = $1";
    d.sql.execute(reopen, &[&former.as_uuid()]).await.unwrap();
    assert!(matches!(d.acquire(3).await.unwrap(), AcquireOutcome::Full { limit: 2, in_use: 2, .. }));
    assert_eq!(d.open_rows().await.len(), 2);
    assert_eq!(d.seat(1).await.session, former, "its holder has it again");
}

/// Keys in Redis may be wrong, written by hand for instance: never are more sessions open than the rows allow.
#[tokio::test]
async fn postgres_itself_opens_no_more_sessions_than_seats() {
    for (limit, later) in [(2, 2), (4, 2)] {
        let d = Deployment::new(limit).await;
        let mut sessions = Vec::new();
        for holder in 1..=limit {
            sessions.push(d.seat(usize::try_from(holder).unwrap()).await.session);
        }
        for session in &sessions[..usize::try_from(limit - later).unwrap()] {
            d.end_session(*session).await;
        }
        d.change(Some(later), None, true).await;
        forget_sessions(&d).await;
        let AcquireOutcome::Seat(grant) = d.acquire_in_redis(9, &d.terms().await).await.unwrap() else {
            panic!("Redis has forgotten them")
        };
        assert_eq!(d.open(9, &grant).await, OpenOutcome::Contradicted);
        assert!(matches!(d.acquire(9).await.unwrap(), AcquireOutcome::Full { in_use: 2, .. }));
        assert_eq!(d.open_rows().await.len(), 2);
    }
}

#[tokio::test]
async fn rows_without_numbers_are_counted() {
    let d = Deployment::new(2).await;
    d.seat(1).await;
    d.seat(2).await;
    // As the previous release writes them.
    d.sql.execute("update sessions set seat = null, instances = '{}'", &[]).await.unwrap();
    d.world.redis.flush().await;
    assert!(matches!(d.acquire(3).await.unwrap(), AcquireOutcome::Full { in_use: 2, .. }));
    let held = d.seat(2).await;
    assert_eq!((held.new, held.seat), (false, None));
    forget_sessions(&d).await;
    let AcquireOutcome::Seat(grant) = d.acquire_in_redis(9, &d.terms().await).await.unwrap() else {
        panic!("Redis has forgotten them")
    };
    assert_eq!(d.open(9, &grant).await, OpenOutcome::Contradicted);
    assert_eq!(d.open_rows().await.len(), 2);
    d.world.redis.flush().await;
    d.end_session(held.session).await;
    assert_eq!(d.seat(3).await.seat, Some(1));
}

/// Deletes the sessions in Redis but not the license's terms, which would show the loss.
async fn forget_sessions(d: &Deployment) {
    for part in PARTS.into_iter().filter(|part| *part != "terms") {
        d.world.redis.command(&["DEL", &d.key(part)]).await;
    }
    d.world.redis.command(&["HSET", &d.key("terms"), "size", "0", "gone", "0"]).await;
}

/// Seats are numbered, and the lowest that is free is taken once the highest was.
#[tokio::test]
async fn every_open_session_has_a_seat_of_its_own() {
    let d = Deployment::new(7).await;
    let mut held: BTreeMap<i32, _> = BTreeMap::new();
    for holder in 0..7 {
        let grant = d.seat(holder).await;
        held.insert(grant.seat.unwrap(), grant.session);
    }
    assert_eq!(held.keys().copied().collect::<Vec<_>>(), (1..=7).collect::<Vec<_>>());
    for gaps in [vec![4], vec![1], vec![7], vec![2, 3, 6], vec![1, 2, 3, 4, 5, 6, 7]] {
        for gap in &gaps {
            d.end_session(held[gap]).await;
        }
        let mut found = Vec::new();
        for n in 0..gaps.len() {
            let grant = d.seat(100 + n).await;
            found.push(grant.seat.unwrap());
            held.insert(grant.seat.unwrap(), grant.session);
        }
        found.sort_unstable();
        assert_eq!(found, gaps);
        for (n, gap) in gaps.iter().enumerate() {
            // Under a name of their own again, so that the next round's are new.
            d.end_session(held[gap]).await;
            held.insert(*gap, d.seat(200 + n * 10 + usize::try_from(*gap).unwrap()).await.session);
        }
    }
}
