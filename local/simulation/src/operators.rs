//! People who operate the stack: they pause mitigation and resume it, and take back what a task has done.
//!
//! They are drawn apart from the rest, so that a seed's other draws do not depend on them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use serde_json::json;

use crate::lambda::Ended;
use crate::lambda::Lambda;
use crate::stack;
use crate::world::Lineage;
use crate::world::World;

/// The operators of a run.
pub(crate) struct Operators {
    rng: Rng,
    is_on: bool,
}

impl Operators {
    /// Those of a seed: in a third of the seeds they do something.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x0bad_cafe);
        let is_on = rng.u8(..3) == 0;
        Self { rng, is_on }
    }

    /// What they do at a step of the workload.
    pub(crate) fn step(&mut self, world: &Arc<World>, lambda: &Rc<Lambda>) {
        if !self.is_on || self.rng.u8(..3) > 0 {
            return;
        }
        let number = self.rng.u32(..);
        let by = format!("operator {number}");
        let event = match self.rng.u8(..5) {
            0 => json!({"command": "MitigationPause", "reason": "simulated", "by": by,
                "suppressions": self.rng.bool()}),
            1 | 2 => json!({"command": "MitigationResume", "reason": "simulated", "by": by}),
            _ => {
                let tasks = ended(world);
                if tasks.is_empty() {
                    return;
                }
                let task = &tasks[self.rng.usize(..tasks.len())];
                json!({"command": "MitigationUndo", "taskId": task, "reason": format!("simulated {number}")})
            }
        };
        world.note(&format!("an operator asks: {event}"));
        lambda.send(&stack::MITIGATION_COMMANDS, event.clone(), Duration::ZERO);
        if self.rng.u8(..4) == 0 {
            let after = Duration::from_secs(self.rng.u64(..120));
            lambda.send(&stack::MITIGATION_COMMANDS, event, after);
        }
    }

    /// Nobody leaves mitigation paused.
    pub(crate) async fn end(&self, world: &Arc<World>, lambda: &Rc<Lambda>) {
        if !self.is_on {
            return;
        }
        let event = json!({"command": "MitigationResume", "reason": "the end", "by": "operator"});
        let ended = lambda.invoke(&stack::MITIGATION_COMMANDS, event, Lineage::new()).await;
        if !matches!(ended, Ended::Answered(_)) {
            world.note("mitigation is not resumed");
        }
    }
}

/// The tasks that have ended, by the ledger.
fn ended(world: &World) -> Vec<String> {
    let items = world.cloud.items("mitigation#").into_iter().filter(|((_, sk), _)| sk == "task");
    let has_ended = |state: &str| ["completed", "failed", "canceled"].contains(&state);
    items
        .filter(|(_, task)| task.get("state").and_then(Value::as_str).is_some_and(has_ended))
        .filter_map(|((pk, _), _)| pk.strip_prefix("mitigation#").map(ToOwned::to_owned))
        .collect()
}
