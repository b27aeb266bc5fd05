//! The signals that concern the command as well as us.
//!
//! A terminal sends its signals (Ctrl-C, Ctrl-\) to its whole foreground process group, so the command has them already. A
//! signal from another process is forwarded to the command, which does not have it; and so is the SIGHUP of a closed terminal,
//! which may only go to the program that the terminal was opened for, which may be us.

use std::io;
use std::thread::{self, JoinHandle};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::{Handle, SignalsInfo};
use signal_hook::low_level::siginfo::{Cause, Origin};

/// Signal that asks a command to stop.
pub(super) const TERMINATE: i32 = SIGTERM;

const CAUGHT_SIGNALS: [i32; 7] = [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// A signal that arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct CaughtSignal {
    number: i32,
    from_terminal: bool,
}

impl CaughtSignal {
    fn new(origin: &Origin) -> Self {
        Self { number: origin.signal, from_terminal: matches!(origin.cause, Cause::Kernel) }
    }

    pub(super) fn number(self) -> i32 {
        self.number
    }

    /// Returns true if the signal asks its receiver to end.
    pub(super) fn is_request_to_end(self) -> bool {
        matches!(self.number, SIGHUP | SIGINT | SIGQUIT | SIGTERM)
    }

    /// Returns true for SIGTERM: unlike a key that was pressed, it demands the end.
    pub(super) fn is_termination(self) -> bool {
        self.number == SIGTERM
    }

    /// Returns true for SIGCHLD, which only reports that the command has changed its state.
    pub(super) fn is_child(self) -> bool {
        self.number == SIGCHLD
    }

    pub(super) fn is_to_be_forwarded(self) -> bool {
        !self.is_child() && (!self.from_terminal || self.number == SIGHUP)
    }

    /// Returns the exit code of a process that the signal ended.
    pub(super) fn exit_code(self) -> u8 {
        128 + u8::try_from(self.number).unwrap_or(0)
    }
}

/// Thread that listens for signals, until this is dropped.
pub(super) struct Signals {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Signals {
    /// Calls `handle_signal` for each signal, until it returns `false`.
    pub(super) fn listen(handle_signal: impl Fn(CaughtSignal) -> bool + Send + 'static) -> io::Result<Self> {
        let ignored = ignored_signals();
        let caught = CAUGHT_SIGNALS.into_iter().filter(|number| ignored & (1 << (number - 1)) == 0);
        let mut signals = SignalsInfo::<WithOrigin>::new(caught)?;
        let handle = signals.handle();
        let thread = thread::spawn(move || {
            let mut all = signals.forever();
            while all.next().is_some_and(|origin| handle_signal(CaughtSignal::new(&origin))) {}
        });
        Ok(Self { handle, thread: Some(thread) })
    }
}

/// Returns the signals that are ignored in this process, as its parent wants it, one bit each: SIGHUP after `nohup`, Ctrl-C in
/// the background of a script. If they were caught, the command would no longer inherit that, and would be ended by them.
fn ignored_signals() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

impl Drop for Signals {
    fn drop(&mut self) {
        // From here on signals do nothing: what is left to do, giving the seat back, is short and is to be finished.
        self.handle.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
