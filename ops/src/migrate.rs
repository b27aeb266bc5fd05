//! Migrations: the numbered files in `migrations/`, embedded, applied in order, each in its own transaction.

use std::fmt;

use common::postgres::{chain, connection};
use common::{CaCertificates, Db, Setup, config};

use crate::ops_context::mistakes;
use crate::printer::{Failure, Output};

mod embedded {
    refinery::embed_migrations!("../migrations");
}

/// Advisory lock of migrations, on which two migrators take turns. Any number does, as long as every release uses the same.
const MIGRATION_LOCK: i64 = 0x000c_0d17_ec7d;

/// Revokes the right to make temporary tables, which no function needs. A dump has no rights on the database, so that every run
/// revokes it.
const REVOKE_TEMPORARY: &str = "/* revoke_temporary */
    do $$ begin execute format('revoke temporary on database %I from public', current_database()); end $$";

/// Result of a migration run.
#[derive(Debug)]
pub struct Applied {
    /// The migrations that were applied now, as `V1__name`, in order; empty when the schema was current.
    pub migrations: Vec<String>,
}

/// Error of bringing the schema up to date.
#[derive(Debug)]
pub enum MigrateError {
    /// The database can't be reached or refuses the owner's credentials.
    Connect(String),
    /// The database keeps text as bytes, or in an encoding that has no place for some names.
    Encoding(String),
    /// A migration failed; those before it are applied, it and those after it are not.
    Apply(refinery::Error),
}

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(e) => {
                write!(f, "The database could not be reached ({e}). Check DATABASE_URL: it must be the owner's.")
            }
            Self::Encoding(encoding) => {
                write!(
                    f,
                    "The database's encoding is {encoding}, in which lengths and names would come out wrong; nothing was changed. \
                     Make it anew: create database … encoding 'UTF8' template template0."
                )
            }
            Self::Apply(e) => {
                write!(
                    f,
                    "A migration failed and was rolled back; the schema stays at the one before it: {}. Set right what it names and migrate again.",
                    chain(e)
                )
            }
        }
    }
}

impl std::error::Error for MigrateError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Connect(_) | Self::Encoding(_) => None,
            Self::Apply(e) => Some(e),
        }
    }
}

/// `ops migrate`: applies the missing migrations, with the owner's connection URL of the environment.
///
/// # Errors
/// The mistakes of the configuration, or the failure of the migration.
pub async fn run() -> Result<Output, Failure> {
    let mut setup = Setup::from_env();
    let ca_certificates = CaCertificates::from_setup(&mut setup);
    let web = CaCertificates::default();
    let url = setup.required(&config::DATABASE_URL, |url| Db::connect(url, &web).map(|_| url.to_owned()));
    let (url, ca_certificates) = url.zip(ca_certificates).ok_or_else(|| mistakes(&setup))?;
    let applied = apply(&url, &ca_certificates).await.map_err(|e| Failure::Broken(e.to_string()))?;
    Ok(Output::Message(match applied.migrations.as_slice() {
        [] => "The schema is current.".to_owned(),
        some => format!("Applied {}.", some.join(", ")),
    }))
}

/// Identifies the schema: changes with every migration's name or text.
#[must_use]
pub fn fingerprint() -> String {
    embedded::migrations::runner().get_migrations().iter().map(|m| format!("{m}:{};", m.checksum())).collect()
}

/// Applies the missing migrations, as the owner that `database_url` names. Concurrent callers wait for each other.
///
/// # Errors
/// When the database can't be reached, its encoding is not UTF-8, or a migration fails.
pub async fn apply(database_url: &str, ca_certificates: &CaCertificates) -> Result<Applied, MigrateError> {
    let (mut client, driver) = connection(database_url, ca_certificates).await.map_err(MigrateError::Connect)?;
    let locked = client.execute("select pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await;
    locked.map_err(|e| MigrateError::Connect(chain(&e)))?;
    let encoding = client.query_one("show server_encoding", &[]).await.map_err(|e| MigrateError::Connect(chain(&e)))?;
    let encoding: String = encoding.get(0);
    if encoding != "UTF8" {
        return Err(MigrateError::Encoding(encoding));
    }
    let report = embedded::migrations::runner().run_async(&mut client).await.map_err(MigrateError::Apply)?;
    client.batch_execute(REVOKE_TEMPORARY).await.map_err(|e| MigrateError::Connect(chain(&e)))?;
    // Closing the connection gives the lock back.
    drop(client);
    let _ = driver.await;
    Ok(Applied { migrations: report.applied_migrations().iter().map(ToString::to_string).collect() })
}
