//! Child processes with a deadline.

use std::io;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

/// Interval between checks whether a process has ended.
const POLL_INTERVAL: Duration = Duration::from_millis(5);

/// Waits until a process has ended; one that still runs at the deadline is killed, and has no exit status.
pub fn wait_until(deadline: Instant, child: &mut Child) -> io::Result<Option<ExitStatus>> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Ok(Some(status)),
            Ok(None) if Instant::now() < deadline => thread::sleep(POLL_INTERVAL),
            ended => {
                let _ = child.kill();
                let _ = child.wait();
                return ended;
            }
        }
    }
}
