//! Arguments of the command line.

mod context;
mod license;
mod person;

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};
use protocol::id::{HardwareId, LicenseId, SessionId};
use seats::Seats;

use self::context::Context;
use self::license::License;
use self::person::Person;
use crate::delivery::{self, Destinations};
use crate::ops_context::OpsContext;
use crate::printer::{Failure, Output};
use crate::stripe::Stripe;
use crate::{device, key, migrate, outbox, plan, role, seat, smoke, sweep, tenant};

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
        match self.command {
            Command::Migrate => migrate::run().await,
            Command::Roles => {
                let (ops, passwords) = OpsContext::with(role::passwords_from_setup)?;
                role::set_passwords(&ops, &passwords).await
            }
            Command::Sweep => sweep::all(&OpsContext::from_env()?).await,
            // The smoke test runs where there is neither a database nor a right to one.
            Command::Smoke { function, url } => smoke::test(&function, &url).await,
            Command::Tenant(command) => command.run(&OpsContext::from_env()?).await,
            Command::User(command) => command.run(&OpsContext::from_env()?).await,
            Command::Person(command) => command.run().await,
            Command::License(command) => command.run().await,
            Command::Seat(command) => command.run().await,
            Command::Device(command) => command.run(&OpsContext::from_env()?).await,
            Command::Plan(command) => command.run(&OpsContext::from_env()?).await,
            Command::Keys(command) => command.run(&OpsContext::from_env()?).await,
            Command::Outbox(command) => command.run(self.json).await,
            Command::Stripe(command) => command.run().await,
            Command::Context(command) => command.run(&OpsContext::from_env()?, self.json).await,
        }
    }
}

impl Tenant {
    async fn run(self, ops: &OpsContext) -> Result<Output, Failure> {
        match self {
            Self::Create { name, slug } => tenant::create(ops, &name, slug).await,
            Self::List => tenant::list(ops).await,
        }
    }
}

impl User {
    async fn run(self, ops: &OpsContext) -> Result<Output, Failure> {
        match self {
            Self::Add { tenant, email, role, issuer, subject } => {
                tenant::add_user(ops, &tenant, &email, role.as_str(), issuer.zip(subject)).await
            }
            Self::List { tenant } => tenant::users(ops, &tenant).await,
            Self::ResetIdentity { tenant, email } => tenant::reset_identity(ops, &tenant, &email).await,
        }
    }
}

impl Seat {
    async fn run(self) -> Result<Output, Failure> {
        let (ops, seats) = OpsContext::with(Seats::from_setup)?;
        match self {
            Self::List { license } => seat::list(&ops, &seats, license).await,
            Self::Usage => seat::usage(&seats).await,
            Self::Evict { session } => seat::evict(&ops, &seats, session).await,
        }
    }
}

impl Device {
    async fn run(self, ops: &OpsContext) -> Result<Output, Failure> {
        match self {
            Self::List { license } => device::list(ops, license).await,
            Self::Remove { license, machine } => {
                let machine = HardwareId::parse(&machine).map_err(|e| Failure::Usage(e.to_string()))?;
                device::remove(ops, license, &machine).await
            }
        }
    }
}

impl Plan {
    async fn run(self, ops: &OpsContext) -> Result<Output, Failure> {
        match self {
            Self::List => plan::list(ops).await,
            Self::Import { file } => plan::import(ops, &file).await,
        }
    }
}

impl Keys {
    async fn run(self, ops: &OpsContext) -> Result<Output, Failure> {
        match self {
            Self::List => key::list(ops).await,
            Self::Retire { kid } => key::retire(ops, &kid).await,
        }
    }
}

impl Outbox {
    async fn run(self, json: bool) -> Result<Output, Failure> {
        match self {
            Self::Deliver { watch } => {
                let (ops, destinations) = OpsContext::with(Destinations::from_setup)?;
                delivery::deliver(&ops, destinations, json, watch).await
            }
            Self::List { dead, pending, tenant } => {
                let state = if dead { Some("dead") } else { pending.then_some("pending") };
                outbox::list(&OpsContext::from_env()?, state, tenant.as_deref()).await
            }
            Self::Retry { id } => outbox::retry(&OpsContext::from_env()?, id).await,
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
