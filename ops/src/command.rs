//! Arguments of the command line.

mod context;
mod person;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use protocol::id::{HardwareId, LicenseId, SessionId};
use protocol::key::Brand;

use self::context::Context;
use self::person::Person;
use crate::enterprise::{Export, Until};
use crate::license::{Change, LicenseFilter, NewLicense};
use crate::ops_context::{Need, OpsContext};
use crate::printer::{Failure, Output};
use crate::stripe::Stripe;
use crate::{
    delivery, device, enterprise, key, license, migrate, outbox, plan, rekey, role, seat, smoke, sweep, tenant,
};

/// Operates a CODITECT Cloud deployment. Runs in its environment: DATABASE_URL as the owner, REDIS_URL, LICENSE_KEY_PEPPER, SMTP_URL.
#[derive(Debug, Parser)]
#[command(name = "ops", version)]
pub struct Ops {
    /// Print one JSON object.
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Bring the database to this release's schema.
    Migrate,
    /// Give the functions' database roles the passwords of ROLE_PASSWORDS.
    Roles,
    /// Delete what is kept for a time only, and people who are to be erased.
    Sweep,
    /// Ask a revision of a function at its own URL whether it answers as it should; with SMOKE_LICENSE_KEY, take a seat with it.
    Smoke { function: String, url: String },
    #[command(subcommand)]
    Tenant(Tenant),
    #[command(subcommand)]
    User(User),
    #[command(subcommand)]
    Person(Person),
    #[command(subcommand)]
    License(License),
    #[command(subcommand)]
    Seat(Seat),
    #[command(subcommand)]
    Device(Device),
    #[command(subcommand)]
    Plan(Plan),
    #[command(subcommand)]
    Keys(Keys),
    #[command(subcommand)]
    Outbox(Outbox),
    #[command(subcommand)]
    Stripe(Stripe),
    #[command(subcommand)]
    Context(Context),
}

/// Organizations.
#[derive(Debug, Subcommand)]
enum Tenant {
    /// Make a tenant.
    Create {
        #[arg(long)]
        name: String,
        /// Made of the name where it isn't given.
        #[arg(long)]
        slug: Option<String>,
    },
    /// Show all tenants.
    List,
}

/// People in a tenant.
#[derive(Debug, Subcommand)]
enum User {
    /// Add a user to a tenant.
    Add {
        /// Slug or id.
        #[arg(long)]
        tenant: String,
        #[arg(long)]
        email: String,
        #[arg(long, value_enum, default_value_t = Role::Member)]
        role: Role,
        /// The OpenID Connect issuer that knows the user.
        #[arg(long, requires = "subject")]
        issuer: Option<String>,
        /// What that issuer calls the user.
        #[arg(long, requires = "issuer")]
        subject: Option<String>,
    },
    /// Show a tenant's users.
    List {
        #[arg(long)]
        tenant: String,
    },
    /// Forget the identity that a user signed in with, as after a change of the identity provider.
    ResetIdentity {
        #[arg(long)]
        tenant: String,
        #[arg(long)]
        email: String,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Role {
    Owner,
    Admin,
    Member,
}

/// Rights to use a plan.
#[derive(Debug, Subcommand)]
enum License {
    /// Issue a license and show its key, once.
    Issue {
        #[arg(long)]
        tenant: String,
        /// The plan's code: `ops plan list`.
        #[arg(long)]
        plan: String,
        #[arg(long)]
        seats: Option<u32>,
        /// RFC 3339, such as 2027-01-31T00:00:00Z; never where it isn't given.
        #[arg(long)]
        expires: Option<Timestamp>,
        /// The brand in front of the key.
        #[arg(long, value_enum, default_value_t = KeyBrand::Coditect)]
        brand: KeyBrand,
    },
    /// Show licenses.
    List {
        #[arg(long)]
        tenant: Option<String>,
        /// The id of a customer of Stripe's: cus_…
        #[arg(long, conflicts_with = "tenant")]
        customer: Option<String>,
    },
    /// Show one license.
    Show { id: LicenseId },
    /// End its sessions and refuse new ones until it is resumed.
    Suspend { id: LicenseId },
    /// Make a suspended license good again.
    Resume {
        id: LicenseId,
        /// Lift what a refund or dispute holds back, until Stripe's next fact about it.
        #[arg(long)]
        billing: bool,
    },
    /// End it for good.
    Revoke { id: LicenseId },
    /// Replace its key by another one, which is mailed to the owner of the organization: for when a key has leaked.
    Rekey {
        id: LicenseId,
        /// How long the former key stays good, such as 12h or 7d; not at all where it isn't given.
        #[arg(long, value_name = "DURATION", value_parser = rekey::grace, default_value = "0s")]
        grace: SignedDuration,
    },
    /// Change its seats; fewer end no session.
    SetSeats {
        id: LicenseId,
        #[arg(long)]
        seats: u32,
    },
    /// Make the license file of an installation of the customer's own, signed with SIGNING_KEY.
    Export {
        id: LicenseId,
        /// What for; there is nothing else yet.
        #[arg(long, required = true)]
        enterprise: bool,
        /// How many people may work at the same time; the license's seats where it isn't given.
        #[arg(long)]
        users: Option<u32>,
        /// RFC 3339; as long as the license where neither this nor --days is given.
        #[arg(long, conflicts_with = "days")]
        until: Option<Timestamp>,
        /// For so many days from now.
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=36_500))]
        days: Option<u32>,
        /// Where to write it; to standard output where it isn't given.
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KeyBrand {
    Coditect,
    Csfw,
}

/// Who sits where.
#[derive(Debug, Subcommand)]
enum Seat {
    /// Show who holds a license's seats.
    List { license: LicenseId },
    /// Show how many seats of each plan are taken.
    Usage,
    /// End a session and free its seat.
    Evict { session: SessionId },
}

/// Machines that have a place on a license.
#[derive(Debug, Subcommand)]
enum Device {
    /// Show a license's devices.
    List { license: LicenseId },
    /// Free a device's place.
    Remove { license: LicenseId, machine: String },
}

/// The catalogue.
#[derive(Debug, Subcommand)]
enum Plan {
    /// Show all plans.
    List,
    /// Add or replace plans from a JSON file.
    Import { file: PathBuf },
}

/// Public keys of our signatures.
#[derive(Debug, Subcommand)]
enum Keys {
    /// Show all keys.
    List,
    /// Believe what a key signed no more.
    Retire {
        // One thumbprint in 64 begins with a hyphen.
        #[arg(allow_hyphen_values = true)]
        kid: String,
    },
}

/// What has to reach the outside: mails, and seats that Redis wasn't told of.
#[derive(Debug, Subcommand)]
enum Outbox {
    /// Deliver what is due.
    Deliver {
        /// Go on, looking again after so many seconds.
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..=86_400))]
        watch: Option<u32>,
    },
    /// Show entries.
    List {
        /// Only those that were given up.
        #[arg(long, conflicts_with = "pending")]
        dead: bool,
        /// Only those that are still to be delivered.
        #[arg(long)]
        pending: bool,
        #[arg(long)]
        tenant: Option<String>,
    },
    /// Make an entry due again, also one that was given up.
    Retry { id: uuid::Uuid },
}

impl Ops {
    /// Runs the command.
    ///
    /// # Errors
    /// The reason why it could not be done.
    pub async fn run(self) -> Result<Output, Failure> {
        if let Command::Migrate = self.command {
            return migrate_schema().await;
        }
        // The smoke test runs where there is neither a database nor a right to one.
        if let Command::Smoke { function, url } = &self.command {
            return smoke::test(function, url).await;
        }
        let ops = OpsContext::open(self.command.needs())?;
        match self.command {
            Command::Migrate => migrate_schema().await,
            Command::Roles => role::set_passwords(&ops).await,
            Command::Smoke { function, url } => smoke::test(&function, &url).await,
            Command::Sweep => sweep::all(&ops).await,
            Command::Tenant(Tenant::Create { name, slug }) => tenant::create(&ops, &name, slug).await,
            Command::Tenant(Tenant::List) => tenant::list(&ops).await,
            Command::User(User::Add { tenant, email, role, issuer, subject }) => {
                tenant::add_user(&ops, &tenant, &email, role.as_str(), issuer.zip(subject)).await
            }
            Command::User(User::List { tenant }) => tenant::users(&ops, &tenant).await,
            Command::User(User::ResetIdentity { tenant, email }) => tenant::reset_identity(&ops, &tenant, &email).await,
            Command::Person(command) => command.run(&ops).await,
            Command::License(command) => command.run(&ops).await,
            Command::Seat(Seat::List { license }) => seat::list(&ops, license).await,
            Command::Seat(Seat::Usage) => seat::usage(&ops).await,
            Command::Seat(Seat::Evict { session }) => seat::evict(&ops, session).await,
            Command::Device(Device::List { license }) => device::list(&ops, license).await,
            Command::Device(Device::Remove { license, machine }) => {
                let machine = HardwareId::parse(&machine).map_err(|e| Failure::Usage(e.to_string()))?;
                device::remove(&ops, license, &machine).await
            }
            Command::Plan(Plan::List) => plan::list(&ops).await,
            Command::Plan(Plan::Import { file }) => plan::import(&ops, &file).await,
            Command::Keys(Keys::List) => key::list(&ops).await,
            Command::Keys(Keys::Retire { kid }) => key::retire(&ops, &kid).await,
            Command::Outbox(Outbox::Deliver { watch }) => delivery::deliver(&ops, self.json, watch).await,
            Command::Outbox(Outbox::List { dead, pending, tenant }) => {
                let state = if dead { Some("dead") } else { pending.then_some("pending") };
                outbox::list(&ops, state, tenant.as_deref()).await
            }
            Command::Outbox(Outbox::Retry { id }) => outbox::retry(&ops, id).await,
            Command::Stripe(command) => command.run(&ops).await,
            Command::Context(command) => command.run(&ops, self.json).await,
        }
    }
}

impl Command {
    fn needs(&self) -> Need {
        match self {
            Self::License(License::Issue { .. } | License::Rekey { .. }) => Need::Hasher,
            Self::License(License::Export { .. }) => Need::Signer,
            Self::License(License::List { .. }) => Need::Nothing,
            Self::Outbox(Outbox::Deliver { .. }) => Need::Delivery,
            Self::Stripe(Stripe::Retry { .. } | Stripe::Reconcile { .. }) => Need::Ledger,
            Self::License(License::Resume { billing: true, .. }) => Need::Ledger,
            Self::License(_) | Self::Seat(_) | Self::Person(Person::Erase { .. }) => Need::Seats,
            _ => Need::Nothing,
        }
    }
}

impl License {
    async fn run(self, ops: &OpsContext) -> Result<Output, Failure> {
        match self {
            Self::Issue { tenant, plan, seats, expires, brand } => {
                let brand = match brand {
                    KeyBrand::Coditect => Brand::Coditect,
                    KeyBrand::Csfw => Brand::Csfw,
                };
                license::issue(ops, &NewLicense { tenant: &tenant, plan: &plan, seats, expires, brand }).await
            }
            Self::List { tenant, customer } => {
                let filter = match (&tenant, &customer) {
                    (Some(name), _) => LicenseFilter::Tenant(name),
                    (None, Some(id)) => LicenseFilter::Customer(id),
                    (None, None) => LicenseFilter::All,
                };
                license::list(ops, filter).await
            }
            Self::Show { id } => license::show(ops, id).await,
            Self::Suspend { id } => license::change(ops, id, Change::Suspend).await,
            Self::Resume { id, billing: true } => license::lift_billing_hold(ops, id).await,
            Self::Resume { id, billing: false } => license::change(ops, id, Change::Resume).await,
            Self::Revoke { id } => license::change(ops, id, Change::Revoke).await,
            Self::Rekey { id, grace } => rekey::rekey(ops, id, grace).await,
            Self::SetSeats { id, seats } => license::change(ops, id, Change::Seats(seats)).await,
            Self::Export { id, enterprise: _, users, until, days, out } => {
                let until = until.map(Until::Time).or(days.map(Until::Days)).unwrap_or(Until::License);
                enterprise::export(ops, id, &Export { users, until, out: out.as_deref() }).await
            }
        }
    }
}

impl Role {
    fn as_str(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Admin => "admin",
            Self::Member => "member",
        }
    }
}

async fn migrate_schema() -> Result<Output, Failure> {
    let (url, ca_certificates) = OpsContext::database_url()?;
    let applied = migrate::apply(&url, &ca_certificates).await.map_err(|e| Failure::Broken(e.to_string()))?;
    Ok(Output::Message(match applied.migrations.as_slice() {
        [] => "The schema is current.".to_owned(),
        some => format!("Applied {}.", some.join(", ")),
    }))
}
