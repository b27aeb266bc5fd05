//! Progress of the sync: one row in `sessions.db`.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use protocol::id::TenantId;
use rusqlite::{Connection, named_params};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::table::{parsed_or_none, time_or_none};

/// Progress of the sync.
#[derive(Clone, Debug, PartialEq)]
pub struct Progress {
    /// Tenant whose records are kept here; none before the first sync.
    pub tenant: Option<TenantId>,
    /// Position at which the next pull continues.
    pub cursor: Option<String>,
    /// Counts how often everything was pulled from the beginning.
    pub pass: u64,
    /// True until the end of a pass that fetches everything again, as when the cloud did not know the cursor any more.
    pub starting_over: bool,
    /// Number of records that this pass has brought.
    pub pulled: u64,
    /// Time at which everything that waited was last sent.
    pub pushed_at: Option<Timestamp>,
    /// Time at which everything that was new was last fetched.
    pub pulled_at: Option<Timestamp>,
    /// Reason why the last push did not get through.
    pub push_trouble: Option<Trouble>,
    /// Reason why the last pull did not get through.
    pub pull_trouble: Option<Trouble>,
    /// Id of the key that the tenant encrypts with; none if it is not known to encrypt.
    pub tenant_key_id: Option<String>,
    /// Id of the key of the last envelope that this pass has brought.
    pub envelope_key_id: Option<String>,
    /// The stamps of the other files, as they were when the cursor was written.
    pub stamps: BTreeMap<String, String>,
    /// The kinds of records that came in this pass and that this version does not know, so that they are not kept.
    pub unknown_kinds: BTreeSet<String>,
}

impl Progress {
    pub(super) fn read(sessions: &Connection) -> rusqlite::Result<Self> {
        let sql =
            "SELECT tenant_id, cursor, pass, starting_over, pulled, pushed_at, pulled_at, push_trouble, pull_trouble,
                    tenant_key_id, envelope_key_id, stamps, unknown_kinds FROM progress";
        let trouble = |text: Option<String>| text.and_then(|text| serde_json::from_str(&text).ok());
        sessions.prepare_cached(sql)?.query_row([], |row| {
            Ok(Self {
                tenant: parsed_or_none(row, 0)?,
                cursor: row.get(1)?,
                pass: row.get(2)?,
                starting_over: row.get(3)?,
                pulled: row.get(4)?,
                pushed_at: time_or_none(row, 5)?,
                pulled_at: time_or_none(row, 6)?,
                push_trouble: trouble(row.get(7)?),
                pull_trouble: trouble(row.get(8)?),
                tenant_key_id: row.get(9)?,
                envelope_key_id: row.get(10)?,
                stamps: read_json(row.get(11)?),
                unknown_kinds: read_json(row.get(12)?),
            })
        })
    }

    pub(super) fn write(&self, sessions: &Connection) -> rusqlite::Result<()> {
        let sql = "UPDATE progress SET tenant_id = :tenant, cursor = :cursor, pass = :pass, starting_over = :starting,
                   pulled = :pulled, pushed_at = :pushed_at, pulled_at = :pulled_at, push_trouble = :push_trouble,
                   pull_trouble = :pull_trouble, tenant_key_id = :tenant_key, envelope_key_id = :envelope_key,
                   stamps = :stamps, unknown_kinds = :unknown_kinds";
        let trouble = |trouble: &Option<Trouble>| trouble.as_ref().and_then(|it| serde_json::to_string(it).ok());
        let parameters = named_params! {
            ":tenant": self.tenant.map(|tenant| tenant.to_string()),
            ":cursor": self.cursor,
            ":pass": self.pass,
            ":starting": self.starting_over,
            ":pulled": self.pulled,
            ":pushed_at": self.pushed_at.map(Timestamp::as_microsecond),
            ":pulled_at": self.pulled_at.map(Timestamp::as_microsecond),
            ":push_trouble": trouble(&self.push_trouble),
            ":pull_trouble": trouble(&self.pull_trouble),
            ":tenant_key": self.tenant_key_id,
            ":envelope_key": self.envelope_key_id,
            ":stamps": serde_json::to_string(&self.stamps).ok(),
            ":unknown_kinds": serde_json::to_string(&self.unknown_kinds).ok(),
        };
        sessions.prepare_cached(sql)?.execute(parameters).map(drop)
    }
}

/// Parses a column with JSON; empty where there is none.
fn read_json<T: DeserializeOwned + Default>(text: Option<String>) -> T {
    text.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default()
}

/// Reason why a push or pull did not get through.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Trouble {
    /// Error code, for programs.
    pub code: String,
    /// Error message: a sentence.
    pub detail: String,
    /// Command that helps.
    pub hint: String,
    /// Time of the failure.
    pub at: Timestamp,
}

impl Trouble {
    /// Returns the reason of a failure at this time.
    pub fn of(error: &crate::Error, at: Timestamp) -> Self {
        Self::new(error.code().to_owned(), error.to_string(), error.hint(), at)
    }

    /// Returns a reason: its code for programs, its sentence, the command that helps, and its time.
    pub fn new(code: String, detail: String, hint: String, at: Timestamp) -> Self {
        Self { code, detail, hint, at }
    }
}
