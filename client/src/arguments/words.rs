//! Parses free-form arguments: texts, statuses, times, yes and no.

use std::ffi::OsString;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use coditect::TaskStatus;
use jiff::SignedDuration;

/// A text, with or without quotes around it. It may begin with a dash, as lists and negative numbers do.
#[derive(Debug, Args)]
#[group(skip)]
pub(crate) struct TextWords {
    /// What it says; quotes are needed only for what the shell would change
    #[arg(value_name = "TEXT", allow_hyphen_values = true, value_parser = said)]
    text: Option<String>,
    /// The rest of a text without quotes
    #[arg(hide = true, allow_negative_numbers = true)]
    more: Vec<String>,
    /// The rest of a text, options among it
    #[arg(hide = true, last = true)]
    literal: Vec<String>,
}

impl TextWords {
    /// Its words, those in quotes together.
    pub(crate) fn words(self) -> Vec<String> {
        self.text.into_iter().chain(self.more).chain(self.literal).collect()
    }

    /// All of it; none if there is none, or nothing but space.
    pub(crate) fn whole(self) -> Option<String> {
        Some(self.words().join(" ")).filter(|text| !text.trim().is_empty())
    }
}

/// Reads a person's text. What looks like an option is one that was mistyped.
pub(super) fn said(text: &str) -> Result<String, String> {
    let name = text.trim_start_matches('-').split('=').next().unwrap_or_default();
    let looks_like_an_option = text.starts_with('-')
        && name.starts_with(|first: char| first.is_ascii_alphabetic())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if looks_like_an_option {
        return Err(format!("{NO_OPTION} {text}"));
    }
    Ok(text.to_owned())
}

/// The beginning of the message about a mistyped option.
pub(crate) const NO_OPTION: &str = "There is no option";

/// The statuses that this program gives tasks by itself.
pub(crate) const STATUSES: [&str; 3] = ["pending", "in_progress", "completed"];

/// Reads a status: one of those, another word, or what people say instead.
pub(super) fn status(text: &str) -> Result<TaskStatus, String> {
    let word = text.trim().to_lowercase().replace([' ', '-'], "_");
    let word = match word.as_str() {
        "todo" | "to_do" | "open" | "new" | "not_started" => "pending",
        "doing" | "started" | "wip" | "inprogress" | "progress" | "active" | "current" => "in_progress",
        "done" | "complete" | "finished" | "closed" | "resolved" => "completed",
        word => word,
    };
    TaskStatus::parse(word).map_err(|_| format!("it is {}, or another word in small letters", STATUSES.join(", ")))
}

/// Reads yes or no, as people say it.
pub(crate) fn switch(text: &str) -> Option<bool> {
    match text.trim().to_lowercase().as_str() {
        "on" | "true" | "yes" | "y" | "1" | "enable" | "enabled" => Some(true),
        "off" | "false" | "no" | "n" | "0" | "disable" | "disabled" => Some(false),
        _ => None,
    }
}

/// The longest time to wait. None means no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience(pub(crate) Option<Duration>);

impl FromStr for Patience {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            return Ok(Self(None));
        }
        let time = text.parse::<SignedDuration>().ok().and_then(|time| Duration::try_from(time).ok());
        time.map(|time| Self(Some(time))).ok_or("it is a time such as 90s, 10m or 2h")
    }
}

impl Patience {
    /// The patience, and the command, of `--wait 10m -- COMMAND`, where the time was taken for the command's name: an option
    /// whose value may be left out takes one after a space only from those who know what they mean.
    ///
    /// # Errors
    /// When the time is a number without a unit.
    pub(crate) fn with_command(self, command: &[OsString]) -> Result<(Self, &[OsString]), &OsString> {
        let (None, [first, rest @ ..]) = (self.0, command) else { return Ok((self, command)) };
        let text = first.to_str().unwrap_or_default();
        if rest.is_empty() || !text.starts_with(|first: char| first.is_ascii_digit()) {
            return Ok((self, command));
        }
        let rest = if rest[0] == "--" { &rest[1..] } else { rest };
        match text.parse::<Self>() {
            Ok(patience) => Ok((patience, rest)),
            Err(_) if text.bytes().all(|byte| byte.is_ascii_digit()) => Err(first),
            Err(_) => Ok((self, command)),
        }
    }
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
            assert_eq!(status(said).unwrap().as_str(), meant, "{said}");
        }
        for wrong in ["", "!", "9", "ünklar"] {
            assert!(status(wrong).unwrap_err().contains("pending, in_progress, completed"), "{wrong}");
        }
    }

    #[test]
    fn a_text_may_begin_with_a_dash_and_a_mistyped_option_is_no_text() {
        for text in
            ["- buy milk", "-1 degrees", "-", "--", "-5", "--- a rule", "-- so", "--help me", "– dash", "a --b", ""]
        {
            assert_eq!(said(text).as_deref(), Ok(text));
        }
        for option in ["--staus", "--staus=x", "-x", "--dry-run", "-verbose"] {
            assert_eq!(said(option), Err(format!("There is no option {option}")));
        }
    }

    #[test]
    fn a_time_after_wait_may_stand_alone() {
        let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        let ten = Patience(Some(Duration::from_secs(600)));
        for (said, patience, command) in [
            ("10m -- make test", ten, "make test"),
            ("10m make test", ten, "make test"),
            ("600s make", ten, "make"),
            ("make test", Patience(None), "make test"),
            ("7z x a.zip", Patience(None), "7z x a.zip"),
            ("10m", Patience(None), "10m"),
        ] {
            assert_eq!(Patience(None).with_command(&words(said)), Ok((patience, &*words(command))), "{said}");
        }
        assert_eq!(Patience(None).with_command(&words("600 -- make")), Err(&OsString::from("600")));
        assert_eq!(ten.with_command(&words("10m -- make")), Ok((ten, &*words("10m -- make"))), "it was given already");
    }

    #[test]
    fn yes_and_no_are_read_as_people_say_them() {
        for (said, meant) in
            [("on", Some(true)), ("True", Some(true)), ("no", Some(false)), ("0", Some(false)), ("maybe", None)]
        {
            assert_eq!(switch(said), meant, "{said}");
        }
    }
}
