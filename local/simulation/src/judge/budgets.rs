//! No more is mitigated in an hour than the policies of the run let through, in all and of a thing group. What a task counts
//! for is in its own item, and when it was claimed last; which things are in the group says the endpoint. What the product
//! counts in its budgets is not looked at.

use std::collections::BTreeSet;

use fleetwarden_core::timestamp::Millis;
use serde_json::Value;

use super::Judge;
use super::Records;
use super::list;
use super::text;
use crate::policies;

/// The time of every budget that a run has, in seconds.
const WITHIN_SECONDS: i64 = 3_600;
/// The budget of a policy that says nothing of any. The fleet of a run has no index, so that its share is unknown.
const DEFAULT: u64 = 10;

/// How many a policy lets through in an hour, of whatever and of a thing group. None: any number.
pub(crate) fn smallest(policy: &str) -> Option<u64> {
    least(policy, |_| true)
}

fn least(policy: &str, is_meant: impl Fn(&Value) -> bool) -> Option<u64> {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    match &policy["budgets"] {
        Value::Null => is_meant(&Value::Null).then_some(DEFAULT),
        Value::Array(budgets) => {
            let meant = budgets.iter().filter(|budget| is_meant(&budget["group"]));
            meant.filter_map(|budget| budget["most"].as_u64()).min()
        }
        _ => None,
    }
}

/// A task that was started: when it was claimed last, in seconds since the epoch, for how many, and the audit and the ids of
/// its findings.
struct Task {
    at: i64,
    count: u64,
    audit: String,
    findings: Vec<String>,
}

/// A task that was started and tried an action, by its item.
fn task(item: &Value) -> Option<Task> {
    let of = |name: &str| item.get(name).and_then(Value::as_str);
    if !["started", "completed", "failed", "canceled", "lost"].contains(&of("state")?) {
        return None;
    }
    // What tried no action is given back.
    let statistics: Value =
        of("statistics").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let tried = ["succeeded", "failed", "executed"];
    let counts = |of: &Value| tried.iter().filter_map(|name| of[*name].as_i64()).sum::<i64>();
    let by_check = statistics.as_object().into_iter().flatten().map(|(_, check)| counts(check)).sum::<i64>();
    if !statistics.is_null() && counts(&statistics) + by_check == 0 {
        return None;
    }
    let violations = of("violations").and_then(|text| serde_json::from_str::<Vec<Value>>(text).ok());
    let findings =
        item.get("findings").and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()));
    let at = Millis::parse(of("decided_at")?)?.seconds();
    let target: Value = of("target").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    let of_check = |of: &Value| -> Vec<String> {
        list(of, "/findings").map(|finding| text(finding, "/findingId").to_owned()).collect()
    };
    Some(Task {
        at,
        count: violations.map(|list| list.len() as u64).or(findings)?,
        audit: of("audit_task_id").unwrap_or_default().to_owned(),
        findings: target.as_object().into_iter().flatten().flat_map(|(_, of)| of_check(of)).collect(),
    })
}

impl Judge<'_> {
    /// In no hour more was started than the most that any policy of the run lets through.
    pub(super) fn no_budget_is_overspent(&mut self, records: &Records) {
        let limits = |is_meant: fn(&Value) -> bool| {
            let limits = self.played.policies.iter().map(|policy| least(policy, is_meant));
            limits.collect::<Option<Vec<u64>>>()?.into_iter().max()
        };
        let (of_all, of_group) = (limits(Value::is_null), limits(Value::is_string));
        if of_all.is_none() && of_group.is_none() {
            return;
        }
        let items = self.world.cloud.items("mitigation#");
        // A person may let a task go over, which counts for those after it.
        let may_go_over = |pk: &String| {
            let approval = items.get(&(pk.clone(), "approval".to_owned()));
            let of =
                |name: &str| approval.and_then(|approval| approval.get(name)?.as_str()).unwrap_or_default();
            of("state") == "approved" && of("explanation").contains("over-budget")
        };
        let tasks: Vec<Task> = items
            .iter()
            .filter(|((pk, sk), _)| sk == "task" && !may_go_over(pk))
            .filter_map(|(_, item)| task(&serde_json::to_value(item).ok()?))
            .collect();
        if let Some(most) = of_all {
            self.no_hour_has_more(&tasks, most, "", |task| task.count);
        }
        if let Some(most) = of_group {
            let certificates = self.certificates_in(policies::GROUP);
            let is_in = |task: &Task, id: &String| {
                let record = records.get(&(task.audit.clone(), id.clone())).and_then(|of| of.first());
                let resource = record.map(|(record, _)| &record["resource"]["resourceIdentifier"]);
                let certificate = resource.and_then(|of| of["deviceCertificateId"].as_str());
                certificate.is_some_and(|certificate| certificates.contains(certificate))
            };
            let count = |task: &Task| task.findings.iter().filter(|id| is_in(task, id)).count() as u64;
            self.no_hour_has_more(&tasks, most, " in the group", count);
        }
    }

    fn no_hour_has_more(&mut self, tasks: &[Task], most: u64, of: &str, count: impl Fn(&Task) -> u64) {
        for Task { at, .. } in tasks {
            let hour = tasks.iter().filter(|task| at - WITHIN_SECONDS < task.at && task.at <= *at);
            let count: u64 = hour.map(&count).sum();
            self.unless(count <= most, || {
                format!("{count}{of} were mitigated in the hour before {at}, and the budget is {most}")
            });
        }
    }

    /// The certificates of the things in a group, by their ids.
    fn certificates_in(&self, group: &str) -> BTreeSet<String> {
        let (mut found, mut token) = (BTreeSet::new(), String::new());
        loop {
            let query = format!("recursive=true&maxResults=250{token}");
            let path = format!("/thing-groups/{group}/things");
            let Ok(page) = self.world.ask("GET", &path, &query, &Value::Null) else { return found };
            for thing in list(&page, "/things").filter_map(Value::as_str) {
                let path = format!("/things/{thing}/principals");
                let principals = self.world.ask("GET", &path, "", &Value::Null).unwrap_or_default();
                let arns = list(&principals, "/principals").filter_map(Value::as_str);
                found.extend(arns.filter_map(|arn| arn.rsplit('/').next()).map(ToOwned::to_owned));
            }
            let Some(next) = page["nextToken"].as_str() else { return found };
            token = format!("&nextToken={next}");
        }
    }
}
