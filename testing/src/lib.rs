//! Real servers for every test, and only for tests.
//!
//! - [`world`]: a deployment of one test: database, Redis, functions on free ports, tenants and licenses.
//! - [`postgres`]: a database of one test, copied from a migrated template.
//! - [`redis`]: a Redis server of one test, which may be killed and started again.
//! - [`proxy`]: a proxy that cuts or stalls connections.
//! - [`process`]: a function as a process of its own, to be killed.
//! - [`http`]: a client whose verbs take the status they expect.
//! - [`stripe`]: Stripe's events in two API versions, and signatures by its own library.
//! - [`stripe_api`]: a server in the place of Stripe's API.
//! - [`token`]: tokens of any kind, made by `openssl`.

pub mod http;
pub mod postgres;
pub mod process;
pub mod proxy;
pub mod redis;
pub mod stripe;
pub mod stripe_api;
pub mod token;
pub mod world;

pub use world::World;
