//! Runs after a command without delaying it: prints a notice of a new version; and starts a detached process that
//! checks for a new version, sends what was counted and syncs the context, if these were turned on.

use std::os::unix::process::CommandExt;
use std::process::{Command as Process, Stdio};
use std::time::Instant;

use coditect::telemetry::Telemetry;
use coditect::update::{self, Memory};
use coditect::{Config, Error, environment};

use super::client;
use crate::arguments::{Command, Common};
use crate::exit_status::ExitStatus;
use crate::printer::{self, Printer};

/// Work that may be due after a command.
pub(super) struct Afterwards {
    command: String,
    begin: Instant,
    /// False for commands that agents and shells run, and for those that are about this program itself.
    is_for_people: bool,
    /// False for commands that sync themselves, end the sync or check it.
    may_sync: bool,
}

impl Afterwards {
    /// Notes the command and the time, before it begins.
    pub(super) fn of(command: &Command, name: String) -> Self {
        let is_own = matches!(
            command,
            Command::Own(_)
                | Command::Update { .. }
                | Command::Version
                | Command::Telemetry(_)
                | Command::Upkeep { .. }
                | Command::Completions { .. }
                | Command::Man { .. }
        );
        Self {
            command: name,
            begin: Instant::now(),
            is_for_people: !is_own && !matches!(command, Command::Hook(_)),
            may_sync: !matches!(command, Command::Sync(_) | Command::Logout | Command::Doctor { .. }),
        }
    }

    /// Counts the command, prints the notice of a new version, and starts the process for what is due. Where telemetry is off and
    /// no person reads along, only that is looked up.
    pub(super) fn see_to(self, printer: Printer, common: &Common, status: ExitStatus) {
        if !self.is_for_people {
            return;
        }
        let mut due = Vec::new();
        if let Ok(telemetry) = Telemetry::open(common.home.clone())
            && telemetry.count(&self.command, status.into(), self.begin.elapsed())
        {
            due.push("--telemetry");
        }
        if printer.has_reader() && update::is_possible() {
            tell(printer, common);
            if printer::was_answered() && Memory::take_turn(common.home.clone()) {
                due.push("--updates");
            }
        }
        if !printer::was_answered() {
            due.clear();
        }
        // Only where a person reads along: scripts and CI sync when they say so.
        if self.may_sync && printer.has_reader() && Config::open(common.home.clone()).is_ok_and(|it| it.sync_is_due()) {
            due.push("--sync");
        }
        if !due.is_empty() {
            due.insert(0, "upkeep");
            later(common, &due);
        }
    }
}

fn tell(printer: Printer, common: &Common) {
    if let Some(version) = Memory::news(common.home.clone()) {
        let here = env!("CARGO_PKG_VERSION");
        printer
            .notice(&format!("coditect {version} was released; this is {here}. `coditect self update` installs it."));
    }
}

/// Does the work of the detached process. Each of the three parts may fail without the others.
pub(super) fn upkeep(common: &Common, updates: bool, telemetry: bool, sync: bool) -> Result<ExitStatus, Error> {
    let client = client(Printer { json: false, quiet: true, verbose: false }, common)?;
    let sent = if telemetry { client.send_telemetry() } else { Ok(()) };
    // The status lists the changes that could not be sent.
    let synced = if sync { client.context().sync(|_| ()).map(drop) } else { Ok(()) };
    if updates {
        client.updater()?.check()?;
    }
    sent.and(synced).map(|()| ExitStatus::Yes)
}

/// Runs this program again, with the same home, in a process that is not waited for. If it can't be started, its work is done
/// another time.
pub(super) fn later(common: &Common, arguments: &[&str]) {
    let Ok(program) = std::env::current_exe() else { return };
    let mut process = Process::new(program);
    if let Some(home) = &common.home {
        // The home is a profile's already.
        process.arg("--home").arg(home).env_remove(environment::PROFILE);
    }
    process.args(arguments).process_group(0);
    let _ = process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}
