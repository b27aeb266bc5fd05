//! `coditect sync keys`

use std::path::PathBuf;

use clap::{Args, Subcommand};

#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Make the key that encrypts your organization's contents, which the cloud never has
    #[command(after_help = examples!["coditect sync keys init"])]
    Init {
        /// Don't ask whether you know what losing the key means
        #[arg(long)]
        yes: bool,
    },
    /// Write the key for another machine, so that only a passphrase opens it
    #[command(after_help = examples!["coditect sync keys export key.txt", "coditect sync keys export --passphrase-file pass.txt >key.txt"])]
    Export {
        /// Where to [default: standard output]
        file: Option<PathBuf>,
        #[command(flatten)]
        passphrase: PassphraseSource,
    },
    /// Take over the key that another machine has exported
    #[command(after_help = examples!["coditect sync keys import key.txt"])]
    Import {
        /// Where from, or - for standard input
        file: PathBuf,
        #[command(flatten)]
        passphrase: PassphraseSource,
    },
    /// Forget the key on this machine, after your organization's encryption was turned off
    #[command(after_help = examples!["coditect sync keys remove"])]
    Remove {
        /// Don't ask whether you know what it means
        #[arg(long)]
        yes: bool,
    },
    /// Show which key is here, and which one the cloud knows
    #[command(after_help = examples!["coditect sync keys status"])]
    Status,
}

#[derive(Debug, Args)]
pub(crate) struct PassphraseSource {
    /// Read the passphrase from a file, or - for standard input [default: ask on the terminal]
    #[arg(long, value_name = "FILE")]
    pub(crate) passphrase_file: Option<PathBuf>,
}
