//! The commands.

mod activate;
mod browser;
mod completions;
mod config;
mod deactivate;
mod doctor;
mod hook;
mod init;
mod login;
mod logout;
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
mod upkeep;
mod validate;
mod waiting;
mod watch;
mod whoami;

use std::ffi::OsString;

use clap::FromArgMatches;
use coditect::input::read_whole;
use coditect::{Error, Kind, LastError, LicenseClient, LicenseClientBuilder, Profile};

use crate::arguments::{
    Arguments, Command, Common, Misunderstanding, NoteCommand, SelfCommand, TaskCommand, with_joined_wait,
};
use crate::exit_status::ExitStatus;
use crate::printer::Printer;
use serde_json::json;
use upkeep::Afterwards;

/// Executes the command that the arguments name.
pub(crate) fn execute(arguments: impl Iterator<Item = OsString>) -> ExitStatus {
    let arguments = with_joined_wait(&arguments.collect::<Vec<_>>());
    let (Arguments { mut common, command }, name) = match understood(&arguments) {
        Ok(understood) => understood,
        Err(error) => return misunderstood(&arguments, &error),
    };
    let printer = Printer { json: common.json, quiet: common.quiet, verbose: common.verbose };
    if common.home.is_some() || common.profile.is_some() {
        match Profile::locate(common.home.take(), common.profile.as_ref()) {
            Ok(home) => common.home = Some(home),
            Err(error) => return printer.error(&error),
        }
    }
    // The hook has a log of its own, and no time; no user waits for the upkeep.
    let unnoticed = matches!(command, Command::Hook(_) | Command::Upkeep { .. });
    let afterwards = Afterwards::of(&command, name);
    let status = perform(printer, &common, command).unwrap_or_else(|error| {
        if !unnoticed && ExitStatus::of(&error) != ExitStatus::Usage {
            LastError::keep(common.home.clone(), &error);
        }
        printer.error(&error)
    });
    afterwards.see_to(printer, &common, status);
    status
}

fn perform(printer: Printer, common: &Common, command: Command) -> Result<ExitStatus, Error> {
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
        Command::Own(SelfCommand::Update { check }) | Command::Update { check } => {
            update::update(printer, common, check)
        }
        Command::Version => Ok(version(printer)),
        // Plurals are read as the commands that they stand for.
        Command::Tasks(words) => {
            record::task(printer, common, words.command.unwrap_or(TaskCommand::List(words.filter)))
        }
        Command::Decisions(words) => {
            record::note(printer, common, Kind::Decision, words.command.unwrap_or(NoteCommand::List(words.filter)))
        }
        Command::Learnings(words) => {
            record::note(printer, common, Kind::SkillLearning, words.command.unwrap_or(NoteCommand::List(words.filter)))
        }
        Command::Telemetry(command) => telemetry::telemetry(printer, common, command),
        Command::Upkeep { updates, telemetry, sync } => upkeep::upkeep(common, updates, telemetry, sync),
        Command::Man { output } => completions::man(printer, &output),
    }
}

/// Parses the arguments. Returns them with the name of the command, after the names of those above it.
fn understood(arguments: &[OsString]) -> Result<(Arguments, String), clap::Error> {
    let mut program = Arguments::program();
    let matches = program.try_get_matches_from_mut(arguments)?;
    let mut names = Vec::new();
    let mut below = matches.subcommand();
    while let Some((name, matches)) = below {
        names.push(name);
        below = matches.subcommand();
    }
    let name = names.join(" ");
    let parsed = Arguments::from_arg_matches(&matches).map_err(|error| error.format(&mut program))?;
    Ok((parsed, name))
}

/// Returns a client that prints its notices to standard error.
fn client(printer: Printer, common: &Common) -> Result<LicenseClient, Error> {
    builder(printer, common).build()
}

/// Prints a notice if seats are not taken with what was just stored, but with the key of the environment.
fn tell_of_given_key(printer: Printer, client: &LicenseClient) {
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
fn standard_input(max_len: usize, whole: impl Fn(&[u8]) -> bool) -> Result<Vec<u8>, Error> {
    let input = read_whole(std::io::stdin(), max_len, whole);
    input.map_err(|cause| Error::File { path: "standard input".into(), cause })
}

fn version(printer: Printer) -> ExitStatus {
    let version = env!("CARGO_PKG_VERSION");
    printer.answer(&json!({ "version": version }), &format!("coditect {version}"), ExitStatus::Yes)
}

fn misunderstood(arguments: &[OsString], error: &clap::Error) -> ExitStatus {
    // Arguments after `--` are not ours, and may be another program's --json.
    let ours = arguments.iter().take_while(|argument| *argument != "--");
    let printer = Printer { json: ours.into_iter().any(|argument| argument == "--json"), quiet: false, verbose: false };
    let fault = match Misunderstanding::of(error, arguments) {
        Misunderstanding::Help(text) => return printer.help(&text),
        Misunderstanding::Version => return version(printer),
        Misunderstanding::Unfinished { help, .. } if !printer.json => return printer.help(&help),
        Misunderstanding::Unfinished { fault, .. } | Misunderstanding::Wrong(fault) => fault,
    };
    printer.failure(&fault.sentence, &fault.hint, "usage", ExitStatus::Usage)
}
