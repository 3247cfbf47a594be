//! The ids of tasks.

use super::id::id;
use super::names::is_name;
use super::names::is_task_id;

id! {
    /// An audit task's id: `[a-zA-Z0-9-]{1,40}` (`AuditTaskId`).
    AuditTaskId, is_task_id, "not a task id"
}

id! {
    /// A mitigation task's id: `[a-zA-Z0-9_-]{1,128}` (`MitigationActionsTaskId`).
    MitigationTaskId, is_name, "not the id of a mitigation task"
}
