//! Tests of the command line's definition: `docs/commands.md` has all help texts, each example in them can be parsed, and the
//! README names the file of each command. `UPDATE_DOCS=1` writes `docs/commands.md`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::{Command, Parser};

use super::Arguments;

/// Returns every command that is not hidden, the program itself first.
fn commands() -> Vec<Command> {
    fn with_those_below(command: &Command, found: &mut Vec<Command>) {
        found.push(command.clone());
        for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
            with_those_below(below, found);
        }
    }
    let mut program = Arguments::program();
    program.build();
    let mut found = Vec::new();
    with_those_below(&program, &mut found);
    found
}

/// Returns the full name of a command: `coditect sync keys`.
fn name(command: &Command) -> String {
    command.get_bin_name().unwrap_or("coditect").to_owned()
}

/// Splits a line as a shell does, as far as examples need it: quotes, comments, and an end at a pipe or redirection.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for char in line.chars() {
        match char {
            '\'' => quoted = !quoted,
            '#' | '|' | '<' | '>' | '&' if !quoted && word.is_empty() => break,
            ' ' if !quoted => {
                if !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
            }
            char => word.push(char),
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn the_readme_names_the_file_of_every_command() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let rows = readme.lines().filter_map(|line| {
        let (command, rest) = line.strip_prefix("| `")?.split_once("` | [")?;
        let (file, _) = rest.split_once("](")?.1.split_once(')')?;
        command.starts_with("coditect ").then_some((command, file))
    });
    let rows: BTreeMap<&str, &str> = rows.collect();
    for command in commands().iter().filter(|command| !command.has_subcommands()) {
        let name = name(command);
        let is_named =
            rows.keys().any(|row| name.strip_prefix(row).is_some_and(|rest| rest.is_empty() || rest.starts_with(" ")));
        assert!(is_named, "the README doesn't name the file of `{name}`");
    }
    for (command, file) in rows {
        let program = Arguments::program();
        let found = command.split(' ').skip(1).try_fold(&program, |command, name| command.find_subcommand(name));
        assert!(found.is_some(), "the README names `{command}`, which is no command");
        let code = std::fs::read_to_string(root().join(file)).unwrap_or_default();
        assert!(code.contains(&format!("`{command}")), "{file} doesn't run `{command}`");
    }
}

#[test]
fn the_reference_of_commands_is_current() {
    let mut text = "# Commands\n\n<!-- Generated from cli/src/arguments.rs by its tests; change it there. -->\n\n\
        What `--help` says of each command. [client.md](client.md) is a guide by task, [client-details.md](client-details.md) has the rules behind them.\n"
        .to_owned();
    for mut command in commands() {
        let name = name(&command);
        let help = command.render_help().to_string();
        // The options that every command has are said once.
        let help: Vec<&str> = help.lines().filter(|line| name == "coditect" || !is_global(line)).collect();
        write!(text, "\n## {name}\n\n```text\n{}\n```\n", help.join("\n").trim_end()).unwrap();
    }
    let path = root().join("docs/commands.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &text).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == text, "docs/commands.md is out of date; UPDATE_DOCS=1 cargo test -p cli --bin coditect writes it");
}

fn is_global(line: &str) -> bool {
    let program = Arguments::program();
    let globals = program.get_arguments().filter(|argument| argument.is_global_set());
    let names: Vec<String> = globals.filter_map(|argument| Some(format!("--{}", argument.get_long()?))).collect();
    line.split_whitespace().take(2).any(|word| names.iter().any(|name| name == word))
}

#[test]
fn every_command_has_examples_and_each_can_be_parsed() {
    for command in commands() {
        let name = name(&command);
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = help.split("Examples:\n").nth(1).unwrap_or_else(|| panic!("`{name} --help` has no examples"));
        let examples: Vec<&str> = examples.lines().take_while(|line| line.starts_with("  ")).collect();
        assert!(!examples.is_empty(), "{name}");
        for example in examples {
            let words = words(example);
            assert_eq!(words[0], "coditect", "{name}: {example}");
            if let Err(error) = Arguments::try_parse_from(&words) {
                panic!("{name}: {example}\n{error}");
            }
            assert!(example.chars().count() <= 100, "{example} is too long for a terminal");
        }
    }
}

#[test]
fn every_option_is_explained() {
    for command in commands() {
        for argument in command.get_arguments() {
            assert!(argument.get_help().is_some(), "{}: {}", name(&command), argument.get_id());
        }
        assert!(command.get_about().is_some(), "{}", name(&command));
    }
}
