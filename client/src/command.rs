//! The commands.

mod activate;
mod browser;
mod completions;
mod config;
mod doctor;
mod hook;
mod init;
mod login;
mod logout;
mod record;
mod register;
mod run;
mod seat;
mod signals;
mod status;
mod sync;
mod sync_keys;
mod validate;
mod waiting;
mod watch;
mod whoami;

use std::ffi::OsString;

use clap::Parser;
use clap::error::ErrorKind;
use coditect::{Error, Kind, LastError, LicenseClient, LicenseClientBuilder, Profile};

use crate::arguments::{Arguments, Command, Common};
use crate::exit_status::ExitStatus;
use crate::printer::Printer;

/// Does what the arguments say.
pub(crate) fn execute(arguments: impl Iterator<Item = OsString>) -> ExitStatus {
    let arguments: Vec<OsString> = arguments.collect();
    let Arguments { mut common, command } = match Arguments::try_parse_from(&arguments) {
        Ok(parsed) => parsed,
        Err(error) => return misunderstood(&arguments, &error),
    };
    let printer = Printer { json: common.json, quiet: common.quiet, verbose: common.verbose };
    if common.home.is_some() || common.profile.is_some() {
        match Profile::locate(common.home.take(), common.profile.as_ref()) {
            Ok(home) => common.home = Some(home),
            Err(error) => return printer.error(&error),
        }
    }
    // The hook has a log of its own, and no time.
    let hooked = matches!(command, Command::Hook(_));
    let done = match command {
        Command::Init => init::init(printer, &common),
        Command::Register { no_browser } => register::register(printer, &common, no_browser),
        Command::Activate { key } => activate::activate(printer, &common, key.as_deref()),
        Command::Login(arguments) => login::login(printer, &common, &arguments),
        Command::Logout => logout::logout(printer, &common),
        Command::Whoami => whoami::whoami(printer, &common),
        Command::Validate => validate::validate(printer, &common),
        Command::Status => status::status(printer, &common),
        Command::Run { wait, command } => run::run(printer, &common, wait.wait, &command),
        Command::Seat(command) => seat::seat(printer, &common, command),
        Command::Task(command) => record::task(printer, &common, command),
        Command::Decision(command) => record::note(printer, &common, Kind::Decision, command),
        Command::Learning(command) => record::note(printer, &common, Kind::SkillLearning, command),
        Command::Sync(arguments) => sync::sync(printer, &common, arguments),
        Command::Hook(command) => hook::hook(printer, &common, &command),
        Command::Doctor => doctor::doctor(printer, &common),
        Command::Config(command) => config::config(printer, &common, command),
        Command::Completions { shell } => Ok(completions::completions(printer, shell)),
        Command::Man { output } => completions::man(printer, &output),
    };
    done.unwrap_or_else(|error| {
        if !hooked && ExitStatus::of(&error) != ExitStatus::Usage {
            LastError::keep(common.home, &error);
        }
        printer.error(&error)
    })
}

/// The client that tells its notices to standard error.
fn client(printer: Printer, common: &Common) -> Result<LicenseClient, Error> {
    builder(printer, common).build()
}

/// The same, for those who have something to add.
fn builder(printer: Printer, common: &Common) -> LicenseClientBuilder {
    let builder = LicenseClient::builder().on_notice(move |notice| printer.notice(&notice.to_string()));
    let builder = builder.on_trace(move |trace| printer.trace(trace));
    match &common.home {
        Some(home) => builder.home(home),
        None => builder,
    }
}

fn misunderstood(arguments: &[OsString], error: &clap::Error) -> ExitStatus {
    // What follows is not ours, and may be another program's --json.
    let ours = arguments.iter().take_while(|argument| *argument != "--");
    let printer = Printer { json: ours.into_iter().any(|argument| argument == "--json"), quiet: false, verbose: false };
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => printer.help(error),
        _ => printer.usage(error),
    }
}
