//! The operators' tools: what the `ops` command line and the Cloud Run jobs do.
//!
//! - [`migrate`]: brings a database to the schema of this release.
//! - [`command`]: the command line's words.
//! - [`printer`]: the one place that prints.
//! - [`office`]: what every command needs: the database, seats, and who is at the desk.
//! - [`tenant`], [`license`], [`seat`], [`device`], [`plan`], [`key`], [`outbox`], [`context`], [`person`]: a noun each.
//! - [`enterprise`]: the license files of customers' own installations.
//! - [`delivery`]: takes what is due from the outbox to where it goes; [`letter`] words its mails, [`post`] sends them.
//! - [`smoke`]: whether a revision that serves nobody yet answers as it should.
//! - [`sweep`]: what is kept for a time only, and goes.
//! - [`stop`]: the end of what goes on until it is told to stop.

pub mod command;
pub mod context;
pub mod delivery;
pub mod device;
pub mod enterprise;
pub mod key;
pub mod letter;
pub mod license;
pub mod migrate;
pub mod office;
pub mod outbox;
pub mod person;
pub mod plan;
pub mod post;
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
