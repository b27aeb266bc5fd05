//! `coditect config`

use std::fs;

use crate::machine::{Machine, expect};

const HINT: &str = "hint: `coditect config set cloud-url https://…` sets another address.\n";

#[test]
fn a_setting_is_set_read_and_listed() {
    let machine = Machine::new("https://cloud.example");
    expect(&machine.coditect(&["config", "get", "cloud-url"]), 0, "{cloud}\n", "");
    expect(&machine.coditect(&["config", "list"]), 0, "cloud-url = {cloud}\nsync = off\n", "");
    expect(&machine.coditect(&["config", "list", "--json"]), 0, "{\"cloud-url\":\"{cloud}\",\"sync\":\"off\"}\n", "");
    expect(
        &machine.coditect(&["config", "set", "cloud-url", "https://b.example/"]),
        0,
        "cloud-url = https://b.example\n",
        "",
    );
    expect(
        &machine.coditect(&["config", "get", "cloud-url", "--json"]),
        0,
        "{\"cloud-url\":\"https://b.example\"}\n",
        "",
    );
}

#[test]
fn what_is_not_set_has_its_default_and_what_a_newer_version_wrote_stays() {
    let machine = Machine::new("https://cloud.example");
    fs::write(machine.home().join("config.json"), r#"{"colour":"blue"}"#).unwrap();
    expect(&machine.coditect(&["config", "get", "cloud-url"]), 0, "https://api.coditect.ai\n", "");
    assert_eq!(machine.coditect(&["config", "set", "cloud-url", "https://b.example"]).code, 0);
    let written = fs::read_to_string(machine.home().join("config.json")).unwrap();
    assert!(written.contains("blue") && written.contains("https://b.example"), "{written}");
}

#[test]
fn an_unknown_setting_is_wrong_usage() {
    let machine = Machine::new("https://cloud.example");
    for arguments in [&["config", "get", "colour"][..], &["config", "set", "colour", "blue"]] {
        expect(
            &machine.coditect(arguments),
            64,
            "",
            "error: There is no setting \"colour\". There are: cloud-url, sync.\nhint: `coditect config list` prints all settings.\n",
        );
    }
    expect(
        &machine.coditect(&["--json", "config", "get", "colour"]),
        64,
        "{\"code\":\"unknown_setting\",\"detail\":\"There is no setting \\\"colour\\\". There are: cloud-url, sync.\",\"hint\":\
         \"`coditect config list` prints all settings.\"}\n",
        "",
    );
}

#[test]
fn secrets_are_not_sent_in_clear() {
    let machine = Machine::new("https://cloud.example");
    expect(
        &machine.coditect(&["config", "set", "cloud-url", "http://cloud.example"]),
        64,
        "",
        &format!(
            "error: \"http://cloud.example\" cannot be used: plain http would show the license key on the way. Use https.\n{HINT}"
        ),
    );
    fs::write(machine.home().join("config.json"), r#"{"cloud-url":"http://cloud.example"}"#).unwrap();
    assert_eq!(machine.coditect(&["validate"]).code, 2, "nor when somebody has written it into the file");
}

#[test]
fn a_broken_file_is_named() {
    let machine = Machine::new("https://cloud.example");
    fs::write(machine.home().join("config.json"), "{").unwrap();
    expect(
        &machine.coditect(&["config", "list"]),
        2,
        "",
        "error: {home}/config.json is not a settings file: EOF while parsing an object at line 1 column 1.\nhint: Correct it, or \
         delete it and use `coditect config set`: {home}/config.json\n",
    );
}
