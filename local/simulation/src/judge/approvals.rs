//! What waits for a person is told, and ends as the person says. That nothing starts without an approval is judged with each start.

use serde_json::Value;

use super::Judge;
use super::text;

impl Judge<'_> {
    /// A task is rejected if and only if its approval is, and whoever did not answer was asked.
    pub(super) fn approvals_are_obeyed(&mut self) {
        let alerts: Vec<String> = {
            let state = self.world.state();
            let of_approvals = |alert: &Value| text(alert, "/metadata/eventType") == "mitigation-approval";
            state
                .alerts
                .iter()
                .map(|(_, alert)| alert)
                .filter(|alert| of_approvals(alert))
                .map(Value::to_string)
                .collect()
        };
        let items = self.world.cloud.items("mitigation#");
        for ((pk, _), approval) in items.iter().filter(|((_, sk), _)| sk == "approval") {
            let of = |name: &str| approval.get(name).and_then(Value::as_str).unwrap_or_default();
            let task = items.get(&(pk.clone(), "task".to_owned()));
            let task = task.and_then(|task| task.get("state")?.as_str()).unwrap_or_default();
            let is_over = ["rejected", "lapsed"].contains(&of("state"));
            self.unless(is_over == (task == "rejected"), || {
                format!("{pk} is {task}, and its approval is {}", of("state"))
            });
            let id = pk.trim_start_matches("mitigation#");
            let is_answered = self.world.state().acts.answered.contains(id);
            let is_told = is_answered || alerts.iter().any(|alert| alert.contains(id));
            self.unless(is_told || of("state") != "lapsed" || !of("reason").starts_with("nobody"), || {
                format!("{pk} has lapsed, and nobody was asked")
            });
        }
    }
}
