//! Encrypted contents, told from plain ones.

use protocol::envelope::Envelope;

/// Beginning of every envelope, as canonical JSON.
const BEGINNING: &str = "{\"encrypted\":";

/// Returns the envelope that a content is; none where it is plain.
pub fn locked(content: &str) -> Option<Envelope> {
    // Most contents are plain, and need not be parsed to see it.
    if !content.starts_with(BEGINNING) {
        return None;
    }
    Envelope::of(&serde_json::from_str(content).ok()?).ok().flatten()
}
