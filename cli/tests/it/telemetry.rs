//! `coditect telemetry`: off until it is turned on, and then nothing but what `show` prints.

use std::fs;
use std::net::TcpListener;

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::machine::{Machine, expect, files};

const ON: &str = "Telemetry is on. `coditect telemetry show` prints what would be sent, `coditect telemetry off` turns it off \
    and deletes what waits.\n";

fn shown(machine: &Machine) -> Value {
    serde_json::from_str(&machine.coditect(&["telemetry", "show"]).stdout).unwrap()
}

fn commands(request: &Value) -> Vec<&str> {
    request["events"].as_array().unwrap().iter().map(|event| event["command"].as_str().unwrap()).collect()
}

#[test]
fn nothing_is_counted_before_it_is_turned_on() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let says = "Telemetry is off: nothing is counted, and nothing sent.\n";
    expect(&machine.coditect(&["telemetry", "status"]), 1, says, "");
    expect(&machine.coditect(&["telemetry", "show"]), 0, "Nothing waits to be sent.\n", "");
    assert!(!files(&machine.home()).iter().any(|file| file.to_string_lossy().contains("telemetry")));
    assert!(cloud.asked("telemetry").is_empty());
}

#[test]
fn show_prints_the_very_bytes_that_are_sent() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    expect(&machine.coditect(&["telemetry", "on"]), 0, ON, "");
    let secret = "buy a ring for Ada";
    assert_eq!(machine.coditect(&["task", "add", secret, "--id", "ring", "--project", "wedding"]).code, 0);
    assert_eq!(machine.coditect(&["task", "show", "nothing"]).code, 1);
    assert_eq!(machine.coditect(&["run", "--", "sh", "-c", "exit 7"]).code, 7);
    // That command asked the cloud, so the counts are being sent.
    let sent = cloud.wait_for("/api/v1/telemetry");
    for telling in ["authorization", "cookie", "traceparent", "x-request-id"] {
        assert_eq!(sent.header(telling), None, "{sent:?}");
    }
    assert_eq!(commands(&sent.body), ["task add", "task show", "run"]);
    let exits: Vec<&Value> = sent.body["events"].as_array().unwrap().iter().map(|event| &event["exit"]).collect();
    assert_eq!(exits, ["yes", "no", "passed"]);
    let object = sent.body.as_object().unwrap();
    assert_eq!(object.keys().collect::<Vec<_>>(), ["events", "installation_id"]);
    let event = sent.body["events"][0].as_object().unwrap();
    let names: Vec<&str> = event.keys().map(String::as_str).collect();
    assert_eq!(names, ["arch", "command", "duration", "exit", "os", "version"]);
    for word in [secret, "ring", "wedding", machine.key.to_string().as_str(), machine.hardware_id.as_str()] {
        assert!(!sent.body.to_string().contains(word), "{word}");
    }
}

#[test]
fn what_is_shown_offline_is_what_goes_out_later() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    machine.coditect(&["telemetry", "on"]);
    cloud.away(true);
    assert_eq!(machine.coditect(&["task", "list"]).code, 0);
    assert_eq!(machine.coditect(&["sync", "status"]).code, 0);
    let printed = machine.coditect(&["telemetry", "show", "--json"]);
    let shown = shown(&machine);
    assert_eq!(commands(&shown), ["task list", "sync status"]);
    cloud.away(false);
    // Run by hand here; usually it runs after a command.
    assert_eq!(machine.coditect(&["upkeep", "--telemetry"]).code, 0);
    let sent = cloud.asked("/api/v1/telemetry").remove(0);
    assert_eq!(sent.body, shown);
    assert_eq!(sent.header("content-length").unwrap(), printed.stdout.trim_end().len().to_string(), "to the byte");
    expect(&machine.coditect(&["telemetry", "show"]), 0, "Nothing waits to be sent.\n", "");
}

#[test]
fn what_does_not_get_through_is_sent_once_another_time() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    machine.coditect(&["telemetry", "on"]);
    machine.coditect(&["task", "list"]);
    cloud.away(true);
    assert_eq!(machine.coditect(&["upkeep", "--telemetry"]).code, 2);
    machine.coditect(&["decision", "list"]);
    assert_eq!(commands(&shown(&machine)), ["task list"], "what was being sent comes first");
    assert_eq!(machine.coditect(&["status", "--json"]).stdout.find("telemetry"), None, "nobody is troubled with it");
    cloud.away(false);
    cloud.forget();
    assert_eq!(machine.coditect(&["upkeep", "--telemetry"]).code, 0);
    assert_eq!(machine.coditect(&["upkeep", "--telemetry"]).code, 0);
    assert_eq!(machine.coditect(&["upkeep", "--telemetry"]).code, 0);
    let sent = cloud.asked("/api/v1/telemetry");
    let sent: Vec<Vec<&str>> = sent.iter().map(|asked| commands(&asked.body)).collect();
    assert_eq!(sent, [vec!["task list"], vec!["decision list", "status"]]);
}

#[test]
fn off_deletes_what_waits_and_who_it_was() {
    let machine = Machine::new("https://cloud.example");
    machine.coditect(&["telemetry", "on"]);
    machine.coditect(&["config", "list"]);
    let before = shown(&machine)["installation_id"].clone();
    machine.coditect(&["telemetry", "on"]);
    assert_eq!(shown(&machine)["installation_id"], before, "on again is on");
    expect(&machine.coditect(&["telemetry", "off"]), 0, "Telemetry is off, and what waited is deleted.\n", "");
    assert!(!files(&machine.home()).iter().any(|file| file.to_string_lossy().contains("telemetry")));
    machine.coditect(&["config", "list"]);
    machine.coditect(&["telemetry", "on"]);
    machine.coditect(&["config", "list"]);
    let after = shown(&machine);
    assert_ne!(after["installation_id"], before);
    assert_eq!(commands(&after), ["config list"]);
    let status: Value = serde_json::from_str(&machine.coditect(&["telemetry", "status", "--json"]).stdout).unwrap();
    assert_eq!(status, json!({"on": true, "installation_id": after["installation_id"], "waiting": 1}));
}

#[test]
fn the_queue_has_a_bound_and_forgives_what_was_cut_short() {
    let machine = Machine::new("https://cloud.example");
    machine.coditect(&["telemetry", "on"]);
    machine.coditect(&["config", "list"]);
    let queue = machine.home().join("telemetry-queue.jsonl");
    let line = fs::read_to_string(&queue).unwrap();
    let fit = 8 * 1024 / line.len();
    fs::write(&queue, format!("{}{}\n", line.repeat(fit), &line[..20])).unwrap();
    assert_eq!(commands(&shown(&machine)).len(), fit);
    let long = fs::metadata(&queue).unwrap().len();
    machine.coditect(&["config", "list"]);
    assert_eq!(fs::metadata(&queue).unwrap().len(), long, "nothing is added to what is full");
}

#[test]
fn nobody_waits_for_it() {
    let cloud = Cloud::start();
    // A function that accepts connections, and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    cloud.mood().telemetry_at = Some(format!("http://{}", silent.local_addr().unwrap()));
    let machine = Machine::new(&cloud.url);
    machine.coditect(&["telemetry", "on"]);
    let activated = machine.coditect(&["activate", &machine.key.to_string()]);
    assert_eq!(activated.code, 0, "{activated:?}");
    // The command ended before the connection of the process that it started was accepted.
    silent.accept().unwrap();
}
