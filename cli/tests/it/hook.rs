//! `coditect hook task-plan`: an agent's plan becomes records, and the agent notices nothing.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use coditect::{ContextStore, Entry, Filter, Kind, RecordId};
use serde_json::{Value, json};

use crate::machine::{Machine, expect};

const NOWHERE: &str = "https://cloud.example";

fn todo_write(now: &Value, before: &Value) -> String {
    json!({
        "session_id": "5e55", "transcript_path": "/t.jsonl", "cwd": "/home/ada/billing", "hook_event_name": "PostToolUse",
        "tool_name": "TodoWrite", "tool_input": {"todos": now}, "tool_response": {"oldTodos": before, "newTodos": now},
    })
    .to_string()
}

fn todo(content: &str, status: &str) -> Value {
    json!({"content": content, "status": status, "activeForm": "Doing it"})
}

fn task_tool(tool: &str, input: &Value, answer: &Value) -> String {
    json!({
        "session_id": "5e55", "cwd": "/home/ada/billing", "hook_event_name": "PostToolUse",
        "tool_name": tool, "tool_input": input, "tool_response": answer,
    })
    .to_string()
}

/// Passes an event to the hook, which must print nothing.
#[track_caller]
fn tell(machine: &Machine, event: &str) {
    expect(&machine.coditect_reading(&["hook", "task-plan"], event), 0, "", "");
}

fn store(machine: &Machine) -> ContextStore {
    ContextStore::open(Some(machine.home())).unwrap()
}

fn tasks(machine: &Machine) -> Vec<Entry> {
    let mut tasks = store(machine).list(Kind::Task, &Filter::default()).unwrap();
    tasks.sort_by_key(|task| task.content["description"].to_string());
    tasks
}

fn statuses(machine: &Machine) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    tasks(machine).iter().map(|task| (text(&task.content["description"]), text(&task.content["status"]))).collect()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(one, other)| ((*one).to_owned(), (*other).to_owned())).collect()
}

#[test]
fn the_home_that_the_hook_was_installed_with_is_used() {
    let machine = Machine::new(NOWHERE);
    let other = machine.home().join("other");
    let event = todo_write(&json!([todo("a", "pending")]), &json!([]));
    let arguments = ["--home", other.to_str().unwrap(), "hook", "task-plan"];
    expect(&machine.coditect_reading(&arguments, &event), 0, "", "");
    assert_eq!(ContextStore::open(Some(other)).unwrap().queue(100).unwrap().len(), 1);
    assert_eq!(tasks(&machine), []);
}

#[test]
fn a_plan_becomes_tasks_that_go_through_their_states() {
    let machine = Machine::new(NOWHERE);
    let first = json!([todo("a", "in_progress"), todo("b", "pending")]);
    tell(&machine, &todo_write(&first, &json!([])));
    assert_eq!(statuses(&machine), pairs(&[("a", "in_progress"), ("b", "pending")]));
    let before: Vec<RecordId> = tasks(&machine).into_iter().map(|task| task.id).collect();

    let second = json!([todo("a", "completed"), todo("b", "in_progress")]);
    tell(&machine, &todo_write(&second, &first));
    assert_eq!(statuses(&machine), pairs(&[("a", "completed"), ("b", "in_progress")]));
    let after: Vec<RecordId> = tasks(&machine).into_iter().map(|task| task.id).collect();
    assert_eq!(before, after, "the same records");
    let task = &tasks(&machine)[0];
    assert_eq!(task.content, json!({"description": "a", "status": "completed"}));
    let project = task.project_id.as_ref().unwrap();
    assert_eq!(coditect::project_name(project), "billing");
    assert!(!project.as_str().contains("ada"), "and nothing else of the path: {project}");
    assert_eq!(store(&machine).queue(100).unwrap().len(), 2, "off, a record has one change");
}

#[test]
fn what_left_the_plan_unfinished_was_dropped() {
    let machine = Machine::new(NOWHERE);
    let first = json!([todo("a", "completed"), todo("b", "pending"), todo("c", "pending")]);
    tell(&machine, &todo_write(&first, &json!([])));
    tell(&machine, &todo_write(&json!([todo("c, in other words", "pending")]), &first));
    let expected = [("a", "completed"), ("b", "dropped"), ("c", "dropped"), ("c, in other words", "pending")];
    assert_eq!(statuses(&machine), pairs(&expected));
}

#[test]
fn what_the_agent_does_not_change_stays_as_a_person_left_it() {
    let machine = Machine::new(NOWHERE);
    let plan = json!([todo("a", "pending"), todo("b", "pending")]);
    tell(&machine, &todo_write(&plan, &json!([])));
    let task = tasks(&machine).remove(0);
    let done = coditect::Draft {
        kind: Kind::Task,
        id: task.id.clone(),
        project_id: Some("other".parse().unwrap()),
        content: json!({"description": "a", "status": "completed", "outcome": "by hand"}),
    };
    store(&machine).put(&done).unwrap();
    tell(&machine, &todo_write(&json!([todo("a", "pending"), todo("b", "completed")]), &plan));
    assert_eq!(statuses(&machine), pairs(&[("a", "completed"), ("b", "completed")]));
    tell(&machine, &todo_write(&json!([]), &plan));
    assert_eq!(statuses(&machine), pairs(&[("a", "completed"), ("b", "completed")]), "what is done was not dropped");
    tell(&machine, &todo_write(&json!([todo("a", "in_progress")]), &json!([])));
    let task = tasks(&machine).remove(0);
    assert_eq!(task.content["outcome"], "by hand", "what the agent doesn't speak of stays");
    assert_eq!(task.project_id.unwrap().as_str(), "other");
}

#[test]
fn the_successors_of_todos_are_tasks_too() {
    let machine = Machine::new(NOWHERE);
    let created = json!({"subject": "Wire it", "description": "All of it", "activeForm": "Wiring it", "metadata": {}});
    tell(&machine, &task_tool("TaskCreate", &created, &json!({"task": {"id": "1", "subject": "Wire it"}})));
    tell(
        &machine,
        &task_tool("TaskUpdate", &json!({"taskId": "1", "status": "in_progress"}), &json!({"success": true})),
    );
    let task = store(&machine).get(Kind::Task, &"5e55:1".parse().unwrap()).unwrap().unwrap();
    assert_eq!(task.content, json!({"subject": "Wire it", "description": "All of it", "status": "in_progress"}));
    let changed = json!({"taskId": "1", "description": "Half of it", "status": "deleted"});
    tell(&machine, &task_tool("TaskUpdate", &changed, &json!({"success": true})));
    let task = store(&machine).get(Kind::Task, &"5e55:1".parse().unwrap()).unwrap().unwrap();
    assert_eq!(task.content, json!({"subject": "Wire it", "description": "Half of it", "status": "dropped"}));
    tell(
        &machine,
        &task_tool("TaskUpdate", &json!({"taskId": "9", "status": "completed"}), &json!({"success": false})),
    );
    assert_eq!(tasks(&machine).len(), 1, "what failed didn't happen");
}

#[test]
fn what_an_agent_has_cut_in_the_middle_is_recorded_all_the_same() {
    let machine = Machine::new(NOWHERE);
    let event = todo_write(&json!([todo("cut", "pending")]), &json!([])).replace("cut", "cut \\ud83d");
    tell(&machine, &format!("\u{feff}{event}"));
    assert_eq!(statuses(&machine), pairs(&[("cut \u{fffd}", "pending")]));
}

#[test]
fn an_event_in_utf16_is_read_as_it_arrives() {
    let machine = Machine::new(NOWHERE);
    let event = format!("\u{feff}{}\n{{\"more\": ", todo_write(&json!([todo("a \u{1f600}", "pending")]), &json!([])));
    for number in [u16::to_le_bytes, u16::to_be_bytes] {
        let bytes: Vec<u8> = event.encode_utf16().flat_map(number).collect();
        let mut command = machine.command(&["hook", "task-plan"]);
        let mut process = command.stdin(Stdio::piped()).spawn().unwrap();
        let mut pipe = process.stdin.take().unwrap();
        // Characters are split, and the pipe stays open.
        for piece in bytes.chunks(33) {
            pipe.write_all(piece).unwrap();
        }
        assert!(process.wait().unwrap().success());
        drop(pipe);
        assert_eq!(statuses(&machine), pairs(&[("a \u{1f600}", "pending")]));
    }
}

#[test]
fn an_agent_that_leaves_the_pipe_open_is_not_waited_for() {
    let machine = Machine::new(NOWHERE);
    let start = || {
        let mut command = machine.command(&["hook", "task-plan"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        (process.stdin.take().unwrap(), process)
    };
    // Whole, and the pipe stays open; also with the next line's beginning behind it, and in pieces.
    let (mut whole, mut first) = start();
    whole.write_all(todo_write(&json!([todo("a", "pending")]), &json!([])).as_bytes()).unwrap();
    let (mut pieces, mut second) = start();
    let event =
        format!("\u{feff}\n{}\n{{\"more\": ", todo_write(&json!([todo("b \u{e9}\"}]", "pending")]), &json!([])));
    for piece in event.as_bytes().chunks(100) {
        pieces.write_all(piece).unwrap();
        pieces.flush().unwrap();
    }
    // Never whole.
    let (mut half, third) = start();
    half.write_all(b"{\"tool_name\": \"TodoWrite\", ").unwrap();
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    assert_eq!(statuses(&machine), pairs(&[("a", "pending"), ("b \u{e9}\"}]", "pending")]));
    expect(&machine.printed(third.wait_with_output().unwrap()), 0, "", "");
    drop((whole, pieces, half));
    let shown = machine.coditect(&["hook", "status", "--settings", "/nowhere/settings.json"]).stdout;
    assert!(shown.contains("(1 in all): What the agent said can't be read: it was not whole in time"), "{shown}");
}

#[test]
fn a_repository_is_one_project_and_its_name_finds_what_older_versions_recorded() {
    let machine = Machine::new(NOWHERE);
    let clone = |folder: &str, url: &str| {
        let folder = machine.folder().join(folder);
        fs::create_dir_all(folder.join(".git")).unwrap();
        fs::write(folder.join(".git/config"), format!("[remote \"origin\"]\n\turl = {url}\n")).unwrap();
        let event = task_tool("TaskCreate", &json!({"subject": url}), &json!({"task": {"id": url}}));
        tell(&machine, &event.replace("/home/ada/billing", folder.to_str().unwrap()));
    };
    clone("one/api", "git@github.com:one/api.git");
    clone("one/api-2", "https://token@GitHub.com/one/api");
    clone("other/api", "https://github.com/other/api.git");
    let add = ["task", "add", "older", "--id", "older", "--project", "api"];
    assert_eq!(machine.coditect(&add).code, 0);
    let mut projects: Vec<String> = tasks(&machine).into_iter().map(|task| task.project_id.unwrap().into()).collect();
    projects.sort();
    assert_eq!((projects.len(), projects.iter().collect::<std::collections::BTreeSet<_>>().len()), (4, 3));
    let listed = |project: &str| {
        let printed = machine.coditect(&["--json", "task", "list", "--project", project]).stdout;
        serde_json::from_str::<Value>(&printed).unwrap()["data"].as_array().unwrap().len()
    };
    let shared = projects.iter().find(|one| projects.iter().filter(|other| other == one).count() == 2).unwrap();
    assert_eq!((listed("api"), listed(shared), listed("ap")), (4, 2, 0));
}

#[test]
fn an_agent_hears_nothing_whatever_goes_wrong() {
    let machine = Machine::new(NOWHERE);
    for event in
        ["", "{", "null", "[]", "\u{0}", "{\"tool_name\": \"Bash\"}", "{\"tool_name\":\"TodoWrite\"}", "\u{feff}{}"]
    {
        tell(&machine, event);
    }
    tell(&machine, &"[".repeat(100_000));
    tell(&machine, &todo_write(&json!([todo(&"x".repeat(5 * 1024 * 1024), "pending")]), &json!([])));
    let odd = json!([todo("a\u{0}b", "pending"), todo(&"é".repeat(300_000), "Ünknown state!"), {"content": 7}, 7]);
    tell(&machine, &todo_write(&odd, &json!("no list")));
    let kept = tasks(&machine);
    assert_eq!(kept.len(), 2);
    assert_eq!(kept[0].content["description"], "a b");
    assert_eq!(kept[1].content.get("status"), None);

    let nowhere = |home: &str| {
        let mut command = machine.command(&["hook", "task-plan"]);
        command.env("CODITECT_HOME", home).env_remove("HOME").stdin(Stdio::piped());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let event = todo_write(&json!([todo("a", "pending")]), &json!([]));
        let _ = process.stdin.take().unwrap().write_all(event.as_bytes());
        machine.printed(process.wait_with_output().unwrap())
    };
    // The agent goes on, and a failure that could not even be recorded is reported on standard error.
    for home in ["", "/dev/null/home", "/proc/home", "~/home"] {
        let printed = nowhere(home);
        assert_eq!((printed.code, printed.stdout.as_str()), (0, ""), "{printed:?}");
        assert!(printed.stderr.starts_with("What the agent planned was not recorded. "), "{printed:?}");
    }
    for arguments in [&["hook", "task-plan", "--json"][..], &["--quiet", "hook", "task-plan"]] {
        expect(&machine.coditect_reading(arguments, "{"), 0, "", "");
    }
}

#[test]
fn a_broken_database_is_written_down_and_shown() {
    let machine = Machine::new(NOWHERE);
    fs::write(machine.home().join("sessions.db"), "x".repeat(4096)).unwrap();
    fs::set_permissions(machine.home().join("sessions.db"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    let event = todo_write(&json!([todo("a", "pending")]), &json!([]));
    tell(&machine, &event);
    tell(&machine, &event);
    let settings = machine.home().join("agent.json");
    let arguments = ["--json", "hook", "status", "--settings", settings.to_str().unwrap()];
    let shown = machine.coditect(&arguments);
    assert_eq!(shown.code, 1, "not installed: {shown:?}");
    let shown: Value = serde_json::from_str(&shown.stdout).unwrap();
    assert_eq!(shown["trouble"]["times"], 2);
    assert!(shown["trouble"]["error"].as_str().unwrap().contains("sessions.db"), "{shown}");
    let words = machine.coditect(&arguments[1..]).stdout;
    assert!(words.contains("(2 in all)"), "{words}");

    assert_eq!(machine.coditect(&["hook", "install", "--settings", settings.to_str().unwrap()]).code, 0);
    let shown: Value = serde_json::from_str(&machine.coditect(&arguments).stdout).unwrap();
    assert_eq!(shown["trouble"], Value::Null, "who installs anew begins anew");
}

#[test]
fn an_agent_does_not_wait_for_long() {
    let machine = Machine::new(NOWHERE);
    let event = todo_write(&json!([todo("a", "pending")]), &json!([]));
    tell(&machine, &event);
    let other = rusqlite::Connection::open(machine.home().join("sessions.db")).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let started = std::time::Instant::now();
    tell(&machine, &todo_write(&json!([todo("b", "pending")]), &json!([])));
    assert!(started.elapsed() < std::time::Duration::from_secs(8), "{:?}", started.elapsed());
    other.execute_batch("ROLLBACK").unwrap();
    assert_eq!(statuses(&machine), pairs(&[("a", "pending")]));
    let shown = machine.coditect(&["hook", "status", "--settings", "/nowhere/settings.json"]).stdout;
    assert!(shown.contains("database is locked"), "{shown}");
}

#[test]
fn what_events_leave_behind_is_tidied_up_behind_the_agents_back() {
    let machine = Machine::new(NOWHERE);
    let log = machine.home().join("sessions.db-wal");
    tell(&machine, &todo_write(&json!([todo("first", "pending")]), &json!([])));
    // Another process has the file open all the time.
    let other = rusqlite::Connection::open(machine.home().join("sessions.db")).unwrap();
    let first: i64 = other.query_row("SELECT count(*) FROM queue", [], |row| row.get(0)).unwrap();
    for n in first..40 {
        tell(&machine, &todo_write(&json!([todo(&format!("{n}{}", "x".repeat(60_000)), "pending")]), &json!([])));
    }
    let deadline = std::time::Instant::now() + crate::cloud::PATIENCE;
    while fs::metadata(&log).map_or(0, |log| log.len()) > 256 * 1024 {
        assert!(std::time::Instant::now() < deadline, "nobody shortens the log");
        std::thread::yield_now();
    }
    drop(other);
    assert_eq!(tasks(&machine).len(), 40);
}

#[test]
fn an_event_that_nobody_else_is_in_the_way_of_makes_no_index_in_a_file() {
    let machine = Machine::new(NOWHERE);
    tell(&machine, &todo_write(&json!([todo("first", "pending")]), &json!([])));
    let index = machine.home().join("sessions.db-shm");
    let _ = fs::remove_file(&index);
    tell(&machine, &todo_write(&json!([todo("second", "pending")]), &json!([])));
    assert!(!index.exists());
    assert_eq!(statuses(&machine), pairs(&[("first", "pending"), ("second", "pending")]), "others read its log");
}

#[test]
fn agents_at_the_same_time_lose_nothing() {
    let machine = Machine::new(NOWHERE);
    std::thread::scope(|scope| {
        for agent in 0..8 {
            let machine = &machine;
            scope.spawn(move || {
                for n in 0..5 {
                    let input = json!({"subject": format!("task {agent}/{n}"), "description": "x"});
                    tell(machine, &task_tool("TaskCreate", &input, &json!({"task": {"id": format!("{agent}-{n}")}})));
                }
            });
        }
    });
    assert_eq!(tasks(&machine).len(), 40);
    assert_eq!(store(&machine).queue(100).unwrap().len(), 40);
}
