//! Tests of the promises in `docs/seats.md`, one scenario each.

use protocol::id::SessionId;
use seats::session::OpenOutcome;
use seats::{AcquireOutcome, ConfirmOutcome, ExtendOutcome};

use testing::process::until;

use crate::deployment::{Deployment, PARTS, TTL_MS};

fn granted(taken: AcquireOutcome) -> seats::Grant {
    match taken {
        AcquireOutcome::Seat(grant) => grant,
        refused => panic!("{refused:?}"),
    }
}

#[tokio::test]
async fn five_holders_die_five_others_sit_down_and_only_the_dead_are_refused() {
    let d = Deployment::new(5).await;
    let mut dead = Vec::new();
    for holder in 0..5 {
        dead.push(d.seat(holder).await);
    }
    d.age(TTL_MS).await;
    let mut alive = Vec::new();
    for holder in 10..15 {
        alive.push(d.seat(holder).await);
    }
    for grant in &dead {
        assert!(matches!(d.heartbeat(grant.session).await, ExtendOutcome::Unknown(_) | ExtendOutcome::Expired));
    }
    for grant in &alive {
        assert!(matches!(d.heartbeat(grant.session).await, ExtendOutcome::Live(_)));
    }
    assert!(matches!(d.acquire(0).await.unwrap(), AcquireOutcome::Full { limit: 5, in_use: 5, .. }));
    assert_eq!(d.open_rows().await, d.live().await);
}

#[tokio::test]
async fn a_heartbeat_that_races_its_own_expiry_is_extended_or_refused_and_the_counts_agree() {
    let d = Deployment::new(1).await;
    for left in [-3, -2, -1, 0, 1, 2, 3] {
        let grant = d.seat(1).await;
        d.age(TTL_MS - left).await;
        let live = match d.heartbeat(grant.session).await {
            ExtendOutcome::Live(_) => 1,
            ExtendOutcome::Expired => 0,
            other => panic!("{other:?}"),
        };
        assert_eq!(d.live().await.len(), live);
        d.end_session(grant.session).await;
    }
}

#[tokio::test]
async fn fewer_seats_throw_nobody_out_also_after_a_restore() {
    let d = Deployment::new(4).await;
    let mut held = Vec::new();
    for holder in 0..4 {
        held.push(d.seat(holder).await);
    }
    d.change(Some(2), None, true).await;
    for round in 0..2 {
        for grant in &held {
            assert!(matches!(d.heartbeat(grant.session).await, ExtendOutcome::Live(_)), "round {round}");
        }
        assert!(matches!(d.acquire(9).await.unwrap(), AcquireOutcome::Full { limit: 2, in_use: 4, .. }));
        d.world.redis.flush().await;
    }
    assert_eq!(d.seat(0).await.session, held[0].session, "a holder keeps its own seat");
    for grant in &held[..3] {
        d.end_session(grant.session).await;
    }
    assert!(d.seat(9).await.new, "one is left of two");
    assert!(matches!(d.acquire(8).await.unwrap(), AcquireOutcome::Full { .. }));
}

#[tokio::test]
async fn with_more_holders_than_seats_the_wait_is_until_one_really_falls_free() {
    let d = Deployment::new(3).await;
    for holder in 0..3 {
        d.seat(holder).await;
        d.age(1000).await;
    }
    d.change(Some(2), None, true).await;
    // The first end leaves two of two; only the second frees a seat.
    let AcquireOutcome::Full { wait_ms, .. } = d.acquire(9).await.unwrap() else { panic!("a seat too many") };
    let second = u64::try_from(TTL_MS - 2000).unwrap();
    assert!((second - 500..=second).contains(&wait_ms), "{wait_ms}");
}

#[tokio::test]
async fn a_suspended_or_revoked_license_ends_its_sessions() {
    let d = Deployment::new(2).await;
    let grant = d.seat(1).await;
    d.change(None, Some("suspended"), true).await;
    assert_eq!(d.heartbeat(grant.session).await, ExtendOutcome::Inactive("suspended".to_owned()));
    assert_eq!(d.acquire(2).await.unwrap(), AcquireOutcome::Inactive("suspended".to_owned()));
    d.change(None, Some("active"), true).await;
    assert!(d.seat(1).await.session != grant.session, "the old session has ended");
    d.change(None, Some("revoked"), false).await;
    // Redis was not updated; the next acquire does it.
    assert_eq!(d.acquire(2).await.unwrap(), AcquireOutcome::Inactive("revoked".to_owned()));
}

#[tokio::test]
async fn a_license_of_which_one_key_was_evicted_is_restored() {
    let d = Deployment::new(3).await;
    let held = [d.seat(0).await, d.seat(1).await, d.seat(2).await];
    for part in PARTS.into_iter().filter(|part| *part != "gone") {
        d.world.redis.command(&["DEL", &d.key(part)]).await;
        assert!(matches!(d.acquire(9).await.unwrap(), AcquireOutcome::Full { in_use: 3, .. }), "without {part}");
        for grant in &held {
            assert!(matches!(d.heartbeat(grant.session).await, ExtendOutcome::Live(_)), "without {part}");
        }
    }
}

/// The earlier release has three of the keys: it takes a session out of them and puts another in, so that all still have as
/// many entries.
#[tokio::test]
async fn a_license_that_the_earlier_release_changed_is_restored() {
    const SWAP: &str =
        "local entry, expires = redis.call('HGET', KEYS[3], ARGV[1]), redis.call('ZSCORE', KEYS[1], ARGV[1])
        redis.call('ZREM', KEYS[1], ARGV[1]) redis.call('ZADD', KEYS[1], expires, ARGV[2])
        redis.call('HSET', KEYS[2], string.match(entry, '|(.*)$'), ARGV[2])
        redis.call('HDEL', KEYS[3], ARGV[1]) redis.call('HSET', KEYS[3], ARGV[2], entry)";
    for first_call in ["beat", "take", "leave"] {
        let d = Deployment::new(2).await;
        let (former, other) = (d.seat(0).await.session, d.seat(1).await.session);
        let now = SessionId::from_uuid(uuid::Uuid::now_v7());
        let keys = ["live", "holders", "sessions"].map(|part| d.key(part));
        let swap = ["EVAL", SWAP, "3", &keys[0], &keys[1], &keys[2], &former.to_string(), &now.to_string()];
        d.world.redis.command(&swap).await;
        let rows = format!(
            "update sessions set ended_at = now(), ended_reason = 'released' where id = '{former}';
             insert into sessions (id, tenant_id, license_id, holder, hardware_id, grant_number)
             select '{now}', tenant_id, license_id, holder, hardware_id, 9 from sessions where id = '{former}'"
        );
        d.sql.batch_execute(&rows).await.unwrap();
        match first_call {
            "beat" => assert!(matches!(d.heartbeat(now).await, ExtendOutcome::Live(_))),
            "take" => assert_eq!(d.seat(0).await.session, now),
            _ => d.release(now, seats::UNNAMED).await,
        }
        assert!(matches!(d.heartbeat(other).await, ExtendOutcome::Live(_)), "{first_call}");
        assert_eq!(d.open_rows().await, d.live().await, "{first_call}");
    }
}

/// The seat of a session that expired was granted to another, whose row is not written yet. Then the key that remembers what
/// is still to be closed is evicted.
#[tokio::test]
async fn a_license_of_which_the_list_of_the_gone_was_evicted_is_restored() {
    let d = Deployment::new(1).await;
    d.seat(1).await;
    d.age(TTL_MS).await;
    let overtaken = granted(d.acquire_in_redis(2, &d.terms().await).await.unwrap());
    d.world.redis.command(&["DEL", &d.key("gone")]).await;
    assert!(matches!(d.acquire(2).await.unwrap(), AcquireOutcome::Full { limit: 1, in_use: 1, .. }));
    assert_eq!(d.open(2, &overtaken).await, OpenOutcome::Overtaken);
    assert_eq!(d.open_rows().await, d.live().await);
    assert_eq!(d.open_rows().await.len(), 1);
}

#[tokio::test]
async fn keys_of_a_license_expire_when_it_is_not_used() {
    let d = Deployment::new(2).await;
    d.seat(1).await;
    d.age(TTL_MS).await;
    granted(d.acquire_in_redis(2, &d.terms().await).await.unwrap());
    for part in PARTS {
        let left: i64 = number(&d.world.redis.command(&["PTTL", &d.key(part)]).await);
        assert!((86_400_000..=7 * 86_400_000).contains(&left), "{part}: {left}");
    }
    // One that is kept by heartbeats alone is restored when its keys have expired.
    let held = d.seat(3).await;
    for part in PARTS {
        d.world.redis.command(&["DEL", &d.key(part)]).await;
    }
    assert!(d.is_live(held.session, seats::UNNAMED).await);
    let keys = d.world.redis.command(&["EVAL", "return #redis.call('KEYS', '*')", "0"]).await;
    assert_eq!(number(&keys), 6, "nothing is left of the restore");
}

fn number(printed: &str) -> i64 {
    printed.trim_start_matches("int(").trim_end_matches(')').parse().unwrap()
}

#[tokio::test]
async fn a_grant_that_was_on_its_way_when_redis_was_lost_is_fenced_off() {
    let d = Deployment::new(1).await;
    d.seat(0).await;
    d.age(TTL_MS).await;
    // The seat of the dead 0 is granted to 1; before its row is written, Redis is lost and 0's seat restored.
    let overtaken = granted(d.acquire_in_redis(1, &d.terms().await).await.unwrap());
    d.world.redis.flush().await;
    let back = d.seat(0).await;
    assert_eq!(d.open(1, &overtaken).await, OpenOutcome::Overtaken);
    assert!(matches!(d.acquire(1).await.unwrap(), AcquireOutcome::Full { .. }));
    assert_eq!(d.open_rows().await, vec![back.session]);
}

#[tokio::test]
async fn a_restore_that_comes_late_changes_nothing() {
    let d = Deployment::new(2).await;
    let first = d.seat(0).await;
    // Two restores were read; the older one is applied last.
    d.sql.execute("update licenses set seat_generation = 7 where id = $1", &[&d.license.as_uuid()]).await.unwrap();
    let second = d.seat(1).await;
    d.late_restore(5).await;
    let mut both = vec![first.session, second.session];
    both.sort();
    assert_eq!(d.live().await, both);

    // A late restore again, after Redis was lost once more: Redis knows nothing else, until a session misses its seat.
    d.world.redis.flush().await;
    d.late_restore(6).await;
    assert!(d.live().await.is_empty());
    assert!(matches!(d.heartbeat(second.session).await, ExtendOutcome::Live(_)));
    assert_eq!(d.live().await, both);
    assert!(matches!(d.heartbeat(protocol::id::SessionId::new()).await, ExtendOutcome::Unknown(_)));
}

#[tokio::test]
async fn an_acquire_that_dies_after_the_grant_costs_a_seat_for_its_time() {
    let d = Deployment::new(1).await;
    d.end_session(d.seat(0).await.session).await;
    granted(d.acquire_in_redis(1, &d.terms().await).await.unwrap());
    assert!(matches!(d.acquire(2).await.unwrap(), AcquireOutcome::Full { .. }));
    d.age(TTL_MS).await;
    d.seat(2).await;
    assert_eq!(d.open_rows().await, d.live().await);
}

#[tokio::test]
async fn an_acquire_that_dies_after_the_row_leaves_a_session_that_its_holder_finds() {
    let d = Deployment::new(1).await;
    d.seat(0).await;
    d.end_session(d.seat(0).await.session).await;
    let grant = granted(d.acquire_in_redis(1, &d.terms().await).await.unwrap());
    assert_eq!(d.open(1, &grant).await, OpenOutcome::Open);
    assert_eq!(d.seat(1).await.session, grant.session);
}

#[tokio::test]
async fn a_release_that_dies_after_the_row_leaves_a_seat_that_expires_or_is_taken_anew() {
    let d = Deployment::new(1).await;
    let first = d.seat(1).await;
    d.close_row(first.session).await;
    let second = d.seat(1).await;
    assert_ne!(second.session, first.session, "the released session doesn't come back");
    d.close_row(second.session).await;
    assert!(matches!(d.acquire(2).await.unwrap(), AcquireOutcome::Full { .. }));
    d.age(TTL_MS).await;
    d.seat(2).await;
}

#[tokio::test]
async fn a_commit_so_slow_that_its_seat_was_passed_on_is_told_no() {
    let d = Deployment::new(1).await;
    d.end_session(d.seat(0).await.session).await;
    let slow = granted(d.acquire_in_redis(1, &d.terms().await).await.unwrap());
    assert_eq!(d.open(1, &slow).await, OpenOutcome::Open);
    d.age(TTL_MS).await;
    let other = d.seat(2).await;
    assert_eq!(d.confirm(&slow).await.unwrap(), ConfirmOutcome::Lost);
    assert!(matches!(d.heartbeat(other.session).await, ExtendOutcome::Live(_)));
}

#[tokio::test]
async fn a_session_that_ends_while_it_is_restored_stays_ended() {
    let d = Deployment::new(2).await;
    let (ends, stays) = (d.seat(1).await, d.seat(2).await);
    d.world.redis.flush().await;
    let lock = format!("select pg_advisory_lock(hashtextextended('{}', 1))", d.license);
    d.sql.batch_execute(&lock).await.unwrap();
    let restored = d.seats.extend(d.tenant, d.license, stays.session, None, seats::UNNAMED);
    let between = async {
        let marker = format!("seat:{{{}}}:restoring", d.license);
        until("a restore has begun", || async { d.world.redis.command(&["EXISTS", &marker]).await.contains('1') })
            .await;
        // The restore reads the rows, but can't put them into Redis yet.
        d.world.redis.command(&["CLIENT", "PAUSE", "60000", "WRITE"]).await;
        let before = d.terms().await.generation;
        d.sql.batch_execute("select pg_advisory_unlock_all()").await.unwrap();
        until("the rows are read", || async { d.terms().await.generation > before }).await;
        d.close_row(ends.session).await;
        d.world.redis.command(&["CLIENT", "UNPAUSE"]).await;
    };
    let (beat, ()) = tokio::join!(restored, between);
    assert!(matches!(beat.unwrap(), ExtendOutcome::Live(_)));
    assert!(matches!(d.heartbeat(ends.session).await, ExtendOutcome::Unknown(_)));
    assert_eq!(d.live().await, vec![stays.session]);
}

#[tokio::test]
async fn a_row_so_slow_that_its_seat_was_passed_on_is_never_opened() {
    let d = Deployment::new(1).await;
    d.end_session(d.seat(0).await.session).await;
    let slow = granted(d.acquire_in_redis(1, &d.terms().await).await.unwrap());
    d.age(TTL_MS).await;
    let other = d.seat(2).await;
    assert_eq!(d.open(1, &slow).await, OpenOutcome::Closed);
    d.world.redis.flush().await;
    assert!(matches!(d.acquire(1).await.unwrap(), AcquireOutcome::Full { .. }));
    assert_eq!(d.open_rows().await, vec![other.session]);
}

#[tokio::test]
async fn a_grant_nobody_was_told_of_is_not_kept_over_a_limit_that_came_down() {
    let d = Deployment::new(2).await;
    d.seat(1).await;
    let unheard = granted(d.acquire_in_redis(2, &d.terms().await).await.unwrap());
    d.change(Some(1), None, false).await;
    assert_eq!(d.open(2, &unheard).await, OpenOutcome::Overtaken);
    assert!(matches!(d.acquire(2).await.unwrap(), AcquireOutcome::Full { limit: 1, in_use: 1, .. }));
}

#[tokio::test]
async fn a_grant_with_a_number_above_a_limit_that_came_down_gets_another_number() {
    let d = Deployment::new(2).await;
    let first = d.seat(1).await;
    let above = granted(d.acquire_in_redis(2, &d.terms().await).await.unwrap());
    d.end_session(first.session).await;
    d.change(Some(1), None, false).await;
    assert_eq!(d.open(2, &above).await, OpenOutcome::Overtaken);
    let again = granted(d.acquire_in_redis(2, &d.terms().await).await.unwrap());
    assert_eq!((above.seat, again.seat, again.new), (Some(2), Some(1), true));
    assert_eq!(d.open(2, &again).await, OpenOutcome::Open);
    assert_eq!(d.open_rows().await, vec![again.session]);
}

#[tokio::test]
async fn a_suspension_that_redis_never_heard_of_has_ended_its_sessions_all_the_same() {
    let d = Deployment::new(1).await;
    let before = d.seat(1).await;
    d.change(None, Some("suspended"), false).await;
    d.change(None, Some("active"), true).await;
    assert!(matches!(d.heartbeat(before.session).await, ExtendOutcome::Unknown(_)));
    assert!(d.seat(2).await.new);
}

#[tokio::test]
async fn fifty_identical_acquires_at_once_are_one_session() {
    let d = Deployment::new(5).await;
    let all = at_once(50, |_| d.acquire(1)).await;
    let sessions: std::collections::HashSet<_> = all.into_iter().map(|taken| granted(taken.unwrap()).session).collect();
    assert_eq!(sessions.len(), 1);
    assert_eq!(d.open_rows().await.len(), 1);
}

#[tokio::test]
async fn two_hundred_at_once_for_five_seats_are_five_and_a_hundred_and_ninety_five() {
    let d = Deployment::new(5).await;
    let all = at_once(200, |holder| d.acquire(holder)).await;
    let seated = all.iter().filter(|taken| matches!(taken, Ok(AcquireOutcome::Seat(_)))).count();
    let refused =
        all.iter().filter(|taken| matches!(taken, Ok(AcquireOutcome::Full { limit: 5, in_use: 5, .. }))).count();
    assert_eq!((seated, refused), (5, 195));
    assert_eq!(d.open_rows().await, d.live().await);
}

async fn at_once<F: Future>(n: usize, make: impl Fn(usize) -> F) -> Vec<F::Output> {
    futures_util::future::join_all((0..n).map(make)).await
}
