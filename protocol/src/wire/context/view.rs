//! `POST` and `GET /api/v1/context/tasks`, `GET /api/v1/context/{decisions,learnings}`: records with flat fields.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::id::{DeviceId, ProjectId, RecordId, TaskStatus};

/// A task as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskEvent {
    /// The task; its record's id.
    pub task_id: RecordId,
    /// What is to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 100_000))]
    pub description: Option<String>,
    /// How far it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 100_000))]
    pub outcome: Option<String>,
    /// The project it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// How many uses of tools went well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_success_count: Option<u32>,
    /// How many did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_error_count: Option<u32>,
    /// How often a person had to correct the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_corrections: Option<u32>,
}

/// One task as it is now, or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum TaskEvents {
    /// One.
    One(TaskEvent),
    /// At most 500.
    Several(Vec<TaskEvent>),
}

/// A page of views, the latest change first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The records.
    pub data: Vec<T>,
    /// Where to go on; null at the end.
    pub next_cursor: Option<String>,
    /// Whether there is more.
    pub has_more: bool,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskView {
    /// The task.
    pub task_id: RecordId,
    /// What is to be done.
    pub description: Option<String>,
    /// How far it is.
    pub status: Option<String>,
    /// How it ended.
    pub outcome: Option<String>,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
    /// How many uses of tools went well.
    pub tool_success_count: Option<u64>,
    /// How many did not.
    pub tool_error_count: Option<u64>,
    /// How often a person had to correct the agent.
    pub user_corrections: Option<u64>,
    /// Whether only the tenant's own devices can read it; then all that could be read is null.
    pub encrypted: bool,
    /// Counts its changes from 1.
    pub version: u64,
    /// When it was changed, by the clock of its device.
    pub updated_at: Timestamp,
    /// The device it was changed on.
    pub device_id: DeviceId,
}

/// A decision or a learning: what its content says, as flat fields beside these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NoteView {
    /// Which one.
    pub id: RecordId,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
    /// Whether only the tenant's own devices can read it; then none of its content is here.
    pub encrypted: bool,
    /// Counts its changes from 1.
    pub version: u64,
    /// When it was changed, by the clock of its device.
    pub updated_at: Timestamp,
    /// The device it was changed on.
    pub device_id: DeviceId,
    /// The fields of its content, but those whose names are taken by the ones above.
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub content: Map<String, Value>,
}
