//! The OpenAPI document: what the routes say of themselves, and what holds for all of them, added once.

use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, Content, Info, OpenApi, Ref, RefOr, Required, Response};
use utoipa::{PartialSchema, ToSchema};

use protocol::problem::ProblemDocument;

use crate::caller::TENANT_HEADER;

const DESCRIPTION: &str = "Licenses, floating seats and context sync of CODITECT. Errors are problem documents (RFC 9457) \
whose `code` is stable; every answer carries `x-request-id`.";

/// Adds what all routes have in common, and writes the document as JSON.
#[must_use]
pub fn complete(mut api: OpenApi) -> String {
    api.info = Info::builder()
        .title("CODITECT Cloud")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(DESCRIPTION))
        .build();
    let components = api.components.get_or_insert_with(Components::new);
    components.schemas.insert(ProblemDocument::name().into_owned(), ProblemDocument::schema());
    let mut nested = Vec::new();
    ProblemDocument::schemas(&mut nested);
    components.schemas.extend(nested);
    let bearer = Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build();
    components.add_security_scheme("bearer", SecurityScheme::Http(bearer));
    for item in api.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.post, &mut item.put, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            add_problems(operation);
            if operation.security.is_some() {
                operation.parameters.get_or_insert_default().push(RefOr::T(tenant_parameter()));
            }
        }
    }
    api.to_pretty_json().unwrap_or_else(|e| format!("{{\"error\":\"{e}\"}}"))
}

fn add_problems(operation: &mut Operation) {
    let mut statuses =
        vec![("500", "Something broke on our side."), ("503", "A dependency is down; try again after `Retry-After`.")];
    if operation.request_body.is_some() {
        statuses.extend([
            ("400", "The body is not JSON."),
            ("413", "The body is too large."),
            ("415", "The body's type is not JSON."),
            ("422", "A field is missing, of a wrong type or out of range."),
        ]);
    }
    if operation.security.is_some() {
        statuses.extend([
            ("401", "The credential is missing or can't be believed."),
            ("403", "The credential doesn't give this right."),
            ("404", "There is no such thing, or it is another tenant's."),
        ]);
    }
    for (status, description) in statuses {
        operation
            .responses
            .responses
            .entry(status.to_owned())
            .or_insert_with(|| RefOr::T(problem_response(description)));
    }
}

fn tenant_parameter() -> Parameter {
    let uuid =
        ObjectBuilder::new().schema_type(Type::String).format(Some(SchemaFormat::KnownFormat(KnownFormat::Uuid)));
    ParameterBuilder::new()
        .name(TENANT_HEADER)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some("The tenant that a person means who signed in and is a user of several."))
        .schema(Some(uuid))
        .build()
}

/// A response whose body is a problem document.
fn problem_response(description: &str) -> Response {
    let schema = Ref::from_schema_name(ProblemDocument::name());
    let content = Content::builder().schema(Some(schema)).build();
    Response::builder().description(description).content("application/problem+json", content).build()
}
