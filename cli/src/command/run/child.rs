//! The command that runs on a seat.

use std::ffi::OsString;
use std::io;
use std::process::Command;

use coditect::{Seat, Tier};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, wait};

use super::process_tree;

/// Environment variables that describe a seat. Without a seat they are removed, so that none is left over from another one.
const SEAT_VARIABLES: [&str; 3] = ["CODITECT_LICENSE_TOKEN", "CODITECT_SESSION_ID", "CODITECT_SEAT_EXPIRES_AT"];

const TIER_VARIABLE: &str = "CODITECT_TIER";

/// A command that has been started, and whatever it starts. Only this value waits for it and sends it signals, so its
/// process id cannot have become another's.
pub(super) struct Child {
    id: Pid,
    code: Option<u8>,
}

impl Child {
    /// Starts it, with the seat's data in its environment.
    pub(super) fn start(command: &[OsString], seat: Option<&Seat>) -> io::Result<Self> {
        let (program, arguments) = command.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let mut command = Command::new(program);
        command.args(arguments);
        match seat {
            Some(seat) => command.envs(variables(seat)),
            None => {
                command.env(TIER_VARIABLE, Tier::Free.as_str());
                SEAT_VARIABLES.iter().fold(&mut command, |command, name| command.env_remove(name))
            }
        };
        process_tree::become_subreaper();
        end_with_parent(&mut command);
        let process = command.spawn()?;
        Ok(Self { id: Pid::from_child(&process), code: None })
    }

    /// Returns the command's exit code, as a shell would report it, if it has ended.
    pub(super) fn try_wait(&mut self) -> io::Result<Option<u8>> {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((id, status))) if id == self.id => self.code = Some(exit_code(status)),
                // A descendant that had lost its parent.
                Ok(Some(_)) | Err(Errno::INTR) => {}
                Ok(None) => return Ok(self.code),
                Err(Errno::CHILD) if self.code.is_some() => return Ok(self.code),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Returns true if anything that it has started still runs.
    pub(super) fn has_descendants(&self) -> bool {
        !process_tree::descendants().is_empty()
    }

    /// Sends a signal to the command and to all that it has started, as a terminal would. SIGUSR1 and SIGUSR2 go to the command
    /// alone.
    pub(super) fn signal(&self, number: i32) {
        let Some(signal) = Signal::from_named_raw(number) else { return };
        let for_all = !matches!(signal, Signal::USR1 | Signal::USR2);
        let mut all = if for_all { process_tree::descendants() } else { Vec::new() };
        if self.code.is_none() && !all.contains(&self.id) {
            all.push(self.id);
        }
        for id in all {
            // It can only have ended by itself in between, which `try_wait` finds.
            let _ = kill_process(id, signal);
        }
    }

    /// Ends it, and all that it has started.
    pub(super) fn kill(&self) {
        self.signal(Signal::KILL.as_raw());
    }
}

/// Returns the environment variables of a command on a seat.
pub(in crate::command) fn variables(seat: &Seat) -> [(&'static str, String); 4] {
    let [token, session, expires] = SEAT_VARIABLES;
    let (id, expires_at) = (seat.session_id().to_string(), seat.seat_expires_at().to_string());
    let tier = seat.tier().as_str().to_owned();
    [(token, seat.license_token()), (session, id), (expires, expires_at), (TIER_VARIABLE, tier)]
}

fn exit_code(status: WaitStatus) -> u8 {
    let signal = status.terminating_signal().map(|signal| 128 + signal);
    status.exit_status().or(signal).and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Has the kernel send SIGTERM to the command when this process is killed, since its seat is not kept then.
#[cfg(target_os = "linux")]
fn end_with_parent(command: &mut Command) {
    use std::os::unix::process::CommandExt;

    use rustix::process::{getpid, getppid, set_parent_process_death_signal};

    let us = getpid();
    let ask = move || {
        set_parent_process_death_signal(Some(Signal::TERM))?;
        // We may have been killed before that.
        if getppid() == Some(us) { Ok(()) } else { Err(io::ErrorKind::Interrupted.into()) }
    };
    #[expect(unsafe_code, reason = "the standard library has no safe way to do something between fork and exec")]
    // SAFETY: two system calls, which neither allocate nor take a lock.
    unsafe {
        command.pre_exec(ask);
    }
}

#[cfg(not(target_os = "linux"))]
fn end_with_parent(_: &mut Command) {}
