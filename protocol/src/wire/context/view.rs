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
    /// The work to be done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 100_000))]
    pub description: Option<String>,
    /// The task's status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<TaskStatus>,
    /// The task's outcome.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(feature = "openapi", schema(max_length = 100_000))]
    pub outcome: Option<String>,
    /// The project it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// Number of successful uses of tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_success_count: Option<u32>,
    /// Number of failed uses of tools.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_error_count: Option<u32>,
    /// Number of times that a person had to correct the agent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_corrections: Option<u32>,
}

/// One task as it is now, or several.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(untagged)]
pub enum TaskEvents {
    /// One task.
    One(TaskEvent),
    /// At most 500 tasks.
    Several(Vec<TaskEvent>),
}

/// A page of views, the latest change first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Page<T> {
    /// The records.
    pub data: Vec<T>,
    /// Cursor of the next page; null at the end.
    pub next_cursor: Option<String>,
    /// True if there are more records.
    pub has_more: bool,
}

/// A task.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct TaskView {
    /// The task.
    pub task_id: RecordId,
    /// The work to be done.
    pub description: Option<String>,
    /// The task's status.
    pub status: Option<String>,
    /// The task's outcome.
    pub outcome: Option<String>,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
    /// Number of successful uses of tools.
    pub tool_success_count: Option<u64>,
    /// Number of failed uses of tools.
    pub tool_error_count: Option<u64>,
    /// Number of times that a person had to correct the agent.
    pub user_corrections: Option<u64>,
    /// True if only the tenant's own devices can read it; then all fields of its content are null.
    pub encrypted: bool,
    /// Counts its changes from 1.
    pub version: u64,
    /// When it was changed, by the clock of its device.
    pub updated_at: Timestamp,
    /// The device it was changed on.
    pub device_id: DeviceId,
}

/// A decision or a learning, with the fields of its content beside these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NoteView {
    /// The record's id.
    pub id: RecordId,
    /// The project it belongs to.
    pub project_id: Option<ProjectId>,
    /// True if only the tenant's own devices can read it; then none of its content is here.
    pub encrypted: bool,
    /// Counts its changes from 1.
    pub version: u64,
    /// When it was changed, by the clock of its device.
    pub updated_at: Timestamp,
    /// The device it was changed on.
    pub device_id: DeviceId,
    /// The fields of its content, except those whose names are taken by the ones above.
    #[serde(flatten)]
    #[cfg_attr(feature = "openapi", schema(value_type = Object))]
    pub content: Map<String, Value>,
}
