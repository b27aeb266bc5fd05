//! The public keys that tokens are verified with.

use jiff::Timestamp;
use serde_json::json;

use crate::ops_context::OpsContext;
use crate::printer::{Failure, Output};

const KEYS: &str = "/* keys */ select kid, created_at, retired_at from signing_keys order by created_at";
/// Retires a key, unless it is the last one in force: no signature could be verified then. The keys are locked, so that two
/// operators can't retire one each and leave none.
const KEY_RETIRE: &str = "/* key_retire */
    with in_force as materialized (select kid from signing_keys where retired_at is null order by kid for update)
    update signing_keys set retired_at = now()
    where kid = $1 and kid in (select kid from in_force) and (select count(*) from in_force) > 1
    returning kid";

/// Lists every key, with when it was published and retired.
///
/// # Errors
/// When the database doesn't answer.
pub async fn list(ops: &OpsContext) -> Result<Output, Failure> {
    let rows = ops.db.outside_tenants((KEYS, &[])).await?;
    let rows = rows.iter().map(|r| {
        vec![json!(r.get::<_, &str>(0)), json!(r.get::<_, Timestamp>(1)), json!(r.get::<_, Option<Timestamp>>(2))]
    });
    Ok(Output::List(&["kid", "created_at", "retired_at"], rows.collect()))
}

/// Retires a key: its signatures are rejected, within an hour everywhere.
///
/// # Errors
/// When there is no such key in force, or it is the last one.
pub async fn retire(ops: &OpsContext, kid: &str) -> Result<Output, Failure> {
    let rows = ops.db.outside_tenants((KEY_RETIRE, &[&kid])).await?;
    if rows.is_empty() {
        return Err(Failure::Refused(format!(
            "{kid} is not a key in force, or it is the last one. `ops keys list` shows all."
        )));
    }
    Ok(Output::Message(format!("{kid} is retired. What it signed is believed no more, within an hour everywhere.")))
}
