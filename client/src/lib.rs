//! The client of CODITECT Cloud: asks whether this machine may run, holds one of the license's seats while it does, and has
//! the context (tasks, decisions, learnings, messages) on all of a team's machines.
//!
//! ```no_run
//! use coditect::{LicenseClient, LicenseKey};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = LicenseClient::builder().on_notice(|notice| eprintln!("{notice}")).build()?;
//! client.activate(&LicenseKey::parse("CODITECT-PRO-A7F3E9D2C4B1-D3W4")?)?; // once per machine
//!
//! let seat = client.acquire()?; // kept by a thread of its own
//! println!("working on seat {}", seat.session_id());
//! drop(seat); // given back
//! # Ok(())
//! # }
//! ```
//!
//! | an engine asks | with |
//! |---|---|
//! | may I run here, and with what? | [`LicenseClient::validate`]: from memory for a day, without the cloud for a week |
//! | may I run one more command? | [`LicenseClient::count_command`], where the plan limits them; needs no cloud |
//! | for one of the license's seats | [`LicenseClient::acquire`]: a [`Seat`] for as long as the value lives |
//! | do I still have it? | [`Seat::ended`], or a [`Notice`] |
//! | what is known here? | [`LicenseClient::status`]: makes no request |
//! | to keep what it did and decided | [`ContextStore`], [`LicenseClient::context`] |
//! | what is wrong? | [`LicenseClientBuilder::diagnose`] |
//!
//! Without a license key the answer is the free tier, which needs no network and no account:
//!
//! ```
//! use coditect::{LicenseClient, Source, Tier, Verdict};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let home = folder.path().join("home");
//! let client = LicenseClient::builder().home(&home).build()?;
//! let Verdict::Valid(license) = client.validate()? else { unreachable!("there is no license to be invalid") };
//! assert_eq!((license.tier, license.source), (Tier::Free, Source::Free));
//! assert_eq!(client.count_command()?.map(|today| today.left()), Some(9));
//! # Ok(())
//! # }
//! ```
//!
//! Everything blocks; there is no async runtime underneath. [`LicenseClient`] is shared by threads and cheap to clone;
//! a [`ContextStore`] or [`Context`] is for one thread at a time. A process that forks makes its client afterwards: the
//! threads that keep seats, and connections, are the parent's. Nothing is printed: notices for the user arrive at
//! [`LicenseClientBuilder::on_notice`], and every [`Error`] is a sentence with a [hint](Error::hint). For programs,
//! [`Error::code`] and [`Notice::code`] are stable words. Errors, notices and answers get more variants and fields with new
//! versions; [`Verdict`] and [`Ending`] are complete, so that a `match` of them is, too.
//!
//! # Context
//!
//! [`ContextStore`] reads and writes records on this machine. It needs no key and no cloud, and opens within a millisecond.
//! [`LicenseClient::context`] adds the sync:
//!
//! ```no_run
//! use coditect::{Config, Draft, Kind, LicenseClient};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! Config::open(None)?.set_sync(true)?; // once, by the person's wish; it is off until then
//! let context = LicenseClient::builder().build()?.context();
//! context.store().put(&Draft {
//!     kind: Kind::Task,
//!     id: "write-it-down".parse()?,
//!     project_id: None,
//!     content: serde_json::json!({"description": "Write it down", "status": "pending"}),
//! })?; // on disk, and in the queue
//! let synced = context.sync(|_| ())?; // or, for as long as the process lives, `context.watch`
//! println!("{} sent, {} fetched", synced.pushed.sent(), synced.pulled.records);
//! # Ok(())
//! # }
//! ```
//!
//! - A change is stored before [`put`](ContextStore::put) returns, and leaves the queue when the cloud has confirmed it.
//!   A process that is killed at any moment loses and doubles nothing.
//! - Of two changes of a record that did not know of each other, the later one is the record's; the other one is in its
//!   [history](Context::history), and a [`Notice`] reports it.
//! - A change that the cloud refuses three times for a fault of its own is parked: [`ContextStore::status`] shows it,
//!   [`ContextStore::retry`] sends it again. No other failure counts.
//! - A cloud that was restored from a backup gets back what it had lost and this machine has.
//! - The context of a home folder belongs to the organization that it was first synced with. Another one's license key is
//!   refused, and sends nothing.
//!
//! With a tenant key ([`LicenseClient::init_tenant_key`]) contents leave this machine encrypted, and the cloud can't read
//! them. Other machines take the key over with [`LicenseClient::import_tenant_key`]; until then they keep contents as they
//! came ([`Entry::locked`]). If the key is lost on every machine, the contents in the cloud are lost: they can't be restored.
//!
//! [`hook::AgentHook`] makes records of what an agent plans, within milliseconds.
//!
//! # Stored files
//!
//! In `~/.coditect`, or the folder that [`LicenseClientBuilder::home`] or `CODITECT_HOME` names, readable by its owner
//! alone; a file that others can read is refused. `config.json` is in clear. The license key, the sign-in and the tenant key
//! are sealed with XChaCha20-Poly1305 under a key made from a secret in the operating system's keychain, where there is one,
//! and this machine's id; the last answer, the last license token, the cloud's discovery answer and the latest time seen are
//! sealed in the same way under the file `secret`. The context is in four SQLite files, `platform.db`, `org.db`,
//! `sessions.db` and `projects.db`, which are not sealed: their owner's other programs may read them.
//!
//! That protects what leaves the machine: a copied file, backup or home folder opens nowhere else, unless the machine's id
//! is copied with it (where the operating system has none, it is kept in the same folder). It does not protect from this
//! user or root on this machine, who can run this program and so open what it opens, or put back an older copy of
//! the folder. Tokens are checked at every use, so a changed one is refused.

mod access;
mod backoff;
mod client;
mod cloud;
mod core;
mod crypto_provider;
mod discovery;
mod doctor;
mod download;
mod http_failure;
mod last_validation;
mod license_key;
mod network;
mod seat;
mod seat_token;
mod sign_in;
mod status;
mod sync;
mod telemetry_sender;
mod token_cache;
mod trace;
mod trace_headers;
pub mod update;
mod validation;

/// The environment variables that this program reads.
pub mod environment {
    pub use local::environment::{AGENT, HARDWARE_ID, HOME, KEYCHAIN, LICENSE_KEY, PROFILE, UPDATE_URL, has_browser};
}

/// Telemetry: off, until the user turns it on.
pub mod telemetry {
    pub use local::telemetry::{Telemetry, TelemetryStatus};
}

/// Text as it comes from people, editors and file systems: byte order marks, UTF-16, Unicode's normal forms.
pub mod text {
    pub use local::text::{decoded, folded, forms, is_blank, nfc};
}

pub use client::{LicenseClient, LicenseClientBuilder};
pub use discovery::Discovered;
pub use doctor::Diagnosis;
pub use local::doctor::{Check, Health};
pub use local::{
    Address, Allowance, Change, Config, ContextError, ContextStore, Draft, Ending, Entry, Error, ExportFault,
    FREE_COMMANDS_PER_DAY, Fault, Filter, HomeFault, HookError, JournalEntry, JournalEvent, KeychainFault, KeysError,
    LastError, LastRefusal, License, Mended, Notice, Outage, Profile, Queued, Refusal, SignInError, Source, Sso,
    SyncStatus, Trouble, UpdateError, Uptime, Verdict, hook, input, now, project_name,
};
pub use protocol::content::ContentError;
pub use protocol::id::{
    DeviceId, HardwareId, HardwareIdError, ProjectId, RecordId, SessionId, TaskStatus, TenantId, TextError,
};
pub use protocol::key::{KeyError, LicenseKey};
pub use protocol::problem::{Code, FieldError, ProblemDocument};
pub use protocol::token::TokenError;
pub use protocol::wire::{
    ContextStatus, Device, DurationBucket, Encryption, ExitClass, Feature, HistoryEntry, HistoryPage, InvalidLicense,
    InvalidReason, Kind, KindStatus, OtherLicense, Quotas, Rejection, RejectionCode, SeatCounts, Tier, UnknownWord,
    Usage,
};
pub use seat::{Again, HeldSeat, Seat, SeatWait};
pub use sign_in::{BrowserSignIn, DeviceSignIn, Revocation, SignedIn, SignedOut};
pub use status::Status;
pub use sync::keys::{KeyName, KeyStatus, KeyTaken, exported_key_id};
pub use sync::{Context, Pulled, Pushed, SyncProgress, Synced};
pub use trace::Trace;
