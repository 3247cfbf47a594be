//! The operations of Detect, as the commands that they are.

use fleetwarden_commands::Commands;
use fleetwarden_commands::Family;
use fleetwarden_commands::target::Target;
use fleetwarden_commands::target::Verb;
use fleetwarden_core::api;
use serde_json::Map;
use serde_json::Value;

use crate::behaviors::are_same;

/// What an update deletes, by the member that says so.
const DELETIONS: [(&str, &[&str]); 4] = [
    ("deleteBehaviors", &["behaviors"]),
    ("deleteAlertTargets", &["alertTargets"]),
    ("deleteAdditionalMetricsToRetain", &["additionalMetricsToRetain", "additionalMetricsToRetainV2"]),
    ("deleteMetricsExportConfig", &["metricsExportConfig"]),
];

/// The operations of Detect.
pub(crate) static FAMILY: Family = Family {
    commands: Commands { function: "detect-commands", example: "ListActiveViolations", find: api::detect },
    entries,
    refused_twice: &[
        "CreateSecurityProfile",
        "UpdateSecurityProfile",
        "DeleteSecurityProfile",
        "CancelDetectMitigationActionsTask",
    ],
    deleted_quietly: &["SecurityProfile", "CustomMetric", "Dimension"],
    made: &["securityProfileName", "securityProfileArn", "metricName", "metricArn", "name", "arn"],
    described,
    becomes,
};

/// The member of a list's answer that has the entries.
fn entries(list: &str) -> &'static str {
    match list {
        "ListSecurityProfiles" => "securityProfileIdentifiers",
        "ListSecurityProfilesForTarget" => "securityProfileTargetMappings",
        "ListTargetsForSecurityProfile" => "securityProfileTargets",
        "ListActiveViolations" => "activeViolations",
        "ListViolationEvents" => "violationEvents",
        "ListMetricValues" => "metricDatumList",
        "GetBehaviorModelTrainingSummaries" => "summaries",
        "ListDetectMitigationActionsExecutions" => "actionsExecutions",
        "ListCustomMetrics" => "metricNames",
        "ListDimensions" => "dimensionNames",
        _ => "tasks",
    }
}

/// A task is described in a member.
#[expect(clippy::unnecessary_wraps, reason = "some families describe what is not there")]
fn described(kind: &str, _: Verb, mut there: Value) -> Option<Value> {
    match there.get_mut("taskSummary").map(Value::take) {
        Some(task) if kind == "DetectMitigationActionsTask" => Some(task),
        _ => Some(there),
    }
}

/// What a change brings about beside what it names: what it deletes is gone, and behaviors that say the same in other
/// words are the same.
fn becomes(target: &Target, there: &Value) -> Map<String, Value> {
    let mut wanted = target.wanted.clone();
    // It is the version of the profile before the change.
    wanted.remove("expectedVersion");
    for (deletion, members) in DELETIONS {
        if wanted.remove(deletion) != Some(Value::Bool(true)) {
            continue;
        }
        let is_there = |value: &Value| match value {
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty(),
            Value::Null => false,
            _ => true,
        };
        for member in members.iter().filter(|member| there.get(**member).is_some_and(is_there)) {
            wanted.insert((*member).to_owned(), Value::Null);
        }
    }
    if let (Some(Value::Array(given)), Some(Value::Array(known))) =
        (wanted.get("behaviors"), there.get("behaviors"))
        && are_same(given, known)
    {
        wanted.insert("behaviors".to_owned(), known.clone().into());
    }
    wanted
}
