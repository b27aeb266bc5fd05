//! Waiting for a free seat, and what a person is shown meanwhile.

use std::io::{self, IsTerminal};
use std::time::{Duration, Instant};

use coditect::{Error, ProblemDocument};
use protocol::problem::Code;

use crate::arguments::Patience;
use crate::exit_status::ExitStatus;
use crate::printer::Printer;

/// How often to ask: a seat that somebody gives back is free at once, and nobody tells.
const FIRST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(10);

/// How often a person sees that something goes on.
const PACE: Duration = Duration::from_millis(100);

const FRAMES: [char; 4] = ['|', '/', '-', '\\'];

/// Somebody who waits.
pub(super) struct Waiting {
    printer: Printer,
    patience: Option<Duration>,
    begin: Instant,
    /// How often it was asked.
    attempts: u32,
    /// What the cloud last said of its seats.
    full: Option<ProblemDocument>,
    /// When one comes free at the latest that is not given back before, if nobody keeps it.
    free_at: Option<Instant>,
}

impl Waiting {
    pub(super) fn new(printer: Printer, patience: Patience) -> Self {
        Self { printer, patience: patience.0, begin: Instant::now(), attempts: 0, full: None, free_at: None }
    }

    /// When to ask again after this answer.
    ///
    /// # Errors
    /// The answer, if waiting is of no use; none, if it was long enough.
    pub(super) fn next(&mut self, error: Error) -> Result<Instant, Option<Error>> {
        let asked = match &error {
            Error::Refused(refusal) if refusal.problem.known_code() == Some(Code::NoSeatsAvailable) => {
                let first = self.full.is_none();
                self.full = Some(refusal.problem.clone());
                let free = refusal.problem.retry_after_seconds.map(Duration::from_secs);
                self.free_at = free.map(|free| Instant::now() + free);
                if first {
                    self.tell();
                }
                // Not later than a seat can come free, but not so soon that it is a flood.
                let step = FIRST.saturating_mul(1 << self.attempts.min(8)).min(LONGEST);
                free.map_or(step, |free| free.max(FIRST).min(step)).mul_f64(0.75 + rand::random::<f64>() / 2.0)
            }
            // A cloud that is away for a moment doesn't end the waiting that it began.
            Error::Unavailable(outage) if self.full.is_some() => {
                outage.retry_after.map_or(LONGEST, Duration::from_secs).mul_f64(1.0 + rand::random::<f64>() / 4.0)
            }
            _ => return Err(Some(error)),
        };
        self.attempts += 1;
        let now = Instant::now();
        match self.patience.map(|patience| self.begin + patience) {
            Some(end) if now >= end => Err(None),
            Some(end) => Ok((now + asked).min(end)),
            None => Ok(now + asked),
        }
    }

    /// Whether it was asked in vain.
    pub(super) fn has_begun(&self) -> bool {
        self.attempts > 0
    }

    /// Shows that something goes on. The answer is when to do so again.
    pub(super) fn show(&self) -> Instant {
        let waited = self.begin.elapsed();
        let frame = FRAMES[usize::try_from(waited.as_millis() / PACE.as_millis()).unwrap_or(0) % FRAMES.len()];
        let mut line = format!("{frame} Waiting for a seat {}", clock(waited));
        if let Some(seats) = self.full.as_ref().and_then(|full| full.seats) {
            line += &format!(", all {} are in use", seats.limit);
        }
        let free = self.free_at.map(|free| free.saturating_duration_since(Instant::now()));
        if let Some(free) = free.filter(|free| !free.is_zero()) {
            line += &format!(", one may be free in {}", clock(free));
        }
        self.printer.progress(&line);
        Instant::now() + PACE
    }

    /// Where nobody sees a line move, one says it once.
    fn tell(&self) {
        if io::stderr().is_terminal() {
            return;
        }
        let seats = self.full.as_ref().and_then(|full| full.seats);
        let mut line = seats.map_or_else(
            || "All seats are in use.".to_owned(),
            |seats| format!("All {} seats are in use.", seats.limit),
        );
        line += &match self.patience {
            Some(patience) => format!(" Waiting for one, for at most {}", spelled(patience)),
            None => " Waiting for one".to_owned(),
        };
        let free = self.free_at.map(|free| free.saturating_duration_since(Instant::now()));
        line += &free.map_or_else(String::new, |free| format!("; one may be free in {}", spelled(free)));
        self.printer.notice(&format!("{line}."));
    }

    /// It was long enough.
    pub(super) fn give_up(&self) -> ExitStatus {
        let detail = self.full.as_ref().map(|full| full.detail.as_str()).unwrap_or_default();
        let patience = spelled(self.patience.unwrap_or_default());
        let sentence = format!("No seat came free within {patience}. {detail}");
        let hint = "`--wait=DURATION` waits longer; `coditect status` shows the licence.";
        self.printer.failure(&sentence, hint, Code::NoSeatsAvailable.as_str(), ExitStatus::No)
    }
}

/// `1:05`
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds / 3600 {
        0 => format!("{}:{:02}", seconds / 60, seconds % 60),
        hours => format!("{hours}:{:02}:{:02}", seconds / 60 % 60, seconds % 60),
    }
}

/// `10 minutes`, `1 minute 30 seconds`
fn spelled(time: Duration) -> String {
    let seconds = (time.as_millis() + 500) / 1000;
    let parts = [(seconds / 3600, "hour"), (seconds / 60 % 60, "minute"), (seconds % 60, "second")];
    let words = parts.iter().filter(|(count, _)| *count > 0);
    let words: Vec<_> =
        words.map(|(count, unit)| format!("{count} {unit}{}", if *count == 1 { "" } else { "s" })).collect();
    if words.is_empty() { "0 seconds".to_owned() } else { words.join(" ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_as_people_do() {
        let told = [
            (0, "0 seconds", "0:00"),
            (1, "1 second", "0:01"),
            (90, "1 minute 30 seconds", "1:30"),
            (600, "10 minutes", "10:00"),
            (7265, "2 hours 1 minute 5 seconds", "2:01:05"),
        ];
        for (seconds, words, digits) in told {
            let time = Duration::from_secs(seconds);
            assert_eq!((spelled(time).as_str(), clock(time).as_str()), (words, digits));
        }
    }
}
