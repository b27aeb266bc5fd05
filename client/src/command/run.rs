//! `coditect run -- COMMAND…`: a seat for as long as a command runs.

mod child;
mod signals;

use std::ffi::OsString;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use coditect::{Ending, Error, LicenseClient, Notice, Seat};

use super::builder;
use crate::arguments::Common;
use crate::exit_status::ExitStatus;
use crate::printer::Printer;
use crate::progress;
use child::Child;
use signals::{Caught, Signals};

/// How long a command may take to end by itself after it was asked to.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long somebody who has pressed Ctrl-C waits for a seat that is just being taken, so that it can be given back.
const LAST_CHANCE: Duration = Duration::from_secs(1);

/// What wakes the loop.
enum Event {
    /// A signal arrived.
    Signal(Caught),
    /// A seat was taken, or not.
    Acquired(Result<Seat, Error>),
    /// There is no seat any more.
    SeatEnded(Ending),
}

pub(super) fn run(printer: Printer, common: &Common, command: &[OsString]) -> Result<ExitStatus, Error> {
    let (events, inbox) = mpsc::channel();
    let listener = events.clone();
    let client = builder(printer, common).on_notice(move |notice| {
        printer.notice(&notice.to_string());
        if let Notice::SeatEnded(ending) = notice {
            // The receiver goes when the command has ended, and then the seat's end is of no interest.
            let _ = listener.send(Event::SeatEnded(ending.clone()));
        }
    });
    let client = client.build()?;
    // Before the seat, so that from its first moment on no signal ends us without giving it back.
    let tell = events.clone();
    let signals = Signals::listen(move |caught| tell.send(Event::Signal(caught)).is_ok())
        .map_err(|cause| Error::File { path: "the signal handlers".into(), cause })?;
    let (seat, status) = match acquire(client, events, &inbox)? {
        Outcome::Interrupted(caught, seat) => (seat, ExitStatus::Passed(caught.exit_code())),
        Outcome::Taken(seat) => {
            let status = hold(printer, &seat, &inbox, command);
            (Some(seat), status)
        }
    };
    drop(signals);
    if let Some(Err(error)) = seat.map(Seat::release) {
        printer.notice(&format!("The seat could not be given back, and comes free by itself within minutes. {error}"));
    }
    Ok(status)
}

enum Outcome {
    /// There is a seat.
    Taken(Seat),
    /// A signal came first. There may be a seat all the same.
    Interrupted(Caught, Option<Seat>),
}

/// Takes a seat in a thread of its own, so that Ctrl-C need not wait until a cloud that is away has been given up.
fn acquire(client: LicenseClient, events: Sender<Event>, inbox: &Receiver<Event>) -> Result<Outcome, Error> {
    thread::spawn(move || {
        // Nobody listens any more when a signal came first; then the seat is dropped here, and so given back.
        let _ = events.send(Event::Acquired(client.acquire()));
    });
    let mut interrupted = None;
    loop {
        let event = match interrupted {
            None => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(_) => inbox.recv_timeout(LAST_CHANCE),
        };
        match (event, interrupted) {
            (Ok(Event::Acquired(taken)), None) => return taken.map(Outcome::Taken),
            (Ok(Event::Acquired(taken)), Some(caught)) => return Ok(Outcome::Interrupted(caught, taken.ok())),
            (Ok(Event::Signal(caught)), None) if !caught.is_child() => interrupted = Some(caught),
            (Err(_), Some(caught)) => return Ok(Outcome::Interrupted(caught, None)),
            _ => {}
        }
    }
}

/// Runs the command while the seat is held.
fn hold(printer: Printer, seat: &Seat, inbox: &Receiver<Event>, command: &[OsString]) -> ExitStatus {
    progress::hush();
    let child = match Child::start(command, seat) {
        Ok(child) => child,
        Err(error) => {
            let name = command.first().map(|name| name.to_string_lossy()).unwrap_or_default();
            // As shells do.
            let status = ExitStatus::Passed(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 });
            let sentence = format!("{name:?} cannot be started: {error}.");
            return printer.failure(
                &sentence,
                &format!("`command -v {name}` shows whether it is installed."),
                "not_started",
                status,
            );
        }
    };
    watch(printer, child, inbox)
}

fn watch(printer: Printer, mut child: Child, inbox: &Receiver<Event>) -> ExitStatus {
    let mut stopped: Option<(ExitStatus, Instant)> = None;
    loop {
        match child.ended() {
            Ok(Some(code)) => return stopped.map_or(ExitStatus::Passed(code), |(status, _)| status),
            Ok(None) => {}
            Err(error) => {
                child.kill();
                let hint = "`coditect run -- COMMAND…` again.";
                return printer.failure(
                    &format!("The command was lost sight of: {error}."),
                    hint,
                    "lost",
                    ExitStatus::Broken,
                );
            }
        }
        let event = match &stopped {
            None => inbox.recv().ok(),
            Some((_, deadline)) => match inbox.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(event) => Some(event),
                Err(_) => {
                    child.kill();
                    stopped = stopped.map(|(status, _)| (status, Instant::now() + PATIENCE));
                    None
                }
            },
        };
        match event {
            Some(Event::Signal(caught)) if caught.is_to_be_forwarded() => child.signal(caught.number()),
            Some(Event::SeatEnded(ending)) => {
                printer.notice("The command is asked to stop, and stopped after 10 seconds.");
                child.signal(signals::TERMINATE);
                let status = match ending {
                    Ending::Refused(_) => ExitStatus::No,
                    Ending::Unreachable => ExitStatus::Broken,
                };
                stopped = Some((status, Instant::now() + PATIENCE));
            }
            _ => {}
        }
    }
}
