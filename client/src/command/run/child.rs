//! The command that runs on a seat.

use std::ffi::OsString;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{self, Command};

use coditect::Seat;
use rustix::process::{Pid, Signal, kill_process};

/// A command that has been started. Only this value waits for it and sends it signals, so its process id cannot have
/// become another's.
pub(super) struct Child {
    process: process::Child,
}

impl Child {
    /// Starts it, with the seat's data in its environment.
    pub(super) fn start(command: &[OsString], seat: &Seat) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let process = Command::new(program)
            .args(arguments)
            .env("CODITECT_LICENSE_TOKEN", seat.license_token())
            .env("CODITECT_SESSION_ID", seat.session_id().to_string())
            .env("CODITECT_SEAT_EXPIRES_AT", seat.seat_expires_at().to_string())
            .env("CODITECT_TIER", seat.tier().as_str())
            .spawn()?;
        Ok(Self { process })
    }

    /// Its exit code, as a shell would say it, if it has ended.
    pub(super) fn ended(&mut self) -> io::Result<Option<u8>> {
        let Some(status) = self.process.try_wait()? else { return Ok(None) };
        let signal = status.signal().map(|signal| 128 + signal);
        Ok(Some(status.code().or(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)))
    }

    /// Sends it a signal.
    pub(super) fn signal(&self, number: i32) {
        let pid = Pid::from_child(&self.process);
        if let Some(signal) = Signal::from_named_raw(number) {
            // It can only have ended by itself in between, which `ended` finds.
            let _ = kill_process(pid, signal);
        }
    }

    /// Ends it.
    pub(super) fn kill(&mut self) {
        let _ = self.process.kill();
    }
}
