//! Pull: records come in page by page, each stored whole together with the cursor behind it.

use local::context::{Page, Progress, Row};
use local::notice::Notice;
use protocol::problem::Code;
use protocol::wire::{AnyRecord, Kind, MAX_PULL_RECORDS, PullAnswer};
use serde::Serialize;

use super::content_crypto::ContentState;
use super::{Context, SyncProgress};
use crate::{Error, JournalEvent};

/// Maximum number of times that a pull starts over before it gives up: a cloud that refuses its own cursors is broken.
const MAX_RESTARTS: u32 = 2;

/// Result of a pull.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pulled {
    /// Number of records that came, those that were pushed from here among them.
    pub records: u64,
    /// True if everything was fetched again: the cloud did not know the cursor, or a file here lacked records.
    pub started_over: bool,
    /// Number of changes that wait again, since the cloud had lost them.
    pub queued_again: usize,
    /// Number of changes that wait again although the cloud has a later version: its history decides whether it knew them.
    #[serde(skip)]
    pub(crate) compared: usize,
    /// Number of records that came in clear from before the tenant encrypted. They wait to be sent again, encrypted.
    pub bare: u64,
    /// Number of records that came in clear although the tenant encrypted already. They are kept as they came.
    pub exposed: u64,
    /// Number of records that can't be read here, for want of their key.
    pub locked: u64,
    /// Number of records whose content is not the one that was encrypted for them. They are kept as they came.
    pub forged: u64,
    /// Number of records of a kind that this version does not know. They are fetched again by one that does.
    pub unknown: u64,
}

impl Context {
    pub(super) fn pull_all(&self, on: &mut dyn FnMut(SyncProgress)) -> Result<Pulled, Error> {
        self.ready()?;
        self.meet_new_kinds()?;
        let begin = self.store.progress()?;
        let mut pulled = Pulled { started_over: begin.starting_over && begin.cursor.is_none(), ..Pulled::default() };
        let mut restarts = 0;
        let mut total = None;
        loop {
            let progress = self.store.progress()?;
            let all = progress.pulled_at.is_none() || progress.starting_over;
            let page = match self.page(progress.cursor.as_deref()) {
                Err(Error::Refused(refusal))
                    if refusal.problem.known_code() == Some(Code::InvalidCursor)
                        && progress.cursor.is_some()
                        && restarts < MAX_RESTARTS =>
                {
                    restarts += 1;
                    pulled.started_over = true;
                    self.store.start_over("the cloud did not know the cursor")?;
                    self.core.notify.send(&Notice::StartedOver);
                    continue;
                }
                other => other?,
            };
            let come = page.records.len() as u64;
            let page = self.open_page(page, &progress, &mut pulled)?;
            let has_more = page.has_more;
            let again = self.store.apply(&page, &self.device)?;
            pulled.records += come;
            pulled.queued_again += again.lost;
            pulled.compared += again.compared;
            if !has_more {
                break;
            }
            if all && total.is_none() {
                // Only shown to the user: a pull goes on without.
                total =
                    self.cloud_status().ok().map(|all| all.kinds.iter().map(|kind| kind.count + kind.deleted).sum());
            }
            let done = if all { progress.pulled + come } else { pulled.records };
            on(SyncProgress::Pulling { done, total });
        }
        for (count, notice) in [
            (pulled.unknown, Notice::UnknownKinds { count: pulled.unknown }),
            (pulled.locked, Notice::Locked { count: pulled.locked }),
            (pulled.forged, Notice::Forged { count: pulled.forged }),
            (pulled.exposed, Notice::Exposed { count: pulled.exposed }),
            (pulled.queued_again as u64, Notice::QueuedAgain { count: pulled.queued_again }),
        ] {
            if count > 0 {
                self.core.notify.send(&notice);
            }
        }
        Ok(pulled)
    }

    /// Converts a page to the form that is kept here. Records that came in clear from before the tenant encrypted are
    /// queued, to be encrypted: before they are kept, so that a crash in between does it again.
    fn open_page(&self, page: PullAnswer<AnyRecord>, progress: &Progress, pulled: &mut Pulled) -> Result<Page, Error> {
        let crypto = self.content_crypto()?;
        let mut envelope_key_id = progress.envelope_key_id.clone();
        let (mut rows, mut bare, mut forged, mut exposed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut unknown_kinds = Vec::new();
        for record in page.records {
            let record = match record {
                AnyRecord::Known(record) => record,
                AnyRecord::Unknown(kind) => {
                    pulled.unknown += 1;
                    unknown_kinds.push(kind);
                    continue;
                }
            };
            let kind = record.kind;
            let opened = crypto.open(&record, &mut envelope_key_id);
            let row = Row::pulled(&record, opened.content, opened.project_id, progress.pass);
            match opened.state {
                ContentState::Plaintext | ContentState::Decrypted => {}
                ContentState::PlaintextToEncrypt => bare.push((kind, row.clone())),
                ContentState::UnexpectedPlaintext => exposed.push((kind, row.id.clone())),
                ContentState::KeyMissing => pulled.locked += 1,
                ContentState::AuthenticationFailed => forged.push((kind, row.id.clone())),
            }
            rows.push((kind, row));
        }
        pulled.bare += self.store.queue_bare(&bare)?;
        pulled.forged += forged.len() as u64;
        let detail = "its content is not what was encrypted for it, and is kept as it came";
        self.store.note_odd(JournalEvent::Forged, &forged, detail)?;
        if !exposed.is_empty() && !crypto.has_key() {
            // An operator may have turned encryption off.
            let _ = self.cloud_status();
            if self.store.progress()?.tenant_key_id.is_none() {
                exposed.clear();
            }
        }
        pulled.exposed += exposed.len() as u64;
        let detail = "it came in clear although your organization encrypts, and is kept as it came";
        self.store.note_odd(JournalEvent::Exposed, &exposed, detail)?;
        // A cloud that announces more and repeats the cursor is not asked forever.
        let has_more = page.has_more && progress.cursor.as_ref() != Some(&page.next_cursor);
        Ok(Page { rows, next_cursor: page.next_cursor, has_more, envelope_key_id, unknown_kinds })
    }

    /// Fetches everything again if an earlier version of this program left out records of a kind that this one knows.
    fn meet_new_kinds(&self) -> Result<(), Error> {
        let unknown_kinds = self.store.progress()?.unknown_kinds;
        match unknown_kinds.iter().find(|word| word.parse::<Kind>().is_ok()) {
            Some(kind) => self.store.start_over(&format!("records of the kind {kind} can be kept now")),
            None => Ok(()),
        }
    }

    fn page(&self, cursor: Option<&str>) -> Result<PullAnswer<AnyRecord>, Error> {
        let limit = MAX_PULL_RECORDS.to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        self.fetch("/api/v1/context/pull", &query)
    }
}
