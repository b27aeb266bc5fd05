//! The scripts' answers as types.

use common::Problem;
use protocol::id::SessionId;

/// A seat that Redis granted, or found its holder to have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The session that has the seat.
    pub session: SessionId,
    /// Number of the grant within the license: a later grant has a greater one.
    pub number: i64,
    /// When the seat falls free, in milliseconds since 1970 of Redis's clock.
    pub expires_ms: i64,
    /// The generation it was granted under.
    pub generation: i64,
    /// The revision it was granted under.
    pub revision: i64,
    /// The license's seats.
    pub limit: u32,
    /// Seats in use, this one included.
    pub in_use: u32,
    /// Number of the seat within the license, from 1; none for a session whose row a release without numbers has written.
    pub seat: Option<i32>,
    /// Sessions that lost their seat and whose rows must be closed with this one's commit.
    pub gone: Vec<Gone>,
    /// True if the seat was granted now, and not held before.
    pub new: bool,
}

/// A session that lost its seat. Its row may be open, or not be written yet: then it must never be opened any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gone {
    /// The session.
    pub session: SessionId,
    /// Its grant's number.
    pub number: i64,
    /// The former holder.
    pub holder: String,
}

/// Outcome of acquiring a seat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AcquireOutcome {
    /// Redis doesn't know the license.
    Cold,
    /// The license's state forbids it.
    Inactive(String),
    /// So many sessions have lost their seats that their rows must be closed before anything else, under this generation
    /// and revision.
    Behind {
        /// The generation.
        generation: i64,
        /// The revision.
        revision: i64,
        /// The sessions.
        gone: Vec<Gone>,
    },
    /// Every seat is taken.
    Full {
        /// The license's seats.
        limit: u32,
        /// Seats in use; more than `limit` after the license shrank.
        in_use: u32,
        /// Milliseconds until the next one can fall free.
        wait_ms: u64,
    },
    /// The license has a seat, but as many people are at work as the whole installation may serve.
    InstallationFull {
        /// The installation's limit.
        users: u32,
        /// Open sessions; more than `users` after that became less.
        in_use: u32,
        /// Milliseconds until the next one can fall free.
        wait_ms: u64,
    },
    /// The holder has a seat of another license of the tenant.
    Elsewhere,
    /// A seat.
    Seat(Grant),
}

/// Outcome of confirming a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ConfirmOutcome {
    /// Redis doesn't know the license.
    Cold,
    /// The license's state changed.
    Inactive(String),
    /// The seat expired, was evicted or passed on meanwhile.
    Lost,
    /// Held, until so many milliseconds since 1970 of Redis's clock.
    Held(i64),
}

/// Outcome of a heartbeat.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ExtendOutcome {
    /// Redis doesn't know the license.
    Cold,
    /// The license's state ended its sessions.
    Inactive(String),
    /// No such session of this subject holds a seat, as of this generation.
    Unknown(i64),
    /// The heartbeat came too late.
    Expired,
    /// The instance gave the session back, which others keep.
    Left,
    /// Extended.
    Live(Kept),
}

/// Time for which a seat is kept, in milliseconds since 1970 of Redis's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kept {
    /// When it expires: after its time, or with the license.
    pub expires_ms: i64,
    /// When it was kept.
    pub now_ms: i64,
}

/// Outcome of an instance's leaving its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaveOutcome {
    /// Redis doesn't know the license.
    Cold,
    /// Other instances keep the session.
    Kept,
    /// The instance was the last: the session has lost its seat, under this generation.
    Last(i64),
    /// No session of this subject with this id holds a seat, under this generation.
    Unknown(i64),
}

/// Outcome of dropping expired sessions.
#[derive(Debug)]
pub(crate) enum DropExpiredOutcome {
    /// Redis doesn't know the license.
    Cold,
    /// The expired sessions are dropped.
    Dropped {
        generation: i64,
        revision: i64,
        /// Milliseconds until the next seat can fall free, where one is taken.
        wait_ms: Option<u64>,
        /// Sessions whose rows are still to be closed.
        gone: Vec<Gone>,
    },
}

impl AcquireOutcome {
    pub(crate) fn parse(answer: &[String]) -> Result<Self, Problem> {
        match words(answer).as_slice() {
            ["cold"] => Ok(Self::Cold),
            ["inactive", state] => Ok(Self::Inactive((*state).to_owned())),
            ["full", limit, in_use, wait] => Ok(Self::Full {
                limit: number(limit)?,
                in_use: number(in_use)?,
                wait_ms: number::<i64>(wait)?.max(0).unsigned_abs(),
            }),
            ["behind", generation, revision, gone @ ..] => Ok(Self::Behind {
                generation: number(generation)?,
                revision: number(revision)?,
                gone: Gone::parse_all(gone)?,
            }),
            [what @ ("held" | "granted"), id, grant, expires, generation, revision, limit, in_use, seat, gone @ ..] => {
                Ok(Self::Seat(Grant {
                    session: session(id)?,
                    number: number(grant)?,
                    expires_ms: number(expires)?,
                    generation: number(generation)?,
                    revision: number(revision)?,
                    limit: number(limit)?,
                    in_use: number(in_use)?,
                    seat: Some(number(seat)?).filter(|seat| *seat > 0),
                    gone: Gone::parse_all(gone)?,
                    new: *what == "granted",
                }))
            }
            other => Err(unexpected(other)),
        }
    }
}

impl Gone {
    fn parse_all(words: &[&str]) -> Result<Vec<Self>, Problem> {
        words.chunks(2).map(Self::parse).collect()
    }

    fn parse(words: &[&str]) -> Result<Self, Problem> {
        let [id, entry] = words else { return Err(unexpected(words)) };
        let (grant, holder) = entry.split_once('|').ok_or_else(|| unexpected(words))?;
        Ok(Self { session: session(id)?, number: number(grant)?, holder: holder.to_owned() })
    }
}

impl ConfirmOutcome {
    pub(crate) fn parse(answer: &[String]) -> Result<Self, Problem> {
        match words(answer).as_slice() {
            ["cold"] => Ok(Self::Cold),
            ["inactive", state] => Ok(Self::Inactive((*state).to_owned())),
            ["lost"] => Ok(Self::Lost),
            ["held", expires] => Ok(Self::Held(number(expires)?)),
            other => Err(unexpected(other)),
        }
    }
}

impl ExtendOutcome {
    pub(crate) fn parse(answer: &[String]) -> Result<Self, Problem> {
        match words(answer).as_slice() {
            ["cold"] => Ok(Self::Cold),
            ["inactive", state] => Ok(Self::Inactive((*state).to_owned())),
            ["unknown", generation] => Ok(Self::Unknown(number(generation)?)),
            ["expired"] => Ok(Self::Expired),
            ["left"] => Ok(Self::Left),
            ["live", expires, now] => Ok(Self::Live(Kept { expires_ms: number(expires)?, now_ms: number(now)? })),
            other => Err(unexpected(other)),
        }
    }
}

impl LeaveOutcome {
    pub(crate) fn parse(answer: &[String]) -> Result<Self, Problem> {
        match words(answer).as_slice() {
            ["cold"] => Ok(Self::Cold),
            ["kept"] => Ok(Self::Kept),
            ["last", generation] => Ok(Self::Last(number(generation)?)),
            ["unknown", generation] => Ok(Self::Unknown(number(generation)?)),
            other => Err(unexpected(other)),
        }
    }
}

impl DropExpiredOutcome {
    pub(crate) fn parse(answer: &[String]) -> Result<Self, Problem> {
        match words(answer).as_slice() {
            ["cold"] => Ok(Self::Cold),
            ["silent", generation, revision, wait, gone @ ..] => Ok(Self::Dropped {
                generation: number(generation)?,
                revision: number(revision)?,
                wait_ms: if wait.is_empty() { None } else { Some(number(wait)?) },
                gone: Gone::parse_all(gone)?,
            }),
            other => Err(unexpected(other)),
        }
    }
}

fn words(answer: &[String]) -> Vec<&str> {
    answer.iter().map(String::as_str).collect()
}

fn number<N: std::str::FromStr>(word: &str) -> Result<N, Problem> {
    word.parse().map_err(|_| unexpected(&[word]))
}

pub(crate) fn session(word: &str) -> Result<SessionId, Problem> {
    word.parse().map_err(|_| unexpected(&[word]))
}

fn unexpected(answer: &[&str]) -> Problem {
    Problem::internal_error(format_args!("a seat script answered {answer:?}"))
}
