//! The client as its users meet it: the real binary, and the library under it, against a cloud that can be told how to behave.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod activate;
mod clock;
mod cloud;
mod config;
mod doctor;
mod embedding;
mod faults;
mod free;
mod front;
mod heartbeat;
mod hook;
mod hook_settings;
mod keys;
mod keys_sync;
mod keys_turned;
mod liar;
mod machine;
mod manners;
mod output;
mod profiles;
mod provider;
mod proxy;
mod queue;
mod records;
mod register;
mod run;
mod safekeeping;
mod seat;
mod seat_commands;
mod sign_in;
mod sign_in_faults;
mod signer;
mod start_over;
mod status;
mod stream;
mod sync;
mod sync_commands;
mod sync_crash;
mod sync_faults;
mod sync_room;
mod tls;
mod validate;
mod wait;
