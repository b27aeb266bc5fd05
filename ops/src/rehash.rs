//! Moves a license key to the newer pepper: an entry of the outbox holds the key, sealed, and the key proves itself.

use common::license_key::KeyHasher;
use common::outbox::KeyFound;
use common::{Db, Problem};
use protocol::id::TenantId;
use protocol::key::LicenseKey;

/// Replaces any of the key's own hashes by the new one, in the license or among its former keys. Counts the rows that have
/// one of them, before or after.
const KEY_REHASH: &str = "/* license_key_rehash */
    with current as (
        update licenses set key_hash = $2, key_hashed_at = case when key_hash = $2 then key_hashed_at else now() end
        where id = $1 and key_hash = any($3) returning 1
    ), former as (
        update former_license_keys set key_hash = $2, hashed_at = case when key_hash = $2 then hashed_at else now() end
        where license_id = $1 and key_hash = any($3) returning 1
    )
    select (select count(*) from current) + (select count(*) from former)";

/// Outcome of hashing a key anew.
pub(crate) enum Rehashed {
    /// The license's key is hashed under the current pepper.
    Done,
    /// The key is no key of this license, and never was.
    ForeignKey,
}

/// Hashes a license's key under the current pepper, if it is a key of this license.
pub(crate) async fn rehash(
    db: &Db,
    hasher: &KeyHasher,
    tenant: TenantId,
    found: &KeyFound,
    key: &LicenseKey,
) -> Result<Rehashed, Problem> {
    let (current, hashes) = (hasher.hash(key), hasher.hashes(key));
    let hashes: Vec<&[u8]> = hashes.iter().map(<[u8; 32]>::as_slice).collect();
    let tx = db.tenant("license_key_rehash", tenant).await?;
    let [rows] = tx.finish([(KEY_REHASH, &[&found.license_id.as_uuid(), &current.as_slice(), &hashes])]).await?;
    let is_its_key = rows.first().is_some_and(|row| row.get::<_, i64>(0) > 0);
    Ok(if is_its_key { Rehashed::Done } else { Rehashed::ForeignKey })
}
