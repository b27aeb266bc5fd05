//! `GET /.well-known/coditect.json`: the addresses of a deployment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The configuration that a client needs, found from one address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Discovery {
    /// The `iss` of our tokens.
    #[cfg_attr(feature = "openapi", schema(example = "https://api.coditect.ai"))]
    pub issuer: String,
    /// The address of each function, by its name.
    #[cfg_attr(feature = "openapi", schema(example = json!({
        "validate": "https://validate.coditect.ai", "acquire": "https://acquire.coditect.ai"
    })))]
    pub functions: BTreeMap<String, String>,
    /// Where the public keys are.
    #[cfg_attr(feature = "openapi", schema(example = "https://api.coditect.ai/.well-known/jwks.json"))]
    pub jwks_uri: String,
    /// The identity provider where people sign in; none where only license keys are used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false))]
    pub oidc: Option<Oidc>,
    /// The page where a person without an account chooses a plan; none where keys come from an admin alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(nullable = false, example = "https://coditect.ai/pricing"))]
    pub register_url: Option<String>,
}

/// An identity provider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Oidc {
    /// Its address, and the `iss` of its tokens.
    #[cfg_attr(feature = "openapi", schema(example = "https://login.example.com"))]
    pub issuer: String,
    /// The client id of the command line there.
    #[cfg_attr(feature = "openapi", schema(example = "coditect-cli"))]
    pub client_id: String,
}
