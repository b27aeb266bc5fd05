//! Arguments of `ops person`.

use clap::Subcommand;

use crate::office::Office;
use crate::person;
use crate::printer::{Failure, Shown};

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
    pub(super) async fn run(self, office: &Office) -> Result<Shown, Failure> {
        match self {
            Self::Export { who, tenant } => person::export(office, &tenant, &who).await,
            Self::Erase { who, tenant, now } => person::erase(office, &tenant, &who, now).await,
            Self::Keep { who, tenant } => person::keep(office, &tenant, &who).await,
        }
    }
}
