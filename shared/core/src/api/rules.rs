//! What AWS states of an input in words, beside the shapes of the service model.
//!
//! Source: the documentation of the operations in the API reference, and of Device Defender in the developer guide.
//! What needs a look at the account is not here: this is pure.

mod detect;

use serde_json::Map;
use serde_json::Value;

use super::judge::Judge;
use super::judge::below;
use super::near_or_all;
use super::time::millis;
use crate::ids::CheckName;
use crate::ids::check;
use crate::timestamp::Millis;
use crate::untrusted::shown;

type Members = Map<String, Value>;

/// How long audits and their findings are kept.
const KEPT_SECONDS: i64 = 90 * 86_400;
/// The range of both thresholds, in days ("Audit checks").
const THRESHOLD_DAYS: std::ops::RangeInclusive<u32> = 30..=3652;
/// Which check takes which threshold.
const THRESHOLDS: [(&str, &str); 2] = [
    ("DEVICE_CERTIFICATE_AGE_CHECK", "CERT_AGE_THRESHOLD_IN_DAYS"),
    ("DEVICE_CERTIFICATE_EXPIRING_CHECK", "CERT_EXPIRATION_THRESHOLD_IN_DAYS"),
];

/// Judges the members of an operation, and gives checks the names that the API uses.
pub(super) fn judge(operation: &str, members: &mut Members, now: Millis, judge: &mut Judge) {
    checks(members, judge);
    match operation {
        "CreateScheduledAudit" => days(members, judge),
        "UpdateScheduledAudit" => {
            changes(members, &["scheduledAuditName"], judge);
            days(members, judge);
        }
        "UpdateAccountAuditConfiguration" => {
            changes(members, &[], judge);
            thresholds(members, judge);
        }
        "ListAuditFindings" => one_filter(members, judge),
        "ListAuditTasks" => {
            period(members, judge);
            let kept = now.plus_seconds(-KEPT_SECONDS);
            if members.get("startTime").and_then(millis).is_some_and(|start| start < kept) {
                let what = format!("audits are kept for 90 days, since {}", kept.rfc3339());
                judge.fault("$.startTime", what);
            }
        }
        "ListAuditMitigationActionsTasks" | "MitigationList" => period(members, judge),
        "CreateAuditSuppression" => {
            resource(members, judge);
            end(members, now, judge);
            let forever = members.get("suppressIndefinitely").and_then(Value::as_bool) == Some(true);
            if !forever && !members.contains_key("expirationDate") {
                judge.fault("$", "give expirationDate, or suppressIndefinitely: true");
            }
        }
        "UpdateAuditSuppression" => {
            changes(members, &["checkName", "resourceIdentifier"], judge);
            resource(members, judge);
            end(members, now, judge);
            let forever = members.get("suppressIndefinitely").and_then(Value::as_bool);
            if forever == Some(false) && !members.contains_key("expirationDate") {
                judge.fault("$.suppressIndefinitely", "what does not last for ever needs an expirationDate");
            }
        }
        "DescribeAuditSuppression" | "DeleteAuditSuppression" => resource(members, judge),
        "CreateMitigationAction" => action(members, judge),
        "UpdateMitigationAction" => {
            changes(members, &["actionName"], judge);
            action(members, judge);
        }
        "StartAuditMitigationActionsTask" => target(members, judge),
        "AuditReport" => one_audit(members, judge),
        _ => detect::judge(operation, members, judge),
    }
}

/// Every name of a check, wherever an operation has one.
fn checks(members: &mut Members, judge: &mut Judge) {
    if let Some(Value::String(name)) = members.get_mut("checkName") {
        check_name(name, "$.checkName", judge);
    }
    if let Some(Value::Array(names)) = members.get_mut("targetCheckNames") {
        if names.is_empty() {
            judge.fault("$.targetCheckNames", "names no check: an audit needs one at least");
        }
        for (at, name) in names.iter_mut().enumerate() {
            if let Value::String(name) = name {
                check_name(name, &format!("$.targetCheckNames[{at}]"), judge);
            }
        }
    }
    for member in ["auditCheckConfigurations", "auditCheckToActionsMapping"] {
        if let Some(Value::Object(map)) = members.get_mut(member) {
            keys(map, &below("$", member), judge);
        }
    }
    let filter = members.get_mut("target").and_then(|target| target.get_mut("auditCheckToReasonCodeFilter"));
    if let Some(Value::Object(filter)) = filter {
        keys(filter, "$.target.auditCheckToReasonCodeFilter", judge);
    }
}

fn check_name(name: &mut String, path: &str, judge: &mut Judge) {
    let known = CheckName::new(name);
    if known.is_known() {
        known.as_str().clone_into(name);
        return;
    }
    judge.fault(path, format!("'{}' is no audit check{}", shown(name), near_or_all(name, &check::KNOWN)));
}

fn keys(map: &mut Members, path: &str, judge: &mut Judge) {
    for (given, value) in std::mem::take(map) {
        let mut name = given.clone();
        check_name(&mut name, &below(path, &given), judge);
        if map.insert(name.clone(), value).is_some() {
            judge.fault(below(path, &given), format!("is {name}, which is there as well"));
        }
    }
}

/// An update has to change something.
fn changes(members: &Members, names: &[&str], judge: &mut Judge) {
    if members.keys().all(|member| names.contains(&member.as_str())) {
        judge.fault("$", "names nothing to change");
    }
}

/// "This field is required if the frequency parameter is set to WEEKLY or BIWEEKLY", and to MONTHLY.
fn days(members: &Members, judge: &mut Judge) {
    let frequency = members.get("frequency").and_then(Value::as_str);
    let (week, month) = match frequency {
        Some("WEEKLY" | "BIWEEKLY") => (true, false),
        Some("MONTHLY") => (false, true),
        Some("DAILY") => (false, false),
        _ => {
            if members.contains_key("dayOfWeek") && members.contains_key("dayOfMonth") {
                judge.fault("$.dayOfMonth", "an audit has a dayOfWeek or a dayOfMonth, not both");
            }
            return;
        }
    };
    let frequency = frequency.unwrap_or_default();
    for (member, wanted) in [("dayOfWeek", week), ("dayOfMonth", month)] {
        let path = below("$", member);
        match (wanted, members.contains_key(member)) {
            (true, false) => judge.fault(path, format!("is missing: frequency is {frequency}")),
            (false, true) => judge.fault(path, format!("is not for the frequency {frequency}")),
            _ => {}
        }
    }
}

fn thresholds(members: &Members, judge: &mut Judge) {
    let checks = members.get("auditCheckConfigurations").and_then(Value::as_object);
    for (check, configured) in checks.into_iter().flatten() {
        let path = below(&below("$.auditCheckConfigurations", check), "configuration");
        let given = configured.get("configuration").and_then(Value::as_object);
        for (name, days) in given.into_iter().flatten() {
            let path = below(&path, name);
            let Some((of, _)) = THRESHOLDS.iter().find(|(_, threshold)| threshold == name) else { continue };
            if of != check {
                judge.fault(path, format!("{} has no such configuration; {of} has", shown(check)));
            } else if let Some(days) = days.as_str()
                && !days.parse().is_ok_and(|days| THRESHOLD_DAYS.contains(&days))
            {
                judge.fault(path, format!("'{}' is no number of days from 30 to 3652", shown(days)));
            }
        }
    }
}

/// "You must specify either the taskId or the startTime and endTime, but not both."
fn one_filter(members: &Members, judge: &mut Judge) {
    let has = |member: &str| members.contains_key(member);
    match (has("taskId"), has("startTime"), has("endTime")) {
        (true, false, false) => {}
        (false, true, true) => period(members, judge),
        (true, _, _) => judge.fault("$.taskId", "give either taskId, or startTime and endTime, not both"),
        (false, false, false) => judge.fault("$", "give either taskId, or startTime and endTime"),
        (false, true, false) => judge.fault("$.endTime", "is missing: startTime is there"),
        (false, false, true) => judge.fault("$.startTime", "is missing: endTime is there"),
    }
}

/// One way of saying which audit.
fn one_audit(members: &mut Members, judge: &mut Judge) {
    if members.get("latest") == Some(&Value::Bool(false)) {
        members.remove("latest");
    }
    let named =
        ["taskId", "scheduledAuditName", "latest"].into_iter().filter(|name| members.contains_key(*name));
    let named: Vec<&str> = named.collect();
    if let [first, others @ ..] = named.as_slice() {
        for other in others {
            judge.fault(below("$", other), format!("must not be given together with {first}"));
        }
    }
}

fn period(members: &Members, judge: &mut Judge) {
    let time = |member: &str| members.get(member).and_then(millis);
    if let (Some(start), Some(end)) = (time("startTime"), time("endTime"))
        && start > end
    {
        judge.fault("$.endTime", "is before startTime");
    }
}

/// A suppression is for one resource. Which of its members a check takes is in the guide's table only in part, so
/// that is left to the service.
fn resource(members: &Members, judge: &mut Judge) {
    let path = "$.resourceIdentifier";
    let Some(resource) = members.get("resourceIdentifier").and_then(Value::as_object) else { return };
    if resource.is_empty() {
        judge.fault(path, "names no resource: give what nonCompliantResource of the finding has");
    }
    for (member, identifier) in resource {
        if identifier.as_object().is_some_and(Map::is_empty) {
            judge.fault(below(path, member), "names no resource");
        }
    }
}

/// A suppression ends at a time to come, or never.
fn end(members: &Members, now: Millis, judge: &mut Judge) {
    let Some(end) = members.get("expirationDate") else { return };
    if members.get("suppressIndefinitely").and_then(Value::as_bool) == Some(true) {
        judge.fault("$.expirationDate", "is not for a suppression that lasts for ever");
    }
    if let Some(end) = millis(end).filter(|end| *end <= now) {
        judge.fault("$.expirationDate", format!("{} is not in the future", end.rfc3339()));
    }
}

/// "You can specify only one type of parameter"; "You cannot specify a logging level of DISABLED".
fn action(members: &Members, judge: &mut Judge) {
    let Some(Value::Object(params)) = members.get("actionParams") else { return };
    if params.len() != 1 {
        let what =
            format!("an action has the parameters of one kind of change, and here are {}", params.len());
        judge.fault("$.actionParams", what);
    }
    let level = params.get("enableIoTLoggingParams").and_then(|params| params.get("logLevel"));
    if level.and_then(Value::as_str) == Some("DISABLED") {
        judge.fault("$.actionParams.enableIoTLoggingParams.logLevel", "an action cannot switch logging off");
    }
}

/// The findings of an audit, cut down by check and reason code if there is a filter, or findings by their ids.
fn target(members: &Members, judge: &mut Judge) {
    let mapping = members.get("auditCheckToActionsMapping").and_then(Value::as_object);
    if mapping.is_some_and(Map::is_empty) {
        judge.fault("$.auditCheckToActionsMapping", "names no check");
    }
    let Some(Value::Object(target)) = members.get("target") else { return };
    let filter = target.get("auditCheckToReasonCodeFilter").and_then(Value::as_object);
    match (target.contains_key("auditTaskId"), target.contains_key("findingIds")) {
        (true, true) => judge.fault("$.target", "give either auditTaskId or findingIds, not both"),
        (false, false) => judge.fault("$.target", "give either auditTaskId or findingIds"),
        (false, true) if filter.is_some() => {
            judge
                .fault("$.target.auditCheckToReasonCodeFilter", "goes with auditTaskId, not with findingIds");
        }
        _ => {}
    }
    for check in filter.into_iter().flat_map(Map::keys) {
        if mapping.is_some_and(|mapping| !mapping.contains_key(check)) {
            let path = below("$.auditCheckToActionsMapping", check);
            judge.fault(path, "is missing: the filter names the check");
        }
    }
}
