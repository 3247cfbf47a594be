//! People who are asked to approve mitigations: they approve, reject, do both, come too late, or do not answer.
//!
//! They are drawn apart from the rest, so that a seed's other draws do not depend on them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::json;
use tokio::time::sleep;

use crate::lambda::Lambda;
use crate::stack;
use crate::world::World;

/// How often they look whether they are asked.
const LOOK: Duration = Duration::from_mins(10);
/// How long they think at most: some approvals lapse before.
const SLOWEST_SECONDS: u64 = 4 * 3_600;

/// Answers what is asked, for as long as the run lasts.
pub(crate) async fn answer(seed: u64, world: Arc<World>, lambda: Rc<Lambda>) {
    let mut rng = Rng::with_seed(seed ^ 0x00a9_9407);
    loop {
        sleep(LOOK).await;
        let asked = world.state().acts.take_asked();
        for task in asked {
            let words: &[&str] = match rng.u8(..10) {
                0..5 => &["MitigationApprove"],
                5..7 => &["MitigationReject"],
                7 => &["MitigationApprove", "MitigationApprove"],
                8 => &["MitigationApprove", "MitigationReject"],
                _ => &[],
            };
            for (nth, command) in words.iter().enumerate() {
                let slowest = if rng.bool() { 60 } else { SLOWEST_SECONDS };
                let after = Duration::from_secs(rng.u64(..slowest));
                let event = json!({
                    "command": command, "taskId": task, "reason": "simulated", "by": format!("person {nth}"),
                });
                world.note(&format!("a person will say in {} s: {event}", after.as_secs()));
                world.state().acts.answered.insert(task.clone());
                if *command == "MitigationApprove" {
                    world.state().acts.approve(&task);
                }
                lambda.send(&stack::MITIGATION_COMMANDS, event, after);
            }
        }
    }
}
