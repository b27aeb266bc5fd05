//! Seats against real servers: scenarios by name, and every interleaving that a property test can think of.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop where it is")]

mod deployment;
mod installation;
mod interleavings;
mod scenarios;
mod several;
mod topologies;
