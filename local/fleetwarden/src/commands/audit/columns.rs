//! Which members of a list's entries are columns, in the order in which people look for them.

/// A column of a list.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) of: Of,
    pub(super) room: Room,
}

/// What a cell is made from: members of an entry, by their path. An empty path is the entry itself.
#[derive(Clone, Copy, Debug)]
pub(super) enum Of {
    Text(&'static str),
    /// An id that commands take: it is never cut.
    Id(&'static str),
    /// A word with a color.
    State(&'static str),
    Time(&'static str),
    /// Yes or nothing.
    Flag(&'static str),
    Percent(&'static str),
    /// A resource's identifier.
    Resource(&'static str),
    /// A resource's identifier, and an id that commands take in the line below.
    ResourceAndId(&'static str, &'static str),
    /// A metric's value.
    Measured(&'static str),
    /// A map.
    Pairs(&'static str),
    /// When a suppression ends.
    End,
    /// The day of a scheduled audit.
    Day,
    /// What a mitigation of alarms is on.
    Target,
    /// The counts of a mitigation of alarms.
    Counts(&'static str),
}

/// On which terminals a column is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// On each.
    Any,
    /// From 100 columns on.
    Broad,
    /// On each, unless all is to be shown.
    Fitted,
    /// If all is to be shown.
    Wide,
}

use Of::{
    Counts, Day, End, Flag, Id, Measured, Pairs, Percent, Resource, ResourceAndId, State, Target, Text, Time,
};
use Room::{Any, Broad, Fitted, Wide};

const fn column(title: &'static str, of: Of, room: Room) -> Column {
    Column { title, of, room }
}

/// The columns of a list's operation.
pub(super) fn columns_of(operation: &str) -> Option<&'static [Column]> {
    COLUMNS.iter().find(|(name, _)| *name == operation).map(|(_, columns)| *columns)
}

/// The columns by operation.
pub(super) const COLUMNS: [(&str, &[Column]); 19] = [
    ("ListAuditFindings", &FINDINGS),
    ("ListRelatedResourcesForAuditFinding", &RELATED),
    ("ListAuditTasks", &AUDITS),
    ("ListScheduledAudits", &SCHEDULES),
    ("ListAuditSuppressions", &SUPPRESSIONS),
    ("ListMitigationActions", &ACTIONS),
    ("ListAuditMitigationActionsTasks", &TASKS),
    ("ListAuditMitigationActionsExecutions", &EXECUTIONS),
    ("ListSecurityProfiles", &PROFILES),
    ("ListSecurityProfilesForTarget", &PROFILES_FOR_TARGET),
    ("ListTargetsForSecurityProfile", &TARGETS),
    ("ListActiveViolations", &ACTIVE),
    ("ListViolationEvents", &EVENTS),
    ("ListMetricValues", &VALUES),
    ("GetBehaviorModelTrainingSummaries", &MODELS),
    ("ListDetectMitigationActionsTasks", &DETECT_TASKS),
    ("ListDetectMitigationActionsExecutions", &DETECT_EXECUTIONS),
    ("ListCustomMetrics", &METRICS),
    ("ListDimensions", &DIMENSIONS),
];

const RESOURCE: &str = "nonCompliantResource.resourceIdentifier";

static FINDINGS: [Column; 11] = [
    column("severity", State("severity"), Any),
    column("check", Text("checkName"), Any),
    column("resource, finding id", ResourceAndId(RESOURCE, "findingId"), Fitted),
    column("resource", Resource(RESOURCE), Wide),
    column("finding id", Id("findingId"), Wide),
    column("reason", Text("reasonForNonComplianceCode"), Broad),
    column("found", Time("findingTime"), Broad),
    column("suppressed", Flag("isSuppressed"), Any),
    column("audit", Id("taskId"), Wide),
    column("audit began", Time("taskStartTime"), Wide),
    column("why", Text("reasonForNonCompliance"), Wide),
];

static RELATED: [Column; 3] = [
    column("type", Text("resourceType"), Any),
    column("resource", Resource("resourceIdentifier"), Any),
    column("more", Pairs("additionalInfo"), Any),
];

static AUDITS: [Column; 3] = [
    column("status", State("taskStatus"), Any),
    column("type", Text("taskType"), Any),
    column("task id", Id("taskId"), Any),
];

static SCHEDULES: [Column; 4] = [
    column("scheduled audit", Text("scheduledAuditName"), Any),
    column("frequency", Text("frequency"), Any),
    column("day", Day, Any),
    column("arn", Text("scheduledAuditArn"), Wide),
];

static SUPPRESSIONS: [Column; 4] = [
    column("check", Text("checkName"), Any),
    column("resource", Resource("resourceIdentifier"), Any),
    column("ends", End, Any),
    column("description", Text("description"), Any),
];

static ACTIONS: [Column; 3] = [
    column("action", Text("actionName"), Any),
    column("created", Time("creationDate"), Any),
    column("arn", Text("actionArn"), Wide),
];

static TASKS: [Column; 3] = [
    column("status", State("taskStatus"), Any),
    column("started", Time("startTime"), Any),
    column("task id", Id("taskId"), Any),
];

static EXECUTIONS: [Column; 9] = [
    column("status", State("status"), Any),
    column("action", Text("actionName"), Any),
    column("started", Time("startTime"), Any),
    column("ended", Time("endTime"), Broad),
    column("error", Text("errorCode"), Any),
    column("message", Text("message"), Any),
    column("finding id", Id("findingId"), Wide),
    column("task id", Id("taskId"), Wide),
    column("action id", Text("actionId"), Wide),
];

static PROFILES: [Column; 2] =
    [column("security profile", Text("name"), Any), column("arn", Text("arn"), Wide)];

static PROFILES_FOR_TARGET: [Column; 2] = [
    column("security profile", Text("securityProfileIdentifier.name"), Any),
    column("target", Text("target.arn"), Any),
];

static TARGETS: [Column; 1] = [column("target", Text("arn"), Any)];

static ACTIVE: [Column; 9] = [
    column("thing", Text("thingName"), Any),
    column("profile", Text("securityProfileName"), Any),
    column("behavior", Text("behavior.name"), Any),
    column("measured", Measured("lastViolationValue"), Any),
    column("since", Time("violationStartTime"), Any),
    column("last", Time("lastViolationTime"), Wide),
    column("verified", State("verificationState"), Broad),
    column("violation id", Id("violationId"), Broad),
    column("metric", Text("behavior.metric"), Wide),
];

static EVENTS: [Column; 9] = [
    column("time", Time("violationEventTime"), Any),
    column("event", State("violationEventType"), Any),
    column("thing", Text("thingName"), Any),
    column("profile", Text("securityProfileName"), Any),
    column("behavior", Text("behavior.name"), Any),
    column("measured", Measured("metricValue"), Broad),
    column("violation id", Id("violationId"), Broad),
    column("verified", State("verificationState"), Wide),
    column("metric", Text("behavior.metric"), Wide),
];

static VALUES: [Column; 2] =
    [column("time", Time("timestamp"), Any), column("value", Measured("value"), Any)];

static MODELS: [Column; 6] = [
    column("profile", Text("securityProfileName"), Any),
    column("behavior", Text("behaviorName"), Any),
    column("model", State("modelStatus"), Any),
    column("collected", Percent("datapointsCollectionPercentage"), Any),
    column("collects since", Time("trainingDataCollectionStartDate"), Broad),
    column("refreshed", Time("lastModelRefreshDate"), Any),
];

static DETECT_TASKS: [Column; 6] = [
    column("status", State("taskStatus"), Any),
    column("started", Time("taskStartTime"), Any),
    column("ended", Time("taskEndTime"), Broad),
    column("on", Target, Any),
    column("actions", Counts("taskStatistics"), Any),
    column("task id", Id("taskId"), Any),
];

static DETECT_EXECUTIONS: [Column; 9] = [
    column("status", State("status"), Any),
    column("action", Text("actionName"), Any),
    column("thing", Text("thingName"), Any),
    column("started", Time("executionStartDate"), Any),
    column("ended", Time("executionEndDate"), Broad),
    column("error", Text("errorCode"), Any),
    column("message", Text("message"), Any),
    column("violation id", Id("violationId"), Broad),
    column("task id", Id("taskId"), Wide),
];

static METRICS: [Column; 1] = [column("custom metric", Text(""), Any)];

static DIMENSIONS: [Column; 1] = [column("dimension", Text(""), Any)];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::audit::skeleton;
    use fleetwarden_core::api;
    use serde_json::Value;

    /// The member that a path names, by the service's own model.
    fn has(entry: &Value, path: &str) -> bool {
        path.is_empty() || path.split('.').try_fold(entry, |value, name| value.get(name)).is_some()
    }

    #[test]
    fn each_list_has_columns_of_members_that_its_entries_have() {
        for operation in api::AUDIT.iter().chain(&api::DETECT).filter(|operation| operation.is_list()) {
            let name = operation.name;
            let columns = columns_of(name).unwrap_or_else(|| panic!("{name}"));
            let answer = skeleton::of_answer(operation).unwrap();
            let list = answer.as_object().unwrap().values().find_map(Value::as_array).unwrap();
            for Column { of, .. } in columns {
                let paths: &[&str] = match of {
                    Text(path) | Id(path) | State(path) | Time(path) | Flag(path) | Percent(path)
                    | Resource(path) | Measured(path) | Pairs(path) | Counts(path) => &[path],
                    ResourceAndId(resource, id) => &[resource, id],
                    End => &["expirationDate", "suppressIndefinitely"],
                    Day => &["dayOfWeek", "dayOfMonth"],
                    Target => &["target.securityProfileName", "target.behaviorName", "target.violationIds"],
                };
                assert!(paths.iter().all(|path| has(&list[0], path)), "{name}: {of:?}");
            }
        }
    }
}
