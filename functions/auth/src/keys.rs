//! `GET /api/v1/public-key`, `GET /.well-known/jwks.json` and `GET /.well-known/coditect.json`: what a client needs to
//! find the functions and to check what they sign.
//!
//! Round trips: Postgres 1 for the key set, none for the rest once the signing key is known.

use axum::extract;
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderName, StatusCode};
use common::{Answer, Problem};
use protocol::token::{Jwks, jwk_from_pem};
use protocol::wire::{Discovery, PublicKeyAnswer, SigningAlgorithm};

use crate::State;

/// An answer that may be kept for an hour.
type Cacheable<T> = ([(HeaderName, &'static str); 1], Answer<T>);

fn cacheable<T>(value: T) -> Cacheable<T> {
    ([(CACHE_CONTROL, "public, max-age=3600")], Answer(StatusCode::OK, value))
}

/// The key that signs now.
#[utoipa::path(
    get, path = "/api/v1/public-key", tag = "keys", operation_id = "public_key",
    responses((status = 200, description = "The public half of the current signing key.", body = PublicKeyAnswer)),
)]
pub(crate) async fn public_key(
    extract::State(app): extract::State<State>,
) -> Result<Cacheable<PublicKeyAnswer>, Problem> {
    let key = app.signer.public_key().await?;
    Ok(cacheable(PublicKeyAnswer { kid: key.kid, alg: SigningAlgorithm::Rs256, public_key_pem: key.pem }))
}

/// Every key whose signatures are still good.
#[utoipa::path(
    get, path = "/.well-known/jwks.json", tag = "keys", operation_id = "jwks",
    responses((status = 200, description = "The key set (RFC 7517).", body = Jwks)),
)]
pub(crate) async fn jwks(extract::State(app): extract::State<State>) -> Result<Cacheable<Jwks>, Problem> {
    // Published before it is listed, so that the set is never without the key that signs.
    app.signer.public_key().await?;
    let keys = app.keys.list().await?;
    let keys = keys
        .iter()
        .map(|(kid, pem)| jwk_from_pem(kid, pem))
        .collect::<Result<_, _>>()
        .map_err(Problem::internal_error)?;
    Ok(cacheable(Jwks { keys }))
}

/// Where the functions are.
#[utoipa::path(
    get, path = "/.well-known/coditect.json", tag = "discovery", operation_id = "discovery",
    responses((status = 200, description = "Each function's URL, and who signs.", body = Discovery)),
)]
pub(crate) async fn discovery(extract::State(app): extract::State<State>) -> Cacheable<Discovery> {
    cacheable((*app.discovery).clone())
}
