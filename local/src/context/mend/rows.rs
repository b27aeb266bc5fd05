//! Rows of a damaged database, as far as they can be read.

use protocol::content::ContentHash;
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use super::Database;
use crate::context::{Waiting, locked, queue, table};

/// Maximum number of row numbers that are tried behind an unreadable place, each twice as far as the one before.
const JUMPS: u32 = 20;

/// Copies the rows that can be read. Only errors of the new database are returned.
pub(super) fn copy(database: Database, old: &Connection, new: &Connection) -> rusqlite::Result<()> {
    new.execute_batch("BEGIN")?;
    for kind in database.kinds() {
        copy_table(old, new, table::name(kind), "id")?;
    }
    if database == Database::Sessions {
        copy_table(old, new, "queue", "n")?;
        copy_table(old, new, "journal", "n")?;
        let tenant = "SELECT tenant_id, tenant_key_id, pass FROM progress";
        if let Ok((tenant, key, pass)) =
            old.query_row(tenant, [], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, u64>(2)?)))
        {
            let (tenant, key): (Option<String>, Option<String>) = (tenant, key);
            let sql =
                "UPDATE progress SET tenant_id = coalesce(tenant_id, ?1), tenant_key_id = coalesce(tenant_key_id, ?2),
                          pass = max(pass, ?3)";
            // A value that is no tenant's id is corrupt.
            let tenant = tenant.filter(|tenant| tenant.parse::<protocol::id::TenantId>().is_ok());
            new.execute(sql, (tenant, key, pass))?;
        }
    } else if let Ok(Some(tenant)) =
        old.query_row("SELECT tenant_id FROM mark", [], |row| row.get::<_, Option<String>>(0))
        && tenant.parse::<protocol::id::TenantId>().is_ok()
    {
        new.execute("UPDATE mark SET tenant_id = ?1", [tenant])?;
    }
    new.execute_batch("COMMIT")
}

fn copy_table(old: &Connection, new: &Connection, table: &str, key: &str) -> rusqlite::Result<()> {
    let columns = |file: &Connection| -> rusqlite::Result<Vec<String>> {
        let mut statement = file.prepare(&format!("SELECT name FROM pragma_table_info('{table}')"))?;
        statement.query_map([], |row| row.get(0))?.collect()
    };
    let Ok(theirs) = columns(old) else { return Ok(()) };
    let columns: Vec<String> = columns(new)?.into_iter().filter(|column| theirs.contains(column)).collect();
    if columns.is_empty() {
        return Ok(());
    }
    let (list, holes) = (columns.join(", "), vec!["?"; columns.len()].join(", "));
    let insert = format!("INSERT OR IGNORE INTO {table} ({list}) VALUES ({holes})");
    let keep = |row: Vec<Value>| {
        // A row that the new table does not take is garbage.
        new.prepare_cached(&insert).and_then(|mut insert| insert.execute(params_from_iter(row))).map(drop)
    };
    let read = |condition: &str, order: &str| -> (Option<Value>, bool) {
        let mut last = None;
        let mut all = || -> rusqlite::Result<()> {
            let sql = format!("SELECT {list}, {key} FROM {table} {condition} ORDER BY {key} {order}");
            let mut statement = old.prepare(&sql)?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let values = (0..columns.len()).map(|column| row.get(column)).collect::<rusqlite::Result<_>>()?;
                last = Some(row.get(columns.len())?);
                let _ = keep(values);
            }
            Ok(())
        };
        let whole = all().is_ok();
        (last, whole)
    };
    let (mut last, whole) = read("", "ASC");
    if whole {
        return Ok(());
    }
    read("", "DESC");
    if key == "n" {
        // Between two places that cannot be read there may be one that can.
        for jump in 0..JUMPS {
            let from = match &last {
                Some(Value::Integer(n)) => n.saturating_add(1 << jump),
                _ => 1 << jump,
            };
            let (next, whole) = read(&format!("WHERE n >= {from}"), "ASC");
            if whole {
                break;
            }
            last = next.or(last);
        }
    }
    Ok(())
}

/// Deletes invalid records and changes, and notes that everything has to be fetched again; returns the numbers of those that
/// remain.
pub(super) fn finish(database: Database, new: &Connection) -> rusqlite::Result<(u64, u64)> {
    let (mut records, mut pass) = (0, 0);
    for kind in database.kinds() {
        let mut last = String::new();
        while let Some(id) = table::next_id(new, kind, &last)? {
            let row = table::find_text(new, kind, &id);
            let good = row.as_ref().is_ok_and(|row| {
                row.as_ref().is_some_and(|row| serde_json::from_str::<serde_json::Value>(&row.content).is_ok())
            });
            if let (true, Ok(Some(row))) = (good, row) {
                records += 1;
                pass = pass.max(row.pass);
            } else {
                new.execute(&format!("DELETE FROM {} WHERE id = ?1", table::name(kind)), [&id])?;
            }
            last = id;
        }
    }
    if database != Database::Sessions {
        new.execute("UPDATE mark SET pass = max(pass, ?1)", [pass])?;
        return Ok((records, 0));
    }
    let mut changes = 0;
    let numbers: Vec<i64> =
        new.prepare("SELECT n FROM queue ORDER BY n")?.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    for n in numbers {
        if queue::numbered(new, n).is_ok_and(|change| is_whole(&change)) {
            changes += 1;
        } else {
            queue::remove(new, n)?;
        }
    }
    let sql = "UPDATE progress SET cursor = NULL, stamps = NULL, envelope_key_id = NULL, pulled = 0,
                  pass = max(pass, ?1) + 1, starting_over = tenant_id IS NOT NULL";
    new.execute(sql, [pass])?;
    queue::forget_bases(new)?;
    Ok((records, changes))
}

/// Reports whether a change is the same as when it was queued.
fn is_whole(change: &Waiting) -> bool {
    serde_json::from_str::<serde_json::Value>(&change.content).is_ok()
        && (locked(&change.content).is_some()
            || ContentHash::of_canonical(change.content.as_bytes()) == change.content_hash)
}
