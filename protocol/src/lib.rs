//! The protocol between client and cloud. No I/O, no async, no clock of its own: the caller passes the time.
//!
//! - [`id`]: ids of tenants, users, licenses, sessions and machines, and the short texts that describe them
//! - [`key`]: license keys: made, parsed, and checked for typing errors without a network call
//! - [`wire`]: the requests and answers of every endpoint
//! - [`problem`]: every error answer, with its code, its status and the sentence that helps
//! - [`token`]: license, validation and access tokens, and their complete offline check
//! - [`trace`]: the position of a request in a trace
//! - [`content`]: canonical JSON and the hash that makes a push idempotent
//! - [`envelope`]: contents that the cloud can't read
//!
//! The feature `openapi` adds the schemas of the wire types; the client does without.

pub mod content;
pub mod id;
pub mod key;
pub mod problem;
pub mod token;
pub mod trace;
pub mod wire;

pub use content::envelope;
