//! Arguments of `ops license`.

use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};
use common::license_key::KeyHasher;
use jiff::{SignedDuration, Timestamp};
use protocol::id::LicenseId;
use protocol::key::Brand;
use seats::Seats;
use signing::Signer;
use webhook_stripe::event_store::EventStore;

use crate::enterprise::{self, Export, Until};
use crate::license::{self, Change, LicenseFilter, NewLicense};
use crate::ops_context::OpsContext;
use crate::printer::{Failure, Output};
use crate::rekey;

/// Rights to use a plan.
#[derive(Debug, Subcommand)]
pub(super) enum License {
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
pub(super) enum KeyBrand {
    Coditect,
    Csfw,
}

impl License {
    pub(super) async fn run(self) -> Result<Output, Failure> {
        match self {
            Self::Issue { tenant, plan, seats, expires, brand } => {
                let (ops, hasher) = OpsContext::with(KeyHasher::from_setup)?;
                let brand = match brand {
                    KeyBrand::Coditect => Brand::Coditect,
                    KeyBrand::Csfw => Brand::Csfw,
                };
                license::issue(&ops, &hasher, &NewLicense { tenant: &tenant, plan: &plan, seats, expires, brand }).await
            }
            Self::List { tenant, customer } => {
                let filter = match (&tenant, &customer) {
                    (Some(name), _) => LicenseFilter::Tenant(name),
                    (None, Some(id)) => LicenseFilter::Customer(id),
                    (None, None) => LicenseFilter::All,
                };
                license::list(&OpsContext::from_env()?, filter).await
            }
            Self::Show { id } => {
                let (ops, seats) = OpsContext::with(Seats::from_setup)?;
                license::show(&ops, &seats, id).await
            }
            Self::Suspend { id } => change(id, Change::Suspend).await,
            Self::Resume { id, billing: true } => {
                let (ops, (store, seats)) =
                    OpsContext::with(|setup| EventStore::from_setup(setup).zip(Seats::from_setup(setup)))?;
                license::lift_billing_hold(&ops, &store, &seats, id).await
            }
            Self::Resume { id, billing: false } => change(id, Change::Resume).await,
            Self::Revoke { id } => change(id, Change::Revoke).await,
            Self::Rekey { id, grace } => {
                let (ops, hasher) = OpsContext::with(KeyHasher::from_setup)?;
                rekey::rekey(&ops, &hasher, id, grace).await
            }
            Self::SetSeats { id, seats } => change(id, Change::Seats(seats)).await,
            Self::Export { id, enterprise: _, users, until, days, out } => {
                let (ops, signer) = OpsContext::with(Signer::from_setup)?;
                let until = until.map(Until::Time).or(days.map(Until::Days)).unwrap_or(Until::License);
                enterprise::export(&ops, &signer, id, &Export { users, until, out: out.as_deref() }).await
            }
        }
    }
}

async fn change(license: LicenseId, change: Change) -> Result<Output, Failure> {
    let (ops, seats) = OpsContext::with(Seats::from_setup)?;
    license::change(&ops, &seats, license, change).await
}
