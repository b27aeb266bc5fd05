//! The benchmarks behind `docs/performance.md`: the functions through their own binaries, beside what the same machine
//! does without them, in one run. `scripts/bench` starts what it needs and calls it.

mod ceilings;
mod client;
mod cold;
mod context;
mod functions;
mod hook;
mod load;
mod table;
mod webhook;

use std::collections::HashMap;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use functions::{Target, USERS};
use load::Measured;
use table::{ms, rate, table};
use tokio::net::TcpListener;
use tokio_postgres::NoTls;

/// Requests of each of the 100 users in one closed-loop round.
const EACH_SIGNED: usize = 30;
const EACH_HEARTBEAT: usize = 1000;
const EACH_EVENT: usize = 40;
/// Rounds, of which the median is printed: the machine is shared.
const ROUNDS: usize = 3;
/// Pause between a paced user's requests: 100 users then send 200 requests a second, which two cores can sign.
const PACE: Duration = Duration::from_millis(500);

#[tokio::main]
async fn main() -> ExitCode {
    common::serve::install_crypto();
    let variables: HashMap<String, String> = std::env::vars().collect();
    let mode = std::env::args().nth(1).unwrap_or_default();
    match mode.as_str() {
        // It serves from a process of its own, as the functions do.
        "serve-redis" => {
            let seat = ceilings::Seat {
                license: variables["BENCH_LICENSE"].clone(),
                session: variables["BENCH_SESSION"].clone(),
            };
            ceilings::serve_redis(listener().await, &variables["REDIS_URL"], seat).await;
        }
        "client" => client::run(&variables),
        "cold" => return cold::run(&variables).await,
        "hook" => print_line(&format!("{}\n", hook::table(&variables))),
        "context" => context::run(&variables, std::env::args().nth(2).as_deref()).await,
        _ => run(&variables).await,
    }
    ExitCode::SUCCESS
}

async fn listener() -> TcpListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    print_line(&listener.local_addr().expect("a bound listener").to_string());
    listener
}

fn print_line(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Starts a ceiling's server in a process of its own, from a program beside this one or from itself; killed when dropped.
async fn ceiling(program: &str, mode: &[&str], variables: &[(&str, &str)]) -> (tokio::process::Child, String) {
    use tokio::io::AsyncBufReadExt as _;
    let exe = std::env::current_exe().expect("this program is a file").with_file_name(program);
    let mut child = tokio::process::Command::new(exe)
        .args(mode)
        .envs(variables.iter().copied())
        .stdout(std::process::Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("this program can be started");
    let mut line = String::new();
    let mut output = tokio::io::BufReader::new(child.stdout.take().expect("its output is piped"));
    output.read_line(&mut line).await.expect("it says where it listens");
    (child, line.trim().to_owned())
}

fn median_rate(mut rounds: Vec<f64>) -> f64 {
    rounds.sort_by(f64::total_cmp);
    rounds[rounds.len() / 2]
}

/// Merges all rounds' latencies.
fn all(rounds: Vec<Measured>) -> Measured {
    let errors = rounds.iter().map(|m| m.errors).sum();
    let mut latencies: Vec<_> = rounds.into_iter().flat_map(|m| m.latencies).collect();
    latencies.sort_unstable();
    Measured { per_second: 0.0, latencies, errors, bodies: Vec::new() }
}

fn median(mut rounds: Vec<Measured>) -> Measured {
    rounds.sort_by(|a, b| a.per_second.total_cmp(&b.per_second));
    rounds.swap_remove(rounds.len() / 2)
}

async fn run(v: &HashMap<String, String>) {
    let at = |name: &str| load::address(&v[name]);
    let token = functions::access_token(&at("AUTH_URL"), &v["BENCH_KEY"]).await;
    let access_token = token["access_token"].as_str().expect("an access token").to_owned();
    let tenant = token["tenant_id"].as_str().expect("a tenant").to_owned();
    let target = Target {
        validate: at("VALIDATE_URL"),
        acquire: at("ACQUIRE_URL"),
        heartbeat: at("HEARTBEAT_URL"),
        release: at("RELEASE_URL"),
        key: v["BENCH_KEY"].clone(),
        access_token,
    };
    let mut out = Report::default();
    let (_, sessions) = target.acquire(99, 1, None).await;
    let seat = ceilings::Seat { license: v["BENCH_LICENSE"].clone(), session: sessions[0].id.clone() };

    heartbeats(&target, &sessions, &seat, v, &mut out).await;
    signed(&target, v, &mut out).await;
    out.row(
        "one pipelined Postgres transaction, 16 connections",
        ceilings::postgres(&v["DATABASE_URL"], &seat.license, &tenant).await,
        None,
        "",
    );
    let stripe = webhook::Stripe::open(at("WEBHOOK_STRIPE_URL"), &v["STRIPE_WEBHOOK_SECRETS"]).await;
    events(&stripe, v, &mut out).await;
    paced(&target, &sessions, &mut out).await;
    let paced = stripe.changes(50, Some(webhook::PACE)).await;
    out.measured("webhook-stripe, 100 users, 500 events/s", &paced, String::new());
    out.print();
    large_license(&target, v).await;
    restarts(&stripe, v).await;
}

/// Measures heartbeats, interleaved with the ceilings so that a slow minute of the machine is slow for all of them.
async fn heartbeats(
    target: &Target,
    sessions: &[functions::Session],
    seat: &ceilings::Seat,
    v: &HashMap<String, String>,
    out: &mut Report,
) {
    let (_hello, hello_at) = ceiling("hello", &[], &[]).await;
    let variables =
        [("REDIS_URL", v["REDIS_URL"].as_str()), ("BENCH_LICENSE", &seat.license), ("BENCH_SESSION", &seat.session)];
    let (_redis, redis_at) = ceiling("bench", &["serve-redis"], &variables).await;
    let plan = load::Plan { users: USERS, requests_per_user: EACH_HEARTBEAT, pace: None, keep_bodies: false };
    let (mut hello, mut redis, mut raw, mut ours) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        hello.push(load::run(&hello_at, plan, |_, _| load::post("/", None, "{}")).await);
        redis.push(load::run(&redis_at, plan, |_, _| load::post("/", None, "{}")).await);
        raw.push(ceilings::redis_benchmark(&v["REDIS_URL"], seat).await);
        ours.push(target.heartbeat(sessions, EACH_HEARTBEAT, None).await);
    }
    let (hello, redis, ours) = (median(hello), median(redis), median(ours));
    out.measured("bare axum, a constant", &hello, String::new());
    out.measured("bare axum + Redis, the same script", &redis, String::new());
    out.row("redis-benchmark, the same script, 50 connections", median_rate(raw), None, "");
    out.measured(
        "**heartbeat**",
        &ours,
        format!("{:.0} % of bare axum + Redis", 100.0 * ours.per_second / redis.per_second),
    );
}

/// Measures the requests that end in a signature, interleaved with bare signatures.
async fn signed(target: &Target, v: &HashMap<String, String>, out: &mut Report) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let (mut validate, mut acquire, mut release) = (Vec::new(), Vec::new(), Vec::new());
    let (mut one, mut all) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        one.push(ceilings::signature(&v["SIGNING_KEY"]).await);
        all.push(ceilings::signatures(&v["SIGNING_KEY"]).await);
        validate.push(target.validate(EACH_SIGNED, None).await);
        let (acquired, sessions) = target.acquire(round, EACH_SIGNED, None).await;
        acquire.push(acquired);
        release.push(target.release(&sessions, EACH_SIGNED, None).await);
    }
    one.sort_unstable();
    let (one, all) = (one[ROUNDS / 2], median_rate(all));
    let ideal = cores / one.as_secs_f64();
    let share = |m: &Measured| {
        let of = |ceiling: f64| 100.0 * m.per_second / ceiling;
        format!("{:.0} % of cores ÷ signing time, {:.0} % of all cores signing", of(ideal), of(all))
    };
    out.row("RSA-4096 signatures, one core", 1.0 / one.as_secs_f64(), Some((one, one)), "");
    out.row("RSA-4096 signatures, all cores at once", all, None, &format!("cores ÷ signing time: {}", rate(ideal)));
    let (validate, acquire, release) = (median(validate), median(acquire), median(release));
    out.measured("**validate**", &validate, share(&validate));
    out.measured("**acquire**", &acquire, share(&acquire));
    out.measured("**release**", &release, String::new());
}

/// Measures Stripe's events, interleaved with the same look-ups and commits without our function.
async fn events(stripe: &webhook::Stripe, v: &HashMap<String, String>, out: &mut Report) {
    const CONNECTIONS: usize = 16;
    let (client, connection) = tokio_postgres::connect(&v["DATABASE_URL"], NoTls).await.expect("Postgres answers");
    tokio::spawn(connection);
    let purchases = stripe.purchases(CONNECTIONS, &client).await;
    let (mut raw, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        raw.push(ceilings::postgres_events(&v["DATABASE_URL"], &purchases).await);
        ours.push(stripe.changes(EACH_EVENT, None).await);
    }
    let (raw, ours) = (median_rate(raw), median(ours));
    out.row("an event's Postgres alone, the same 5 round trips, 16 connections", raw, None, "");
    out.measured("**webhook-stripe**", &ours, format!("{:.0} % of its Postgres alone", 100.0 * ours.per_second / raw));
}

/// Sends Stripe's events while servers are restarted.
async fn restarts(stripe: &webhook::Stripe, v: &HashMap<String, String>) {
    let Some(stack) = v.get("BENCH_STACK_DIR") else { return };
    let seen = stripe.restarted(&v["DATABASE_URL"], stack).await;
    let header =
        ["500 events/s", "events", "acknowledged", "of these missing", "sent again", "licenses not as the newest"];
    let counts = [seen.events, seen.acknowledged, seen.missing, seen.sent_again, seen.wrong];
    let mut row = vec!["Redis, then Postgres restarted".to_owned()];
    row.extend(counts.map(|n| rate(n as f64)));
    print_line(&table(&header, vec![row]));
}

/// 100 people who don't all press the key in the same instant: the latency they see.
async fn paced(target: &Target, sessions: &[functions::Session], out: &mut Report) {
    let each = 40;
    let suffix = format!("100 users, {:.0} requests/s", USERS as f64 / PACE.as_secs_f64());
    out.measured(
        &format!("validate, {suffix}"),
        &target.validate(each, Some(PACE)).await,
        "target: p99 < 50 ms".to_owned(),
    );
    let (acquired, taken) = target.acquire(50, each, Some(PACE)).await;
    out.measured(&format!("acquire, {suffix}"), &acquired, "target: p99 < 50 ms".to_owned());
    out.measured(
        &format!("heartbeat, {suffix}"),
        &target.heartbeat(sessions, each, Some(PACE)).await,
        "target: p99 < 50 ms".to_owned(),
    );
    out.measured(
        &format!("release, {suffix}"),
        &target.release(&taken, each, Some(PACE)).await,
        "target: p99 < 50 ms".to_owned(),
    );
}

/// A license with 20,000 seats, all but a few taken, beside one with 5, in turns. Few requests, so that what they wait for
/// is their own work and not each other's signatures.
async fn large_license(target: &Target, v: &HashMap<String, String>) {
    let run =
        load::Plan { users: 5, requests_per_user: 100, pace: Some(Duration::from_millis(100)), keep_bodies: true };
    let licenses = [("5 seats", "BENCH_SMALL_KEY"), ("20,000 seats, 19,900 taken", "BENCH_LARGE_KEY")];
    let mut measured: [(Vec<Measured>, Vec<Measured>); 2] = Default::default();
    for _ in 0..ROUNDS {
        for ((_, key), (acquires, beats)) in licenses.iter().zip(&mut measured) {
            let Some(key) = v.get(*key) else { return };
            let token = functions::access_token(&load::address(&v["AUTH_URL"]), key).await;
            let token = token["access_token"].as_str().expect("an access token");
            let acquired = load::run(&target.acquire, run, |user, _| {
                let body = serde_json::json!({"hardware_id": functions::device(3, user, 0)}).to_string();
                load::post("/api/v1/licenses/acquire", Some(token), &body)
            })
            .await;
            beats.push(target.heartbeat(&[functions::session(&acquired.bodies[0])], 20, Some(PACE)).await);
            acquires.push(acquired);
        }
    }
    let rows = licenses.iter().zip(measured).map(|((name, _), (acquires, beats))| {
        let (acquire, beat) = (all(acquires), all(beats));
        vec![
            (*name).to_owned(),
            ms(acquire.percentile(0.5)),
            ms(acquire.percentile(0.99)),
            ms(beat.percentile(0.5)),
            ms(beat.percentile(0.99)),
            (acquire.errors + beat.errors).to_string(),
        ]
    });
    print_line(&table(
        &["license", "acquire p50", "acquire p99", "heartbeat p50", "heartbeat p99", "errors"],
        rows.collect(),
    ));
    print_line("");
}

#[derive(Default)]
struct Report(Vec<Vec<String>>);

impl Report {
    fn row(&mut self, what: &str, per_second: f64, times: Option<(Duration, Duration)>, note: &str) {
        let (p50, p99) = times.map_or_else(Default::default, |(a, b)| (ms(a), ms(b)));
        self.0.push(vec![what.to_owned(), rate(per_second), p50, p99, String::new(), note.to_owned()]);
    }

    fn measured(&mut self, what: &str, m: &Measured, note: String) {
        let (p50, p99) = (ms(m.percentile(0.5)), ms(m.percentile(0.99)));
        self.0.push(vec![what.to_owned(), rate(m.per_second), p50, p99, m.errors.to_string(), note]);
    }

    fn print(self) {
        print_line(&table(&["what, at 100 concurrent users", "per second", "p50", "p99", "errors", ""], self.0));
        print_line("");
    }
}
