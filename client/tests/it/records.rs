//! `coditect task|decision|learning`

use serde_json::{Value, json};

use crate::machine::{Machine, expect};

/// What a command printed as JSON.
pub(crate) fn object(machine: &Machine, arguments: &[&str]) -> Value {
    let printed = machine.coditect(arguments);
    assert_eq!((printed.code, printed.stderr.as_str()), (0, ""), "{printed:?}");
    serde_json::from_str(&printed.stdout).unwrap()
}

#[test]
fn a_task_is_added_changed_shown_and_deleted() {
    let machine = Machine::new("https://cloud.example");
    let added = ["task", "add", "Write it down", "--id", "t1", "--project", "docs"];
    expect(&machine.coditect(&added), 0, "Added task t1.\n", "");
    expect(&machine.coditect(&added), 0, "The task t1 says that already.\n", "");
    expect(&machine.coditect(&["task", "list"]), 0, "t1  pending      Write it down\n", "");
    let counts = ["--tool-success-count", "7", "--tool-error-count", "1", "--user-corrections", "0"];
    let update = [&["task", "update", "t1", "--status", "in_progress"][..], &counts].concat();
    expect(&machine.coditect(&update), 0, "Changed task t1.\n", "");
    expect(&machine.coditect(&["task", "done", "t1", "--outcome", "It is\nwritten."]), 0, "Changed task t1.\n", "");
    expect(
        &machine.coditect(&["task", "show", "t1"]),
        0,
        "id           t1\nproject      docs\ndescription  Write it down\noutcome      It is\nwritten.\nstatus       \
         completed\ntool_error_count  1\ntool_success_count  7\nuser_corrections  0\nchanged      {time}\nversion      waits to \
         be sent\n",
        "",
    );
    expect(
        &machine.coditect(&["task", "show", "t1", "--json"]),
        0,
        "{\"kind\":\"task\",\"id\":\"t1\",\"project_id\":\"docs\",\"content\":{\"description\":\"Write it down\",\"outcome\":\"It \
         is\\nwritten.\",\"status\":\"completed\",\"tool_error_count\":1,\"tool_success_count\":7,\"user_corrections\":0},\
         \"version\":null,\"updated_at\":\"{time}\",\"deleted\":false,\"device_id\":null,\"queued\":true,\"locked\":false}\n",
        "",
    );
    expect(&machine.coditect(&["task", "list", "--status", "pending"]), 0, "There is no task.\n", "");
    expect(&machine.coditect(&["task", "rm", "t1"]), 0, "Deleted task t1.\n", "");
    let gone = "error: There is no task \"t1\" here.\nhint: `coditect task list` shows what there is.\n";
    for command in ["show", "rm", "done"] {
        expect(&machine.coditect(&["task", command, "t1"]), 1, "", gone);
    }
}

#[test]
fn decisions_and_learnings_are_notes() {
    let machine = Machine::new("https://cloud.example");
    for noun in ["decision", "learning"] {
        let added = object(&machine, &[noun, "add", "One store", "--why", "One backup", "--json"]);
        assert_eq!(added["content"], json!({"title": "One store", "why": "One backup"}));
        let id = added["id"].as_str().unwrap();
        assert_eq!(id.len(), 36, "a UUID");
        expect(
            &machine.coditect(&[noun, "edit", id, "--content", "{\"tags\":[1]}"]),
            0,
            &format!("Changed {noun} {id}.\n"),
            "",
        );
        let shown = object(&machine, &[noun, "show", id, "--json"]);
        assert_eq!(shown["content"], json!({"title": "One store", "why": "One backup", "tags": [1]}));
        let listed = object(&machine, &[noun, "list", "--json"]);
        assert_eq!(listed, json!({ "data": [shown] }));
    }
}

#[test]
fn an_engine_says_all_of_it_as_json() {
    let machine = Machine::new("https://cloud.example");
    let input = "{\"title\": \"t\", \"nested\": {\"a\": [1, 2.5]}}";
    let printed = machine.coditect_reading(&["decision", "add", "--id", "d", "--content", "-", "--json"], input);
    assert_eq!(printed.code, 0, "{printed:?}");
    assert_eq!(object(&machine, &["decision", "show", "d", "--json"])["content"]["nested"], json!({"a": [1, 2.5]}));
    expect(
        &machine.coditect(&["decision", "add", "Another", "--id", "d"]),
        1,
        "",
        "error: There is a decision \"d\" already, and it says something else.\nhint: `coditect decision edit ID …` changes it.\n",
    );
}

#[test]
fn what_cannot_be_is_wrong_usage() {
    let machine = Machine::new("https://cloud.example");
    for arguments in [
        &["task", "add"][..],
        &["decision", "add"],
        &["task", "add", "x", "--status", "In Progress"],
        &["task", "add", "x", "--id", ""],
        &["task", "add", "--content", "[1]"],
        &["task", "add", "--content", "{"],
        &["task", "add", "--content", "{\"n\": 9007199254740993}"],
        &["task", "list", "--project", ""],
    ] {
        let printed = machine.coditect(arguments);
        // A task without text has a status, and is one.
        if arguments == ["task", "add"] {
            continue;
        }
        assert_eq!((printed.code, printed.stdout.as_str()), (64, ""), "{arguments:?} {printed:?}");
        assert!(printed.stderr.contains("\nhint: "), "{printed:?}");
        let json = machine.coditect(&[&["--json"], arguments].concat());
        let problem: Value = serde_json::from_str(&json.stdout).unwrap();
        assert!(problem["detail"].is_string() && json.stderr.is_empty(), "{json:?}");
    }
}
