//! `ops context`.

use clap::Subcommand;
use protocol::wire::Kind;

use crate::context::{self, Before, ForgetFilter};
use crate::ops_context::OpsContext;
use crate::printer::{Failure, Output};

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
    /// Delete what the history keeps: of one record, or of a tenant what is older than a time. Records stay as they are.
    Forget {
        #[arg(long)]
        tenant: String,
        /// Of the record of this kind alone.
        #[arg(long, requires = "id")]
        kind: Option<Kind>,
        /// The record's id.
        #[arg(long, requires = "kind")]
        id: Option<String>,
        /// Only what was replaced, or lost a conflict, before: an age such as 30d, or a date such as 2026-11-01. 0d: all.
        #[arg(long, value_name = "AGE|DATE", value_parser = context::before, required_unless_present = "id")]
        before: Option<Before>,
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
    pub(super) async fn run(self, ops: &OpsContext, json: bool) -> Result<Output, Failure> {
        match self {
            Self::Status { tenant } => context::status(ops, &tenant).await,
            Self::History { tenant, kind, id } => context::history(ops, &tenant, kind, &id, json).await,
            Self::Forget { tenant, kind, id, before } => {
                let record = kind.zip(id.as_deref());
                context::forget(ops, &tenant, &ForgetFilter { record, before: before.and_then(Before::time) }).await
            }
            Self::Epoch { tenant, .. } => context::raise_epoch(ops, tenant.as_deref()).await,
            Self::Encryption(Encryption::Off { tenant }) => context::lift_encryption(ops, &tenant).await,
        }
    }
}
