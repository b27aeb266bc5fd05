//! `coditect status`

use std::fs;

use coditect::InvalidReason;
use jiff::SignedDuration;
use protocol::problem::{Code, ProblemDocument};

use crate::cloud::Cloud;
use crate::machine::{Machine, expect};
use crate::manners::{at_terminal, shown};

const MACHINE: &str = "cloud-url    {cloud}\nhardware id  {machine}\nhome         {home}\n";

#[test]
fn it_shows_what_is_known_and_asks_nobody() {
    let mut cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    cloud.stop();
    let known = "plan         TEAM, valid\nlicense key  {key}\ncommands     unlimited\nfeatures     all_agents, shared_context\n\
                 asked        just now ({time}); again in 24 hours ({time})\n\
                 offline      this serves for 7 days (until {time})\n\
                 next seat    starts offline, too, for 24 hours (until {time})\n\
                 sync         nothing is kept here yet\nlast error   none\n";
    expect(&machine.coditect(&["status"]), 0, &format!("{known}{MACHINE}"), "");
    expect(
        &machine.coditect(&["status", "--json"]),
        0,
        "{\"at\":\"{time}\",\"signed_in_as\":null,\"license_key\":\"{key}\",\"license_key_is_given\":false,\"license\":{\"tier\":\"TEAM\",\"features\":[\"all_agents\",\"shared_context\"],\"quotas\":\
         {\"commands_per_day\":-1},\"source\":\"cache\",\"validated_at\":\"{time}\",\"refresh_after\":\"{time}\",\"grace_until\":\
         \"{time}\"},\"commands_today\":null,\"seats\":[],\"seat_token_until\":\"{time}\",\"sync\":null,\"last_error\":null,\"cloud_url\":\
         \"{cloud}\",\"hardware_id\":\"{machine}\",\"home\":\"{home}\"}\n",
        "",
    );
}

#[test]
fn without_a_key_it_shows_the_free_tier() {
    let machine = Machine::new("https://cloud.example");
    let status = machine.coditect(&["status"]);
    assert_eq!(status.code, 0, "{status:?}");
    let free = "plan         FREE; `coditect activate` stores a license key\nlicense key  none\ncommands     10 a day\n\
                today        0 of 10 used, 10 left; a new day begins in ";
    assert!(status.stdout.starts_with(free), "{}", status.stdout);
    let rest = format!("sync         nothing is kept here yet\nlast error   none\n{MACHINE}");
    assert!(status.stdout.ends_with(&rest), "{}", status.stdout);
}

#[test]
fn when_the_last_answer_no_longer_serves_the_answer_is_no() {
    let cloud = Cloud::start();
    cloud.mood().signed_ago = SignedDuration::from_hours(8 * 24);
    let machine = Machine::activated(&cloud.url);
    let lapsed = "plan         not known, so the free tier's limits apply; `coditect validate` asks the cloud\nlicense key  {key}\n";
    let status = machine.coditect(&["status"]);
    assert_eq!(status.code, 1, "{status:?}");
    assert!(status.stdout.starts_with(lapsed), "{}", status.stdout);
}

#[test]
fn a_no_is_shown_with_its_reason_until_the_next_answer() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    cloud.mood().invalid = Some(InvalidReason::Suspended);
    cloud.mood().problem_on = Some(("auth", ProblemDocument::new(Code::InvalidLicenseKey)));
    fs::remove_file(machine.home().join("validation")).unwrap();
    let no = machine.coditect(&["validate"]);
    assert_eq!(no.code, 1, "{no:?}");
    let reason = no.stderr.lines().next().unwrap();
    let status = machine.coditect(&["status"]);
    let says = "plan         suspended, as the cloud said just now ({time}); `coditect validate` asks again\n";
    assert!(status.code == 1 && status.stdout.starts_with(says) && !status.stdout.contains("today"), "{status:?}");
    for arguments in [&["run", "true"][..], &["seat", "acquire"]] {
        let printed = machine.coditect(arguments);
        assert!(printed.code == 1 && printed.stderr.starts_with(reason), "{printed:?} {reason}");
    }
    cloud.mood().invalid = None;
    cloud.mood().problem_on = None;
    assert_eq!(machine.coditect(&["run", "true"]).code, 0);
    assert!(!machine.coditect(&["status"]).stdout.starts_with("plan         suspended"));
}

#[test]
fn what_went_wrong_last_is_remembered() {
    let mut cloud = Cloud::start();
    let machine = Machine::syncing(&cloud.url);
    cloud.stop();
    assert_eq!(machine.coditect(&["task", "add", "Write it down", "--id", "t"]).code, 0);
    assert_eq!(machine.coditect(&["sync"]).code, 2);
    let status = machine.coditect(&["status"]).stdout;
    let error = "last error   just now ({time}): The cloud cannot be reached at {cloud}/api/v1/auth/license (connection refused).\n";
    assert!(status.contains(error), "{status}");
    let sync =
        "sync         on; 1 change waits, the oldest written just now ({time}); `coditect sync status` says more\n";
    assert!(status.contains(sync), "{status}");
    // Wrong usage is no matter, and what is not there any more is none.
    assert_eq!(machine.coditect(&["config", "get", "color"]).code, 64);
    assert!(machine.coditect(&["status"]).stdout.contains(error));
    fs::write(machine.home().join("last-error.json"), "{").unwrap();
    assert!(machine.coditect(&["status"]).stdout.contains("last error   none\n"));
}

#[test]
fn a_database_that_is_broken_hides_nothing_else() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    assert_eq!(machine.coditect(&["task", "add", "Write it down"]).code, 0);
    fs::write(machine.home().join("sessions.db"), "not a database, and long enough to look like one: 0123456789")
        .unwrap();
    let status = machine.coditect(&["status"]);
    assert_eq!(status.code, 0, "{status:?}");
    assert!(status.stdout.contains("sync         {home}/sessions.db"), "{}", status.stdout);
    assert!(status.stdout.contains("`coditect doctor` looks for the cause\n"), "{}", status.stdout);
}

#[test]
fn at_a_terminal_times_are_the_persons_own() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let mut command = at_terminal(&machine, "status");
    let (code, text) = shown(command.env("TZ", "Pacific/Kiritimati"));
    assert_eq!(code, Some(0), "{text}");
    let now = jiff::Timestamp::now().in_tz("Pacific/Kiritimati").unwrap();
    let days = [now.clone() - jiff::SignedDuration::from_mins(1), now]
        .map(|time| time.strftime("asked        just now (%Y-%m-%d %H:").to_string());
    assert!(days.iter().any(|day| text.contains(day)), "{text}");
    assert!(!text.contains("Z)"), "{text}");
}

#[test]
fn a_seat_that_is_held_is_shown() {
    let cloud = Cloud::start();
    let machine = Machine::activated(&cloud.url);
    let seat = machine.client().build().unwrap().acquire().unwrap();
    let held = format!(
        "seat         taken just now ({{time}}), kept by process {}; the cloud heard of it just now ({{time}})\n",
        std::process::id()
    );
    let status = machine.coditect(&["status"]).stdout;
    assert!(status.contains(&held), "{status}");
    drop(seat);
    assert!(!machine.coditect(&["status"]).stdout.contains("kept by"));
}
