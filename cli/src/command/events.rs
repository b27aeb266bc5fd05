//! Events of commands that hold a seat: the seat was taken, a signal arrived, the seat has ended.

use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::{Duration, Instant};

use coditect::{Ending, Error, LicenseClient, Notice, Seat};

use super::builder;
use super::signals::{CaughtSignal, Signals};
use super::waiting::{WaitStep, Waiting};
use crate::arguments::{Common, WaitLimit};
use crate::exit_status::ExitStatus;
use crate::printer::Printer;

/// Time that is waited after Ctrl-C for a seat that is just being taken, so that it can be given back.
const INTERRUPT_GRACE: Duration = Duration::from_secs(1);

/// Event that is waited for.
pub(super) enum Event {
    /// A signal arrived.
    Signal(CaughtSignal),
    /// A seat was taken, or not.
    Acquired(Result<Seat, Error>),
    /// There is no seat any more.
    SeatEnded(Ending),
}

/// Listener for events. It catches signals from its start on, so that none ends the process before the seat was released.
pub(super) struct EventListener {
    pub(super) client: LicenseClient,
    pub(super) printer: Printer,
    events: Sender<Event>,
    inbox: Receiver<Event>,
    signals: Signals,
}

/// Result of taking a seat.
pub(super) enum AcquireOutcome {
    /// A seat was taken.
    Taken(Seat),
    /// No seat was taken, and nothing is left to report.
    Exit(ExitStatus),
}

impl EventListener {
    pub(super) fn start(printer: Printer, common: &Common) -> Result<Self, Error> {
        let (events, inbox) = mpsc::channel();
        let notice_sender = events.clone();
        let client = builder(printer, common).on_notice(move |notice| {
            printer.notice(&notice.to_string());
            if let Notice::SeatEnded(ending) = notice {
                // The receiver goes when the command has ended, and then the seat's end is of no interest.
                let _ = notice_sender.send(Event::SeatEnded(ending.clone()));
            }
        });
        let client = client.build()?;
        let sender = events.clone();
        let signals = Signals::listen(move |caught| sender.send(Event::Signal(caught)).is_ok())
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

    /// Takes a seat; with `wait`, waits for one that is free.
    pub(super) fn acquire(&self, wait: Option<WaitLimit>) -> Result<AcquireOutcome, Error> {
        let Some(wait) = wait else { return self.attempt(None) };
        let mut waiting = Waiting::new(self.printer, wait);
        loop {
            let error = match self.attempt(Some(&waiting)) {
                Err(error) => error,
                outcome => return outcome,
            };
            let retry_at = match waiting.next_step(error) {
                WaitStep::RetryAt(time) => time,
                WaitStep::Fail(error) => return Err(error),
                WaitStep::TimedOut => return Ok(AcquireOutcome::Exit(waiting.give_up())),
            };
            while Instant::now() < retry_at {
                match self.next(Some(waiting.show().min(retry_at))) {
                    Some(Event::Signal(caught)) if caught.is_request_to_end() => {
                        return Ok(self.interrupted(caught, None));
                    }
                    _ => {}
                }
            }
        }
    }

    /// Asks in a thread of its own, so that Ctrl-C need not wait until an unavailable cloud has been given up.
    fn attempt(&self, waiting: Option<&Waiting>) -> Result<AcquireOutcome, Error> {
        let (client, events) = (self.client.clone(), self.events.clone());
        thread::spawn(move || {
            // There is no receiver any more if a signal came first; then the seat is dropped here, and so given back.
            let _ = events.send(Event::Acquired(client.acquire()));
        });
        let mut interrupted: Option<(CaughtSignal, Instant)> = None;
        loop {
            let shown = waiting.filter(|waiting| waiting.has_begun()).map(Waiting::show);
            match (self.next(interrupted.map_or(shown, |(_, until)| Some(until))), interrupted) {
                (Some(Event::Acquired(taken)), None) => return taken.map(AcquireOutcome::Taken),
                (Some(Event::Acquired(taken)), Some((caught, _))) => return Ok(self.interrupted(caught, taken.ok())),
                (Some(Event::Signal(caught)), None) if caught.is_request_to_end() => {
                    interrupted = Some((caught, Instant::now() + INTERRUPT_GRACE));
                }
                (None, Some((caught, _))) => return Ok(self.interrupted(caught, None)),
                _ => {}
            }
        }
    }

    fn interrupted(&self, caught: CaughtSignal, seat: Option<Seat>) -> AcquireOutcome {
        release(self.printer, seat);
        AcquireOutcome::Exit(ExitStatus::Passed(caught.exit_code()))
    }

    /// Ends the listening, and gives the seat back.
    pub(super) fn finish(self, seat: Option<Seat>) {
        drop(self.signals);
        release(self.printer, seat);
    }
}

fn release(printer: Printer, seat: Option<Seat>) {
    if let Some(Err(error)) = seat.map(Seat::release) {
        printer.notice(&format!("The seat could not be given back, and comes free by itself within minutes. {error}"));
    }
}
