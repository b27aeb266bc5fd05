//! The envelope of an event, and the values to store of a body without a readable one.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{Event, Malformed, id, time, visible_ascii};

/// A body with a valid signature that is no readable event, or a thin one, with the values to store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The event's own id, or one made of its bytes.
    pub id: String,
    /// The event's type, or `unreadable`.
    pub kind: String,
    /// When it happened, in seconds since 1970.
    pub created: i64,
    /// True for an event about real money.
    pub livemode: bool,
    /// True for a thin event, which is never handled.
    pub is_thin: bool,
    /// The reason why it is not applied.
    pub reason: String,
}

/// Values of an envelope of which any may be missing or malformed. All others are skipped.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Envelope {
    id: Value,
    object: Value,
    #[serde(rename = "type")]
    kind: Value,
    created: Value,
    livemode: Value,
}

impl Event {
    /// Parses the envelope.
    ///
    /// # Errors
    /// Names the missing field.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut value: Value = serde_json::from_slice(body).map_err(|_| Malformed("JSON"))?;
        let object = value.pointer_mut("/data/object").map(Value::take).ok_or(Malformed("data.object"))?;
        Ok(Self {
            id: id(&value["id"]).ok_or(Malformed("id"))?,
            kind: visible_ascii(&value["type"]).ok_or(Malformed("type"))?,
            created: time(&value["created"])?.ok_or(Malformed("created"))?,
            livemode: value["livemode"].as_bool().ok_or(Malformed("livemode"))?,
            object,
        })
    }

    /// Parses the envelope of a body whose signature was verified.
    ///
    /// # Errors
    /// The values to store of a body that has no envelope.
    pub fn parse_verified(body: &[u8]) -> Result<Self, Unreadable> {
        Self::parse(body).map_err(|malformed| {
            let envelope: Envelope = serde_json::from_slice(body).unwrap_or_default();
            let is_thin = envelope.object.as_str().is_some_and(|object| object.starts_with("v2."));
            let reason = if is_thin {
                "This is a thin event. Set the endpoint to send snapshot events.".to_owned()
            } else {
                malformed.to_string()
            };
            let written = envelope.created.as_str().and_then(|text| text.parse::<Timestamp>().ok());
            let created = time(&envelope.created).ok().flatten().or(written.map(Timestamp::as_second));
            Unreadable {
                id: visible_ascii(&envelope.id).unwrap_or_else(|| id_from_hash(body)),
                kind: visible_ascii(&envelope.kind).unwrap_or_else(|| "unreadable".to_owned()),
                created: created.filter(|at| *at >= 0).unwrap_or_else(|| Timestamp::now().as_second()),
                livemode: envelope.livemode == true,
                is_thin,
                reason,
            }
        })
    }
}

/// Derives an id from the bytes, so that a repetition is recognized.
fn id_from_hash(body: &[u8]) -> String {
    format!("unreadable_{}", &hex::encode(digest(&SHA256, body))[..32])
}
