//! The signals that concern the command as well as us.
//!
//! What a terminal sends (Ctrl-C, Ctrl-\, a closed window) it sends to every process in front of it, so the command has it
//! already. What another process sends us is for the command, which does not have it.

use std::io;
use std::thread::{self, JoinHandle};

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::iterator::{Handle, SignalsInfo};
use signal_hook::low_level::siginfo::{Cause, Origin};

/// What a command is asked to stop with.
pub(super) const TERMINATE: i32 = SIGTERM;

const CAUGHT: [i32; 7] = [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2];

/// A signal that arrived.
#[derive(Clone, Copy, Debug)]
pub(super) struct Caught {
    number: i32,
    from_terminal: bool,
}

impl Caught {
    fn new(origin: &Origin) -> Self {
        Self { number: origin.signal, from_terminal: matches!(origin.cause, Cause::Kernel) }
    }

    pub(super) fn number(self) -> i32 {
        self.number
    }

    /// Whether it only says that the command has changed its state.
    pub(super) fn is_child(self) -> bool {
        self.number == SIGCHLD
    }

    pub(super) fn is_to_be_forwarded(self) -> bool {
        !self.is_child() && !self.from_terminal
    }

    /// What a process that it ended exits with.
    pub(super) fn exit_code(self) -> u8 {
        128 + u8::try_from(self.number).unwrap_or(0)
    }
}

/// The thread that listens, until this is dropped.
pub(super) struct Signals {
    handle: Handle,
    thread: Option<JoinHandle<()>>,
}

impl Signals {
    /// Calls `tell` for each signal, until it says `false`.
    pub(super) fn listen(tell: impl Fn(Caught) -> bool + Send + 'static) -> io::Result<Self> {
        let mut signals = SignalsInfo::<WithOrigin>::new(CAUGHT)?;
        let handle = signals.handle();
        let thread = thread::spawn(move || {
            let mut all = signals.forever();
            while all.next().is_some_and(|origin| tell(Caught::new(&origin))) {}
        });
        Ok(Self { handle, thread: Some(thread) })
    }
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
