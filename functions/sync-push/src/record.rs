//! One record of a push: read, checked, and brought into the form that is stored.

use jiff::Timestamp;
use protocol::content::{self, ContentHash};
use protocol::envelope::Envelope;
use protocol::id::{ProjectId, RecordId, TaskStatus};
use protocol::wire::{Kind, MAX_CONTENT_BYTES, PushRecord, Rejection, RejectionCode as Code, TaskEvent};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

/// A base version that matches whatever there is.
const WHICHEVER: i64 = -1;

/// Maximum length of a task event's texts, in characters, as its schema has it.
const MAX_TASK_CHARS: usize = 100_000;

/// A record that can be stored.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) kind: Kind,
    pub(crate) id: RecordId,
    pub(crate) project_id: Option<ProjectId>,
    pub(crate) status: Option<String>,
    pub(crate) updated_at: Timestamp,
    /// The version that was changed; none for what is new, -1 for whichever there is.
    pub(crate) base: Option<i64>,
    pub(crate) hash: ContentHash,
    /// Canonical JSON; none for what is deleted.
    pub(crate) content: Option<Vec<u8>>,
    /// The key of an encrypted content.
    pub(crate) key_id: Option<String>,
}

/// Why a record can't be stored, and its id as far as it could be read.
#[derive(Debug)]
pub(crate) struct Unusable {
    pub(crate) id: Option<String>,
    pub(crate) why: Rejection,
}

impl Record {
    /// Reads a record of a push.
    pub(crate) fn read(text: &RawValue) -> Result<Self, Unusable> {
        must_be_object(text)?;
        let record: PushRecord = serde_json::from_str(text.get()).map_err(|e| Unusable {
            id: unverified_id(text),
            why: Rejection::new(Code::InvalidRecord, sentence(&e)),
        })?;
        let id = record.id.to_string();
        Self::from_wire(record).map_err(|why| Unusable { id: Some(id), why })
    }

    fn from_wire(record: PushRecord) -> Result<Self, Rejection> {
        let PushRecord { kind, id, project_id, content, updated_at, base_version, deleted } = record;
        if !kind.is_pushed() {
            let detail =
                format!("Records of the kind {kind} come from the cloud alone; they are pulled and never pushed.");
            return Err(Rejection::new(Code::ReadOnlyKind, detail));
        }
        if updated_at < Timestamp::UNIX_EPOCH {
            return Err(Rejection::new(Code::InvalidRecord, "updated_at is before 1970. Set the device's clock."));
        }
        let base = base_version.map(i64::try_from).transpose().map_err(|_| {
            Rejection::new(Code::InvalidRecord, "base_version is larger than any version. Send the one you pulled.")
        })?;
        let content = if deleted { None } else { Some(Content::read(kind, content.as_deref())?) };
        let hash = content.as_ref().map_or_else(hash_of_nothing, |c| c.hash);
        let (content, key_id, status) =
            content.map_or_else(Default::default, |c| (Some(c.canonical), c.key_id, c.status));
        Ok(Self { kind, id, project_id, status, updated_at, base, hash, content, key_id })
    }

    /// A task event is the whole task as it is now, whatever it was before.
    pub(crate) fn of_task(event: TaskEvent, now: Timestamp) -> Result<Self, Rejection> {
        let TaskEvent { task_id, project_id, description, outcome, .. } = &event;
        let is_long = |text: &Option<String>| text.as_ref().is_some_and(|text| text.chars().count() > MAX_TASK_CHARS);
        if is_long(description) || is_long(outcome) {
            let detail = "A task's description and outcome have at most 100000 characters. Shorten it.";
            return Err(Rejection::new(Code::InvalidRecord, detail));
        }
        let (id, project_id) = (task_id.clone(), project_id.clone());
        let status = event.status.as_ref().map(ToString::to_string);
        let mut content = json!(event);
        if let Value::Object(fields) = &mut content {
            fields.remove("task_id");
            fields.remove("project_id");
        }
        let content = Content::of(content)?;
        let (base, hash) = (Some(WHICHEVER), content.hash);
        let content = Some(content.canonical);
        Ok(Self { kind: Kind::Task, id, project_id, status, updated_at: now, base, hash, content, key_id: None })
    }
}

#[derive(Debug)]
struct Content {
    canonical: Vec<u8>,
    hash: ContentHash,
    key_id: Option<String>,
    status: Option<String>,
}

impl Content {
    fn read(kind: Kind, text: Option<&RawValue>) -> Result<Self, Rejection> {
        let Some(text) = text else {
            return Err(Rejection::new(
                Code::InvalidRecord,
                "The content is missing. Send it, or `\"deleted\": true`.",
            ));
        };
        let text = text.get();
        // Whitespace and escapes don't make a content that fits eight times as long; a longer text is refused without parsing.
        if text.len() > 8 * MAX_CONTENT_BYTES {
            return Err(too_large());
        }
        // Most contents are canonical as they are, and no field has to be read from them.
        let has_fields = kind == Kind::Task || text.starts_with(r#"{"encrypted":"#);
        if !has_fields && text.len() <= MAX_CONTENT_BYTES && content::is_canonical_object(text) {
            let hash = ContentHash::of_canonical(text.as_bytes());
            return Ok(Self { canonical: text.into(), hash, key_id: None, status: None });
        }
        let value = serde_json::from_str(text).map_err(|e| Rejection::new(Code::InvalidContent, sentence(&e)))?;
        let status = if kind == Kind::Task { status(&value) } else { None };
        Ok(Self { status, ..Self::of(value)? })
    }

    fn of(value: Value) -> Result<Self, Rejection> {
        if !value.is_object() {
            return Err(Rejection::new(
                Code::InvalidContent,
                "The content is not an object. Put it in a field of one.",
            ));
        }
        let unusable = |e: content::ContentError| Rejection::new(Code::InvalidContent, e.to_string());
        let canonical = content::canonical_json(&value).map_err(unusable)?;
        if canonical.len() > MAX_CONTENT_BYTES {
            return Err(too_large());
        }
        let envelope = Envelope::of(&value).map_err(unusable)?;
        let (hash, key_id) = match envelope {
            Some(envelope) => (envelope.content_hash(), Some(envelope.key_id)),
            None => (ContentHash::of_canonical(&canonical), None),
        };
        Ok(Self { canonical, hash, key_id, status: None })
    }
}

fn status(content: &Value) -> Option<String> {
    TaskStatus::parse(content.get("status")?.as_str()?).ok().map(String::from)
}

fn hash_of_nothing() -> ContentHash {
    ContentHash::of_canonical(b"null")
}

fn too_large() -> Rejection {
    Rejection::new(Code::ContentTooLarge, "The content is larger than 256 KiB. Shorten it, or split it into several.")
}

/// serde would take a list of the fields' values, in order, for the object.
pub(crate) fn must_be_object(text: &RawValue) -> Result<(), Unusable> {
    let why = || Rejection::new(Code::InvalidRecord, "The record is not an object. Send one with its fields by name.");
    text.get().starts_with('{').then_some(()).ok_or_else(|| Unusable { id: None, why: why() })
}

/// Reads the id of a record that could not be read.
fn unverified_id(text: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Named {
        id: String,
    }
    serde_json::from_str(text.get()).ok().map(|Named { id }| id)
}

/// serde's words without the position, which is that in the record's own text; it repeats values, which may be long.
pub(crate) fn sentence(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let text = text.split(" at line ").next().unwrap_or_default();
    let text: String = text.chars().take(300).collect();
    format!("The record can't be used: {}.", text.trim_end_matches('.'))
}
