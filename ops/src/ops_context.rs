//! The context of every command: the database, seats, and the operator's name.

use common::license_key::KeyHasher;
use common::{CaCertificates, Db, Setup, config};
use protocol::id::{LicenseId, SessionId, TenantId};
use seats::Seats;
use signing::{Signer, SigningKeySpec};
use uuid::Uuid;
use webhook_stripe::ledger::Ledger;

use crate::mailer::Mailer;
use crate::printer::Failure;
use crate::role::{self, Passwords};

const TENANT_BY_NAME: &str = "/* tenant_by_name */ select id from tenants_all() where slug = $1 or id::text = $1";
const TENANT_OF_LICENSE: &str = "/* tenant_of_license */ select tenant_of_license($1)";
const TENANT_OF_SESSION: &str = "/* tenant_of_session */ select tenant_of_session($1)";
const TENANT_OF_OUTBOX: &str = "/* tenant_of_outbox */ select tenant_of_outbox($1)";
const TENANTS_ALL: &str = "/* tenants_all */ select id from tenants_all()";

/// An entry of the audit log: id, actor, action, license, detail.
pub(crate) const AUDIT: &str = "/* audit_entry */
    insert into audit_log (id, tenant_id, actor, action, license_id, detail) values ($1, current_tenant(), $2, $3, $4, $5)";

/// Resource that a command needs besides the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Nothing.
    Nothing,
    /// Seats, and so Redis.
    Seats,
    /// The hasher of license keys.
    Hasher,
    /// The signing key.
    Signer,
    /// The ledger of Stripe's events.
    Ledger,
    /// The resources of delivery: seats, the hasher of license keys, and the mail transport.
    Delivery,
}

/// The database, the operator's name, and the configuration.
#[derive(Debug)]
pub struct OpsContext {
    /// The database, as its owner.
    pub db: Db,
    /// `operator:` and the login name, for the audit log.
    pub actor: String,
    setup: std::cell::RefCell<Setup>,
}

impl OpsContext {
    /// Opens with the environment's configuration. Everything that the command needs is checked before it starts.
    ///
    /// # Errors
    /// The mistakes of the configuration.
    pub fn open(need: Need) -> Result<Self, Failure> {
        let mut setup = Setup::from_env();
        let user = std::env::vars_os().find(|(name, _)| name == "USER").map(|(_, user)| user);
        let actor = user.map_or_else(|| "unknown".to_owned(), |user| user.to_string_lossy().into_owned());
        let db = setup.postgres();
        let has_it = match need {
            Need::Nothing => true,
            Need::Seats => Seats::from_setup(&mut setup).is_some(),
            Need::Hasher => KeyHasher::from_setup(&mut setup).is_some(),
            Need::Signer => signer(&mut setup).is_some(),
            Need::Ledger => Ledger::from_setup(&mut setup).is_some(),
            Need::Delivery => {
                let (seats, hasher) = (Seats::from_setup(&mut setup), KeyHasher::from_setup(&mut setup));
                Mailer::from_setup(&mut setup).is_some() && seats.is_some() && hasher.is_some()
            }
        };
        match db {
            Some(db) if has_it => Ok(Self { db, actor: format!("operator:{actor}"), setup: setup.into() }),
            _ => Err(mistakes(&setup)),
        }
    }

    /// Returns the seats, for the commands that change or show them.
    ///
    /// # Errors
    /// The mistakes of the configuration.
    pub fn seats(&self) -> Result<Seats, Failure> {
        let mut setup = self.setup.borrow_mut();
        Seats::from_setup(&mut setup).ok_or_else(|| mistakes(&setup))
    }

    /// Returns the ledger of Stripe's events.
    ///
    /// # Errors
    /// The mistakes of the configuration.
    pub fn ledger(&self) -> Result<Ledger, Failure> {
        let mut setup = self.setup.borrow_mut();
        Ledger::from_setup(&mut setup).ok_or_else(|| mistakes(&setup))
    }

    /// Returns the hasher of license keys.
    ///
    /// # Errors
    /// The mistakes of the configuration.
    pub fn hasher(&self) -> Result<KeyHasher, Failure> {
        let mut setup = self.setup.borrow_mut();
        KeyHasher::from_setup(&mut setup).ok_or_else(|| mistakes(&setup))
    }

    /// Returns the signing key.
    ///
    /// # Errors
    /// The mistakes of the configuration.
    pub fn signer(&self) -> Result<Signer, Failure> {
        let mut setup = self.setup.borrow_mut();
        signer(&mut setup).ok_or_else(|| mistakes(&setup))
    }

    /// Returns the mail transport, for delivery.
    ///
    /// # Errors
    /// The mistakes of the configuration.
    pub fn mailer(&self) -> Result<Mailer, Failure> {
        let mut setup = self.setup.borrow_mut();
        Mailer::from_setup(&mut setup).ok_or_else(|| mistakes(&setup))
    }

    /// Returns the passwords that roles get.
    ///
    /// # Errors
    /// The mistakes of the configuration.
    pub fn role_passwords(&self) -> Result<Passwords, Failure> {
        let mut setup = self.setup.borrow_mut();
        setup.required(&config::ROLE_PASSWORDS, role::passwords).ok_or_else(|| mistakes(&setup))
    }

    /// Returns the owner's connection URL, and the authorities that the server's certificate is checked with, for migrations.
    ///
    /// # Errors
    /// When it isn't set, or isn't one of Postgres.
    pub fn database_url() -> Result<(String, CaCertificates), Failure> {
        let mut setup = Setup::from_env();
        let ca_certificates = CaCertificates::from_setup(&mut setup);
        let web = CaCertificates::default();
        let url = setup.required(&config::DATABASE_URL, |url| Db::connect(url, &web).map(|_| url.to_owned()));
        url.zip(ca_certificates).ok_or_else(|| mistakes(&setup))
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

fn signer(setup: &mut Setup) -> Option<Signer> {
    let endpoint = setup.optional(&config::KMS_ENDPOINT, config::url)?;
    let connect = |spec| Signer::connect(spec, endpoint).map_err(|e| e.to_string());
    setup.required(&config::SIGNING_KEY, |spec| SigningKeySpec::parse(spec).and_then(connect))
}

pub(crate) fn mistakes(setup: &Setup) -> Failure {
    let lines: Vec<_> = setup.mistakes().iter().map(ToString::to_string).collect();
    Failure::Usage(lines.join("\n"))
}
