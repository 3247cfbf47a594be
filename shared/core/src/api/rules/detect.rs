//! What AWS states in words of the inputs of Detect's operations.
//!
//! Behaviors are not judged here: `fleetwarden-behaviors` knows what a metric can be asked.

use serde_json::Value;

use super::Members;
use super::changes;
use super::period;
use crate::api::judge::Judge;
use crate::api::judge::below;
use crate::api::time::millis;
use crate::untrusted::shown;

/// What an update may delete, and the members that it must not set at the same time.
const DELETIONS: [(&str, &[&str]); 4] = [
    ("deleteBehaviors", &["behaviors"]),
    ("deleteAlertTargets", &["alertTargets"]),
    ("deleteAdditionalMetricsToRetain", &["additionalMetricsToRetain", "additionalMetricsToRetainV2"]),
    ("deleteMetricsExportConfig", &["metricsExportConfig"]),
];

/// Judges the members of an operation of Detect.
pub(super) fn judge(operation: &str, members: &Members, judge: &mut Judge) {
    match operation {
        "UpdateSecurityProfile" => {
            changes(members, &["securityProfileName", "expectedVersion"], judge);
            deletions(members, judge);
        }
        "ListSecurityProfiles"
            if members.contains_key("dimensionName") && members.contains_key("metricName") =>
        {
            judge.fault("$.metricName", "must not be given together with dimensionName");
        }
        "ListViolationEvents" | "ListMetricValues" | "ListDetectMitigationActionsTasks" => {
            period(members, judge);
        }
        "ListDetectMitigationActionsExecutions" => executions(members, judge),
        "StartDetectMitigationActionsTask" => {
            target(members, judge);
            range(members, judge);
        }
        "CreateCustomMetric" => {
            let name = members.get("metricName").and_then(Value::as_str);
            if let Some(name) = name.filter(|name| name.starts_with("aws:")) {
                let what =
                    format!("'{}' begins with aws:, as only the service's own metrics do", shown(name));
                judge.fault("$.metricName", what);
            }
        }
        _ => {}
    }
}

/// "If any behaviors are defined in the current invocation, an exception occurs."
fn deletions(members: &Members, judge: &mut Judge) {
    for (deletion, others) in DELETIONS {
        if members.get(deletion) != Some(&Value::Bool(true)) {
            continue;
        }
        for other in others.iter().filter(|other| members.contains_key(**other)) {
            judge.fault(below("$", deletion), format!("must not be given together with {other}"));
        }
    }
}

/// "You must specify either the startTime and endTime or the taskId, but not both." The developer guide lists those of
/// a violation without either.
fn executions(members: &Members, judge: &mut Judge) {
    let has = |member: &str| members.contains_key(member);
    match (has("taskId"), has("startTime"), has("endTime")) {
        (_, true, false) => judge.fault("$.endTime", "is missing: startTime is there"),
        (_, false, true) => judge.fault("$.startTime", "is missing: endTime is there"),
        (true, true, true) => {
            judge.fault("$.taskId", "give either taskId, or startTime and endTime, not both");
        }
        (false, true, true) => period(members, judge),
        (false, false, false) if !has("violationId") => {
            judge.fault("$", "give taskId, violationId, or startTime and endTime");
        }
        _ => {}
    }
}

/// Violations by their ids, or those of a profile or of one of its behaviors.
fn target(members: &Members, judge: &mut Judge) {
    let Some(Value::Object(target)) = members.get("target") else { return };
    let has = |member: &str| target.contains_key(member);
    match (has("violationIds"), has("securityProfileName"), has("behaviorName")) {
        (true, false, false) | (false, true, _) => {}
        (true, ..) => {
            judge.fault("$.target.violationIds", "must not be given together with a profile or a behavior");
        }
        (false, false, true) => {
            judge.fault("$.target.securityProfileName", "is missing: behaviorName is there");
        }
        (false, false, false) => judge.fault("$.target", "give either violationIds or securityProfileName"),
    }
}

fn range(members: &Members, judge: &mut Judge) {
    let Some(Value::Object(range)) = members.get("violationEventOccurrenceRange") else { return };
    let time = |member: &str| range.get(member).and_then(millis);
    if let (Some(start), Some(end)) = (time("startTime"), time("endTime"))
        && start > end
    {
        judge.fault("$.violationEventOccurrenceRange.endTime", "is before startTime");
    }
}
