//! The arguments of `coditect login`.

use clap::Args;

#[derive(Debug, Args)]
#[command(after_help = concat!(
    examples![
        "coditect login                         # in a browser on this machine",
        "coditect login --device                # with a browser on another one",
        "coditect login --sso https://login.example.com --client-id coditect",
    ],
    "\n\nYour organization's own provider is remembered for the profile; `coditect config unset sso` goes back to the cloud's.",
))]
pub(crate) struct LoginArguments {
    /// Sign in with a browser on another machine: prints an address and a code to enter there
    #[arg(long, conflicts_with = "no_browser")]
    pub(crate) device: bool,
    /// Print the address instead of opening a browser on this machine
    #[arg(long)]
    pub(crate) no_browser: bool,
    /// Sign in with your organization's own OpenID Connect provider
    #[arg(long, value_name = "ISSUER")]
    pub(crate) sso: Option<String>,
    /// Client id of coditect at that provider [default: that at the cloud's provider]
    #[arg(long, value_name = "ID", requires = "sso")]
    pub(crate) client_id: Option<String>,
}
