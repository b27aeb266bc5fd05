//! Which position of the tenant's stream each file holds.
//!
//! The cursor is in `sessions.db`, and most records are in other files, each of which can be deleted, damaged or replaced by an
//! older copy without the others. Each of them has a *mark*: a random stamp that changes with every page that is written to it, the
//! stamp before, the pass and the tenant. `sessions.db` notes the stamps together with the cursor. A file whose stamp is not
//! the noted one lacks records, so a new pass fetches everything again. Only the stamp before is as good: there, the process
//! ended between the two files, and the page comes again.

use protocol::id::TenantId;
use rusqlite::Connection;

use super::table::parsed_or_none;
use super::{ContextStore, Database, JournalEvent, Progress, journal, queue, table};
use crate::{ContextError, Error};

/// The files whose position is noted beside the cursor.
pub(super) const OTHERS: [Database; 3] = [Database::Org, Database::Projects, Database::Platform];

/// A file's own record of its contents.
#[derive(Debug)]
struct Mark {
    stamp: String,
    before: String,
    pass: u64,
    tenant: Option<TenantId>,
}

impl Mark {
    fn read(file: &Connection) -> rusqlite::Result<Self> {
        file.prepare_cached("SELECT stamp, before, pass, tenant_id FROM mark")?.query_row([], |row| {
            Ok(Self { stamp: row.get(0)?, before: row.get(1)?, pass: row.get(2)?, tenant: parsed_or_none(row, 3)? })
        })
    }
}

/// Gives a file its next stamp; in the transaction that writes its rows.
pub(super) fn stamp(file: &Connection, progress: &Progress) -> rusqlite::Result<String> {
    let sql = "UPDATE mark SET before = stamp, stamp = lower(hex(randomblob(16))), pass = max(pass, ?1),
                  tenant_id = coalesce(?2, tenant_id) RETURNING stamp";
    let tenant = progress.tenant.map(|tenant| tenant.to_string());
    file.prepare_cached(sql)?.query_row((progress.pass, tenant), |row| row.get(0))
}

impl ContextStore {
    /// Compares the files with the cursor, before anything is sent or fetched. The names of those that lack records: a new
    /// pass has begun then.
    pub fn compare_positions(&self) -> Result<Vec<&'static str>, Error> {
        let before = self.progress()?;
        let mut now = before.clone();
        let mut newest_pass = before.pass;
        let mut lacking = Vec::new();
        for database in OTHERS {
            let name = database.file();
            let noted = before.stamps.get(name);
            if !self.home().holds(name)? {
                if noted.is_some() {
                    now.stamps.remove(name);
                    lacking.push(name);
                }
                continue;
            }
            let mark = self.on(database, Mark::read)?;
            if let (Some(ours), Some(its)) = (now.tenant, mark.tenant)
                && ours != its
            {
                return Err(ContextError::OtherTenant.into());
            }
            now.tenant = now.tenant.or(mark.tenant);
            let same = match noted {
                Some(noted) => *noted == mark.stamp || *noted == mark.before,
                // Nothing was written to it since the position is noted at all.
                None => before.cursor.is_some() || self.on(database, |file| table::is_empty(file, database))?,
            };
            if !same || mark.pass > before.pass {
                lacking.push(name);
            }
            newest_pass = newest_pass.max(mark.pass);
            now.stamps.insert(name.to_owned(), mark.stamp);
            if mark.tenant.is_none() && now.tenant.is_some() {
                let tenant = now.tenant.map(|tenant| tenant.to_string());
                self.on(database, |file| file.execute("UPDATE mark SET tenant_id = ?1", [&tenant]))?;
            }
        }
        if !lacking.is_empty() && before.cursor.is_none() && before.stamps.is_empty() {
            // The others hold records, and no position was ever noted: the file with the notes is the one that is new.
            lacking = vec![Database::Sessions.file()];
        }
        if !lacking.is_empty() {
            let detail = format!("{} lacked records", lacking.join(", "));
            self.begin_pass(Progress { pass: newest_pass, ..now }, &detail)?;
        } else if now != before {
            self.set_progress(|progress| {
                progress.stamps = now.stamps;
                progress.tenant = now.tenant;
            })?;
        }
        Ok(lacking)
    }

    /// Begins to fetch everything again.
    pub fn start_over(&self, why: &str) -> Result<(), Error> {
        self.begin_pass(self.progress()?, why)
    }

    fn begin_pass(&self, mut progress: Progress, why: &str) -> Result<(), Error> {
        let now = self.now();
        let transaction = self.begin()?;
        self.on_sessions(|sessions| {
            progress.cursor = None;
            progress.pass += 1;
            // Rows of an unknown tenant are compared with nothing: they may be another one's than what comes.
            progress.starting_over = progress.tenant.is_some();
            progress.pulled = 0;
            progress.envelope_key_id = None;
            progress.unknown_kinds.clear();
            queue::forget_bases(sessions)?;
            journal::write(sessions, now, JournalEvent::StartedOver, None, why)?;
            progress.write(sessions)
        })?;
        self.sessions_done(transaction.commit())
    }
}
