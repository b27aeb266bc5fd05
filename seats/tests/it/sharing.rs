//! Several homes of one machine, or machines with one id, that share a session.

use protocol::id::InstanceId;
use seats::release::LeaveRequest;
use seats::session::OpenOutcome;
use seats::{AcquireOutcome, ConfirmOutcome, ExtendOutcome, LeaveOutcome, UNNAMED};

use crate::deployment::{Deployment, TTL_MS};

#[tokio::test]
async fn a_session_ends_when_the_last_of_those_who_share_it_gives_it_back() {
    let d = Deployment::new(1).await;
    let [ann, bob] = [InstanceId::new(), InstanceId::new()];
    let session = d.share(1, ann).await.session;
    assert_eq!(d.share(1, bob).await.session, session);
    d.release(session, ann).await;
    assert!(d.is_live(session, bob).await);
    assert_eq!(d.open_rows().await, [session]);
    assert!(matches!(d.acquire(2).await.unwrap(), AcquireOutcome::Full { .. }));
    d.release(session, bob).await;
    assert!(d.open_rows().await.is_empty() && d.live().await.is_empty());
    assert!(d.seat(2).await.new);
}

#[tokio::test]
async fn giving_back_twice_takes_nothing_from_others() {
    let d = Deployment::new(1).await;
    let [ann, bob] = [InstanceId::new(), InstanceId::new()];
    let session = d.share(1, ann).await.session;
    d.share(1, bob).await;
    for _ in 0..3 {
        d.release(session, ann).await;
    }
    assert!(d.is_live(session, bob).await);
    d.release(session, bob).await;
    d.release(session, bob).await;
    d.release(session, InstanceId::new()).await;
}

#[tokio::test]
async fn a_heartbeat_that_arrives_after_its_instance_left_keeps_nothing() {
    let d = Deployment::new(1).await;
    let [ann, bob] = [InstanceId::new(), InstanceId::new()];
    let session = d.share(1, ann).await.session;
    d.share(1, bob).await;
    d.release(session, ann).await;
    assert_eq!(d.heartbeat_of(session, ann).await, ExtendOutcome::Left);
    assert!(d.is_live(session, bob).await);
    d.release(session, ann).await;
    assert_eq!(d.heartbeat_of(session, ann).await, ExtendOutcome::Left);
    d.release(session, bob).await;
    assert_eq!(d.heartbeat_of(session, ann).await, ExtendOutcome::Unknown(1));
    assert!(d.seat(2).await.new);
}

#[tokio::test]
async fn an_instance_that_left_joins_again_when_it_acquires() {
    let d = Deployment::new(1).await;
    let [ann, bob] = [InstanceId::new(), InstanceId::new()];
    let session = d.share(1, ann).await.session;
    d.share(1, bob).await;
    d.release(session, ann).await;
    assert_eq!(d.share(1, ann).await.session, session);
    assert!(d.is_live(session, ann).await);
    d.release(session, bob).await;
    assert!(d.is_live(session, ann).await);
    d.release(session, ann).await;
    assert!(d.seat(2).await.new);
}

/// Also where there are so many that it gets no name of its own.
#[tokio::test]
async fn one_of_many_that_left_joins_again_when_it_acquires() {
    let d = Deployment::new(1).await;
    let all: Vec<InstanceId> = (0..17).map(|_| InstanceId::new()).collect();
    let session = d.share(1, all[0]).await.session;
    for instance in &all {
        d.share(1, *instance).await;
    }
    for _ in 0..2 {
        d.release(session, all[16]).await;
        assert_eq!(d.heartbeat_of(session, all[16]).await, ExtendOutcome::Left);
        d.share(1, all[16]).await;
        assert!(d.is_live(session, all[16]).await);
    }
}

/// However many instances come and go, the number that is recorded is bounded, and they are forgotten.
#[tokio::test]
async fn instances_that_left_are_forgotten() {
    let d = Deployment::new(1).await;
    let stays = InstanceId::new();
    let session = d.share(1, stays).await.session;
    for _ in 0..40 {
        let passes = InstanceId::new();
        d.share(1, passes).await;
        d.release(session, passes).await;
        assert_eq!(d.heartbeat_of(session, passes).await, ExtendOutcome::Left);
    }
    let names = async || d.world.redis.command(&["HGET", &d.key("instances"), &session.to_string()]).await;
    assert_eq!(names().await.split(',').count(), 17);
    d.age(TTL_MS / 2).await;
    assert!(d.is_live(session, stays).await);
    assert_eq!(names().await, stays.to_string());
}

#[tokio::test]
async fn clients_that_name_no_instance_are_one() {
    let d = Deployment::new(1).await;
    let session = d.seat(1).await.session;
    let named = InstanceId::new();
    d.share(1, named).await;
    d.seat(1).await;
    d.release(session, UNNAMED).await;
    assert!(d.is_live(session, named).await);
    d.release(session, named).await;
}

#[tokio::test]
async fn an_instance_that_has_fallen_silent_keeps_no_seat() {
    let d = Deployment::new(1).await;
    let [silent, alive] = [InstanceId::new(), InstanceId::new()];
    let session = d.share(1, silent).await.session;
    d.age(TTL_MS / 2).await;
    d.share(1, alive).await;
    d.age(TTL_MS / 2 + 1).await;
    assert!(d.is_live(session, alive).await);
    d.release(session, alive).await;
    assert!(d.seat(2).await.new);
}

#[tokio::test]
async fn the_seat_is_free_when_the_last_who_is_left_falls_silent() {
    let d = Deployment::new(1).await;
    let [early, late] = [InstanceId::new(), InstanceId::new()];
    let session = d.share(1, early).await.session;
    d.age(TTL_MS / 2).await;
    d.share(1, late).await;
    d.release(session, late).await;
    // The time that is left is that of the first, who has half of it.
    d.age(TTL_MS / 2).await;
    assert_eq!(d.heartbeat_of(session, early).await, ExtendOutcome::Expired);
    d.seat(2).await;
    assert_eq!(d.open_rows().await, d.live().await);
}

#[tokio::test]
async fn those_who_share_a_session_are_known_after_redis_was_lost() {
    let d = Deployment::new(1).await;
    let [ann, bob] = [InstanceId::new(), InstanceId::new()];
    let session = d.share(1, ann).await.session;
    d.share(1, bob).await;
    d.world.redis.flush().await;
    d.release(session, ann).await;
    assert!(d.is_live(session, bob).await);
    d.release(session, bob).await;
}

/// More instances than are recorded: the rest counts as one that only expires, so that none of them ends the others' session.
#[tokio::test]
async fn however_many_share_a_session_none_ends_it_for_the_others() {
    let d = Deployment::new(1).await;
    let all: Vec<InstanceId> = (0..40).map(|_| InstanceId::new()).collect();
    let session = d.share(1, all[0]).await.session;
    for instance in &all {
        assert_eq!(d.share(1, *instance).await.session, session);
    }
    let names = d.world.redis.command(&["HGET", &d.key("instances"), &session.to_string()]).await;
    assert_eq!(names.split(',').count(), 17);
    for instance in &all[..39] {
        d.release(session, *instance).await;
        assert!(d.is_live(session, all[39]).await);
    }
    let rows = d.sql.query("select cardinality(instances) from sessions", &[]).await.unwrap();
    assert_eq!(rows[0].get::<_, i32>(0), 16);
    // The last of those without a name of their own has to wait until that name falls silent.
    d.release(session, all[39]).await;
    d.age(TTL_MS).await;
    assert!(d.seat(2).await.new);
}

#[tokio::test]
async fn whoever_joins_while_the_last_one_leaves_has_a_seat_in_every_order() {
    let d = Deployment::new(1).await;
    let [leaves, joins] = [InstanceId::new(), InstanceId::new()];
    // Granted before: the session stays.
    let session = d.share(1, leaves).await.session;
    let AcquireOutcome::Seat(grant) = d.acquire_in_redis_as(1, joins, &d.terms().await).await.unwrap() else {
        panic!("no seat")
    };
    assert_eq!(grant.session, session);
    d.release(session, leaves).await;
    assert_eq!(d.open_for(1, joins, &grant).await, OpenOutcome::Open);
    assert!(matches!(d.confirm(&grant).await.unwrap(), ConfirmOutcome::Held(_)));
    assert!(d.is_live(session, joins).await);
    // Asked after the last one left, whose row is not closed yet: another session takes its place.
    assert!(matches!(d.leave(session, joins).await, LeaveOutcome::Last(_)));
    let next = d.share(1, leaves).await;
    assert!(next.new && next.session != session);
    d.close_row(session).await;
    d.release_in_redis(session).await;
    assert!(d.is_live(next.session, leaves).await);
    assert_eq!(d.open_rows().await, [next.session]);
}

#[tokio::test]
async fn a_release_that_dies_after_its_first_step_leaves_a_seat_for_others() {
    let d = Deployment::new(1).await;
    let session = d.seat(1).await.session;
    assert!(matches!(d.leave(session, UNNAMED).await, LeaveOutcome::Last(_)));
    assert_eq!(d.heartbeat(session).await, ExtendOutcome::Expired);
    assert!(d.seat(2).await.new);
    assert_eq!(d.open_rows().await, d.live().await);
}

#[tokio::test]
async fn another_subject_takes_no_instance_away() {
    let d = Deployment::new(1).await;
    let session = d.seat(1).await.session;
    let stranger = Some(uuid::Uuid::now_v7());
    let leaving = LeaveRequest { subject: stranger, ..d.leaving(session, UNNAMED) };
    assert!(!d.seats.release(&leaving).await.unwrap());
    assert!(d.is_live(session, UNNAMED).await);
}

/// Redis is lost between the last one's leaving and the end of the row, and the session restored and joined by another.
#[tokio::test]
async fn a_release_that_a_restore_overtakes_ends_the_session_of_nobody_who_joined_since() {
    let d = Deployment::new(1).await;
    let [leaves, joins] = [InstanceId::new(), InstanceId::new()];
    let session = d.share(1, leaves).await.session;
    let LeaveOutcome::Last(generation) = d.leave(session, leaves).await else { panic!("nobody else is there") };
    d.world.redis.flush().await;
    assert_eq!(d.share(1, joins).await.session, session);
    let leaving = d.leaving(session, leaves);
    assert_eq!(d.seats.close_released(&leaving, generation).await.unwrap(), seats::release::CloseOutcome::Overtaken);
    d.release(session, leaves).await;
    assert!(d.is_live(session, joins).await);
    d.release(session, joins).await;
    assert!(d.open_rows().await.is_empty() && d.live().await.is_empty());
}
