//! Where a rule has a canary, nothing but its task starts before the ledger says that it has passed, and it has one finding: every
//! canary of a run lets one go first. Where a policy of the run has none for the rule, or another, nothing is judged.

use std::collections::BTreeMap;
use std::time::Duration;

use fleetwarden_core::timestamp::Millis;
use serde_json::Value;

use super::Judge;
use super::text;
use crate::policies;

/// How long a look at the devices of a canary takes at most.
const LOOK: Duration = Duration::from_mins(5);
/// The states of a task that was started.
const STARTED: [&str; 5] = ["started", "completed", "failed", "canceled", "lost"];

impl Judge<'_> {
    /// The first goes alone, and after a stop nothing more starts.
    pub(super) fn the_first_go_alone(&mut self) {
        let [policy] = self.played.policies.as_slice() else { return };
        let policy: Value = serde_json::from_str(policy).unwrap_or_default();
        let rules = policy["rules"].as_array().into_iter().flatten();
        let has_canary: Vec<&str> = rules
            .filter(|rule| rule.pointer("/mitigate/canary").is_some())
            .map(|rule| text(rule, "/name"))
            .collect();
        let canaries: BTreeMap<(String, String, String), (String, String)> = self
            .world
            .cloud
            .items("audit#")
            .into_iter()
            .filter_map(|((pk, sk), item)| {
                let (check, rule) = sk.strip_prefix("canary#")?.split_once('#')?;
                let of = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
                let audit = pk.strip_prefix("audit#")?.to_owned();
                Some(((audit, check.to_owned(), rule.to_owned()), (of("state"), of("task_id"))))
            })
            .collect();
        let tasks = self.world.cloud.items("mitigation#").into_iter().filter(|((_, sk), _)| sk == "task");
        let tasks: Vec<_> = tasks.collect();
        for ((pk, _), task) in tasks {
            let of = |name: &str| task.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (rule, state) = (of("rule"), of("state"));
            if !has_canary.contains(&rule.as_str()) || !STARTED.contains(&state.as_str()) {
                continue;
            }
            let key = (of("audit_task_id"), of("check"), rule);
            let Some((of_canary, first)) = canaries.get(&key) else {
                self.unless(false, || format!("{pk} was started, and its rule's canary has no task"));
                continue;
            };
            let is_first = pk.strip_prefix("mitigation#") == Some(first.as_str());
            self.unless(of_canary == "passed" || is_first, || {
                format!("{pk} was started, and its rule's canary {first} is {of_canary}")
            });
            let findings = of("target").matches("\"findingId\"").count();
            self.unless(!is_first || findings == 1, || format!("the canary {pk} has {findings} findings"));
        }
    }

    /// Where a lost connection stops the rest, no canary passes whose devices have lost theirs before its last look. If a policy of
    /// the run has another canary for the rule, nothing is judged.
    pub(super) fn a_lost_connection_stops_the_rest(&mut self) {
        let lost = self.world.state().acts.lost.clone();
        self.judged.disconnected = lost.len() as u64;
        let policies =
            self.played.policies.iter().map(|policy| serde_json::from_str(policy).unwrap_or_default());
        let policies: Vec<Value> = policies.collect();
        let all_watch =
            |rule: &str| policies.iter().all(|of| policies::watches_connections(of, rule).is_some());
        for ((_, sk), canary) in self.world.cloud.items("audit#") {
            let of = |name: &str| canary.get(name).and_then(Value::as_str).unwrap_or_default();
            let rule = sk.strip_prefix("canary#").and_then(|key| key.split_once('#')).map(|(_, rule)| rule);
            let is_watched = rule.is_some_and(all_watch);
            let Some(at) = lost.get(of("task_id")).filter(|_| is_watched) else { continue };
            let passed = (of("state") == "passed").then(|| Millis::parse(of("decided_at"))).flatten();
            // A look that is under way may have seen them connected.
            let is_late = passed.is_none_or(|passed| passed < at.plus(LOOK));
            self.unless(is_late, || {
                format!("{sk} has passed, and its devices have lost their connections at {}", at.rfc3339())
            });
        }
    }
}
