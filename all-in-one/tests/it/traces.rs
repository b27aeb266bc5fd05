//! Traces, as a third-party OpenTelemetry collector receives them.

mod collector;

use std::time::{Duration, Instant};

use serde_json::json;
use testing::World;
use testing::http::{Client, Method};
use testing::process::until;

use crate::logs;
use crate::machine::Machine;
use crate::oidc::{self, CLIENT, Provider};
use crate::world::{ACQUIRE, AUTH, CHECKOUT, HEARTBEAT, all, device, seat, signed_in};
use collector::{Collector, Span};

const ALL_IN_ONE: &str = env!("CARGO_BIN_EXE_all-in-one");
const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

fn traceparent(sampled: bool) -> String {
    format!("00-{TRACE}-{PARENT}-{:02x}", u8::from(sampled))
}

async fn traced(collector: &Collector) -> World {
    World::new().await.with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.clone())
}

#[tokio::test]
async fn the_trace_of_an_acquire_has_each_of_its_steps_and_is_sent_before_the_end() {
    let collector = Collector::start(&[]);
    // Only requests that callers record are traced.
    let world = traced(&collector).await.with("OTEL_TRACES_SAMPLER_ARG", "0");
    let tenant = world.tenant("acme").await;
    let license = world.license(tenant, "TEAM", 2).await;
    let mut process = world.spawn(ALL_IN_ONE, "coditect_all").await;
    let caller = signed_in(&process.client, &license).await;
    let ask = |n| caller.request(Method::POST, ACQUIRE).json(&json!({"hardware_id": device(n)}));
    caller.send(ask(1).header("traceparent", traceparent(true)).header("x-request-id", "seen"), 201).await;
    // This request's caller does not record its trace.
    let unseen = TRACE.replace('4', "5");
    caller.send(ask(2).header("traceparent", traceparent(false).replace(TRACE, &unseen)), 201).await;
    // Spans are exported every second; a shutdown exports the rest at once.
    assert_eq!(process.terminate(), Some(0));

    let spans = collector.spans();
    // The keys are read by the first that needs them, be that this request or a background task of the process.
    let spans: Vec<Span> = spans.into_iter().filter(|span| span.name != "keys_current").collect();
    let trace: Vec<&Span> = spans.iter().filter(|span| span.trace == TRACE).collect();
    assert_eq!(trace.len(), spans.len(), "nothing else is recorded: {spans:?}");
    let root = trace.iter().find(|span| span.parent == PARENT).unwrap();
    assert_eq!((root.name.as_str(), root.kind.as_str()), (&*format!("POST {ACQUIRE}"), "SPAN_KIND_SERVER"));
    assert_eq!(root.service, "all-in-one");
    let of_root = |name: &str| root.attributes[name].clone();
    assert_eq!((of_root("http.route"), of_root("function")), (json!(ACQUIRE), json!("acquire")));
    assert_eq!((of_root("http.response.status_code"), of_root("request_id")), (json!(201), json!("seen")));
    assert_eq!(of_root("tenant"), json!(tenant));

    let mut steps: Vec<&&Span> = trace.iter().filter(|span| span.parent == root.id).collect();
    steps.sort_by(|a, b| a.start.total_cmp(&b.start));
    let names: Vec<&str> = steps.iter().map(|span| span.name.as_str()).collect();
    let cold = ["seat_acquire", "seat_restore_mark", "seats_restore", "seat_restore", "seat_restore_unmark"];
    let warm = ["seat_acquire", "session_open", "seat_confirm", "signature"];
    let wanted: Vec<&str> = ["licenses_for_caller"].into_iter().chain(cold).chain(warm).collect();
    assert_eq!(names, wanted);
    assert_eq!(trace.len(), steps.len() + 1, "nothing else: {trace:?}");
    assert!(steps.iter().all(|span| span.kind == "SPAN_KIND_CLIENT" && span.seconds <= root.seconds), "{steps:?}");
    let systems: Vec<_> = steps.iter().filter_map(|span| span.attributes.get("db.system.name")).collect();
    assert_eq!(systems.iter().filter(|system| **system == "postgresql").count(), 3, "{systems:?}");
    assert_eq!(systems.iter().filter(|system| **system == "redis").count(), 6, "{systems:?}");
}

#[tokio::test]
async fn the_database_knows_the_trace_of_a_transaction_while_it_runs() {
    let collector = Collector::start(&[]);
    let world = traced(&collector).await;
    let license = world.license(world.tenant("acme").await, "TEAM", 2).await;
    let process = world.spawn(ALL_IN_ONE, "coditect_all").await;
    let caller = signed_in(&process.client, &license).await;
    let (held, sql) = (seat(&caller, 1).await, world.db.connect("postgres").await);
    // Opening a session waits for this lock.
    let lock = format!("begin; select pg_advisory_xact_lock(hashtextextended('{}', 1))", license.id);
    sql.batch_execute(&lock).await.unwrap();
    let ask = caller.request(Method::POST, ACQUIRE).header("traceparent", traceparent(true));
    let acquired = tokio::spawn(ask.json(&json!({"hardware_id": device(2)})).send());
    let (watch, like) = (world.db.connect("postgres").await, format!("00-{TRACE}-%-01"));
    until("the transaction is seen", || async {
        let seen = "select 1 from pg_stat_activity where application_name like $1 and wait_event_type = 'Lock'";
        !watch.query(seen, &[&like]).await.unwrap().is_empty()
    })
    .await;
    sql.batch_execute("commit").await.unwrap();
    assert_eq!(acquired.await.unwrap().unwrap().status(), 201);
    // The name that was set for one transaction does not remain for the next.
    held.beat(200).await;
    let left = watch.query("select 1 from pg_stat_activity where application_name like '00-%'", &[]).await.unwrap();
    assert!(left.is_empty());
}

#[tokio::test]
async fn whoever_is_called_on_the_way_is_told_the_trace() {
    let (somebody, provider) = (Collector::start(&[]), Provider::shared());
    let issuers = json!([{"issuer": provider.issuer, "audience": CLIENT, "tenants": "*"}]).to_string();
    let world = World::new().await.with("OIDC_ISSUERS", issuers);
    let world = world.with("STRIPE_API_KEY", "sk_test_nobody").with("STRIPE_API_BASE", somebody.url.clone());
    let user = world.user(world.tenant("acme").await, "ann@acme.test", None).await;
    world.sql(&format!("update users set role = 'owner' where id = '{user}'")).await;
    let ann = provider.id_token(oidc::ANN).await;
    let buys = async |client: &Client| {
        let urls = json!({"plan": "TEAM", "seats": 5, "success_url": "https://a.test", "cancel_url": "https://a.test"});
        let ask = client.bearer(&ann).request(Method::POST, CHECKOUT).header("traceparent", traceparent(true));
        client.send_any(ask.json(&urls)).await;
        let (path, told) = somebody.call();
        assert_eq!(path, "/v1/checkout/sessions");
        told.unwrap()
    };
    // Without a collector, the caller's own trace context is passed on.
    assert_eq!(buys(&all(&world).await).await, traceparent(true));
    // With one, a span of that trace is passed on.
    let collector = Collector::start(&[]);
    let world = world.with("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url.clone());
    let mut process = world.spawn(ALL_IN_ONE, "coditect_all").await;
    let told = buys(&process.client).await;
    process.terminate();
    let spans = collector.spans();
    let caller = spans.iter().find(|span| told == format!("00-{TRACE}-{}-01", span.id)).unwrap();
    assert_eq!((caller.name.as_str(), caller.parent.as_str()), (&*format!("POST {CHECKOUT}"), PARENT));
}

#[tokio::test]
async fn what_a_person_reports_is_found_in_the_log_and_the_trace() {
    let collector = Collector::start(&[]);
    let world = traced(&collector).await.with("OTEL_TRACES_SAMPLER_ARG", "0");
    let license = world.license(world.tenant("acme").await, "TEAM", 1).await;
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let mut process = world.spawn_logging(ALL_IN_ONE, "coditect_all", "info,common=debug", &log).await;
    let machine = Machine::new(1, process.client.url());
    let key = license.key.to_string();
    let validated = |said: String| {
        let line = said.lines().find(|line| line.contains("/licenses/validate: 200 ")).map(str::to_owned);
        let id =
            line.as_deref().and_then(|line| line.rsplit_once(" request id ")).unwrap_or_else(|| panic!("{said}")).1;
        let lines = logs::lines(&log);
        let line = lines.iter().find(|line| line["request_id"] == id && line["status"] == 200).cloned();
        line.unwrap_or_else(|| panic!("{id} is not in the log"))
    };
    let (status, said) = machine.coditect(&["activate", &key, "--verbose"]);
    assert_eq!(status, 0, "{said}");
    let alone = validated(said);
    assert_eq!(alone["function"], "validate");
    let own = alone["logging.googleapis.com/trace"].as_str().unwrap().to_owned();
    let (status, said) = machine.traced(&traceparent(true), &["activate", &key, "--verbose"]);
    assert_eq!(status, 0, "{said}");
    assert_eq!(validated(said)["logging.googleapis.com/trace"], TRACE);
    process.terminate();
    let spans = collector.spans();
    assert!(spans.iter().any(|span| span.trace == TRACE && span.parent == PARENT && span.name.ends_with("/validate")));
    assert!(spans.iter().all(|span| span.trace != own), "what nobody records is in the log alone");
}

#[tokio::test]
async fn who_keeps_the_signing_key_is_told_the_trace() {
    let kms = Collector::start(&[]);
    let key = "kms:projects/p/locations/l/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";
    let world = World::new().await.with("SIGNING_KEY", key).with("KMS_ENDPOINT", kms.url.clone());
    let license = world.license(world.tenant("acme").await, "TEAM", 2).await;
    let client = all(&world).await;
    let ask = client.request(Method::POST, AUTH).header("traceparent", traceparent(true));
    client.send_any(ask.json(&json!({"license_key": license.key.to_string()}))).await;
    // The request that is sent at startup belongs to no trace.
    while kms.call().1 != Some(traceparent(true)) {}
}

#[tokio::test]
async fn a_collector_that_is_silent_or_away_costs_requests_nothing_and_the_end_little() {
    let silent = Collector::start(&["silent"]);
    for url in [silent.url.clone(), "http://127.0.0.1:9".to_owned()] {
        let world = World::new().await.with("OTEL_EXPORTER_OTLP_ENDPOINT", url).with("OTEL_BSP_SCHEDULE_DELAY", "50");
        let license = world.license(world.tenant("acme").await, "TEAM", 2).await;
        let mut process = world.spawn(ALL_IN_ONE, "coditect_all").await;
        let held = seat(&signed_in(&process.client, &license).await, 1).await;
        for _ in 0..200 {
            let started = Instant::now();
            held.beat(200).await;
            assert!(started.elapsed() < Duration::from_secs(1), "{:?}", started.elapsed());
        }
        let started = Instant::now();
        assert_eq!(process.terminate(), Some(0));
        assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    }
}

#[tokio::test]
async fn some_of_the_requests_are_traced_that_no_caller_records() {
    let collector = Collector::start(&[]);
    let world = traced(&collector).await.with("OTEL_TRACES_SAMPLER_ARG", "0.2");
    let license = world.license(world.tenant("acme").await, "TEAM", 2).await;
    let mut process = world.spawn(ALL_IN_ONE, "coditect_all").await;
    let held = seat(&signed_in(&process.client, &license).await, 1).await;
    for n in 0..400_u128 {
        // Half of them come with a trace that its caller does not record.
        let beat = held.own.request(Method::POST, HEARTBEAT).json(&held.body());
        let trace = (n + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
        let trace = format!("00-{trace:032x}-{PARENT}-00");
        held.own.send(if n % 2 == 0 { beat } else { beat.header("traceparent", trace) }, 200).await;
    }
    assert_eq!(process.terminate(), Some(0));
    let spans = collector.spans();
    let beats = spans.iter().filter(|span| span.attributes.get("http.route") == Some(&json!(HEARTBEAT))).count();
    // Five standard deviations around the mean of 80.
    assert!((40..=120).contains(&beats), "{beats} of 400");
}
