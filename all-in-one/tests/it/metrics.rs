//! The metrics as Prometheus's own Python library parses them.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use testing::World;

use crate::world::{ACQUIRE, HEARTBEAT, VALIDATE, device, question, seat, signed_in};

/// Sums the samples of a metric by its full name that have these labels; they may have more.
pub(crate) fn sum(families: &Value, name: &str, labels: &[(&str, &str)]) -> f64 {
    let families = families.as_array().unwrap().iter();
    let samples = families.flat_map(|family| family["samples"].as_array().unwrap());
    let fitting =
        samples.filter(|s| s["name"] == name && labels.iter().all(|(label, value)| s["labels"][label] == *value));
    fitting.map(|s| s["value"].as_f64().unwrap()).sum()
}

pub(crate) fn parsed(text: &str) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../scripts/telemetry");
    let mut parser = Command::new(script).arg("metrics").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    parser.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = parser.wait_with_output().unwrap();
    assert!(output.status.success(), "Prometheus can't read\n{text}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn prometheus_reads_requests_and_facts_where_the_public_does_not() {
    // A port that was free a moment ago.
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = World::new().await.with("METRICS_LISTEN", address.to_string());
    let license = world.license(world.tenant("acme").await, "TEAM", 2).await;
    let process = world.spawn(env!("CARGO_BIN_EXE_all-in-one"), "coditect_all").await;
    let client = &process.client;
    client.get("/metrics", 404).await;

    let caller = signed_in(client, &license).await;
    let held = seat(&caller, 1).await;
    seat(&caller, 2).await;
    for _ in 0..5 {
        held.beat(200).await;
    }
    caller.post(ACQUIRE, json!({"hardware_id": device(3)}), 409).await;
    client.post(VALIDATE, question(&license, 1), 200).await;
    client.get("/no/such/thing", 404).await;
    client.get("/nor/this", 404).await;
    client.send(client.request("BREW".parse().unwrap(), ACQUIRE), 405).await;

    let answer = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/openmetrics-text; version=1.0.0; charset=utf-8");
    let text = answer.text().await.unwrap();
    let families = parsed(&text);
    let is = |name: &str, labels: &[(&str, &str)], wanted: f64| {
        assert!((sum(&families, name, labels) - wanted).abs() < 1e-9, "{name} {labels:?} is not {wanted} in\n{text}");
    };
    let beats = [("function", "heartbeat"), ("route", HEARTBEAT), ("status", "200"), ("method", "POST")];
    is("coditect_requests_total", &beats, 5.0);
    is("coditect_requests_total", &[("function", "acquire"), ("status", "201")], 2.0);
    is("coditect_requests_total", &[("function", "acquire"), ("status", "409")], 1.0);
    is("coditect_requests_total", &[("route", "none"), ("status", "404")], 3.0);
    is("coditect_requests_total", &[("method", "other"), ("status", "405")], 1.0);
    is("coditect_request_seconds_count", &[("function", "heartbeat")], 5.0);
    is("coditect_request_seconds_bucket", &[("function", "heartbeat"), ("le", "+Inf")], 5.0);
    assert!(sum(&families, "coditect_request_seconds_sum", &[("function", "heartbeat")]) > 0.0, "{text}");
    is("coditect_seat_granted_total", &[("plan", "TEAM"), ("session", "new")], 2.0);
    is("coditect_seat_granted_used_sum", &[("plan", "TEAM")], 1.5);
    is("coditect_seat_denied_total", &[("plan", "TEAM"), ("reason", "full")], 1.0);
    is("coditect_validated_total", &[("plan", "TEAM"), ("outcome", "valid")], 1.0);
    // An access token, two license tokens, a validation.
    is("coditect_signed_seconds_count", &[("keeper", "file"), ("outcome", "made")], 4.0);
    for family in families.as_array().unwrap() {
        let name = family["name"].as_str().unwrap();
        assert!(name.starts_with("coditect_") && !family["help"].as_str().unwrap().is_empty(), "{family}");
    }
}

#[tokio::test]
async fn what_stands_at_a_level_is_looked_up_when_it_is_read() {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let world = World::new().await.with("METRICS_LISTEN", address.to_string());
    let license = world.license(world.tenant("acme").await, "TEAM", 2).await;
    let process = world.spawn(env!("CARGO_BIN_EXE_all-in-one"), "coditect_all").await;
    let caller = signed_in(&process.client, &license).await;
    let held = seat(&caller, 1).await;
    // One job has waited for a quarter of an hour, another was given up; a delivered one is not counted.
    for (n, state) in ["dead_at = null", "dead_at = now()", "delivered_at = now()"].iter().enumerate() {
        let minutes = 15 * (n + 1);
        let sql = format!(
            "insert into outbox (id, tenant_id, kind, once, payload, created_at)
                 select gen_random_uuid(), id, 'mail', '{n}', '{{}}', now() - interval '{minutes} minutes' from tenants;
             update outbox set {state} where once = '{n}'"
        );
        world.sql(&sql).await;
    }
    let read = async || {
        let answer = reqwest::get(format!("http://{address}/metrics")).await.unwrap();
        parsed(&answer.text().await.unwrap())
    };
    let families = read().await;
    let is = |families: &Value, name: &str, labels: &[(&str, &str)], wanted: std::ops::Range<f64>| {
        let found = sum(families, name, labels);
        assert!(wanted.contains(&found), "{name} {labels:?} is {found}");
    };
    let team = [("plan", "TEAM")];
    is(&families, "coditect_seats_in_use_in_use", &team, 1.0..1.1);
    is(&families, "coditect_seats_in_use_limit", &team, 2.0..2.1);
    is(&families, "coditect_outbox_level_waiting", &[], 1.0..1.1);
    is(&families, "coditect_outbox_level_oldest_seconds", &[], 900.0..1000.0);
    is(&families, "coditect_outbox_level_dead", &[], 1.0..1.1);
    held.release(200).await;
    world.sql("delete from outbox").await;
    let families = read().await;
    is(&families, "coditect_seats_in_use_in_use", &team, 0.0..0.1);
    is(&families, "coditect_outbox_level_oldest_seconds", &[], 0.0..0.1);
}

#[tokio::test]
async fn an_address_that_is_taken_is_a_mistake_of_the_configuration() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let world = World::new().await.with("METRICS_LISTEN", taken.local_addr().unwrap().port().to_string());
    let mut setup = world.setup("coditect_all");
    assert!(all_in_one::connect(&mut setup).is_none());
    assert_eq!(setup.mistakes().iter().map(|m| m.variable).collect::<Vec<_>>(), ["METRICS_LISTEN"]);
}
