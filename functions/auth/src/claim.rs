//! `POST /api/v1/auth/claim`: a person who signed in confirms a purchase under their address, and becomes its owner.
//!
//! Round trips: Redis 1 (the limit on guessing) → Postgres 1 (the license of the key) → Postgres 1 (the claim and its audit
//! entry, in one transaction).
//!
//! Crashes: before the commit nothing has changed; after it the same request answers the same.

use axum::extract;
use common::caller::SignedIn;
use common::{Answer, Body, Problem, request};
use protocol::wire::{AuthRequest, ClaimAnswer};

use crate::{Refusal, State, queries, uncounted, usable_license};

/// Confirm a purchase and become the owner of what was bought.
///
/// For a person whose identity provider vouches for the address that the purchase was made under. The license key that was
/// mailed to that address proves that the person received the mail. Repeating the request changes nothing.
#[utoipa::path(
    post, path = "/api/v1/auth/claim", tag = "auth", operation_id = "auth_claim",
    request_body = AuthRequest, security(("bearer" = [])),
    responses(
        (status = 200, description = "The person is the owner.", body = ClaimAnswer),
        (status = 429, description = "Too many failed attempts from this address.",
            body = protocol::problem::ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn claim(
    extract::State(app): extract::State<State>,
    SignedIn(person): SignedIn,
    Body { value: request, .. }: Body<AuthRequest>,
) -> Result<Answer<ClaimAnswer>, Refusal> {
    let license = usable_license(&app, &request.license_key).await?;
    request::set_tenant(license.tenant);
    let may_speak = person.allowed_tenants().is_none_or(|all| all.contains(&license.tenant.as_uuid()));
    let user = if may_speak {
        queries::confirm_claim(&app.db, license.tenant, &person).await.map_err(uncounted)?
    } else {
        None
    };
    let user_id = user.ok_or_else(|| {
        uncounted(Problem::forbidden(
            "This license was not bought under an address that your sign-in vouches for. Sign in with the address that the license key was mailed to, or ask an administrator of the organization to add you.",
        ))
    })?;
    Ok(Answer::ok(ClaimAnswer { tenant_id: license.tenant, user_id }))
}
