//! The operations on audits, as the commands that they are.

use fleetwarden_commands::Commands;
use fleetwarden_commands::Family;
use fleetwarden_commands::target::Target;
use fleetwarden_commands::target::Verb;
use fleetwarden_core::api;
use serde_json::Map;
use serde_json::Value;

const CONFIGURATION: &str = "AccountAuditConfiguration";

/// The operations on audits.
pub(crate) static FAMILY: Family = Family {
    commands: Commands { function: "audit-commands", example: "ListAuditFindings", find: api::audit },
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
fn becomes(target: &Target, there: &Value) -> Map<String, Value> {
    let mut wanted = target.wanted.clone();
    let mut imply = |member: &str, value: Value| {
        if there.get(member).is_some() {
            wanted.entry(member).or_insert(value);
        }
    };
    if let Some(frequency) = target.wanted.get("frequency").and_then(Value::as_str) {
        let stays = match frequency {
            "WEEKLY" | "BIWEEKLY" => "dayOfWeek",
            "MONTHLY" => "dayOfMonth",
            _ => "",
        };
        for gone in ["dayOfMonth", "dayOfWeek"].into_iter().filter(|day| *day != stays) {
            imply(gone, Value::Null);
        }
    }
    if target.wanted.get("suppressIndefinitely") == Some(&Value::Bool(true)) {
        imply("expirationDate", Value::Null);
    }
    if target.wanted.contains_key("expirationDate") {
        imply("suppressIndefinitely", false.into());
    }
    wanted
}
