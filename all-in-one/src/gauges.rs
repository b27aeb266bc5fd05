//! Gauges that are measured when Prometheus scrapes the metrics: seats in use, and jobs waiting in the outbox.
//!
//! In the cloud the jobs `ops seat usage` and `ops outbox deliver` report them, because functions that are scaled to zero
//! cannot be scraped. Here they are looked up on each scrape, so that they are never older than it.

use common::{Db, Problem, Setup, metrics, outbox};
use seats::Seats;

/// Asks for the address at which metrics are served. `None` when the configuration has a mistake.
pub(crate) fn from_setup(setup: &mut Setup) -> Option<()> {
    // The functions ask for the same settings: a mistake is noted once.
    let asked = Seats::from_setup(setup).zip(setup.postgres());
    let look = move || {
        let asked = asked.clone();
        async move {
            let Some((seats, db)) = asked else { return };
            if let Err(problem) = measure(&seats, &db).await {
                tracing::warn!(cause = problem.internal(), "seats and outbox could not be measured");
            }
        }
    };
    metrics::from_setup(setup, look)
}

async fn measure(seats: &Seats, db: &Db) -> Result<(), Problem> {
    outbox::waiting(db).await?.measure();
    for (plan, usage) in seats.usage().await? {
        usage.log_event(&plan).measure();
    }
    Ok(())
}
