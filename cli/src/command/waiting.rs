//! Waiting for a free seat, and its progress line.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use coditect::{Again, Error, ProblemDocument, SeatWait};
use protocol::problem::Code;

use crate::arguments::WaitLimit;
use crate::exit_status::ExitStatus;
use crate::printer::Printer;
use crate::progress::{self, FRAME_INTERVAL};
use crate::relative_time::in_words;

/// State of a wait for a seat.
pub(super) struct Waiting {
    printer: Printer,
    limit: Option<Duration>,
    wait: SeatWait,
    begin: Instant,
    /// The cloud's last answer that all seats are in use.
    refusal: Option<ProblemDocument>,
    /// Time at which a seat comes free at the latest, unless its holder keeps it.
    free_at: Option<Instant>,
}

/// Next step of a wait.
pub(super) enum WaitStep {
    /// Another attempt at this time.
    RetryAt(Instant),
    /// The end, since waiting doesn't help against this error.
    Fail(Error),
    /// The end, since the limit is reached.
    TimedOut,
}

impl Waiting {
    pub(super) fn new(printer: Printer, limit: WaitLimit) -> Self {
        let wait = SeatWait::new(limit.0);
        Self { printer, limit: limit.0, wait, begin: Instant::now(), refusal: None, free_at: None }
    }

    /// Returns the next step after an attempt that failed.
    pub(super) fn next_step(&mut self, error: Error) -> WaitStep {
        if let Error::Refused(refusal) = &error
            && refusal.problem.known_code() == Some(Code::NoSeatsAvailable)
        {
            let first = self.refusal.is_none();
            self.refusal = Some(refusal.problem.clone());
            let free = refusal.problem.retry_after_seconds.map(Duration::from_secs);
            self.free_at = free.map(|free| Instant::now() + free);
            if first {
                self.print_notice();
            }
        }
        match self.wait.after(&error) {
            Again::In(pause) => WaitStep::RetryAt(Instant::now() + pause),
            Again::NoUse => WaitStep::Fail(error),
            Again::LongEnough => WaitStep::TimedOut,
        }
    }

    /// Returns true if the cloud has answered that all seats are in use.
    pub(super) fn has_begun(&self) -> bool {
        self.refusal.is_some()
    }

    /// Shows the wait's progress. Returns the time at which to do so again.
    pub(super) fn show(&self) -> Instant {
        let waited = self.begin.elapsed();
        let spinner = progress::spinner(usize::try_from(waited.as_millis() / FRAME_INTERVAL.as_millis()).unwrap_or(0));
        let mut line = format!("{spinner} Waiting for a seat {}", clock(waited));
        if let Some(seats) = self.refusal.as_ref().and_then(|refusal| refusal.seats) {
            line += &format!(", all {} are in use", seats.limit);
        }
        let free = self.free_at.map(|free| free.saturating_duration_since(Instant::now()));
        if let Some(free) = free.filter(|free| !free.is_zero()) {
            line += &format!(", one may be free in {}", clock(free));
        }
        self.printer.progress(&line);
        Instant::now() + FRAME_INTERVAL
    }

    /// Prints a notice of the wait, where standard error is no terminal that could show its progress.
    fn print_notice(&self) {
        if io::stderr().is_terminal() {
            return;
        }
        let seats = self.refusal.as_ref().and_then(|refusal| refusal.seats);
        let mut line = seats.map_or_else(
            || "All seats are in use.".to_owned(),
            |seats| format!("All {} seats are in use.", seats.limit),
        );
        line += &match self.limit {
            Some(limit) => format!(" Waiting for one, for at most {}", in_words(limit)),
            None => " Waiting for one".to_owned(),
        };
        let free = self.free_at.map(|free| free.saturating_duration_since(Instant::now()));
        line += &free.map_or_else(String::new, |free| format!("; one may be free in {}", in_words(free)));
        self.printer.notice(&format!("{line}."));
    }

    /// Reports that no seat came free in time.
    pub(super) fn give_up(&self) -> ExitStatus {
        let detail = self.refusal.as_ref().map(|refusal| refusal.detail.as_str()).unwrap_or_default();
        let limit = in_words(self.limit.unwrap_or_default());
        let sentence = format!("No seat came free within {limit}. {detail}");
        let hint = "`--wait=DURATION` waits longer; `coditect status` shows the license.";
        self.printer.failure(&sentence, hint, Code::NoSeatsAvailable.as_str(), ExitStatus::No)
    }
}

/// Formats a duration as a clock does: `1:05`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_do() {
        let expected = [
            (0, "0 seconds", "0:00"),
            (1, "1 second", "0:01"),
            (90, "1 minute 30 seconds", "1:30"),
            (600, "10 minutes", "10:00"),
            (7265, "2 hours 1 minute 5 seconds", "2:01:05"),
        ];
        for (seconds, words, digits) in expected {
            let time = Duration::from_secs(seconds);
            assert_eq!((in_words(time).as_str(), clock(time).as_str()), (words, digits));
        }
    }
}
