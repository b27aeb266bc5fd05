//! A license that ends by time while its seats are held.

use seats::{AcquireOutcome, ConfirmOutcome, ExtendOutcome};

use crate::deployment::{Deployment, TTL_MS};

/// A license of one seat that ends so many milliseconds from now.
async fn ending_in(ms: i64) -> Deployment {
    let d = Deployment::new(1).await;
    end_in(&d, ms).await;
    d
}

async fn end_in(d: &Deployment, ms: i64) {
    let sql =
        "update licenses set expires_at = now() + $2 * interval '1 millisecond', revision = revision + 1 where id = $1";
    #[expect(clippy::cast_precision_loss, reason = "hours at most")]
    d.sql.execute(sql, &[&d.license.as_uuid(), &(ms as f64)]).await.unwrap();
}

#[tokio::test]
async fn a_seat_is_never_kept_beyond_the_end_of_its_license() {
    let d = ending_in(TTL_MS / 2).await;
    let end = d.terms().await.ends.unwrap().as_millisecond();
    let grant = d.seat(1).await;
    assert_eq!(grant.expires_ms, end);
    let ExtendOutcome::Live(kept) = d.heartbeat(grant.session).await else { panic!("it has not ended") };
    assert_eq!(kept.expires_ms, end);
    assert!((end - TTL_MS..end).contains(&kept.now_ms));
    d.world.redis.flush().await;
    let ExtendOutcome::Live(kept) = d.heartbeat(grant.session).await else { panic!("it has not ended") };
    assert_eq!(kept.expires_ms, end, "nor after a restore");
}

#[tokio::test]
async fn heartbeats_after_the_end_say_that_it_has_expired() {
    let d = ending_in(TTL_MS / 2).await;
    let before = d.terms().await;
    let grant = d.seat(1).await;
    d.age(TTL_MS / 2 - 2000).await;
    assert!(matches!(d.heartbeat(grant.session).await, ExtendOutcome::Live(_)));
    d.age(2000).await;
    assert_eq!(d.heartbeat(grant.session).await, ExtendOutcome::Inactive("expired".to_owned()));
    assert_eq!(d.acquire_in_redis(2, &before).await.unwrap(), AcquireOutcome::Inactive("expired".to_owned()));
    assert_eq!(d.confirm(&grant).await.unwrap(), ConfirmOutcome::Inactive("expired".to_owned()));
    assert!(d.live().await.is_empty());
}

#[tokio::test]
async fn a_license_that_goes_on_lets_its_sessions_go_on() {
    let d = ending_in(TTL_MS / 2).await;
    let grant = d.seat(1).await;
    end_in(&d, 10 * TTL_MS).await;
    d.seats.set_terms(d.license, &d.terms().await).await.unwrap();
    let ExtendOutcome::Live(kept) = d.heartbeat(grant.session).await else { panic!("it has not ended") };
    assert_eq!(kept.expires_ms - kept.now_ms, TTL_MS);
    // And one that is to end after all ends then.
    end_in(&d, TTL_MS / 4).await;
    d.seats.set_terms(d.license, &d.terms().await).await.unwrap();
    let ExtendOutcome::Live(kept) = d.heartbeat(grant.session).await else { panic!("it has not ended") };
    assert_eq!(kept.expires_ms, d.terms().await.ends.unwrap().as_millisecond());
}
