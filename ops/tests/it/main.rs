//! The operators' command line against real servers: the binary itself, its exit status, and what it says where.
#![expect(clippy::unwrap_used, reason = "a test that can't go on should stop where it is")]

mod catalogue;
mod clients;
mod configuration;
mod contexts;
mod desk;
mod devices;
mod enterprise;
mod licenses;
mod migrations;
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
mod words;
