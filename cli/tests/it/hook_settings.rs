//! `coditect hook install|uninstall|status`: one entry among an agent's settings, and nothing else touched.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::machine::{Machine, Printed, expect, install};

/// A machine, and a user's home folder with an agent's settings in it.
struct Agent {
    machine: Machine,
    folder: TempDir,
}

impl Agent {
    fn new() -> Self {
        Self { machine: Machine::new("https://cloud.example"), folder: tempfile::tempdir().unwrap() }
    }

    fn settings(&self) -> PathBuf {
        self.folder.path().join(".claude/settings.json")
    }

    fn write(&self, text: &str) {
        fs::create_dir_all(self.settings().parent().unwrap()).unwrap();
        fs::write(self.settings(), text).unwrap();
    }

    fn text(&self) -> String {
        fs::read_to_string(self.settings()).unwrap()
    }

    fn hook(&self, arguments: &[&str]) -> Printed {
        let arguments: Vec<&str> = ["hook"].iter().chain(arguments).copied().collect();
        self.printed(&mut self.machine.command(&arguments))
    }

    fn printed(&self, command: &mut Command) -> Printed {
        let output = command.env("HOME", self.folder.path()).current_dir(self.folder.path()).output().unwrap();
        let Printed { code, stdout, stderr } = self.machine.printed(output);
        let stable = |text: String| {
            let text = text.replace(self.folder.path().to_str().unwrap(), "{folder}");
            text.replace(env!("CARGO_BIN_EXE_coditect"), "{program}")
        };
        Printed { code, stdout: stable(stdout), stderr: stable(stderr) }
    }
}

const OURS: &str = "{\n  \"hooks\": {\n    \"PostToolUse\": [\n      {\n        \"matcher\": \"TodoWrite|TaskCreate|TaskUpdate\",\n        \
                    \"hooks\": [\n          {\n            \"type\": \"command\",\n            \"command\": \
                    \"'{program}' hook task-plan\",\n            \"timeout\": 10\n          }\n        ]\n      }\n    ]\n  }\n}\n";

#[test]
fn the_hook_comes_and_goes() {
    let agent = Agent::new();
    let installed = "The agent's plan is recorded from its next session on: {folder}/.claude/settings.json.\n";
    expect(&agent.hook(&["install"]), 0, installed, "");
    assert_eq!(agent.text().replace(env!("CARGO_BIN_EXE_coditect"), "{program}"), OURS);
    expect(&agent.hook(&["install"]), 0, "The hook is in {folder}/.claude/settings.json already.\n", "");
    expect(&agent.hook(&["status"]), 0, "{folder}/.claude/settings.json  '{program}' hook task-plan\n", "");
    expect(&agent.hook(&["uninstall"]), 0, "The hook was taken out of {folder}/.claude/settings.json.\n", "");
    assert!(!agent.settings().exists(), "what was made is gone");
    let gone = "There is no hook of coditect in {folder}/.claude/settings.json.\n";
    expect(&agent.hook(&["uninstall"]), 0, gone, "");
    expect(
        &agent.hook(&["status"]),
        1,
        "{folder}/.claude/settings.json  not installed\n`coditect hook install` adds it to the agent's settings.\n",
        "",
    );
}

#[test]
fn programs_read_objects() {
    let agent = Agent::new();
    expect(
        &agent.hook(&["install", "--json", "--project"]),
        0,
        "{\"changed\":true,\"command\":\"! command -v coditect >/dev/null || coditect hook task-plan\",\"settings\":\
         \"{folder}/.claude/settings.json\"}\n",
        "",
    );
    assert_eq!(agent.hook(&["install"]).code, 0);
    expect(
        &agent.hook(&["status", "--json"]),
        0,
        "{\"data\":[{\"command\":\"'{program}' hook task-plan\",\"fault\":null,\"hint\":null,\"installed\":true,\"settings\":\
         \"{folder}/.claude/settings.json\"}],\"installed\":true,\"trouble\":null,\"works\":true}\n",
        "",
    );
    expect(
        &agent.hook(&["uninstall", "--json", "--settings", ".claude/settings.json"]),
        0,
        "{\"changed\":true,\"settings\":\"{folder}/.claude/settings.json\"}\n",
        "",
    );
    assert_eq!(agent.hook(&["install", "--project", "--settings", "x"]).code, 64);
}

#[test]
fn what_was_there_stays_to_the_last_byte() {
    for before in [
        "{}",
        "{\"z\":1,\"a\":{\"b\":[]}}",
        "\u{feff}{\r\n  \"a\": 1\r\n}",
        "{\n\t\"permissions\": {\"allow\": [\"Bash(ls:*)\"]},\n\t\"hooks\": {}\n}",
        "{\r\n  \"hooks\": {\r\n    \"PostToolUse\": []\r\n  },\r\n  \"unknown\": 1e400\r\n}\r\n",
        "{\n    \"hooks\": {\n        \"PostToolUse\": [\n            { \"matcher\": \"Edit\", \"hooks\": [ {\"type\": \"command\", \
         \"command\": \"fmt\", \"new\": null} ] }\n        ],\n        \"Stop\": []\n    },\n    \"model\": \"é\\u00e9\"\n}\n",
    ] {
        let agent = Agent::new();
        agent.write(before);
        assert_eq!(agent.hook(&["install"]).code, 0, "{before}");
        let installed = agent.text();
        assert!(installed.contains("hook task-plan") && installed.len() > before.len());
        assert_eq!(agent.hook(&["install"]).code, 0);
        assert_eq!(agent.text(), installed, "twice is once");
        assert_eq!(agent.hook(&["uninstall"]).code, 0);
        assert_eq!(agent.text(), before);
    }
}

#[test]
fn settings_in_utf16_stay_so() {
    for number in [u16::to_le_bytes, u16::to_be_bytes] {
        let agent = Agent::new();
        let encoded = |text: &str| -> Vec<u8> { format!("\u{feff}{text}").encode_utf16().flat_map(number).collect() };
        let before = encoded("{\r\n  \"model\": \"caf\u{e9}\"\r\n}\r\n");
        agent.write("");
        fs::write(agent.settings(), &before).unwrap();
        assert_eq!(agent.hook(&["install"]).code, 0);
        let installed = fs::read(agent.settings()).unwrap();
        let command: Vec<u8> = encoded("hook task-plan").split_off(2);
        assert!(installed.starts_with(&before[..20]) && installed.windows(command.len()).any(|part| part == command));
        assert_eq!(agent.hook(&["status"]).code, 0);
        assert_eq!(agent.hook(&["uninstall"]).code, 0);
        assert_eq!(fs::read(agent.settings()).unwrap(), before);
    }
}

#[test]
fn the_script_of_a_version_manager_is_what_stays() {
    let agent = Agent::new();
    let cellar = Cellar::new(&agent);
    let shim = cellar.link.clone();
    let script = |program: &str| {
        let write = "rm -f \"$0\"; printf '%s' \"$1\" >\"$0\"; chmod 755 \"$0\"";
        let text = format!("#!/bin/sh\nexec {program} \"$@\"\n");
        assert!(Command::new("sh").args(["-c", write]).arg(&shim).arg(text).status().unwrap().success());
    };
    script(&format!("'{}'", cellar.program("1.0").display()));
    assert_eq!(cellar.run(&["hook", "install"]).code, 0);
    assert!(agent.text().contains(&format!("'{}' hook task-plan", shim.display())), "{}", agent.text());
    assert_eq!(cellar.run(&["hook", "status"]).code, 0);
}

#[test]
fn an_entry_by_an_older_path_is_renewed() {
    let agent = Agent::new();
    let old = "{\"hooks\":{\"PostToolUse\":[{\"matcher\":\"TodoWrite\",\"hooks\":[{\"type\":\"command\",\"command\":\
               \"/old/bin/coditect hook task-plan\"},{\"type\":\"command\",\"command\":\"other\"}]}]}}";
    agent.write(old);
    expect(&agent.hook(&["install"]), 0, "The hook in {folder}/.claude/settings.json was renewed.\n", "");
    let settings: Value = serde_json::from_str(&agent.text()).unwrap();
    let list = settings["hooks"]["PostToolUse"].as_array().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[0]["hooks"].as_array().unwrap().len(), 1);
    assert_eq!(list[0]["hooks"][0]["command"], "other");
    assert_eq!(list[1]["matcher"], "TodoWrite|TaskCreate|TaskUpdate");
    agent.write(old);
    assert_eq!(agent.hook(&["uninstall"]).code, 0);
    assert!(agent.text().contains("other") && !agent.text().contains("coditect"));
}

#[test]
fn a_home_that_was_named_is_named_to_the_agent_too() {
    let agent = Agent::new();
    let home = agent.machine.home();
    assert_eq!(agent.hook(&["install", "--home", home.to_str().unwrap()]).code, 0);
    assert!(agent.text().contains(&format!("' --home '{}' hook task-plan", home.display())), "{}", agent.text());
    assert_eq!(agent.hook(&["uninstall"]).code, 0);
    assert!(!agent.settings().exists());
}

#[test]
fn what_is_no_settings_file_is_left_alone() {
    let agent = Agent::new();
    for (text, fault) in [
        ("{ // comments\n}", "it is not JSON: key must be a string at line 1 column 3"),
        ("{\"a\": 1} {", "it is not JSON: trailing characters at line 1 column 10"),
        ("[]", "it is not a JSON object"),
        ("{\"hooks\": []}", "its `hooks` are not an object"),
        ("{\"hooks\": {\"PostToolUse\": {}}}", "its `PostToolUse` hooks are not a list"),
    ] {
        agent.write(text);
        for verb in ["install", "uninstall"] {
            expect(
                &agent.hook(&[verb]),
                2,
                "",
                &format!(
                    "error: {{folder}}/.claude/settings.json can't be changed: {fault}.\nhint: Correct it, or use `coditect hook \
                     install --settings FILE` for another one. It was left as it is.\n"
                ),
            );
            assert_eq!(agent.text(), text);
        }
    }
}

#[test]
fn modes_and_links_are_kept() {
    let agent = Agent::new();
    let dotfiles = agent.folder.path().join("dotfiles");
    fs::create_dir(&dotfiles).unwrap();
    fs::create_dir(agent.folder.path().join(".claude")).unwrap();
    symlink("../dotfiles/claude.json", agent.settings()).unwrap();
    let target = dotfiles.join("claude.json");

    assert_eq!(agent.hook(&["install"]).code, 0, "a link to a file that isn't there yet");
    assert!(is_link(&agent.settings()) && target.is_file());
    assert_eq!(agent.hook(&["uninstall"]).code, 0);

    fs::write(&target, "{\"a\": 1}").unwrap();
    fs::set_permissions(&target, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(agent.hook(&["install"]).code, 0);
    assert!(is_link(&agent.settings()));
    assert_eq!(fs::metadata(&target).unwrap().mode() & 0o777, 0o640);
    assert_eq!(fs::read_dir(&dotfiles).unwrap().count(), 1, "nothing is left over");
}

fn is_link(path: &Path) -> bool {
    fs::symlink_metadata(path).unwrap().is_symlink()
}

#[test]
fn the_command_works_as_the_agent_runs_it() {
    let agent = Agent::new();
    agent.hook(&["install", "--home", agent.machine.home().to_str().unwrap()]);
    let settings: Value = serde_json::from_str(&agent.text()).unwrap();
    let command = settings["hooks"]["PostToolUse"][0]["hooks"][0]["command"].as_str().unwrap();
    let event = agent.folder.path().join("event");
    let input = "{\"session_id\":\"s\",\"tool_name\":\"TodoWrite\",\"tool_input\":{\"todos\":[{\"content\":\"a\",\"status\":\"pending\"}]}}";
    fs::write(&event, input).unwrap();
    let mut shell = std::process::Command::new("sh");
    agent.machine.surround(shell.args(["-c", command]));
    let output = shell.stdin(fs::File::open(event).unwrap()).env_remove("CODITECT_HOME").output().unwrap();
    expect(&agent.machine.printed(output), 0, "", "");
    let store = coditect::ContextStore::open(Some(agent.machine.home())).unwrap();
    assert_eq!(store.list(coditect::Kind::Task, &coditect::Filter::default()).unwrap().len(), 1);
}

/// A package manager's layout: each version in a folder of its own, and a link among the programs.
struct Cellar<'a> {
    agent: &'a Agent,
    link: PathBuf,
}

impl<'a> Cellar<'a> {
    fn new(agent: &'a Agent) -> Self {
        let bin = agent.folder.path().join("bin");
        fs::create_dir(&bin).unwrap();
        let cellar = Self { agent, link: bin.join("coditect") };
        cellar.upgrade_to("1.0");
        cellar
    }

    fn program(&self, version: &str) -> PathBuf {
        self.agent.folder.path().join("Cellar").join(version).join("coditect")
    }

    fn upgrade_to(&self, version: &str) {
        let program = self.program(version);
        fs::create_dir_all(program.parent().unwrap()).unwrap();
        install(Path::new(env!("CARGO_BIN_EXE_coditect")), &program);
        let _ = fs::remove_file(&self.link);
        symlink(&program, &self.link).unwrap();
    }

    /// Runs the program that the shell finds.
    fn run(&self, arguments: &[&str]) -> Printed {
        let mut command = Command::new(&self.link);
        self.agent.machine.surround(command.args(arguments));
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = [self.link.parent().unwrap().to_owned()].into_iter().chain(std::env::split_paths(&path));
        self.agent.printed(command.env("PATH", std::env::join_paths(folders).unwrap()))
    }
}

#[test]
fn the_hook_survives_an_upgrade_and_a_lost_program_is_told() {
    let agent = Agent::new();
    let cellar = Cellar::new(&agent);
    assert_eq!(cellar.run(&["hook", "install"]).code, 0);
    let command = "'{folder}/bin/coditect' hook task-plan";
    assert!(
        agent.text().contains(&command.replace("{folder}", agent.folder.path().to_str().unwrap())),
        "{}",
        agent.text()
    );
    cellar.upgrade_to("1.1");
    fs::remove_dir_all(cellar.program("1.0").parent().unwrap()).unwrap();
    let good = format!("{{folder}}/.claude/settings.json  {command}\n");
    expect(&cellar.run(&["hook", "status"]), 0, &good, "");
    assert!(cellar.run(&["doctor"]).stdout.contains("ok   hook"), "{:?}", cellar.run(&["doctor"]));

    fs::remove_file(&cellar.link).unwrap();
    let told = agent.hook(&["status"]);
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.stdout.contains("does not work") && told.stdout.contains("127"), "{told:?}");
    assert!(told.stdout.contains("`coditect hook install` renews it"), "{told:?}");
    let found = agent.printed(&mut agent.machine.command(&["doctor"]));
    assert!(
        found.stdout.contains("BAD  hook") && found.stdout.contains("\nhook: `coditect hook install`"),
        "{found:?}"
    );
}

#[test]
fn a_projects_settings_have_a_command_for_everybody() {
    let agent = Agent::new();
    let cellar = Cellar::new(&agent);
    assert_eq!(cellar.run(&["hook", "install", "--project"]).code, 0);
    let text = agent.text();
    assert!(!text.contains(agent.folder.path().to_str().unwrap()), "one person's path: {text}");
    assert_eq!(cellar.run(&["hook", "status", "--project"]).code, 0);
    let elsewhere = agent.hook(&["status", "--project"]);
    assert_eq!(elsewhere.code, 1, "{elsewhere:?}");
    assert!(elsewhere.stdout.contains("coditect is not found in PATH"), "{elsewhere:?}");

    let settings: Value = serde_json::from_str(&text).unwrap();
    let command = settings["hooks"]["PostToolUse"][0]["hooks"][0]["command"].as_str().unwrap();
    let mut shell = Command::new("sh");
    agent.machine.surround(shell.args(["-c", command]));
    expect(&agent.printed(&mut shell), 0, "", "");

    for personal in [&["--home", "/srv/mine"][..], &["--profile", "client"]] {
        let refused = agent.hook(&[&["install", "--project"], personal].concat());
        assert_eq!(refused.code, 64, "{refused:?}");
        assert!(refused.stderr.contains("settings.local.json"), "{refused:?}");
    }
    assert_eq!(agent.text(), text);
    assert_eq!(cellar.run(&["hook", "uninstall", "--project"]).code, 0);
    assert!(!agent.settings().exists());
}

#[test]
fn the_agents_own_variable_says_where_its_settings_are() {
    let agent = Agent::new();
    let hook = |arguments: &[&str]| {
        let arguments = [&["hook"], arguments].concat();
        agent.printed(agent.machine.command(&arguments).env("CLAUDE_CONFIG_DIR", agent.folder.path().join("agent")))
    };
    let installed = "The agent's plan is recorded from its next session on: {folder}/agent/settings.json.\n";
    expect(&hook(&["install"]), 0, installed, "");
    assert!(!agent.settings().exists());
    expect(&hook(&["status"]), 0, "{folder}/agent/settings.json  '{program}' hook task-plan\n", "");
    let mut doctor = agent.machine.command(&["doctor"]);
    assert!(agent.printed(&mut doctor).stdout.contains("/agent/settings.json runs this program"));
    expect(&hook(&["uninstall"]), 0, "The hook was taken out of {folder}/agent/settings.json.\n", "");
    assert!(!agent.folder.path().join("agent/settings.json").exists());
}

#[test]
fn an_entry_that_misses_changes_is_reported() {
    let agent = Agent::new();
    assert_eq!(agent.hook(&["install"]).code, 0);
    agent.write(&agent.text().replace("TodoWrite|TaskCreate|TaskUpdate", "Bash"));
    let status = agent.hook(&["status"]);
    assert!((status.stdout.clone() + &status.stderr).contains("its matcher is not TodoWrite|"), "{status:?}");
    assert_eq!(agent.hook(&["install"]).code, 0);
    let status = agent.hook(&["status"]);
    assert!(!(status.stdout.clone() + &status.stderr).contains("its matcher"), "{status:?}");
}
