//! Turns an agent's event into records: `coditect hook task-plan`.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read};
use std::path::PathBuf;

use protocol::envelope::Envelope;
use protocol::id::{ProjectId, RecordId};
use protocol::wire::Kind;
use serde_json::{Map, Value};

use super::event::{self, News, Sighting};
use super::mend::mended;
use super::scan::Scanner;
use super::{AgentHook, project, trouble};
use crate::HookError;
use crate::text::{decoded, is_utf16, without_mark};
use crate::{ContextStore, Draft, Entry, Error, environment};

/// Largest event about tasks, in bytes. Events about other tools may be larger, and aren't kept.
const MAX_EVENT: usize = 4 * 1024 * 1024;

/// The size of one read: as much as a pipe holds.
const CHUNK: usize = 64 * 1024;

/// Largest number of further bytes that are read and discarded, since an agent may take unread output for a failure.
const MAX_IGNORED: u64 = 128 * 1024 * 1024;

impl AgentHook {
    /// Records the tasks of an agent's event, and returns the number of those that changed.
    ///
    /// # Errors
    /// When the event can't be read or the queue can't be written. The error is also recorded for
    /// [`trouble`](Self::trouble), or else it is [`HookError::Lost`], which the caller should report.
    pub fn task_plan(&self, input: impl Read) -> Result<usize, Error> {
        self.record(input).map_err(|error| {
            if trouble::note(&self.home, &error) {
                return error;
            }
            HookError::Lost { cause: format!("{error} {}", error.hint()) }.into()
        })
    }

    /// Returns true if the recording has deferred work for [`checkpoint`](Self::checkpoint), to be done once the agent no longer waits.
    pub fn needs_checkpoint(&self) -> bool {
        self.store().is_ok_and(|store| store.needs_checkpoint())
    }

    /// Does the work that the recording has deferred.
    ///
    /// # Errors
    /// When the databases can't be used.
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.store()?.checkpoint()
    }

    fn store(&self) -> Result<ContextStore, Error> {
        ContextStore::open(Some(self.home.path().to_owned()))
    }

    fn record(&self, input: impl Read) -> Result<usize, Error> {
        let event = read(input)?;
        let sightings = event::sightings(&event);
        if sightings.is_empty() {
            return Ok(0);
        }
        let persons_home = environment::persons_home();
        let folder = event::folder(&event).map(PathBuf::from).or_else(environment::agents_project);
        let project = folder.and_then(|folder| project::of(&folder, persons_home.as_deref()));
        let store = self.store()?.fast();
        let ids: Vec<&RecordId> = sightings.iter().map(|seen| &seen.id).collect();
        let mut seen = sightings.iter();
        store.edit_all(Kind::Task, &ids, |known| Ok(seen.next().and_then(|seen| draft(seen, known, project.as_ref()))))
    }
}

/// Returns the new content of a task's record; `None` leaves it as it is.
fn draft(seen: &Sighting, known: Option<Entry>, project: Option<&ProjectId>) -> Option<Draft> {
    let mut content = Map::new();
    let mut project_id = project.cloned();
    match (known, seen.news) {
        // A task that was never recorded need not be dropped, and one that the agent didn't change may have been changed by
        // a user.
        (None, News::Vanished) | (Some(_), News::Same) => return None,
        (None, _) => {}
        (Some(known), news) => {
            let Value::Object(fields) = known.content else { return None };
            let done = fields.get("status").is_some_and(|status| status == event::COMPLETED);
            // A record that can't be read here (its key is elsewhere) can't be changed in part either.
            if Envelope::of(&Value::Object(fields.clone())) != Ok(None) || (done && news == News::Vanished) {
                return None;
            }
            content = fields;
            project_id = known.project_id.or(project_id);
        }
    }
    content.extend(seen.fields.clone());
    Some(Draft { kind: Kind::Task, id: seen.id.clone(), project_id, content: Value::Object(content) })
}

/// Reads the first JSON value, without waiting for the end of the input.
fn read(mut input: impl Read) -> Result<Value, Error> {
    let fault = |fault: String| Error::from(HookError::Event { fault });
    let (mut text, mut chunk, mut scanner) = (Vec::new(), vec![0; CHUNK], Scanner::default());
    let value = loop {
        if let Some(value) = first_value(&text, &mut scanner) {
            break value;
        }
        match input.read(&mut chunk) {
            Ok(0) => break in_utf8(&text),
            Ok(len) => text.extend_from_slice(&chunk[..len]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                return Err(fault(format!("it was not whole in time; {} bytes came", text.len())));
            }
            Err(cause) => return Err(Error::File { path: "standard input".into(), cause }),
        }
        if text.len() > MAX_EVENT {
            // The rest is discarded, and so is an error: nothing of the event is recorded in any case.
            let _ = io::copy(&mut input.take(MAX_IGNORED), &mut io::sink());
            return Err(fault("it is larger than 4 MiB".into()));
        }
    };
    let text = mended(without_mark(&value));
    serde_json::from_str(&text).map_err(|error| fault(error.to_string()))
}

/// Returns the first value of a text, if it is complete. The text must begin with the text of the previous call.
fn first_value<'a>(text: &'a [u8], scanner: &mut Scanner) -> Option<Cow<'a, [u8]>> {
    match in_utf8(text) {
        Cow::Borrowed(text) => scanner.end_of_value(text).map(|end| Cow::Borrowed(&text[..end])),
        // The last character may be incomplete, so the text need not continue the previous one.
        Cow::Owned(text) => Scanner::default().end_of_value(&text).map(|end| Cow::Owned(text[..end].to_vec())),
    }
}

/// Returns a text in UTF-8, converted from UTF-16 if its byte order mark indicates that.
fn in_utf8(text: &[u8]) -> Cow<'_, [u8]> {
    if is_utf16(text) { Cow::Owned(decoded(text).into_owned().into_bytes()) } else { Cow::Borrowed(text) }
}
