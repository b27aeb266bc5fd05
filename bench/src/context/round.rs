//! Rounds: each sender sends its next request as soon as the last one is answered, until the time is over.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Barrier;

use super::cpu::{Processes, Spent};

/// Duration of a round.
pub(crate) const LENGTH: Duration = Duration::from_millis(1500);

/// Number of rounds of each row.
pub(crate) const ROUNDS: usize = 5;

/// One of several concurrent senders.
pub(crate) trait Sender: Send + 'static {
    /// Makes the requests beforehand, so that making them takes no time from the round.
    fn prepare(&mut self, requests: usize);

    /// Sends the next request, and returns the number of records that were sent; `None` when there is nothing left.
    fn send(&mut self) -> impl Future<Output = Option<u64>> + Send;

    /// Checks the answers that were kept during the round; returns the number of requests that failed.
    fn check(&mut self) -> u64 {
        0
    }
}

/// Results of rounds.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    rates: Vec<f64>,
    latencies: Vec<Duration>,
    records: u64,
    spent: Spent,
    pub(crate) errors: u64,
}

impl Measured {
    /// Records per second, the median of the rounds.
    pub(crate) fn rate(&self) -> f64 {
        let mut rates = self.rates.clone();
        rates.sort_by(f64::total_cmp);
        rates.get(rates.len() / 2).copied().unwrap_or_default()
    }

    /// The latency that this share of the requests stayed under.
    pub(crate) fn percentile(&self, share: f64) -> Duration {
        let mut latencies = self.latencies.clone();
        latencies.sort_unstable();
        let last = latencies.len().saturating_sub(1);
        latencies.get((last as f64 * share).round() as usize).copied().unwrap_or_default()
    }

    /// Microseconds of processor time for each record: function, Postgres, generator.
    pub(crate) fn micros_per_record(&self) -> [f64; 3] {
        let Spent { function, postgres, generator } = self.spent;
        [function, postgres, generator].map(|time| time.as_secs_f64() * 1e6 / self.records.max(1) as f64)
    }
}

/// Some senders and their results.
#[derive(Debug)]
pub(crate) struct Lane<S> {
    senders: Vec<S>,
    processes: Processes,
    /// Number of requests that a sender is given for a round.
    stock: usize,
    pub(crate) measured: Measured,
}

impl<S: Sender> Lane<S> {
    /// Opens a lane and warms it up: its first round counts only to find out how many requests to make for the next.
    pub(crate) async fn open(senders: Vec<S>, processes: Processes) -> Self {
        let mut lane = Self { senders, processes, stock: 30, measured: Measured::default() };
        lane.round().await;
        lane.measured = Measured::default();
        lane
    }

    /// Runs one round.
    pub(crate) async fn round(&mut self) {
        for sender in &mut self.senders {
            sender.prepare(self.stock);
        }
        let count = self.senders.len();
        let start = Arc::new(Barrier::new(count + 1));
        let running: Vec<_> =
            self.senders.drain(..).map(|sender| tokio::spawn(until_over(sender, Arc::clone(&start)))).collect();
        let before = self.processes.spent();
        let began = Instant::now();
        start.wait().await;
        let mut ended = began;
        let (mut records, mut requests) = (0, 0);
        for one in running {
            let one = one.await.expect("a sender doesn't panic");
            ended = ended.max(one.ended);
            records += one.records;
            requests = requests.max(one.latencies.len());
            self.measured.latencies.extend(one.latencies);
            self.senders.push(one.sender);
        }
        let spent = self.processes.spent().since(before);
        let took = (ended - began).as_secs_f64();
        self.measured.rates.push(records as f64 / took);
        self.measured.records += records;
        self.measured.spent = self.measured.spent.and(spent);
        self.measured.errors += self.senders.iter_mut().map(Sender::check).sum::<u64>();
        // Half as many again as the quickest sent in this time: no sender should be idle at the end.
        self.stock = (requests as f64 * 1.5 * LENGTH.as_secs_f64() / took).ceil() as usize + 1;
    }
}

struct Done<S> {
    sender: S,
    records: u64,
    latencies: Vec<Duration>,
    ended: Instant,
}

async fn until_over<S: Sender>(mut sender: S, start: Arc<Barrier>) -> Done<S> {
    start.wait().await;
    let began = Instant::now();
    let (mut records, mut latencies, mut now) = (0, Vec::new(), began);
    while now - began < LENGTH {
        let Some(sent) = sender.send().await else { break };
        let answered = Instant::now();
        latencies.push(answered - now);
        (records, now) = (records + sent, answered);
    }
    Done { sender, records, latencies, ended: now }
}
