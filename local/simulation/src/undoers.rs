//! People who undo suppressions that rules have made. Each asks again until all of it is undone, or refused.
//!
//! They are drawn apart from the rest, so that a seed's other draws do not depend on them.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use serde_json::json;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::judge::list;
use crate::lambda::Ended;
use crate::lambda::Lambda;
use crate::stack;
use crate::world::Lineage;
use crate::world::World;

/// How long a person waits before the next try: what a rule may be about to make is over by then.
const BETWEEN_TRIES: Duration = Duration::from_mins(6);

/// How often it is looked whether a process has died.
const LOOK: Duration = Duration::from_secs(20);

/// The people of a run.
pub(crate) struct Undoers {
    rng: Rng,
    is_on: bool,
}

impl Undoers {
    /// Those of a seed: in a third of the seeds they do something.
    pub(crate) fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed ^ 0x756e_646f);
        let is_on = rng.u8(..3) == 0;
        Self { rng, is_on }
    }

    /// What they do at a step of the workload.
    pub(crate) fn step(&mut self, world: &Arc<World>, lambda: &Rc<Lambda>) {
        if !self.is_on || self.rng.u8(..3) > 0 {
            return;
        }
        let known = world.cloud.items("suppression#");
        let after = Duration::from_secs(self.rng.u64(..600));
        let (drawn, is_twice) = (self.rng.usize(..), self.rng.u8(..4) == 0);
        let Some(((_, _), record)) = known.iter().nth(drawn.checked_rem(known.len()).unwrap_or_default())
        else {
            return;
        };
        let of = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
        let json = |name: &str| serde_json::from_str::<Value>(of(name)).unwrap_or_default();
        let Some(last) = json("changes").as_array().and_then(|changes| changes.last().cloned()) else {
            return;
        };
        let mut event = match self.rng.u8(..6) {
            0 => json!({"auditTaskId": last["auditTaskId"]}),
            1 => json!({"rule": last["rule"]}),
            2 => json!({"since": last["at"]}),
            _ => json!({"checkName": of("check"), "resourceIdentifier": json("resource")}),
        };
        event["command"] = json!("SuppressionUndo");
        event["reason"] = json!("simulated");
        event["force"] = json!(self.rng.u8(..4) == 0);
        world.note(&format!("a person asks in {} s: {event}", after.as_secs()));
        if is_twice {
            lambda.send(&stack::MITIGATION_COMMANDS, event.clone(), after);
        }
        spawn_local(ask(Rc::clone(lambda), event, after));
    }
}

/// As soon as a process has died that made suppressions of an audit, a person undoes what it has made: its retry is still to come.
pub(crate) fn undo_after_death(world: &Arc<World>, lambda: &Rc<Lambda>, audit: &str) {
    let event = json!({"command": "SuppressionUndo", "auditTaskId": audit, "reason": "simulated"});
    let (world, lambda) = (Arc::clone(world), Rc::clone(lambda));
    world.note(&format!("a person asks after the next death: {event}"));
    spawn_local(async move {
        while world.state().doomed.is_some() {
            sleep(LOOK).await;
        }
        ask(lambda, event, LOOK).await;
    });
}

/// Asks until nothing is left to be done.
async fn ask(lambda: Rc<Lambda>, event: Value, after: Duration) {
    sleep(after).await;
    let mut asked = event.clone();
    loop {
        let ended = lambda.invoke(&stack::MITIGATION_COMMANDS, asked.clone(), Lineage::new()).await;
        match ended {
            Ended::Answered(answer) => {
                let is_open = list(&answer, "/suppressions").any(|of| of["result"] == "failed");
                match (&answer["nextToken"], is_open) {
                    (_, true) => asked = event.clone(),
                    (Value::Null, false) => return,
                    (token, false) => {
                        asked["nextToken"] = token.clone();
                        continue;
                    }
                }
            }
            // A command that says what is wrong with it is not asked again.
            Ended::Failed(error) if error.contains("NothingToUndo") || error.contains("NoSuppression") => {
                return;
            }
            Ended::Failed(_) | Ended::Killed => {}
        }
        sleep(BETWEEN_TRIES).await;
    }
}
