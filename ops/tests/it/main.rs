//! The operators' command line against real servers: the binary itself, its exit status, and its output.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop where it is")]

mod arguments;
mod catalogue;
mod clients;
mod configuration;
mod contexts;
mod devices;
mod enterprise;
mod licenses;
mod migrations;
mod ops_cli;
mod outages;
mod outbox;
mod person;
mod rekey;
mod roles;
mod seats;
mod sink;
mod smoke;
mod stripe;
mod sweeps;
mod tenants;
