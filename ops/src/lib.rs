//! The operators' tools: the `ops` command line, which also runs as Cloud Run jobs.
//!
//! - [`migrate`]: brings a database to the schema of this release.
//! - [`command`]: the arguments of the command line.
//! - [`printer`]: the one place that prints.
//! - [`ops_context`]: the context of every command: the database, and the operator's name.
//! - [`tenant`], [`license`], [`seat`], [`device`], [`plan`], [`key`], [`outbox`], [`context`], [`person`]: one per noun.
//! - [`enterprise`]: the license files of customers' own installations.
//! - [`delivery`]: delivers the due entries of the outbox; [`mail_template`] writes its mails, [`mailer`] sends them.
//! - [`smoke`]: tests a revision that has no traffic yet.
//! - [`sweep`]: deletes rows whose retention has ended.
//! - [`stop`]: stops long-running commands at a signal.

pub mod command;
pub mod context;
pub mod delivery;
pub mod device;
pub mod enterprise;
pub mod key;
pub mod license;
pub mod mail_template;
pub mod mailer;
pub mod migrate;
pub mod ops_context;
pub mod outbox;
pub mod person;
pub mod plan;
pub mod printer;
mod redaction;
mod rehash;
pub mod rekey;
pub mod role;
pub mod seat;
pub mod smoke;
pub mod stop;
pub mod stripe;
pub mod sweep;
pub mod tenant;
