//! Every interleaving that a property test can think of, against a simple model.
//!
//! Calls are taken apart into their steps, and a schedule says whose step is next. Between any two steps Redis may be
//! flushed, a call may die, time may pass, the licence may shrink, grow or be suspended, with Redis told at once, later
//! or never. The model is what clients were told: a session is *told* from the moment its acquire answered yes until its
//! client was told no, released it, or let its time pass.
//!
//! Checked on the way: a session is opened only while fewer than the limit in force are told and live; a holder that has
//! a live session is granted that one; a live session's heartbeat succeeds. Checked at the end: everything settles, and
//! Redis and Postgres agree.

use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use protocol::id::SessionId;
use protocol::wire::EndedReason;
use seats::session::Opened;
use seats::{Confirmed, Extended, Grant, Taken, Terms};

use crate::deployment::{Deployment, TTL_MS};

const HOLDERS: usize = 5;
/// No run takes so long: what is left of a seat's time is rounded down by it.
const SLACK_MS: i64 = TTL_MS / 12;

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
    /// How many milliseconds of its time are certainly left.
    left: i64,
}

struct Model<'a> {
    d: &'a Deployment,
    limit: usize,
    acquiring: HashMap<usize, Acquire>,
    opened: HashSet<SessionId>,
    told: HashMap<usize, Told>,
    releasing: HashMap<usize, SessionId>,
    released: HashSet<SessionId>,
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
                self.limit = usize::try_from(limit).unwrap();
            }
            Step::Suspend(told) => {
                self.d.change(None, Some("suspended"), told).await;
                // Their heartbeats say so; nobody has a seat any more.
                self.told.clear();
                self.d.change(None, Some("active"), true).await;
            }
        }
    }

    /// One step of an acquire, as `Seats::take` puts them together.
    async fn acquire(&mut self, holder: usize) {
        let next = match self.acquiring.remove(&holder) {
            None => Some(Acquire::Read(self.d.terms().await)),
            Some(Acquire::Read(terms)) => match self.d.grant(holder, &terms).await.unwrap() {
                Taken::Seat(grant) => {
                    if let Some(told) = self.told.get(&holder).filter(|told| told.left > 0) {
                        assert_eq!(told.session, grant.session, "holder {holder} has a live session and got another");
                    }
                    Some(Acquire::Granted(grant))
                }
                Taken::Cold => {
                    self.warm().await;
                    Some(Acquire::Read(terms))
                }
                Taken::Full { .. } | Taken::InstallationFull { .. } | Taken::Inactive(_) => None,
                Taken::Elsewhere => panic!("there is one license here"),
            },
            Some(Acquire::Granted(grant)) => match self.d.open(holder, &grant).await {
                Opened::Open => {
                    if self.opened.insert(grant.session) {
                        let others = self.told.iter().filter(|(h, told)| **h != holder && told.left > 0).count();
                        assert!(others < self.limit, "a session was opened beside {others} of {}", self.limit);
                    }
                    Some(Acquire::Opened(grant))
                }
                Opened::Overtaken => Some(Acquire::Read(self.d.terms().await)),
                Opened::Closed => {
                    self.d.free(grant.session).await;
                    Some(Acquire::Read(self.d.terms().await))
                }
                Opened::Crowded(_) => panic!("nothing limits the installation here"),
                Opened::Elsewhere => panic!("there is one license here"),
            },
            Some(Acquire::Opened(grant)) => match self.d.confirm(&grant).await.unwrap() {
                // A holder that asked for its seat and gave it back at the same time has given it back.
                Confirmed::Held(_) if self.released.contains(&grant.session) => None,
                Confirmed::Held(expires_ms) => {
                    let left = expires_ms - now_ms() - SLACK_MS;
                    self.told.insert(holder, Told { session: grant.session, left });
                    None
                }
                Confirmed::Cold => {
                    self.warm().await;
                    Some(Acquire::Opened(grant))
                }
                Confirmed::Inactive(_) => None,
                Confirmed::Lost => {
                    let (tenant, license) = (self.d.tenant, self.d.license);
                    self.d.seats.close(tenant, license, grant.session, EndedReason::Expired).await.unwrap();
                    None
                }
            },
        };
        if let Some(next) = next {
            self.acquiring.insert(holder, next);
        }
    }

    async fn warm(&self) {
        let mut patience = seats::restore::Patience::new();
        self.d.seats.warm(self.d.tenant, self.d.license, &mut patience).await.unwrap();
    }

    async fn beat(&mut self, holder: usize) {
        let Some(told) = self.told.get_mut(&holder) else { return };
        match self.d.beat(told.session).await {
            Extended::Live(expires_ms) => told.left = expires_ms - now_ms() - SLACK_MS,
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
            self.released.insert(told.session);
            self.releasing.insert(holder, told.session);
        }
    }

    async fn wait(&mut self, sixths: i64) {
        let ms = TTL_MS / 6 * sixths;
        self.d.age(ms).await;
        self.told.values_mut().for_each(|told| told.left -= ms);
    }

    /// Everything under way dies; then the licence is as good as new.
    async fn settle(&mut self) {
        for holder in 0..HOLDERS {
            self.beat(holder).await;
        }
        self.d.change(Some(3), None, true).await;
        // A restore gives every open row a whole time anew: it comes before the wait.
        self.d.beat(SessionId::new()).await;
        self.d.age(2 * TTL_MS).await;
        for holder in 10..13 {
            self.d.seat(holder).await;
        }
        assert!(matches!(self.d.take(13).await.unwrap(), Taken::Full { limit: 3, in_use: 3, .. }));
        assert_eq!(self.d.open_rows().await, self.d.live().await);
    }
}

fn now_ms() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis()).unwrap()
}

async fn run(d: &Deployment, steps: &[Step]) {
    let limit = usize::try_from(d.terms().await.limit).unwrap();
    let mut model = Model {
        d,
        limit,
        acquiring: HashMap::new(),
        opened: HashSet::new(),
        told: HashMap::new(),
        releasing: HashMap::new(),
        released: HashSet::new(),
    };
    for step in steps {
        model.step(step).await;
    }
    model.settle().await;
}

#[test]
fn no_interleaving_grants_a_seat_too_many_or_loses_a_live_session() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let d = runtime.block_on(Deployment::new(1));
    // PROPTEST_CASES asks for more.
    let config = Config { max_shrink_iters: 300, failure_persistence: None, ..Config::default() };
    let tested = TestRunner::new(config).run(&(1..=3, steps()), |(limit, steps)| {
        runtime.block_on(async { run(&d.another_license(limit).await, &steps).await });
        Ok(())
    });
    if let Err(failed) = tested {
        panic!("{failed}");
    }
}
