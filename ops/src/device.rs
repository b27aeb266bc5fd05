//! The devices that have a place on a license.

use jiff::Timestamp;
use protocol::id::{HardwareId, LicenseId};
use serde_json::json;

use crate::ops_context::OpsContext;
use crate::printer::{Failure, Output};

const DEVICES: &str = "/* devices */
    select machine_id, activated_at, last_seen_at, valid_until, host(address),
           case when removed_at is not null then 'removed' when valid_until > now() then 'active' else 'lapsed' end
    from devices where license_id = $1 order by activated_at";
const DEVICE_REMOVE: &str = "/* device_remove */
    with removed as (
        update devices set removed_at = now() where license_id = $1 and machine_id = $2 and removed_at is null
        returning license_id
    ), audit as (
        insert into audit_log (id, tenant_id, actor, action, license_id, detail)
        select $3, current_tenant(), $4, 'device.removed', license_id, $5 from removed
    )
    select from removed";

/// Selects when another device can be activated, as `validate` decides it: the later of the times from which a place is free,
/// and from which fewer devices than there are places, or than 10,000, were activated within 24 hours; null: now.
const DEVICE_ROOM: &str = "/* device_room */
    with license as (
        select case when p.devices_per_user >= 0 then p.devices_per_user::bigint * l.seats end as places
        from licenses l join plans p on p.code = l.plan_code where l.id = $1
    ), device as not materialized (
        select valid_until, activated_at, removed_at from devices where license_id = $1
    )
    select greatest(
               case when places is not null then (
                   select valid_until from device where valid_until > now() and removed_at is null
                   order by valid_until desc offset greatest(places - 1, 0) limit 1) end,
               (select activated_at + interval '1 day' from device where activated_at > now() - interval '1 day'
                order by activated_at desc offset greatest(coalesce(places, 10000) - 1, 0) limit 1))
    from license";

/// Shows a license's devices.
///
/// # Errors
/// When there is no such license.
pub async fn list(ops: &OpsContext, license: LicenseId) -> Result<Output, Failure> {
    let tx = ops.db.tenant("devices", ops.tenant_of_license(license).await?).await?;
    let [rows] = tx.finish([(DEVICES, &[&license.as_uuid()])]).await?;
    let rows = rows.iter().map(|r| {
        let time = |i| json!(r.get::<_, Timestamp>(i));
        vec![
            json!(r.get::<_, &str>(0)),
            time(1),
            time(2),
            time(3),
            json!(r.get::<_, Option<&str>>(4)),
            json!(r.get::<_, &str>(5)),
        ]
    });
    Ok(Output::List(&["machine_id", "activated_at", "last_seen_at", "valid_until", "address", "state"], rows.collect()))
}

/// Removes a device from its place at once. Its last validation serves it offline until its grace ends.
///
/// # Errors
/// When the license has no such device.
pub async fn remove(ops: &OpsContext, license: LicenseId, machine: &HardwareId) -> Result<Output, Failure> {
    let tx = ops.db.tenant("device_remove", ops.tenant_of_license(license).await?).await?;
    let detail = json!({"machine_id": machine});
    let device: common::postgres::Query<'_> =
        (DEVICE_REMOVE, &[&license.as_uuid(), &machine.as_str(), &uuid::Uuid::now_v7(), &ops.actor, &detail]);
    let [removed, room] = tx.finish([device, (DEVICE_ROOM, &[&license.as_uuid()])]).await?;
    if removed.is_empty() {
        return Err(Failure::Refused(
            "This license has no such device. `ops device list LICENSE` shows those it has.".to_owned(),
        ));
    }
    let next: Option<Timestamp> = room.first().and_then(|row| row.get(0));
    let then = match next {
        None => "another device can be activated now".to_owned(),
        Some(next) => format!(
            "another device can be activated from {} on, since as many were activated in the last 24 hours, or have a \
             place, as the license has places",
            next.strftime("%Y-%m-%dT%H:%M:%SZ")
        ),
    };
    Ok(Output::Message(format!(
        "The device's place is free, and {then}. The device can go on offline until its last answer lapses."
    )))
}
