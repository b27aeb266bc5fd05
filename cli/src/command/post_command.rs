//! Hook that runs after each command without delaying it: prints a notice of a new version, and starts a detached process
//! (`coditect upkeep`) that checks for a new version, sends telemetry and syncs the context, as far as these are on and due.

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

/// Work after a command: its telemetry, the notice of a new version, and the detached process.
pub(super) struct PostCommand {
    command: String,
    started_at: Instant,
    /// False for commands that agents and shells run, and for those that manage this program itself.
    is_enabled: bool,
    /// False for commands that sync themselves, end the sync or check it.
    may_sync: bool,
}

impl PostCommand {
    /// Prepares the hook before the command begins.
    pub(super) fn new(command: &Command, name: String) -> Self {
        let is_management = matches!(
            command,
            Command::Self_(_)
                | Command::Update { .. }
                | Command::Version
                | Command::Telemetry(_)
                | Command::Upkeep { .. }
                | Command::Completions { .. }
                | Command::Man { .. }
        );
        Self {
            command: name,
            started_at: Instant::now(),
            is_enabled: !is_management && !matches!(command, Command::Hook(_)),
            may_sync: !matches!(command, Command::Sync(_) | Command::Logout | Command::Doctor { .. }),
        }
    }

    /// Counts the command, prints the notice of a new version, and starts the process for what is due. Where telemetry is off and
    /// output goes to no terminal, nothing is due.
    pub(super) fn run(self, printer: Printer, common: &Common, status: ExitStatus) {
        if !self.is_enabled {
            return;
        }
        let mut due = Vec::new();
        if let Ok(telemetry) = Telemetry::open(common.home.clone())
            && telemetry.count(&self.command, status.into(), self.started_at.elapsed())
        {
            due.push("--telemetry");
        }
        if printer.is_interactive() && update::is_possible() {
            notify_of_new_version(printer, common);
            if printer::has_server_answered() && Memory::take_turn(common.home.clone()) {
                due.push("--updates");
            }
        }
        if !printer::has_server_answered() {
            due.clear();
        }
        // Only at a terminal: scripts and CI run `coditect sync` themselves.
        if self.may_sync
            && printer.is_interactive()
            && Config::open(common.home.clone()).is_ok_and(|it| it.sync_is_due())
        {
            due.push("--sync");
        }
        if !due.is_empty() {
            due.insert(0, "upkeep");
            spawn_detached(common, &due);
        }
    }
}

fn notify_of_new_version(printer: Printer, common: &Common) {
    if let Some(version) = Memory::news(common.home.clone()) {
        let here = env!("CARGO_PKG_VERSION");
        printer
            .notice(&format!("coditect {version} was released; this is {here}. `coditect self update` installs it."));
    }
}

/// `coditect upkeep`, the detached process. Each of the three parts may fail without the others.
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

/// Starts this program with the same home, in a process that is not waited for. If it can't be started, its work is done
/// another time.
pub(super) fn spawn_detached(common: &Common, arguments: &[&str]) {
    let Ok(program) = std::env::current_exe() else { return };
    let mut process = Process::new(program);
    if let Some(home) = &common.home {
        // The home is a profile's already.
        process.arg("--home").arg(home).env_remove(environment::PROFILE);
    }
    process.args(arguments).process_group(0);
    let _ = process.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}
