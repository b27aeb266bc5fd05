//! `coditect sync keys`

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Create the key that encrypts your organization's contents; the cloud never has it
    #[command(after_help = examples!["coditect sync keys init"])]
    Init {
        /// Don't ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Export the key for another machine, encrypted with a passphrase
    #[command(after_help = examples!["coditect sync keys export key.txt", "coditect sync keys export --passphrase-file pass.txt >key.txt"])]
    Export {
        /// File to write [default: standard output]
        file: Option<PathBuf>,
        #[command(flatten)]
        passphrase: PassphraseSource,
    },
    /// Import the key that another machine has exported
    #[command(after_help = examples!["coditect sync keys import key.txt"])]
    Import {
        /// File to read, or - for standard input
        file: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseSource,
    },
    /// Remove the key from this machine, after your organization's encryption was turned off
    #[command(after_help = examples!["coditect sync keys remove"])]
    Remove {
        /// Don't ask for confirmation
        #[arg(long)]
        yes: bool,
    },
    /// Show which key this machine has, and which one the cloud knows
    #[command(after_help = examples!["coditect sync keys status"])]
    Status,
}

#[derive(Debug, Args)]
pub(crate) struct PassphraseSource {
    /// Read the passphrase from a file, or - for standard input [default: ask on the terminal]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}
