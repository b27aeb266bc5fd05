//! Runs the commands: one file each.

mod activate;
mod browser;
mod completions;
mod config;
mod deactivate;
mod doctor;
mod events;
mod hook;
mod init;
mod login;
mod logout;
mod post_command;
mod record;
mod register;
mod run;
mod search;
mod seat;
mod signals;
mod status;
mod sync;
mod sync_keys;
mod telemetry;
mod update;
mod validate;
mod waiting;
mod whoami;

use std::ffi::OsString;

use clap::FromArgMatches;
use coditect::input::read_whole;
use coditect::{Error, Kind, LastError, LicenseClient, LicenseClientBuilder, Profile};

use crate::arguments::{
    Arguments, Command, Common, NoteCommand, SelfCommand, TaskCommand, UsageError, join_wait_value,
};
use crate::exit_status::ExitStatus;
use crate::printer::Printer;
use post_command::PostCommand;
use serde_json::json;

/// Executes the command that the arguments name.
pub(crate) fn execute(arguments: impl Iterator<Item = OsString>) -> ExitStatus {
    let arguments = join_wait_value(&arguments.collect::<Vec<_>>());
    let (Arguments { mut common, command }, name) = match parse(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => return print_usage_error(&arguments, &error),
    };
    let printer = Printer { json: common.json, quiet: common.quiet, verbose: common.verbose };
    if common.home.is_some() || common.profile.is_some() {
        match Profile::locate(common.home.take(), common.profile.as_ref()) {
            Ok(home) => common.home = Some(home),
            Err(error) => return printer.error(&error),
        }
    }
    // The hook has a log of its own and little time, and no user waits for the upkeep.
    let is_background = matches!(command, Command::Hook(_) | Command::Upkeep { .. });
    let post_command = PostCommand::new(&command, name);
    let status = dispatch(printer, &common, command).unwrap_or_else(|error| {
        if !is_background && ExitStatus::of(&error) != ExitStatus::Usage {
            LastError::keep(common.home.clone(), &error);
        }
        printer.error(&error)
    });
    post_command.run(printer, &common, status);
    status
}

fn dispatch(printer: Printer, common: &Common, command: Command) -> Result<ExitStatus, Error> {
    match command {
        Command::Init => init::init(printer, common),
        Command::Register { no_browser } => register::register(printer, common, no_browser),
        Command::Activate { key } => activate::activate(printer, common, &key),
        Command::Deactivate => deactivate::deactivate(printer, common),
        Command::Login(arguments) => login::login(printer, common, &arguments),
        Command::Logout => logout::logout(printer, common),
        Command::Whoami => whoami::whoami(printer, common),
        Command::Validate => validate::validate(printer, common),
        Command::Status => status::status(printer, common),
        Command::Run { wait, command } => run::run(printer, common, wait.wait, &command),
        Command::Seat(command) => seat::seat(printer, common, command),
        Command::Task(command) => record::task(printer, common, command),
        Command::Decision(command) => record::note(printer, common, Kind::Decision, command),
        Command::Learning(command) => record::note(printer, common, Kind::SkillLearning, command),
        Command::Search(arguments) => search::search(printer, common, arguments),
        Command::Sync(arguments) => sync::sync(printer, common, arguments),
        Command::Hook(command) => hook::hook(printer, common, &command),
        Command::Doctor { fix } => doctor::doctor(printer, common, fix),
        Command::Config(command) => config::config(printer, common, command),
        Command::Completions { shell } => Ok(completions::completions(printer, shell)),
        Command::Self_(SelfCommand::Update { check }) | Command::Update { check } => {
            update::update(printer, common, check)
        }
        Command::Version => Ok(version(printer)),
        // A plural alone lists; with a command it is the singular.
        Command::Tasks(plural) => {
            record::task(printer, common, plural.command.unwrap_or(TaskCommand::List(plural.filter)))
        }
        Command::Decisions(plural) => {
            record::note(printer, common, Kind::Decision, plural.command.unwrap_or(NoteCommand::List(plural.filter)))
        }
        Command::Learnings(plural) => {
            let command = plural.command.unwrap_or(NoteCommand::List(plural.filter));
            record::note(printer, common, Kind::SkillLearning, command)
        }
        Command::Telemetry(command) => telemetry::telemetry(printer, common, command),
        Command::Upkeep { updates, telemetry, sync } => post_command::upkeep(common, updates, telemetry, sync),
        Command::Man { output } => completions::man(printer, &output),
    }
}

/// Parses the arguments. Returns them with the full name of the command: `sync keys init`.
fn parse(arguments: &[OsString]) -> Result<(Arguments, String), clap::Error> {
    let mut program = Arguments::program();
    let matches = program.try_get_matches_from_mut(arguments)?;
    let mut names = Vec::new();
    let mut subcommand = matches.subcommand();
    while let Some((name, matches)) = subcommand {
        names.push(name);
        subcommand = matches.subcommand();
    }
    let name = names.join(" ");
    let parsed = Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut program))?;
    Ok((parsed, name))
}

/// Returns a client that prints its notices to standard error.
fn client(printer: Printer, common: &Common) -> Result<LicenseClient, Error> {
    builder(printer, common).build()
}

/// Warns after a key or sign-in was stored that seats are nevertheless taken with the key of `CODITECT_LICENSE_KEY`.
fn warn_of_environment_key(printer: Printer, client: &LicenseClient) {
    if !matches!(client.given_key(), Ok(None)) {
        printer.notice(
            "CODITECT_LICENSE_KEY is set and comes first: seats are taken with its key, and not with what was just stored.",
        );
    }
}

/// Returns the builder of a client that prints its notices to standard error, for commands that add to it.
fn builder(printer: Printer, common: &Common) -> LicenseClientBuilder {
    let builder = LicenseClient::builder().on_notice(move |notice| printer.notice(&notice.to_string()));
    let builder = builder.on_trace(move |trace| printer.trace(trace));
    match &common.home {
        Some(home) => builder.home(home),
        None => builder,
    }
}

/// Reads standard input; a pipe that stays open is read until it is `whole`.
fn read_stdin(max_len: usize, whole: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, Error> {
    let input = read_whole(std::io::stdin(), max_len, whole);
    input.map_err(|cause| Error::File { path: "standard input".into(), cause })
}

fn version(printer: Printer) -> ExitStatus {
    let version = env!("CARGO_PKG_VERSION");
    printer.answer(&json!({ "version": version }), &format!("coditect {version}"), ExitStatus::Yes)
}

fn print_usage_error(arguments: &[OsString], error: &clap::Error) -> ExitStatus {
    // Arguments after `--` are not ours, and may be another program's --json.
    let ours = arguments.iter().take_while(|argument| *argument != "--");
    let printer = Printer { json: ours.into_iter().any(|argument| argument == "--json"), quiet: false, verbose: false };
    let message = match UsageError::new(error, arguments) {
        UsageError::Help(text) => return printer.help(&text),
        UsageError::Version => return version(printer),
        UsageError::MissingSubcommand { help, .. } if !printer.json => return printer.help(&help),
        UsageError::MissingSubcommand { message, .. } | UsageError::Invalid(message) => message,
    };
    printer.failure(&message.sentence, &message.hint, "usage", ExitStatus::Usage)
}
