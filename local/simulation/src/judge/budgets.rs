//! No more is mitigated in an hour than the policies of the run let through. What a task counts for is in its own item, and
//! when it was claimed last; what the product counts in its budgets is not looked at.

use fleetwarden_core::timestamp::Millis;
use serde_json::Value;

use super::Judge;

/// The time of every budget that a run has, in seconds.
const WITHIN_SECONDS: i64 = 3_600;
/// The budget of a policy that says nothing of any. The fleet of a run has no index, so that its share is unknown.
const DEFAULT: u64 = 10;

/// How many a policy lets through in an hour. None: any number.
pub(crate) fn most(policy: &str) -> Option<u64> {
    let policy: Value = serde_json::from_str(policy).unwrap_or_default();
    match &policy["budgets"] {
        Value::Null => Some(DEFAULT),
        Value::Array(budgets) => budgets.iter().filter_map(|budget| budget["most"].as_u64()).min(),
        _ => None,
    }
}

/// A task that was started: when it was claimed last, in seconds since the epoch, and for how many.
struct Task {
    at: i64,
    count: u64,
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
    Some(Task { at, count: violations.map(|list| list.len() as u64).or(findings)? })
}

impl Judge<'_> {
    /// In no hour more was started than the most that any policy of the run lets through.
    pub(super) fn no_budget_is_overspent(&mut self) {
        let most: Option<Vec<u64>> = self.played.policies.iter().map(|policy| most(policy)).collect();
        let Some(most) = most.and_then(|most| most.into_iter().max()) else { return };
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
        for Task { at, .. } in &tasks {
            let hour = tasks.iter().filter(|task| at - WITHIN_SECONDS < task.at && task.at <= *at);
            let count: u64 = hour.map(|task| task.count).sum();
            self.unless(count <= most, || {
                format!("{count} were mitigated in the hour before {at}, and the budget is {most}")
            });
        }
    }
}
