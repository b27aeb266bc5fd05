//! Limits of the memory that large requests and answers of a process may take together.
//!
//! Bodies and answers of a few kilobytes are bounded by the number of requests that run at once. A larger one reserves its
//! bytes first, waits a moment where others have them, and is then refused with `503`: a process never takes more.
//! `terraform/modules/deployment/functions.tf` counts with these budgets.

use std::time::Duration;

use axum::body::Bytes;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::problem::Problem;

/// Budget of bodies that are arriving. Bytes are reserved while they arrive, so that only senders of much hold much.
pub static BODIES: Budget = Budget::new(BODIES_MIB << 20);
/// Budget of bodies that are decompressed and processed, and of answers until they are sent. A request that waits for it may
/// hold some of [`BODIES`], never the other way around.
pub static WORK: Budget = Budget::new(WORK_MIB << 20);

const BODIES_MIB: u32 = 32;
const WORK_MIB: u32 = 96;

/// Time limit for a request to wait for memory, after which it is answered with `503`.
const RESERVE_TIMEOUT: Duration = Duration::from_secs(5);

/// A number of bytes for all requests of a process.
#[derive(Debug)]
pub struct Budget {
    free: Semaphore,
    total: u32,
}

/// Reserved bytes of a budget, which are given back on drop.
#[derive(Debug)]
pub struct Reserved(SemaphorePermit<'static>);

impl Budget {
    const fn new(bytes: u32) -> Self {
        Self { free: Semaphore::const_new(bytes as usize), total: bytes }
    }

    /// Reserves bytes of the budget.
    ///
    /// # Errors
    /// `503` when other requests hold them for too long.
    pub async fn reserve(&'static self, bytes: usize) -> Result<Reserved, Problem> {
        // A request that needs more than the whole budget takes all of it.
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX).min(self.total);
        match tokio::time::timeout(RESERVE_TIMEOUT, self.free.acquire_many(bytes)).await {
            Ok(permit) => permit.map(Reserved).map_err(Problem::internal_error),
            Err(_) => Err(Problem::unavailable("memory", "other requests have all that there is")),
        }
    }
}

impl Reserved {
    /// Gives back all but `bytes`.
    pub fn shrink(&mut self, bytes: usize) {
        let more = self.0.num_permits().saturating_sub(bytes);
        drop(self.0.split(more));
    }

    /// Adds bytes of the same budget.
    pub fn merge(&mut self, more: Self) {
        self.0.merge(more.0);
    }

    /// Returns bytes that keep their reservation until they are dropped.
    #[must_use]
    pub fn keep(self, bytes: Vec<u8>) -> Bytes {
        struct Kept(Vec<u8>, #[expect(dead_code, reason = "dropped with the bytes")] Reserved);
        impl AsRef<[u8]> for Kept {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        Bytes::from_owner(Kept(bytes, self))
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn bytes_are_taken_once_and_come_back() {
        static SMALL: Budget = Budget::new(100);
        let free = || SMALL.free.available_permits();
        let mut first = SMALL.reserve(60).await.unwrap();
        assert!(SMALL.reserve(50).now_or_never().is_none(), "it waits");
        first.merge(SMALL.reserve(40).await.unwrap());
        assert_eq!(free(), 0);
        first.shrink(30);
        first.shrink(50);
        assert_eq!(free(), 70);
        let bytes = first.keep(vec![7; 30]);
        let part = bytes.slice(10..20);
        drop(bytes);
        assert_eq!(free(), 70, "a part of them is there still");
        drop(part);
        assert_eq!(free(), 100);
        // More than there is takes all that there is.
        let all = SMALL.reserve(1000).await.unwrap();
        assert_eq!(free(), 0);
        drop(all);
    }
}
