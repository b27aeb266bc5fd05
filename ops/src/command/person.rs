//! Arguments of `ops person`.

use clap::Subcommand;
use seats::Seats;

use crate::ops_context::OpsContext;
use crate::person;
use crate::printer::{Failure, Output};

/// What is held of a person, named by address or id.
#[derive(Debug, Subcommand)]
pub(super) enum Person {
    /// Show all of it.
    Export {
        who: String,
        #[arg(long)]
        tenant: String,
    },
    /// End their sessions, refuse their sign-in, and erase them in 30 days.
    Erase {
        who: String,
        #[arg(long)]
        tenant: String,
        /// At once, and for good.
        #[arg(long)]
        now: bool,
    },
    /// Undo that, within the 30 days.
    Keep {
        who: String,
        #[arg(long)]
        tenant: String,
    },
}

impl Person {
    pub(super) async fn run(self) -> Result<Output, Failure> {
        match self {
            Self::Export { who, tenant } => person::export(&OpsContext::from_env()?, &tenant, &who).await,
            Self::Erase { who, tenant, now } => {
                let (ops, seats) = OpsContext::with(Seats::from_setup)?;
                person::erase(&ops, &seats, &tenant, &who, now).await
            }
            Self::Keep { who, tenant } => person::keep(&OpsContext::from_env()?, &tenant, &who).await,
        }
    }
}
