//! What Device Defender says by SNS, and how it is made of what `DescribeAuditTask` says.
//!
//! Anyone who may publish to a topic can write such a message, so it only asks for a look at the audit task: what
//! counts is the task's description, read by the same code as the message.
//!
//! No message has a subject or attributes, so the kinds of message on a topic are told apart by their shape
//! alone. Unknown members are passed over; unknown checks and words are kept.

use serde::Deserialize;
use serde::Serialize;
use serde_json::Value;
use serde_json::json;

use crate::api::time::millis;
use crate::ids::CheckName;
use crate::json;
use crate::json::JsonError;
use crate::timestamp::Millis;

/// A message on the audit topic.
#[derive(Debug, PartialEq)]
pub enum Notification {
    /// An audit ended. Boxed, since it is far larger than the others.
    AuditEnded(Box<AuditEnded>),
    /// A mitigation action of the type `PUBLISH_FINDING_TO_SNS` was applied to a finding. Triage has handled
    /// that finding already; it is for other subscribers of the topic.
    PublishedFinding(PublishedFinding),
}

/// The summary of an audit that ended. It names no finding and no resource.
///
/// Source: the schema `auditnotification/1.0` in the developer guide of 2018; `suppressed…` came later and is
/// not documented, so it is optional.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditEnded {
    /// 12 digits.
    pub account_id: String,
    /// `[a-zA-Z0-9-]{1,40}`.
    pub task_id: String,
    /// `COMPLETED`, `FAILED` or `CANCELED`: see [`has_ended`].
    pub task_status: String,
    /// `ON_DEMAND_AUDIT_TASK` or `SCHEDULED_AUDIT_TASK`.
    pub task_type: String,
    /// Only for a scheduled audit.
    #[serde(default)]
    pub scheduled_audit_name: Option<String>,
    /// Epoch milliseconds.
    pub task_start_time: Millis,
    /// One entry a check. A list here, where `DescribeAuditTask` has a map.
    pub audit_details: Vec<CheckEnded>,
}

/// How one check of an audit ended.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CheckEnded {
    /// The check, in the API's spelling whatever the message had.
    #[serde(rename = "checkName")]
    pub check: CheckName,
    /// How it ended.
    #[serde(rename = "checkRunStatus")]
    pub status: CheckStatus,
    /// Resources that do not comply.
    #[serde(default)]
    pub non_compliant_resources_count: Option<u64>,
    /// Resources that were looked at.
    #[serde(default)]
    pub total_resources_count: Option<u64>,
    /// Resources that do not comply and are suppressed.
    #[serde(default)]
    pub suppressed_non_compliant_resources_count: Option<u64>,
    /// `INSUFFICIENT_PERMISSIONS` or `AUDIT_CHECK_DISABLED`.
    #[serde(default)]
    pub error_code: Option<String>,
    /// What the service says of the error.
    #[serde(default)]
    pub message: Option<String>,
}

/// How a check ended (`AuditCheckRunStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckStatus {
    /// Every resource complies, or is suppressed.
    CompletedCompliant,
    /// Some resource does not comply.
    CompletedNonCompliant,
    /// The check could not be done.
    Failed,
    /// Somebody stopped it.
    Canceled,
    /// A word that is new here, or one that an audit that ended should not have.
    #[serde(other)]
    Unknown,
}

impl CheckStatus {
    /// The API's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::CompletedCompliant => "COMPLETED_COMPLIANT",
            Self::CompletedNonCompliant => "COMPLETED_NON_COMPLIANT",
            Self::Failed => "FAILED",
            Self::Canceled => "CANCELED",
            Self::Unknown => "another one",
        }
    }
}

/// A finding as `PUBLISH_FINDING_TO_SNS` sends it. Only what tells it apart is read.
#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PublishedFinding {
    /// The finding's id.
    pub finding_id: String,
    /// The audit task.
    pub task_id: String,
    /// The check.
    #[serde(rename = "checkName")]
    pub check: CheckName,
}

/// Why a message is not understood.
#[derive(Debug, thiserror::Error)]
pub enum NotificationError {
    /// The text is no JSON object.
    #[error("the message is no JSON object: {0}")]
    NoJson(#[source] serde_json::Error),
    /// It has the shape of a known kind, and a member is missing or wrong.
    #[error("{} of the {kind}: {}", source.path, source.reason)]
    Member {
        /// The kind of message.
        kind: &'static str,
        /// Which member, and what is wrong with it.
        source: JsonError,
    },
    /// It has no known shape.
    #[error("the message has neither 'auditDetails' nor 'findingId'; its members are: {members}")]
    UnknownShape {
        /// The names of its members, the first few.
        members: String,
    },
}

impl Notification {
    /// Reads a message.
    ///
    /// # Errors
    /// What is wrong, with the path of the member.
    pub fn parse(text: &str) -> Result<Self, NotificationError> {
        let members: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(text).map_err(NotificationError::NoJson)?;
        if members.contains_key("auditDetails") {
            read(text, "audit notification").map(|ended| Self::AuditEnded(Box::new(ended)))
        } else if members.contains_key("findingId") {
            read(text, "published finding").map(Self::PublishedFinding)
        } else {
            let mut names: Vec<String> =
                members.keys().take(10).map(|n| n.chars().take(64).collect()).collect();
            names.sort_unstable();
            Err(NotificationError::UnknownShape { members: names.join(", ") })
        }
    }
}

/// Whether an audit task with this status has ended. A word that is new here is not taken for an end: nothing would
/// look at the audit again.
pub fn has_ended(task_status: &str) -> bool {
    matches!(task_status, "COMPLETED" | "FAILED" | "CANCELED")
}

/// The notification of an audit task after the schema `auditnotification/1.0`, made of the answer of
/// `DescribeAuditTask`: there `auditDetails` is a map, times are in seconds, and counts have other names.
///
/// # Errors
/// The member that the answer lacks. A task that failed or was canceled can be without checks.
pub fn from_description(account: &str, task_id: &str, described: &Value) -> Result<Value, String> {
    let text = |member: &str| described.get(member).and_then(Value::as_str);
    let lacks = |member: &str| format!("the answer of DescribeAuditTask has no {member}");
    let status = text("taskStatus").ok_or_else(|| lacks("taskStatus"))?;
    let started = described.get("taskStartTime").and_then(millis).ok_or_else(|| lacks("taskStartTime"))?;
    let checks = described.get("auditDetails").and_then(Value::as_object);
    if checks.is_none_or(serde_json::Map::is_empty) && status == "COMPLETED" {
        return Err(lacks("auditDetails"));
    }
    let checks = checks.into_iter().flatten().map(|(name, check)| {
        let mut check = check.as_object().cloned().unwrap_or_default();
        check.insert("checkName".to_owned(), name.as_str().into());
        Value::Object(check)
    });
    let count = |member: &str| {
        described.pointer(&format!("/taskStatistics/{member}")).cloned().unwrap_or_else(|| 0.into())
    };
    let mut notification = json!({
        "accountId": account,
        "taskId": task_id,
        "taskStatus": status,
        "taskType": text("taskType").ok_or_else(|| lacks("taskType"))?,
        "failedChecksCount": count("failedChecks"),
        "canceledChecksCount": count("canceledChecks"),
        "nonCompliantChecksCount": count("nonCompliantChecks"),
        "compliantChecksCount": count("compliantChecks"),
        "totalChecksCount": count("totalChecks"),
        "taskStartTime": started,
        "auditDetails": checks.collect::<Vec<_>>(),
    });
    if let (Some(schedule), Some(members)) = (text("scheduledAuditName"), notification.as_object_mut()) {
        members.insert("scheduledAuditName".to_owned(), schedule.into());
    }
    Ok(notification)
}

fn read<'t, T: Deserialize<'t>>(text: &'t str, kind: &'static str) -> Result<T, NotificationError> {
    json::read(text).map_err(|source| NotificationError::Member { kind, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENDED: &str = r#"{"accountId":"123456789012","taskId":"4e2b","taskStatus":"COMPLETED","taskType":"ON_DEMAND_AUDIT_TASK",
        "taskStartTime":1524740766191,"surprise":{"a":1},"auditDetails":[{"checkName":"REVOKED_DEVICE_CERT_CHECK",
        "checkRunStatus":"COMPLETED_NON_COMPLIANT","nonCompliantResourcesCount":1,"totalResourcesCount":2},
        {"checkName":"QUANTUM_CHECK","checkRunStatus":"SHELVED"}]}"#;

    #[test]
    fn an_audit_is_read_with_old_names_and_new_words() {
        let Notification::AuditEnded(ended) = Notification::parse(ENDED).unwrap() else {
            panic!("another kind")
        };
        let checks: Vec<_> = ended.audit_details.iter().map(|c| (c.check.as_str(), c.status)).collect();
        assert_eq!(
            checks,
            [
                ("REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK", CheckStatus::CompletedNonCompliant),
                ("QUANTUM_CHECK", CheckStatus::Unknown)
            ]
        );
    }

    #[test]
    fn an_error_names_the_member_by_its_path() {
        let errors = [
            ENDED.replace("\"QUANTUM_CHECK\"", "7"),
            ENDED.replace("\"taskId\":\"4e2b\",", ""),
            ENDED.replace("1524740766191", "\"yesterday\""),
            "{\"findingId\":\"x\"}".into(),
            "{\"reportId\":1,\"status\":\"ACCEPTED\"}".into(),
            "{\"auditDetails\":[".into(),
            "[]".into(),
            String::new(),
        ]
        .map(|text| Notification::parse(&text).unwrap_err().to_string());
        insta::assert_snapshot!(errors.join("\n"));
    }

    const DESCRIBED: &str = r#"{"taskStatus":"COMPLETED","taskType":"SCHEDULED_AUDIT_TASK","taskStartTime":1524740766.191,
        "scheduledAuditName":"weekly","taskStatistics":{"totalChecks":1,"nonCompliantChecks":1},
        "auditDetails":{"REVOKED_DEVICE_CERT_CHECK":{"checkRunStatus":"COMPLETED_NON_COMPLIANT","checkCompliant":false,
        "totalResourcesCount":2,"nonCompliantResourcesCount":1,"suppressedNonCompliantResourcesCount":4}}}"#;

    #[test]
    fn a_description_becomes_the_notification_of_its_audit() {
        let described: Value = serde_json::from_str(DESCRIBED).unwrap();
        let made = from_description("123456789012", "4e2b", &described).unwrap();
        insta::assert_json_snapshot!(made);
        let Notification::AuditEnded(ended) = Notification::parse(&made.to_string()).unwrap() else {
            panic!("another kind")
        };
        assert_eq!(ended.task_start_time, Millis(1_524_740_766_191));
        assert_eq!(ended.audit_details[0].check.as_str(), "REVOKED_DEVICE_CERTIFICATE_STILL_ACTIVE_CHECK");
        assert_eq!(*ended, AuditEnded::deserialize(made).unwrap());
    }

    #[test]
    fn a_description_that_lacks_what_cannot_be_made_up_is_none() {
        for member in ["taskStatus", "taskType", "taskStartTime", "auditDetails"] {
            for nothing in [json!(null), json!({}), json!([])] {
                let mut described: Value = serde_json::from_str(DESCRIBED).unwrap();
                described[member] = nothing;
                let error = from_description("123456789012", "4e2b", &described).unwrap_err();
                assert_eq!(error, format!("the answer of DescribeAuditTask has no {member}"));
            }
        }
        let canceled =
            json!({"taskStatus": "CANCELED", "taskType": "ON_DEMAND_AUDIT_TASK", "taskStartTime": 7});
        let made = from_description("123456789012", "4e2b", &canceled).unwrap();
        assert_eq!(made["auditDetails"], json!([]));
    }

    #[test]
    fn a_status_that_is_not_known_is_no_end() {
        assert!(["COMPLETED", "FAILED", "CANCELED"].into_iter().all(has_ended));
        assert!(!["IN_PROGRESS", "PAUSED", ""].into_iter().any(has_ended));
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(?s).{0,200}") {
            let _ = Notification::parse(&text);
        }
    }
}
