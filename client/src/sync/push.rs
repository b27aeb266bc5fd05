//! Push: changes are sent in the order in which they were made, per record one at a time, many records together.

use local::context::{Answer, Answered, Row, Scope, Waiting};
use local::notice::Notice;
use protocol::wire::{MAX_PUSH_BYTES, MAX_PUSH_RECORDS, PushAnswer, PushResult, PushStatus, Rejection, RejectionCode};

use super::content_crypto::EncryptError;
use super::record::Outgoing;
use super::{Context, Pushed, SyncProgress};
use crate::{Error, Fault, JournalEvent, Refusal};

/// Maximum size of a push in bytes, with some room below the cloud's limit.
const MAX_BYTES: usize = MAX_PUSH_BYTES - MAX_PUSH_BYTES / 8;

const PATH: &str = "/api/v1/context/push";

/// The changes that are sent next.
#[derive(Debug, Default)]
struct Batch {
    changes: Vec<Outgoing>,
    /// Changes that can't be sent as they are, and why.
    faulty: Vec<(Waiting, EncryptError)>,
}

impl Context {
    pub(super) fn push_all(&self, on: &mut dyn FnMut(SyncProgress)) -> Result<Pushed, Error> {
        self.ready()?;
        self.store.begin_push()?;
        self.ask_for_key()?;
        let mut pushed = Pushed::default();
        let total = self.store.waiting()?;
        let mut scope = Scope::All;
        let result = loop {
            match self.push_next(&mut scope, &mut pushed) {
                Ok(true) => on(SyncProgress::Pushing { done: pushed.answered(), total }),
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
        };
        // Sent also if the push did not get to the end.
        let notify = &self.core.notify;
        if !pushed.lost.is_empty() {
            let mut records = std::mem::take(&mut pushed.lost);
            // Several changes of one record are one piece of news.
            records.sort();
            records.dedup();
            notify.send(&Notice::ConflictsLost { records });
        }
        if !pushed.given_up.is_empty() {
            notify.send(&Notice::ChangesParked { records: std::mem::take(&mut pushed.given_up) });
        }
        result?;
        // With nothing to send, the cloud has confirmed nothing.
        if pushed.sent() > 0 && pushed.hindered == 0 {
            let now = self.store.now();
            self.store.set_progress(|progress| progress.pushed_at = Some(now))?;
        }
        Ok(pushed)
    }

    /// Sends a batch; returns false if there was none.
    fn push_next(&self, scope: &mut Scope, pushed: &mut Pushed) -> Result<bool, Error> {
        let Batch { changes, faulty } = self.batch(*scope)?;
        if changes.is_empty() && faulty.is_empty() {
            return Ok(false);
        }
        let faulty = faulty.into_iter().map(|(change, why)| unsealed(change, why, pushed)).collect();
        self.write_down(faulty, pushed)?;
        if changes.is_empty() {
            return Ok(true);
        }
        let before = pushed.sent() + pushed.refused;
        self.send(changes, pushed)?;
        if pushed.sent() + pushed.refused == before {
            // Where the cloud takes nothing at all, most of the rest can wait, but not changes that may be taken all the
            // same, or even make room.
            *scope = match pushed.hindrance.as_ref().and_then(|why| why.code.parse().ok()) {
                Some(RejectionCode::EncryptionRequired) => Scope::Deletions,
                _ if *scope == Scope::All => Scope::Known,
                _ => *scope,
            };
        }
        Ok(true)
    }

    fn batch(&self, scope: Scope) -> Result<Batch, Error> {
        let crypto = self.content_crypto()?;
        let mut batch = Batch::default();
        let mut bytes = 0;
        self.store.next_changes(scope, |change| {
            let outgoing = match Outgoing::seal(&crypto, change) {
                Ok(outgoing) => outgoing,
                Err(faulty) => {
                    batch.faulty.push(*faulty);
                    return Ok(batch.faulty.len() < MAX_PUSH_RECORDS);
                }
            };
            bytes += outgoing.json.len() + 1;
            if bytes > MAX_BYTES && !batch.changes.is_empty() {
                return Ok(false);
            }
            batch.changes.push(outgoing);
            Ok(batch.changes.len() < MAX_PUSH_RECORDS)
        })?;
        Ok(batch)
    }

    /// Sends changes. If the cloud refuses them all together, it is because of one of them, which is found by halves.
    fn send(&self, mut changes: Vec<Outgoing>, pushed: &mut Pushed) -> Result<(), Error> {
        match self.post(&changes) {
            Ok(results) => self.settle(changes, results.into_iter().map(Ok).collect(), pushed),
            Err(Error::Refused(refusal)) if blames_a_record(&refusal) => {
                if changes.len() == 1 {
                    return self.settle(changes, vec![Err(refusal.to_string())], pushed);
                }
                let rest = changes.split_off(changes.len() / 2);
                self.send(changes, pushed)?;
                self.send(rest, pushed)
            }
            Err(error) => Err(error),
        }
    }

    fn post(&self, changes: &[Outgoing]) -> Result<Vec<PushResult>, Error> {
        let records: Vec<&str> = changes.iter().map(|change| change.json.as_str()).collect();
        // This machine's id is hex, and needs no escapes.
        let json = format!("{{\"device_id\":\"{}\",\"records\":[{}]}}", self.device, records.join(","));
        let answer: PushAnswer = self.tell(PATH, json.as_bytes())?;
        if answer.results.len() != changes.len() {
            return Err(Error::outage(&PATH, "it did not answer for every record", Fault::Cloud));
        }
        Ok(answer.results)
    }

    fn settle(
        &self,
        changes: Vec<Outgoing>,
        results: Vec<Result<PushResult, String>>,
        pushed: &mut Pushed,
    ) -> Result<(), Error> {
        let pass = self.store.progress()?.pass;
        self.learn_from(results.iter().flatten())?;
        let understood = changes.into_iter().zip(results).map(|(change, result)| match result {
            Ok(result) => self.understand(change, result, pass, pushed),
            Err(why) => refused(change.change, why, pushed),
        });
        let answered = understood.collect();
        self.write_down(answered, pushed)
    }

    fn write_down(&self, answered: Vec<Answered>, pushed: &mut Pushed) -> Result<(), Error> {
        pushed.settled(self.store.settle(&answered)?);
        Ok(())
    }

    /// Converts the cloud's result to the answer about a change.
    fn understand(&self, outgoing: Outgoing, result: PushResult, pass: u64, pushed: &mut Pushed) -> Answered {
        let (version, hash) = match (result.status, result.version, result.content_hash) {
            (PushStatus::Rejected, ..) | (_, None, _) | (_, _, None) => {
                return rejected(outgoing, result.error, pushed);
            }
            (_, Some(version), Some(hash)) => (version, hash),
        };
        let ours = hash == outgoing.content_hash;
        if result.status == PushStatus::Other && !ours {
            // A newer cloud's word: the effect on the change is not known, so it stays.
            let detail = "the cloud answered with a word that this version does not know".to_owned();
            return hindered(outgoing.change, Rejection { code: "unknown".to_owned(), detail }, pushed);
        }
        let change = outgoing.change;
        let mut event = JournalEvent::Pushed;
        match result.status {
            PushStatus::Created => pushed.created += 1,
            PushStatus::Updated | PushStatus::Other => pushed.updated += 1,
            PushStatus::Conflict if ours => pushed.conflicts_won += 1,
            PushStatus::Conflict => {
                pushed.conflicts_lost += 1;
                pushed.lost.push((change.kind, change.id.clone()));
                event = JournalEvent::Lost;
            }
            PushStatus::Duplicate | PushStatus::Rejected => pushed.duplicates += 1,
        }
        let row = ours.then(|| Row {
            id: change.id.clone(),
            project_id: change.project_id.clone(),
            content: change.content.clone(),
            content_hash: hash,
            version,
            updated_at: change.updated_at,
            deleted: change.deleted,
            device_id: self.device.clone(),
            user_id: None,
            written_at: None,
            pass,
        });
        // The next change after one that has lost was made from the lost one: the cloud is to see a conflict.
        let next_base = if ours { Some(version) } else { change.base_version };
        let detail = format!("{}, version {version}", result.status);
        Answered { change, answer: Answer::Taken { next_base }, row, event, detail }
    }
}

fn rejected(outgoing: Outgoing, rejection: Option<Rejection>, pushed: &mut Pushed) -> Answered {
    let unknown = || Rejection { code: "unknown".to_owned(), detail: "The cloud did not say why.".to_owned() };
    let rejection = rejection.unwrap_or_else(unknown);
    if rejection.is_the_records_own_fault() {
        return refused(outgoing.change, rejection.detail, pushed);
    }
    hindered(outgoing.change, rejection, pushed)
}

fn hindered(change: Waiting, rejection: Rejection, pushed: &mut Pushed) -> Answered {
    pushed.hindered += 1;
    let detail = rejection.detail.clone();
    let answer = Answer::Hindered(detail.clone());
    pushed.hindrance.get_or_insert(rejection);
    Answered { change, answer, row: None, event: JournalEvent::Refused, detail }
}

/// Converts the error of a change that could not be sent to an answer.
fn unsealed(change: Waiting, why: EncryptError, pushed: &mut Pushed) -> Answered {
    match why {
        EncryptError::TooLarge => refused(change, why.to_string(), pushed),
        EncryptError::NoKey => {
            hindered(change, Rejection::new(RejectionCode::EncryptionRequired, why.to_string()), pushed)
        }
    }
}

fn refused(change: Waiting, why: String, pushed: &mut Pushed) -> Answered {
    pushed.refused += 1;
    let answer = Answer::Faulty(why.clone());
    Answered { change, answer, row: None, event: JournalEvent::Refused, detail: why }
}

/// Returns true if a refusal of a whole push is about its content, and not about its sender or address.
fn blames_a_record(refusal: &Refusal) -> bool {
    matches!(refusal.problem.status, 400 | 413 | 422)
}
