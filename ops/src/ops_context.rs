//! The context of every command: the database, and the operator's name.

use common::{Db, Setup};
use protocol::id::{LicenseId, SessionId, TenantId};
use uuid::Uuid;

use crate::printer::Failure;

const TENANT_BY_NAME: &str = "/* tenant_by_name */ select id from tenants_all() where slug = $1 or id::text = $1";
const TENANT_OF_LICENSE: &str = "/* tenant_of_license */ select tenant_of_license($1)";
const TENANT_OF_SESSION: &str = "/* tenant_of_session */ select tenant_of_session($1)";
const TENANT_OF_OUTBOX: &str = "/* tenant_of_outbox */ select tenant_of_outbox($1)";
const TENANTS_ALL: &str = "/* tenants_all */ select id from tenants_all()";

/// An entry of the audit log: id, actor, action, license, detail.
pub(crate) const AUDIT: &str = "/* audit_entry */
    insert into audit_log (id, tenant_id, actor, action, license_id, detail) values ($1, current_tenant(), $2, $3, $4, $5)";

/// The database, and the operator's name.
#[derive(Debug)]
pub struct OpsContext {
    /// The database, as its owner.
    pub db: Db,
    /// `operator:` and the login name, for the audit log.
    pub actor: String,
}

impl OpsContext {
    /// Makes the context of a command that needs the database alone.
    ///
    /// # Errors
    /// The mistakes of the configuration.
    pub fn from_env() -> Result<Self, Failure> {
        Self::with(|_| Some(())).map(|(ops, ())| ops)
    }

    /// Makes the context of a command that also needs what `read` makes from the configuration, such as `Seats::from_setup`. All
    /// mistakes are reported together, before the command starts.
    ///
    /// # Errors
    /// The mistakes of the configuration.
    pub fn with<T>(read: impl FnOnce(&mut Setup) -> Option<T>) -> Result<(Self, T), Failure> {
        let mut setup = Setup::from_env();
        let (db, resource) = (Db::from_setup(&mut setup), read(&mut setup));
        let (db, resource) = db.zip(resource).ok_or_else(|| mistakes(&setup))?;
        let user = std::env::vars_os().find(|(name, _)| name == "USER").map(|(_, user)| user);
        let user = user.map_or_else(|| "unknown".to_owned(), |user| user.to_string_lossy().into_owned());
        Ok((Self { db, actor: format!("operator:{user}") }, resource))
    }

    /// Returns a tenant's id by slug or id.
    ///
    /// # Errors
    /// When there is none.
    pub async fn tenant(&self, name: &str) -> Result<TenantId, Failure> {
        let rows = self.db.outside_tenants((TENANT_BY_NAME, &[&name])).await?;
        let row = rows.first().ok_or_else(|| {
            Failure::Refused(format!("There is no tenant {name}. `ops tenant list` shows those there are."))
        })?;
        Ok(TenantId::from_uuid(row.get(0)))
    }

    /// Returns the ids of all tenants.
    ///
    /// # Errors
    /// When the database doesn't answer.
    pub async fn tenants(&self) -> Result<Vec<TenantId>, Failure> {
        let rows = self.db.outside_tenants((TENANTS_ALL, &[])).await?;
        Ok(rows.iter().map(|row| TenantId::from_uuid(row.get(0))).collect())
    }

    /// Returns the tenant of a license.
    ///
    /// # Errors
    /// When there is no such license.
    pub async fn tenant_of_license(&self, license: LicenseId) -> Result<TenantId, Failure> {
        let none =
            || Failure::Refused(format!("There is no license {license}. `ops license list` shows those there are."));
        self.owner(TENANT_OF_LICENSE, license.as_uuid()).await?.ok_or_else(none)
    }

    /// Returns the tenant of an entry of the outbox.
    ///
    /// # Errors
    /// When there is no such entry.
    pub async fn tenant_of_outbox(&self, entry: Uuid) -> Result<TenantId, Failure> {
        let none =
            || Failure::Refused(format!("The outbox has no entry {entry}. `ops outbox list` shows those it has."));
        self.owner(TENANT_OF_OUTBOX, entry).await?.ok_or_else(none)
    }

    /// Returns the tenant of a session.
    ///
    /// # Errors
    /// When there is no such session.
    pub async fn tenant_of_session(&self, session: SessionId) -> Result<TenantId, Failure> {
        let none = || {
            Failure::Refused(format!("There is no session {session}. `ops seat list LICENSE` shows those there are."))
        };
        self.owner(TENANT_OF_SESSION, session.as_uuid()).await?.ok_or_else(none)
    }

    async fn owner(&self, sql: &str, id: Uuid) -> Result<Option<TenantId>, Failure> {
        let rows = self.db.outside_tenants((sql, &[&id])).await?;
        Ok(rows.first().and_then(|row| row.get::<_, Option<Uuid>>(0)).map(TenantId::from_uuid))
    }
}

/// Returns the failure of a command whose configuration has mistakes, which names all of them.
pub(crate) fn mistakes(setup: &Setup) -> Failure {
    let lines: Vec<_> = setup.mistakes().iter().map(ToString::to_string).collect();
    Failure::Usage(lines.join("\n"))
}
