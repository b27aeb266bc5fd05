//! Seats against real servers: scenarios by name, and every interleaving that a property test can think of.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop where it is")]

mod deployment;
mod ends;
mod installation;
mod interleavings;
mod large;
mod scenarios;
mod servers;
mod several;
mod sharing;
mod topologies;
