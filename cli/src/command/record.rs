//! `coditect task`, `coditect decision`, `coditect learning` and their plurals

pub(super) mod ids;
pub(super) mod text;

use std::collections::BTreeSet;

use coditect::text::{decoded, forms, is_blank, nfc};
use coditect::{
    Change, ContextError, ContextStore, Draft, Entry, Error, Filter, Kind, ProjectId, RecordId, TaskStatus,
};
use serde::de::IgnoredAny;
use serde_json::{Map, Value, json};

use super::{client, read_stdin};
use crate::arguments::{
    Common, CommonFields, ListFilter, NoteCommand, NoteFields, ShowArguments, TASK_STATUSES, TaskCommand, TaskFields,
    TextArgument,
};
use crate::exit_status::ExitStatus;
use crate::printer::Printer;
pub(super) use ids::Ids;

/// Longest input that is read, in bytes: more than any content, however it is written, so that an error can name the size of one
/// that is too long.
const MAX_INPUT_LEN: usize = 64 * 1024 * 1024;

/// Number of entries of a history per request.
const HISTORY_PAGE_LEN: u16 = 16;

pub(super) fn task(printer: Printer, common: &Common, command: TaskCommand) -> Result<ExitStatus, Error> {
    let records = Records::open(printer, common, Kind::Task)?;
    match command {
        TaskCommand::Add { text, id, mut fields } => {
            if fields.common.content.is_none() {
                fields.status = fields.status.or_else(|| TaskStatus::parse(TASK_STATUSES[0]).ok());
            }
            records.add(id, &fields.common, text, |text| task_fields(text, &fields))
        }
        TaskCommand::Update { id, text, fields } => {
            records.change(&id, &fields.common, task_fields(text.joined(), &fields))
        }
        TaskCommand::Done { id, outcome } => {
            let fields =
                TaskFields { status: TaskStatus::parse(TASK_STATUSES[2]).ok(), outcome, ..TaskFields::default() };
            records.change(&id, &fields.common, task_fields(None, &fields))
        }
        TaskCommand::List(filter) => records.list(filter.list, filter.status),
        TaskCommand::Show(arguments) => records.show(common, &arguments),
        TaskCommand::Rm { id } => records.remove(&id),
    }
}

pub(super) fn note(printer: Printer, common: &Common, kind: Kind, command: NoteCommand) -> Result<ExitStatus, Error> {
    let records = Records::open(printer, common, kind)?;
    match command {
        NoteCommand::Add { text, id, fields } => {
            records.add(id, &fields.common, text, |text| note_fields(text, &fields))
        }
        NoteCommand::Edit { id, text, fields } => {
            records.change(&id, &fields.common, note_fields(text.joined(), &fields))
        }
        NoteCommand::List(filter) => records.list(filter, None),
        NoteCommand::Show(arguments) => records.show(common, &arguments),
        NoteCommand::Rm { id } => records.remove(&id),
    }
}

/// Returns the fields of a task that were named.
fn task_fields(text: Option<String>, fields: &TaskFields) -> Map<String, Value> {
    without_nulls([
        ("description", normalized(text.as_deref())),
        ("status", json!(fields.status)),
        ("outcome", normalized(fields.outcome.as_deref())),
        ("tool_success_count", json!(fields.tool_success_count)),
        ("tool_error_count", json!(fields.tool_error_count)),
        ("user_corrections", json!(fields.user_corrections)),
    ])
}

/// Returns the fields of a decision or a learning that were named.
fn note_fields(text: Option<String>, fields: &NoteFields) -> Map<String, Value> {
    without_nulls([("title", normalized(text.as_deref())), ("why", normalized(fields.why.as_deref()))])
}

/// Returns a text that was typed, normalized to NFC.
fn normalized(text: Option<&str>) -> Value {
    json!(text.map(nfc))
}

/// Returns a project that was typed.
pub(super) fn project(text: &str) -> Result<ProjectId, Error> {
    Ok(ProjectId::parse(nfc(text))?)
}

fn without_nulls<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The records of a kind on this machine.
struct Records {
    printer: Printer,
    store: ContextStore,
    kind: Kind,
}

impl Records {
    fn open(printer: Printer, common: &Common, kind: Kind) -> Result<Self, Error> {
        Ok(Self { printer, store: ContextStore::open(common.home.clone())?, kind })
    }

    fn add(
        &self,
        id: Option<String>,
        common: &CommonFields,
        text: TextArgument,
        fields: impl FnOnce(Option<String>) -> Map<String, Value>,
    ) -> Result<ExitStatus, Error> {
        let id = match id {
            Some(id) => self.full_id(&id)?,
            None => ContextStore::new_id(),
        };
        let text = text.joined();
        let mut content = content_argument(common)?;
        let is_empty = text.is_none() && content.is_empty();
        content.extend(fields(text));
        if is_empty || Self::is_blank(&content) {
            let sentence = format!("Nothing was added: the {} has no text.", self.noun());
            let hint = format!("`coditect {} add TEXT` adds one that says TEXT.", self.noun());
            return Ok(self.printer.failure(&sentence, &hint, "nothing_said", ExitStatus::Usage));
        }
        let project_id = common.project.as_deref().map(project).transpose()?;
        let wanted = Draft { kind: self.kind, id: id.clone(), project_id, content: content.into() };
        let change = self.store.edit(self.kind, &id, |found| match found {
            Some(found) if found.content != wanted.content || found.project_id != wanted.project_id => {
                Err(ContextError::Exists { what: self.name(&id) }.into())
            }
            _ => Ok(Some(wanted)),
        })?;
        self.print_change(&id, change, "Added")
    }

    fn change(&self, id: &str, common: &CommonFields, fields: Map<String, Value>) -> Result<ExitStatus, Error> {
        let id = self.id(id)?;
        let mut named = content_argument(common)?;
        named.extend(fields);
        let project_id = common.project.as_deref().map(project).transpose()?;
        if (named.is_empty() && project_id.is_none()) || Self::is_blank(&named) {
            let sentence = format!("Nothing was changed: no text and no field of the {} was given.", self.noun());
            let hint =
                format!("`coditect {} update ID TEXT` changes its text, and `--help` shows the rest.", self.noun());
            return Ok(self.printer.failure(&sentence, &hint, "nothing_said", ExitStatus::Usage));
        }
        let change = self.store.edit(self.kind, &id, |found| {
            let found = found.ok_or_else(|| ContextError::NotFound { what: self.name(&id) })?;
            let mut content = match found.content {
                _ if found.locked => return Err(ContextError::Locked.into()),
                Value::Object(content) => content,
                _ => return Err(ContextError::NoObject.into()),
            };
            content.extend(named);
            let project_id = project_id.or(found.project_id);
            Ok(Some(Draft { kind: self.kind, id: id.clone(), project_id, content: content.into() }))
        })?;
        self.print_change(&id, change, "Changed")
    }

    /// Returns true if a field that lists show as the record's text is named, and nothing of it can be seen.
    fn is_blank(fields: &Map<String, Value>) -> bool {
        let is_blank = |name: &str| fields.get(name).and_then(Value::as_str).is_some_and(is_blank);
        ["title", "description"].into_iter().any(is_blank)
    }

    fn print_change(&self, id: &RecordId, change: Change, done: &str) -> Result<ExitStatus, Error> {
        let entry = self.get(id)?;
        let text = match change {
            Change::Queued(_) => format!("{done} {} {id}.", self.noun()),
            Change::Unchanged => format!("The {} {id} says that already.", self.noun()),
        };
        Ok(self.printer.answer(&entry, &text, ExitStatus::Yes))
    }

    fn list(&self, filter: ListFilter, status: Option<TaskStatus>) -> Result<ExitStatus, Error> {
        let project_id = filter.project.as_deref().map(project).transpose()?;
        let status = status.map(String::from);
        // One more, to know whether there are more.
        let wanted = Filter { project_id, status, limit: filter.limit.saturating_add(1) };
        let mut entries = self.store.list(self.kind, &wanted)?;
        if let (true, Some(status)) = (entries.is_empty(), &wanted.status)
            && let Some(refused) = self.refuse_unknown_status(status)?
        {
            return Ok(refused);
        }
        truncate(self.printer, &mut entries, filter.limit);
        let text = match entries[..] {
            _ if self.printer.json => String::new(),
            [] => self.describe_empty(&wanted),
            _ => text::list(&entries, &Ids::of(&self.store, self.kind)?, self.noun(), coditect::now()),
        };
        Ok(self.printer.answer(&json!({ "data": entries }), &text, ExitStatus::Yes))
    }

    /// Returns the sentence that there is no record, or none that the filter selects.
    fn describe_empty(&self, wanted: &Filter) -> String {
        let mut text = format!("There is no {}", self.noun());
        if let Some(project) = &wanted.project_id {
            text += &format!(" in the project {:?}", project.as_str());
        }
        if let Some(status) = &wanted.status {
            text += &format!(" with the status {status:?}");
        }
        text + "."
    }

    /// Refuses a status that is neither a usual one nor one that a record here has.
    fn refuse_unknown_status(&self, status: &str) -> Result<Option<ExitStatus>, Error> {
        if TASK_STATUSES.contains(&status) {
            return Ok(None);
        }
        let all = self.store.list(self.kind, &Filter { limit: usize::MAX, ..Filter::default() })?;
        let there: BTreeSet<&str> = all.iter().filter_map(|entry| entry.content.get("status")?.as_str()).collect();
        if there.contains(status) {
            return Ok(None);
        }
        let mut words = TASK_STATUSES.to_vec();
        words.extend(there.into_iter().filter(|word| !TASK_STATUSES.contains(word)));
        let sentence = format!("No {} has the status {status:?}. There are: {}.", self.noun(), words.join(", "));
        let hint = format!("`coditect {} list` shows all of them.", self.noun());
        Ok(Some(self.printer.failure(&sentence, &hint, "unknown_status", ExitStatus::Usage)))
    }

    fn show(&self, common: &Common, arguments: &ShowArguments) -> Result<ExitStatus, Error> {
        let id = self.id(&arguments.id)?;
        if arguments.history {
            let context = client(self.printer, common)?.context();
            let mut history = context.history(self.kind, &id, HISTORY_PAGE_LEN, None)?;
            while let Some(cursor) = history.next_cursor.take() {
                let page = context.history(self.kind, &id, HISTORY_PAGE_LEN, Some(&cursor))?;
                history.data.extend(page.data);
                (history.next_cursor, history.has_more) = (page.next_cursor, page.has_more);
            }
            let lines: Vec<String> = history.data.iter().map(text::history_line).collect();
            return Ok(self.printer.answer(&history, &lines.join("\n"), ExitStatus::Yes));
        }
        let entry = self.get(&id)?;
        Ok(self.printer.answer(&entry, &text::details(&entry), ExitStatus::Yes))
    }

    fn remove(&self, id: &str) -> Result<ExitStatus, Error> {
        let id = self.id(id)?;
        if !self.store.delete(self.kind, &id)? {
            return Err(ContextError::NotFound { what: self.name(&id) }.into());
        }
        let object = json!({ "kind": self.kind, "id": id, "deleted": true });
        Ok(self.printer.answer(&object, &format!("Deleted {} {id}.", self.noun()), ExitStatus::Yes))
    }

    /// Returns a whole id that was typed, in the normal form (NFC or another) in which a record has it.
    fn full_id(&self, typed: &str) -> Result<RecordId, Error> {
        let first = RecordId::parse(nfc(typed))?;
        for other in forms(typed).into_iter().skip(1).map(RecordId::parse).collect::<Result<Vec<_>, _>>()? {
            if self.store.get(self.kind, &other)?.is_some() && self.store.get(self.kind, &first)?.is_none() {
                return Ok(other);
            }
        }
        Ok(first)
    }

    fn get(&self, id: &RecordId) -> Result<Entry, Error> {
        let found = self.store.get(self.kind, id)?;
        found.ok_or_else(|| ContextError::NotFound { what: self.name(id) }.into())
    }

    /// Returns the id that was typed, whole or as a unique prefix, in whichever normal form it is.
    fn id(&self, typed: &str) -> Result<RecordId, Error> {
        ids::find(typed, self.noun(), |id| self.store.ids(self.kind, id.as_str()))
    }

    fn name(&self, id: &RecordId) -> String {
        format!("{} {id:?}", self.noun(), id = id.as_str())
    }

    fn noun(&self) -> &'static str {
        noun(self.kind)
    }
}

/// Cuts a list to its limit, and says how to see more of it.
pub(super) fn truncate(printer: Printer, entries: &mut Vec<Entry>, limit: usize) {
    if entries.len() > limit {
        entries.truncate(limit);
        let more = limit.saturating_mul(2).max(1);
        printer.notice(&format!("These are the latest {limit}; `--limit {more}` shows more."));
    }
}

/// Returns the name of a kind on the command line.
pub(super) fn noun(kind: Kind) -> &'static str {
    match kind {
        Kind::SkillLearning => "learning",
        kind => kind.as_str(),
    }
}

/// Returns the fields of `--content`.
fn content_argument(common: &CommonFields) -> Result<Map<String, Value>, Error> {
    let text = match common.content.as_deref() {
        None => return Ok(Map::new()),
        Some("-") => read_content()?,
        Some(text) => text.to_owned(),
    };
    match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(_) => Err(ContextError::NoObject.into()),
        Err(cause) => Err(ContextError::NotJson { cause: cause.to_string() }.into()),
    }
}

fn read_content() -> Result<String, Error> {
    let whole = |text: &[u8]| serde_json::from_str::<IgnoredAny>(&decoded(text)).is_ok();
    let input = read_stdin(MAX_INPUT_LEN, whole)?;
    let text = decoded(&input);
    if text.contains(char::REPLACEMENT_CHARACTER) && std::str::from_utf8(&input).is_err() {
        return Err(ContextError::NotJson { cause: "it is not UTF-8".to_owned() }.into());
    }
    Ok(text.into_owned())
}
