//! Tests of seats on a Redis cluster, and with a replica that may be promoted.

use seats::{AcquireOutcome, ExtendOutcome};
use testing::World;
use testing::process::until;
use testing::redis::Redis;

use crate::deployment::Deployment;
use crate::servers::with_redis;

#[tokio::test]
async fn a_cluster_keeps_a_license_in_one_slot() {
    let cluster = Redis::start_cluster().await;
    let url = cluster.url();
    let world = World::new().await.with("REDIS_URL", format!("{url},{url}")).with("REDIS_REPLICAS", "0");
    let d = Deployment::of(world, 2).await;
    let grant = d.seat(1).await;
    assert!(matches!(d.heartbeat(grant.session).await, ExtendOutcome::Live(_)));
    d.seat(2).await;
    assert!(matches!(d.acquire(3).await.unwrap(), AcquireOutcome::Full { .. }));
    d.end_session(grant.session).await;
    d.seat(3).await;
    cluster.flush().await;
    assert!(matches!(d.acquire(1).await.unwrap(), AcquireOutcome::Full { in_use: 2, .. }));
}

#[tokio::test]
async fn a_grant_is_told_only_when_the_replica_has_it_and_survives_the_promotion() {
    let primary = Redis::start_on_port().await;
    let mut replica = Redis::start_replica_of(&primary).await;
    let world = World::new().await.with("REDIS_URL", primary.url()).with("REDIS_REPLICAS", "1");
    let d = Deployment::of(world, 1).await;
    // On a busy machine the replica may need longer than a client is made to wait.
    until("the replica has the grant", || async { d.acquire(1).await.is_ok() }).await;
    let grant = d.seat(1).await;

    // The primary dies, the replica takes over with the seat in it.
    replica.command(&["REPLICAOF", "NO", "ONE"]).await;
    let after = with_redis(&d, &replica);
    assert!(matches!(after.acquire(2).await.unwrap(), AcquireOutcome::Full { limit: 1, in_use: 1, .. }));
    assert_eq!(after.live().await, [grant.session]);

    // Without a replica no grant is safe, so that none is confirmed.
    replica.stop();
    assert!(d.acquire(1).await.is_err());
}
