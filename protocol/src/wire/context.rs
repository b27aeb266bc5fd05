//! `/api/v1/context/*`: records that travel between a tenant's machines.
//!
//! A record is one thing of a [`Kind`] with an id of its client's choice. The cloud numbers its versions and puts every change
//! at the end of the tenant's stream; a cursor is a position in it.

mod history;
mod pull;
mod push;
mod status;
mod view;

pub use history::{HistoryEntry, HistoryPage, Outcome};
pub use pull::{AnyRecord, PullAnswer, Record};
pub use push::{PushAnswer, PushRecord, PushRequest, PushResult, PushStatus, Rejection, RejectionCode};
pub use status::{ContextStatus, Device, Encryption, KindStatus, Usage};
pub use view::{NoteView, Page, TaskEvent, TaskEvents, TaskView};

use super::words;

/// Maximum number of records of one push.
pub const MAX_PUSH_RECORDS: usize = 500;
/// Maximum size of one push in bytes, compressed and decompressed alike.
pub const MAX_PUSH_BYTES: usize = 4 * 1024 * 1024;
/// Maximum size of one content in bytes of canonical JSON.
pub const MAX_CONTENT_BYTES: usize = 256 * 1024;
/// Maximum number of records on one page of a pull.
pub const MAX_PULL_RECORDS: u16 = 1000;
/// Maximum bytes of contents on one page; no single record is larger.
pub const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

words! {
    /// Kind of a record.
    Kind {
        /// A message of a session.
        Message = "message",
        /// A task, as an agent's plan tracks it.
        Task = "task",
        /// A decision that was made, and why.
        Decision = "decision",
        /// Something learned about how to work.
        SkillLearning = "skill_learning",
        /// An error, and what solved it.
        ErrorSolution = "error_solution",
        /// The use of a tool.
        ToolAnalytics = "tool_analytics",
        /// The subject of a project.
        ProjectContext = "project_context",
        /// A component of the platform; only the cloud writes these.
        Component = "component",
    }
}

impl Kind {
    /// Returns true if clients may push records of this kind.
    pub const fn is_pushed(self) -> bool {
        !matches!(self, Self::Component)
    }
}
