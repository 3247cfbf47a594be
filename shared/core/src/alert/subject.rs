//! What an alert is about, as far as there is something to look at.

use serde::Deserialize;
use serde::Serialize;

use super::place::is_plain;
use crate::ids::CheckName;
use crate::text;
use crate::untrusted::Text;

/// What there is to look at behind an alert.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Subject {
    /// What the function logged at that time.
    #[default]
    Log,
    /// An audit.
    Audit {
        /// Its task id.
        task_id: String,
    },
    /// What a check of an audit found.
    Findings {
        /// The audit's task id.
        task_id: String,
        /// The check.
        check: CheckName,
    },
    /// A mitigation task of an audit's findings, or of alarms.
    Mitigation {
        /// The mitigation task's id.
        task_id: String,
        /// The audit's task id, if it is of findings.
        audit_task_id: Option<String>,
    },
    /// The alarm of a device.
    Alarm {
        /// The violation's id.
        violation_id: String,
    },
    /// An incident of many alarms.
    Incident {
        /// Its id.
        id: String,
    },
}

impl Subject {
    /// The command that shows what is behind it, if there is one.
    pub(super) fn command(&self) -> Option<Text> {
        match self {
            Self::Mitigation { task_id, .. } if is_plain(task_id) => Some(text!(
                "Its findings or devices, each with its result: `fleetwarden mitigation show {}`",
                task_id
            )),
            _ => None,
        }
    }

    /// The ids of it, by the names that programs read them by.
    pub(super) fn ids(&self) -> Vec<(&'static str, &str)> {
        match self {
            Self::Log => vec![],
            Self::Audit { task_id } => vec![("auditTaskId", task_id)],
            Self::Findings { task_id, check } => {
                vec![("auditTaskId", task_id), ("check", check.as_str())]
            }
            Self::Mitigation { task_id, audit_task_id } => {
                let audit = audit_task_id.iter().map(|id| ("auditTaskId", id.as_str()));
                audit.chain([("mitigationTaskId", task_id.as_str())]).collect()
            }
            Self::Alarm { violation_id } => vec![("violationId", violation_id)],
            Self::Incident { id } => vec![("incidentId", id)],
        }
    }
}
