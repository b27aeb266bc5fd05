//! `--profile` and `CODITECT_PROFILE`

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use coditect::{LicenseClient, Profile};

use crate::cloud::Cloud;
use crate::machine::{Machine, expect};

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn profiles_have_nothing_in_common() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    expect(
        &machine.coditect(&["--profile", "client", "config", "get", "cloud-url"]),
        0,
        "https://api.coditect.ai\n",
        "",
    );
    assert_eq!(machine.coditect(&["config", "set", "cloud-url", &cloud.url, "--profile", "client"]).code, 0);
    let printed = machine.coditect(&["--profile", "client", "validate"]);
    assert!(printed.stdout.contains("FREE"), "the default profile's key is not this one's: {printed:?}");

    let key = machine.key.to_string();
    assert_eq!(machine.coditect_reading(&["--profile", "client", "activate"], &key).code, 0);
    let home = machine.home().join("profiles/client");
    assert!(home.join("license").exists());
    assert_eq!((mode(&home), mode(home.parent().unwrap())), (0o700, 0o700));
    assert_ne!(std::fs::read(home.join("secret")).unwrap(), std::fs::read(machine.home().join("secret")).unwrap());
}

#[test]
fn the_environment_names_one_too_and_the_argument_wins() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let set = |name: &str, sync: &str, arguments: &[&str]| {
        let mut all = vec!["config", "set", "sync", sync];
        all.extend(arguments);
        let mut command = machine.command(&all);
        let output = command.env("CODITECT_PROFILE", name).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    };
    set("a", "on", &[]);
    set("a", "on", &["--profile", "b"]);
    set("a", "on", &["--profile", "default"]);
    for home in ["profiles/a", "profiles/b", "."] {
        let settings = std::fs::read_to_string(machine.home().join(home).join("config.json")).unwrap();
        assert!(settings.contains("\"sync\": true"), "{home}: {settings}");
    }
    let home = machine.home().display().to_string();
    set("c", "on", &["--home", &home]);
    assert!(machine.home().join("profiles/c/config.json").exists(), "a profile of the folder that is named");
}

#[test]
fn a_name_that_is_none_is_wrong_usage() {
    let machine = Machine::new("http://127.0.0.1:1");
    let printed = machine.coditect(&["--profile", "../x", "status"]);
    assert_eq!(printed.code, 64, "{printed:?}");
    assert!(printed.stderr.contains("is no name of a profile"), "{printed:?}");
    let output = machine.command(&["status"]).env("CODITECT_PROFILE", "a/b").output().unwrap();
    expect(
        &machine.printed(output),
        64,
        "",
        "error: \"a/b\" is no name of a profile: letters, digits, -, _ and ., beginning with a letter or digit, and at most \
         64.\nhint: `coditect --profile NAME …`, or CODITECT_PROFILE, names a profile.\n",
    );
}

#[test]
fn an_engine_chooses_one() {
    let machine = Machine::new("http://127.0.0.1:1");
    let profile: Profile = "engine".parse().unwrap();
    let client = LicenseClient::builder().home(machine.home()).profile(profile.clone()).build().unwrap();
    assert_eq!(client.home(), machine.home().join("profiles/engine"));
    assert_eq!(client.profile(), profile);
    assert_eq!(machine.client().build().unwrap().profile().as_str(), "default");
}
