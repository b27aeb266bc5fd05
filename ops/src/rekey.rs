//! `ops license rekey`: gives a license another key, for when a key has leaked.
//!
//! One transaction: the former key's hash goes to `former_license_keys`, the license gets the new one, the outbox gets the
//! mail with the new key, and the audit log its entry. Before the commit nothing has changed; after it the mail is
//! delivered at least once. Sessions, devices and Redis are untouched.

use common::license_key::KeyHasher;
use common::outbox::{About, Mail, OUTBOX_ADD};
use common::postgres::Query;
use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};
use protocol::id::LicenseId;
use protocol::key::{Brand, LicenseKey};
use protocol::wire::Tier;
use serde_json::json;
use uuid::Uuid;

use crate::ops_context::{AUDIT, OpsContext};
use crate::printer::{Failure, Output};

const LICENSE: &str = "/* license_to_rekey */
    select l.plan_code, p.tier, l.seats, l.state, l.key_hint,
           exists (select from users where role = 'owner' and erase_at is null) as has_owner
    from licenses l join plans p on p.code = l.plan_code where l.id = $1 for update of l";
/// Keys from before end no later than this one: a grace is for the holders of the last key.
const FORMER_KEYS_END: &str = "/* former_license_keys_end */
    update former_license_keys set good_until = least(good_until, $2) where license_id = $1";
const FORMER_KEY_ADD: &str = "/* former_license_key_add */
    insert into former_license_keys (key_hash, tenant_id, license_id, key_hint, hashed_at, good_until)
    select key_hash, tenant_id, id, key_hint, key_hashed_at, $2 from licenses where id = $1";
const LICENSE_REKEY: &str = "/* license_rekey */
    update licenses set key_hash = $2, key_hint = $3, key_hashed_at = now() where id = $1";

/// Maximum time for which a former key stays good.
const GRACE_MAX: SignedDuration = SignedDuration::from_hours(90 * 24);

/// Reads the time that the former key stays good, such as `12h` or `7d`.
///
/// # Errors
/// A sentence, when it is no duration from nothing to 90 days.
pub fn grace(text: &str) -> Result<SignedDuration, String> {
    let span: Span = text.parse().map_err(|_| "Give a duration such as 12h or 7d.".to_owned())?;
    let grace = span
        .to_duration(SpanRelativeTo::days_are_24_hours())
        .map_err(|_| "Give the duration in minutes, hours, days or weeks, such as 12h or 7d.".to_owned())?;
    if grace.is_negative() || grace > GRACE_MAX {
        return Err("Give a duration from 0s to 90d.".to_owned());
    }
    Ok(grace)
}

/// Gives a license another key, which is mailed to the owner; the former key stays good for `grace`.
///
/// # Errors
/// When there is no such license, it was revoked, or its organization has no owner who could get the key.
pub async fn rekey(
    ops: &OpsContext,
    hasher: &KeyHasher,
    license: LicenseId,
    grace: SignedDuration,
) -> Result<Output, Failure> {
    let (tenant, id) = (ops.tenant_of_license(license).await?, license.as_uuid());
    let mut tx = ops.db.tenant("license_rekey", tenant).await?;
    let [found] = tx.run([(LICENSE, &[&id])]).await?;
    let row = found.first().ok_or_else(|| Failure::Refused(format!("There is no license {license}.")))?;
    if row.get::<_, &str>("state") == "revoked" {
        return Err(Failure::Refused(format!("License {license} was revoked, which is for good. Issue another one.")));
    }
    if !row.get::<_, bool>("has_owner") {
        return Err(Failure::Refused(
            "The new key is mailed to the owner of the organization, and it has none. Add one with `ops user add --role owner`."
                .to_owned(),
        ));
    }
    let (plan, seats): (String, i32) = (row.get("plan_code"), row.get("seats"));
    let tier: Tier = row.get::<_, &str>("tier").parse().map_err(|e| Failure::Broken(format!("{e}")))?;
    let csfw = row.get::<_, &str>("key_hint").starts_with(Brand::Csfw.as_str());
    let key = LicenseKey::generate(if csfw { Brand::Csfw } else { Brand::Coditect }, tier.into());
    let (hash, hint, good_until) = (hasher.hash(&key), key.redacted(), Timestamp::now() + grace);

    let entry = Uuid::now_v7();
    let about = About::LicenseKey { seats, replaces_key_until: Some(good_until.as_second()) };
    let mail = Mail { to: None, license_id: license, plan, about };
    let payload = serde_json::to_value(mail).map_err(|e| Failure::Broken(e.to_string()))?;
    let (once, secret) = (format!("key:{license}:{entry}"), hasher.seal(entry, &key));
    let (audit, detail) = (Uuid::now_v7(), json!({"key_hint": hint, "former_key_good_until": good_until}));
    let writes: [Query<'_>; 5] = [
        (FORMER_KEYS_END, &[&id, &good_until]),
        (FORMER_KEY_ADD, &[&id, &good_until]),
        (LICENSE_REKEY, &[&id, &hash.as_slice(), &hint]),
        (OUTBOX_ADD, &[&entry, &"mail", &once, &payload, &Some(secret)]),
        (AUDIT, &[&audit, &ops.actor, &"license.rekeyed", &id, &detail]),
    ];
    tx.finish(writes).await?;
    Ok(Output::Record(vec![
        ("license_id", json!(license)),
        ("tenant_id", json!(tenant)),
        ("key_hint", json!(hint)),
        ("former_key_good_until", json!(good_until)),
        ("outbox_id", json!(entry)),
    ]))
}
