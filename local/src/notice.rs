//! Notices: unsolicited messages for the user, which the library hands over as sentences and never prints.

use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use protocol::id::RecordId;
use protocol::wire::Kind;

use crate::remaining::{about, more};
use crate::{Ending, Error, KeychainFault};

/// Unsolicited message for the user. [`Display`](fmt::Display) writes it as a sentence.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// The cloud cannot be reached; its last answer is still used.
    CloudUnavailable {
        /// Time for which it is still used.
        remaining: SignedDuration,
    },
    /// The cloud cannot be reached; the last license token is still used.
    ContinuingOffline {
        /// Time for which it is still used.
        remaining: SignedDuration,
    },
    /// The license has another key, and the one that is stored here is valid for a while only.
    KeyReplaced {
        /// Time until which the stored key is valid.
        until: Timestamp,
    },
    /// A seat's heartbeats do not arrive. Sent once per outage.
    SeatUnreachable {
        /// Time for which the license token is still used.
        remaining: SignedDuration,
    },
    /// A seat's heartbeats arrive again.
    SeatRecovered,
    /// The seat was lost and another one taken.
    SeatReacquired,
    /// There is no seat any more.
    SeatEnded(Ending),
    /// This machine's clock was set back.
    ClockBehind {
        /// Least time by which it was set back.
        behind: SignedDuration,
    },
    /// This machine's clock and the cloud's are far apart.
    ClockApart {
        /// Time by which this machine's clock is ahead; behind, if negative.
        ahead: SignedDuration,
    },
    /// By the clock no stored answer is valid any more; but it may be the clock that is wrong.
    ClockInDoubt {
        /// Difference between the clock and the earliest possible time.
        ahead: SignedDuration,
    },
    /// A stored answer cannot be trusted, and is fetched anew.
    CacheRefused {
        /// Reason why it cannot be trusted.
        cause: String,
    },
    /// An answer could not be stored. It is used this once.
    NotStored(Error),
    /// The cloud had later changes of these records than those made here, which are in the records' history now.
    ConflictsLost {
        /// The records.
        records: Vec<(Kind, RecordId)>,
    },
    /// The cloud has refused changes of these records for the last time.
    ChangesParked {
        /// The records.
        records: Vec<(Kind, RecordId)>,
    },
    /// The cloud did not know how far this machine had pulled, so everything is fetched again.
    StartedOver,
    /// Files of the context lack records that were fetched once: they were deleted, or replaced by older copies. Everything is
    /// fetched again.
    Incomplete {
        /// The names of the files.
        files: Vec<&'static str>,
    },
    /// Records came of a kind that this version does not know.
    UnknownKinds {
        /// The number of these records.
        count: u64,
    },
    /// The cloud had lost some of what it once had.
    QueuedAgain {
        /// Number of changes that are sent again.
        count: usize,
    },
    /// Records came whose contents are encrypted with a key that is not here.
    Locked {
        /// Number of these records.
        count: u64,
    },
    /// Records came whose contents are not what was encrypted for them.
    Forged {
        /// Number of these records.
        count: u64,
    },
    /// Records came in clear although the organization encrypted already.
    Exposed {
        /// Number of these records.
        count: u64,
    },
    /// The keychain could not be used, so secrets are sealed in the home folder.
    KeychainNotUsed(KeychainFault),
    /// The license token could not be renewed, for want of a sign-in. The seat is kept meanwhile.
    NotRenewed(Error),
    /// The operating system provides no machine id, so an id was made up.
    MachineInvented,
}

impl Notice {
    /// Returns the stable code for programs.
    pub fn code(&self) -> &'static str {
        match self {
            Self::CloudUnavailable { .. } => "cloud_unavailable",
            Self::ContinuingOffline { .. } => "continuing_offline",
            Self::KeyReplaced { .. } => "key_replaced",
            Self::SeatUnreachable { .. } => "seat_unreachable",
            Self::SeatRecovered => "seat_recovered",
            Self::SeatReacquired => "seat_reacquired",
            Self::SeatEnded(_) => "seat_ended",
            Self::ClockBehind { .. } => "clock_behind",
            Self::ClockApart { .. } => "clock_apart",
            Self::ClockInDoubt { .. } => "clock_in_doubt",
            Self::CacheRefused { .. } => "cache_refused",
            Self::NotStored(_) => "not_stored",
            Self::ConflictsLost { .. } => "conflicts_lost",
            Self::ChangesParked { .. } => "changes_parked",
            Self::StartedOver => "started_over",
            Self::Incomplete { .. } => "files_incomplete",
            Self::UnknownKinds { .. } => "unknown_kinds",
            Self::QueuedAgain { .. } => "queued_again",
            Self::Locked { .. } => "records_locked",
            Self::Forged { .. } => "records_forged",
            Self::Exposed { .. } => "records_exposed",
            Self::NotRenewed(_) => "not_renewed",
            Self::KeychainNotUsed(_) => "keychain_not_used",
            Self::MachineInvented => "machine_invented",
        }
    }

    /// Formats the notices about encrypted contents.
    fn write_encryption(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked { count } => write!(
                f,
                "{count} records are encrypted with a key that this machine doesn't have. `coditect sync keys import FILE` \
                 takes over another machine's, and opens them."
            ),
            Self::Forged { count } => write!(
                f,
                "{count} records are not what your organization encrypted for them, and are kept as they came. \
                 `coditect sync log` names them, and `show --history` what they were before."
            ),
            Self::Exposed { count } => write!(
                f,
                "{count} records came in clear although your organization encrypts, so somebody else may have written them. They \
                 are kept as they came; `coditect sync log` names them. If encryption was turned off, `coditect sync keys \
                 remove` ends it here, too."
            ),
            _ => Ok(()),
        }
    }

    /// Formats the notices about a pull.
    fn write_pull(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartedOver => f.write_str(
                "The cloud does not know how far this machine had pulled, as after a restore. Everything is compared again.",
            ),
            Self::Incomplete { files } => {
                write!(f, "{} lacked records that were fetched once. Everything is fetched again.", files.join(", "))
            }
            Self::UnknownKinds { count } => write!(
                f,
                "{count} record{} of a kind that this version does not know, and not kept. A newer version of coditect fetches \
                 everything again.",
                if *count == 1 { " is" } else { "s are" }
            ),
            Self::QueuedAgain { count } => write!(f, "The cloud had lost {count} records of this machine, which are sent again."),
            _ => Ok(()),
        }
    }

    /// Formats the notices about this machine's clock.
    fn write_clock(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClockBehind { behind } => write!(
                f,
                "This machine's clock is {} behind the time it had before, so the cloud is asked. Set the clock.",
                about(*behind)
            ),
            Self::ClockApart { ahead } => {
                let side = if ahead.is_negative() { "behind" } else { "ahead of" };
                write!(f, "This machine's clock is {} {side} the cloud's. Set the clock.", about(*ahead))
            }
            Self::ClockInDoubt { ahead } => write!(
                f,
                "This machine's clock has moved ahead by {}, and what is stored no longer serves. If the clock is wrong, set it \
                 right: then it serves again.",
                about(*ahead)
            ),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CloudUnavailable { remaining } => {
                write!(f, "Cloud validation unavailable. Using cached license (valid for {}).", more(*remaining))
            }
            Self::ContinuingOffline { remaining } => {
                write!(f, "Cloud unavailable. Continuing on the last license token (valid for {}).", more(*remaining))
            }
            Self::KeyReplaced { until } => write!(
                f,
                "This license has another key, and the one stored here is good until {until}. The owner of your organization \
                 got the new key by mail: `coditect activate KEY` stores it."
            ),
            Self::SeatUnreachable { remaining } => {
                write!(f, "The cloud cannot be reached. This seat goes on for {} and is kept trying.", more(*remaining))
            }
            Self::SeatRecovered => f.write_str("The cloud can be reached again. The seat is kept."),
            Self::SeatReacquired => f.write_str("The seat was lost and has been taken again."),
            Self::SeatEnded(ending) => ending.fmt(f),
            Self::ClockBehind { .. } | Self::ClockApart { .. } | Self::ClockInDoubt { .. } => self.write_clock(f),
            Self::CacheRefused { cause } => write!(f, "What was stored is not used. {cause} The cloud is asked again."),
            Self::NotStored(error) => write!(f, "The answer could not be stored. {error} {}", error.hint()),
            Self::KeychainNotUsed(fault) => {
                write!(f, "The home folder keeps your secrets, sealed, because {fault}.")
            }
            Self::NotRenewed(error) => {
                write!(f, "{error} The seat is kept until the license token expires. {}", error.hint())
            }
            Self::ConflictsLost { records } => write!(
                f,
                "{} changed elsewhere later than here. What you changed is kept: `coditect {} show {} --history`.",
                listed(records, "was", "were"),
                records.first().map_or("task", |(kind, _)| command(*kind)),
                records.first().map_or("ID", |(_, id)| id.as_str()),
            ),
            Self::ChangesParked { records } => write!(
                f,
                "{} refused by the cloud, and {} sent no more. `coditect sync status` says why, `coditect sync retry` sends \
                 again.",
                listed(records, "was", "were"),
                if records.len() == 1 { "is" } else { "are" },
            ),
            Self::StartedOver | Self::Incomplete { .. } | Self::UnknownKinds { .. } | Self::QueuedAgain { .. } => {
                self.write_pull(f)
            }
            Self::Locked { .. } | Self::Forged { .. } | Self::Exposed { .. } => self.write_encryption(f),
            Self::MachineInvented => f.write_str(
                "This machine has no id of its own, so one was made up and stored. \
                 In containers, set CODITECT_HARDWARE_ID to 64 hex characters that stay the same.",
            ),
        }
    }
}

/// `The task "a" was`, `3 records (task "a", decision "b", …) were`.
fn listed(records: &[(Kind, RecordId)], one: &str, more: &str) -> String {
    const SHOWN: usize = 5;
    let name = |(kind, id): &(Kind, RecordId)| format!("{kind} \"{id}\"");
    match records {
        [record] => format!("The {} {one}", name(record)),
        records => {
            let mut names: Vec<String> = records.iter().take(SHOWN).map(name).collect();
            if records.len() > SHOWN {
                names.push("…".to_owned());
            }
            format!("{} records ({}) {more}", records.len(), names.join(", "))
        }
    }
}

/// Returns the command that shows records of a kind, where there is one.
fn command(kind: Kind) -> &'static str {
    match kind {
        Kind::Decision => "decision",
        Kind::SkillLearning => "learning",
        _ => "task",
    }
}

/// Listener that receives the notices.
#[derive(Clone)]
pub struct Notify(Arc<dyn Fn(&Notice) + Send + Sync>);

impl Notify {
    /// Returns a listener.
    pub fn new(listener: impl Fn(&Notice) + Send + Sync + 'static) -> Self {
        Self(Arc::new(listener))
    }

    /// Sends a notice.
    pub fn send(&self, notice: &Notice) {
        (self.0)(notice);
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Notify")
    }
}
