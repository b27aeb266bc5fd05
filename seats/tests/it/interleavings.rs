//! Every interleaving that a property test can think of, against a simple model.
//!
//! Calls are taken apart into their steps, and a schedule chooses the next step. Between any two steps Redis may be flushed, or
//! be replaced by another server that has loaded an old snapshot, a call may die, time may pass, the license may shrink, grow
//! or be suspended, with Redis updated at once, later or never. Some holders are two clients, who share a session. The model is
//! the clients' knowledge: a client *has* a session from the moment that its acquire succeeded until it received a refusal,
//! gave it back, or let its time pass.
//!
//! Checked on the way: a session is opened only while clients have fewer live sessions than the limit in force; a holder that
//! has a live session is granted that one; a live session's heartbeat succeeds, whatever the others who share it do. Checked at
//! the end: everything settles, and Redis and Postgres agree.

use std::collections::{HashMap, HashSet};
use std::time::{SystemTime, UNIX_EPOCH};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use protocol::id::{InstanceId, SessionId};
use protocol::wire::EndedReason;
use seats::release::CloseOutcome;
use seats::session::OpenOutcome;
use seats::{AcquireOutcome, ConfirmOutcome, ExtendOutcome, Grant, LeaveOutcome, Terms};
use uuid::Uuid;

use crate::deployment::{Deployment, PARTS, TTL_MS};

/// Clients: of holders 0 to 4, and once more of 0 to 2.
const CLIENTS: usize = 8;
const HOLDERS: usize = 5;
/// No run takes so long: what is left of a seat's time is rounded down by it.
const SLACK_MS: i64 = TTL_MS / 12;

#[derive(Debug, Clone)]
enum Step {
    /// The next step of a client's acquire; the first reads the license.
    Acquire(usize),
    /// A client's acquire dies where it is.
    Die(usize),
    /// A client with a session sends a heartbeat.
    Beat(usize),
    /// A heartbeat that a client sent before it gave its session back arrives after that.
    LateBeat(usize),
    /// A client's release: it leaves, and where it was the last, at the next such steps the row is closed and the seat freed.
    Release(usize),
    /// Time passes, in sixths of a seat's time.
    Wait(i64),
    Flush,
    /// A snapshot is taken.
    Save,
    /// Redis is replaced by another server that has loaded the snapshot.
    Load,
    /// The limit changes; true if Redis is updated.
    Limit(i32, bool),
    /// The license is suspended and resumed; true if Redis is updated about the suspension.
    Suspend(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let client = 0..CLIENTS;
    let step = prop_oneof![
        16 => client.clone().prop_map(Step::Acquire),
        1 => client.clone().prop_map(Step::Die),
        3 => client.clone().prop_map(Step::Beat),
        4 => client.clone().prop_map(Step::Release),
        2 => client.prop_map(Step::LateBeat),
        2 => (1..=7_i64).prop_map(Step::Wait),
        1 => Just(Step::Flush),
        1 => Just(Step::Save),
        1 => Just(Step::Load),
        1 => (1..=3, any::<bool>()).prop_map(|(n, told)| Step::Limit(n, told)),
        1 => any::<bool>().prop_map(Step::Suspend),
    ];
    proptest::collection::vec(step, 10..70)
}

/// Progress of a client's acquire.
#[derive(Debug, Clone)]
enum Acquire {
    Read(Terms),
    Granted(Grant),
    Opened(Grant),
}

/// A session that a client has, as the client knows.
#[derive(Debug, Clone, Copy)]
struct Told {
    session: SessionId,
    /// Milliseconds of its time that are certainly left.
    left: i64,
}

/// The next step of a release that has begun.
#[derive(Debug, Clone, Copy)]
enum Release {
    Close(SessionId, i64),
    Free(SessionId),
}

struct Model<'a> {
    d: &'a Deployment,
    limit: usize,
    acquiring: HashMap<usize, Acquire>,
    opened: HashSet<SessionId>,
    told: HashMap<usize, Told>,
    releasing: HashMap<usize, Release>,
    /// Given back since the client last asked for it.
    released: HashSet<(usize, SessionId)>,
    /// Left a session that others keep, with nothing since that makes Redis forget it.
    left: HashMap<usize, SessionId>,
    /// The license's keys in the snapshot.
    snapshot: Vec<(String, String)>,
}

impl Model<'_> {
    async fn step(&mut self, step: &Step) {
        if matches!(step, Step::Flush | Step::Load | Step::Suspend(_) | Step::Wait(_)) {
            self.left.clear();
        }
        match *step {
            Step::Acquire(client) => self.acquire(client).await,
            Step::Die(client) => drop(self.acquiring.remove(&client)),
            Step::Beat(client) => self.heartbeat(client).await,
            Step::LateBeat(client) => self.late_beat(client).await,
            Step::Release(client) => self.end_session(client).await,
            Step::Save => self.save().await,
            Step::Load => self.load().await,
            Step::Wait(sixths) => self.wait(sixths).await,
            Step::Flush => self.d.world.redis.flush().await,
            Step::Limit(limit, told) => {
                self.d.change(Some(limit), None, told).await;
                self.limit = usize::try_from(limit).unwrap();
            }
            Step::Suspend(told) => {
                self.d.change(None, Some("suspended"), told).await;
                // Their heartbeats report it; no client has a seat any more.
                self.told.clear();
                self.d.change(None, Some("active"), true).await;
            }
        }
    }

    /// Number of live sessions that clients of other holders have.
    fn others(&self, holder: usize) -> usize {
        let others = self.told.iter().filter(|(client, told)| holder_of(**client) != holder && told.left > 0);
        others.map(|(_, told)| told.session).collect::<HashSet<_>>().len()
    }

    /// One step of an acquire, as `Seats::acquire` puts them together.
    async fn acquire(&mut self, client: usize) {
        let next = match self.acquiring.remove(&client) {
            None => Some(Acquire::Read(self.d.terms().await)),
            Some(Acquire::Read(terms)) => self.acquire_in_redis(client, terms).await,
            Some(Acquire::Granted(grant)) => self.open(client, grant).await,
            Some(Acquire::Opened(grant)) => self.confirm(client, grant).await,
        };
        if let Some(next) = next {
            self.acquiring.insert(client, next);
        }
    }

    async fn acquire_in_redis(&mut self, client: usize, terms: Terms) -> Option<Acquire> {
        let holder = holder_of(client);
        match self.d.acquire_in_redis_as(holder, instance_of(client), &terms).await.unwrap() {
            AcquireOutcome::Seat(grant) => {
                for (_, told) in self.told.iter().filter(|(c, told)| holder_of(**c) == holder && told.left > 0) {
                    assert_eq!(told.session, grant.session, "holder {holder} has a live session and got another");
                }
                self.released.remove(&(client, grant.session));
                self.left.remove(&client);
                Some(Acquire::Granted(grant))
            }
            AcquireOutcome::Cold => {
                self.warm().await;
                Some(Acquire::Read(terms))
            }
            AcquireOutcome::Full { .. } | AcquireOutcome::InstallationFull { .. } | AcquireOutcome::Inactive(_) => None,
            AcquireOutcome::Behind { .. } => panic!("so many are never gone here"),
            AcquireOutcome::Elsewhere => panic!("there is one license here"),
        }
    }

    async fn open(&mut self, client: usize, grant: Grant) -> Option<Acquire> {
        let holder = holder_of(client);
        match self.d.open_for(holder, instance_of(client), &grant).await {
            OpenOutcome::Open => {
                if self.opened.insert(grant.session) {
                    let others = self.others(holder);
                    assert!(others < self.limit, "a session was opened beside {others} of {}", self.limit);
                }
                Some(Acquire::Opened(grant))
            }
            OpenOutcome::Overtaken => Some(Acquire::Read(self.d.terms().await)),
            OpenOutcome::Closed => {
                self.d.release_in_redis(grant.session).await;
                Some(Acquire::Read(self.d.terms().await))
            }
            OpenOutcome::Contradicted => panic!("Redis and Postgres disagree about {grant:?}"),
            OpenOutcome::InstallationFull(_) => panic!("nothing limits the installation here"),
            OpenOutcome::Elsewhere => panic!("there is one license here"),
        }
    }

    async fn confirm(&mut self, client: usize, grant: Grant) -> Option<Acquire> {
        match self.d.confirm(&grant).await.unwrap() {
            // A client that asked for its seat and gave it back at the same time has given it back.
            ConfirmOutcome::Held(_) if self.released.contains(&(client, grant.session)) => None,
            ConfirmOutcome::Held(expires_ms) => {
                let left = expires_ms - now_ms() - SLACK_MS;
                self.told.insert(client, Told { session: grant.session, left });
                None
            }
            ConfirmOutcome::Cold => {
                self.warm().await;
                Some(Acquire::Opened(grant))
            }
            ConfirmOutcome::Inactive(_) => None,
            ConfirmOutcome::Lost => {
                let (tenant, license) = (self.d.tenant, self.d.license);
                self.d.seats.close(tenant, license, grant.session, EndedReason::Expired).await.unwrap();
                None
            }
        }
    }

    async fn warm(&mut self) {
        self.left.clear();
        let mut wait = seats::restore::RestoreWait::new();
        self.d.seats.restore(self.d.tenant, self.d.license, &mut wait).await.unwrap();
    }

    async fn heartbeat(&mut self, client: usize) {
        let Some(told) = self.told.get_mut(&client) else { return };
        match self.d.heartbeat_of(told.session, instance_of(client)).await {
            ExtendOutcome::Live(kept) => told.left = kept.expires_ms - now_ms() - SLACK_MS,
            ended => {
                assert!(told.left <= 0, "client {client}'s live session was lost: {ended:?}");
                self.told.remove(&client);
            }
        }
    }

    async fn late_beat(&mut self, client: usize) {
        let Some(session) = self.left.get(&client) else { return };
        let ended = self.d.heartbeat_of(*session, instance_of(client)).await;
        assert!(!matches!(ended, ExtendOutcome::Live(_)), "client {client} had left and keeps a seat");
    }

    async fn end_session(&mut self, client: usize) {
        match self.releasing.remove(&client) {
            Some(Release::Free(session)) => self.d.release_in_redis(session).await,
            Some(Release::Close(session, generation)) => {
                let leaving = self.d.leaving(session, instance_of(client));
                match self.d.seats.close_released(&leaving, generation).await.unwrap() {
                    CloseOutcome::Closed => drop(self.releasing.insert(client, Release::Free(session))),
                    CloseOutcome::Overtaken => {
                        // A client that has asked for it again meanwhile has given it back all the same.
                        self.told.remove(&client);
                        self.released.insert((client, session));
                        self.warm().await;
                        self.leave(client, session).await;
                    }
                    CloseOutcome::Missing => panic!("it was told"),
                }
            }
            None => {
                let Some(told) = self.told.remove(&client) else { return };
                self.released.insert((client, told.session));
                self.leave(client, told.session).await;
            }
        }
    }

    async fn leave(&mut self, client: usize, session: SessionId) {
        match self.d.leave(session, instance_of(client)).await {
            LeaveOutcome::Cold => {
                self.warm().await;
                Box::pin(self.leave(client, session)).await;
            }
            LeaveOutcome::Kept => drop(self.left.insert(client, session)),
            LeaveOutcome::Last(generation) | LeaveOutcome::Unknown(generation) => {
                self.releasing.insert(client, Release::Close(session, generation));
            }
        }
    }

    async fn save(&mut self) {
        let script =
            "return redis.call('EXISTS', KEYS[1]) == 0 and '' or (string.gsub(redis.call('DUMP', KEYS[1]), '.',
            function(c) return string.format('%02x', string.byte(c)) end))";
        self.snapshot.clear();
        for key in PARTS.map(|part| self.d.key(part)) {
            let dump = self.d.world.redis.command(&["EVAL", script, "1", &key]).await;
            self.snapshot.push((key, dump));
        }
    }

    async fn load(&self) {
        let script = "redis.call('DEL', KEYS[1]) if ARGV[1] ~= '' then redis.call('RESTORE', KEYS[1], 0,
            (string.gsub(ARGV[1], '..', function(hex) return string.char(tonumber(hex, 16)) end))) end return 1";
        for (key, dump) in &self.snapshot {
            self.d.world.redis.command(&["EVAL", script, "1", key, dump]).await;
        }
        let other =
            "if redis.call('EXISTS', KEYS[1]) == 1 then redis.call('HSET', KEYS[1], 'server', 'another') end return 1";
        self.d.world.redis.command(&["EVAL", other, "1", &self.d.key("terms")]).await;
    }

    async fn wait(&mut self, sixths: i64) {
        let ms = TTL_MS / 6 * sixths;
        self.d.age(ms).await;
        self.told.values_mut().for_each(|told| told.left -= ms);
    }

    /// Ends all calls under way, and checks that all seats can be taken again.
    async fn settle(&mut self) {
        for client in 0..CLIENTS {
            self.heartbeat(client).await;
        }
        self.d.change(Some(3), None, true).await;
        // A restore gives every open row a whole time anew: it comes before the wait.
        self.d.heartbeat(SessionId::new()).await;
        self.d.age(2 * TTL_MS).await;
        for holder in 10..13 {
            self.d.seat(holder).await;
        }
        assert!(matches!(self.d.acquire(13).await.unwrap(), AcquireOutcome::Full { limit: 3, in_use: 3, .. }));
        assert_eq!(self.d.open_rows().await, self.d.live().await);
    }
}

fn holder_of(client: usize) -> usize {
    client % HOLDERS
}

fn instance_of(client: usize) -> InstanceId {
    InstanceId::from_uuid(Uuid::from_u128(1 + client as u128))
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
        left: HashMap::new(),
        snapshot: Vec::new(),
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
