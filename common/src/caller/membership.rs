//! The tenant and the user that serve a person who signed in.

use axum::http::HeaderValue;
use protocol::id::{TenantId, UserId};
use tokio_postgres::Row;
use uuid::Uuid;

use super::{Caller, Role};
use crate::oidc::Identity;
use crate::postgres::Db;
use crate::problem::Problem;

/// The header in which a person of several tenants names the tenant that is meant, by its id.
pub const TENANT_HEADER: &str = "coditect-tenant";

/// Selects the memberships of a person, and records the subject of a member who signs in with a known address for the first time.
const MEMBERSHIPS_BY_IDENTITY: &str = "/* memberships_by_identity */
    select user_id, tenant_id, role, is_claim, is_active from memberships_by_identity($1, $2, $3, $4, $5)";

/// Finds the person's membership: the only one, or the one in the tenant that the request or the issuer names, or else the only
/// one with an active license, where the tenant does not have to be named.
pub(super) async fn of_person(
    db: &Db,
    person: Identity,
    named: Option<&HeaderValue>,
    needs_named_tenant: bool,
) -> Result<Caller, Problem> {
    if person.tenant.as_ref().is_some_and(|named| Uuid::parse_str(named).is_err()) {
        return Err(Problem::forbidden(
            "Your identity provider doesn't name an organization known here. Ask its administrator.",
        ));
    }
    let allowed = person.allowed_tenants();
    let tenants: Option<Vec<Uuid>> = match named {
        Some(value) => {
            let named = value.to_str().ok().and_then(|value| value.parse().ok());
            Some(named.into_iter().filter(|named| allowed.as_ref().is_none_or(|all| all.contains(named))).collect())
        }
        None => allowed,
    };
    let parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)] =
        &[&person.issuer, &person.subject, &person.email, &tenants, &person.domains];
    let rows = db.outside_tenants((MEMBERSHIPS_BY_IDENTITY, parameters)).await?;
    let (claims, memberships): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.get("is_claim"));
    let active: Vec<&Row> = memberships.iter().copied().filter(|row| row.get("is_active")).collect();
    let has_claim = claims.iter().any(|row| row.get("is_active"));
    match (memberships.as_slice(), active.as_slice()) {
        ([only], _) => Ok(member(only, has_claim)),
        (_, [only]) if !needs_named_tenant => Ok(member(only, has_claim)),
        ([], _) if !claims.is_empty() => Err(Problem::forbidden(
            "You are signed in, but the purchase under your address has not been confirmed. Run `coditect activate` with the license key from its e-mail, signed in as now.",
        )),
        ([], _) => Err(Problem::forbidden(
            "You are signed in, but no organization here has you as a user. Ask an administrator of yours to add you.",
        )),
        _ => Err(Problem::forbidden(
            "You belong to several organizations and your sign-in doesn't say which. Name it in the header `coditect-tenant`, or ask an administrator to configure the tenant claim.",
        )),
    }
}

fn member(row: &Row, has_claim: bool) -> Caller {
    Caller::User {
        user: UserId::from_uuid(row.get("user_id")),
        tenant: TenantId::from_uuid(row.get("tenant_id")),
        role: match row.get("role") {
            "owner" => Role::Owner,
            "admin" => Role::Admin,
            _ => Role::Member,
        },
        has_claim,
    }
}
