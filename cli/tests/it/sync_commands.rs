//! `coditect sync`

use std::fs::File;

use protocol::problem::{Code, ProblemDocument};
use serde_json::json;

use crate::cloud::Cloud;
use crate::machine::{Machine, expect};
use crate::records::object;

const OFF: &str = "error: Sync is off. What you change is kept here and will be sent when it is on.\nhint: `coditect config set \
                   sync on` turns it on.\n";

#[test]
fn it_is_off_until_somebody_turns_it_on() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    assert_eq!(machine.coditect(&["task", "add", "Do it", "--id", "t"]).code, 0);
    for arguments in [&["sync"][..], &["sync", "push"], &["sync", "pull"], &["sync", "--watch"]] {
        expect(&machine.coditect(arguments), 1, "", OFF);
    }
    assert!(cloud.asked("/context/").is_empty());
    expect(
        &machine.coditect(&["sync", "status"]),
        0,
        "sync         off; `coditect config set sync on` turns it on\nwaiting      1 change since {time}\nlast push    \
         never\nlast pull    never\nnext pull    fetches everything\n",
        "",
    );
    expect(&machine.coditect(&["config", "set", "sync", "on"]), 0, "sync = on\n", "");
    expect(&machine.coditect(&["sync"]), 0, "Sent 1 change (1 new).\nFetched 1 record.\n", "");
    expect(&machine.coditect(&["sync"]), 0, "There was nothing to send.\nThere was nothing new.\n", "");
    expect(
        &machine.coditect(&["config", "set", "sync", "maybe"]),
        64,
        "",
        "error: Sync is on or off, and not \"maybe\".\nhint: `coditect config set sync on` turns it on.\n",
    );
}

#[test]
fn it_says_what_it_did() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    assert_eq!(machine.coditect(&["task", "add", "Do it", "--id", "t"]).code, 0);
    expect(
        &machine.coditect(&["sync", "push", "--json"]),
        0,
        "{\"created\":1,\"updated\":0,\"duplicates\":0,\"conflicts_won\":0,\"conflicts_lost\":0,\"refused\":0,\"parked\":0,\
         \"superseded\":0,\"hindered\":0,\"hindrance\":null}\n",
        "",
    );
    expect(
        &machine.coditect(&["sync", "pull", "--json"]),
        0,
        "{\"records\":1,\"started_over\":false,\"queued_again\":0,\"bare\":0,\"exposed\":0,\"locked\":0,\"forged\":0,\
         \"unknown\":0}\n",
        "",
    );
    let both = object(&machine, &["sync", "--json"]);
    assert_eq!((&both["pushed"]["created"], &both["pulled"]["records"]), (&json!(0), &json!(0)));
    expect(
        &machine.coditect(&["sync", "log"]),
        0,
        "{time}  pulled        1 record\n{time}  pushed        task t: created, version 1\n",
        "",
    );
    expect(
        &machine.coditect(&["sync", "status"]),
        0,
        "sync         on\nwaiting      nothing\nlast push    {time}\nlast pull    {time}\nnext pull    goes on where the last one \
         ended\n",
        "",
    );
    let status = object(&machine, &["sync", "status", "--json"]);
    assert_eq!(
        (&status["enabled"], &status["waiting"], &status["cursor_known"]),
        (&json!(true), &json!(0), &json!(true))
    );
    assert_eq!(machine.coditect(&["task", "done", "t"]).code, 0);
    assert_eq!(machine.coditect(&["sync", "-q"]).code, 0);
    let history = machine.coditect(&["task", "show", "t", "--history"]);
    expect(
        &history,
        0,
        "   2  current   {time}  {\"description\":\"Do it\",\"status\":\"completed\"}\n   1  replaced  {time}  {\"description\":\"Do \
         it\",\"status\":\"pending\"}\n",
        "",
    );
    for n in 3..12 {
        assert_eq!(machine.coditect(&["task", "update", "t", &format!("Version {n}")]).code, 0);
    }
    assert_eq!(machine.coditect(&["sync", "-q"]).code, 0);
    let history = object(&machine, &["task", "show", "t", "--history", "--json"]);
    let versions: Vec<_> = history["data"].as_array().unwrap().iter().map(|entry| entry["version"].clone()).collect();
    assert_eq!(versions, (1..12).rev().collect::<Vec<_>>(), "from all pages");
}

#[test]
fn offline_it_says_so_and_keeps_everything() {
    let mut cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    assert_eq!(machine.coditect(&["sync"]).code, 0);
    cloud.stop();
    assert_eq!(machine.coditect(&["decision", "add", "On a train", "--id", "d"]).code, 0);
    let sentence = "The cloud cannot be reached at {cloud}/api/v1/auth/license (connection refused).";
    let hint = "Check the network; `coditect doctor` looks for the cause.";
    for arguments in [&["sync"][..], &["sync", "push"], &["sync", "pull"]] {
        expect(&machine.coditect(arguments), 2, "", &format!("error: {sentence}\nhint: {hint}\n"));
    }
    expect(
        &machine.coditect(&["sync", "--json"]),
        2,
        &format!("{{\"code\":\"cloud_unavailable\",\"detail\":\"{sentence}\",\"hint\":\"{hint}\"}}\n"),
        "",
    );
    expect(
        &machine.coditect(&["sync", "status"]),
        0,
        &format!(
            "sync         on\nwaiting      1 change since {{time}}\nlast push    never\n             {{time}}  failed: \
             {sentence} {hint}\nlast pull    {{time}}\n             {{time}}  failed: {sentence} {hint}\nnext pull    goes on \
             where the last one ended\n"
        ),
        "",
    );
    let list = "ID  PROJECT  CHANGED   DECISION\nd   -        just now  On a train\n";
    expect(&machine.coditect(&["decision", "list"]), 0, list, "");
    assert_eq!(machine.coditect(&["decision", "show", "d", "--history"]).code, 2);
}

#[test]
fn a_plan_without_it_is_a_no() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let mut lacks = ProblemDocument::new(Code::PlanLacksFeature);
    lacks.detail = "Your plan has no cloud_sync. PRO has it.".to_owned();
    lacks.request_id = "req-9".to_owned();
    cloud.mood().problem_on = Some(("/context/", lacks));
    assert_eq!(machine.coditect(&["task", "add", "Do it"]).code, 0);
    let printed = machine.coditect(&["sync"]);
    assert_eq!(printed.code, 1);
    assert!(printed.stderr.starts_with("error: Your plan has no cloud_sync. PRO has it.\nhint: "), "{printed:?}");
    let status = machine.coditect(&["sync", "status"]);
    assert!(status.stdout.contains("Your plan has no cloud_sync. PRO has it."), "{status:?}");
}

#[test]
fn what_is_refused_is_a_no_and_what_is_parked_is_shown() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    cloud.stream().rejected.insert("t".to_owned());
    assert_eq!(machine.coditect(&["task", "add", "Do it", "--id", "t"]).code, 0);
    let refused = "error: The cloud refused 1 change.\nhint: `coditect sync log` shows why.\n";
    for _ in 0..2 {
        expect(&machine.coditect(&["sync", "push"]), 1, "Nothing was sent.\n", refused);
    }
    let parked = "The task \"t\" was refused by the cloud, and is sent no more. `coditect sync status` says why, `coditect sync \
                  retry` sends again.\n";
    expect(&machine.coditect(&["sync", "push"]), 1, "Nothing was sent.\n", &format!("{parked}{refused}"));
    let status = machine.coditect(&["sync", "status"]);
    let shown = "waiting      nothing\nparked       1 change; `coditect sync retry` sends again\n             task t: This record is \
                 not liked.\n";
    assert!(status.stdout.contains(shown), "{status:?}");
    expect(&machine.coditect(&["sync", "retry", "other"]), 0, "There is nothing to retry.\n", "");
    expect(
        &machine.coditect(&["sync", "retry", "t"]),
        0,
        "1 change will be sent again by the next `coditect sync push`.\n",
        "",
    );
    cloud.stream().rejected.clear();
    expect(&machine.coditect(&["sync", "push"]), 0, "Sent 1 change (1 new).\n", "");
}

#[test]
fn a_quota_is_a_no_that_says_how_much_waits() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    cloud.stream().quota = Some(0);
    assert_eq!(machine.coditect(&["task", "add", "Do it", "--id", "t"]).code, 0);
    expect(
        &machine.coditect(&["sync", "push"]),
        1,
        "Nothing was sent.\n",
        "error: 1 change was not taken: Your plan's 2 records are used up.\nhint: `coditect sync status` shows how much waits; it is \
         kept, and sent when that has passed.\n",
    );
    let json = machine.coditect(&["sync", "push", "--json"]);
    assert_eq!((json.code, json.stderr.as_str()), (1, ""));
    assert!(json.stdout.contains("\"hindrance\":{\"code\":\"quota_exceeded\""), "{json:?}");
}

#[test]
fn only_one_process_syncs() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    assert_eq!(machine.coditect(&["sync"]).code, 0);
    let lock = File::open(machine.home().join("sync.lock")).unwrap();
    lock.lock().unwrap();
    assert_eq!(machine.coditect(&["task", "add", "Nobody waits for it"]).code, 0);
    expect(
        &machine.coditect(&["sync"]),
        1,
        "",
        "error: Another coditect is syncing at this moment.\nhint: `coditect sync status` shows how far it is.\n",
    );
    lock.unlock().unwrap();
    assert_eq!(machine.coditect(&["sync"]).code, 0);
}

#[test]
fn a_watch_sends_what_changes_and_outlives_an_outage() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    let mut child = machine.command(&["sync", "--watch", "--quiet"]).spawn().unwrap();
    cloud.wait_for("/pull");
    assert_eq!(machine.coditect(&["task", "add", "Do it", "--id", "t"]).code, 0);
    let push = cloud.wait_for("/push");
    assert_eq!(push.body["records"][0]["id"], "t");
    cloud.away(true);
    assert_eq!(machine.coditect(&["task", "done", "t"]).code, 0);
    cloud.wait_for("/push");
    cloud.away(false);
    assert_eq!(cloud.wait_for("/push").body["records"][0]["base_version"], 1);
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn progress_is_for_terminals() {
    let cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    cloud.stream().page = Some(1);
    cloud.stream().fill(coditect::Kind::Decision, (0..5).map(|n| format!("d{n}")));
    expect(&machine.coditect(&["sync"]), 0, "There was nothing to send.\nFetched 5 records.\n", "");
}
