//! Reads the event that an agent sends after the use of a tool, as far as it is about tasks.
//!
//! Agents change, so reading is lenient: fields that are missing, named otherwise or of another type are ignored, and an
//! event of which nothing is left is not recorded.

use std::collections::HashMap;

use protocol::id::{RecordId, TaskStatus};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Status of a task that vanished from an agent's list before it was done: given up, or reworded. The task isn't deleted,
/// so that users can see later that it was planned.
const DROPPED: &str = "dropped";
pub(super) const COMPLETED: &str = "completed";

/// Largest number of tasks read from a list, more than any plan has. The rest of a longer list is left out.
const MAX_TASKS: usize = 500;

/// Largest number of bytes of a text that are kept; the cloud shows no more.
const MAX_TEXT: usize = 64 * 1024;

/// A task as an event shows it.
#[derive(Debug, PartialEq)]
pub(super) struct Sighting {
    pub(super) id: RecordId,
    /// Fields that the event sets; all others keep their values.
    pub(super) fields: Map<String, Value>,
    /// Change of the task.
    pub(super) news: News,
}

/// Change of a task since the agent's previous list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// The task changed, or it isn't known whether it did.
    Changed,
    /// The agent listed it before just as it does now.
    Same,
    /// The agent doesn't list it any more.
    Vanished,
}

/// Returns the folder that the agent works in.
pub(super) fn folder(event: &Value) -> Option<&str> {
    text(event, &["cwd"])
}

/// Returns the tasks that an event is about; none if it is about something else.
pub(super) fn sightings(event: &Value) -> Vec<Sighting> {
    let about_use = text(event, &["hook_event_name"]).is_none_or(|name| name == "PostToolUse");
    let (tool, input) = (text(event, &["tool_name"]).unwrap_or_default(), &event["tool_input"]);
    let answer = [&event["tool_response"], &event["tool_result"], &event["tool_output"]];
    let answer = answer.into_iter().find(|answer| !answer.is_null()).unwrap_or(&Value::Null);
    if !about_use || answer["success"] == false || answer["is_error"] == true {
        return Vec::new();
    }
    let session = text(event, &["session_id", "sessionId"]).unwrap_or("no session");
    match tool {
        "TaskCreate" => created(&Scope::of(session), input, answer).into_iter().collect(),
        "TaskUpdate" => updated(&Scope::of(session), input, answer).into_iter().collect(),
        _ => {
            // A subagent's list is separate from that of the session's agent.
            let scope = match text(event, &["agent_id"]) {
                Some(agent) => Scope::of(&format!("{session}:{agent}")),
                None => Scope::of(session),
            };
            listed(&scope, input, answer)
        }
    }
}

/// Reads a `TaskCreate`, whose id is only in the answer.
fn created(session: &Scope, input: &Value, answer: &Value) -> Option<Sighting> {
    let mut fields = fields(input);
    fields.entry("status").or_insert_with(|| "pending".into());
    let subject = text(input, &["subject", "title", "description"])?;
    let given = [&answer["task"]["id"], &answer["taskId"], &answer["id"]].into_iter().find_map(name);
    let id = match given.or_else(|| number_in(answer)) {
        Some(task) => session.agents_own(&task),
        None => session.derived(subject, 0),
    };
    Some(Sighting { id, fields, news: News::Changed })
}

/// Reads a `TaskUpdate`, which has only the changed fields.
fn updated(session: &Scope, input: &Value, answer: &Value) -> Option<Sighting> {
    let task = [&input["taskId"], &input["task_id"], &input["id"], &answer["taskId"]].into_iter().find_map(name)?;
    let mut fields = fields(input);
    if fields.get("status").is_some_and(|status| status == "deleted") {
        fields.insert("status".into(), DROPPED.into());
    }
    (!fields.is_empty()).then(|| Sighting { id: session.agents_own(&task), fields, news: News::Changed })
}

/// Reads a `TodoWrite`, or any other tool with a list of tasks, which has the whole list each time.
fn listed(scope: &Scope, input: &Value, answer: &Value) -> Vec<Sighting> {
    let Some(list) = ["todos", "plan", "tasks"].into_iter().find_map(|name| list(&input[name])) else {
        return Vec::new();
    };
    let mut now = todos(scope, &list);
    let before = todos(scope, &list_or_none(&answer["oldTodos"]));
    for todo in &mut now {
        if before.iter().any(|before| before == todo) {
            todo.news = News::Same;
        }
    }
    let vanished = before.into_iter().filter(|before| !now.iter().any(|todo| todo.id == before.id));
    let vanished = vanished.filter(|todo| todo.fields.get("status").is_none_or(|status| status != COMPLETED));
    let vanished: Vec<Sighting> = vanished
        .map(|Sighting { id, mut fields, .. }| {
            fields.insert("status".into(), DROPPED.into());
            Sighting { id, fields, news: News::Vanished }
        })
        .collect();
    now.extend(vanished);
    now
}

fn todos(scope: &Scope, list: &[Value]) -> Vec<Sighting> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let todos = list.iter().take(MAX_TASKS).filter_map(|todo| {
        let content = text(todo, &["content", "step", "text", "subject", "title", "description"])?;
        // The same words twice are two tasks.
        let nth = seen.entry(content).and_modify(|nth| *nth += 1).or_default();
        let id = name(&todo["id"]).map_or_else(|| scope.derived(content, *nth), |id| scope.agents_own(&id));
        let mut fields = fields(todo);
        if !fields.contains_key("description") {
            fields.insert("description".into(), clean(content).into());
        }
        Some(Sighting { id, fields, news: News::Changed })
    });
    todos.collect()
}

/// Returns the fields of a task that are kept: subject, description, priority and status.
fn fields(from: &Value) -> Map<String, Value> {
    let mut fields = Map::new();
    for name in ["subject", "description", "priority"] {
        if let Some(text) = text(from, &[name]) {
            fields.insert(name.into(), clean(text).into());
        }
    }
    if let Some(status) = text(from, &["status"]).and_then(status) {
        fields.insert("status".into(), status.as_str().into());
    }
    fields
}

/// Parses a status and returns it in the cloud's spelling.
fn status(text: &str) -> Option<TaskStatus> {
    let text = text.trim().to_ascii_lowercase().replace([' ', '-'], "_");
    TaskStatus::parse(text).ok()
}

/// Owner of tasks: a session, or a subagent in it.
struct Scope {
    name: String,
    /// First 6 bytes of the name's digest in hex, as in ids.
    digest: String,
}

impl Scope {
    fn of(name: &str) -> Self {
        Self { name: name.to_owned(), digest: digest::<6>(&[name]) }
    }

    fn agents_own(&self, task: &str) -> RecordId {
        RecordId::parse(format!("{}:{task}", self.name)).unwrap_or_else(|_| self.derived(task, 0))
    }

    /// Returns the id of a task whose agent gives it none, derived from its text and the session. So a todo is the same
    /// record whatever its status, and a reworded todo is another record. The session comes first, so that a plan's tasks
    /// are adjacent in an index: from a cold disk, each of them would otherwise be a read of its own.
    fn derived(&self, content: &str, nth: usize) -> RecordId {
        let todo = digest::<12>(&[&self.name, content, &nth.to_string()]);
        RecordId::parse(format!("todo-{}-{todo}", self.digest)).expect("letters, digits and dashes are an id")
    }
}

/// Returns the first bytes of a digest, in hex.
fn digest<const BYTES: usize>(parts: &[&str]) -> String {
    let mut hash = Sha256::new_with_prefix("coditect todo 1");
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex::encode(&hash.finalize()[..BYTES])
}

/// Returns the text under the first of these names that has one, if it isn't blank.
fn text<'a>(from: &'a Value, names: &[&str]) -> Option<&'a str> {
    names.iter().find_map(|name| from[*name].as_str()).filter(|text| !text.trim().is_empty())
}

/// Returns the id that an agent gives a task: a text or a number.
fn name(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// Returns the number in a sentence such as `Task #5 created`, for answers that are plain text.
fn number_in(answer: &Value) -> Option<String> {
    let words = answer.as_str().or_else(|| answer[0]["text"].as_str()).or_else(|| answer["content"].as_str())?;
    let number: String = words.split_once('#')?.1.chars().take_while(char::is_ascii_digit).collect();
    (!number.is_empty()).then_some(number)
}

/// Returns a list, also one that was encoded as JSON in a text.
fn list(value: &Value) -> Option<Vec<Value>> {
    match value {
        Value::Array(items) => Some(items.clone()),
        Value::String(text) => serde_json::from_str(text).ok(),
        _ => None,
    }
}

fn list_or_none(value: &Value) -> Vec<Value> {
    list(value).unwrap_or_default()
}

/// Returns a text as a record may hold it: at most [`MAX_TEXT`] bytes, without NUL.
fn clean(text: &str) -> String {
    let end = text.floor_char_boundary(MAX_TEXT);
    text[..end].replace('\0', " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn event(tool: &str, input: Value, answer: Value) -> Vec<Sighting> {
        sightings(&json!({
            "session_id": "s1", "cwd": "/w", "hook_event_name": "PostToolUse",
            "tool_name": tool, "tool_input": input, "tool_response": answer,
        }))
    }

    #[test]
    fn a_todo_is_the_same_record_however_far_it_is() {
        let at = |status: &str| {
            event(
                "TodoWrite",
                json!({"todos": [{"content": "Write it", "status": status, "activeForm": "Writing"}]}),
                json!({}),
            )
        };
        let (first, last) = (at("pending"), at("In-Progress"));
        assert_eq!(first[0].id, last[0].id);
        assert_eq!(Value::from(last[0].fields.clone()), json!({"description": "Write it", "status": "in_progress"}));
    }

    #[test]
    fn the_same_words_twice_are_two_tasks_and_so_are_those_of_another_session() {
        let todos = json!({"todos": [{"content": "a"}, {"content": "a"}]});
        let mut ids: Vec<_> = event("TodoWrite", todos.clone(), json!({})).into_iter().map(|seen| seen.id).collect();
        for scope in [json!({"session_id": "s2"}), json!({"session_id": "s1", "agent_id": "a1"})] {
            let mut other = json!({"tool_name": "TodoWrite", "tool_input": todos});
            other.as_object_mut().unwrap().extend(scope.as_object().unwrap().clone());
            ids.extend(sightings(&other).into_iter().map(|seen| seen.id));
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 6);
    }

    #[test]
    fn what_vanished_unfinished_was_dropped() {
        let before = json!([{"content": "a", "status": "pending"}, {"content": "b", "status": "completed"}, {"content": "c", "status": "pending"}]);
        let seen =
            event("TodoWrite", json!({"todos": [{"content": "c", "status": "pending"}]}), json!({"oldTodos": before}));
        let told: Vec<_> = seen.iter().map(|seen| (seen.fields["description"].as_str().unwrap(), seen.news)).collect();
        assert_eq!(told, [("c", News::Same), ("a", News::Vanished)]);
        assert_eq!(seen[1].fields["status"], "dropped");
    }

    #[test]
    fn a_task_has_its_agents_id() {
        let input = json!({"subject": "Wire it", "description": "All of it", "activeForm": "Wiring"});
        for answer in
            [json!({"task": {"id": "7", "subject": "Wire it"}}), json!("Task #7 created successfully: Wire it")]
        {
            let seen = event("TaskCreate", input.clone(), answer);
            assert_eq!(seen[0].id.as_str(), "s1:7");
            assert_eq!(
                Value::from(seen[0].fields.clone()),
                json!({"subject": "Wire it", "description": "All of it", "status": "pending"})
            );
        }
        let seen =
            event("TaskUpdate", json!({"taskId": 7, "status": "completed"}), json!({"success": true, "taskId": "7"}));
        assert_eq!((seen[0].id.as_str(), seen[0].fields.len()), ("s1:7", 1));
        let seen = event("TaskUpdate", json!({"taskId": "7", "status": "deleted"}), Value::Null);
        assert_eq!(seen[0].fields["status"], "dropped");
    }

    #[test]
    fn other_events_are_about_nothing() {
        assert_eq!(event("Bash", json!({"command": "ls"}), json!({})), []);
        assert_eq!(event("TaskUpdate", json!({"taskId": "7", "status": "completed"}), json!({"success": false})), []);
        assert_eq!(event("TaskUpdate", json!({"taskId": "7", "addBlocks": ["8"]}), json!({})), []);
        assert_eq!(
            event("TodoWrite", json!({"todos": [1, null, {"content": " "}, {"status": "pending"}]}), json!([])),
            []
        );
        let early = json!({"hook_event_name": "PreToolUse", "tool_name": "TodoWrite", "tool_input": {"todos": [{"content": "a"}]}});
        for odd in [early, Value::Null, json!([]), json!("x"), json!({"tool_name": 1, "tool_input": "x"})] {
            assert_eq!(sightings(&odd), [], "{odd}");
        }
    }
}
