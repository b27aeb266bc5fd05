//! The operators' tools: what the `ops` command line and the Cloud Run jobs do.
//!
//! - [`migrate`]: brings a database to the schema of this release.

pub mod migrate;
