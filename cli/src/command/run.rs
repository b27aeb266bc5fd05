//! `coditect run -- COMMAND…`: a seat for as long as a command runs; or, in the free tier, one of the day's commands.

mod child;
mod process_tree;

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::Path;
use std::time::{Duration, Instant};

use coditect::{Allowance, Ending, Error, LicenseClient, Seat};

use super::events::{AcquireOutcome, Event, EventListener};
use super::signals;
use crate::arguments::{Common, WaitLimit};
use crate::exit_status::ExitStatus;
use crate::printer::Printer;
use crate::progress;
use child::Child;
pub(super) use child::variables;

/// Time that a command may take to end by itself after it was asked to.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// Number of remaining commands at and below which a notice tells how many are left.
const LOW_ALLOWANCE: i64 = 3;

pub(super) fn run(
    printer: Printer,
    common: &Common,
    wait: Option<WaitLimit>,
    command: &[OsString],
) -> Result<ExitStatus, Error> {
    let events = EventListener::start(printer, common)?;
    let seat = match events.acquire(wait) {
        Ok(AcquireOutcome::Taken(seat)) => Some(seat),
        Ok(AcquireOutcome::Exit(status)) => return Ok(status),
        Err(error) => match free_tier(&events.client, error)? {
            None => None,
            Some(why) => {
                printer.notice(&why);
                None
            }
        },
    };
    let status = match count_command(&events, seat.as_ref()) {
        Ok(counted) => run_command(&events, seat.as_ref(), counted, command),
        Err(error) => printer.error(&error),
    };
    events.finish(seat);
    Ok(status)
}

/// Falls back to the free tier without a license key, and in an outage when no earlier answer is valid any more. With
/// a key in the environment it returns the error: a seat is expected then.
fn free_tier(client: &LicenseClient, error: Error) -> Result<Option<String>, Error> {
    if client.given_key()?.is_some() {
        return Err(error);
    }
    match error {
        Error::NoKey => Ok(None),
        outage if outage.is_unavailable() && client.status()?.license.is_none() => {
            Ok(Some(format!("{outage} No earlier answer serves any more, so the free tier applies.")))
        }
        error => Err(error),
    }
}

/// Counts the command as one of the day's, where commands are limited.
fn count_command(events: &EventListener, seat: Option<&Seat>) -> Result<Option<Allowance>, Error> {
    seat.map_or_else(|| events.client.count_command(), Seat::count_command)
}

/// Runs the command while the seat is held. One that cannot be started is not one of the day's commands.
fn run_command(
    events: &EventListener,
    seat: Option<&Seat>,
    counted: Option<Allowance>,
    command: &[OsString],
) -> ExitStatus {
    progress::disable();
    match Child::start(command, seat) {
        Ok(child) => {
            if let Some(today) = counted.filter(|today| today.left() <= LOW_ALLOWANCE) {
                events.printer.notice(&format!("{} of today's {} commands are left.", today.left(), today.limit));
            }
            supervise(events, child)
        }
        Err(error) => {
            if let Some(counted) = counted {
                // Where this fails, one command too many is counted; why this one did not start matters more.
                let _ = events.client.return_command(counted);
            }
            let name = command.first().map(|name| name.to_string_lossy()).unwrap_or_default();
            // As shells do.
            let status = ExitStatus::Passed(if error.kind() == ErrorKind::NotFound { 127 } else { 126 });
            let sentence = format!("{name:?} cannot be started: {error}.");
            let hint = if error.kind() == ErrorKind::PermissionDenied && Path::new(&*name).is_file() {
                format!("`chmod +x {name}` makes a program of it, if it is one.")
            } else {
                format!("`command -v {name}` shows whether it is installed.")
            };
            events.printer.failure(&sentence, &hint, "not_started", status)
        }
    }
}

/// A command that is being stopped.
struct Stop {
    /// Our exit status; none if it is the command's.
    status: Option<ExitStatus>,
    /// Time at which it is killed; once it was, time at which it is given up.
    deadline: Instant,
    /// True if it was killed.
    killed: bool,
}

impl Stop {
    fn new(status: Option<ExitStatus>) -> Self {
        Self { status, deadline: Instant::now() + STOP_TIMEOUT, killed: false }
    }
}

/// Waits until the command has ended. A command that ends by itself leaves what it has started in the background, which then has
/// no seat; one that is stopped leaves nothing.
fn supervise(events: &EventListener, mut child: Child) -> ExitStatus {
    let mut stop: Option<Stop> = None;
    loop {
        match (child.try_wait(), &stop) {
            (Ok(Some(code)), None) => return ExitStatus::Passed(code),
            (Ok(Some(code)), Some(stop)) if !child.has_descendants() => {
                return stop.status.unwrap_or(ExitStatus::Passed(code));
            }
            (Ok(_), _) => {}
            (Err(error), _) => {
                child.kill();
                let sentence = format!("The command was lost sight of: {error}.");
                let hint = "`coditect run -- COMMAND…` again.";
                return events.printer.failure(&sentence, hint, "lost", ExitStatus::Broken);
            }
        }
        match events.next(stop.as_ref().map(|stop| stop.deadline)) {
            Some(Event::Signal(caught)) => {
                if caught.is_to_be_forwarded() {
                    child.signal(caught.number());
                }
                if caught.is_termination() && stop.is_none() {
                    stop = Some(Stop::new(None));
                }
            }
            Some(Event::SeatEnded(ending)) => {
                events.printer.notice("The command is asked to stop, and stopped after 10 seconds.");
                child.signal(signals::TERMINATE);
                let status = match ending {
                    Ending::Refused(_) => ExitStatus::No,
                    Ending::Unreachable => ExitStatus::Broken,
                };
                stop = Some(Stop::new(Some(status)));
            }
            Some(Event::Acquired(_)) => {}
            None => match &mut stop {
                Some(Stop { killed: true, status, .. }) => {
                    // SIGKILL has not ended it yet: it waits for a disk, say, and ends when it no longer does.
                    return status.unwrap_or(ExitStatus::Passed(137));
                }
                Some(stop) => {
                    child.kill();
                    *stop = Stop { killed: true, ..Stop::new(stop.status) };
                }
                None => {}
            },
        }
    }
}
