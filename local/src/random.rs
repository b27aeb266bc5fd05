//! Random bytes from the operating system.

use rand::TryRngCore;
use rand::rngs::OsRng;
use uuid::{Builder, Uuid};

/// As many as are asked for.
pub fn bytes<const LEN: usize>() -> [u8; LEN] {
    let mut bytes = [0; LEN];
    OsRng.try_fill_bytes(&mut bytes).expect("an operating system that serves programs serves random numbers");
    bytes
}

/// A number from 0 up to, and without, 1.
pub fn fraction() -> f64 {
    f64::from(u32::from_le_bytes(bytes())) / (f64::from(u32::MAX) + 1.0)
}

/// An id that no clock has a part in (UUIDv4).
pub fn uuid() -> Uuid {
    Builder::from_random_bytes(bytes()).into_uuid()
}

/// A name that no other file has. Not made of the time, which may be before what such names can say.
pub fn name() -> String {
    uuid().simple().to_string()
}
