//! Every interleaving that a property test can think of, against a simple model.
//!
//! Calls are taken apart into their steps, and a schedule says whose step is next. Between any two steps Redis may be
//! flushed, a call may die, time may pass, the licence may shrink, grow or be suspended, with Redis told at once, later
//! or never. The model is what clients were told: a session is *told* from the moment its acquire answered yes until its
//! client was told no, released it, or let its time pass.
//!
//! Checked after each step: the told and live sessions never exceed the limits in force when they were granted; a live
//! session's heartbeat succeeds. Checked at the end: everything settles, and Redis and Postgres agree.

use std::collections::HashMap;

use proptest::prelude::*;
use protocol::id::SessionId;
use seats::session::Opened;
use seats::{Confirmed, Extended, Grant, Taken, Terms};

use crate::deployment::{Deployment, TTL_MS};

const HOLDERS: usize = 5;

#[derive(Debug, Clone)]
enum Step {
    /// The next step of a holder's acquire; the first reads the licence.
    Acquire(usize),
    /// A holder's acquire dies where it is.
    Die(usize),
    /// A holder with a session sends a heartbeat.
    Beat(usize),
    /// A holder's release: the row, and at the next such step the seat.
    Release(usize),
    /// Time passes, in sixths of a seat's time.
    Wait(i64),
    Flush,
    /// New limit, and whether Redis is told.
    Limit(i32, bool),
    /// Suspended and resumed, and whether Redis is told of the suspension.
    Suspend(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let holder = 0..HOLDERS;
    let step = prop_oneof![
        12 => holder.clone().prop_map(Step::Acquire),
        1 => holder.clone().prop_map(Step::Die),
        3 => holder.clone().prop_map(Step::Beat),
        2 => holder.prop_map(Step::Release),
        2 => (1..=7_i64).prop_map(Step::Wait),
        1 => Just(Step::Flush),
        1 => (1..=3, any::<bool>()).prop_map(|(n, told)| Step::Limit(n, told)),
        1 => any::<bool>().prop_map(Step::Suspend),
    ];
    proptest::collection::vec(step, 10..60)
}

/// Where a holder's acquire is.
#[derive(Debug, Clone)]
enum Acquire {
    Read(Terms),
    Granted(Grant),
    Opened(Grant),
}

/// What a client believes it has.
#[derive(Debug, Clone, Copy)]
struct Told {
    session: SessionId,
    /// How much of its time is left.
    left: i64,
    /// The largest limit in force since its acquire began.
    limit: i32,
}

struct Model<'a> {
    d: &'a Deployment,
    limit: i32,
    acquiring: HashMap<usize, (Acquire, i32)>,
    told: HashMap<usize, Told>,
    releasing: HashMap<usize, SessionId>,
}

impl Model<'_> {
    async fn step(&mut self, step: &Step) {
        match *step {
            Step::Acquire(holder) => self.acquire(holder).await,
            Step::Die(holder) => drop(self.acquiring.remove(&holder)),
            Step::Beat(holder) => self.beat(holder).await,
            Step::Release(holder) => self.release(holder).await,
            Step::Wait(sixths) => self.wait(sixths).await,
            Step::Flush => self.d.world.redis.flush().await,
            Step::Limit(limit, told) => {
                self.d.change(Some(limit), None, told).await;
                self.limit = limit;
                self.acquiring.values_mut().for_each(|(_, seen)| *seen = limit.max(*seen));
            }
            Step::Suspend(told) => {
                self.d.change(None, Some("suspended"), told).await;
                // Whoever heartbeats is told so; nobody has a seat any more.
                self.told.clear();
                self.d.change(None, Some("active"), true).await;
            }
        }
        self.check();
    }

    /// One step of an acquire, as `Seats::take` puts them together.
    async fn acquire(&mut self, holder: usize) {
        let Some((at, seen)) = self.acquiring.remove(&holder) else {
            self.acquiring.insert(holder, (Acquire::Read(self.d.terms().await), self.limit));
            return;
        };
        let next = match at {
            Acquire::Read(terms) => match self.d.grant(holder, &terms).await.unwrap() {
                Taken::Seat(grant) => Some(Acquire::Granted(grant)),
                Taken::Cold => {
                    self.warm().await;
                    Some(Acquire::Read(terms))
                }
                Taken::Full { .. } | Taken::Inactive(_) => None,
            },
            Acquire::Granted(grant) => match self.d.open(holder, &grant).await {
                Opened::Open => Some(Acquire::Opened(grant)),
                Opened::Overtaken => Some(Acquire::Read(self.d.terms().await)),
                Opened::Closed => {
                    self.d.free(grant.session).await;
                    Some(Acquire::Read(self.d.terms().await))
                }
            },
            Acquire::Opened(grant) => match self.d.confirm(&grant).await.unwrap() {
                Confirmed::Held(_) => {
                    self.tell_yes(holder, &grant, seen);
                    None
                }
                Confirmed::Cold => {
                    self.warm().await;
                    Some(Acquire::Opened(grant))
                }
                Confirmed::Inactive(_) => None,
                Confirmed::Lost => {
                    self.d
                        .seats
                        .close(self.d.tenant, self.d.license, grant.session, protocol::wire::EndedReason::Expired)
                        .await
                        .unwrap();
                    None
                }
            },
        };
        if let Some(next) = next {
            self.acquiring.insert(holder, (next, seen));
        }
    }

    fn tell_yes(&mut self, holder: usize, grant: &Grant, limit: i32) {
        match self.told.get_mut(&holder) {
            // A session that was held already keeps the limit it was granted under.
            Some(told) if told.session == grant.session => told.left = told.left.max(1),
            _ => {
                // From the grant on the seat's time runs; what is left is at least what Redis says.
                self.told.insert(holder, Told { session: grant.session, left: 0, limit });
            }
        }
    }

    async fn warm(&self) {
        let mut patience = seats::restore::Patience::new();
        self.d.seats.warm(self.d.tenant, self.d.license, &mut patience).await.unwrap();
    }

    async fn beat(&mut self, holder: usize) {
        let Some(told) = self.told.get(&holder).copied() else { return };
        match self.d.beat(told.session).await {
            Extended::Live(_) => self.told.get_mut(&holder).unwrap().left = TTL_MS,
            ended => {
                assert!(told.left <= 0, "holder {holder}'s live session was lost: {ended:?}");
                self.told.remove(&holder);
            }
        }
    }

    async fn release(&mut self, holder: usize) {
        if let Some(session) = self.releasing.remove(&holder) {
            self.d.free(session).await;
        } else if let Some(told) = self.told.remove(&holder) {
            self.d.close_row(told.session).await;
            self.releasing.insert(holder, told.session);
        }
    }

    async fn wait(&mut self, sixths: i64) {
        let ms = TTL_MS / 6 * sixths;
        self.d.age(ms).await;
        self.told.values_mut().for_each(|told| told.left -= ms);
    }

    /// Sessions that were told yes and whose time has not passed for certain.
    fn check(&self) {
        let live: Vec<&Told> = self.told.values().filter(|told| told.left > 0).collect();
        let most = live.iter().map(|told| told.limit).max().unwrap_or(0);
        assert!(i32::try_from(live.len()).unwrap() <= most, "{} live sessions, {most} seats: {live:?}", live.len());
    }

    /// Everything that was under way dies or ends; then the licence is as good as new.
    async fn settle(&mut self) {
        self.acquiring.clear();
        for holder in 0..HOLDERS {
            self.beat(holder).await;
        }
        self.check();
        self.d.change(Some(3), None, true).await;
        self.d.age(2 * TTL_MS).await;
        for holder in 10..13 {
            self.d.seat(holder).await;
        }
        assert!(matches!(self.d.take(13).await.unwrap(), Taken::Full { limit: 3, in_use: 3, .. }));
        assert_eq!(self.d.open_rows().await, self.d.live().await);
    }
}

fn run(limit: i32, steps: &[Step]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let d = Deployment::new(limit).await;
        let mut model =
            Model { d: &d, limit, acquiring: HashMap::new(), told: HashMap::new(), releasing: HashMap::new() };
        for step in steps {
            model.step(step).await;
        }
        model.settle().await;
    });
}

proptest! {
    // PROPTEST_CASES asks for more; each case is a database and a Redis of its own.
    #![proptest_config(ProptestConfig { max_shrink_iters: 200, failure_persistence: None, ..ProptestConfig::with_cases(cases()) })]

    #[test]
    fn no_interleaving_grants_a_seat_too_many_or_loses_a_live_session(limit in 1..=3_i32, steps in steps()) {
        run(limit, &steps);
    }
}

fn cases() -> u32 {
    std::env::vars().find(|(k, _)| k == "PROPTEST_CASES").and_then(|(_, v)| v.parse().ok()).unwrap_or(48)
}
