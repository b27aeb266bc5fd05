use protocol::{content, id, problem, wire};
use serde_json::{Value, json};
use utoipa::{PartialSchema, ToSchema};

fn schema<T: PartialSchema>() -> Value {
    serde_json::to_value(T::schema()).unwrap()
}

#[test]
fn ids_are_uuid_strings() {
    for schema in
        [schema::<id::TenantId>(), schema::<id::UserId>(), schema::<id::LicenseId>(), schema::<id::SessionId>()]
    {
        assert_eq!((&schema["type"], &schema["format"]), (&json!("string"), &json!("uuid")), "{schema}");
    }
}

#[test]
fn bounded_texts_say_their_bounds() {
    assert_eq!(schema::<id::HardwareId>()["pattern"], "^[0-9A-Fa-f]{64}$");
    assert_eq!(schema::<id::Hostname>()["maxLength"], 253);
    assert_eq!(schema::<id::ClientVersion>()["maxLength"], 64);
    assert_eq!(schema::<id::IdempotencyKey>()["minLength"], 1);
    assert_eq!(schema::<wire::UnverifiedKey>()["maxLength"], 512);
    assert_eq!(schema::<id::PlanCode>()["maxLength"], 32);
    assert_eq!(schema::<id::ReturnUrl>()["maxLength"], 2048);
    let seats = schema::<wire::SeatNumber>();
    assert_eq!((&seats["minimum"], &seats["maximum"]), (&json!(1), &json!(wire::SeatNumber::MAX)), "{seats}");
    assert_eq!(schema::<id::CommandName>()["maxLength"], 40);
    assert_eq!(schema::<id::SystemName>()["maxLength"], 32);
    let events = schema::<wire::TelemetryEvents>();
    assert_eq!((&events["minItems"], &events["maxItems"]), (&json!(1), &json!(wire::MAX_TELEMETRY_EVENTS)), "{events}");
    assert_eq!(schema::<content::ContentHash>()["type"], "string");
}

#[test]
fn times_are_date_times() {
    let heartbeat = schema::<wire::HeartbeatAnswer>();
    let time = &heartbeat["properties"]["seat_expires_at"];
    assert_eq!((&time["type"], &time["format"]), (&json!("string"), &json!("date-time")), "{heartbeat}");
}

#[test]
fn a_validation_is_one_of_two_shapes() {
    assert_eq!(schema::<wire::ValidateAnswer>()["oneOf"].as_array().unwrap().len(), 2);
    assert_eq!(schema::<wire::ValidLicense>()["properties"]["valid"]["type"], "boolean");
    let reasons = schema::<wire::InvalidReason>();
    assert_eq!(reasons["enum"].as_array().unwrap().len(), wire::InvalidReason::ALL.len());
}

#[test]
fn optional_fields_are_not_required() {
    let acquire = schema::<wire::AcquireRequest>();
    assert_eq!(acquire["required"], json!(["hardware_id"]));
    let problem = schema::<problem::ProblemDocument>();
    assert_eq!(problem["required"], json!(["type", "title", "status", "detail", "code", "request_id"]), "{problem}");
}

#[test]
fn every_schema_has_the_name_of_its_type() {
    assert_eq!(wire::Tier::name(), "Tier");
    assert_eq!(wire::Jwks::name(), "Jwks");
}
