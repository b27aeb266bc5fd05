//! Code that pushing and pulling share.
//!
//! A tenant's records are one stream. Its head is a row with the last number that was assigned; a push takes the tenant's lock,
//! numbers its records from there, and moves the head, all in one transaction (`context_push` in the migrations). So numbers
//! become visible in their order, and a client that reads on from a number misses nothing.
//!
//! - [`head`]: the end of a stream, and whether the caller may use it
//! - [`cursor`]: positions in a stream, as clients hold them
//! - [`kind`]: the numbers that stand for kinds in the database

pub mod cursor;
pub mod head;
pub mod kind;

pub use cursor::{Cursor, Listing};
pub use head::Head;
