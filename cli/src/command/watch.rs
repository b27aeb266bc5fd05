//! Events for commands that hold a seat: the seat was taken, a signal arrived, the seat has ended.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use coditect::{Ending, Error, LicenseClient, Notice, Seat};

use super::builder;
use super::signals::{Caught, Signals};
use super::waiting::Waiting;
use crate::arguments::{Common, Patience};
use crate::exit_status::ExitStatus;
use crate::printer::Printer;

/// Time that is waited after Ctrl-C for a seat that is just being taken, so that it can be given back.
const LAST_CHANCE: Duration = Duration::from_secs(1);

/// Event that is waited for.
pub(super) enum Event {
    /// A signal arrived.
    Signal(Caught),
    /// A seat was taken, or not.
    Acquired(Result<Seat, Error>),
    /// There is no seat any more.
    SeatEnded(Ending),
}

/// Listener for events. It catches signals from its start on, so that none ends us without the seat being given back.
pub(super) struct Watch {
    pub(super) client: LicenseClient,
    pub(super) printer: Printer,
    events: Sender<Event>,
    inbox: Receiver<Event>,
    signals: Signals,
}

/// Result of taking a seat.
pub(super) enum Outcome {
    /// A seat was taken.
    Taken(Seat),
    /// No seat was taken, and nothing is left to report.
    Over(ExitStatus),
}

impl Watch {
    pub(super) fn start(printer: Printer, common: &Common) -> Result<Self, Error> {
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
        let tell = events.clone();
        let signals = Signals::listen(move |caught| tell.send(Event::Signal(caught)).is_ok())
            .map_err(|cause| Error::File { path: "the signal handlers".into(), cause })?;
        Ok(Self { client, printer, events, inbox, signals })
    }

    /// Returns the next event; none if there is none until then.
    pub(super) fn next(&self, until: Option<Instant>) -> Option<Event> {
        match until {
            None => self.inbox.recv().ok(),
            Some(until) => self.inbox.recv_timeout(until.saturating_duration_since(Instant::now())).ok(),
        }
    }

    /// Takes a seat; with `patience`, waits for one that is free.
    pub(super) fn acquire(&self, patience: Option<Patience>) -> Result<Outcome, Error> {
        let Some(patience) = patience else { return self.attempt(None) };
        let mut waiting = Waiting::new(self.printer, patience);
        loop {
            let error = match self.attempt(Some(&waiting)) {
                Err(error) => error,
                outcome => return outcome,
            };
            let again = match waiting.next(error) {
                Ok(again) => again,
                Err(Some(error)) => return Err(error),
                Err(None) => return Ok(Outcome::Over(waiting.give_up())),
            };
            while Instant::now() < again {
                match self.next(Some(waiting.show().min(again))) {
                    Some(Event::Signal(caught)) if caught.is_request_to_end() => {
                        return Ok(self.interrupted(caught, None));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Asks in a thread of its own, so that Ctrl-C need not wait until an unavailable cloud has been given up.
    fn attempt(&self, waiting: Option<&Waiting>) -> Result<Outcome, Error> {
        let (client, events) = (self.client.clone(), self.events.clone());
        thread::spawn(move || {
            // There is no receiver any more if a signal came first; then the seat is dropped here, and so given back.
            let _ = events.send(Event::Acquired(client.acquire()));
        });
        let mut interrupted: Option<(Caught, Instant)> = None;
        loop {
            let shown = waiting.filter(|waiting| waiting.has_begun()).map(Waiting::show);
            match (self.next(interrupted.map_or(shown, |(_, until)| Some(until))), interrupted) {
                (Some(Event::Acquired(taken)), None) => return taken.map(Outcome::Taken),
                (Some(Event::Acquired(taken)), Some((caught, _))) => return Ok(self.interrupted(caught, taken.ok())),
                (Some(Event::Signal(caught)), None) if caught.is_request_to_end() => {
                    interrupted = Some((caught, Instant::now() + LAST_CHANCE));
                }
                (None, Some((caught, _))) => return Ok(self.interrupted(caught, None)),
                _ => {}
            }
        }
    }

    fn interrupted(&self, caught: Caught, seat: Option<Seat>) -> Outcome {
        give_back(self.printer, seat);
        Outcome::Over(ExitStatus::Passed(caught.exit_code()))
    }

    /// Ends the listening, and gives the seat back.
    pub(super) fn finish(self, seat: Option<Seat>) {
        drop(self.signals);
        give_back(self.printer, seat);
    }
}

fn give_back(printer: Printer, seat: Option<Seat>) {
    if let Some(Err(error)) = seat.map(Seat::release) {
        printer.notice(&format!("The seat could not be given back, and comes free by itself within minutes. {error}"));
    }
}
