//! The statements of `validate`.

use std::net::IpAddr;

use common::{Db, Problem};
use jiff::Timestamp;
use protocol::id::{HardwareId, LicenseId, TenantId};
use protocol::wire::{Feature, Quotas, Tier};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

/// The license of a key, current or former, and, when this device has a place on it already, the device's new time: the
/// usual morning in one statement. A device that moved to another address is counted, as a sign that a key may be shared.
const LICENSE_FOR_DEVICE: &str = "/* license_for_device */
    with key as (
        select id, null::timestamptz as good_until from licenses where key_hash = $1
        union all
        select license_id, good_until from former_license_keys where key_hash = $1
    ), license as (
        select l.id, l.tenant_id, l.expires_at, key.good_until,
               case when key.good_until <= now() then 'key_replaced'
                    else license_state(l.state, l.standing, l.expires_at) end as state,
               l.plan_code, p.tier, p.features, p.quotas
        from key join licenses l on l.id = key.id join plans p on p.code = l.plan_code
    ), device as (
        select d.license_id, d.machine_id, d.address from devices d join license l on d.license_id = l.id
        where d.machine_id = $2 and d.removed_at is null and d.valid_until > now() and l.state = 'active'
    ), seen as (
        update devices d set last_seen_at = now(), address = $3, valid_until = least(now() + interval '7 days', l.expires_at)
        from device, license l
        where d.license_id = device.license_id and d.machine_id = device.machine_id
    ), moved as (
        insert into license_daily_counts (tenant_id, license_id, kind)
        select l.tenant_id, l.id, 'device_moved' from license l, device where device.address is distinct from $3
        on conflict (license_id, day, kind) do update set count = license_daily_counts.count + 1
    )
    select l.*, exists (select from device) as known_device from license l";

/// One device of a license is activated at a time, so that two can't take the last place.
const DEVICES_LOCK: &str = "/* devices_lock */ select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 2))";

/// Selects when a license has room for a device: from when on fewer places than it has are taken by other devices, and fewer of
/// them than that were activated within 24 hours, or 10,000 where it has any number of places; null: now. A place is taken as
/// long as its device may still be used offline by its last validation, unless it was given back or taken away. A device that
/// comes again after its time is activated again.
const DEVICE_ROOM: &str = "/* device_room */
    with license as (
        select case when p.devices_per_user >= 0 then p.devices_per_user::bigint * l.seats end as places
        from licenses l join plans p on p.code = l.plan_code where l.id = $1
    ), others as not materialized (
        select valid_until, activated_at, removed_at from devices where license_id = $1 and machine_id <> $2
    )
    select places,
           case when places is not null then (
               select valid_until from others where valid_until > now() and removed_at is null
               order by valid_until desc offset greatest(places - 1, 0) limit 1
           ) end as place_at,
           (select activated_at + interval '1 day' from others where activated_at > now() - interval '1 day'
            order by activated_at desc offset greatest(coalesce(places, 10000) - 1, 0) limit 1) as activation_at
    from license";

const DEVICE_ACTIVATE: &str = "/* device_activate */
    insert into devices (tenant_id, license_id, machine_id, valid_until, address)
    select current_tenant(), l.id, $2, least(now() + interval '7 days', l.expires_at), $3
    from licenses l where l.id = $1
    on conflict (license_id, machine_id) do update
    set activated_at = now(), last_seen_at = now(), valid_until = excluded.valid_until, removed_at = null, address = $3";

/// Writes an audit entry of an activation. Its id is derived from license, device and day, so that a device that comes and goes
/// has one a day.
const DEVICE_AUDIT: &str = "/* device_audit */
    insert into audit_log (id, tenant_id, actor, action, license_id, address, detail)
    values (md5(concat_ws(' ', 'device.activated', $1::uuid, $2::text, (now() at time zone 'utc')::date))::uuid,
            current_tenant(), 'license key', 'device.activated', $1, $3, jsonb_build_object('machine_id', $2))
    on conflict do nothing";

/// A device gives its place back, with its audit entry, of which there is one a day; the license, whether the device had a
/// place or not.
const DEVICE_DEACTIVATE: &str = "/* device_deactivate */
    with license as (
        select id, tenant_id from licenses where key_hash = $1
        union all
        select license_id, tenant_id from former_license_keys where key_hash = $1 and good_until > now()
    ), removed as (
        update devices d set removed_at = now() from license l
        where d.license_id = l.id and d.machine_id = $2 and d.removed_at is null
        returning d.license_id
    ), audit as (
        insert into audit_log (id, tenant_id, actor, action, license_id, address, detail)
        select md5(concat_ws(' ', 'device.deactivated', license_id, $2::text, (now() at time zone 'utc')::date))::uuid,
               current_tenant(), 'license key', 'device.deactivated', license_id, $3, jsonb_build_object('machine_id', $2)
        from removed
        on conflict do nothing
    )
    select id, tenant_id from license";

const COUNT: &str = "/* daily_count */
    insert into license_daily_counts (tenant_id, license_id, kind) values (current_tenant(), $1, $2)
    on conflict (license_id, day, kind) do update set count = license_daily_counts.count + 1
    returning count";

/// A license as `validate` needs it.
#[derive(Debug)]
pub(crate) struct License {
    pub(crate) id: LicenseId,
    pub(crate) tenant: TenantId,
    pub(crate) state: String,
    pub(crate) expires_at: Option<Timestamp>,
    /// Until when the key is good, where the license has another one meanwhile.
    pub(crate) key_replaced_until: Option<Timestamp>,
    /// The plan's code.
    pub(crate) plan: String,
    pub(crate) tier: Tier,
    pub(crate) features: Vec<Feature>,
    pub(crate) quotas: Quotas,
    /// This device has a place.
    pub(crate) known_device: bool,
}

/// Outcome of activating a device.
#[derive(Debug)]
pub(crate) enum Activation {
    Activated,
    Refused(Room),
}

/// When a license has room for another device.
#[derive(Debug)]
pub(crate) struct Room {
    /// Maximum number of devices with a place; `None`: no limit.
    pub(crate) places: Option<i64>,
    /// When the next place falls free, unless its device uses the license before; `None`: one is free.
    pub(crate) place_at: Option<Timestamp>,
    /// When fewer devices were activated within 24 hours than may be; `None`: now.
    pub(crate) activation_at: Option<Timestamp>,
}

impl Room {
    fn from_row(row: &Row) -> Self {
        Self { places: row.get("places"), place_at: row.get("place_at"), activation_at: row.get("activation_at") }
    }

    fn is_there(&self) -> bool {
        self.places != Some(0) && self.place_at.is_none() && self.activation_at.is_none()
    }
}

/// The license of a key, and this device's place on it.
pub(crate) async fn license_for_device(
    db: &Db,
    key_hash: &[u8],
    machine: &HardwareId,
    address: IpAddr,
) -> Result<Option<License>, Problem> {
    let tx = db.tenant_of_key("license_for_device", key_hash).await?;
    let [rows] = tx.finish([(LICENSE_FOR_DEVICE, &[&key_hash, &machine.as_str(), &address])]).await?;
    rows.first().map(License::from_row).transpose()
}

/// Gives a device a place on the license, if there is one.
pub(crate) async fn activate(
    db: &Db,
    license: &License,
    machine: &HardwareId,
    address: IpAddr,
) -> Result<Activation, Problem> {
    let id = license.id.as_uuid();
    let mut tx = db.tenant("device_activate", license.tenant).await?;
    let [_, room] = tx.run([(DEVICES_LOCK, &[&id]), (DEVICE_ROOM, &[&id, &machine.as_str()])]).await?;
    let room = room.first().map(Room::from_row).ok_or_else(|| Problem::internal_error("a license without a plan"))?;
    if !room.is_there() {
        tx.finish([(COUNT, &[&id, &"device_refused"])]).await?;
        return Ok(Activation::Refused(room));
    }
    let device: [&(dyn ToSql + Sync); 3] = [&id, &machine.as_str(), &address];
    tx.finish([(DEVICE_ACTIVATE, &device), (DEVICE_AUDIT, &device)]).await?;
    Ok(Activation::Activated)
}

/// Takes its place from a device, and returns the license's tenant and the time when it has room for another device; `None`
/// when there is no such key.
pub(crate) async fn deactivate(
    db: &Db,
    key_hash: &[u8],
    machine: &HardwareId,
    address: IpAddr,
) -> Result<Option<(TenantId, Room)>, Problem> {
    let mut tx = db.tenant_of_key("device_deactivate", key_hash).await?;
    let [rows] = tx.run([(DEVICE_DEACTIVATE, &[&key_hash, &machine.as_str(), &address])]).await?;
    let Some(license) = rows.first() else {
        tx.commit().await?;
        return Ok(None);
    };
    // The room for any other device: no device has this id.
    let [room] = tx.finish([(DEVICE_ROOM, &[&license.get::<_, uuid::Uuid>("id"), &""])]).await?;
    let room = room.first().map(Room::from_row).ok_or_else(|| Problem::internal_error("a license without a plan"))?;
    Ok(Some((TenantId::from_uuid(license.get("tenant_id")), room)))
}

/// Counts a validation of today and answers how many there were with it.
pub(crate) async fn count_validation(db: &Db, license: &License) -> Result<i64, Problem> {
    let tx = db.tenant("validation_count", license.tenant).await?;
    let [rows] = tx.finish([(COUNT, &[&license.id.as_uuid(), &"validated"])]).await?;
    rows.first().map(|row| row.get(0)).ok_or_else(|| Problem::internal_error("a count without a row"))
}

impl License {
    /// Returns the license with no time beyond the end of the installation's own license.
    pub(crate) fn until(mut self, ends: Option<Timestamp>) -> Self {
        let Some(ends) = ends else { return self };
        self.expires_at = Some(self.expires_at.map_or(ends, |own| own.min(ends)));
        if ends <= Timestamp::now() && self.state == "active" {
            "expired".clone_into(&mut self.state);
        }
        self
    }

    fn from_row(row: &Row) -> Result<Self, Problem> {
        let features: Vec<&str> = row.get("features");
        Ok(Self {
            id: LicenseId::from_uuid(row.get("id")),
            tenant: TenantId::from_uuid(row.get("tenant_id")),
            state: row.get("state"),
            expires_at: row.get("expires_at"),
            key_replaced_until: row.get("good_until"),
            plan: row.get("plan_code"),
            tier: row.get::<_, &str>("tier").parse().map_err(Problem::internal_error)?,
            features: features.iter().filter_map(|f| f.parse().ok()).collect(),
            quotas: serde_json::from_value(row.get("quotas")).map_err(Problem::internal_error)?,
            known_device: row.get("known_device"),
        })
    }
}
