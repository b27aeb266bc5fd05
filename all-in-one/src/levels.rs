//! What stands at some level when somebody reads the metrics: seats that are taken, and what waits in the outbox.
//!
//! In the cloud these are told by jobs, `ops seat usage` and `ops outbox deliver`, because nobody can ask a function that
//! isn't there. Here they are looked up when Prometheus asks, so that they are never older than its question.

use common::{Db, Problem, Setup, metrics, outbox};
use seats::Seats;

/// Asks where metrics are to be read. `None` when the configuration has a mistake.
pub(crate) fn ask(setup: &mut Setup) -> Option<()> {
    // What the functions ask for as well: a mistake is noted once.
    let asked = Seats::ask(setup).zip(setup.postgres());
    let look = move || {
        let asked = asked.clone();
        async move {
            let Some((seats, db)) = asked else { return };
            if let Err(problem) = measure(&seats, &db).await {
                tracing::warn!(cause = problem.internal(), "seats and outbox could not be measured");
            }
        }
    };
    metrics::ask(setup, look)
}

async fn measure(seats: &Seats, db: &Db) -> Result<(), Problem> {
    outbox::waiting(db).await?.measure();
    for (plan, usage) in seats.usage().await? {
        usage.fact(&plan).measure();
    }
    Ok(())
}
