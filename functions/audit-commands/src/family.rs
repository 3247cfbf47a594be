//! The operations on audits, as the commands that they are.

use fleetwarden_commands::Commands;
use fleetwarden_commands::Family;
use fleetwarden_commands::subject::Subject;
use fleetwarden_commands::subject::Verb;
use fleetwarden_core::api;
use fleetwarden_core::api::Operation;
use fleetwarden_core::api::input::TOKEN;
use fleetwarden_core::api::shape::Member;
use fleetwarden_core::api::shape::NAME;
use fleetwarden_core::api::shape::Place;
use fleetwarden_core::api::shape::Shape;
use serde_json::Map;
use serde_json::Value;

const CONFIGURATION: &str = "AccountAuditConfiguration";

/// The operations on audits.
pub(crate) static FAMILY: Family = Family {
    commands: Commands { function: "audit-commands", example: "ListAuditFindings", find: api::audit, own },
    entries: entries_of,
    refused_twice: &[
        "DeleteAccountAuditConfiguration",
        "CreateScheduledAudit",
        "DeleteScheduledAudit",
        "CancelAuditTask",
        "CreateMitigationAction",
        "CancelAuditMitigationActionsTask",
    ],
    deleted_quietly: &["AuditSuppression", "MitigationAction"],
    made: &["scheduledAuditArn", "actionArn", "actionId"],
    described,
    becomes,
};

/// The token of an operation that has none in AWS: long enough for the name of any execution of a workflow.
static START_TOKEN: Shape = Shape::Text { min: 1, max: 128, pattern: Some(&NAME) };
static OF_A_START: [Member; 1] =
    [Member { name: TOKEN, shape: &START_TOKEN, required: false, place: Place::Body }];

fn own(operation: &Operation) -> &'static [Member] {
    if operation.name == "StartOnDemandAuditTask" { &OF_A_START } else { &[] }
}

/// The member of a list's answer that has the entries.
pub(crate) fn entries_of(list: &str) -> &'static str {
    match list {
        "ListScheduledAudits" => "scheduledAudits",
        "ListAuditFindings" => "findings",
        "ListRelatedResourcesForAuditFinding" => "relatedResources",
        "ListAuditSuppressions" => "suppressions",
        "ListMitigationActions" => "actionIdentifiers",
        "ListAuditMitigationActionsExecutions" => "actionsExecutions",
        _ => "tasks",
    }
}

/// The configuration is described even if there is none: it has no role then.
fn described(kind: &str, verb: Verb, there: Value) -> Option<Value> {
    let is_none = kind == CONFIGURATION && there.get("roleArn").is_none();
    (verb == Verb::Update || !is_none).then_some(there)
}

/// What an update changes beside what it names: a day goes with its frequency, and an end is either a time or never.
fn becomes(subject: &Subject, there: &Value) -> Map<String, Value> {
    let mut wanted = subject.wanted.clone();
    let mut imply = |member: &str, value: Value| {
        if there.get(member).is_some() {
            wanted.entry(member).or_insert(value);
        }
    };
    if let Some(frequency) = subject.wanted.get("frequency").and_then(Value::as_str) {
        let stays = match frequency {
            "WEEKLY" | "BIWEEKLY" => "dayOfWeek",
            "MONTHLY" => "dayOfMonth",
            _ => "",
        };
        for gone in ["dayOfMonth", "dayOfWeek"].into_iter().filter(|day| *day != stays) {
            imply(gone, Value::Null);
        }
    }
    if subject.wanted.get("suppressIndefinitely") == Some(&Value::Bool(true)) {
        imply("expirationDate", Value::Null);
    }
    if subject.wanted.contains_key("expirationDate") {
        imply("suppressIndefinitely", false.into());
    }
    wanted
}
