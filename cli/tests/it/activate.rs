//! `coditect activate`

use std::io::{Read, Write};
use std::process::Stdio;

use coditect::InvalidReason;
use protocol::problem::{Code, ProblemDocument};

use crate::cloud::Cloud;
use crate::machine::{Machine, expect};
use crate::manners::at_terminal;

#[test]
fn a_good_key_is_stored() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let printed = machine.coditect(&["activate", &machine.key.to_string()]);
    expect(
        &printed,
        0,
        "Activated {key}.\ntier         TEAM\ncommands/day unlimited\nfeatures     all_agents, shared_context\n\
         offline      until {time}\n",
        "",
    );
    let asked = &cloud.asked("validate")[0].body;
    assert_eq!(asked["license_key"], machine.key.to_string());
    assert_eq!(asked["machine_id"], machine.hardware_id.as_str());
    assert_eq!(machine.client().build().unwrap().license_key().unwrap().unwrap(), machine.key);
}

#[test]
fn a_key_can_come_from_standard_input_in_any_case() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let input = format!("  {}\n", machine.key.to_string().to_lowercase());
    let printed = machine.coditect_reading(&["activate", "-", "--json"], &input);
    expect(
        &printed,
        0,
        "{\"features\":[\"all_agents\",\"shared_context\"],\"grace_until\":\"{time}\",\"quotas\":{\"commands_per_day\":-1},\
         \"refresh_after\":\"{time}\",\"source\":\"cloud\",\"tier\":\"TEAM\",\"valid\":true,\"validated_at\":\"{time}\"}\n",
        "",
    );
}

#[test]
fn without_an_argument_the_key_comes_from_standard_input() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let printed = machine.coditect_reading(&["activate"], &format!("{}\n", machine.key));
    assert_eq!(printed.code, 0, "{printed:?}");
    expect(
        &machine.coditect(&["activate"]),
        1,
        "",
        "error: No license key was given. It looks like CODITECT-PRO-XXXXXXXXXXXX-XXXX.\nhint: `coditect activate KEY` stores \
         your license key on this machine.\n",
    );
}

/// Types these lines at a terminal once the key is asked for. The answer is all that the terminal shows, and whether the key was
/// taken.
fn typed(machine: &Machine, lines: &str) -> (String, bool) {
    let mut command = at_terminal(machine, "activate");
    let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let (mut screen, mut shown) = (process.stdout.take().unwrap(), Vec::new());
    // Not before the question: what is typed earlier is shown by the terminal itself.
    while !shown.ends_with(b"not shown): ") {
        let mut byte = [0];
        screen.read_exact(&mut byte).unwrap();
        shown.push(byte[0]);
    }
    let mut keyboard = process.stdin.take().unwrap();
    keyboard.write_all(lines.as_bytes()).unwrap();
    screen.read_to_end(&mut shown).unwrap();
    drop(keyboard);
    (String::from_utf8(shown).unwrap(), process.wait().unwrap().success())
}

#[test]
fn at_a_terminal_the_key_is_asked_for_and_not_shown() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let key = machine.key.to_string();
    let (shown, taken) = typed(&machine, &format!("{key}\n"));
    assert!(taken && shown.contains("Activated") && !shown.contains(&key), "{shown}");
}

#[test]
fn a_key_that_was_broken_in_lines_is_read_to_its_end() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let key = machine.key.to_string();
    let (first, rest) = key.split_at(key.find('-').unwrap() + 6);
    let (shown, taken) = typed(&machine, &format!("{first}\n{rest}\n"));
    assert!(taken && !shown.contains(rest), "{shown}");
    let (shown, taken) = typed(&machine, &(key.replace('-', "-\n") + "\n"));
    assert!(taken, "{shown}");
    for given_up in [format!("{first}\n\n"), "hello\n".to_owned(), "C\nO\nD\nI\n".to_owned()] {
        let (shown, taken) = typed(&machine, &given_up);
        assert!(!taken && shown.contains("error:"), "{shown}");
    }
    // As the shell takes it apart.
    assert_eq!(machine.coditect(&["activate", first, rest]).code, 0);
}

#[test]
fn a_mistyped_key_asks_nobody() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let mut key = machine.key.to_string();
    let wrong = if key.pop() == Some('0') { '1' } else { '0' };
    key.push(wrong);
    let printed = machine.coditect(&["activate", &key]);
    expect(
        &printed,
        1,
        "",
        "error: This looks mistyped: the check characters do not match the rest. Compare it with the original, character by \
         character.\nhint: `coditect activate KEY` stores your license key on this machine.\n",
    );
    assert!(cloud.asked("/").is_empty());
}

#[test]
fn a_refused_key_is_not_stored() {
    let cloud = Cloud::start();
    cloud.mood().invalid = Some(InvalidReason::DeviceLimitExceeded);
    let machine = Machine::new(&cloud.url);
    let printed = machine.coditect(&["activate", &machine.key.to_string()]);
    expect(
        &printed,
        1,
        "",
        "error: This license is in use on as many devices as the plan allows. Deactivate it on another device, or ask your \
         admin for a larger plan.\nhint: `coditect deactivate` on a machine that you no longer use gives its place back. A CI job \
         needs none: give it the key as CODITECT_LICENSE_KEY.\n",
    );
    assert!(!machine.home().join("license").exists());
}

#[test]
fn offline_nothing_is_stored() {
    let mut cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    cloud.stop();
    let printed = machine.coditect(&["activate", &machine.key.to_string()]);
    expect(
        &printed,
        2,
        "",
        "error: The cloud cannot be reached at {cloud}/.well-known/coditect.json (connection refused).\nhint: Check the network; `coditect doctor` looks for the cause.\n",
    );
    assert!(!machine.home().join("license").exists());
}

#[test]
fn too_many_attempts_are_told_with_the_time_to_wait() {
    let cloud = Cloud::start();
    let mut problem = ProblemDocument::new(Code::RateLimited);
    problem.retry_after_seconds = Some(60);
    cloud.mood().problem_on = Some(("validate", problem));
    let machine = Machine::new(&cloud.url);
    let printed = machine.coditect(&["activate", &machine.key.to_string()]);
    expect(
        &printed,
        2,
        "",
        "error: Wait for the time given by Retry-After, then try again.\nhint: Try again in 60 seconds; `coditect status` shows \
         what is stored here.\n",
    );
    assert_eq!(cloud.asked("validate").len(), 1, "who is asked to wait is not asked again at once");
}

#[test]
fn a_key_is_read_as_mail_and_chat_bring_it() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    let key = machine.key.to_string();
    let pasted = format!("> \u{201c}{}\u{201d}\r\n", key.replace('-', "\u{2011}\u{200b}"));
    for argument in [&["activate", &pasted][..], &["activate", "-"]] {
        let printed = machine.coditect_reading(argument, &format!("\u{feff}{pasted}"));
        assert_eq!(printed.code, 0, "{printed:?}");
    }
    assert!(cloud.asked("validate").iter().all(|asked| asked.body["license_key"] == key.as_str()));
}

#[test]
fn a_key_from_a_pipe_that_stays_open_is_enough() {
    let cloud = Cloud::start();
    let machine = Machine::new(&cloud.url);
    for end in ["", "\n"] {
        let mut command = machine.command(&["activate", "-"]);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut pipe = process.stdin.take().unwrap();
        pipe.write_all(format!("{}{end}", machine.key).as_bytes()).unwrap();
        pipe.flush().unwrap();
        let printed = machine.printed(process.wait_with_output().unwrap());
        assert_eq!(printed.code, 0, "{printed:?}");
        drop(pipe);
    }
}
