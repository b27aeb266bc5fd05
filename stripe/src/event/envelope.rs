//! The envelope of an event, and what can be kept of a body without a readable one.

use aws_lc_rs::digest::{SHA256, digest};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use super::{Event, Malformed, id, time, word};

/// A rightly signed body that is no event of ours, or can't be read, with what is needed to keep it.
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
    /// True for a kind that is never handled.
    pub is_foreign: bool,
    /// The reason why it is not applied.
    pub why: String,
}

/// The outermost values. All others go unread, so that nothing in them is a reason not to read these.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Outermost {
    id: Value,
    object: Value,
    #[serde(rename = "type")]
    kind: Value,
    created: Value,
    livemode: Value,
}

impl Event {
    /// Reads the envelope.
    ///
    /// # Errors
    /// Names the missing field.
    pub fn parse(body: &[u8]) -> Result<Self, Malformed> {
        let mut value: Value = serde_json::from_slice(body).map_err(|_| Malformed("JSON"))?;
        let object = value.pointer_mut("/data/object").map(Value::take).ok_or(Malformed("data.object"))?;
        Ok(Self {
            id: id(&value["id"]).ok_or(Malformed("id"))?,
            kind: word(&value["type"]).ok_or(Malformed("type"))?,
            created: time(&value["created"])?.ok_or(Malformed("created"))?,
            livemode: value["livemode"].as_bool().ok_or(Malformed("livemode"))?,
            object,
        })
    }

    /// Reads the envelope of a body whose signature was checked.
    ///
    /// # Errors
    /// Returns what to keep of a body that has no envelope.
    pub fn read(body: &[u8]) -> Result<Self, Unreadable> {
        Self::parse(body).map_err(|malformed| {
            let outermost: Outermost = serde_json::from_slice(body).unwrap_or_default();
            let is_foreign = outermost.object.as_str().is_some_and(|object| object.starts_with("v2."));
            let why = if is_foreign {
                "This is a thin event. Set the endpoint to send snapshot events.".to_owned()
            } else {
                malformed.to_string()
            };
            let written = outermost.created.as_str().and_then(|text| text.parse::<Timestamp>().ok());
            let created = time(&outermost.created).ok().flatten().or(written.map(Timestamp::as_second));
            Unreadable {
                id: word(&outermost.id).unwrap_or_else(|| id_of(body)),
                kind: word(&outermost.kind).unwrap_or_else(|| "unreadable".to_owned()),
                created: created.filter(|at| *at >= 0).unwrap_or_else(|| Timestamp::now().as_second()),
                livemode: outermost.livemode == true,
                is_foreign,
                why,
            }
        })
    }
}

/// Derives an id from the bytes, so that a repetition is known.
fn id_of(body: &[u8]) -> String {
    format!("unreadable_{}", &hex::encode(digest(&SHA256, body))[..32])
}
