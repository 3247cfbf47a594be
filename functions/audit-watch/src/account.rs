//! What AWS IoT and the ledger have on audits: configuration, scheduled audits, audit tasks. Pure.

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use fleetwarden_aws::ledger::Item;
use fleetwarden_core::api::notification;
use fleetwarden_core::api::time::millis;
use fleetwarden_core::ids::CheckName;
use fleetwarden_core::model::schedule::Rhythm;
use fleetwarden_core::timestamp::Millis;
use serde::Deserialize;
use serde_json::Value;

use crate::problem::Problem;

/// The account's audit configuration. Without a role there never was one.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Configuration {
    role_arn: Option<String>,
    #[serde(rename = "auditNotificationTargetConfigurations")]
    targets: BTreeMap<String, Target>,
    #[serde(rename = "auditCheckConfigurations")]
    checks: BTreeMap<CheckName, Check>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Target {
    #[serde(rename = "targetArn")]
    topic: Option<String>,
    #[serde(rename = "roleArn")]
    role: Option<String>,
    enabled: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Check {
    enabled: bool,
}

impl Configuration {
    pub(crate) fn is_enabled(&self, check: &CheckName) -> bool {
        self.checks.get(check).is_some_and(|check| check.enabled)
    }

    /// Whether an audit can find anything.
    pub(crate) fn audits_anything(&self) -> bool {
        self.role_arn.is_some() && self.checks.values().any(|check| check.enabled)
    }

    pub(crate) fn has_all_enabled(&self) -> bool {
        !self.checks.is_empty() && self.checks.values().all(|check| check.enabled)
    }

    /// The first reason for which no notification can arrive: the others do not matter until it is fixed. `schedules` is
    /// how many scheduled audits an account without audits has.
    pub(crate) fn problem(&self, topic: &str, schedules: usize) -> Option<Problem> {
        if self.role_arn.is_none() {
            return Some(Problem::NotSetUp { schedules });
        }
        if !self.audits_anything() {
            return Some(Problem::NoChecks { schedules });
        }
        let target = self.targets.get("SNS");
        let Some((target, arn)) = target.and_then(|target| Some((target, target.topic.as_deref()?))) else {
            return Some(Problem::NoTarget);
        };
        if arn != topic {
            Some(Problem::OtherTarget { target: arn.to_owned() })
        } else if !target.enabled {
            Some(Problem::TargetDisabled)
        } else if target.role.is_none() {
            Some(Problem::TargetWithoutRole)
        } else {
            None
        }
    }
}

/// A scheduled audit of `ListScheduledAudits`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Schedule {
    #[serde(rename = "scheduledAuditName")]
    pub(crate) name: String,
    frequency: String,
    day_of_week: Option<String>,
    day_of_month: Option<String>,
}

impl Schedule {
    /// On which days it runs. None if they are of a kind that is unknown here.
    pub(crate) fn rhythm(&self) -> Option<Rhythm> {
        Rhythm::read(&self.frequency, self.day_of_week.as_deref(), self.day_of_month.as_deref())
    }
}

/// Audit tasks.
pub(crate) struct Runs {
    pub(crate) runs: Vec<Run>,
    /// Whether none was left out.
    pub(crate) are_all: bool,
}

/// An audit task.
pub(crate) struct Run {
    pub(crate) task_id: String,
    pub(crate) status: String,
    pub(crate) schedule: Option<String>,
    pub(crate) started: Millis,
    /// How many of its checks failed or were canceled.
    pub(crate) failed: u64,
    /// As `DescribeAuditTask` has it. None if the ledger has the audit: then it is not described.
    pub(crate) described: Option<Value>,
}

impl Run {
    /// From the ledger's item.
    pub(crate) fn recorded(task: Task, item: &Item) -> Self {
        Self {
            task_id: task.task_id,
            status: task.task_status,
            schedule: item.get_text("schedule").map(ToOwned::to_owned),
            started: Millis(item.get_number("started_at").unwrap_or_default()),
            failed: item.get_number("failed_checks").and_then(|n| u64::try_from(n).ok()).unwrap_or_default(),
            described: None,
        }
    }

    /// From the answer of `DescribeAuditTask`.
    pub(crate) fn described(task_id: &str, answer: Value) -> Self {
        let mut run = Self {
            task_id: task_id.to_owned(),
            status: text(&answer, "taskStatus").unwrap_or_default().to_owned(),
            schedule: text(&answer, "scheduledAuditName").map(ToOwned::to_owned),
            started: answer.get("taskStartTime").and_then(millis).unwrap_or_default(),
            failed: 0,
            described: Some(answer),
        };
        run.failed = run.failures().len() as u64;
        run
    }

    /// Whether it has not ended. A task without a status is damaged and does not count as running.
    pub(crate) fn is_running(&self) -> bool {
        !self.status.is_empty() && !notification::has_ended(&self.status)
    }

    fn details(&self) -> impl Iterator<Item = (&String, &Value)> {
        let details = self.described.as_ref().and_then(|answer| answer.get("auditDetails"));
        details.and_then(Value::as_object).into_iter().flatten()
    }

    /// The checks with a status.
    pub(crate) fn checks_that_are(&self, status: &str) -> BTreeSet<CheckName> {
        let with = self.details().filter(|(_, check)| text(check, "checkRunStatus") == Some(status));
        with.map(|(name, _)| CheckName::new(name)).collect()
    }

    /// The checks that failed, were canceled or carry an error, and how.
    pub(crate) fn failures(&self) -> BTreeMap<CheckName, String> {
        let failure = |(name, check): (&String, &Value)| {
            let status = text(check, "checkRunStatus").filter(|s| matches!(*s, "FAILED" | "CANCELED"));
            let how = text(check, "errorCode").or(status)?;
            Some((CheckName::new(name), how.to_owned()))
        };
        self.details().filter_map(failure).collect()
    }

    /// The notification that Device Defender should have published.
    ///
    /// # Errors
    /// The member that the answer of `DescribeAuditTask` lacks.
    pub(crate) fn notification(&self, account: &str) -> Result<String, String> {
        let described = self.described.as_ref().unwrap_or(&Value::Null);
        Ok(notification::from_description(account, &self.task_id, described)?.to_string())
    }
}

/// An audit task of `ListAuditTasks`, which has neither its start nor its schedule.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Task {
    pub(crate) task_id: String,
    task_status: String,
}

/// A text of a JSON object.
pub(crate) fn text<'v>(value: &'v Value, member: &str) -> Option<&'v str> {
    value.get(member).and_then(Value::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_task_with_an_unknown_status_is_running() {
        let run = |status: Value| Run::described("t", json!({"taskStatus": status, "taskStartTime": 7}));
        assert!(run("PAUSED".into()).is_running() && run("IN_PROGRESS".into()).is_running());
        assert!(!run("COMPLETED".into()).is_running() && !run("CANCELED".into()).is_running());
        let error = run(Value::Null).notification("123456789012").unwrap_err();
        assert_eq!(error, "the answer of DescribeAuditTask has no taskStatus");
    }

    #[test]
    fn a_target_without_a_role_is_a_problem() {
        let (topic, role) = ("arn:aws:sns:us-east-1:123456789012:audits", "arn:aws:iam::123456789012:role/r");
        let configuration = json!({
            "roleArn": role, "auditCheckConfigurations": {"LOGGING_DISABLED_CHECK": {"enabled": true}},
            "auditNotificationTargetConfigurations": {"SNS": {"targetArn": topic, "enabled": true}},
        });
        let configuration: Configuration = serde_json::from_value(configuration).unwrap();
        assert_eq!(configuration.problem(topic, 0), Some(Problem::TargetWithoutRole));
    }
}
