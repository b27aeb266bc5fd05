//! Gauges that are measured when Prometheus scrapes the metrics: seats in use, and jobs waiting in the outbox.
//!
//! In the cloud the jobs `ops seat usage` and `ops outbox deliver` report them, because functions that are scaled to zero
//! cannot be scraped. Here they are looked up on each scrape, so that they are never older than it.

use common::{Db, Problem, Setup, log_event, metrics, outbox};
use seats::Seats;

/// Reads the address at which metrics are served. `None` when the configuration has a mistake.
pub(crate) fn from_setup(setup: &mut Setup) -> Option<()> {
    // The functions read the same settings: a mistake is noted once.
    let sources = Seats::from_setup(setup).zip(Db::from_setup(setup));
    let look = move || {
        let sources = sources.clone();
        async move {
            let Some((seats, db)) = sources else { return };
            if let Err(problem) = measure(&seats, &db).await {
                tracing::warn!(cause = problem.internal(), "seats and outbox could not be measured");
            }
        }
    };
    metrics::from_setup(setup, log_event::ALL, look)
}

async fn measure(seats: &Seats, db: &Db) -> Result<(), Problem> {
    outbox::waiting(db).await?.measure();
    for (plan, usage) in seats.usage().await? {
        usage.log_event(&plan).measure();
    }
    Ok(())
}
