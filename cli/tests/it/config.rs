//! `coditect config`

use std::fs;

use crate::cloud::Cloud;
use crate::machine::{Machine, expect};

const HINT: &str = "hint: `coditect config set cloud-url https://…` sets another address.\n";

#[test]
fn a_setting_is_set_read_and_listed() {
    let machine = Machine::new("https://cloud.example");
    expect(&machine.coditect(&["config", "get", "cloud-url"]), 0, "{cloud}\n", "");
    expect(
        &machine.coditect(&["config", "list"]),
        0,
        "cloud-url = {cloud}\nsync = off\nkeychain = on\nsso = the cloud's\n",
        "",
    );
    expect(
        &machine.coditect(&["config", "list", "--json"]),
        0,
        "{\"cloud-url\":\"{cloud}\",\"keychain\":\"on\",\"sso\":\"cloud\",\"sync\":\"off\"}\n",
        "",
    );
    expect(
        &machine.coditect(&["config", "set", "cloud-url", "https://b.example/", "--offline"]),
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
    fs::write(machine.home().join("config.json"), r#"{"color":"blue"}"#).unwrap();
    expect(&machine.coditect(&["config", "get", "cloud-url"]), 0, "https://api.coditect.ai\n", "");
    assert_eq!(machine.coditect(&["config", "set", "cloud-url", "https://b.example", "--offline"]).code, 0);
    let written = fs::read_to_string(machine.home().join("config.json")).unwrap();
    assert!(written.contains("blue") && written.contains("https://b.example"), "{written}");
}

#[test]
fn an_unknown_setting_is_wrong_usage() {
    let machine = Machine::new("https://cloud.example");
    for arguments in [&["config", "get", "color"][..], &["config", "set", "color", "blue"]] {
        expect(
            &machine.coditect(arguments),
            64,
            "",
            "error: There is no setting \"color\". There are: cloud-url, sync, keychain, sso.\nhint: `coditect config list` prints all settings.\n",
        );
    }
    expect(
        &machine.coditect(&["--json", "config", "get", "color"]),
        64,
        "{\"code\":\"unknown_setting\",\"detail\":\"There is no setting \\\"color\\\". There are: cloud-url, sync, keychain, sso.\",\"hint\":\
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

#[test]
fn a_cloud_is_asked_who_it_is_before_it_is_remembered() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    assert_eq!(machine.coditect(&["config", "unset", "cloud-url"]).stdout, "cloud-url = https://api.coditect.ai\n");
    let found = "cloud-url = {cloud}\nfunctions = acquire, auth, heartbeat, release, sync-pull, sync-push, telemetry, \
                 validate\n\
                 issuer = {cloud}\n";
    expect(&machine.coditect(&["config", "set", "cloud-url", &cloud.url]), 0, found, "");
    // The settings that the cloud published are used at once.
    cloud.forget();
    assert_eq!(machine.coditect(&["activate", &machine.key.to_string()]).code, 0);
    assert!(cloud.asked("/.well-known/").is_empty());
}

#[test]
fn who_is_no_cloud_is_not_remembered_unless_somebody_insists() {
    let mut cloud = Cloud::start();
    let machine = Machine::new("https://a.example");
    let address = cloud.url.clone();
    cloud.stop();
    let refused = machine.coditect(&["config", "set", "cloud-url", &address]);
    assert_eq!(refused.code, 2);
    let said = format!(
        "error: The cloud cannot be reached at {address}/.well-known/coditect.json (connection refused). The address was not \
         changed.\nhint: Check the network; `coditect doctor` looks for the cause. `coditect config set cloud-url {address} --offline` takes it as it is.\n"
    );
    assert_eq!(refused.stderr, said);
    expect(&machine.coditect(&["config", "get", "cloud-url"]), 0, "{cloud}\n", "");
    assert_eq!(machine.coditect(&["config", "set", "cloud-url", &address, "--offline"]).code, 0);
    assert_eq!(machine.coditect(&["config", "get", "cloud-url"]).stdout, format!("{address}\n"));
}

#[test]
fn sync_that_is_unset_is_off() {
    let machine = Machine::new("https://cloud.example");
    assert_eq!(machine.coditect(&["config", "set", "sync", "on"]).code, 0);
    expect(&machine.coditect(&["config", "unset", "sync"]), 0, "sync = off\n", "");
    assert_eq!(machine.coditect(&["config", "unset", "color"]).code, 64);
}

#[test]
fn settings_with_a_byte_order_mark_are_read() {
    let machine = Machine::new("https://cloud.example");
    let file = machine.home().join("config.json");
    let text = fs::read_to_string(&file).unwrap();
    let marked = format!("\u{feff}{text}");
    for bytes in [marked.clone().into_bytes(), marked.encode_utf16().flat_map(u16::to_le_bytes).collect()] {
        fs::write(&file, bytes).unwrap();
        expect(&machine.coditect(&["config", "get", "cloud-url"]), 0, "{cloud}\n", "");
        assert_eq!(machine.coditect(&["config", "set", "sync", "on"]).code, 0);
        expect(&machine.coditect(&["config", "get", "cloud-url"]), 0, "{cloud}\n", "");
    }
}
