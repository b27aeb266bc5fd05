//! Which processes of this machine use its seat. They share one session, since the cloud gives a machine one seat, so the
//! last of them gives it back.
//!
//! A lock on an empty file, which the operating system drops with the process: shared while a process holds the seat,
//! exclusive while the last one gives it back.

use std::fs::File;

use local::home::Home;

use crate::Error;

const FILE: &str = "holders";

/// This process holds the seat.
#[derive(Debug)]
pub(super) struct Holding(File);

/// No process holds it, and none can until this is dropped.
#[derive(Debug)]
pub(super) struct Last {
    _lock: File,
}

impl Holding {
    /// Waits while another process gives the seat back.
    pub(super) fn join(home: &Home) -> Result<Self, Error> {
        let file = home.lock_file(FILE)?;
        file.lock_shared().map_err(|cause| Error::file(&home.file(FILE), cause))?;
        Ok(Self(file))
    }

    /// The right to give the seat back, if this was the last.
    pub(super) fn leave(self) -> Option<Last> {
        // First let go: of two that leave at once and keep their locks, neither would be the last.
        self.0.unlock().ok()?;
        self.0.try_lock().ok()?;
        Some(Last { _lock: self.0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_gives_the_seat_back() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::new(folder.path().join("home"));
        let first = Holding::join(&home).unwrap();
        let second = Holding::join(&home).unwrap();
        assert!(first.leave().is_none());
        assert!(second.leave().is_some());
    }
}
