//! Schema of the files. A step that was released is never changed; the next shape is a further step.

use rusqlite::Connection;

use super::Database;
use crate::context::table;

/// Creates a table for each kind of the file: the cloud's records, as far as they were pulled. Times are microseconds since
/// 1970.
pub(super) fn tables(file: &Connection, database: Database) -> rusqlite::Result<()> {
    for kind in database.kinds() {
        let name = table::name(kind);
        file.execute_batch(&format!(
            "CREATE TABLE {name} (
                id           TEXT PRIMARY KEY,
                project_id   TEXT,
                content      TEXT NOT NULL,     -- canonical JSON in plain; `null` once deleted
                content_hash BLOB NOT NULL,     -- the cloud's, which is another one where contents are encrypted
                version      INTEGER NOT NULL,
                updated_at   INTEGER NOT NULL,
                deleted      INTEGER NOT NULL,
                device_id    TEXT NOT NULL,
                user_id      TEXT,
                written_at   INTEGER,           -- NULL for what was pushed from here and not pulled yet
                pass         INTEGER NOT NULL   -- in which pass over the cloud's records it was last seen
            ) WITHOUT ROWID;
            CREATE INDEX {name}_by_time ON {name} (updated_at);"
        ))?;
    }
    Ok(())
}

/// Creates the tables of the queue, the journal and the progress of the sync.
pub(super) fn queue(file: &Connection) -> rusqlite::Result<()> {
    file.execute_batch(
        "CREATE TABLE queue (
            n            INTEGER PRIMARY KEY AUTOINCREMENT,
            kind         TEXT NOT NULL,
            id           TEXT NOT NULL,
            project_id   TEXT,
            content      TEXT NOT NULL,
            content_hash BLOB NOT NULL,
            updated_at   INTEGER NOT NULL,
            deleted      INTEGER NOT NULL,
            base_version INTEGER,               -- NULL: new, or not known while an earlier change is queued
            queued_at    INTEGER NOT NULL,
            attempts     INTEGER NOT NULL DEFAULT 0,
            error        TEXT,
            parked_at    INTEGER
        );
        CREATE INDEX queue_by_record ON queue (kind, id, n);
        CREATE INDEX queue_parked ON queue (n) WHERE parked_at IS NOT NULL;

        CREATE TABLE journal (
            n      INTEGER PRIMARY KEY AUTOINCREMENT,
            at     INTEGER NOT NULL,
            event  TEXT NOT NULL,
            kind   TEXT,
            id     TEXT,
            detail TEXT NOT NULL
        );

        CREATE TABLE progress (
            one           INTEGER PRIMARY KEY CHECK (one = 1),
            tenant_id     TEXT,                 -- whose records these are
            cursor        TEXT,
            pass          INTEGER NOT NULL DEFAULT 1,
            starting_over INTEGER NOT NULL DEFAULT 0,
            pulled        INTEGER NOT NULL DEFAULT 0, -- records of this pass
            pushed_at     INTEGER,
            pulled_at     INTEGER,
            push_trouble  TEXT,                 -- JSON
            pull_trouble  TEXT
        );
        INSERT INTO progress (one) VALUES (1);",
    )
}

/// Adds the columns about the tenant's encryption.
pub(super) fn encryption(file: &Connection) -> rusqlite::Result<()> {
    file.execute_batch(
        "ALTER TABLE progress ADD COLUMN tenant_key_id TEXT;   -- the key that the tenant encrypts with
         ALTER TABLE progress ADD COLUMN envelope_key_id TEXT; -- the key of the last envelope of this pass",
    )
}

/// Creates the table with the position that a file of records holds (`crate::context::position`).
pub(super) fn mark(file: &Connection, database: Database) -> rusqlite::Result<()> {
    file.execute_batch(
        "CREATE TABLE mark (
            one       INTEGER PRIMARY KEY CHECK (one = 1),
            stamp     TEXT NOT NULL,    -- random, another one after each page
            before    TEXT NOT NULL,
            pass      INTEGER NOT NULL, -- the latest that wrote to the file
            tenant_id TEXT              -- whose records these are, as far as is known
        );
        INSERT INTO mark VALUES (1, lower(hex(randomblob(16))), '', 0, NULL);",
    )?;
    for kind in database.kinds() {
        let sql =
            format!("UPDATE mark SET pass = max(pass, (SELECT coalesce(max(pass), 0) FROM {}))", table::name(kind));
        file.execute(&sql, [])?;
    }
    Ok(())
}

/// Adds the columns with the stamps of the other files, as they were when the cursor was written, and the kinds of records
/// that this program could not keep.
pub(super) fn positions(file: &Connection) -> rusqlite::Result<()> {
    file.execute_batch(
        "ALTER TABLE progress ADD COLUMN stamps TEXT;        -- JSON: the stamp of each file
         ALTER TABLE progress ADD COLUMN unknown_kinds TEXT; -- JSON: words",
    )
}
