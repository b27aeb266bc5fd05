//! Positions in a stream, as clients hold them: opaque, and authenticated under a key of the tenant that is stored with its data.
//!
//! A cursor is a number with what makes it mean something: the tenant, the epoch that operators raise after a restore, and
//! the write-ahead log's timeline, which Postgres raises by itself when it goes on from an earlier point or on another
//! server. With either of them changed, numbers may have been assigned twice, and the client has to start over.

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use common::Problem;

use crate::head::Head;

/// Length of a cursor's body: epoch and timeline, four bytes each, and the number, eight. The first half of an HMAC-SHA-256
/// follows.
const BODY_LEN: usize = 16;
const TAG_LEN: usize = 16;

/// Maximum position: beyond any number that is assigned, and with room for what is added to it.
const MAX_SEQ: i64 = 1 << 62;

/// Listing that a cursor belongs to; a cursor of another listing is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Listing {
    /// The tenant's stream, forwards.
    Stream = b's',
    /// The records of one kind, from the latest back.
    View = b'v',
    /// The history of a record, from the latest version back.
    History = b'h',
}

/// A cursor as received: its position may be used for a query, whose result is returned only after [`Cursor::check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    epoch: i32,
    timeline: i32,
    /// The position, not verified yet.
    pub unverified_seq: i64,
    tag: [u8; TAG_LEN],
}

impl Cursor {
    /// Reads a cursor's text.
    ///
    /// # Errors
    /// `400` when it can't be one.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let mut bytes = [0; BODY_LEN + TAG_LEN];
        match URL_SAFE_NO_PAD.decode_slice(text, &mut bytes) {
            Ok(length) if length == bytes.len() => {}
            _ => return Err(Problem::invalid_cursor()),
        }
        let (body, tag) = bytes.split_at(BODY_LEN);
        let unverified_seq = i64::from_be_bytes(body[8..].try_into().expect("eight bytes"));
        if !(0..=MAX_SEQ).contains(&unverified_seq) {
            return Err(Problem::invalid_cursor());
        }
        let four = |at: usize| i32::from_be_bytes(body[at..at + 4].try_into().expect("four bytes"));
        Ok(Self {
            epoch: four(0),
            timeline: four(4),
            unverified_seq,
            tag: tag.try_into().expect("the tag is what is left"),
        })
    }

    /// Checks that the cursor belongs to this stream and listing, and that its number still means what it meant.
    ///
    /// # Errors
    /// `400` when not: the client starts over without a cursor.
    pub fn check(&self, listing: Listing, head: &Head) -> Result<(), Problem> {
        let message = message(listing, head, &body(self.epoch, self.timeline, self.unverified_seq));
        let tag = hmac::sign(&head.cursor_key, &message);
        let genuine = aws_lc_rs::constant_time::verify_slices_are_equal(&tag.as_ref()[..TAG_LEN], &self.tag).is_ok();
        if !genuine {
            return Err(Problem::invalid_cursor());
        }
        let is_current = self.epoch == head.epoch && self.timeline == head.timeline && self.unverified_seq <= head.seq;
        is_current.then_some(()).ok_or_else(Problem::outdated_cursor)
    }
}

impl Head {
    /// Returns the cursor of a position in one of the tenant's listings.
    #[must_use]
    pub fn cursor(&self, listing: Listing, seq: i64) -> String {
        let body = body(self.epoch, self.timeline, seq);
        let tag = hmac::sign(&self.cursor_key, &message(listing, self, &body));
        let mut bytes = [0; BODY_LEN + TAG_LEN];
        bytes[..BODY_LEN].copy_from_slice(&body);
        bytes[BODY_LEN..].copy_from_slice(&tag.as_ref()[..TAG_LEN]);
        URL_SAFE_NO_PAD.encode(bytes)
    }
}

fn body(epoch: i32, timeline: i32, seq: i64) -> [u8; BODY_LEN] {
    let mut body = [0; BODY_LEN];
    body[..4].copy_from_slice(&epoch.to_be_bytes());
    body[4..8].copy_from_slice(&timeline.to_be_bytes());
    body[8..].copy_from_slice(&seq.to_be_bytes());
    body
}

fn message(listing: Listing, head: &Head, body: &[u8; BODY_LEN]) -> [u8; 17 + BODY_LEN] {
    let mut message = [0; 17 + BODY_LEN];
    message[0] = listing as u8;
    message[1..17].copy_from_slice(head.tenant.as_uuid().as_bytes());
    message[17..].copy_from_slice(body);
    message
}
