//! `coditect sync keys`

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make the key that encrypts your organisation's contents, which the cloud never has
    Init {
        /// Don't ask whether you know what losing the key means
        #[arg(long)]
        yes: bool,
    },
    /// Write the key for another machine, so that only a passphrase opens it
    Export {
        /// Where to [default: standard output]
        file: Option<PathBuf>,
        #[command(flatten)]
        passphrase: PassphraseSource,
    },
    /// Take over the key that another machine has exported
    Import {
        /// Where from, or - for standard input
        file: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseSource,
    },
    /// Forget the key on this machine, after your organisation's encryption was turned off
    Remove {
        /// Don't ask whether you know what it means
        #[arg(long)]
        yes: bool,
    },
    /// Show which key is here, and which one the cloud knows
    Status,
}

#[derive(Debug, Args)]
pub(crate) struct PassphraseSource {
    /// Read the passphrase from a file, or - for standard input [default: ask on the terminal]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}
