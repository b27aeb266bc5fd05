//! Usage errors: turns an error of clap into a sentence, and one hint for the command that was meant.

use std::ffi::OsString;

use clap::Command;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::Arguments;
use super::values::{MISSING_UNIT, UNKNOWN_OPTION};

/// A command line that runs no command. As in clap, a request for help or the version is one of them.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum UsageError {
    /// A request for a help text.
    Help(StyledStr),
    /// A request for the version.
    Version,
    /// The command has subcommands, and none of them was named. The help text lists them.
    MissingSubcommand {
        /// The help text.
        help: StyledStr,
        /// The message for programs, in place of the help text.
        message: UsageMessage,
    },
    /// A mistake.
    Invalid(UsageMessage),
}

/// Message of a usage error: the sentence that describes it, and the hint.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UsageMessage {
    pub(crate) sentence: String,
    pub(crate) hint: String,
}

impl UsageError {
    /// Converts an error of clap.
    pub(crate) fn new(error: &clap::Error, arguments: &[OsString]) -> Self {
        match error.kind() {
            ErrorKind::DisplayHelp => return Self::Help(error.render()),
            ErrorKind::DisplayVersion => return Self::Version,
            _ => {}
        }
        // Building every command takes longer than parsing.
        let mut command = innermost_command(arguments);
        let name = command.get_bin_name().unwrap_or("coditect").to_owned();
        match error.kind() {
            ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand | ErrorKind::MissingSubcommand => {
                Self::MissingSubcommand {
                    help: command.render_help(),
                    message: UsageMessage {
                        sentence: format!("`{name}` needs a command."),
                        hint: format!("`{name} --help` lists the commands."),
                    },
                }
            }
            ErrorKind::InvalidSubcommand if is_option_of_help(error) => Self::Help(command.render_help()),
            kind => {
                let sentence = sentence(error, kind, &name);
                let hint = suggestion(error).unwrap_or_else(|| help_hint(&command, &name, error, &sentence));
                Self::Invalid(UsageMessage { sentence, hint })
            }
        }
    }
}

/// Returns true for `coditect help --help`: the command `help` reads all that follows as the names of commands.
fn is_option_of_help(error: &clap::Error) -> bool {
    text(error, ContextKind::InvalidSubcommand).is_some_and(|word| word.starts_with('-'))
}

/// Returns the innermost command that was named.
fn innermost_command(arguments: &[OsString]) -> Command {
    let mut command = Arguments::program();
    command.build();
    let mut words = arguments.iter().skip(1).map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        match &*word {
            "--" => break,
            "--home" | "--profile" => drop(words.next()),
            option if option.starts_with('-') => {}
            // `coditect help task` is about `task`.
            "help" => {}
            word => match command.find_subcommand(word) {
                Some(below) => command = below.clone(),
                None => break,
            },
        }
    }
    command
}

fn sentence(error: &clap::Error, kind: ErrorKind, name: &str) -> String {
    match kind {
        ErrorKind::InvalidSubcommand => match text(error, ContextKind::InvalidSubcommand) {
            Some(word) => format!("There is no command `{name} {word}`."),
            None => first_paragraph(error),
        },
        ErrorKind::UnknownArgument => match text(error, ContextKind::InvalidArg) {
            Some(option) if option.starts_with('-') => format!("{UNKNOWN_OPTION} {option}."),
            Some(word) => format!("`{name}` takes no argument {word:?}."),
            None => first_paragraph(error),
        },
        ErrorKind::ValueValidation => match std::error::Error::source(error).map(ToString::to_string) {
            Some(why) if [UNKNOWN_OPTION, MISSING_UNIT].iter().any(|beginning| why.starts_with(beginning)) => {
                format!("{why}.")
            }
            _ => first_paragraph(error),
        },
        ErrorKind::MissingRequiredArgument => match error.get(ContextKind::InvalidArg) {
            Some(ContextValue::Strings(missing)) => {
                let bare = |name: &String| name.trim_end_matches('.').replace(['<', '>'], "");
                let names: Vec<String> = missing.iter().map(bare).collect();
                format!("`{name}` needs {}.", names.join(" and "))
            }
            _ => first_paragraph(error),
        },
        _ => first_paragraph(error),
    }
}

/// Suggests a similar command, option or value. The parser's own bound lets `signout` pass for `info`.
fn suggestion(error: &clap::Error) -> Option<String> {
    let kinds = [
        (ContextKind::InvalidSubcommand, ContextKind::SuggestedSubcommand),
        (ContextKind::InvalidArg, ContextKind::SuggestedArg),
        (ContextKind::InvalidValue, ContextKind::SuggestedValue),
    ];
    let (typed, found) =
        kinds.into_iter().find_map(|(typed, found)| Some((text(error, typed)?, text(error, found)?)))?;
    let bare = |word: &str| word.trim_start_matches('-').to_lowercase();
    let (typed, meant) = (bare(&typed), bare(&found));
    let longer = typed.chars().count().max(meant.chars().count());
    (2 * strsim::levenshtein(&typed, &meant) <= longer).then(|| format!("`{found}` is similar."))
}

fn help_hint(command: &Command, name: &str, error: &clap::Error, sentence: &str) -> String {
    if command.has_subcommands() {
        return format!("`{name} --help` lists the commands.");
    }
    if let (Some("--wait"), Some(time)) = (option_of(error).as_deref(), text(error, ContextKind::InvalidValue)) {
        let rest = if command.get_positionals().any(|word| word.is_required_set()) { " -- COMMAND…" } else { "" };
        if sentence.starts_with(MISSING_UNIT) {
            return format!("`{name} --wait {time}s{rest}` waits for {time} seconds.");
        }
        if command.get_positionals().next().is_some() {
            return format!("`{name} --wait 90s{rest}` waits for 90 seconds; a command named {time} comes after `--`.");
        }
    }
    let takes_text = command.get_arguments().any(|argument| argument.get_id() == "literal");
    let option = text(error, ContextKind::InvalidValue).filter(|_| sentence.starts_with(UNKNOWN_OPTION));
    match option {
        Some(option) if takes_text => {
            format!("`{name} --help` lists the options; `{name} -- {option}` takes it as a text.")
        }
        _ => format!("`{name} --help` shows how to use it."),
    }
}

/// Returns the option that an error is about, without its value.
fn option_of(error: &clap::Error) -> Option<String> {
    text(error, ContextKind::InvalidArg)?.split(['[', '=', ' ']).next().map(str::to_owned)
}

fn text(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        // The most similar one is the last.
        ContextValue::Strings(texts) => texts.last().cloned(),
        _ => None,
    }
}

/// Returns the parser's message without its own hints.
fn first_paragraph(error: &clap::Error) -> String {
    let text = error.render().to_string();
    let text = text.trim().trim_start_matches("error: ");
    let lines: Vec<&str> = text.split("\n\n").next().unwrap_or_default().lines().map(str::trim).collect();
    let mut letters = lines.join(" ").chars().collect::<Vec<_>>();
    if let Some(first) = letters.first_mut() {
        *first = first.to_ascii_uppercase();
    }
    let sentence: String = letters.into_iter().collect();
    format!("{}.", sentence.trim_end_matches('.'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(line: &str) -> UsageMessage {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        let error = Arguments::program().try_get_matches_from(&arguments).unwrap_err();
        match UsageError::new(&error, &arguments) {
            UsageError::Invalid(message) | UsageError::MissingSubcommand { message, .. } => message,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn one_hint_leads_to_the_command_that_was_typed() {
        for (line, sentence, hint) in [
            ("coditect vaildate", "There is no command `coditect vaildate`.", "`validate` is similar."),
            (
                "coditect frobnicate",
                "There is no command `coditect frobnicate`.",
                "`coditect --help` lists the commands.",
            ),
            ("coditect task lsit", "There is no command `coditect task lsit`.", "`list` is similar."),
            (
                "coditect task quux",
                "There is no command `coditect task quux`.",
                "`coditect task --help` lists the commands.",
            ),
            ("coditect", "`coditect` needs a command.", "`coditect --help` lists the commands."),
            (
                "coditect --home validate task",
                "`coditect task` needs a command.",
                "`coditect task --help` lists the commands.",
            ),
            (
                "coditect validate --loud",
                "There is no option --loud.",
                "`coditect validate --help` shows how to use it.",
            ),
            ("coditect run", "`coditect run` needs COMMAND.", "`coditect run --help` shows how to use it."),
            (
                "coditect task add --staus pending",
                "There is no option --staus.",
                "`coditect task add --help` lists the options; `coditect task add -- --staus` takes it as a text.",
            ),
            (
                "coditect whoami me",
                "`coditect whoami` takes no argument \"me\".",
                "`coditect whoami --help` shows how to use it.",
            ),
            ("coditect run --waitt 5 -- true", "There is no option --waitt.", "`--wait` is similar."),
            ("coditect info", "There is no command `coditect info`.", "`coditect --help` lists the commands."),
            ("coditect man", "`coditect man` needs --output DIR.", "`coditect man --help` shows how to use it."),
            (
                "coditect run --wait=10 true",
                "How long is 10? A time to wait has a unit.",
                "`coditect run --wait 10s -- COMMAND…` waits for 10 seconds.",
            ),
            (
                "coditect seat acquire --wait 10",
                "How long is 10? A time to wait has a unit.",
                "`coditect seat acquire --wait 10s` waits for 10 seconds.",
            ),
            (
                "coditect run --wait=soon true",
                "Invalid value 'soon' for '--wait[=<DURATION>]': it is a time such as 90s, 10m or 2h.",
                "`coditect run --wait 90s -- COMMAND…` waits for 90 seconds; a command named soon comes after `--`.",
            ),
        ] {
            let expected = UsageMessage { sentence: sentence.to_owned(), hint: hint.to_owned() };
            assert_eq!(message(line), expected, "{line}");
        }
    }
}
