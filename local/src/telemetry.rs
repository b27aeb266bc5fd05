//! Telemetry: off, until the user turns it on. Then, for each command, its name, its outcome, its approximate duration, the
//! version, the operating system and the processor are counted, under a random number that is made when it is turned on and
//! deleted when it is turned off. No argument, no path, no time of day, and nothing that identifies the machine's owner.
//!
//! It is queued in a file of a bounded length, and sent by a process that is not waited for, after a command that was on the
//! network anyway. [`Telemetry::pending`] returns the very bytes.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::time::Duration;

use protocol::id::{ClientVersion, CommandName, InstallationId, SystemName};
use protocol::wire::{DurationBucket, ExitClass, MAX_TELEMETRY_EVENTS, TelemetryEvent, TelemetryRequest};
use serde::{Deserialize, Serialize};

use crate::home::Home;
use crate::{Config, Error, random};

/// File with this installation's id; it exists while telemetry is on.
const IDENTITY: &str = "telemetry.json";

/// File with the events that wait to be sent, a line of JSON each.
const QUEUE: &str = "telemetry-queue.jsonl";

/// File with the events that are being sent: the queue as it was when that began.
const SENDING: &str = "telemetry-sending.jsonl";

/// File that is locked by the one process that sends.
const LOCK: &str = "telemetry.lock";

/// Longest queue, in bytes; further events are not counted. It is fewer events than one request takes.
const MAX_QUEUE_LEN: u64 = 8 * 1024;

/// Telemetry of a home folder.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use local::telemetry::Telemetry;
///
/// # let folder = tempfile::tempdir()?;
/// # let home = folder.path().join("home");
/// let telemetry = Telemetry::open(Some(home))?;
/// assert!(!telemetry.status()?.on, "until it is turned on");
/// telemetry.turn_on()?;
/// assert!(telemetry.status()?.on);
/// telemetry.turn_off()?; // and deletes what waits
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Telemetry {
    home: Home,
}

/// State of telemetry.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct TelemetryStatus {
    /// True if commands are counted.
    pub on: bool,
    /// Random number that they are counted under.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub installation_id: Option<InstallationId>,
    /// Number of commands that were counted, and not sent yet.
    pub waiting: usize,
}

/// Events that are being sent. No other process sends meanwhile.
#[derive(Debug)]
pub struct TelemetryBatch {
    /// The body of the request.
    pub body: Vec<u8>,
    home: Home,
    _lock: File,
}

impl TelemetryBatch {
    /// Deletes the events, which were sent.
    pub fn done(self) -> Result<(), Error> {
        self.home.remove(SENDING)
    }
}

#[derive(Serialize, Deserialize)]
struct Identity {
    installation_id: InstallationId,
}

impl Telemetry {
    /// Opens the telemetry of this home folder; else of the one that the environment names.
    pub fn open(home: Option<PathBuf>) -> Result<Self, Error> {
        Ok(Self::in_home(Config::open(home)?.home().clone()))
    }

    /// Returns the telemetry of a home folder.
    pub fn in_home(home: Home) -> Self {
        Self { home }
    }

    /// Turns telemetry on: commands are counted from now on.
    pub fn turn_on(&self) -> Result<(), Error> {
        if self.identity()?.is_none() {
            // Events that another process was still counting when it was turned off do not belong to this id.
            self.delete_queue()?;
            let installation_id = InstallationId::from_uuid(random::uuid());
            let identity = Identity { installation_id };
            self.home.write_json(IDENTITY, &identity)?;
        }
        Ok(())
    }

    /// Turns telemetry off, and deletes the events that wait.
    pub fn turn_off(&self) -> Result<(), Error> {
        self.home.remove(IDENTITY)?;
        self.delete_queue()
    }

    /// Returns the state of telemetry.
    pub fn status(&self) -> Result<TelemetryStatus, Error> {
        let installation_id = self.identity()?;
        let waiting = self.events(SENDING)?.len() + self.events(QUEUE)?.len();
        Ok(TelemetryStatus { on: installation_id.is_some(), installation_id, waiting })
    }

    /// Counts a command if telemetry is on, and returns true if it is. An event that can't be written is not counted.
    pub fn count(&self, command: &str, exit: ExitClass, took: Duration) -> bool {
        // While it is off, this only looks for a file that isn't there.
        let is_on = matches!(self.identity(), Ok(Some(_)));
        if is_on && let Some(event) = event(command, exit, took) {
            let _ = self.append(&event);
        }
        is_on
    }

    /// Returns the body of the next request, to the byte; none if nothing waits.
    pub fn pending(&self) -> Result<Option<Vec<u8>>, Error> {
        let Some(installation_id) = self.identity()? else { return Ok(None) };
        let mut events = self.events(SENDING)?;
        if events.is_empty() {
            events = self.events(QUEUE)?;
        }
        events.truncate(MAX_TELEMETRY_EVENTS);
        let Ok(events) = events.try_into() else { return Ok(None) };
        let request = TelemetryRequest { installation_id, events };
        Ok(Some(serde_json::to_vec(&request).expect("events are text with names")))
    }

    /// Appends an event to the queue. The file is opened for one write of one line, so that two processes never mix theirs.
    fn append(&self, event: &TelemetryEvent) -> io::Result<()> {
        let mut line = serde_json::to_vec(event)?;
        line.push(b'\n');
        let mut open = OpenOptions::new();
        let mut file = open.append(true).create(true).mode(0o600).open(self.home.file(QUEUE))?;
        if file.metadata()?.len() + line.len() as u64 <= MAX_QUEUE_LEN {
            file.write_all(&line)?;
        }
        Ok(())
    }

    /// Returns this installation's id; none if the file isn't one of ours.
    fn identity(&self) -> Result<Option<InstallationId>, Error> {
        Ok(self.home.read_json::<Identity>(IDENTITY)?.map(|identity| identity.installation_id))
    }

    /// Returns the events in a file; a line that was cut short is left out.
    fn events(&self, file: &str) -> Result<Vec<TelemetryEvent>, Error> {
        let text = self.home.read(file)?.unwrap_or_default();
        Ok(text.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice(line).ok()).collect())
    }

    /// Takes what waits, to send it; none if nothing waits, telemetry is off, or another process is sending.
    pub fn take(&self) -> Result<Option<TelemetryBatch>, Error> {
        if self.identity()?.is_none() {
            return Ok(None);
        }
        let lock = self.home.lock_file(LOCK)?;
        if lock.try_lock().is_err() {
            return Ok(None);
        }
        if self.events(SENDING)?.is_empty() {
            let (queue, sending) = (self.home.file(QUEUE), self.home.file(SENDING));
            match fs::rename(&queue, sending) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                renamed => renamed.map_err(|cause| Error::file(&queue, cause))?,
            }
        }
        match self.pending()? {
            Some(body) => Ok(Some(TelemetryBatch { body, home: self.home.clone(), _lock: lock })),
            None => self.home.remove(SENDING).map(|()| None),
        }
    }

    fn delete_queue(&self) -> Result<(), Error> {
        self.home.remove(QUEUE)?;
        self.home.remove(SENDING)
    }
}

/// Returns the event of a command; none if the text is no name of a command.
fn event(command: &str, exit: ExitClass, took: Duration) -> Option<TelemetryEvent> {
    Some(TelemetryEvent {
        command: CommandName::parse(command).ok()?,
        exit,
        duration: DurationBucket::of(took),
        version: ClientVersion::parse(env!("CARGO_PKG_VERSION")).ok()?,
        os: SystemName::parse(std::env::consts::OS).ok()?,
        arch: SystemName::parse(std::env::consts::ARCH).ok()?,
    })
}
