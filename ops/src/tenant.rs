//! Tenants and their users.

use jiff::Timestamp;
use protocol::id::{TenantId, UserId};
use serde_json::json;

use crate::ops_context::{AUDIT, OpsContext};
use crate::printer::{Failure, Output};

const TENANT_INSERT: &str = "/* tenant_insert */
    insert into tenants (id, name, slug) values (current_tenant(), $1, $2) on conflict (slug) do nothing returning id";
const TENANT_SHOW: &str = "/* tenant_show */ select name, slug, created_at from tenants";
const USER_INSERT: &str = "/* user_insert */
    with claimed as (
        update users set claimed_at = null, role = $3, issuer = $4, subject = $5
        where email = $2 and claimed_at is not null and erase_at is null
          and not exists (select from users known where known.issuer = $4 and known.subject = $5)
        returning id
    ), inserted as (
        insert into users (id, tenant_id, email, role, issuer, subject)
        select $1, current_tenant(), $2, $3, $4, $5 where not exists (select from claimed)
        on conflict do nothing returning id
    ), added as (
        select id from claimed union all select id from inserted
    ), audit as (
        insert into audit_log (id, tenant_id, actor, action, detail)
        select $6, current_tenant(), $7, 'user.added', $8::jsonb || jsonb_build_object('user_id', id) from added
    )
    select id from added";
const USERS: &str =
    "/* users */ select id, email, role, issuer, subject, claimed_at, erase_at from users order by email";
const IDENTITY_RESET: &str = "/* identity_reset */
    with reset as (
        update users set issuer = null, subject = null where email = $1 and issuer is not null returning id
    ), audit as (
        insert into audit_log (id, tenant_id, actor, action, detail)
        select $2, current_tenant(), $3, 'user.identity_reset', jsonb_build_object('user_id', id) from reset
    )
    select id from reset";

/// Makes a tenant; the slug is made of the name where none is given.
///
/// # Errors
/// When the slug is taken or can't be one.
pub async fn create(ops: &OpsContext, name: &str, slug: Option<String>) -> Result<Output, Failure> {
    let slug = slug.unwrap_or_else(|| slug_from(name));
    if !is_valid_slug(&slug) || name.is_empty() || name.chars().count() > 200 {
        return Err(Failure::Refused("A tenant needs a name of 1 to 200 characters and a slug of at most 63 small letters, digits and hyphens that doesn't begin with a hyphen; give one with --slug.".to_owned()));
    }
    let id = TenantId::new();
    let mut tx = ops.db.tenant("tenant_create", id).await?;
    let [made] = tx.run([(TENANT_INSERT, &[&name, &slug])]).await?;
    if made.is_empty() {
        return Err(Failure::Refused(format!("The slug {slug} is taken. Choose another one with --slug.")));
    }
    let (entry, detail) = (uuid::Uuid::now_v7(), json!({"slug": slug}));
    tx.finish([(AUDIT, &[&entry, &ops.actor, &"tenant.created", &None::<uuid::Uuid>, &detail])]).await?;
    Ok(Output::Record(vec![("tenant_id", json!(id)), ("name", json!(name)), ("slug", json!(slug))]))
}

/// Lists every tenant.
///
/// # Errors
/// When the database doesn't answer.
pub async fn list(ops: &OpsContext) -> Result<Output, Failure> {
    let mut rows = Vec::new();
    for id in ops.tenants().await? {
        let tx = ops.db.tenant("tenant_show", id).await?;
        let [found] = tx.finish([(TENANT_SHOW, &[])]).await?;
        rows.extend(found.iter().map(|r| {
            vec![json!(id), json!(r.get::<_, &str>(0)), json!(r.get::<_, &str>(1)), json!(r.get::<_, Timestamp>(2))]
        }));
    }
    Ok(Output::List(&["tenant_id", "name", "slug", "created_at"], rows))
}

/// Adds a user to a tenant. A purchase's claim on the address becomes that user.
///
/// # Errors
/// When the tenant has the user already.
pub async fn add_user(
    ops: &OpsContext,
    tenant: &str,
    email: &str,
    role: &str,
    identity: Option<(String, String)>,
) -> Result<Output, Failure> {
    let tenant = ops.tenant(tenant).await?;
    let (id, email) = (UserId::new(), email.trim().to_lowercase());
    let both_sides = email.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty());
    if !both_sides || email.len() > 254 || email.contains(char::is_whitespace) {
        return Err(Failure::Refused(format!("{email} is not an e-mail address.")));
    }
    let (issuer, subject) = identity.unzip();
    let tx = ops.db.tenant("user_add", tenant).await?;
    let (entry, detail) = (uuid::Uuid::now_v7(), json!({"role": role}));
    let user: common::postgres::Query<'_> =
        (USER_INSERT, &[&id.as_uuid(), &email, &role, &issuer, &subject, &entry, &ops.actor, &detail]);
    let [made] = tx.finish([user]).await?;
    let Some(made) = made.first() else {
        return Err(Failure::Refused(format!("This tenant has a user {email}, or one with that identity, already.")));
    };
    Ok(Output::Record(vec![
        ("user_id", json!(made.get::<_, uuid::Uuid>(0))),
        ("tenant_id", json!(tenant)),
        ("email", json!(email)),
        ("role", json!(role)),
    ]))
}

/// Forgets the identity that a user signed in with, so that the next verified sign-in with the address is recorded.
///
/// # Errors
/// When the tenant has no such user, or the user has no identity.
pub async fn reset_identity(ops: &OpsContext, tenant: &str, email: &str) -> Result<Output, Failure> {
    let tenant = ops.tenant(tenant).await?;
    let email = email.trim().to_lowercase();
    let tx = ops.db.tenant("identity_reset", tenant).await?;
    let [reset] = tx.finish([(IDENTITY_RESET, &[&email, &uuid::Uuid::now_v7(), &ops.actor])]).await?;
    if reset.is_empty() {
        return Err(Failure::Refused(format!(
            "This tenant has no user {email} with a recorded identity. `ops user list` shows its users."
        )));
    }
    Ok(Output::Message(format!("The next verified sign-in as {email} is recorded.")))
}

/// Lists a tenant's users.
///
/// # Errors
/// When there is no such tenant.
pub async fn users(ops: &OpsContext, tenant: &str) -> Result<Output, Failure> {
    let tx = ops.db.tenant("users", ops.tenant(tenant).await?).await?;
    let [found] = tx.finish([(USERS, &[])]).await?;
    let rows = found.iter().map(|r| {
        let text = |i| json!(r.get::<_, Option<&str>>(i));
        let time = |i| json!(r.get::<_, Option<Timestamp>>(i));
        vec![json!(r.get::<_, uuid::Uuid>(0)), text(1), text(2), text(3), text(4), time(5), time(6)]
    });
    Ok(Output::List(&["user_id", "email", "role", "issuer", "subject", "claimed_at", "erase_at"], rows.collect()))
}

/// Checks a slug as the column's constraint does.
fn is_valid_slug(slug: &str) -> bool {
    let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    (1..=63).contains(&slug.len()) && slug.bytes().all(letters) && !slug.starts_with('-')
}

fn slug_from(name: &str) -> String {
    let words: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { ' ' }).collect();
    words.split_whitespace().collect::<Vec<_>>().join("-")
}
