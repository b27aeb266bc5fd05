//! A limit over all licenses of an installation.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use seats::session::OpenOutcome;
use seats::{AcquireOutcome, ExtendOutcome, Grant};

use crate::deployment::{Deployment, TTL_MS};

/// Two licenses of five seats each, in an installation for so many users.
async fn licenses(users: u32) -> (Deployment, Deployment) {
    let mut first = Deployment::new(5).await;
    first.seats = first.seats.clone().within(users);
    let second = first.another_license(5).await;
    (first, second)
}

async fn is_crowded(d: &Deployment, holder: usize) -> (u32, u32, u64) {
    match d.acquire(holder).await.unwrap() {
        AcquireOutcome::InstallationFull { users, in_use, wait_ms } => (users, in_use, wait_ms),
        other => panic!("{other:?}"),
    }
}

async fn is_live(d: &Deployment, grant: &Grant) -> bool {
    matches!(d.heartbeat(grant.session).await, ExtendOutcome::Live(_))
}

#[tokio::test]
async fn the_licenses_together_seat_no_more_than_the_installation_may_serve() {
    let (a, b) = licenses(3).await;
    let (ann, bob) = (a.seat(1).await, a.seat(2).await);
    b.seat(3).await;
    for d in [&a, &b] {
        let (users, in_use, wait_ms) = is_crowded(d, 9).await;
        assert_eq!((users, in_use), (3, 3));
        assert!((1..=u64::try_from(TTL_MS).unwrap()).contains(&wait_ms), "{wait_ms}");
    }
    assert_eq!((a.live().await.len(), b.live().await.len()), (2, 1), "who was refused holds nothing");
    assert_eq!(a.seat(1).await.session, ann.session, "a holder keeps its own");
    a.end_session(bob.session).await;
    b.seat(9).await;
    is_crowded(&a, 2).await;
}

#[tokio::test]
async fn more_seats_in_the_database_are_not_more_users() {
    let (a, b) = licenses(2).await;
    a.change(Some(1000), None, true).await;
    b.change(Some(1000), None, true).await;
    a.seat(1).await;
    b.seat(1).await;
    is_crowded(&a, 2).await;
    is_crowded(&b, 2).await;
}

#[tokio::test]
async fn a_license_that_is_full_says_so_itself() {
    let (a, b) = licenses(3).await;
    a.change(Some(1), None, true).await;
    a.seat(1).await;
    assert!(matches!(a.acquire(2).await.unwrap(), AcquireOutcome::Full { limit: 1, in_use: 1, .. }));
    b.seat(1).await;
}

#[tokio::test]
async fn whoever_fell_silent_on_another_license_makes_room_and_stays_out() {
    let (a, b) = licenses(2).await;
    let silent = [a.seat(1).await, a.seat(2).await];
    a.age(TTL_MS).await;
    let alive = [b.seat(3).await, b.seat(4).await];
    is_crowded(&b, 5).await;
    // After Redis was lost, exactly the sessions with an open row are live once more.
    for round in 0..2 {
        for grant in &silent {
            assert!(!is_live(&a, grant).await, "round {round}");
        }
        for grant in &alive {
            assert!(is_live(&b, grant).await, "round {round}");
        }
        is_crowded(&a, 1).await;
        a.world.redis.flush().await;
    }
    assert!(a.open_rows().await.is_empty());
    assert_eq!(b.open_rows().await.len(), 2);
}

#[tokio::test]
async fn losing_redis_seats_nobody_twice() {
    let (a, b) = licenses(3).await;
    let held = [a.seat(1).await, a.seat(2).await];
    let other = b.seat(3).await;
    a.world.redis.flush().await;
    is_crowded(&b, 4).await;
    is_crowded(&a, 4).await;
    for grant in &held {
        assert!(is_live(&a, grant).await);
    }
    assert!(is_live(&b, &other).await);
}

#[tokio::test]
async fn fewer_users_throw_nobody_out() {
    let (mut a, b) = licenses(3).await;
    let held = [a.seat(1).await, a.seat(2).await, a.seat(3).await];
    a.seats = a.seats.clone().within(2);
    assert_eq!(is_crowded(&a, 4).await.1, 3);
    assert_eq!(a.seat(3).await.session, held[2].session);
    a.end_session(held[0].session).await;
    assert_eq!(is_crowded(&a, 4).await.1, 2);
    a.end_session(held[1].session).await;
    a.seat(4).await;
    drop(b);
}

async fn grant(d: &Deployment, holder: usize) -> Grant {
    match d.acquire_in_redis(holder, &d.terms().await).await.unwrap() {
        AcquireOutcome::Seat(grant) => grant,
        refused => panic!("{refused:?}"),
    }
}

/// Two requests of one holder, of which the other one was answered, and then Redis was lost.
#[tokio::test]
async fn a_slow_request_takes_nothing_from_its_holder_that_was_told_of_meanwhile() {
    let (a, b) = licenses(1).await;
    a.end_session(a.seat(1).await.session).await;
    let slow = grant(&a, 1).await;
    let told = a.seat(1).await;
    assert_eq!(told.session, slow.session);
    a.world.redis.flush().await;
    assert!(is_live(&a, &told).await, "restored");
    assert_eq!(a.open(1, &slow).await, OpenOutcome::Overtaken);
    assert!(is_live(&a, &told).await);
    is_crowded(&b, 2).await;
}

#[tokio::test]
async fn what_is_refused_is_given_back_before_anybody_else_is_counted() {
    let (a, b) = licenses(1).await;
    b.seat(1).await;
    is_crowded(&a, 2).await;
    let refused = grant(&a, 2).await;
    assert_eq!(a.open(2, &refused).await, OpenOutcome::InstallationFull(1));
    assert!(a.live().await.is_empty() && a.open_rows().await.is_empty());
}

#[tokio::test]
async fn of_all_who_ask_at_once_as_many_are_seated_as_may_be() {
    let (a, b) = licenses(4).await;
    let asked = join_all((0..24).map(|n| (if n % 2 == 0 { &a } else { &b }).acquire(n))).await;
    let mut seated = BTreeSet::new();
    for taken in asked {
        match taken {
            Ok(AcquireOutcome::Seat(grant)) => assert!(seated.insert(grant.session)),
            Ok(AcquireOutcome::InstallationFull { users: 4, .. } | AcquireOutcome::Full { limit: 5, .. }) => {}
            other => panic!("{other:?}"),
        }
    }
    let live: BTreeSet<_> = a.live().await.into_iter().chain(b.live().await).collect();
    assert_eq!(live, seated);
    assert_eq!(seated.len(), 4, "room is left");
}

#[tokio::test]
async fn however_often_redis_is_lost_meanwhile_no_more_are_told_of_a_seat_than_may_be() {
    let (a, b) = licenses(3).await;
    for round in 0..8 {
        let asking = join_all((0..12).map(|n| {
            let d = if n % 2 == 0 { &a } else { &b };
            async move { (d, d.acquire(round * 12 + n).await) }
        }));
        let losing = async {
            for _ in 0..4 {
                a.world.redis.flush().await;
                tokio::task::yield_now().await;
            }
        };
        let (asked, ()) = tokio::join!(asking, losing);
        let mut told = Vec::new();
        for (d, taken) in asked {
            // Too often overtaken is an answer, too.
            if let Ok(AcquireOutcome::Seat(grant)) = taken {
                told.push((d, grant));
            }
        }
        assert!(told.len() <= 3, "{} were told of a seat in round {round}", told.len());
        assert!(a.open_rows().await.len() + b.open_rows().await.len() <= 3);
        for (d, grant) in told {
            assert!(is_live(d, &grant).await, "round {round}");
            d.end_session(grant.session).await;
        }
        // Requests that got an error may have opened a session nevertheless.
        for d in [&a, &b] {
            for session in d.open_rows().await {
                d.end_session(session).await;
            }
        }
    }
}
