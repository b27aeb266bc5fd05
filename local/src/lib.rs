//! Everything that the client of CODITECT Cloud has on its machine: the home folder with everything that is stored in it, the secrets,
//! the clock, the context (tasks, decisions, learnings, messages) with the queue of its changes, and the agent's hook.
//!
//! Nothing here has a network: the crate `coditect` is on top of it, asks the cloud, and passes the public types of this
//! crate on.
//!
//! | to find | look in |
//! |---|---|
//! | what can go wrong, and the hint that helps | [`Error`] |
//! | a file of the home folder | [`home::Home`]; a sealed one: [`vault::Vault`] |
//! | the time, as far as the clock can be trusted | [`clock::TrustedClock`] |
//! | records on this machine | [`ContextStore`] |
//! | the hook that an agent calls | [`hook::AgentHook`] |

mod address;
mod allowance;
mod background_sync;
pub mod child;
pub mod clock;
pub mod command_count;
mod config;
pub mod context;
pub mod doctor;
pub mod environment;
mod error;
mod file_owner;
pub mod hardware;
pub mod home;
pub mod hook;
pub mod input;
pub mod instance;
mod keychain;
mod last_error;
mod last_refusal;
mod license;
pub mod notice;
mod profile;
mod project;
pub mod random;
pub mod remaining;
pub mod telemetry;
pub mod text;
mod uptime;
pub mod vault;

pub use address::Address;
pub use allowance::Allowance;
pub use clock::now;
pub use config::{Config, Sso};
pub use context::{
    Change, ContextStore, Draft, Entry, Filter, JournalEntry, JournalEvent, Mended, Queued, SyncStatus, Trouble,
};
pub use error::{
    ContextError, Ending, Error, ExportFault, Fault, HomeFault, HookError, KeychainFault, KeysError, Outage, Refusal,
    SignInError, UpdateError,
};
pub use last_error::LastError;
pub use last_refusal::LastRefusal;
pub use license::{FREE_COMMANDS_PER_DAY, License, Source, Verdict};
pub use notice::Notice;
pub use profile::Profile;
pub use project::project_name;
pub use protocol::wire::Kind;
pub use uptime::Uptime;
