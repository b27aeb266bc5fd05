//! `ops context`.

use clap::Subcommand;
use protocol::wire::Kind;

use crate::context;
use crate::office::Office;
use crate::printer::{Failure, Shown};

/// What tenants sync between their machines.
#[derive(Debug, Subcommand)]
pub(super) enum Context {
    /// Show what there is of a tenant, and which devices push.
    Status {
        #[arg(long)]
        tenant: String,
    },
    /// Show what a record is and was, who changed it and where; with --json also what it said.
    History {
        #[arg(long)]
        tenant: String,
        #[arg(long)]
        kind: Kind,
        #[arg(long)]
        id: String,
    },
    /// Make clients start over, after a restore of an earlier state.
    Epoch {
        #[arg(long, required_unless_present = "all")]
        tenant: Option<String>,
        /// Every tenant's.
        #[arg(long, conflicts_with = "tenant")]
        all: bool,
    },
    #[command(subcommand)]
    Encryption(Encryption),
}

/// Whether a tenant's contents must be encrypted.
#[derive(Debug, Subcommand)]
pub(super) enum Encryption {
    /// Let contents come that aren't, or are under another key.
    Off {
        #[arg(long)]
        tenant: String,
    },
}

impl Context {
    pub(super) async fn run(self, office: &Office, json: bool) -> Result<Shown, Failure> {
        match self {
            Self::Status { tenant } => context::status(office, &tenant).await,
            Self::History { tenant, kind, id } => context::history(office, &tenant, kind, &id, json).await,
            Self::Epoch { tenant, .. } => context::raise_epoch(office, tenant.as_deref()).await,
            Self::Encryption(Encryption::Off { tenant }) => context::lift_encryption(office, &tenant).await,
        }
    }
}
