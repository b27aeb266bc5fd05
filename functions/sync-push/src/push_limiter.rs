//! Queues for connections, by tenant. A tenant's pushes wait for each other in Postgres, each on a connection; without a bound,
//! the machines of one tenant that come back together would hold all connections, and all other tenants would wait for them.

use std::sync::Arc;
use std::time::Duration;

use common::Problem;
use protocol::id::TenantId;
use tokio::sync::{Semaphore, SemaphorePermit};

/// Maximum number of pushes of a tenant that are at Postgres at once: one that writes, and the next ones, ready to.
const MAX_CONCURRENT_PUSHES: usize = 4;

/// Time for which a push waits in its queue before it is refused with `503`.
const QUEUE_TIMEOUT: Duration = Duration::from_millis(1000);

/// Tenants share this many queues. Two in one queue only wait for each other.
const QUEUES: usize = 256;

/// Limits the pushes of each tenant that are at Postgres at once; one for a process.
#[derive(Debug, Clone)]
pub(crate) struct PushLimiter(Arc<[Semaphore; QUEUES]>);

impl Default for PushLimiter {
    fn default() -> Self {
        Self(Arc::new(std::array::from_fn(|_| Semaphore::new(MAX_CONCURRENT_PUSHES))))
    }
}

impl PushLimiter {
    /// Waits until a push of this tenant may go on; it counts until the permit is dropped.
    pub(crate) async fn acquire(&self, tenant: TenantId) -> Result<SemaphorePermit<'_>, Problem> {
        // The last byte of a UUIDv7 is random.
        let [.., byte] = *tenant.as_uuid().as_bytes();
        match tokio::time::timeout(QUEUE_TIMEOUT, self.0[usize::from(byte)].acquire()).await {
            Ok(permit) => permit.map_err(Problem::internal_error),
            Err(_) => Err(Problem::unavailable("postgres", "too many pushes of one tenant at once")),
        }
    }
}
