//! Records come in: page by page, each taken in whole together with the cursor behind it.

use protocol::problem::Code;
use protocol::wire::{MAX_PULL_RECORDS, PullAnswer};
use serde::Serialize;

use super::{Context, SyncProgress};
use crate::Error;
use crate::context::Page;
use crate::notice::Notice;

/// How often a pull starts over before it gives up: a cloud that refuses its own cursors is broken.
const MAX_RESTARTS: u32 = 2;

/// What a pull did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Pulled {
    /// How many records came, those that were pushed from here among them.
    pub records: u64,
    /// Whether the cloud did not know the cursor, so that everything was fetched again.
    pub started_over: bool,
    /// How many changes wait again, since the cloud had lost them.
    pub queued_again: usize,
}

impl Context {
    pub(super) fn pull_all(&self, on: &mut dyn FnMut(SyncProgress)) -> Result<Pulled, Error> {
        let mut pulled = Pulled::default();
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
                    self.store.start_over()?;
                    self.client.inner.notify.send(&Notice::StartedOver);
                    continue;
                }
                other => other?,
            };
            let rows = page.records.iter().map(|record| Ok((record.kind, self.open(record, progress.pass)?)));
            let rows = rows.collect::<Result<Vec<_>, Error>>()?;
            let come = rows.len() as u64;
            // A cloud that promises more and goes nowhere is not asked for ever.
            let has_more = page.has_more && progress.cursor.as_ref() != Some(&page.next_cursor);
            let again = self.store.apply(&Page { rows, next_cursor: page.next_cursor, has_more }, &self.device)?;
            pulled.records += come;
            pulled.queued_again += again;
            if !has_more {
                break;
            }
            if all && total.is_none() {
                // Only for a person's eyes: a pull goes on without.
                total =
                    self.cloud_status().ok().map(|all| all.kinds.iter().map(|kind| kind.count + kind.deleted).sum());
            }
            let done = if all { progress.pulled + come } else { pulled.records };
            on(SyncProgress::Pulling { done, total });
        }
        if pulled.queued_again > 0 {
            self.client.inner.notify.send(&Notice::QueuedAgain { count: pulled.queued_again });
        }
        Ok(pulled)
    }

    fn page(&self, cursor: Option<&str>) -> Result<PullAnswer, Error> {
        let limit = MAX_PULL_RECORDS.to_string();
        let mut query = vec![("limit", limit.as_str())];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        self.ask("/api/v1/context/pull", &query)
    }
}
