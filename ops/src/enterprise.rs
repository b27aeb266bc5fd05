//! Enterprise license files: signed limits of an installation of a customer's own.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use protocol::id::{LicenseId, TenantId};
use protocol::token::{
    ENTERPRISE_AUDIENCE, ENTERPRISE_ISSUER, ENTERPRISE_TYPE, EnterpriseClaims, KeySet, PERPETUAL, armour,
    read_enterprise_license,
};
use protocol::wire::{Feature, Tier};
use serde_json::{Value, json};
use signing::Signer;
use uuid::Uuid;

use crate::ops_context::{AUDIT, OpsContext};
use crate::printer::{Failure, Output};

const CONTRACT: &str = "/* contract */
    select t.name, p.code, p.features, l.seats, l.expires_at, license_state(l.state, l.standing, l.expires_at)
    from licenses l join plans p on p.code = l.plan_code join tenants t on t.id = l.tenant_id where l.id = $1";

/// Contents and destination of a license file.
#[derive(Debug)]
pub struct Export<'a> {
    /// Number of people who may work at the same time; the license's seats where none is given.
    pub users: Option<u32>,
    /// End of the file's validity.
    pub until: Until,
    /// Path of the file; standard output where none is given.
    pub out: Option<&'a Path>,
}

/// End of a file's validity.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// The license's end.
    License,
    /// A time.
    Time(Timestamp),
    /// So many days from now.
    Days(u32),
}

/// Makes the license file of an installation, and records it in the audit log. It gives no more than the license has.
///
/// # Errors
/// When the license is not for that, can't be used now, or has less; when the key can't sign.
pub async fn export(
    ops: &OpsContext,
    signer: &Signer,
    license: LicenseId,
    request: &Export<'_>,
) -> Result<Output, Failure> {
    let tenant = ops.tenant_of_license(license).await?;
    let claims = contract(ops, tenant, license, request).await?;
    let broken = |e: &dyn std::fmt::Display| Failure::Broken(format!("{e}. No file was made; try again."));
    let key = signer.public_key().await.map_err(|e| broken(&e))?;
    let file = armour(&signer.sign_token(&claims).await.map_err(|e| broken(&e))?);
    let mut keys = KeySet::new();
    keys.insert_pem(&key.kid, &key.pem).map_err(|e| broken(&e))?;
    // As the installation will read it.
    let name = read_enterprise_license(&file, &keys, Timestamp::now()).map_err(|e| broken(&e))?.short_name;

    let ends = claims.ends();
    let detail = json!({"file": claims.jti, "name": name, "users": claims.users, "expires_at": ends, "kid": key.kid});
    let tx = ops.db.tenant("license_export", tenant).await?;
    tx.finish([(AUDIT, &[&Uuid::now_v7(), &ops.actor, &"license.exported", &license.as_uuid(), &detail])]).await?;
    let mut fields = vec![
        ("license_id", json!(license)),
        ("tenant_id", json!(tenant)),
        ("customer", json!(claims.customer)),
        ("users", json!(claims.users)),
        ("expires_at", json!(ends)),
        ("name", json!(name)),
        ("kid", json!(key.kid)),
    ];
    let Some(out) = request.out else {
        fields.push(("license_file", Value::String(file.clone())));
        return Ok(Output::File(file, fields));
    };
    std::fs::write(out, &file).map_err(|e| {
        Failure::Broken(format!("{} can't be written: {e}. Name another file, or leave --out away.", out.display()))
    })?;
    fields.push(("file", json!(out)));
    Ok(Output::Record(fields))
}

async fn contract(
    ops: &OpsContext,
    tenant: TenantId,
    license: LicenseId,
    request: &Export<'_>,
) -> Result<EnterpriseClaims, Failure> {
    let tx = ops.db.tenant("contract", tenant).await?;
    let [rows] = tx.finish([(CONTRACT, &[&license.as_uuid()])]).await?;
    let row = rows.first().ok_or_else(|| Failure::Refused(format!("There is no license {license}.")))?;
    let (customer, plan, features): (String, &str, Vec<&str>) = (row.get(0), row.get(1), row.get(2));
    let (seats, end, state): (i32, Option<Timestamp>, &str) = (row.get(3), row.get(4), row.get(5));
    if !features.contains(&Feature::OnPremise.as_str()) {
        return Err(Failure::Refused(format!(
            "License {license} is of the plan {plan}, which doesn't include on_premise. Export one that does: `ops plan list`."
        )));
    }
    if state != "active" {
        return Err(Failure::Refused(format!(
            "License {license} is {state}. Make it good again first, or export another."
        )));
    }
    let users = request.users.unwrap_or(seats.unsigned_abs());
    if users == 0 || i64::from(users) > i64::from(seats) {
        return Err(Failure::Refused(format!(
            "License {license} has {seats} seats. Export 1 to {seats} users, or change it first: `ops license set-seats`."
        )));
    }
    let now = Timestamp::now();
    let until = match request.until {
        Until::License => end,
        Until::Time(time) => Some(time),
        Until::Days(days) => Some(now + SignedDuration::from_hours(24 * i64::from(days))),
    };
    if until.is_some_and(|until| until <= now) {
        return Err(Failure::Refused("That end has passed. Give one in the future.".to_owned()));
    }
    if let (Some(until), Some(end)) = (until, end)
        && until > end
    {
        return Err(Failure::Refused(format!("License {license} ends on {end}. Export it for no longer than that.")));
    }
    Ok(EnterpriseClaims {
        iss: ENTERPRISE_ISSUER.to_owned(),
        sub: license,
        aud: ENTERPRISE_AUDIENCE.to_owned(),
        typ: ENTERPRISE_TYPE.to_owned(),
        iat: now.as_second(),
        exp: until.map_or(PERPETUAL, Timestamp::as_second),
        jti: Uuid::now_v7().to_string(),
        tenant_id: tenant,
        customer,
        tier: Tier::Enterprise,
        users,
    })
}
