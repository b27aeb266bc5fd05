//! Parsers of argument values: texts, statuses, durations and switches.

use std::ffi::{OsStr, OsString};
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use coditect::TaskStatus;
use coditect::text::is_blank;
use jiff::SignedDuration;

/// A text, with or without quotes around it. It may begin with a dash, as lists and negative numbers do.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct TextArgument {
    /// The text; quotes are needed only around characters that the shell interprets
    #[arg(value_name = "TEXT", allow_hyphen_values = true, value_parser = parse_text)]
    text: Option<String>,
    /// The rest of a text without quotes
    #[arg(hide = true, allow_negative_numbers = true)]
    more: Vec<String>,
    /// The rest of a text, options among it
    #[arg(hide = true, last = true)]
    literal: Vec<String>,
}

impl TextArgument {
    /// Returns its words, those in quotes together.
    pub(crate) fn words(self) -> Vec<String> {
        self.text.into_iter().chain(self.more).chain(self.literal).collect()
    }

    /// Returns all of it; none if there is none, or it is blank.
    pub(crate) fn joined(self) -> Option<String> {
        Some(self.words().join(" ")).filter(|text| !is_blank(text))
    }
}

/// Parses a text. One that looks like an option is refused as a mistyped option.
pub(super) fn parse_text(text: &str) -> Result<String, String> {
    let name = text.trim_start_matches('-').split('=').next().unwrap_or_default();
    let looks_like_an_option = text.starts_with('-')
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if looks_like_an_option {
        return Err(format!("{UNKNOWN_OPTION} {text}"));
    }
    Ok(text.to_owned())
}

/// Beginning of the message about a mistyped option.
pub(crate) const UNKNOWN_OPTION: &str = "There is no option";

/// The usual statuses of tasks.
pub(crate) const TASK_STATUSES: [&str; 3] = ["pending", "in_progress", "completed"];

/// Parses a status: a usual one, a common synonym of it, or another word.
pub(super) fn parse_status(text: &str) -> Result<TaskStatus, String> {
    let word = text.trim().to_lowercase().replace([' ', '-'], "_");
    let word = match word.as_str() {
        "todo" | "to_do" | "open" | "new" | "not_started" => "pending",
        "doing" | "started" | "wip" | "inprogress" | "progress" | "active" | "current" => "in_progress",
        "done" | "complete" | "finished" | "closed" | "resolved" => "completed",
        word => word,
    };
    TaskStatus::parse(word).map_err(|_| format!("it is {}, or another word in small letters", TASK_STATUSES.join(", ")))
}

/// Parses `on` or `off`, or a common synonym.
pub(crate) fn parse_switch(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "on" | "true" | "yes" | "y" | "1" | "enable" | "enabled" => Some(true),
        "off" | "false" | "no" | "n" | "0" | "disable" | "disabled" => Some(false),
        _ => None,
    }
}

/// Value of `--wait`: the longest time to wait. None means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaitLimit(pub(crate) Option<Duration>);

impl FromStr for WaitLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("{MISSING_UNIT} {text}? A time to wait has a unit"));
        }
        let time = text.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
        time.map(|time| Self(Some(time))).ok_or_else(|| "it is a time such as 90s, 10m or 2h".to_owned())
    }
}

/// Beginning of the message about a duration without a unit.
pub(super) const MISSING_UNIT: &str = "How long is";

/// The commands whose option `--wait` precedes another program's command line, with their aliases.
const WAIT_COMMANDS: [&[&str]; 4] = [&["run"], &["exec"], &["seat", "hold"], &["seats", "hold"]];

/// Returns the arguments with `--wait=10m` in place of `--wait 10m` where a command line may follow: clap takes an optional value
/// only after `=` there, since it cannot distinguish a duration from a program's name.
pub(crate) fn join_wait_value(arguments: &[OsString]) -> Vec<OsString> {
    let mut joined: Vec<OsString> = arguments.iter().take(1).cloned().collect();
    let mut names: Vec<&str> = Vec::new();
    let mut next = joined.len();
    while let Some(word) = arguments.get(next) {
        let text = word.to_str().unwrap_or_default();
        let takes_wait = WAIT_COMMANDS.contains(&&*names);
        let rest = &arguments[next + 1..];
        let taken = match text {
            "--wait" if takes_wait => count_duration_words(rest),
            "--home" | "--profile" => rest.len().min(1),
            _ if text.len() > 1 && text.starts_with('-') && text != "--" => 0,
            name if WAIT_COMMANDS.iter().any(|command| command.starts_with(&[&*names, &[name]].concat())) => {
                names.push(name);
                0
            }
            // The program that is to be run, or a command that runs none.
            _ => break,
        };
        let values = &rest[..taken];
        if text == "--wait" && taken > 0 {
            joined.push(format!("--wait={}", values.join(OsStr::new(" ")).to_string_lossy()).into());
        } else {
            joined.push(word.clone());
            joined.extend_from_slice(values);
        }
        next += 1 + taken;
    }
    joined.extend_from_slice(&arguments[next..]);
    joined
}

/// Counts the words after `--wait` that are a duration, well-formed or not: those that begin with a digit, as in `1h 30m`, or one
/// that only `--` follows.
fn count_duration_words(words: &[OsString]) -> usize {
    let is_duration = |word: &&OsString| {
        word.to_str().is_some_and(|word| {
            word.trim_start_matches(['-', '+', '.', ',']).starts_with(|first: char| first.is_ascii_digit())
        })
    };
    let count = words.iter().take_while(is_duration).count();
    let is_alone = matches!(words, [word, next, ..] if next == "--" && !word.to_string_lossy().starts_with('-'));
    count.max(usize::from(is_alone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_read_as_people_say_them() {
        for (said, meant) in [
            ("done", "completed"),
            ("Done", "completed"),
            ("complete", "completed"),
            ("in progress", "in_progress"),
            ("In-Progress", "in_progress"),
            ("doing", "in_progress"),
            ("todo", "pending"),
            ("open", "pending"),
            ("pending", "pending"),
            ("blocked", "blocked"),
        ] {
            assert_eq!(parse_status(said).unwrap().as_str(), meant, "{said}");
        }
        for wrong in ["", "!", "9", "ünklar"] {
            assert!(parse_status(wrong).unwrap_err().contains("pending, in_progress, completed"), "{wrong}");
        }
    }

    #[test]
    fn a_text_may_begin_with_a_dash_and_a_mistyped_option_is_no_text() {
        for text in
            ["- buy milk", "-1 degrees", "-", "--", "-5", "--- a rule", "-- so", "--help me", "– dash", "a --b", ""]
        {
            assert_eq!(parse_text(text).as_deref(), Ok(text));
        }
        for option in ["--staus", "--staus=x", "-x", "--dry-run", "-verbose"] {
            assert_eq!(parse_text(option), Err(format!("There is no option {option}")));
        }
    }

    #[test]
    fn a_time_after_wait_may_stand_alone() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        for (said, read) in [
            ("run --wait 10m -- make test", "run --wait=10m -- make test"),
            ("run --wait 10m make test", "run --wait=10m make test"),
            ("--json exec -q --wait 2s --json -v -- echo", "--json exec -q --wait=2s --json -v -- echo"),
            ("--home run run --wait 10x -- echo", "--home run run --wait=10x -- echo"),
            ("run --wait -5m -- echo", "run --wait=-5m -- echo"),
            ("run --wait soon -- echo", "run --wait=soon -- echo"),
            ("seat --quiet hold --wait 5x", "seat --quiet hold --wait=5x"),
            // What is no time, or not ours.
            ("run --wait make test", "run --wait make test"),
            ("run --wait -- 7z x a.zip", "run --wait -- 7z x a.zip"),
            ("run --wait -q -- make", "run --wait -q -- make"),
            ("run --wait --json", "run --wait --json"),
            ("run --wait=10m 7z x", "run --wait=10m 7z x"),
            ("run -- make --wait 10m", "run -- make --wait 10m"),
            ("run make --wait 10m", "run make --wait 10m"),
            ("seat acquire --wait 10m", "seat acquire --wait 10m"),
            ("task add run --wait 10m", "task add run --wait 10m"),
            ("run --wait", "run --wait"),
        ] {
            let program = |words: &str| format!("coditect {words}");
            assert_eq!(join_wait_value(&words(&program(said))), words(&program(read)), "{said}");
        }
        let [said, read] = ["run --wait 1h 30m -- make", "--wait=1h 30m"];
        assert_eq!(join_wait_value(&words(&format!("coditect {said}")))[2], read);
        assert_eq!("1h 30m".parse(), Ok(WaitLimit(Some(Duration::from_secs(5400)))));
        assert!(join_wait_value(&[]).is_empty());
    }

    #[test]
    fn yes_and_no_are_read_as_people_say_them() {
        for (said, meant) in
            [("on", Some(true)), ("True", Some(true)), ("no", Some(false)), ("0", Some(false)), ("maybe", None)]
        {
            assert_eq!(parse_switch(said), meant, "{said}");
        }
    }
}
