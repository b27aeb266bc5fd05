//! What is kept for a time only, and goes.

use crate::office::Office;
use crate::person;
use crate::printer::{Failure, Shown};

/// So many at once that a statement stays far below the time it may take.
const SWEEP: &str = "/* idempotency_keys_sweep */
    delete from idempotency_keys where ctid = any(array(
        select ctid from idempotency_keys where created_at < now() - interval '24 hours' limit 5000))
    returning 1";

/// Deletes it, in every tenant.
///
/// # Errors
/// When the database doesn't answer; what was deleted before that is.
pub async fn all(office: &Office) -> Result<Shown, Failure> {
    let tenants = office.tenants().await?;
    let mut people = 0;
    for tenant in &tenants {
        people += person::erase_due(office, *tenant).await?;
        while !office.db.tenant("sweep", *tenant).await?.finish([(SWEEP, &[])]).await?[0].is_empty() {}
    }
    let mut said = format!("Swept {} tenants.", tenants.len());
    if people > 0 {
        said.push_str(&format!(" People erased, whose time was over: {people}."));
    }
    Ok(Shown::Done(said))
}
