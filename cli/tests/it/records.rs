//! `coditect task|decision|learning`

use std::io::Write;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::machine::{Machine, Printed, expect};

/// Runs a command, and returns its JSON output.
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
    let list = "ID  STATUS   PROJECT  CHANGED   TASK\nt1  pending  docs     just now  Write it down\n";
    expect(&machine.coditect(&["task", "list"]), 0, list, "");
    let counts = ["--tool-success-count", "7", "--tool-error-count", "1", "--user-corrections", "0"];
    let update = [&["task", "update", "t1", "--status", "in_progress"][..], &counts].concat();
    expect(&machine.coditect(&update), 0, "Changed task t1.\n", "");
    expect(&machine.coditect(&["task", "done", "t1", "--outcome", "It is\nwritten."]), 0, "Changed task t1.\n", "");
    expect(
        &machine.coditect(&["task", "show", "t1"]),
        0,
        "id           t1\nproject      docs\ndescription  Write it down\noutcome      It is\n             written.\nstatus       \
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
    expect(
        &machine.coditect(&["task", "list", "--status", "pending"]),
        0,
        "There is no task with the status \"pending\".\n",
        "",
    );
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
        &["task", "add", "x", "--status", "!"],
        &["task", "add", "x", "--id", ""],
        &["task", "add", "--content", "[1]"],
        &["task", "add", "--content", "{"],
        &["task", "add", "--content", "{\"n\": 9007199254740993}"],
        &["task", "list", "--project", ""],
    ] {
        let printed = machine.coditect(arguments);
        assert_eq!((printed.code, printed.stdout.as_str()), (64, ""), "{arguments:?} {printed:?}");
        assert!(printed.stderr.contains("\nhint: "), "{printed:?}");
        let json = machine.coditect(&[&["--json"], arguments].concat());
        let problem: Value = serde_json::from_str(&json.stdout).unwrap();
        assert!(problem["detail"].is_string() && json.stderr.is_empty(), "{json:?}");
    }
}

#[test]
fn a_text_of_which_nothing_can_be_seen_is_none() {
    let machine = Machine::new("https://cloud.example");
    assert_eq!(machine.coditect(&["task", "add", "Write it down", "--id", "t"]).code, 0);
    assert_eq!(machine.coditect(&["decision", "add", "Use Postgres", "--id", "d"]).code, 0);
    for arguments in [
        &["task", "add", ""][..],
        &["task", "add", "\u{200b}"],
        &["decision", "add", "\u{feff} \u{2060}"],
        &["task", "add", "--content", "{\"description\":\"\"}"],
        &["task", "add", "--content", "{\"description\":\"  \",\"status\":\"pending\"}"],
        &["task", "update", "t", "--content", "{\"description\":\"\"}"],
        &["decision", "edit", "d", "--content", "{\"title\":\"\u{200b}\"}"],
        &["decision", "edit", "d", " "],
    ] {
        let printed = machine.coditect(arguments);
        assert!(printed.code == 64 && printed.stderr.starts_with("error: Nothing was "), "{arguments:?}: {printed:?}");
    }
    assert_eq!(object(&machine, &["task", "list", "--json"])["data"].as_array().unwrap().len(), 1);
    assert_eq!(object(&machine, &["task", "show", "t", "--json"])["content"]["description"], "Write it down");
    // The text of `add` comes before the one of `--content`.
    let both = ["task", "add", "Ship it", "--content", "{\"description\":\"\"}"];
    assert_eq!(machine.coditect(&both).code, 0);
}

#[test]
fn what_a_record_says_forges_no_line_of_an_error() {
    let machine = Machine::new("https://cloud.example");
    let forged = "{\"description\":\"x\",\"status\":\"done\\nhint: \\u001b[2Jforged\"}";
    assert_eq!(machine.coditect(&["task", "add", "--content", forged]).code, 0);
    let printed = machine.coditect(&["task", "list", "--status", "nosuch"]);
    let says = "error: No task has the status \"nosuch\". There are: pending, in_progress, completed, done\\nhint: \
                \\u{1b}[2Jforged.\nhint: `coditect task list` shows all of them.\n";
    expect(&printed, 64, "", says);
}

#[test]
fn byte_order_marks_and_other_encodings_are_read() {
    let machine = Machine::new("https://cloud.example");
    let input = "{\"title\": \"caf\u{e9}\"}";
    let utf16: Vec<u8> = format!("\u{feff}{input}").encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (id, bytes) in [("a", format!("\u{feff}{input}\n").into_bytes()), ("b", utf16)] {
        let printed = reading(&machine, &["decision", "add", "--id", id, "--content", "-"], &bytes);
        assert_eq!(printed.code, 0, "{printed:?}");
        assert_eq!(object(&machine, &["decision", "show", id, "--json"])["content"]["title"], "caf\u{e9}");
    }
    let printed = machine.coditect(&["decision", "add", "--id", "c", "--content", &format!("\u{feff}{input}")]);
    assert_eq!(printed.code, 0, "{printed:?}");
    let latin = reading(&machine, &["decision", "add", "--content", "-"], b"{\"title\": \"caf\xe9\"}");
    assert_eq!(latin.code, 64, "{latin:?}");
    assert!(latin.stderr.contains("it is not UTF-8"), "{latin:?}");
}

#[test]
fn what_is_too_large_is_told_by_its_size() {
    let machine = Machine::new("https://cloud.example");
    let input = json!({"title": "x".repeat(3 * 1024 * 1024)}).to_string();
    let printed = machine.coditect_reading(&["decision", "add", "--content", "-", "--json"], &input);
    assert_eq!(printed.code, 64, "{printed:?}");
    let error: Value = serde_json::from_str(&printed.stdout).unwrap();
    assert_eq!(error["code"], "content_too_large");
    assert!(error["detail"].as_str().unwrap().contains("has 3145740 bytes"), "{error}");
}

#[test]
fn a_pipe_that_stays_open_is_read_as_far_as_it_is_whole() {
    let machine = Machine::new("https://cloud.example");
    let mut command = machine.command(&["decision", "add", "--id", "d", "--content", "-"]);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut pipe = process.stdin.take().unwrap();
    pipe.write_all(b"{\"title\": \"t\"}").unwrap();
    pipe.flush().unwrap();
    expect(&machine.printed(process.wait_with_output().unwrap()), 0, "Added decision d.\n", "");
    drop(pipe);
}

#[test]
fn ids_and_projects_are_the_same_in_each_normal_form() {
    let machine = Machine::new("https://cloud.example");
    let add = ["task", "add", "Cafe\u{301}", "--id", "cafe\u{301}", "--project", "cafe\u{301}"];
    expect(&machine.coditect(&add), 0, "Added task caf\u{e9}.\n", "");
    let again = ["task", "add", "Caf\u{e9}", "--id", "caf\u{e9}", "--project", "caf\u{e9}"];
    expect(&machine.coditect(&again), 0, "The task caf\u{e9} says that already.\n", "");
    for form in ["caf\u{e9}", "cafe\u{301}"] {
        assert_eq!(machine.coditect(&["task", "show", form]).code, 0);
        assert!(machine.coditect(&["task", "list", "--project", form]).stdout.contains("Caf\u{e9}"));
    }
    // A record from an earlier version.
    let store = coditect::ContextStore::open(Some(machine.home())).unwrap();
    let older = coditect::Draft {
        kind: coditect::Kind::Task,
        id: "nai\u{308}ve".parse().unwrap(),
        project_id: Some("nai\u{308}ve".parse().unwrap()),
        content: json!({"description": "older"}),
    };
    store.put(&older).unwrap();
    assert_eq!(machine.coditect(&["task", "done", "na\u{ef}ve"]).code, 0);
    assert!(machine.coditect(&["task", "list", "--project", "na\u{ef}ve"]).stdout.contains("completed"));
    let exists = machine.coditect(&["task", "add", "another", "--id", "na\u{ef}ve"]);
    assert!(exists.stderr.contains("There is a task"), "{exists:?}");
}

#[test]
fn text_from_elsewhere_forges_no_rows_and_turns_no_line_around() {
    let machine = Machine::new("https://cloud.example");
    let store = coditect::ContextStore::open(Some(machine.home())).unwrap();
    let forged = coditect::Draft {
        kind: coditect::Kind::Task,
        id: "a\u{202e}b".parse().unwrap(),
        project_id: None,
        content: json!({
            "description": "one\u{202e}\u{1b}[2J\ntwo  pending      forged\u{2028}x",
            "status": "pending\ntwo  pending      forged",
            "no\nte": "first\nstatus       completed\r\nlast\u{7}",
        }),
    };
    store.put(&forged).unwrap();
    let list = machine.coditect(&["task", "list"]);
    assert_eq!(list.stdout.lines().count(), 2, "a heading and one row: {list:?}");
    expect(
        &machine.coditect(&["task", "show", "a\u{202e}b"]),
        0,
        "id           a\\u{202e}b\n\
         description  one\\u{202e}\\u{1b}[2J\n             two  pending      forged\\u{2028}x\n\
         no\\nte       first\n             status       completed\n             last\\u{7}\n\
         status       pending\n             two  pending      forged\n\
         changed      {time}\nversion      waits to be sent\n",
        "",
    );
    let raw = object(&machine, &["task", "show", "a\u{202e}b", "--json"]);
    assert_eq!(raw["content"], forged.content);
    let error = machine.coditect(&["task", "show", "\u{202e}x"]);
    assert!(!error.stderr.contains('\u{202e}'), "{error:?}");
}

/// Runs a command with standard input that need not be UTF-8.
fn reading(machine: &Machine, arguments: &[&str], input: &[u8]) -> Printed {
    let mut command = machine.command(arguments);
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    process.stdin.take().unwrap().write_all(input).unwrap();
    machine.printed(process.wait_with_output().unwrap())
}
