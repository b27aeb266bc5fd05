//! Query parameters of a request's URL.

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use crate::problem::Problem;

/// The query parameters of a request; wrong ones are answered with `422`.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|query| Self(query.0)).map_err(|rejection| {
            let text = rejection.body_text();
            // "Failed to deserialize query string: limit: invalid digit found in string"
            let detail = text.split_once(": ").map_or(text.as_str(), |(_, detail)| detail);
            let (pointer, detail) = detail.split_once(": ").unwrap_or(("?", detail));
            Problem::invalid(pointer, format!("{}.", detail.trim_end_matches('.')))
        })
    }
}

/// Returns the number of items to answer with: the caller's wish from 1 to `most`, else `usual`.
///
/// # Errors
/// `422` when it is out of range.
pub fn limit(wish: Option<u16>, usual: u16, most: u16) -> Result<u16, Problem> {
    let limit = wish.unwrap_or(usual);
    let in_range = (1..=most).contains(&limit);
    in_range.then_some(limit).ok_or_else(|| Problem::invalid("limit", format!("must be from 1 to {most}.")))
}
