//! The function over HTTP.

use serde_json::{Value, json};
use testing::World;
use testing::http::Client;
use testing::process::until;

const PATH: &str = "/api/v1/telemetry";

fn event() -> Value {
    json!({
        "command": "task add", "exit": "yes", "duration": "under_10_ms", "version": "0.1.0", "os": "linux", "arch": "x86_64",
    })
}

fn request(events: impl Into<Value>) -> Value {
    json!({ "installation_id": "5f0c6a3e-7f3b-4c61-9d55-0d8b3a4c2f11", "events": events.into() })
}

async fn served() -> (World, Client) {
    let world = World::new().await;
    let client = world.serve("telemetry", telemetry::State::connect, telemetry::routes).await;
    (world, client)
}

#[tokio::test]
async fn an_event_becomes_a_line_of_the_log_and_nothing_else() {
    let world = World::new().await;
    let log = tempfile::NamedTempFile::new().unwrap();
    let function = world.spawn_logging(env!("CARGO_BIN_EXE_telemetry"), "coditect_all", "info", log.path()).await;
    let answer = function.client.post(PATH, request(vec![event(), event()]), 202).await;
    assert_eq!(answer.body, json!({"accepted": 2}));
    let lines = || {
        let text = std::fs::read_to_string(log.path()).unwrap();
        text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).collect::<Vec<_>>()
    };
    let told = |line: &Value| line["message"] == "telemetry";
    until("the lines are there", || async { lines().into_iter().filter(told).count() == 2 }).await;
    let line = lines().into_iter().find(told).unwrap();
    let names: Vec<&str> = line.as_object().unwrap().keys().map(String::as_str).collect();
    let all = "arch command duration exit function installation_id message os request_id severity time version";
    assert_eq!(names.join(" "), all);
    assert_eq!((&line["command"], &line["severity"]), (&json!("task add"), &json!("INFO")));
}

#[tokio::test]
async fn what_is_no_event_is_refused() {
    let (_world, client) = served().await;
    for (name, value, pointer) in [
        ("command", json!("rm -rf /home/ada"), "/events/0/command"),
        ("command", json!("a".repeat(41)), "/events/0/command"),
        ("exit", json!("maybe"), "/events/0/exit"),
        ("duration", json!(17), "/events/0/duration"),
        ("os", json!("Ada's laptop"), "/events/0/os"),
        ("version", json!("v".repeat(65)), "/events/0/version"),
    ] {
        let mut event = event();
        event[name] = value;
        let refused = client.post(PATH, request(vec![event]), 422).await;
        assert_eq!(refused.text("/errors/0/pointer"), pointer, "{name}");
    }
    client.post(PATH, request(Vec::<Value>::new()), 422).await;
    client.post(PATH, request(vec![event(); 101]), 422).await;
    client.post(PATH, json!({"installation_id": "ada", "events": [event()]}), 422).await;
    client.post(PATH, request(vec![event(); 100]), 202).await;
    let long = json!({"installation_id": "x".repeat(70_000), "events": [event()]});
    client.post(PATH, long, 413).await;
}
