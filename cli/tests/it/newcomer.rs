//! Command lines as first-time users type them.

use serde_json::{Value, json};

use crate::cloud::Cloud;
use crate::machine::{Machine, expect};
use crate::records::object;

#[test]
fn a_command_that_is_not_whole_shows_what_there_is() {
    let machine = Machine::new("https://cloud.example");
    for (arguments, lists) in [
        (&[][..], "  run "),
        (&["-q"], "  run "),
        (&["task"], "  add "),
        (&["config"], "  set "),
        (&["sync", "keys"], "  export "),
    ] {
        let printed = machine.coditect(arguments);
        assert_eq!((printed.code, printed.stderr.as_str()), (0, ""), "{arguments:?} {printed:?}");
        assert!(printed.stdout.contains(lists) && printed.stdout.contains("Usage: coditect"), "{printed:?}");
        assert!(!printed.stdout.contains("upkeep"), "what is hidden stays hidden: {printed:?}");
        // A program has made a mistake.
        let json = machine.coditect(&[&["--json"], arguments].concat());
        let problem: Value = serde_json::from_str(&json.stdout).unwrap();
        assert_eq!((json.code, &problem["code"]), (64, &json!("usage")), "{json:?}");
    }
}

#[test]
fn one_hint_leads_to_the_command_that_was_typed() {
    let machine = Machine::new("https://cloud.example");
    for (arguments, error, hint) in [
        (&["vaildate"][..], "There is no command `coditect vaildate`.", "`validate` is similar."),
        (&["task", "quux"], "There is no command `coditect task quux`.", "`coditect task --help` lists the commands."),
        (&["validate", "--loud"], "There is no option --loud.", "`coditect validate --help` shows how to use it."),
        (&["run"], "`coditect run` needs COMMAND.", "`coditect run --help` shows how to use it."),
        (
            &["run", "--wait", "600", "--", "true"],
            "How long is 600? A time to wait has a unit.",
            "`coditect run --wait 600s -- COMMAND…` waits for 600 seconds.",
        ),
        (
            &["seat", "hold", "--wait", "10"],
            "How long is 10? A time to wait has a unit.",
            "`coditect seat hold --wait 10s` waits for 10 seconds.",
        ),
        (&["info"], "There is no command `coditect info`.", "`coditect --help` lists the commands."),
    ] {
        expect(&machine.coditect(arguments), 64, "", &format!("error: {error}\nhint: {hint}\n"));
    }
}

#[test]
fn common_words_are_understood() {
    let machine = Machine::new("https://cloud.example");
    let version = concat!("coditect ", env!("CARGO_PKG_VERSION"), "\n");
    for arguments in [&["version"][..], &["--version"], &["-V"]] {
        expect(&machine.coditect(arguments), 0, version, "");
    }
    let json = json!({"version": env!("CARGO_PKG_VERSION")});
    for arguments in [&["version", "--json"][..], &["--json", "--version"]] {
        assert_eq!(object(&machine, arguments), json);
    }
    assert_eq!(machine.coditect(&["update", "--check"]), machine.coditect(&["self", "update", "--check"]));
    assert_eq!(machine.coditect(&["task", "add", "Ship", "it", "--id", "ship"]).code, 0);
    let list = machine.coditect(&["task", "list"]);
    for arguments in
        [&["tasks"][..], &["ls"], &["list"], &["tasks", "list"], &["task", "ls"], &["tasks", "--status", "todo"]]
    {
        assert_eq!(machine.coditect(arguments), list, "{arguments:?}");
    }
    assert_eq!(machine.coditect(&["tasks", "done", "ship"]).stdout, "Changed task ship.\n");
    expect(&machine.coditect(&["decisions"]), 0, "There is no decision.\n", "");
    expect(&machine.coditect(&["learnings", "--limit", "3"]), 0, "There is no learning.\n", "");
    assert_eq!(machine.coditect(&["task", "delete", "ship"]).code, 0);
    assert_eq!(machine.coditect(&["config", "ls"]), machine.coditect(&["config", "list"]));
}

#[test]
fn settings_are_turned_on_and_off_in_any_usual_word() {
    let machine = Machine::new("https://cloud.example");
    for (said, meant) in [("true", "on"), ("no", "off"), ("yes", "on"), ("0", "off"), ("ON", "on"), ("disable", "off")]
    {
        expect(&machine.coditect(&["config", "set", "sync", said]), 0, &format!("sync = {meant}\n"), "");
        assert_eq!(object(&machine, &["config", "get", "sync", "--json"]), json!({ "sync": meant }));
    }
    assert_eq!(machine.coditect(&["config", "set", "sync", "maybe"]).code, 64);
}

#[test]
fn texts_need_no_quotes_and_may_begin_with_a_dash() {
    let machine = Machine::new("https://cloud.example");
    for (arguments, text) in [
        (&["buy", "milk"][..], "buy milk"),
        (&["- buy milk"], "- buy milk"),
        (&["-1 degrees"], "-1 degrees"),
        (&["-1", "degrees"], "-1 degrees"),
        (&["it", "is", "-1", "degrees"], "it is -1 degrees"),
        (&["-", "buy", "milk"], "- buy milk"),
        (&["--", "--json", "is", "an", "option"], "--json is an option"),
        (&["say", "--", "--help"], "say --help"),
        (&["--status", "done", "late", "option"], "late option"),
        (&["early", "text", "--status", "done"], "early text"),
    ] {
        for (noun, field) in [("task", "description"), ("decision", "title"), ("learning", "title")] {
            if noun != "task" && arguments.contains(&"--status") {
                continue;
            }
            let added = [&["--json", noun, "add"], arguments].concat();
            assert_eq!(object(&machine, &added)["content"][field], text, "{noun} {arguments:?}");
        }
        let changed = [&["--json", "task", "update", "t"], arguments].concat();
        machine.coditect(&["task", "add", "x", "--id", "t"]);
        assert_eq!(object(&machine, &changed)["content"]["description"], text, "{arguments:?}");
    }
    let why = object(&machine, &["--json", "decision", "add", "Celsius", "--why", "-1 is cold"]);
    assert_eq!(why["content"]["why"], "-1 is cold");
    let outcome = object(&machine, &["--json", "task", "done", "t", "--outcome", "- none"]);
    assert_eq!(outcome["content"]["outcome"], "- none");
}

#[test]
fn an_option_that_was_mistyped_is_no_text() {
    let machine = Machine::new("https://cloud.example");
    expect(
        &machine.coditect(&["task", "add", "--staus", "pending"]),
        64,
        "",
        "error: There is no option --staus.\nhint: `coditect task add --help` lists the options; `coditect task add -- --staus` takes it \
         as a text.\n",
    );
    for arguments in [
        &["decision", "add", "x", "--why", "--project"][..],
        &["task", "done", "x", "--outcome", "--verbose"],
        &["task", "update", "t", "-x"],
        &["task", "add", "buy", "--mlik"],
    ] {
        let printed = machine.coditect(arguments);
        assert_eq!((printed.code, printed.stdout.as_str()), (64, ""), "{arguments:?} {printed:?}");
        assert!(printed.stderr.starts_with("error: There is no option -"), "{arguments:?} {printed:?}");
    }
    expect(&machine.coditect(&["task", "list"]), 0, "There is no task.\n", "");
}

#[test]
fn help_about_help_is_help() {
    let machine = Machine::new("https://cloud.example");
    for arguments in
        [&["help", "--help"][..], &["help", "-h"], &["help", "task", "--help"], &["task", "help", "--help"]]
    {
        let printed = machine.coditect(arguments);
        assert_eq!((printed.code, printed.stderr.as_str()), (0, ""), "{arguments:?} {printed:?}");
        let command = if arguments.contains(&"task") { "coditect task" } else { "coditect" };
        assert!(printed.stdout.contains(&format!("Usage: {command}")), "{arguments:?} {printed:?}");
    }
    let printed = machine.coditect(&["help", "taks"]);
    assert_eq!(printed.code, 64);
    assert!(printed.stderr.contains("There is no command `coditect taks`."), "{printed:?}");
}

#[test]
fn an_empty_text_is_refused() {
    let machine = Machine::new("https://cloud.example");
    machine.coditect(&["task", "add", "x", "--id", "t"]);
    machine.coditect(&["decision", "add", "x", "--id", "d"]);
    for noun in ["task", "decision", "learning"] {
        let refused = format!(
            "error: Nothing was added: the {noun} has no text.\nhint: `coditect {noun} add TEXT` adds one that says TEXT.\n"
        );
        let (title, description) = (r#"{"title":""}"#, r#"{"description":" ","n":1}"#);
        for arguments in [
            &["add"][..],
            &["add", ""],
            &["add", " \t"],
            &["add", "", " "],
            &["add", "--", ""],
            &["add", "--content", title],
            &["add", "--content", description],
        ] {
            expect(&machine.coditect(&[&[noun], arguments].concat()), 64, "", &refused);
        }
    }
    for arguments in [
        &["task", "update", "t"][..],
        &["task", "update", "t", ""],
        &["task", "add", "buy milk", "--content", r#"{"title":""}"#],
        &["task", "update", "t", "--content", r#"{"title":"\u200b"}"#],
        &["decision", "edit", "d", "  "],
        &["search", ""],
        &["search", "x", " "],
    ] {
        let printed = machine.coditect(arguments);
        assert_eq!((printed.code, printed.stdout.as_str()), (64, ""), "{arguments:?} {printed:?}");
        assert_eq!(printed.stderr.matches("hint: ").count(), 1, "{printed:?}");
    }
    assert_eq!(object(&machine, &["task", "list", "--json"])["data"].as_array().unwrap().len(), 1);
}

#[test]
fn statuses_are_read_as_people_say_them() {
    let machine = Machine::new("https://cloud.example");
    machine.coditect(&["task", "add", "One", "--id", "one", "--status", "Done"]);
    machine.coditect(&["task", "add", "Two", "--id", "two", "--status", "in progress"]);
    machine.coditect(&["task", "add", "Three", "--id", "three", "--status", "blocked"]);
    for (said, id) in [("completed", "one"), ("finished", "one"), ("doing", "two"), ("blocked", "three")] {
        let listed = object(&machine, &["task", "list", "--status", said, "--json"]);
        assert_eq!(listed["data"][0]["id"], id, "{said}");
    }
    expect(
        &machine.coditect(&["task", "list", "--status", "todo"]),
        0,
        "There is no task with the status \"pending\".\n",
        "",
    );
    expect(
        &machine.coditect(&["task", "list", "--status", "complted"]),
        64,
        "",
        "error: No task has the status \"complted\". There are: pending, in_progress, completed, blocked.\nhint: `coditect task list` \
         shows all of them.\n",
    );
    let wrong = machine.coditect(&["task", "list", "--status", "!"]);
    assert_eq!(wrong.code, 64);
    assert!(wrong.stderr.contains("pending, in_progress, completed"), "{wrong:?}");
}

#[test]
fn a_list_has_a_heading_the_age_and_the_project() {
    let machine = Machine::new("https://cloud.example");
    machine.coditect(&["task", "add", "Write it down", "--id", "t1", "--project", "docs"]);
    machine.coditect(&["task", "add", "Ship it", "--id", "another", "--status", "doing"]);
    machine.coditect(&["decision", "add", "One store", "--id", "d"]);
    expect(
        &machine.coditect(&["task", "list"]),
        0,
        "ID       STATUS       PROJECT  CHANGED   TASK\n\
         another  in_progress  -        just now  Ship it\n\
         t1       pending      docs     just now  Write it down\n",
        "",
    );
    expect(
        &machine.coditect(&["decision", "list"]),
        0,
        "ID  PROJECT  CHANGED   DECISION\nd   -        just now  One store\n",
        "",
    );
    expect(
        &machine.coditect(&["task", "list", "-n", "1"]),
        0,
        "ID       STATUS       PROJECT  CHANGED   TASK\nanother  in_progress  -        just now  Ship it\n",
        "These are the latest 1; `--limit 2` shows more.\n",
    );
    for command in [&["task", "list", "-n", "0"][..], &["search", "it", "-n", "0"]] {
        let notice = machine.coditect(command).stderr;
        assert_eq!(notice, "These are the latest 0; `--limit 1` shows more.\n", "{command:?}");
    }
    expect(
        &machine.coditect(&["task", "list", "--project", "web"]),
        0,
        "There is no task in the project \"web\".\n",
        "",
    );
}

#[test]
fn the_beginning_of_an_id_is_enough() {
    let machine = Machine::new("https://cloud.example");
    let ids = [
        "3f2a9c1e-0000-4000-8000-000000000001",
        "3f2a9c1e-0000-4000-8000-000000000002",
        "7b000000-0000-4000-8000-000000000000",
    ];
    for id in ids {
        machine.coditect(&["task", "add", id, "--id", id]);
    }
    machine.coditect(&["task", "add", "Ship it", "--id", "ship"]);
    machine.coditect(&["task", "add", "Ship it twice", "--id", "ship-it"]);
    let list = machine.coditect(&["task", "list"]).stdout;
    assert!(list.contains("\n7b000000 "), "as much as tells it from the others: {list}");
    assert!(list.contains(&format!("\n{} ", ids[0])), "{list}");
    for (typed, id) in [("7b", ids[2]), ("7b000000", ids[2]), (ids[0], ids[0]), ("ship", "ship"), ("ship-", "ship-it")]
    {
        assert_eq!(object(&machine, &["task", "show", typed, "--json"])["id"], id, "{typed}");
    }
    expect(
        &machine.coditect(&["task", "done", "3f2a"]),
        64,
        "",
        &format!(
            "error: More than one id begins like task \"3f2a\": {}, {}.\nhint: Type more of the id that you mean.\n",
            ids[0], ids[1]
        ),
    );
    expect(&machine.coditect(&["task", "rm", "7b"]), 0, &format!("Deleted task {}.\n", ids[2]), "");
    assert_eq!(machine.coditect(&["task", "show", "7b"]).code, 1, "what was deleted is not meant");
    assert_eq!(machine.coditect(&["decision", "show", "ship"]).code, 1, "nor is another kind");
    assert_eq!(machine.coditect(&["task", "update", "ship-", "Thrice"]).stdout, "Changed task ship-it.\n");
}

#[test]
fn the_beginning_of_a_session_is_enough() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    assert_eq!(machine.coditect(&["seat", "acquire", "-q"]).code, 0);
    let session = cloud.mood().session.to_string();
    let none = machine.coditect(&["seat", "release", "zzz"]);
    assert_eq!(none.code, 64, "{none:?}");
    expect(&machine.coditect(&["seat", "release", &session[..13]]), 0, &format!("Released {session}.\n"), "");
}

#[test]
fn a_time_to_wait_may_stand_alone() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    for arguments in [
        &["run", "--wait", "10m", "--", "echo", "-n", "ran"][..],
        &["run", "--wait", "10m", "echo", "-n", "ran"],
        &["run", "--wait=10m", "echo", "-n", "ran"],
        &["run", "--wait", "--", "echo", "-n", "ran"],
        &["run", "--wait", "2s", "--json", "-q", "--", "echo", "-n", "ran"],
        &["run", "--wait", "1m 30s", "--", "echo", "-n", "ran"],
        &["exec", "--wait", "1m", "30s", "--", "echo", "-n", "ran"],
        &["seat", "hold", "--wait", "10m", "--", "echo", "-n", "ran"],
        &["seat", "hold", "--wait", "10m", "-q", "--", "echo", "-n", "ran"],
    ] {
        expect(&machine.coditect(arguments), 0, "ran", "");
    }
    for arguments in [
        &["run", "--wait", "10x", "--", "echo"][..],
        &["run", "--wait", "10M", "--", "echo"],
        &["run", "--wait", "-5m", "--", "echo"],
        &["run", "--wait", "soon", "--", "echo"],
        &["run", "--wait", "10", "echo"],
        &["run", "--waitt", "5m", "--", "echo"],
        &["run", "--wait", "5m", "--jsn", "--", "echo"],
        &["seat", "hold", "--wait", "5x"],
        &["seat", "hold", "--wait", "10"],
        &["seat", "acquire", "--wait", "10"],
    ] {
        let printed = machine.coditect(arguments);
        assert!(printed.code == 64 && printed.stderr.contains("\nhint: `"), "{arguments:?}: {printed:?}");
    }
    assert_eq!(machine.coditect(&["seat", "acquire", "-q", "--wait", "10m"]).code, 0);
}

#[test]
fn what_programs_read_has_no_phrases() {
    let machine = Machine::new("https://cloud.example");
    assert_eq!(object(&machine, &["config", "list", "--json"])["sso"], "cloud");
    assert_eq!(object(&machine, &["config", "get", "sso", "--json"]), json!({"sso": "cloud"}));
    assert_eq!(object(&machine, &["config", "unset", "sso", "--json"]), json!({"sso": "cloud"}));
    let help = object(&machine, &["--json", "task", "--help"]);
    assert!(help["help"].as_str().unwrap().contains("Usage: coditect task"), "{help}");
}
